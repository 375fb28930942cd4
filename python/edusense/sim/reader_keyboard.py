"""A virtual reader that poses as a keyboard: Linux' input events over a Unix socket that the driver `keyboard` opens.

As with a keyboard that one program has taken for itself, one client hears it; another is told who that is.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias, get_args

from edusense.errors import CardError, UsageError
from edusense.sim.reader_faults import KINDS
from edusense.sim.reader_serial import beside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edusense.devices.card import Card

__all__ = ["LAYOUTS", "Layout", "VirtualKeyboard", "events_of", "keys", "typed"]

Layout: TypeAlias = Literal["digits", "facility", "8h", "8h10d", "hex", "hex-reversed"]
LAYOUTS: Final[tuple[str, ...]] = get_args(Layout)
_EVENT: Final = struct.Struct("@llHHi")
_SILENCE_S: Final = 1.0
_STUCK_S: Final = 0.2
"""Seconds from one number to the next of a reader that is stuck."""
_VOLUME: Final = 115
_ENTER, _SPACE, _LEFT_SHIFT = 28, 57, 42
_ROWS: Final = (
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
)
"""Rows of a keyboard in the United States: the kernel's number of the first key, without Shift, with Shift."""
_CODES: Final[dict[str, tuple[int, bool]]] = {"\n": (_ENTER, False), " ": (_SPACE, False)} | {
    letter: (first + place, shifted)
    for first, plain, upper in _ROWS
    for shifted, row in ((False, plain), (True, upper))
    for place, letter in enumerate(row)
}


def typed(card: Card, layout: Layout = "digits") -> str:
    """What the reader types for a card, or a scanner for a code, with Enter.

    Raises:
        CardError: it is another kind of card, or only part of a number.

    >>> from edusense.devices.card import Card
    >>> typed(Card.parse("em4100:010063E9AE")), typed(Card.parse("em4100:010063E9AE"), "8h10d")
    ('0006547886\\n', '0063E9AE0006547886\\n')
    """
    if card.technology == "token":
        return card.id + "\n"
    if layout not in ("hex", "hex-reversed"):
        if card.technology != "em4100" or len(card.uid) < 4:
            raise CardError(f"this reader types no number for `{card}`", hint="give an EM4100 card with all digits")
        number = int.from_bytes(card.uid[-4:], "big")
        forms = {
            "digits": f"{number:010d}",
            "facility": f"{number >> 16 & 0xFF:03d}{number & 0xFFFF:05d}",
            "8h": f"{number:08X}",
            "8h10d": f"{number:08X}{number:010d}",
        }
        return forms[layout] + "\n"
    if card.partial or card.technology not in ("em4100", "iso14443a"):
        raise CardError(f"this reader types no number for `{card}`", hint="give a card with all its hex digits")
    return (card.uid if layout == "hex" else card.uid[::-1]).hex().upper() + "\n"


def keys(text: str, *, at: float = 0.0, gap_s: float = 0.008) -> bytes:
    """The events of typing a text.

    Args:
        text: printable ASCII and line ends.
        at: Unix time of the first key.
        gap_s: seconds from key to key.
    """
    told = b""
    for place, letter in enumerate(text):
        code, shifted = _CODES[letter]
        moment = at + place * gap_s
        if shifted:
            told += _event(_LEFT_SHIFT, 1, moment)
        told += press(code, at=moment, held_s=gap_s / 2)
        if shifted:
            told += _event(_LEFT_SHIFT, 0, moment + gap_s / 2)
    return told


def press(code: int, *, at: float, held_s: float = 0.004) -> bytes:
    """The events of one key, down and up.

    Args:
        code: the kernel's number of the key.
        at: Unix time.
        held_s: seconds from down to up.
    """
    return _event(code, 1, at) + _event(code, 0, at + held_s)


def _event(code: int, value: int, at: float) -> bytes:
    seconds, microseconds = divmod(round(at * 1_000_000), 1_000_000)
    return _EVENT.pack(seconds, microseconds, 1, code, value) + _EVENT.pack(seconds, microseconds, 0, 0, 0)


