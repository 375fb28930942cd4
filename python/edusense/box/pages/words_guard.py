"""The words of the guard's page, in Kazakh, Russian and English."""

from __future__ import annotations

from typing import Final

from edusense.alerts.words import FINDINGS

__all__ = ["WORDS"]

WORDS: Final[dict[str, dict[str, str]]] = {
    "title": {"kk": "Дабылдар", "ru": "Тревоги", "en": "Alerts"},
    "none": {"kk": "Ашық дабыл жоқ", "ru": "Открытых тревог нет", "en": "No open alerts"},
    "test": {"kk": "ОҚУ ДАБЫЛЫ", "ru": "УЧЕБНАЯ ТРЕВОГА", "en": "TEST"},
    "no-picture": {"kk": "сурет әлі жоқ", "ru": "снимка ещё нет", "en": "no picture yet"},
    "clip": {"kk": "Бейнені көру", "ru": "Смотреть видео", "en": "Watch the clip"},
    "who": {"kk": "Кім кезекші?", "ru": "Кто на посту?", "en": "Who is on duty?"},
    "who-why": {
        "kk": "Аты-жөніңіз әр жауапта жазылады.",
        "ru": "Ваше имя будет стоять под каждым ответом.",
        "en": "Your name stands under each answer.",
    },
    "save": {"kk": "Сақтау", "ru": "Сохранить", "en": "Save"},
    "sound": {
        "kk": "Дыбысты қосу үшін басыңыз",
        "ru": "Нажмите, чтобы включить звук",
        "en": "Touch to switch sound on",
    },
    "offline": {
        "kk": "Қорапшамен байланыс жоқ: бұл бет ескі",
        "ru": "Нет связи с системой: страница устарела",
        "en": "No connection to the box: this page is old",
    },
    "failed": {"kk": "Жауап қабылданбады", "ru": "Ответ не принят", "en": "The answer was not taken"},
    # Answers.
    "do-seen": {"kk": "Көрдім", "ru": "Вижу", "en": "I see it"},
    "do-taken": {"kk": "Барамын", "ru": "Иду", "en": "I am going"},
    "do-closed": {"kk": "Аяқталды", "ru": "Закончено", "en": "It is over"},
    "do-false": {"kk": "Жалған дабыл", "ru": "Ложная тревога", "en": "False alarm"},
    # States.
    "new": {"kk": "жаңа", "ru": "новая", "en": "new"},
    "sent": {"kk": "жаңа", "ru": "новая", "en": "new"},
    "seen": {"kk": "көрді", "ru": "увидели", "en": "seen"},
    "taken": {"kk": "қабылданды", "ru": "принято", "en": "taken"},
    "closed": {"kk": "жабылды", "ru": "закрыта", "en": "closed"},
    "false": {"kk": "жалған", "ru": "ложная", "en": "false alarm"},
    # Severities.
    "minor": {"kk": "шағын", "ru": "небольшая", "en": "minor"},
    "moderate": {"kk": "орташа", "ru": "средняя", "en": "moderate"},
    "severe": {"kk": "ауыр", "ru": "серьёзная", "en": "severe"},
    "extreme": {"kk": "өте ауыр", "ru": "крайне опасная", "en": "extreme"},
    "unanswered": {
        "kk": "уақытында ешкім жауап бермеді",
        "ru": "никто не ответил вовремя",
        "en": "nobody answered in time",
    },
    "times": {"kk": "рет", "ru": "раз", "en": "times"},
    **FINDINGS,
    # The way out.
    "at": {"kk": "жеткізілді", "ru": "доставлено", "en": "delivered"},
    "waits": {"kk": "күтіп тұр", "ru": "ждёт отправки", "en": "waiting to be sent"},
    "refused": {"kk": "қабылданбады", "ru": "отклонено", "en": "refused"},
    "expired": {"kk": "мерзімі өтті", "ru": "устарело", "en": "expired"},
    "working": {"kk": "байланыс бар", "ru": "на связи", "en": "connected"},
    "starting": {"kk": "қосылуда", "ru": "соединяется", "en": "connecting"},
    "unavailable": {"kk": "байланыс жоқ", "ru": "нет связи", "en": "no connection"},
    "destination-refused": {"kk": "қабылдамайды", "ru": "не принимает", "en": "refuses"},
    "since": {"kk": "{} бастап", "ru": "с {}", "en": "since {}"},
    "silenced": {"kk": "Дабылсыз", "ru": "Без тревог", "en": "Silenced"},
    "until": {"kk": "{} дейін", "ru": "до {}", "en": "until {}"},
    "seconds": {"kk": "с", "ru": "с", "en": "s"},
}
"""By key and language."""
