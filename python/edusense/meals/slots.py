"""Slots: the meals of a day, and which day a meal counts for when a slot runs across midnight."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edusense.errors import UsageError
from edusense.week import days_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Slot", "SlotLike", "find_slot", "of_shift"]


class SlotLike(Protocol):
    """What a terminal needs of a slot; those of the site file have it.

    Two more are looked at where it has them: `shift` (only for those who learn in it; None: for all) and `days` (such
    as `mon-fri`; None: every day).
    """

    @property
    def id(self) -> str:
        """Name, at most 12 ASCII bytes."""

    @property
    def from_(self) -> datetime.time:
        """Begins, local time."""

    @property
    def to(self) -> datetime.time:
        """Is over, local time."""

    @property
    def price_tiyn(self) -> int:
        """Price of the meal in tiyn."""


@dataclass(frozen=True)
class Slot:
    """One meal of the day: from `from_` up to, and not including, `to`.

    Where `to` is earlier than `from_` it runs across midnight and counts for the day on which it began.

    Args:
        id: name, at most 12 ASCII bytes, written into every record.
        from_: begins, local time.
        to: is over, local time.
        price_tiyn: price of the meal in tiyn (1/100 tenge).
        shift: only for those who learn in this shift; None: for all.
        days: days of the week that it is on, such as `mon-fri`; None: every day.

    >>> lunch = Slot("lunch", datetime.time(11), datetime.time(14, 30), 45_000)
    >>> find_slot([lunch], datetime.datetime(2026, 10, 5, 12, 3))[1]
    datetime.date(2026, 10, 5)
    """

    id: str
    from_: datetime.time
    to: datetime.time
    price_tiyn: int = 0
    shift: int | None = None
    days: str | None = None

    def __post_init__(self) -> None:
        if not (self.id.isascii() and self.id.isprintable() and " " not in self.id and 1 <= len(self.id) <= 12):
            raise UsageError(f"`{self.id}` is no name of a slot", hint="1 to 12 ASCII letters, digits or signs")
        if self.from_ == self.to:
            raise UsageError(f"slot `{self.id}` begins and ends at one time", hint="it would never be open")
        if not 0 <= self.price_tiyn < 2**32:
            raise UsageError(f"`{self.price_tiyn}` is no price in tiyn", hint="it has to fit into 32 bits")
        if self.days is not None and not days_of(self.days):
            raise UsageError(f"`{self.days}` names no days of the week", hint="such as `mon-fri` or `sat,sun`")


def of_shift(slots: Iterable[SlotLike], shift: int | None) -> tuple[SlotLike, ...]:
    """The slots that somebody of a shift may eat in.

    Args:
        slots: the slots of the school.
        shift: the shift; None: no particular one, all slots are theirs.
    """
    return tuple(slot for slot in slots if shift is None or getattr(slot, "shift", None) in (None, shift))


def find_slot(
    slots: Iterable[SlotLike], local: datetime.datetime, shift: int | None = None
) -> tuple[SlotLike, datetime.date] | None:
    """The first slot that is on, and the day that its meal counts for; None outside all of them.

    Args:
        slots: the slots of the school.
        local: local time.
        shift: the shift that the child learns in; None: any slot will do.
    """
    moment = local.time().replace(tzinfo=None)
    for slot in of_shift(slots, shift):
        day = local.date()
        if slot.from_ < slot.to:
            on = slot.from_ <= moment < slot.to
        else:
            on = moment >= slot.from_ or moment < slot.to
            if moment < slot.from_:
                day -= datetime.timedelta(days=1)
        if on and _on_day(slot, day):
            return slot, day
    return None


def _on_day(slot: SlotLike, day: datetime.date) -> bool:
    days = getattr(slot, "days", None)
    return days is None or day.weekday() in days_of(days)


def describe(slots: Sequence[SlotLike]) -> str:
    """The slots for people: "lunch 11:00–14:30".

    >>> describe([Slot("lunch", datetime.time(11), datetime.time(14, 30))])
    'lunch 11:00–14:30'
    """
    return ", ".join(f"{slot.id} {slot.from_:%H:%M}–{slot.to:%H:%M}" for slot in slots) or "none"
