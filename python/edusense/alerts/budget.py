"""What the way out carries: bytes are paced, and what matters most goes first."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PIECE", "Budget"]

PIECE: Final = 16 << 10
"""Bytes that are asked for at once: an alert never waits for more than one piece of a clip."""


class Budget:
    """A token bucket of bytes, shared by all destinations: the best rank that waits is served first.

    Args:
        kbit: of the way out, kbit/s; 0 where it is not known.
        monotonic: seconds that never jump.

    >>> Budget(0).take(10**9, rank=2)
    """

    def __init__(self, kbit: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._turn = threading.Condition()
        self._waiting: list[tuple[int, int]] = []
        self._numbers = itertools.count()
        self._at_s = monotonic()
        self._rate = 0.0
        self._left = 0.0
        self.spent = 0
        """Bytes that were paced."""
        self.set_rate(kbit)

    def set_rate(self, kbit: float) -> None:
        """Takes another rate, in kbit/s; 0 paces nothing."""
        with self._turn:
            self._rate = kbit * 125.0
            # A quarter of a second at once, so that small messages do not wait for each other.
            self._burst = max(2.0 * PIECE, self._rate / 4)
            self._left = min(self._left, self._burst) if self._left else self._burst
            self._turn.notify_all()

    @property
    def rate(self) -> float:
        """Bytes a second; 0 where nothing is paced."""
        return self._rate

    def take(self, count: int, *, rank: int) -> None:
        """Waits until so many bytes may be sent.

        Args:
            count: bytes; best not more than `PIECE`.
            rank: 0 is served before 1, 1 before 2.
        """
        with self._turn:
            ticket = (rank, next(self._numbers))
            heapq.heappush(self._waiting, ticket)
            try:
                while (pause := self._pause(ticket)) > 0:
                    self._turn.wait(pause)
                # A debt is paid by whoever comes next: a count larger than the bucket goes through, too.
                self._left -= count
                self.spent += count
            finally:
                self._waiting.remove(ticket)
                heapq.heapify(self._waiting)
                self._turn.notify_all()

    def _pause(self, ticket: tuple[int, int]) -> float:
        """Seconds to wait before looking again; 0 when it is this one's turn."""
        now = self._monotonic()
        self._left = min(self._burst, self._left + (now - self._at_s) * self._rate)
        self._at_s = now
        if self._rate <= 0:
            return 0.0
        if self._waiting[0] != ticket:
            return 1.0
        return 0.0 if self._left > 0 else min(1.0, max(0.001, -self._left / self._rate))
