"""A virtual terminal that knows people by itself, a palm reader for instance, and hands their numbers over.

By TCP or HTTP it calls the box, as such terminals do; by Wiegand it is a `VirtualWiegand`.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, get_args

from edusense.errors import CardError, UsageError
from edusense.sim.reader_faults import KINDS

if TYPE_CHECKING:
    from edusense.devices.card import Card

__all__ = ["WAYS", "VirtualTerminal", "Way"]

Way: TypeAlias = Literal["tcp", "http"]
WAYS: Final[tuple[str, ...]] = get_args(Way)
_PATIENCE_S: Final = 5.0
_TEMPLATE: Final = bytes(range(256)) * 8
"""What a terminal may send along with the number: 2 kB that must not be kept."""


class VirtualTerminal:
    """A terminal, alive until closed. Every method may be called from any thread. Its cards are `person:NUMBER`.

    Args:
        way: how it hands over.
        port: TCP port of the box, on loopback; 0 takes one that is free now.
        key: what it shows with HTTP; None for nothing.
    """

    faults: Final = KINDS["external"]

    def __init__(self, way: Way = "tcp", *, port: int = 0, key: str | None = None) -> None:
        if not port:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = int(free.getsockname()[1])
        self.way: Way = way
        self.port = port
        self.verdicts: list[bool] = []
        """What it was told of the people whose numbers it handed over, in order: True is granted."""
        self._key = key
        self._mishaps: deque[str] = deque()
        self._mute_until = 0.0
        self._lock = threading.Lock()
        self._line: socket.socket | None = None
        self._closed = False

    @property
    def address(self) -> str:
        """What `open_reader` takes."""
        return f"external:{self.way}:127.0.0.1:{self.port}"

    def place(self, card: Card) -> None:
        """Recognises somebody: the number is handed over, and again while it cannot be, as terminals do."""
        if card.technology not in ("person", "pupil"):
            raise CardError(f"a terminal that knows people hands over no `{card}`", hint="give `person:NUMBER`")
        threading.Thread(target=self._hand_over, args=(card,), name="virtual-terminal", daemon=True).start()

    def remove(self, card: Card | None = None) -> None:
        """Somebody goes: nothing is said of that."""

    def tap(self, card: Card, hold_s: float = 0.2) -> None:
        """Recognises somebody."""
        self.place(card)

    def shown(self) -> list[bool]:
        """What it was answered, in order: True is granted."""
        return list(self.verdicts)

    def fault(self, name: str) -> None:
        """Misbehaves: with the next number, or (`unplug`, `silence`) for one second from now.

        Raises:
            UsageError: it has no such fault.
        """
        if name not in self.faults:
            raise UsageError(f"no fault `{name}`", hint=f"faults are {', '.join(self.faults)}")
        if name in ("unplug", "silence", "reset"):
            self._mute_until = time.monotonic() + 1.0
            if name != "silence":
                self.hang_up()
        else:
            self._mishaps.append(name)

    def hang_up(self) -> None:
        """Its network cable is pulled."""
        with self._lock:
            if self._line is not None:
                self._line.close()
                self._line = None

    def close(self) -> None:
        """Ends it. Closing twice is harmless."""
        self._closed = True
        self.hang_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hand_over(self, card: Card) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        time.sleep(max(0.0, self._mute_until - time.monotonic()))
        with self._lock:
            mishaps = [self._mishaps.popleft() for _ in range(len(self._mishaps))]
            while not self._closed and time.monotonic() < deadline:
                try:
                    self._say(card, mishaps)
                except (OSError, http.client.HTTPException):
                    if self._line is not None:
                        self._line.close()
                    self._line = None
                    time.sleep(0.05)
                else:
                    return

    def _say(self, card: Card, mishaps: list[str]) -> None:
        numbers = [card.id]
        if "two-cards" in mishaps:
            numbers.append(f"{card.id}9")
        for number in numbers:
            told: dict[str, Any] = {"person": number}
            if "biometric" in mishaps:
                told |= {"template": base64.b64encode(_TEMPLATE).decode(), "score": 97}
            for _ in range(3 if "stuck" in mishaps else 1):
                self._send(told, mishaps)

    def _send(self, told: dict[str, Any], mishaps: list[str]) -> None:
        if self.way == "tcp":
            self._send_line(told, mishaps)
        else:
            self._send_request(told, mishaps)

    def _send_line(self, told: dict[str, Any], mishaps: list[str]) -> None:
        if self._line is None:
            self._line = socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE_S)
        text = json.dumps(told) if len(told) > 1 else str(told["person"])
        if "noise" in mishaps:
            self._line.sendall(b"\x00\xff\xfe\r\n")
        data = f"{text}\r\n".encode()
        if "split" in mishaps:
            self._line.sendall(data[:2])
            time.sleep(0.02)
            data = data[2:]
        self._line.sendall(data)
        with contextlib.suppress(TimeoutError):
            while answer := self._line.recv(256):
                for word in answer.decode("ascii", "replace").splitlines():
                    if word.startswith(("GRANTED", "REFUSED")):
                        self.verdicts.append(word.startswith("GRANTED"))
                    if not word.startswith("ERROR"):
                        return
            raise ConnectionError("hung up")

    def _send_request(self, told: dict[str, Any], mishaps: list[str]) -> None:
        headers = {"Content-Type": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {'wrong' if 'wrong-key' in mishaps else self._key}"
        if "noise" in mishaps:
            self._ask(b"\x00\xff{", headers)
        answer = self._ask(json.dumps(told).encode(), headers)
        if answer.get("granted") is not None:
            self.verdicts.append(bool(answer["granted"]))

    def _ask(self, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_S)
        with contextlib.closing(connection):
            connection.request("POST", "/tap", body, headers)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
