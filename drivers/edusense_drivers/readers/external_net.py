"""Terminals that hand numbers over by TCP or HTTP: a socket that listens, on loopback or for networks that were named.

TCP: a line for each person, `1017` or a JSON object; answered with `GRANTED 1017`, `REFUSED 1017`, or `REPEATED 1017`
for one who was there a moment ago. HTTP: POST with JSON, a form or plain text; answered with `{"granted": true}`.
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import http.server
import ipaddress
import json
import select
import socket
import threading
from typing import TYPE_CHECKING, Any, Final

from edusense.devices.port_scan import port_owner
from edusense.errors import DeviceBusyError, DeviceError, DeviceNotFoundError, DevicePermissionError
from edusense_drivers.readers.external_numbers import FIELDS, LONGEST, LineCutter, Told, number_in_body, number_in_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edusense_drivers.readers.external_source import ExternalSource

__all__ = ["HttpLine", "TcpLine"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_CLIENTS: Final = 16
"""Connections at once: a school has a handful of terminals."""
_IDLE_S: Final = 10.0
"""Seconds in which a request must be there."""
_VERDICT_S: Final = 2.0
"""Seconds that a terminal is kept waiting for a verdict."""


class _Listening:
    """A socket that listens, and who may connect to it."""

    def __init__(self, host: str, port: int, allowed: Sequence[Network]) -> None:
        self._allowed = tuple(allowed)
        try:
            self.socket = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            raise _listen_error(host, port, error) from error
        self.port = int(self.socket.getsockname()[1])

    def may_connect(self, address: str) -> bool:
        """Whether somebody's address is among those that were named."""
        found = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in network for network in self._allowed)


class TcpLine:
    """Lines over TCP.

    Args:
        host: address to listen on.
        port: its port.
        allowed: networks whose terminals may connect.
        fields: names under which a JSON object may have the number.

    Raises:
        DeviceBusyError: another process listens there.
        DeviceNotFoundError: this machine has no such address.
        DevicePermissionError: this user may not listen there.
    """

    def __init__(self, host: str, port: int, allowed: Sequence[Network], fields: Sequence[str] = FIELDS) -> None:
        self._listening = _Listening(host, port, allowed)
        self._fields = tuple(fields)
        self._clients: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False

    def start(self, source: ExternalSource) -> None:
        """Begins to accept terminals."""
        self._source = source
        threading.Thread(target=self._accept, name="external-tcp", daemon=True).start()

    def close(self) -> None:
        """Hangs up on everybody."""
        with self._lock:
            self._closed = True
            clients = list(self._clients)
        for end in (self._listening.socket, *clients):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._listening.socket.close()

    def _accept(self) -> None:
        while True:
            try:
                client, address = self._listening.socket.accept()
            except OSError:
                return
            with self._lock:
                full = len(self._clients) >= _CLIENTS
                if not full and not self._closed and self._listening.may_connect(address[0]):
                    self._clients.add(client)
                    threading.Thread(
                        target=self._serve, args=(client, address[0]), name="external-tcp-client", daemon=True
                    ).start()
                    continue
            client.close()
            what = f"{_CLIENTS} terminals are connected already" if full else "its network was not named"
            self._source.note(f"{address[0]} was turned away: {what}")

    def _serve(self, client: socket.socket, by: str) -> None:
        cutter = LineCutter()
        self._source.note(f"{by} has connected")
        try:
            with client, contextlib.suppress(OSError):
                while data := client.recv(4096):
                    for line in cutter.push(data):
                        self._line(client, by, line)
        finally:
            with self._lock:
                self._clients.discard(client)
            self._source.note(f"{by} has hung up")

    def _line(self, client: socket.socket, by: str, line: bytes | None) -> None:
        told = (
            Told(None, "a line longer than any")
            if line is None
            else number_in_line(line, self._source.kind, self._fields)
        )
        waiter = self._source.hand_over(told, by)
        if told.number is None:
            client.sendall(b"ERROR\r\n")
            return
        # One after another: who sends faster than verdicts come waits, and fills nobody's memory.
        word = {True: "GRANTED", False: "REFUSED", None: "REPEATED"}[waiter.wait(_VERDICT_S)]
        client.sendall(f"{word} {told.number}\r\n".encode())


