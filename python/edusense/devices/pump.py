"""A reader that listens by itself: bytes are taken from the device when they come, not when somebody asks.

Why a thread: while a meal is written to disk nobody reads, and a card that still lies on the reader when reading
goes on would look as if it had come again. The thread sees every frame at its own time, so debouncing and `Card.at`
are right however slow the caller is. It sleeps in the kernel until there is something: an idle reader costs nothing.
"""

from __future__ import annotations

import contextlib
import copy
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from edusense.devices.reader import Reader, ReaderStats
from edusense.errors import (
    CardGoneError,
    DeviceError,
    DeviceProtocolError,
    DeviceRefusedError,
    DeviceTimeoutError,
    EdusenseError,
    InternalError,
    SessionClosedError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edusense.devices.card import Card
    from edusense.devices.reader import Trace

__all__ = ["Exchanging", "PumpedReader", "Signalling", "Source"]

Result = TypeVar("Result")

_GRACE_S: Final = 0.5
"""Seconds after an exchange's own deadline after which whoever asked for it does not wait for its error any longer."""
_UNTOLD: Final = 32
"""Traces kept for whoever watches a session from its beginning, but could not before it was open."""
_WAITING_CARDS: Final = 256
"""Taps kept for a caller who does not read; more are dropped oldest first, so that memory is bounded."""


class Source(Protocol):
    """One device as the listening thread sees it: what a driver writes for a `PumpedReader`."""

    def wait(self) -> Iterable[Card]:
        """Waits for something from the device and gives the taps in it, often none.

        Raises:
            DeviceError: the device went away or speaks something else; the session ends with this error.
        """
        ...

    def wake(self) -> None:
        """Makes `wait` return soon, from another thread; also a `wait` that begins only afterwards."""
        ...

    def close(self) -> None:
        """Lets go of the device; called once, when nobody is in `wait`."""
        ...

    def stats(self) -> ReaderStats:
        """Counters so far."""
        ...

    def watch(self, trace: Callable[[Trace], None] | None) -> None:
        """From now on, tells every byte and every fault to `trace`."""
        ...


class Signalling(Protocol):
    """A source whose device can show a verdict."""

    def signal(self, granted: bool) -> bool:
        """Shows it; called by the listening thread, while nobody is in `wait`. False where there is nothing to."""
        ...


class Exchanging(Protocol):
    """A source whose device passes APDUs to cards."""

    def exchange(self, apdu: bytes, timeout: float) -> bytes:
        """Exchanges one with the card that lies there; called by the listening thread, while nobody is in `wait`.

        Raises:
            CardGoneError: no card lies there.
        """
        ...


class PumpedReader(Reader):
    """A reader whose device is listened to by a thread of its own.

    What else is wanted of the device, that thread does between two waits: a source never has two callers. A source
    that also has `signal` (`Signalling`) or `exchange` (`Exchanging`) lends them to the reader.

    Args:
        address: how it was opened.
        source: the opened device.
    """

    def __init__(self, address: str, source: Source) -> None:
        self._pump = _Pump(source)
        super().__init__(address)
        self._source = source
        # The thread knows the pump and not this object: otherwise a forgotten reader would never be collected, nor
        # warn.
        source.watch(self._pump.tell)
        self._thread = threading.Thread(target=self._pump.run, name=f"edusense-{address}", daemon=True)
        self._thread.start()

    def stats(self) -> ReaderStats:
        """What this session has seen so far."""
        return self._source.stats()

    @property
    def trace(self) -> Callable[[Trace], None] | None:
        """What is told every byte and fault; what came before it was set first is told then."""
        return self._pump.trace

    @trace.setter
    def trace(self, trace: Callable[[Trace], None] | None) -> None:
        self._pump.watch(trace)

    def _read(self, timeout: float | None) -> Card | None:
        card = self._pump.next(timeout)
        if card is None:
            self._check_open()
        return card

    def _signal(self, granted: bool, timeout: float) -> bool:
        signal = getattr(self._source, "signal", None)
        return False if signal is None else self._pump.do(lambda: bool(signal(granted)), timeout, self.address)

    def _exchange(self, apdu: bytes, timeout: float) -> bytes:
        exchange = getattr(self._source, "exchange", None)
        if exchange is None:
            return super()._exchange(apdu, timeout)
        deadline = time.monotonic() + timeout
        return self._pump.do(
            lambda: bytes(exchange(apdu, max(0.01, deadline - time.monotonic()))), timeout + _GRACE_S, self.address
        )

    def _close(self) -> None:
        self._pump.stop()
        if threading.current_thread() is not self._thread:
            self._thread.join()


class _Pump:
    """What the thread and its reader share."""

    def __init__(self, source: Source) -> None:
        self.trace: Callable[[Trace], None] | None = None
        self._source = source
        self._cards: deque[Card] = deque(maxlen=_WAITING_CARDS)
        self._jobs: deque[_Job] = deque()
        self._failure: EdusenseError | None = None
        self._stopped = False
        self._changed = threading.Condition()
        self._untold: deque[Trace] | None = deque(maxlen=_UNTOLD)

    def watch(self, trace: Callable[[Trace], None] | None) -> None:
        """From now on, tells everything to `trace`; the first time also what came since the device was opened."""
        with self._changed:
            self.trace = trace
            if trace is not None and self._untold is not None:
                untold, self._untold = self._untold, None
                for told in untold:
                    trace(told)

    def tell(self, trace: Trace) -> None:
        with self._changed:
            told = self.trace
            if told is None and self._untold is not None:
                self._untold.append(trace)
        if told is not None:
            told(trace)

    def run(self) -> None:
        """The thread: until stopped or the device fails."""
        try:
            while not self._stopped:
                self._work()
                cards = list(self._source.wait())
                if cards:
                    with self._changed:
                        self._cards.extend(cards)
                        self._changed.notify_all()
        except DeviceError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 -- a driver's bug must reach who reads, not die in a thread
            failure = InternalError(f"the driver failed: {type(error).__name__}: {error}", hint="please report this")
            failure.__cause__ = error
            self._fail(failure)
        finally:
            # A device that failed is let go at once: its port must be free for whoever opens it when it is back.
            self._source.close()

    def next(self, timeout: float | None) -> Card | None:
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._cards:
                if self._stopped:
                    raise SessionClosedError("the session was closed while it was read")
                if self._failure is not None:
                    raise copy.copy(self._failure) from self._failure.__cause__
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._changed.wait(left)
            return self._cards.popleft()

    def do(self, work: Callable[[], Result], timeout: float, address: str) -> Result:
        """Lets the thread do something with the device, and gives what came of it."""
        job = _Job(work)
        with self._changed:
            if self._stopped:
                raise SessionClosedError("the session was closed while it was used")
            if self._failure is not None:
                raise copy.copy(self._failure) from self._failure.__cause__
            self._jobs.append(job)
        self._source.wake()
        if not job.done.wait(timeout):
            with self._changed, contextlib.suppress(ValueError):
                self._jobs.remove(job)
            raise DeviceTimeoutError(
                f"`{address}` did not do within {timeout:g} s what it was asked", hint="plug the reader in again"
            )
        if job.error is not None:
            raise job.error
        result: Result = job.result
        return result

    def _work(self) -> None:
        """Does what was asked for meanwhile. What ends the session ends it for who asked, too."""
        while True:
            with self._changed:
                if not self._jobs:
                    return
                job = self._jobs.popleft()
            try:
                job.result = job.work()
            except (CardGoneError, DeviceTimeoutError, DeviceProtocolError, DeviceRefusedError, UsageError) as error:
                job.error = error
            except BaseException as error:
                job.error = error
                raise
            finally:
                job.done.set()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._cards.clear()
            self._drop_jobs(SessionClosedError("the session was closed while it was used"))
            self._changed.notify_all()
        self._source.wake()

    def _fail(self, error: EdusenseError) -> None:
        with self._changed:
            self._failure = error
            self._drop_jobs(error)
            self._changed.notify_all()

    def _drop_jobs(self, error: EdusenseError) -> None:
        while self._jobs:
            job = self._jobs.popleft()
            job.error = copy.copy(error)
            job.done.set()


class _Job:
    """Something that the listening thread is to do with the device."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None
