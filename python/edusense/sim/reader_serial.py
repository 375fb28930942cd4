"""What all virtual readers on a serial line have in common: a pseudo-terminal that any program can open, cards that lie
in the field, plugs that are pulled.

Bytes that nobody listens to are lost, as on a real line.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import tempfile
import termios
import threading
import time
import tty
from abc import ABC, abstractmethod
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Self

from edusense.devices.card import Card
from edusense.devices.card_kinds import TEXTS
from edusense.devices.line_quality import misheard
from edusense.errors import UsageError
from edusense.sim.reader_faults import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NOISE", "VirtualSerial", "VirtualSpeaker", "beside"]

_BAUDS: Final = {
    getattr(termios, f"B{baud}"): baud for baud in (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400)
}
_SILENCE_S: Final = 1.0
_RESTART_S: Final = 0.3
_OF_FRAMES: Final = frozenset({"bad-checksum", "noise", "split", "half-frame", "wrong-parity", "biometric"})
"""Faults that are about the next frame; others are about the next card, or happen at once."""
NOISE: Final = bytes.fromhex("00FF8055AA03300D0A7F")
"""What a loose cable says; holds an end byte and a digit, no start byte."""


class VirtualSerial(ABC):
    """A reader on a pseudo-terminal, alive until closed. Every method may be called from any thread.

    Args:
        path: where a link to the pseudo-terminal is kept, the same after replugging; default: in a temporary folder.

    Raises:
        UsageError: at `path` is something else already.
    """

    driver: ClassVar[str]
    """The driver that opens it."""
    kind: ClassVar[str] = ""
    """Its name in `reader_faults.KINDS`; the driver's where it has none of its own."""
    baud: ClassVar[int] = 9600
    """The speed that it leaves the factory with."""
    noise: bytes = NOISE

    def __init__(self, path: str | Path | None = None) -> None:
        self.faults: tuple[str, ...] = KINDS[self.kind or self.driver]
        """Names of the faults it has."""
        self._folder = tempfile.TemporaryDirectory(prefix="edusense-reader-") if path is None else None
        self.path = Path(self._folder.name) / self.driver if self._folder else Path(path or "")
        """The port to open."""
        if self.path.exists() and not self.path.is_symlink():
            raise UsageError(f"`{self.path}` exists and is no link", hint="give another path for the virtual port")
        self._changed = threading.Condition()
        self._mishaps: deque[str] = deque()
        self._of_cards: deque[str] = deque()
        self._line_baud = self.baud
        self._mute_until = 0.0
        self._replug_at: float | None = None
        self._master = -1
        self._closed = False
        self._plug_in()
        self._thread = threading.Thread(target=self._run, name=f"virtual-{self.driver}", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """What `open_reader` takes."""
        return f"{self.driver}:{self.path}"

    @abstractmethod
    def place(self, card: Card) -> None:
        """Lays a card down; it stays until `remove`."""

    @abstractmethod
    def remove(self, card: Card | None = None) -> None:
        """Takes a card away, or all."""

    @abstractmethod
    def tap(self, card: Card, hold_s: float = 0.2) -> None:
        """Lays a card down for `hold_s` seconds; returns at once."""

    @abstractmethod
    def _run(self) -> None:
        """The device's thread: until `_closed`."""

    @abstractmethod
    def _restart(self) -> None:
        """Loses what a restart loses; `_changed` is held."""

    def fault(self, name: str) -> None:
        """Misbehaves: at once, with the next frame or with the next card, as `reader_faults` says.

        Args:
            name: one of `faults`.

        Raises:
            UsageError: it has no such fault.
        """
        if name not in self.faults:
            raise UsageError(f"no fault `{name}`", hint=f"faults are {', '.join(self.faults)}")
        if name == "unplug":
            self.unplug()
        with self._changed:
            now = time.monotonic()
            match name:
                case "unplug":
                    self._replug_at = now + 1.0
                case "silence":
                    self._mute_until = now + _SILENCE_S
                case "reset":
                    self._mute_until = now + _RESTART_S
                    self._restart()
                case "wrong-baud":
                    self._line_baud = 2 * self.baud
                case _ if name in _OF_FRAMES:
                    self._mishaps.append(name)
                case _:
                    self._of_cards.append(name)
            self._changed.notify_all()

    def unplug(self) -> None:
        """Pulls the plug: whoever has the port open loses it."""
        with self._changed:
            if self._master >= 0:
                os.close(self._master)
                self._master = -1
            self._replug_at = None
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()

    def replug(self) -> None:
        """Plugs it in again, at the same path."""
        with self._changed:
            if self._master < 0 and not self._closed:
                self._plug_in()
            self._replug_at = None
            self._changed.notify_all()

    def send(self, data: bytes) -> bool:
        """Sends bytes as they are.

        Returns:
            Whether somebody had the port open and there was room for them.
        """
        with self._changed:
            return self._send(data)

    def wait_open(self, timeout: float = 5.0) -> bool:
        """Waits until a program has the port open.

        Returns:
            Whether one has.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with self._changed:
                if self._listened_to():
                    return True
            time.sleep(0.002)
        return False

    def close(self) -> None:
        """Unplugs it for good. Closing twice is harmless."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self.unplug()
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, data: bytes) -> bool:
        if not self._listened_to() or time.monotonic() < self._mute_until:
            return False
        if self._line_baud != self.baud:
            data = misheard(data, self._line_baud, self._host_baud())
        try:
            return os.write(self._master, data) == len(data)
        except BlockingIOError:
            return False  # the listener sleeps and its buffer is full: a serial line does not wait either

    def _transmit(self, frame: bytes, spoil: Callable[[bytes], bytes]) -> bool:
        """Sends a frame, with what is to go wrong with it."""
        match self._mishaps.popleft() if self._mishaps else None:
            case "half-frame":
                frame = frame[: len(frame) // 2]
            case "bad-checksum" | "wrong-parity":
                frame = spoil(frame)
            case "noise":
                frame = self.noise + frame
            case "split":
                self._send(frame[: len(frame) // 2])
                time.sleep(0.02)
                return self._send(frame[len(frame) // 2 :])
        return self._send(frame)

    def _host_baud(self) -> int:
        """The speed that whoever has the port open has set it to."""
        return _BAUDS.get(termios.tcgetattr(self._master)[5], self.baud)

    def _listened_to(self) -> bool:
        if self._master < 0:
            return False
        state = select.poll()
        state.register(self._master, select.POLLOUT)
        return not any(event & select.POLLHUP for _, event in state.poll(0))

    def _plug_in(self) -> None:
        master, slave = pty.openpty()
        tty.setraw(slave)
        name = os.ttyname(slave)
        # Kept by us, the terminal would count as open, and we as the one who holds it.
        os.close(slave)
        os.set_blocking(master, False)
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
        beside.symlink_to(name)
        beside.replace(self.path)
        self._master = master


class VirtualSpeaker(VirtualSerial):
    """A reader that only ever speaks: a frame for a card, again and again or once.

    Args:
        path: as in `VirtualSerial`.
        period_s: seconds between two frames of a card that lies there.
        once: whether it speaks once for each card laid down.
    """

    def __init__(self, path: str | Path | None = None, *, period_s: float = 0.05, once: bool = False) -> None:
        self.frames_sent = 0
        """Frames that somebody had the port open for."""
        self._period_s = period_s
        self._once = once
        self._field: dict[Card, float | None] = {}
        self._spoken: set[Card] = set()
        self._stuck: set[Card] = set()
        self._farewells: deque[bytes] = deque()
        super().__init__(path)

    @abstractmethod
    def frame(self, card: Card) -> bytes:
        """What it says for a card.

        Raises:
            CardError: it does not see this kind of card.
        """

    @abstractmethod
    def spoil(self, frame: bytes) -> bytes:
        """The frame with a wrong check sum."""

    def farewell(self, card: Card) -> bytes:
        """What it says when a card is taken away; most readers say nothing."""
        return b""

    def place(self, card: Card) -> None:
        """Lays a card down; it stays until `remove`. Several may lie there: their frames alternate."""
        self._lay(card, None)

    def remove(self, card: Card | None = None) -> None:
        """Takes a card away, or all."""
        with self._changed:
            for gone in [card] if card is not None else list(self._field):
                self._lift(gone)
            self._changed.notify_all()

    def tap(self, card: Card, hold_s: float = 0.2) -> None:
        """Lays a card down for `hold_s` seconds, at least one frame; returns at once."""
        self._lay(card, time.monotonic() + hold_s)

    def _lay(self, card: Card, until: float | None) -> None:
        self.frame(card)
        with self._changed:
            self._put(card, until)
            while self._of_cards:
                match self._of_cards.popleft():
                    case "stuck":
                        self._stuck.add(card)
                    case "two-cards":
                        self._put(beside(card), until)
            self._changed.notify_all()

    def _put(self, card: Card, until: float | None) -> None:
        self._field[card] = until
        self._spoken.discard(card)

    def _restart(self) -> None:
        self._spoken.clear()
        self._let_go_of_stuck()

    def _let_go_of_stuck(self) -> None:
        for card in self._stuck:
            self._field.pop(card, None)
        self._stuck.clear()

    def unplug(self) -> None:
        """Pulls the plug: whoever has the port open loses it, and a card that was stuck is free."""
        with self._changed:
            self._let_go_of_stuck()
        super().unplug()

    def _lift(self, card: Card) -> None:
        if card in self._stuck:
            return
        if self._field.pop(card, self) is not self and card in self._spoken:
            self._farewells.append(self.farewell(card))
        self._spoken.discard(card)

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                now = time.monotonic()
                if self._replug_at is not None and now >= self._replug_at:
                    self.replug()
                card = self._next(now)
                while self._farewells:
                    self._send(self._farewells.popleft())
                if card is not None:
                    self._speak(card)
                self._changed.wait(self._period_s if self._field or self._replug_at is not None else None)
            # A condition wakes early when a card comes or goes; the module keeps its period all the same.
            left = now + self._period_s - time.monotonic()
            if card is not None and left > 0:
                time.sleep(left)

    def _next(self, now: float) -> Card | None:
        """The card whose turn it is; those whose time is over leave, but never before they were heard once."""
        for card, until in list(self._field.items()):
            if until is not None and now >= until and card in self._spoken:
                self._lift(card)
        for card in list(self._field):
            if self._once and card in self._spoken:
                continue
            self._field[card] = self._field.pop(card)
            return card
        return None

    def _speak(self, card: Card) -> None:
        self._spoken.add(card)
        self.frames_sent += self._transmit(self.frame(card), self.spoil)


def beside(card: Card) -> Card:
    """Another card of the same kind, as it may lie beside the first.

    >>> str(beside(Card.parse("em4100:010063E9AE")))
    'em4100:010063E951'
    """
    if card.technology in TEXTS:
        return Card(card.technology, card.uid + b"9")
    return Card(card.technology, card.uid[:-1] + bytes([card.uid[-1] ^ 0xFF]), product=card.product)
