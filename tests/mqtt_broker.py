"""A small broker for tests: MQTT 3.1.1 and 5.0, QoS 0 and 1, what was published, and how it answers.

Only what a publisher needs: CONNECT, PUBLISH, PINGREQ, DISCONNECT (MQTT 5.0, sections 3.1, 3.3, 3.12, 3.14). The real
one, mosquitto, is asked in tests/peers.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One message that came."""

    topic: str
    payload: bytes
    retain: bool
    client: str


class Topics:
    """What a rig of the contract tells, out of what was published below `school/`; it gives `told`."""

    def told(self) -> list[tuple[str, bytes]]:
        """Topic and payload of everything that has arrived."""
        raise NotImplementedError

    def _of(self, topic: str) -> list[tuple[str, bytes]]:
        prefix = f"school/edusense/{topic}"
        return [(name[len(prefix) :], payload) for name, payload in self.told() if name.startswith(prefix)]

    def messages(self) -> list[dict]:
        return [json.loads(payload) for topic, payload in self._of("cases/") if not topic.endswith("still")]

    def files(self) -> dict[str, bytes]:
        return {topic: payload for topic, payload in self._of("cases/") if topic.endswith("still")}

    def heartbeats(self) -> list[dict]:
        return [json.loads(payload) for _, payload in self._of("heartbeat")]


class Broker:
    """Listens until it is closed.

    Args:
        password: what a client must show; None takes all.
        newest: the newest protocol level it knows: 5 is MQTT 5.0, 4 is 3.1.1.
        puback: the reason of each acknowledgement by MQTT 5.0: 0x10 is "no matching subscribers".
    """

    def __init__(self, *, password: str | None = None, newest: int = 5, puback: int = 0) -> None:
        self.password, self.newest, self.puback = password, newest, puback
        self.published: list[Published] = []
        self.silent = False
        """Takes what comes and acknowledges nothing."""
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.port = 0
        self.listen()

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}/school"

    def listen(self) -> None:
        """Begins to listen, at the same port as before."""
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def close(self) -> None:
        """Hangs up on everybody, and listens no more."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._connections.clear()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        level, client, will = 5, "", None
        with contextlib.suppress(OSError, EOFError), connection:
            while True:
                kind, body = _packet(connection)
                if kind >> 4 == 1:
                    level, client, will, refusal = self._connect(body)
                    connection.sendall(bytes([0x20, 3, 0, refusal, 0]) if level == 5 else bytes([0x20, 2, 0, refusal]))
                    if refusal:
                        return
                elif kind >> 4 == 3:
                    number = self._publish(kind, body, level, client)
                    if number is not None and not self.silent:
                        answer = struct.pack(">H", number) + (
                            bytes([self.puback]) if level == 5 and self.puback else b""
                        )
                        connection.sendall(bytes([0x40, len(answer)]) + answer)
                elif kind >> 4 == 12:
                    connection.sendall(b"\xd0\x00")
                elif kind >> 4 == 14:
                    will = None
                    return
        if will is not None:
            self.published.append(will)

    def _connect(self, body: bytes) -> tuple[int, str, Published | None, int]:
        level, flags, place = body[6], body[7], 10
        if level > self.newest:
            return 4 if self.newest == 4 else level, "", None, 0x84 if level == 5 and self.newest == 5 else 1
        if level == 5:
            place = _skip_properties(body, place)
        client, place = _text(body, place)
        will = None
        if flags & 4:
            if level == 5:
                place = _skip_properties(body, place)
            topic, place = _text(body, place)
            (length,) = struct.unpack_from(">H", body, place)
            will = Published(topic, body[place + 2 : place + 2 + length], bool(flags & 32), client)
            place += 2 + length
        if flags & 128:
            _, place = _text(body, place)
        password = _text(body, place)[0] if flags & 64 else None
        refused = self.password is not None and password != self.password
        return level, client, will, (0x86 if level == 5 else 4) if refused else 0

    def _publish(self, kind: int, body: bytes, level: int, client: str) -> int | None:
        topic, place = _text(body, 0)
        number = None
        if kind & 6:
            (number,) = struct.unpack_from(">H", body, place)
            place += 2
        if level == 5:
            place = _skip_properties(body, place)
        if not self.silent:
            self.published.append(Published(topic, body[place:], bool(kind & 1), client))
        return number


def _packet(connection: socket.socket) -> tuple[int, bytes]:
    (kind,) = _exactly(connection, 1)
    size = shift = 0
    while True:
        (byte,) = _exactly(connection, 1)
        size |= (byte & 127) << shift
        shift += 7
        if not byte & 128:
            return kind, _exactly(connection, size)


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        if not part:
            raise EOFError
        found += part
    return found


def _text(body: bytes, place: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">H", body, place)
    return body[place + 2 : place + 2 + length].decode(), place + 2 + length


def _skip_properties(body: bytes, place: int) -> int:
    size = shift = 0
    while True:
        byte = body[place]
        place += 1
        size |= (byte & 127) << shift
        shift += 7
        if not byte & 128:
            return place + size
