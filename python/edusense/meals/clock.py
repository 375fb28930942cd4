"""What time it is at a terminal, and whether that can be believed.

A small computer without a battery for its clock wakes up after a power cut with a wrong date, and often without a
network that would tell it better. Meals must go on: the time of the last record is the earliest that it can be, and
what has passed since is counted by the monotonic clock. Such a moment is not sure, and the record says so. Whether day
and slot can be told from it is decided by `rules.clock_trusted`.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EDGE_S", "GAP_S", "MealClock", "Moment"]

GAP_S: Final = 12 * 3600.0
"""Longer than this after the last record, an unsure clock no longer says which day it is."""

EDGE_S: Final = 15 * 60.0
"""Nearer than this to the edge of a slot, an unsure clock no longer says whether the slot is on."""

_EARLIEST: Final = 1_577_836_800.0
"""2020-01-01: what is earlier is a clock that was never set."""

_TOLERANCE_S: Final = 60.0
"""Clocks are put right by some seconds all the time; that makes no day and no slot another."""


@dataclass(frozen=True)
class Moment:
    """A time, and whether it is to be relied on."""

    time: float
    """Unix seconds."""
    sure: bool = True
    gap_s: float = 0.0
    """Where it is not sure: seconds since the last record, as far as they are known."""


class MealClock:
    """The clock of the terminals of one ledger. May be used from several threads.

    Args:
        wall: Unix seconds, as the machine has them.
        monotonic: seconds that never jump.
        trusted: True where the machine's clock is known to be right (it is synchronised), False where it is known to
            have lost the time, None where nothing is known: then it is believed as long as it is not behind.

    >>> wall = iter([1_790_000_000.0, 0.0])
    >>> clock = MealClock(lambda: next(wall), iter([5.0, 8.0]).__next__)
    >>> clock.heard(1_790_000_000.0, 3.0)
    >>> clock.now().sure
    True
    >>> clock.now()
    Moment(time=1790000005.0, sure=False, gap_s=5.0)
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        trusted: Callable[[], bool | None] = lambda: None,
    ) -> None:
        self._wall, self._monotonic, self._trusted = wall, monotonic, trusted
        self._lock = threading.Lock()
        self._last: tuple[float, float] | None = None
        self._confirmed: tuple[float, float] | None = None

    def heard(self, at: float, monotonic: float | None = None) -> None:
        """Notes the time of the last record: it is not earlier now.

        Args:
            at: Unix seconds.
            monotonic: when that was, by the monotonic clock; None for now.
        """
        with self._lock:
            self._last = at, self._monotonic() if monotonic is None else monotonic

    def confirm(self, at: float) -> None:
        """Takes somebody's word for what time it is now, until the machine's clock is known to be right.

        Args:
            at: Unix seconds.
        """
        with self._lock:
            self._confirmed = at, self._monotonic()

    @property
    def confirmed(self) -> bool:
        """Whether somebody's word is what counts."""
        return self._confirmed is not None

    def now(self) -> Moment:
        """What time it is."""
        with self._lock:
            wall, monotonic, trusted = float(self._wall()), self._monotonic(), self._trusted()
            if trusted:
                self._confirmed = None
                return Moment(wall)
            if self._confirmed is not None:
                told, then = self._confirmed
                return Moment(told + monotonic - then)
            if self._last is None:
                return Moment(wall) if wall >= _EARLIEST and trusted is None else Moment(wall, False, float("inf"))
            last, then = self._last
            floor = last + max(0.0, monotonic - then)
            if trusted is None and wall >= floor - _TOLERANCE_S:
                return Moment(wall)
            found = max(floor, wall) if trusted is False else floor
            return Moment(found, False, found - last)
