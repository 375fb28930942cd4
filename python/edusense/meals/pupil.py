"""A person of the roster: who they are, what they may eat until when, and by which cards they are known."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import datetime

    from edusense.devices import Card

__all__ = ["STAFF", "CardMark", "Pupil"]

STAFF: Final = "staff"
"""Category of those who work here: they come and go by card, and are given no meal of the state's."""


@dataclass(frozen=True)
class Pupil:
    """A pupil of the roster, or somebody who works in the school (category `staff`)."""

    number: int
    """Our number; never the national one."""
    name: str
    form: str
    """The class, such as `4Б`."""
    category: str
    """Why the meal is free, as the school writes it."""
    cards: tuple[Card, ...]
    consent_date: datetime.date | None
    """When the parents agreed; None: they did not."""
    voucher_from: datetime.date | None
    """First day of the voucher; None: there is none."""
    voucher_to: datetime.date | None
    """Last day of the voucher; None: it has no end."""
    shift: int | None = None
    """The shift that the pupil learns in; None: any slot will do."""
    allergens: tuple[str, ...] = ()
    """What the child must not be served, as the parents named it."""
    school: int | None = None
    """National number of the school that the pupil belongs to; None: this one."""

    def may_eat(self, day: datetime.date) -> bool:
        """Whether the voucher holds on a day."""
        begun = self.voucher_from is not None and self.voucher_from <= day
        return begun and (self.voucher_to is None or day <= self.voucher_to)

    def entitled(self, day: datetime.date) -> bool:
        """Whether consent and voucher hold on a day."""
        return self.consent_date is not None and self.consent_date <= day and self.may_eat(day)

    @property
    def category_number(self) -> int:
        """The category as it stands in a record: the number itself, or 32768 plus 15 bits of the name's CRC-32.

        >>> Pupil(1, "A", "1A", "7", (), None, None, None).category_number
        7
        """
        if self.category.isdecimal() and int(self.category) < 0x8000:
            return int(self.category)
        return 0x8000 | zlib.crc32(self.category.encode()) & 0x7FFF if self.category else 0

    def to_json(self) -> dict[str, Any]:
        """The pupil as `edusense roster show --json` prints it."""
        return {
            "pupil": self.number,
            "name": self.name,
            "class": self.form,
            "category": self.category,
            "cards": [str(card) for card in self.cards],
            "consent_date": _iso(self.consent_date),
            "voucher_from": _iso(self.voucher_from),
            "voucher_to": _iso(self.voucher_to),
            "shift": self.shift,
            "allergens": list(self.allergens),
            "school": self.school,
        }


@dataclass(frozen=True)
class CardMark:
    """Why a card that is known opens nothing any more."""

    card: Card
    pupil: int
    """Whose it was."""
    state: str
    """`lost`, `blocked` or `replaced`."""
    since: datetime.date


def _iso(day: datetime.date | None) -> str | None:
    return None if day is None else day.isoformat()
