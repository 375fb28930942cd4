"""The line between a box whose plug is pulled and its witness: green lights as text, by UDP or a serial port."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import termios
import threading
import tty
from dataclasses import dataclass
from typing import Final, Protocol, Self

from edusense.errors import BenchError, UsageError

__all__ = ["Green", "Witness", "open_serial", "open_witness", "place_of"]

_WORD: Final = "edusense-green"
_BAUDS: Final = {number: getattr(termios, f"B{number}") for number in (9600, 19200, 38400, 57600, 115200, 230400)}


@dataclass(frozen=True, slots=True)
class Green:
    """A green light that was shown.

    Args:
        run: drawn at each start of the box.
        position: of its record in the ledger.
        digest: first 16 hex digits of the record's SHA-256.
    """

    run: str
    position: int
    digest: str

    def encode(self) -> bytes:
        """As it goes to the witness: a line that ends with the sum of what stands before it.

        >>> Green.parse(Green("0a1b2c3d", 17, "00112233aabbccdd").encode()).position
        17
        """
        text = f"{_WORD} 1 {self.run} {self.position} {self.digest}"
        return f"{text} {_sum(text)}\n".encode()

    @classmethod
    def parse(cls, line: bytes) -> Self | None:
        """The light that a line tells of; None where it is torn or something else."""
        text, _, told = line.decode("ascii", errors="replace").strip().rpartition(" ")
        words = text.split(" ")
        if len(words) != 5 or words[:2] != [_WORD, "1"] or told != _sum(text) or not words[3].isdigit():
            return None
        return cls(words[2], int(words[3]), words[4])


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:4]


class Witness(Protocol):
    """The way to the second machine, seen from the box."""

    def tell(self, green: Green) -> None:
        """Sends a light off; never waits."""

    def close(self) -> None:
        """Lets go of it."""


class _Udp:
    def __init__(self, host: str, port: int) -> None:
        self._to = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self._socket = socket.socket(self._to[0], socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def tell(self, green: Green) -> None:
        # The network is down, or its queue full: a light that nobody heard of proves nothing, and harms nothing.
        with contextlib.suppress(OSError):
            self._socket.sendto(green.encode(), self._to[4])

    def close(self) -> None:
        self._socket.close()


class _Serial:
    """A serial line is slower than meals: the newest light goes as soon as there is room; it vouches for all before."""

    def __init__(self, path: str, baud: int) -> None:
        self._file = open_serial(path, baud, os.O_WRONLY)
        self._newest: Green | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def tell(self, green: Green) -> None:
        with self._changed:
            if self._newest is None or green.position > self._newest.position:
                self._newest = green
                self._changed.notify()

    def _send(self) -> None:
        sent = None
        while True:
            with self._changed:
                while not self._closed and self._newest is sent:
                    self._changed.wait()
                if self._closed:
                    return
                sent = self._newest
            assert sent is not None
            os.write(self._file, sent.encode())
            termios.tcdrain(self._file)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(5)
        os.close(self._file)


def open_serial(path: str, baud: int, how: int) -> int:
    """Opens a serial port, raw and at this speed; `how` as for `os.open`. Returns its descriptor."""
    descriptor = os.open(path, how | os.O_NOCTTY)
    if os.isatty(descriptor):
        tty.setraw(descriptor)
        settings = termios.tcgetattr(descriptor)
        settings[4] = settings[5] = _BAUDS[baud]
        termios.tcsetattr(descriptor, termios.TCSANOW, settings)
    return descriptor


def place_of(address: str) -> tuple[str, int] | tuple[str, None, int]:
    """Host and port of `HOST:PORT` or `udp:HOST:PORT`; path, None and baud of `/dev/ttyUSB0?baud=115200`."""
    if address.startswith("/"):
        path, _, options = address.partition("?")
        name, _, told = options.partition("=")
        if options and (name != "baud" or not told.isdigit() or int(told) not in _BAUDS):
            known = ", ".join(map(str, _BAUDS))
            raise UsageError(f"`{address}`: expected `?baud=`, one of {known}")
        return path, None, int(told) if options else 115_200
    host, _, port = address.removeprefix("udp:").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        hint = "HOST:PORT, as 10.20.0.9:9137, or a serial port /dev/ttyUSB0"
        raise UsageError(f"`{address}` is no witness", hint=hint)
    return host.strip("[]"), int(port)


def open_witness(address: str) -> Witness:
    """The way to the witness.

    Args:
        address: `HOST:PORT` for UDP, or a serial port, with `?baud=` where it is not 115200.

    Raises:
        UsageError: it is neither.
        BenchError: the host has no address, or the port cannot be opened.
    """
    found = place_of(address)
    try:
        return _Udp(found[0], found[1]) if len(found) == 2 else _Serial(found[0], found[2])
    except OSError as error:
        raise BenchError(f"the witness `{address}` cannot be reached: {error.strerror or error}") from error
