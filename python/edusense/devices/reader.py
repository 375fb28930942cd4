"""What every card reader promises, whatever its protocol: `Reader`.

A driver's author subclasses `Reader` and writes two methods, `_read` and `_close`; deadlines, iteration, the async
twin, closing and its warnings are here, once. Where a device speaks by itself, `edusense.devices.pump.PumpedReader`
does the listening as well.
"""

from __future__ import annotations

import abc
import contextlib
import threading
import time
import warnings
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from edusense.devices.apdu import check_answer, check_command
from edusense.errors import SessionClosedError, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from concurrent.futures import Future
    from types import TracebackType

    from edusense.devices.card import Card

__all__ = ["Reader", "ReaderStats", "Trace"]

Direction: TypeAlias = Literal["in", "out", "note"]
Weight: TypeAlias = Literal["routine", "usual", "urgent"]

_SLICE_S = 0.25
"""How long an async read may hold its thread before it looks whether anybody still waits for it."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Something that passed between us and a reader, for `listen -v` and diagnosis.

    Args:
        at: Unix seconds.
        direction: `in` from the reader, `out` to it, `note` for what the driver thought of it.
        data: the bytes.
        text: for notes: what was found, with the bytes' coordinates.
        reason: for a frame that was dropped: the word that such frames are counted by.
        weight: `routine` for questions that are asked all the time and their answers (whether a card has come);
            `urgent` for notes that somebody should read who did not ask for traces.
    """

    at: float
    direction: Direction
    data: bytes
    text: str = ""
    weight: Weight = "usual"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReaderStats:
    """What a session has seen since it was opened.

    Args:
        cards: taps given out by `read`, after debouncing.
        repeats: good frames of a card that still lay there.
        bad_frames: frames dropped: wrong check sum, not hex, cut short.
        noise_bytes: bytes outside any frame.
        bytes_read: all bytes from the device.
        faults: dropped frames by reason.
        last_fault: the last one in words, with its bytes' coordinates.
        suspicion: what all those bytes without a frame look like: another speed, a device that is no reader; None
            where frames come, or nothing is suspected.
    """

    cards: int = 0
    repeats: int = 0
    bad_frames: int = 0
    noise_bytes: int = 0
    bytes_read: int = 0
    faults: Mapping[str, int] = field(default_factory=dict)
    last_fault: str | None = None
    suspicion: str | None = None

    def __add__(self, later: ReaderStats) -> ReaderStats:
        """The counters of two sessions one after the other; words are those of the later one, where it has some.

        >>> (ReaderStats(cards=1, faults={"check": 1}) + ReaderStats(cards=2, faults={"check": 2})).faults
        {'check': 3}
        """
        faults = Counter(self.faults)
        faults.update(later.faults)
        return ReaderStats(
            cards=self.cards + later.cards,
            repeats=self.repeats + later.repeats,
            bad_frames=self.bad_frames + later.bad_frames,
            noise_bytes=self.noise_bytes + later.noise_bytes,
            bytes_read=self.bytes_read + later.bytes_read,
            faults=dict(faults),
            last_fault=later.last_fault or self.last_fault,
            suspicion=later.suspicion,
        )


