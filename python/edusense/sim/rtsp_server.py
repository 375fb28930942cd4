"""The sockets of a virtual camera's RTSP: connections, sessions, and the one send per picture and client.

The data path touches no stream objects: a picture's packets are one `bytes`, made once by the `Player` and given to
each socket by one `send`. Only when a kernel's buffer is full does a queue begin, and it is bounded: whole pictures are
left out of it, never parts.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from edusense.sim.rtsp import Guard, MalformedError, Parser, Request, describe, interleaved_channels, respond

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from edusense.sim.faults import Fault
    from edusense.sim.player import Player

__all__ = ["Counts", "RtspServer"]

QUEUE_LIMIT = 2 << 20
"""Bytes that may wait for a client that does not read: about four seconds of 4 Mbit/s."""
ANSWER_LIMIT = 256 << 10
"""Bytes of answers that may wait for a client that asks and does not read: nobody honest comes near."""
SEND_BUFFER = 256 << 10
METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, SET_PARAMETER, TEARDOWN"
TRACK = "trackID=0"
SESSION_TIMEOUT_S = 60


@dataclass
class Counts:
    """What happened so far."""

    connections: int = 0
    requests: int = 0
    refused: int = 0
    malformed: int = 0
    pictures: int = 0
    dropped: int = 0
    """Pictures left out because a client was too slow."""


class RtspServer:
    """Serves players on paths, on one listening socket of one event loop.

    Args:
        players: path without slashes at its ends → what is played there.
        guard: who may watch.
        name: of the camera, in descriptions.
        fault: what to do wrong; may be changed while it runs, on the loop's thread.
        change_size: called with a path when `sps-change` is due there.
        session_timeout_s: a session without a sign of life for longer is ended.
    """

    def __init__(
        self,
        players: Mapping[str, Player],
        guard: Guard,
        *,
        name: str = "virtual camera",
        fault: Fault | None = None,
        change_size: Callable[[str], None] | None = None,
        session_timeout_s: float = SESSION_TIMEOUT_S,
    ) -> None:
        self.players, self.guard, self.name = dict(players), guard, name
        self.counts = Counts()
        self.session_timeout_s = session_timeout_s
        self.change_size = change_size
        self.port = 0
        self._fault = fault
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections: set[_Connection] = set()

    # ---- life

    def open(self, host: str, port: int) -> int:
        """Takes the port, so that its number is known; nobody is served yet.

        Returns:
            The port.

        Raises:
            OSError: the port is taken or the address is not this machine's.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, port))
            listening.listen(128)
            listening.setblocking(False)
        except OSError:
            listening.close()
            raise
        self._socket = listening
        self.port = listening.getsockname()[1]
        return self.port

    def serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins to serve, on this loop and its thread."""
        assert self._socket is not None
        self._loop = loop
        loop.add_reader(self._socket.fileno(), self._accept)

    def close(self) -> None:
        """Ends every connection; on the loop's thread. Harmless when repeated."""
        listening, self._socket = self._socket, None
        if listening is not None:
            if self._loop is not None:
                self._loop.remove_reader(listening.fileno())
            listening.close()
        for connection in tuple(self._connections):
            connection.close()

    def move(self, host: str) -> None:
        """Goes to another address with the same port; on the loop's thread.

        Raises:
            OSError: the port is taken there.
        """
        loop = self._loop
        self.close()
        self.open(host, self.port)
        if loop is not None:
            self.serve(loop)

    def replace(self, path: str, player: Player) -> None:
        """Plays something else on a path; who watched there is cut off, as by a camera whose encoder restarts."""
        for connection in tuple(self._connections):
            if connection.path == path:
                connection.close()
        self.players[path] = player

    def hang_up(self) -> None:
        """Breaks off every connection and goes on listening."""
        for connection in tuple(self._connections):
            connection.close()

    # ---- faults

    @property
    def fault(self) -> Fault | None:
        """What it does wrong."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        self._fault = fault
        for connection in tuple(self._connections):
            connection.misbehave()

    @property
    def watchers(self) -> int:
        """How many are being sent pictures."""
        return sum(connection.playing for connection in self._connections)

    # ---- connections

    def _accept(self) -> None:
        assert self._socket is not None
        assert self._loop is not None
        while True:
            try:
                accepted, _ = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError:
                return  # out of descriptors: whoever waits in the backlog is tried again with the next one
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            self.counts.connections += 1
            self._connections.add(_Connection(self, accepted, self._loop))

    def forget(self, connection: _Connection) -> None:
        """A connection has ended."""
        self._connections.discard(connection)


@dataclass
class _Session:
    """What SETUP made."""

    id: str
    path: str
    channel: int
    report_channel: int
    uri: str
    playing: bool = False


@dataclass
class _Waiting:
    """Bytes that a full kernel buffer left over."""

    data: memoryview
    picture: bool
    begun: bool = False


@dataclass(eq=False)
class _Connection:
    """One client; also the outlet that a player sends to."""

    server: RtspServer
    sock: socket.socket
    loop: asyncio.AbstractEventLoop
    channel: int = 0
    _parser: Parser = field(default_factory=Parser)
    _nonce: str = field(default_factory=Guard.nonce)
    _session: _Session | None = None
    _queue: deque[_Waiting] = field(default_factory=deque)
    _queued: int = 0
    _answers: int = 0
    _await_key: bool = True
    _mute: bool = False
    _garbage: bool = False
    _held: deque[bytes] | None = None
    _timers: list[asyncio.TimerHandle] = field(default_factory=list)
    _alive: float = 0.0
    _closed: bool = False
    _closing: bool = False

    def __post_init__(self) -> None:
        self._alive = self.loop.time()
        self.loop.add_reader(self.sock.fileno(), self._readable)
        self._watch_over()
        fault = self.server.fault
        if fault is not None and fault.kind == "slow-start" and fault.after_s > 0:
            self._held = deque()
            self._timers.append(self.loop.call_later(fault.after_s, self._release))

    @property
    def path(self) -> str | None:
        return None if self._session is None else self._session.path

    @property
    def playing(self) -> bool:
        return self._session is not None and self._session.playing

    def close(self) -> None:
        """Ends the connection and lets the player go; harmless when repeated."""
        if self._closed:
            return
        self._closed = True
        self._end_session()
        for timer in self._timers:
            timer.cancel()
        self.loop.remove_reader(self.sock.fileno())
        self.loop.remove_writer(self.sock.fileno())
        self.sock.close()
        self._queue.clear()
        self.server.forget(self)

    # ---- what the player sends

    def picture(self, data: bytes, key: bool) -> None:
        """Sends a picture, or leaves it out whole."""
        if self._mute:
            return
        if self._await_key:
            if not key:
                return
            self._await_key = False
        if self._garbage:
            data = secrets.token_bytes(len(data))
        if not self._queue:
            try:
                sent = self.sock.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.close()
                return
            self.server.counts.pictures += 1
            if sent == len(data):
                return
            self._wait(_Waiting(memoryview(data)[sent:], picture=True, begun=sent > 0))
            return
        if self._queued + len(data) > QUEUE_LIMIT:
            self._drop_pictures()
            return
        self.server.counts.pictures += 1
        self._wait(_Waiting(memoryview(data), picture=True))

    def report(self, data: bytes) -> None:
        """Sends an RTCP packet, unless the client is behind anyway."""
        if not self._mute and not self._garbage and not self._queue:
            self._write(data)

    def _drop_pictures(self) -> None:
        """The client is too slow: what it has not begun to receive is left out, up to the next key picture."""
        kept = deque(waiting for waiting in self._queue if waiting.begun or not waiting.picture)
        self.server.counts.dropped += 1 + len(self._queue) - len(kept)
        self._queue = kept
        self._queued = sum(len(waiting.data) for waiting in kept)
        self._await_key = True

    def _write(self, data: bytes) -> None:
        if self._closed:
            return
        if not self._queue:
            try:
                sent = self.sock.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.close()
                return
            if sent == len(data):
                return
            data = data[sent:]
        self._answers += len(data)
        if self._answers > ANSWER_LIMIT:
            self.close()
            return
        self._wait(_Waiting(memoryview(data), picture=False, begun=True))

    def _wait(self, waiting: _Waiting) -> None:
        if not self._queue:
            self.loop.add_writer(self.sock.fileno(), self._writable)
        self._queue.append(waiting)
        self._queued += len(waiting.data)

    def _writable(self) -> None:
        while self._queue:
            first = self._queue[0]
            try:
                sent = self.sock.send(first.data)
            except BlockingIOError:
                return
            except OSError:
                self.close()
                return
            self._queued -= sent
            if not first.picture:
                self._answers -= sent
            first.begun = True
            if sent < len(first.data):
                first.data = first.data[sent:]
                return
            self._queue.popleft()
        self.loop.remove_writer(self.sock.fileno())
        if self._closing:
            self.close()

    # ---- what the client sends

    def _readable(self) -> None:
        try:
            data = self.sock.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not data:
            self.close()
            return
        self._alive = self.loop.time()
        if self._held is not None:
            self._held.append(data)
            if sum(map(len, self._held)) > ANSWER_LIMIT:
                self.close()
            return
        self._take(data)

    def _take(self, data: bytes) -> None:
        if self._closing:
            return
        self._parser.push(data)
        try:
            for request in self._parser.pull():
                if self._closed or self._closing:
                    return
                self.server.counts.requests += 1
                self._answer(request)
        except MalformedError as error:
            self.server.counts.malformed += 1
            self._write(respond(error.status, error.cseq, [("Connection", "close")]))
            self._finish()

    def _finish(self) -> None:
        """Closes as soon as what was answered is out."""
        self._end_session()
        self._closing = True
        if not self._queue:
            self.close()

    def _release(self) -> None:
        held, self._held = self._held, None
        for data in held or ():
            if not self._closed:
                self._take(data)

    def _watch_over(self) -> None:
        left = self._alive + self.server.session_timeout_s + 1 - self.loop.time()
        if left <= 0:
            self.close()
            return
        if len(self._timers) > 8:
            self._timers = [timer for timer in self._timers if timer.when() > self.loop.time()]
        self._timers.append(self.loop.call_later(left, self._watch_over))

    # ---- requests

    def _answer(self, request: Request) -> None:
        if request.method == "OPTIONS":
            return self._reply(request, 200, [("Public", METHODS)])
        if request.method in {"PAUSE", "RECORD", "ANNOUNCE", "REDIRECT"}:
            return self._reply(request, 501, [("Allow", METHODS)])
        handler = _HANDLERS.get(request.method)
        if handler is None:
            return self._reply(request, 405, [("Allow", METHODS)])
        fault = self.server.fault
        refusing = fault is not None and fault.kind == "refuse-auth"
        if refusing or not self.server.guard.admits(request, self._nonce):
            if request.headers.get("authorization"):
                self.server.counts.refused += 1
            return self._reply(request, 401, self.server.guard.challenges(self._nonce))
        return handler(self, request)

    def _reply(
        self, request: Request, status: int, headers: list[tuple[str, str]] | None = None, body: bytes = b""
    ) -> None:
        self._write(respond(status, request.cseq, headers, body))

    def _find(self, request: Request) -> tuple[str, Player] | None:
        """Path and player that a request names, with or without the track."""
        path = request.path
        if path.endswith("/" + TRACK):
            path = path[: -len(TRACK) - 1]
        player = self.server.players.get(path)
        return None if player is None else (path, player)

    def _base(self, uri: str) -> str:
        """The presentation's URI, without credentials, query and track."""
        parts = urlsplit(uri)
        path = parts.path.rstrip("/")
        path = path[: -len(TRACK) - 1] if path.endswith("/" + TRACK) else path
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, "", ""))

    def _describe(self, request: Request) -> None:
        found = self._find(request)
        if found is None:
            return self._reply(request, 404)
        accept = request.headers.get("accept", "application/sdp")
        if "application/sdp" not in accept and "*/*" not in accept:
            return self._reply(request, 400)
        base = self._base(request.uri)
        source = found[1].source
        body = describe(
            base,
            source.parameter_sets,
            fps=source.encoding.fps,
            kbit=source.encoding.kbit,
            name=self.server.name,
            address=self.sock.getsockname()[0],
        )
        return self._reply(request, 200, [("Content-Base", base + "/"), ("Content-Type", "application/sdp")], body)

    def _setup(self, request: Request) -> None:
        found = self._find(request)
        if found is None:
            return self._reply(request, 404)
        if request.session is not None and (self._session is None or request.session != self._session.id):
            return self._reply(request, 454)
        if self._session is not None:
            # One track a presentation: a second SETUP could only change the transport of one that is set up.
            return self._reply(request, 459 if request.session else 455)
        channels = interleaved_channels(request.headers.get("transport", ""))
        if channels is None or channels[1] != channels[0] + 1:
            return self._reply(request, 461)
        session = _Session(secrets.token_hex(8), found[0], *channels, self._base(request.uri))
        self._session = session
        self.channel = channels[0]
        return self._reply(
            request,
            200,
            [
                ("Transport", f"RTP/AVP/TCP;unicast;interleaved={channels[0]}-{channels[1]}"),
                ("Session", f"{session.id};timeout={round(self.server.session_timeout_s)}"),
            ],
        )

    def _play(self, request: Request) -> None:
        session = self._check(request)
        if session is None:
            return None
        player = self.server.players.get(session.path)
        if player is None:
            return self._reply(request, 404)
        start = player.next_key()
        info = f"url={session.uri}/{TRACK}"
        if start.sequence is not None:
            info += f";seq={start.sequence}"
        if start.timestamp is not None:
            info += f";rtptime={start.timestamp}"
        self._reply(request, 200, [("Session", session.id), ("Range", "npt=0.000-"), ("RTP-Info", info)])
        if not session.playing and not self._closed:
            session.playing = True
            self._await_key = True
            player.add(self)
            self.misbehave()
        return None

    def _parameter(self, request: Request) -> None:
        if request.session is None:
            return self._reply(request, 200)
        session = self._check(request)
        return None if session is None else self._reply(request, 200, [("Session", session.id)])

    def _teardown(self, request: Request) -> None:
        session = self._check(request)
        if session is None:
            return
        self._end_session()
        self._reply(request, 200, [("Session", session.id)])

    def _check(self, request: Request) -> _Session | None:
        """The session that a request names; answers it where that is not so."""
        if self._session is None:
            self._reply(request, 454 if request.session else 455)
            return None
        if request.session != self._session.id:
            self._reply(request, 454)
            return None
        return self._session

    def _end_session(self) -> None:
        if self._session is not None:
            player = self.server.players.get(self._session.path)
            if player is not None:
                player.remove(self)
            self._session = None

    # ---- faults

    def misbehave(self) -> None:
        """Takes up what the server is told to do wrong, or ends it."""
        fault = self.server.fault
        if self._mute or self._garbage:
            self._mute = self._garbage = False
            self._await_key = True
        if fault is None or not self.playing:
            return
        if fault.after_s > 0 and fault.kind != "slow-start":
            self._timers.append(self.loop.call_later(fault.after_s, self._misbehave, fault))
        else:
            self._misbehave(fault)

    def _misbehave(self, fault: Fault) -> None:
        if self._closed or self.server.fault is not fault or not self.playing:
            return
        if fault.kind == "stall":
            self._mute = True
        elif fault.kind == "garbage":
            self._garbage = True
        elif fault.kind == "drop":
            self._break_off()
        elif fault.kind == "sps-change" and self.server.change_size is not None and self._session is not None:
            self.server.change_size(self._session.path)
        elif fault.kind == "clock-jump" and self._session is not None:
            player = self.server.players[self._session.path]
            player.clock_offset = 3600.0

    def _break_off(self) -> None:
        """Closes after the first bytes of a packet, as a cable does."""
        if not self._queue:
            with contextlib.suppress(OSError):  # it is being closed anyway
                self.sock.send(bytes((0x24, self.channel, 0x05, 0x78, 0x80, 0x60)))
        self.close()


_HANDLERS: dict[str, Callable[[_Connection, Request], None]] = {
    "DESCRIBE": _Connection._describe,  # noqa: SLF001 - the table belongs to the class
    "SETUP": _Connection._setup,  # noqa: SLF001
    "PLAY": _Connection._play,  # noqa: SLF001
    "GET_PARAMETER": _Connection._parameter,  # noqa: SLF001
    "SET_PARAMETER": _Connection._parameter,  # noqa: SLF001
    "TEARDOWN": _Connection._teardown,  # noqa: SLF001
}