class HttpLine:
    """Requests over HTTP.

    Args:
        host: address to listen on.
        port: its port.
        allowed: networks whose terminals may connect.
        key: what terminals must show as `Authorization: Bearer`; None where nothing is asked for.
        fields: names under which the number may stand.

    Raises:
        DeviceBusyError: another process listens there.
        DeviceNotFoundError: this machine has no such address.
        DevicePermissionError: this user may not listen there.
    """

    def __init__(
        self, host: str, port: int, allowed: Sequence[Network], key: str | None = None, fields: Sequence[str] = FIELDS
    ) -> None:
        self._listening = _Listening(host, port, allowed)
        self._key = key
        self._fields = tuple(fields)
        self._room = threading.BoundedSemaphore(_CLIENTS)
        self._wake_in, self._wake_out = socket.socketpair()

    def start(self, source: ExternalSource) -> None:
        """Begins to answer requests."""
        self._source = source
        threading.Thread(target=self._accept, name="external-http", daemon=True).start()

    def close(self) -> None:
        """Answers nobody any more."""
        with contextlib.suppress(OSError):
            self._wake_out.send(b"!")

    def _accept(self) -> None:
        listening = self._listening.socket
        with listening, self._wake_in, self._wake_out:
            while True:
                ready, _, _ = select.select([listening, self._wake_in], [], [])
                if self._wake_in in ready:
                    return
                try:
                    client, address = listening.accept()
                except OSError:
                    continue
                if not self._room.acquire(blocking=False):
                    client.close()
                    continue
                threading.Thread(
                    target=self._serve, args=(client, address), name="external-http-client", daemon=True
                ).start()

    def _serve(self, client: socket.socket, address: Any) -> None:
        client.settimeout(_IDLE_S)
        try:
            with client, contextlib.suppress(OSError, ValueError):
                _Request(client, address, self)  # type: ignore[arg-type]  # it asks its server only what we have
        finally:
            self._room.release()

    def judge(self, by: str, headers: Any, body: bytes | None) -> tuple[int, dict[str, Any]]:
        """Status and answer for one request."""
        if not self._listening.may_connect(by):
            self._source.note(f"{by} was turned away: its network was not named")
            return 403, {"error": "this address may not hand anything over"}
        if self._key is not None:
            shown = headers.get("Authorization", "")
            if not hmac.compare_digest(shown.encode(), f"Bearer {self._key}".encode()):
                self._source.fault("wrong-key", f"{by} showed no key, or a wrong one")
                return 401, {"error": "Authorization: Bearer KEY is wanted"}
        if body is None:
            self._source.fault("too-long", f"{by} sent a body without a length, or of more than {LONGEST} bytes")
            return 413, {"error": f"a body of at most {LONGEST} bytes, its length told"}
        told = number_in_body(body, headers.get("Content-Type", ""), self._source.kind, self._fields)
        waiter = self._source.hand_over(told, by)
        if told.number is None:
            return 400, {"error": told.problem}
        granted = waiter.wait(_VERDICT_S)
        return (200 if granted is not None else 202), {"person": told.number, "granted": granted}


class _Request(http.server.BaseHTTPRequestHandler):
    """One request; its body is read once, and not kept."""

    timeout = _IDLE_S
    server_version = "edusense"
    sys_version = ""

    def do_POST(self) -> None:
        """A person's number."""
        length = self.headers.get("Content-Length", "")
        size = int(length) if length.isascii() and length.isdecimal() else -1
        body = self.rfile.read(size) if 0 <= size <= LONGEST else None
        line: Any = self.server
        self._tell(*line.judge(self.client_address[0], self.headers, body))

    do_PUT = do_POST  # noqa: N815 -- as above

    def do_GET(self) -> None:
        """Refused."""
        self._tell(405, {"error": "a person's number is handed over by POST"})

    def _tell(self, status: int, told: dict[str, Any]) -> None:
        data = json.dumps(told).encode()
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the library's name
        """Nothing: a request may carry what must not be kept."""


def _listen_error(host: str, port: int, error: OSError) -> DeviceError:
    where = f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return DeviceBusyError(
            f"`{where}` is held by {port_owner(port)}", hint="stop that program, or take another port"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return DevicePermissionError(
            f"this user may not listen on port {port}", hint="take a port above 1023, such as 4001"
        )
    if error.errno in (errno.EADDRNOTAVAIL, errno.ENODEV) or isinstance(error, socket.gaierror):
        return DeviceNotFoundError(f"this machine has no address `{host}`", hint="`ip address` lists those that it has")
    return DeviceError(f"`{where}` cannot be listened on: {error}", hint="`ss -ltn` lists who listens where")
