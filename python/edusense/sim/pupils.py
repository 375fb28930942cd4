"""Pupils of a school that does not exist, with cards of both kinds, and why a terminal may refuse them."""

from __future__ import annotations

import csv
import datetime
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edusense.devices.card import Card

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

__all__ = ["COLUMNS", "Pupil", "draw_pupils", "roster_csv", "stranger"]

COLUMNS = ("pupil", "name", "class", "category", "cards", "consent_date", "voucher_from", "voucher_to")

_GIRLS = (
    "Айгерім",
    "Аружан",
    "Дана",
    "Жансая",
    "Інжу",
    "Мадина",
    "Томирис",
    "Алиса",
    "Виктория",
    "Дарья",
    "Ксения",
    "Мария",
)
_BOYS = (
    "Әлихан",
    "Арман",
    "Бекзат",
    "Ерасыл",
    "Нұрлан",
    "Санжар",
    "Темірлан",
    "Артём",
    "Дмитрий",
    "Илья",
    "Михаил",
    "Никита",
)
_KAZAKH = (
    "Әбдірахманов",
    "Байжанов",
    "Ермеков",
    "Жүнісов",
    "Қасымов",
    "Мұратов",
    "Нұрғалиев",
    "Оспанов",
    "Сәрсенов",
    "Төлегенов",
)
_RUSSIAN = ("Белов", "Воронцов", "Григорьев", "Ким", "Морозов", "Новиков", "Павлов", "Соколов", "Цой", "Шевченко")
_CATEGORIES = ("grade-1-4", "large-family", "low-income", "orphan", "disability")


@dataclass(frozen=True)
class Pupil:
    """A pupil and why a terminal may refuse them.

    Attributes:
        number: the school's own number; never the national one.
        name: family name, given name.
        form: class.
        category: why the meal is free.
        cards: of both kinds or one.
        refusal: `no-consent`, `not-on-list`, or None for somebody who may eat.
    """

    number: int
    name: str
    form: str
    category: str
    cards: tuple[Card, ...]
    refusal: str | None = None

    def card(self, technology: str) -> Card | None:
        """The pupil's card of a kind."""
        return next((card for card in self.cards if card.technology == technology), None)


def _em4100(rng: np.random.Generator) -> Card:
    return Card("em4100", bytes((1, 0)) + rng.bytes(3))


def _iso14443a(rng: np.random.Generator) -> Card:
    if rng.random() < 0.5:
        # 7 bytes: NXP's come first with 04, and none begins its second part with the cascade tag 88.
        return Card("iso14443a", b"\x04" + rng.bytes(2).replace(b"\x88", b"\x87") + rng.bytes(4))
    # 4 bytes: not 08 (random numbers) and not 88 (cascade tag).
    return Card("iso14443a", bytes((int(rng.choice([0x1C, 0x5A, 0x93, 0xD4])),)) + rng.bytes(3))


def draw_pupils(count: int, rng: np.random.Generator) -> list[Pupil]:
    """Draws pupils whose cards are all different; about one in twelve is refused for one of two reasons."""
    pupils: list[Pupil] = []
    seen: set[Card] = set()
    while len(pupils) < count:
        girl, kazakh = bool(rng.random() < 0.5), bool(rng.random() < 0.65)
        family = str(rng.choice(_KAZAKH if kazakh else _RUSSIAN))
        if (girl and family.endswith("ов")) or (girl and family.endswith("ев")):
            family += "а"
        name = f"{family} {rng.choice(_GIRLS if girl else _BOYS)}"
        kinds = rng.random()
        cards = tuple(card for card, there in ((_em4100(rng), kinds < 0.65), (_iso14443a(rng), kinds > 0.35)) if there)
        if seen.intersection(cards):
            continue
        seen.update(cards)
        index = len(pupils)
        grade = 1 + index * 11 // count
        category = "grade-1-4" if grade <= 4 else str(rng.choice(_CATEGORIES[1:]))
        refusal = {3: "no-consent", 9: "not-on-list"}.get(index % 12) if index % 24 < 12 or count < 24 else None
        pupils.append(Pupil(1001 + index, name, f"{grade}{'АБВ'[index % 3]}", category, cards, refusal))
    return pupils


def stranger(technology: str, known: Sequence[Pupil], rng: np.random.Generator) -> Card:
    """A card that no pupil has."""
    taken = {card for pupil in known for card in pupil.cards}
    while True:
        card = _em4100(rng) if technology == "em4100" else _iso14443a(rng)
        if card not in taken:
            return card


def roster_csv(pupils: Sequence[Pupil], today: datetime.date) -> str:
    """The roster as `edusense roster check` reads it: without consent no date, off the list an old voucher."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    begin = datetime.date(today.year if today.month >= 9 else today.year - 1, 9, 1)
    end = datetime.date(begin.year + 1, 5, 25 if today <= datetime.date(begin.year + 1, 5, 25) else 31)
    end = max(end, today + datetime.timedelta(days=7))
    for pupil in pupils:
        gone = pupil.refusal == "not-on-list"
        writer.writerow(
            (
                pupil.number,
                pupil.name,
                pupil.form,
                pupil.category,
                " ".join(str(card) for card in pupil.cards),
                "" if pupil.refusal == "no-consent" else begin.isoformat(),
                (begin - datetime.timedelta(days=365)).isoformat() if gone else begin.isoformat(),
                (today - datetime.timedelta(days=3)).isoformat() if gone else end.isoformat(),
            )
        )
    return out.getvalue()
