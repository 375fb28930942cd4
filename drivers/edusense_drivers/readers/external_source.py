"""Taps that other terminals hand over: who waits for which verdict, debounced and counted. No socket."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from edusense.devices.card import Card
from edusense.devices.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.devices.clock import Clock
    from edusense.devices.reader import ReaderStats, Trace
    from edusense.errors import DeviceError
    from edusense_drivers.readers.external_numbers import Told

__all__ = ["ExternalSource", "Line", "Waiter"]

_WAITING: Final = 64
"""Taps whose verdict is still waited for, at most."""


class Line(Protocol):
    """What carries the numbers."""

    def start(self, source: ExternalSource) -> None:
        """Begins to hand over."""
        ...

    def close(self) -> None:
        """Ends it."""
        ...


class Waiter:
    """Somebody at the other end who waits for a verdict."""

    def __init__(self) -> None:
        self._told = threading.Event()
        self.granted: bool | None = None

    def answer(self, granted: bool | None) -> None:
        """The verdict; None where it will not come."""
        self.granted = granted
        self._told.set()

    def wait(self, seconds: float) -> bool | None:
        """The verdict; None when it did not come in time."""
        self._told.wait(seconds)
        return self.granted


class ExternalSource:
    """Cards out of what a terminal hands over.

    Args:
        line: what carries it.
        kind: what the numbers are: `person` or `pupil`.
        assurance: how much they prove.
        silence_s: seconds after which the same person counts again.
        clock: for the cards' times and the silence.
    """

    def __init__(
        self,
        line: Line,
        *,
        kind: str = "person",
        assurance: str = "printed",
        silence_s: float = 1.0,
        clock: Clock | None = None,
    ) -> None:
        self.kind = kind
        self._line = line
        self._assurance = assurance
        self._tally = Tally(silence_s=silence_s, clock=clock)
        self._changed = threading.Condition()
        self._cards: deque[Card] = deque(maxlen=_WAITING)
        self._waiting: deque[tuple[Card, list[Waiter]]] = deque()
        self._woken = False
        self._failure: DeviceError | None = None
        line.start(self)

    # What the line tells.

    def hand_over(self, told: Told, by: str) -> Waiter:
        """Somebody hands over what it heard of a person.

        Args:
            told: what came of it.
            by: who it was, for people.

        Returns:
            What to wait on for the verdict; answered at once with None where there will be none.
        """
        waiter = Waiter()
        with self._changed:
            if told.dropped:
                self._tally.note(f"{by} sent along what is not kept: {', '.join(told.dropped)}")
            if told.number is None:
                self._tally.fault("no-number", f"{by} sent {told.problem}")
                waiter.answer(None)
                return waiter
            raw = told.number.encode("ascii")
            self._tally.heard(raw)
            if not self._tally.tap((self.kind, raw)):
                same = next((waiters for card, waiters in self._waiting if card.uid == raw), None)
                if same is None:
                    waiter.answer(None)
                else:
                    same.append(waiter)
                return waiter
            card = Card(self.kind, raw, assurance=self._assurance, raw=raw, at=self._tally.clock.now())
            self._cards.append(card)
            self._waiting.append((card, [waiter]))
            if len(self._waiting) > _WAITING:
                for late in self._waiting.popleft()[1]:
                    late.answer(None)
            self._changed.notify_all()
        return waiter

    def note(self, text: str) -> None:
        """Something that whoever watches should know."""
        with self._changed:
            self._tally.note(text)

    def fault(self, reason: str, text: str) -> None:
        """Something came that is no number; `text` must not quote it."""
        with self._changed:
            self._tally.fault(reason, text)

    def fail(self, error: DeviceError) -> None:
        """The line is gone: the session ends with this."""
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    # What the reader asks.

    def wait(self) -> list[Card]:
        """Waits for somebody."""
        with self._changed:
            while not self._cards and not self._woken and self._failure is None:
                self._changed.wait()
            self._woken = False
            if self._failure is not None and not self._cards:
                raise self._failure
            cards = list(self._cards)
            self._cards.clear()
            return cards

    def wake(self) -> None:
        """Makes `wait` return soon."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def signal(self, granted: bool) -> bool:
        """Answers the terminal whose tap has waited longest."""
        with self._changed:
            if not self._waiting:
                return False
            _, waiters = self._waiting.popleft()
        for waiter in waiters:
            waiter.answer(granted)
        return True

    def close(self) -> None:
        """Ends it, and lets nobody wait."""
        self._line.close()
        with self._changed:
            waiting, self._waiting = self._waiting, deque()
        for _, waiters in waiting:
            for waiter in waiters:
                waiter.answer(None)

    def stats(self) -> ReaderStats:
        """Counters so far."""
        return self._tally.stats()

    def watch(self, trace: Callable[[Trace], None] | None) -> None:
        """Tells what happens to `trace` from now on."""
        self._tally.watch(trace)
