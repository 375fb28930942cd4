"""Who is in the building: what the entrance terminals' records say at a moment."""

from __future__ import annotations

import datetime
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edusense.meals.lookup import records_backwards
from edusense.meals.record import Kind, RecordKey

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edusense.meals.ledger import Ledger

__all__ = ["Passage", "Presence", "passages"]

_DAYS_BACK: Final = 7
"""How far back somebody is looked for who came and never left: boarders, and children who slipped out."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Somebody went through a door."""

    person: int
    """Our number."""
    came: bool
    """Came in; otherwise went out."""
    time: float
    """Unix seconds."""
    terminal: int
    record: RecordKey


class Presence:
    """Who went through which door last. May be used from several threads; the doors of a school share one.

    Args:
        zone: the school's time zone, in which days begin.
    """

    def __init__(self, zone: datetime.tzinfo) -> None:
        self.lock = threading.RLock()
        """Held by a terminal from looking somebody up to noting them, so that one person is at one door at a time."""
        self._zone = zone
        self._last: dict[int, Passage] = {}

    @classmethod
    def of(cls, ledger: Ledger, zone: datetime.tzinfo, now: float) -> Presence:
        """What a ledger says.

        Args:
            ledger: open for writing or for reading.
            zone: the school's time zone.
            now: Unix seconds.
        """
        found = cls(zone)
        for part in records_backwards(ledger):
            for passage in reversed(passages(part)):
                found._last.setdefault(passage.person, passage)
            if len(part) and float(part["time"].max()) / 1e6 < now - _DAYS_BACK * 86_400:
                break
        return found

    def note(self, passage: Passage) -> None:
        """Somebody went through a door."""
        with self.lock:
            self._last[passage.person] = passage

    def last(self, person: int) -> Passage | None:
        """When somebody went through a door last; None where nothing is known."""
        return self._last.get(person)

    def inside(self, now: float) -> list[Passage]:
        """Who came today and has not left, in the order of their numbers.

        Args:
            now: Unix seconds.
        """
        day = self._day(now)
        return [passage for passage in self._who_came() if self._day(passage.time) == day]

    def unclear(self, now: float) -> list[Passage]:
        """Who came on an earlier day and never left: boarders, and whoever went out without a card.

        Args:
            now: Unix seconds.
        """
        day = self._day(now)
        return [passage for passage in self._who_came() if self._day(passage.time) < day]

    def _who_came(self) -> list[Passage]:
        with self.lock:
            return sorted((one for one in self._last.values() if one.came), key=lambda one: one.person)

    def _day(self, at: float) -> datetime.date:
        return datetime.datetime.fromtimestamp(at, self._zone).date()


def passages(records: NDArray[Any]) -> list[Passage]:
    """The arrivals and departures among some records, in their order.

    Args:
        records: records of a ledger.
    """
    told = records[(records["kind"] == Kind.ARRIVAL) | (records["kind"] == Kind.DEPARTURE)]
    return [
        Passage(
            int(record["pupil"]),
            int(record["kind"]) == Kind.ARRIVAL,
            int(record["time"]) / 1e6,
            int(record["terminal"]),
            RecordKey.of(record),
        )
        for record in told
    ]