def events_of(card: Card, layout: Layout, mishaps: Sequence[str] = (), *, at: float = 0.0) -> bytes:
    """The events with which the reader types a card's number.

    Args:
        card: the card.
        layout: how it writes numbers.
        mishaps: faults that are in the keys themselves: half-number, letters, noise, slow, two-cards.
        at: Unix time of the first key.

    Raises:
        CardError: as `typed`.
    """
    text = typed(card, layout)
    if "half-number" in mishaps:
        text = text[: len(text) // 2]
    if "letters" in mishaps:
        text = "X" + text
    told = keys(text, at=at, gap_s=0.3 if "slow" in mishaps else 0.008)
    if "noise" in mishaps:
        told = press(_VOLUME, at=max(0.0, at - 0.2)) + told
    if "two-cards" in mishaps:
        told += keys(typed(beside(card), layout), at=at + 0.2)
    return told


class VirtualKeyboard:
    """A reader on a socket, alive until closed. Every method may be called from any thread.

    It types a card's number once when the card is laid down, as such readers do.

    Args:
        socket_path: where the socket is; the same after replugging. Default: in a temporary folder.
        layout: how it writes numbers.
        driver: `keyboard`, or `scanner` for one that types codes.

    Raises:
        UsageError: at `socket_path` is something else already.
    """

    faults: Final = KINDS["keyboard"]

    def __init__(
        self, socket_path: str | Path | None = None, *, layout: Layout = "digits", driver: str = "keyboard"
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="edusense-reader-") if socket_path is None else None
        self.path = Path(self._folder.name) / "keyboard" if self._folder else Path(socket_path or "")
        """The socket."""
        if self.path.exists() and not self.path.is_socket():
            raise UsageError(f"`{self.path}` exists and is no socket", hint="give another path for the virtual reader")
        self._layout: Layout = layout
        self._driver = driver
        self._lock = threading.RLock()
        self._mishaps: list[str] = []
        self._server: socket.socket | None = None
        self._client: socket.socket | None = None
        self._replug_at: float | None = None
        self._mute_until = 0.0
        self._stuck_at: float | None = None
        self._stuck_text = ""
        self._closed = False
        self.replug()
        self._thread = threading.Thread(target=self._run, name="virtual-keyboard", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """What `open_reader` takes."""
        if self._driver == "scanner":
            return f"scanner:sim:{self.path}"
        return f"keyboard:sim:{self.path}?layout={self._layout}"

    def place(self, card: Card) -> None:
        """Lays a card down: its number is typed."""
        with self._lock:
            mishaps, self._mishaps = self._mishaps, []
            told = events_of(card, self._layout, mishaps, at=time.time())
            if "split" in mishaps:
                cut = len(told) // 2 + 5  # in the middle of an event
                self.send(told[:cut])
                time.sleep(0.02)
                told = told[cut:]
            if "stuck" in mishaps:
                self._stuck_at, self._stuck_text = time.monotonic() + _STUCK_S, typed(card, self._layout)
            self.send(told)

    def remove(self, card: Card | None = None) -> None:
        """Takes a card away: a keyboard says nothing about that."""

    def tap(self, card: Card, hold_s: float = 0.2) -> None:
        """Lays a card down and takes it away."""
        self.place(card)

    def send(self, data: bytes) -> bool:
        """Sends events as they are.

        Returns:
            Whether somebody heard them.
        """
        with self._lock:
            if self._client is None or time.monotonic() < self._mute_until:
                return False
            with contextlib.suppress(OSError):
                self._client.sendall(data)
                return True
            return False

    def fault(self, name: str) -> None:
        """Misbehaves once: with the next card, or (`unplug`) for one second from now.

        Raises:
            UsageError: it has no such fault.
        """
        if name not in self.faults:
            raise UsageError(f"no fault `{name}`", hint=f"faults are {', '.join(self.faults)}")
        with self._lock:
            match name:
                case "unplug" | "reset":
                    self.unplug()
                    self._replug_at = time.monotonic() + (1.0 if name == "unplug" else 0.2)
                case "silence":
                    self._mute_until = time.monotonic() + _SILENCE_S
                case _:
                    self._mishaps.append(name)

    def unplug(self) -> None:
        """Pulls the plug: whoever has it open loses it."""
        with self._lock:
            self._replug_at = self._stuck_at = None
            for end in (self._server, self._client):
                if end is not None:
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)
                    end.close()
            self._server = self._client = None
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()

    def replug(self) -> None:
        """Plugs it in again, at the same path."""
        with self._lock:
            self._replug_at = None
            if self._server is not None or self._closed:
                return
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                server.bind(str(self.path))
            except OSError as error:
                server.close()
                raise UsageError(
                    f"no socket at `{self.path}`: {error}", hint="give a shorter path in a folder"
                ) from error
            self.path.chmod(0o600)
            server.listen(4)
            server.setblocking(False)
            self._server = server

    def close(self) -> None:
        """Unplugs it for good. Closing twice is harmless."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._thread.join()
        self.unplug()
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._closed:
                    return
                if self._replug_at is not None and time.monotonic() >= self._replug_at:
                    self.replug()
                if self._stuck_at is not None and time.monotonic() >= self._stuck_at:
                    self._stuck_at += _STUCK_S
                    self.send(keys(self._stuck_text, at=time.time()))
                self._forget_who_left()
                self._let_in()
            time.sleep(0.01)

    def _forget_who_left(self) -> None:
        if self._client is None:
            return
        state = select.poll()
        state.register(self._client, select.POLLIN)
        # A client never says anything: what can be read is its end.
        if state.poll(0):
            self._client.close()
            self._client = None

    def _let_in(self) -> None:
        if self._server is None:
            return
        try:
            client, _ = self._server.accept()
        except OSError:
            return
        self._forget_who_left()
        with contextlib.suppress(OSError):
            if self._client is not None:
                credentials = self._client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
                client.sendall(json.dumps({"held_by": struct.unpack("3i", credentials)[0]}).encode())
                client.close()
            else:
                client.sendall(json.dumps({"held_by": None, "name": "virtual keyboard", "pid": os.getpid()}).encode())
                self._client = client
