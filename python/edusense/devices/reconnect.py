"""A reader that stays: opened again, with pauses that grow, for as long as somebody wants its cards.

```python
for event in reconnecting("rdm6300:/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0"):
    match event:
        case Card(): serve(event)
        case ReaderChange(state="waiting"): show(event.reason)
```
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from edusense.devices.clock import Clock, SystemClock
from edusense.devices.reader import ReaderStats
from edusense.devices.registry import open_reader
from edusense.errors import (
    DeviceError,
    DriverBrokenError,
    DriverMissingError,
    EdusenseError,
    InternalError,
    SessionClosedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from edusense.devices.card import Card
    from edusense.devices.reader import Reader

__all__ = ["ReaderChange", "ReconnectingReader", "reconnecting"]

_HOPELESS: Final = (DriverMissingError, DriverBrokenError)
"""What no waiting mends: these are raised."""


@dataclass(frozen=True, slots=True)
class ReaderChange:
    """A reader came or went.

    Args:
        state: `connected`, or `waiting` to try again.
        address: which reader.
        at: when, in Unix seconds.
        reason: why it waits, in words; None when connected.
        code: the error's stable code; None when connected.
        hint: what to do about it, where something can be done.
        retry_s: seconds until the next try; None when connected.
        attempt: how many tries in a row have failed.
    """

    state: Literal["connected", "waiting"]
    address: str
    at: float
    reason: str | None = None
    code: str | None = None
    hint: str | None = None
    retry_s: float | None = None
    attempt: int = 0


class ReconnectingReader:
    """Cards and changes of one reader, through unplugging and back; made by `reconnecting`.

    One thread reads; any thread may close, and the reader's `read` then raises SessionClosedError.
    """

    def __init__(
        self,
        address: str,
        *,
        first_s: float = 0.5,
        limit_s: float = 8.0,
        clock: Clock | None = None,
        opener: Callable[[str], Reader] = open_reader,
    ) -> None:
        self.address = address
        self.change: ReaderChange | None = None
        """The last change: what the reader's state is now; None before the first try."""
        self.reconnects = 0
        """How often it was opened again after it had been connected."""
        self.was_connected = False
        """Whether it was ever open."""
        self._first_s, self._limit_s = first_s, limit_s
        self._clock: Clock = SystemClock() if clock is None else clock
        self._opener = opener
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._reader: Reader | None = None
        self._attempt = 0
        self._retry_at: float | None = None
        self._before = ReaderStats()

    def read(self, timeout: float | None = None) -> Card | ReaderChange | None:
        """The next card or change.

        Args:
            timeout: seconds to wait; None without limit.

        Returns:
            A card, a change of state, or None when the time has passed without either.

        Raises:
            SessionClosedError: `close` was called.
            DriverMissingError: there is no such driver: trying again does not help.
            DriverBrokenError: the driver cannot be loaded.
        """
        deadline = None if timeout is None else self._clock.monotonic() + timeout
        while not self._stop.is_set():
            left = None if deadline is None else max(0.0, deadline - self._clock.monotonic())
            if self._reader is not None:
                try:
                    return self._reader.read(left)
                except SessionClosedError:
                    break
                except _HOPELESS:
                    raise
                except (DeviceError, InternalError) as error:
                    return self._lost(error)
            pause = 0.0 if self._retry_at is None else self._retry_at - self._clock.monotonic()
            if pause <= 0:
                return self._open()
            if left is not None and left < pause:
                self._clock.wait(self._stop, left)
                if not self._stop.is_set():
                    return None
            else:
                self._clock.wait(self._stop, pause)
        raise SessionClosedError(f"the session with `{self.address}` is closed")

    def signal(self, granted: bool, timeout: float = 1.0) -> bool:
        """Shows a verdict on the reader, as `Reader.signal`; False also while it is not there.

        Args:
            granted: the verdict.
            timeout: seconds in which the reader must have taken it.

        Raises:
            DeviceError: the reader failed to show it; that it is gone, `read` tells as well.
        """
        reader = self._reader
        return False if reader is None or reader.closed else reader.signal(granted, timeout)

    def stats(self) -> ReaderStats | None:
        """Counters of the present session; None while there is none."""
        reader = self._reader
        return None if reader is None else reader.stats()

    def total(self) -> ReaderStats:
        """Counters of all sessions so far."""
        with self._lock:
            return self._before if self._reader is None else self._before + self._reader.stats()

    def close(self) -> None:
        """Ends it, also under a thread that reads. Closing twice is harmless."""
        self._stop.set()
        with self._lock:
            if self._reader is not None:
                self._reader.close()

    def __iter__(self) -> Iterator[Card | ReaderChange]:
        """Cards and changes as they come, until closed."""
        while True:
            try:
                event = self.read(None)
            except SessionClosedError:
                return
            if event is not None:
                yield event

    def __enter__(self) -> ReconnectingReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> ReaderChange:
        try:
            reader = self._opener(self.address)
        except _HOPELESS:
            raise
        except DeviceError as error:
            return self._wait(error)
        with self._lock:
            if self._stop.is_set():
                reader.close()
                raise SessionClosedError(f"the session with `{self.address}` is closed")
            self._reader = reader
        self.reconnects += self.was_connected
        self.was_connected = True
        self._attempt = 0
        self.change = ReaderChange("connected", self.address, self._clock.now())
        return self.change

    def _lost(self, error: EdusenseError) -> ReaderChange:
        with self._lock:
            if self._reader is not None:
                self._before += self._reader.stats()
                self._reader.close()
            self._reader = None
        return self._wait(error)

    def _wait(self, error: EdusenseError) -> ReaderChange:
        pause = min(self._first_s * 2.0 ** min(self._attempt, 30), self._limit_s)
        self._attempt += 1
        self._retry_at = self._clock.monotonic() + pause
        self.change = ReaderChange(
            "waiting", self.address, self._clock.now(), error.message, error.code, error.hint, pause, self._attempt
        )
        return self.change


def reconnecting(address: str, **settings: Any) -> ReconnectingReader:
    """The cards of a reader and its comings and goings, for as long as they are wanted.

    Args:
        address: as in `open_reader`.
        settings: `first_s` and `limit_s` (the pause before the next try, doubling from 0.5 to 8 seconds), `clock`
            and `opener` for tests.

    Returns:
        Something to iterate over, or to `read` with a deadline; close it. Nothing is opened before the first read: a
        port that is missing, busy or forbidden is a `waiting` change with its reason, not an error.
    """
    return ReconnectingReader(address, **settings)
