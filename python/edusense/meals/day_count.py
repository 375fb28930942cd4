"""How many meals of the present day stand, by slot; read on from where it stopped, so asking often costs little."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from edusense.meals.record import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edusense.meals.ledger import Ledger

__all__ = ["DayCount"]

_STEP = 8192


class DayCount:
    """The meals of the last days that an open ledger tells of. May be used from several threads.

    Args:
        ledger: open for writing or for reading.
        first_day: earlier days are not counted, as yyyymmdd.
    """

    def __init__(self, ledger: Ledger, first_day: int) -> None:
        self.ledger = ledger
        self.first_day = first_day
        self._lock = threading.Lock()
        self._meals: Counter[tuple[int, str]] = Counter()
        self._next = _where_day_begins(ledger, first_day)

    def meals(self, day: int, slot: str) -> int:
        """How many meals of a day and slot stand.

        Args:
            day: yyyymmdd.
            slot: name of the slot.
        """
        with self._lock:
            end = len(self.ledger)
            while self._next < end:
                stop = min(end, self._next + _STEP)
                self._add(self.ledger.records(self._next, stop))
                self._next = stop
            return self._meals[day, slot]

    def _add(self, records: NDArray[Any]) -> None:
        for kind, sign in ((Kind.MEAL, 1), (Kind.REVERSAL, -1)):
            for record in records[(records["kind"] == kind) & (records["day"] >= self.first_day)]:
                self._meals[int(record["day"]), bytes(record["slot"]).decode("ascii")] += sign


def _where_day_begins(ledger: Ledger, first_day: int) -> int:
    """A position before which no meal is of that day or a later one: some records earlier do not matter."""
    stop, first = len(ledger), ledger.first
    while stop > first:
        start = max(first, stop - _STEP)
        part = ledger.records(start, stop)
        meals = part[part["kind"] == Kind.MEAL]
        if len(meals) and int(meals["day"].max()) < first_day:
            return stop
        stop = start
    return first
