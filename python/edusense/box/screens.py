"""What the screens show: the last verdict of each terminal, for pages that follow it. Names and photos are only here.

A page that is loaded again in the middle of a tap gets what it would have shown. Nothing of it is written anywhere.
"""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.meals import Verdict

__all__ = ["Screens", "Shown"]


@dataclass(frozen=True)
class Shown:
    """A verdict on its way to the screens."""

    number: int
    """Grows with each one."""
    terminal: str
    verdict: Verdict
    at: float
    """When it was given, in seconds of the monotonic clock."""


class Screens:
    """The last verdict of each terminal, and who wants to hear of the next. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._last: dict[str, Shown] = {}
        self._listeners: list[Callable[[Shown], None]] = []

    def show(self, terminal: str, verdict: Verdict) -> None:
        """Shows a verdict at a terminal.

        Args:
            terminal: the terminal's id.
            verdict: what to show.
        """
        with self._lock:
            shown = Shown(next(self._numbers), terminal, verdict, time.monotonic())
            self._last[terminal] = shown
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(shown)

    def last(self, terminal: str) -> Shown | None:
        """The last verdict of a terminal; None before the first."""
        return self._last.get(terminal)

    def listen(self, callback: Callable[[Shown], None]) -> Callable[[], None]:
        """Calls `callback` (which must not wait) with each verdict, in the thread of its terminal.

        Returns:
            A function that ends it.
        """
        with self._lock:
            self._listeners.append(callback)

        def stop() -> None:
            with self._lock:
                if callback in self._listeners:
                    self._listeners.remove(callback)

        return stop
