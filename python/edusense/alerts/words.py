"""What findings are called, in Kazakh, Russian and English: on the guard's page and in letters."""

from __future__ import annotations

from typing import Final

__all__ = ["FINDINGS"]

FINDINGS: Final[dict[str, dict[str, str]]] = {
    "forbidden-entry": {
        "kk": "Тыйым салынған аймаққа кіру",
        "ru": "Вход в запретную зону",
        "en": "Entry into a forbidden zone",
    },
    "movement": {"kk": "Қозғалыс", "ru": "Движение", "en": "Movement"},
    "line-crossed": {"kk": "Сызықты кесіп өту", "ru": "Пересечение линии", "en": "A line was crossed"},
    "fire": {"kk": "Өрт", "ru": "Пожар", "en": "Fire"},
    "smoke": {"kk": "Түтін", "ru": "Дым", "en": "Smoke"},
    "fight": {"kk": "Төбелес", "ru": "Драка", "en": "Fight"},
    "weapon": {"kk": "Қару", "ru": "Оружие", "en": "Weapon"},
}
"""By kind and language; a kind that is not here is shown as it is."""
