"""A small HTTP/1.1 server for virtual devices: many listening ports, one thread, no cost while nobody asks.

Only what ONVIF clients need of RFC 9110 and 9112: POST and GET, Content-Length and chunked requests, keep-alive.
Everything that comes in is bounded: 16 kB of header, 256 kB of body, 30 s for a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from edusense.sim.onvif_lies import MANNERS

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Coroutine

__all__ = ["BadRequestError", "HttpServer", "Request", "Response", "SharedLoop"]

HEADER_LIMIT: Final = 16 * 1024
BODY_LIMIT: Final = 256 * 1024
REQUEST_SECONDS: Final = 30.0
HUGE_ANSWER: Final = 100_000_000
DRIP_S: Final = 0.1
_FILLING: Final = b" " * 65_536

_T = TypeVar("_T")


class BadRequestError(Exception):
    """What came is not a request that this server takes; `status` is what to answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Header names are lower-case; `path` is without the query."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def target(self) -> str:
        """Path and query as they stood in the request line."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer. `headers` is a list, since a name may stand twice (two challenges)."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/soap+xml; charset=utf-8"
    headers: list[tuple[str, str]] = field(default_factory=list)
    manner: str = ""
    """How badly it is sent: a name out of `edusense.sim.onvif_lies.MANNERS`, or `closes-connections`."""

    def encode(self, *, close: bool) -> bytes:
        """The bytes on the wire."""
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in self.headers),
            f"Connection: {'close' if close else 'keep-alive'}",
        ]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


class SharedLoop:
    """One event loop in one thread, shared by every virtual device of the process; it ends with its last user."""

    _lock = threading.Lock()
    _current: SharedLoop | None = None
    _users = 0

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="edusense-sim-http", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.run_until_complete(_everything_ended())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    @classmethod
    def acquire(cls) -> SharedLoop:
        """The running loop, started if need be; give it back with `release`."""
        with cls._lock:
            if cls._current is None:
                cls._current = cls()
            cls._users += 1
            return cls._current

    def release(self) -> None:
        """Says that this user needs the loop no longer."""
        if self._let_go():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(timeout=5)

    @classmethod
    def _let_go(cls) -> bool:
        """One user fewer; True when that was the last."""
        with cls._lock:
            cls._users -= 1
            if cls._users == 0:
                cls._current = None
            return cls._users == 0

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Runs `work` on the loop and waits for what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=10)


class HttpServer:
    """One listening port.

    Args:
        answer: called for each request; returns the response, or None to say nothing and keep the connection open.
        host: address to listen on.
        port: port to listen on; 0 takes a free one, which `port` then tells.
        hush: called when a connection comes; True means that it is accepted, and nothing it says is read.
        away: called before each request; True means that the connection is broken off, as by a device that restarts.
        tls: serves https with this context.
    """

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[Response | None]],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        hush: Callable[[], bool] = lambda: False,
        away: Callable[[], bool] = lambda: False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.host, self.port, self._tls = host, port, tls
        self._answer, self._hush, self._away = answer, hush, away
        self._shared: SharedLoop | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> Self:
        """Begins to listen.

        Raises:
            OSError: the port is taken or the address is not this machine's.
        """
        if self._shared is None:
            shared = SharedLoop.acquire()
            try:
                self._server = shared.run(self._listen())
            except BaseException:
                shared.release()
                raise
            self._shared = shared
            self.port = self._server.sockets[0].getsockname()[1]
        return self

    def close(self) -> None:
        """Stops listening and breaks every connection off; harmless when repeated."""
        shared, self._shared = self._shared, None
        if shared is not None:
            try:
                shared.run(self._stop())
            finally:
                shared.release()

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that it is served on; None before it begins."""
        return None if self._shared is None else self._shared.loop

    async def leave(self) -> None:
        """Listens no more, for now; on the loop."""
        await self._stop()
        self._server = None

    async def arrive(self, host: str) -> None:
        """Listens at another address; on the loop. Where that is taken, nobody hears it any more."""
        self.host = host
        if self._shared is None:
            self._shared = SharedLoop.acquire()
        with contextlib.suppress(OSError):
            self._server = await self._listen()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(
            self._connected, self.host, self.port, limit=HEADER_LIMIT, backlog=64, ssl=self._tls
        )

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._connection(reader, writer))
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            # Also for a task that was cancelled before its first line, which no `finally` of its own would see.
            self._tasks.discard(task)
            writer.close()

        task.add_done_callback(ended)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # asyncio's stream protocol would report a cancelled task as a bug; for us it is how a server closes.
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError, asyncio.CancelledError):
            await self._talk(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError, OSError, asyncio.CancelledError):
            await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            if self._away():
                return
            if self._hush():
                await _until_gone(reader)
                return
            try:
                request = await asyncio.wait_for(read_request(reader), REQUEST_SECONDS)
            except BadRequestError as error:
                answer = Response(error.status, str(error).encode(), "text/plain")
                writer.write(answer.encode(close=True))
                await writer.drain()
                return
            if request is None or self._away():
                return
            response = await self._answer(request)
            if response is None:
                await _until_gone(reader)
                return
            close = request.headers.get("connection", "").lower() == "close"
            if response.manner in MANNERS:
                await _missend(reader, writer, response)
                return
            writer.write(response.encode(close=close))
            await writer.drain()
            if close or response.manner == "closes-connections":
                return