class Reader(abc.ABC):
    """A session with one card reader. Close it, or use it as a context manager.

    ```python
    with open_reader("rdm6300:/dev/ttyUSB0") as reader:
        for card in reader:
            print(card)
    ```

    Any thread may read and any thread may close; who waits in `read` while another closes gets SessionClosedError.

    Args:
        address: how it was opened, for messages.
    """

    trace: Callable[[Trace], None] | None
    """What is told every byte and fault, for `listen -v`; from the thread that sees them."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.trace = None
        self._closed = False
        self._closing = threading.Lock()
        self._kept: deque[Card] = deque()
        self._threads: ThreadPoolExecutor | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address}{' closed' if self._closed else ''}>"

    # What a driver writes.

    @abc.abstractmethod
    def _read(self, timeout: float | None) -> Card | None:
        """The next tap, or None when `timeout` seconds (None: no limit) have passed. Must wake up when `_close` is
        called.
        """

    @abc.abstractmethod
    def _close(self) -> None:
        """Lets go of the device. Called once; must not raise for a device that has gone."""

    def _signal(self, granted: bool, timeout: float) -> bool:
        """Shows the verdict; False where the reader has nothing to show it with."""
        return False

    def _exchange(self, apdu: bytes, timeout: float) -> bytes:
        """Sends an APDU to the card that lies there."""
        raise UsageError(
            f"`{self.address}` reads numbers and exchanges no APDUs", hint="readers of the drivers ccid and pn532 do"
        )

    def stats(self) -> ReaderStats:
        """What this session has seen so far."""
        return ReaderStats()

    # What every driver inherits.

    def read(self, timeout: float | None = None) -> Card | None:
        """The next card that is laid on the reader.

        Args:
            timeout: seconds to wait; 0 only looks; None waits without limit.

        Returns:
            The card, or None when the time has passed without one.

        Raises:
            SessionClosedError: this session was closed.
            DeviceDisconnectedError: the reader was unplugged or lost power; close, then open it again (or use
            `reconnecting`).
            DeviceProtocolError: the reader speaks something else.
        """
        self._check_open()
        with contextlib.suppress(IndexError):
            return self._kept.popleft()
        return self._read(timeout)

    async def aread(self, timeout: float | None = None) -> Card | None:  # noqa: ASYNC109 -- the twin of `read`, same words
        """`read` for asyncio. A card that arrives while this is cancelled is kept for the next read, never lost.

        Args:
            timeout: as in `read`.

        Returns:
            As `read`.
        """
        import asyncio  # a third of the time that importing this module takes; most programs never ask for it

        self._check_open()
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _SLICE_S if deadline is None else min(_SLICE_S, max(0.0, deadline - time.monotonic()))
            if self._threads is None:
                self._threads = ThreadPoolExecutor(1, thread_name_prefix=f"edusense-{self.address}")
            work = self._threads.submit(self.read, left)
            try:
                card = await asyncio.wrap_future(work)
            except asyncio.CancelledError:
                work.add_done_callback(self._keep)
                raise
            if card is not None or (deadline is not None and time.monotonic() >= deadline):
                return card

    def signal(self, granted: bool, timeout: float = 1.0) -> bool:
        """Shows a verdict on the reader itself: green and a short tone, or red and several; at once, not with the next
        look for a card.

        Args:
            granted: the verdict.
            timeout: seconds in which the reader must have taken it.

        Returns:
            Whether the reader has a light or a sound to show it with; many have none.

        Raises:
            SessionClosedError: this session was closed.
            DeviceTimeoutError: the reader did not take it in time.
            DeviceDisconnectedError: the reader is gone.
        """
        self._check_open()
        return self._signal(granted, timeout)

    def exchange(self, apdu: bytes, timeout: float = 5.0) -> bytes:
        """Sends an APDU (ISO/IEC 7816-4) to the card that lies there, and gives its answer.

        Args:
            apdu: the command, in its short or extended form.
            timeout: seconds for the whole exchange.

        Returns:
            The answer's data and its status word, the last two bytes.

        Raises:
            UsageError: this is no APDU, or this reader exchanges none.
            CardGoneError: no card lies there, or it was taken away.
            DeviceTimeoutError: the card or the reader did not answer in time.
            DeviceProtocolError: the answer breaks the rules: no status word, or more data than was asked for.
            DeviceDisconnectedError: the reader is gone.
        """
        self._check_open()
        check_command(apdu)
        answer = self._exchange(bytes(apdu), timeout)
        check_answer(apdu, answer)
        return answer

    async def aexchange(self, apdu: bytes, timeout: float = 5.0) -> bytes:  # noqa: ASYNC109 -- the twin of `exchange`
        """`exchange` for asyncio."""
        import asyncio

        return await asyncio.to_thread(self.exchange, apdu, timeout)

    def close(self) -> None:
        """Ends the session and frees the device. Closing twice is harmless."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        try:
            self._close()
        finally:
            if self._threads is not None:
                self._threads.shutdown(wait=False)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def __enter__(self) -> Reader:
        self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Card]:
        """Cards as they come, until the session is closed or the device fails."""
        while True:
            try:
                card = self.read(None)
            except SessionClosedError:
                return
            if card is not None:
                yield card

    async def __aiter__(self) -> AsyncIterator[Card]:
        """Cards as they come, for asyncio."""
        while True:
            try:
                card = await self.aread(None)
            except SessionClosedError:
                return
            if card is not None:
                yield card

    def __del__(self) -> None:
        if getattr(self, "_closed", True):
            return
        warnings.warn(f"{self!r} was never closed", ResourceWarning, stacklevel=2, source=self)
        self.close()

    def _keep(self, work: Future[Card | None]) -> None:
        if not work.cancelled() and work.exception() is None and (card := work.result()) is not None:
            self._kept.append(card)

    def _check_open(self) -> None:
        if self._closed:
            raise SessionClosedError(
                f"the session with `{self.address}` is closed", hint="open it again with `open_reader`"
            )
