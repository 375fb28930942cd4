"""What every driver counts and tells, once: bytes, taps, repeats, dropped frames, and traces for `listen -v`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from edusense.devices.clock import Clock, SystemClock
from edusense.devices.debounce import Debounce
from edusense.devices.line_quality import suspicion
from edusense.devices.reader import ReaderStats, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edusense.devices.reader import Direction, Weight

__all__ = ["Tally"]

_UNEXPLAINED: Final = 512
"""Bytes without a frame that are kept to be looked at."""
_ENOUGH: Final = 64
"""Bytes without a single good frame after which they are looked at: several cards' worth, so that one damaged frame
with noise around it is no suspicion.
"""
_HELD_S: Final = 60.0
"""Seconds after which a card that still lies there is told: forgotten by somebody, or a reader that is stuck."""


class Tally:
    """Counters, debouncing and traces of one session: a driver tells it what it sees.

    Args:
        silence_s: seconds without a card's frames after which it may tap again.
        clock: for times in traces and for the silence.
        baud: the speed of a serial line; None for a device without one. With it, bytes that make no frame are looked
            at for a speed that does not fit, and for devices that are no readers.

    >>> tally = Tally()
    >>> tally.tap("A"), tally.tap("A"), tally.stats().repeats
    (True, False, 1)
    """

    def __init__(self, *, silence_s: float = 0.3, clock: Clock | None = None, baud: int | None = None) -> None:
        self.clock: Clock = SystemClock() if clock is None else clock
        self.debounce = Debounce(silence_s)
        self._baud = baud
        self._trace: Callable[[Trace], None] | None = None
        self._cards = self._repeats = self._noise = self._bytes = 0
        self._faults: Counter[str] = Counter()
        self._last_fault: str | None = None
        self._unexplained = bytearray()
        self._without_frame = 0
        self._look_at_bytes = _ENOUGH
        self._suspicion: str | None = None
        self._held: object = None

    def watch(self, trace: Callable[[Trace], None] | None) -> None:
        """From now on, tells everything to `trace`; None ends that."""
        self._trace = trace

    def heard(self, data: bytes, *, routine: bool = False) -> None:
        """Bytes came from the device.

        Args:
            data: the bytes.
            routine: they answer a question that is asked all the time, such as whether a card has come.
        """
        self._bytes += len(data)
        if self._trace is not None:
            self._tell("in", data, weight="routine" if routine else "usual")

    def sent(self, data: bytes, *, routine: bool = False) -> None:
        """Bytes go to the device."""
        if self._trace is not None:
            self._tell("out", data, weight="routine" if routine else "usual")

    def tap(self, key: object, at: float | None = None) -> bool:
        """A good frame of a card: whether it has just come.

        Args:
            key: what identifies the card to this reader.
            at: when, in seconds of the clock that does not jump; None for now.
        """
        at = self.clock.monotonic() if at is None else at
        if self._without_frame:
            self._unexplained.clear()
            self._without_frame, self._look_at_bytes, self._suspicion = 0, _ENOUGH, None
        if self.debounce.fresh(key, at):
            self._cards += 1
            self._held = None
            return True
        self._repeats += 1
        if self._held is None and self.debounce.held_s(key, at) >= _HELD_S:
            self._held = key
            self.note(f"a card has lain on the reader for {_HELD_S:g} s", weight="urgent")
        return False

    def not_a_card(self) -> None:
        """Takes back the last tap: its number is none that a card can have."""
        self._cards -= 1

    def still_there(self, keys: Iterable[object]) -> None:
        """Of these cards nothing could be heard for a while, because the device did not answer: they did not leave."""
        self.debounce.still_there(keys, self.clock.monotonic())

    def fault(self, reason: str, message: str, data: bytes = b"") -> None:
        """A frame was dropped.

        Args:
            reason: a word that stays the same, for counting.
            message: what was found, with the bytes' coordinates.
            data: what came of it.
        """
        self._faults[reason] += 1
        self._last_fault = message
        if self._trace is not None:
            self._trace(Trace(self.clock.now(), "note", data, message, reason=reason))
        self._look_at(data)

    def noise(self, data: bytes) -> None:
        """Bytes outside any frame."""
        self._noise += len(data)
        self._look_at(data)

    def note(self, text: str, data: bytes = b"", *, weight: Weight = "usual") -> None:
        """Something that a person who looks should know; `urgent` also for one who does not."""
        if self._trace is not None:
            self._tell("note", data, text, weight=weight)

    def stats(self) -> ReaderStats:
        """The counters so far."""
        return ReaderStats(
            cards=self._cards,
            repeats=self._repeats,
            bad_frames=self._faults.total(),
            noise_bytes=self._noise,
            bytes_read=self._bytes,
            faults=dict(self._faults),
            last_fault=self._last_fault,
            suspicion=self._suspicion,
        )

    def _look_at(self, data: bytes) -> None:
        """Bytes that were no frame: whether all of them together mean something."""
        if self._baud is None:
            return
        self._unexplained += data
        del self._unexplained[:-_UNEXPLAINED]
        self._without_frame += len(data)
        if self._without_frame < self._look_at_bytes:
            return
        # Again when they have doubled: a line that chatters for hours must cost nothing.
        self._look_at_bytes = 2 * self._without_frame
        found = suspicion(bytes(self._unexplained), self._baud)
        if found is not None and found != self._suspicion:
            self._suspicion = found
            self.note(f"{found}; `edusense reader identify` tries every speed and protocol", weight="urgent")

    def _tell(self, direction: Direction, data: bytes, text: str = "", *, weight: Weight = "usual") -> None:
        if self._trace is not None:
            self._trace(Trace(self.clock.now(), direction, data, text, weight))