async def _everything_ended() -> None:
    """Ends what still runs on this loop, so that it closes with no connection half open."""
    idle = 0
    while idle < 4:  # a connection that was just accepted becomes a task some turns later
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
        idle = 0 if tasks else idle + 1


async def _until_gone(reader: asyncio.StreamReader) -> None:
    """Says nothing until the other side has closed."""
    while await reader.read(HEADER_LIMIT):
        pass


async def _missend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, response: Response) -> None:
    """Sends an answer as no camera should; the connection is over when it returns."""
    whole = response.encode(close=False)
    head = whole.index(b"\r\n\r\n") + 4
    if response.manner == "huge-answer":
        writer.write(replace(response, body=b"").encode(close=True).replace(b"Content-Length: 0\r\n", b""))
        for _ in range(HUGE_ANSWER // len(_FILLING)):
            writer.write(_FILLING)
            await writer.drain()
        return
    if response.manner == "drips":
        for place in range(len(whole)):
            writer.write(whole[place : place + 1])
            await writer.drain()
            await asyncio.sleep(DRIP_S)
        return
    writer.write(whole[:head] if response.manner == "hangs-after-head" else whole[: (head + len(whole)) // 2])
    await writer.drain()
    if response.manner != "half-answer":
        await _until_gone(reader)


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Reads one request; None when the peer has gone before one began.

    Raises:
        BadRequestError: it is too long, or not HTTP.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise BadRequestError(431, "header too long") from None
    except asyncio.IncompleteReadError as gone:
        if gone.partial.strip():
            raise BadRequestError(400, "half a request") from None
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadRequestError(400, "not an HTTP/1 request line")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequestError(400, "a header without a name")
        headers[name.lower()] = value.strip()
    path, _, query = parts[1].partition("?")
    return Request(parts[0], path, query, headers, await _read_body(reader, headers))


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while True:
            size = _number((await _line(reader)).split(b";")[0], 16)
            if len(body) + size > BODY_LIMIT:
                raise BadRequestError(413, "body too long")
            if size == 0:
                while await _line(reader):  # trailers, then an empty line
                    pass
                return body
            body += await reader.readexactly(size)
            await reader.readexactly(2)
    length = _number(headers.get("content-length", "0").encode("latin-1"), 10)
    if length > BODY_LIMIT:
        raise BadRequestError(413, "body too long")
    return await reader.readexactly(length)


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return (await reader.readuntil(b"\r\n"))[:-2]
    except asyncio.LimitOverrunError:
        raise BadRequestError(400, "a chunk's size is too long") from None


def _number(digits: bytes, base: int) -> int:
    digits = digits.strip()
    try:
        if not digits or not digits.isalnum():  # int() would also take signs and underscores
            raise ValueError
        return int(digits, base)
    except ValueError:
        raise BadRequestError(400, "a length that is no number") from None
