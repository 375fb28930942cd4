"""Time as an argument: the clock that readers and supervisors are given, so that tests own time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """What a reader needs to know of time."""

    def now(self) -> float:
        """Unix time in seconds: for people and records; may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment: for durations; never jumps."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Waits until `event` is set or `seconds` have passed.

        Returns:
            Whether the event is set.
        """
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Sleeps, at most `seconds`, until `event` is set."""
        return event.wait(max(0.0, seconds))
