"""The box's local socket: many clients, each at its own pace, none of which can hold up the box.

One thread runs an asyncio loop for all clients; what may wait (a snapshot, a clip, a tap) runs in a small pool.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from edusense.box.audit import Peer
from edusense.box.place import short_path
from edusense.box.pool import DaemonPool
from edusense.box.protocol import (
    BEAT_S,
    LINE_LIMIT,
    PROTOCOL,
    REQUESTS,
    Request,
    encode,
    error_line,
    parse_line,
    parse_request,
)
from edusense.errors import (
    BoxBusyError,
    BoxProtocolError,
    BoxTimeoutError,
    EdusenseError,
    PermissionDeniedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from edusense.box.audit import AuditLog
    from edusense.box.log import EventLog

__all__ = ["Service", "SocketServer"]

logger = logging.getLogger(__name__)

TURNING_AWAY_S: Final = 1.0
"""How long a client that is one too many may take to ask what it gets no answer to, in seconds."""

SERVER_HINT = "docs/reference/socket-protocol.md lists the requests"


class Service(Protocol):
    """What the socket serves. Every method may wait; errors of edusense go to the client as they are."""

    log: EventLog
    audit: AuditLog

    def hello(self) -> Mapping[str, Any]:
        """Who answers: version, site, process."""

    def status(self) -> Iterable[Mapping[str, Any]]:
        """One row each for the box, its cameras, its terminals and the ledger."""

    def clip(self, event: str) -> bytes:
        """The clip of an event, as MP4."""

    def thumbnail(self, event: str) -> bytes:
        """The picture of an event with its regions, as JPEG."""

    def snapshot(self, camera: str) -> bytes:
        """The newest picture of a camera, as JPEG."""

    def heatmap(self, camera: str) -> bytes:
        """Where things moved in a camera's picture, as PNG."""

    def retry(self, camera: str) -> None:
        """Tries a camera again at once."""

    def tap(self, terminal: str, card: str, by: str) -> Mapping[str, Any]:
        """A card at a terminal, on behalf of the process `by`."""

    def cases(self, open_only: bool, most: int) -> Iterable[Mapping[str, Any]]:
        """The newest cases, the newest first."""

    def case(self, name: str) -> Iterable[Mapping[str, Any]]:
        """One case, its log, and where it went."""

    def case_file(self, name: str, part: str) -> tuple[bytes, str]:
        """The still or clip of a case, and its media type."""

    def answer(self, case: str, answer: str, by: str, note: str | None, via: str) -> Mapping[str, Any]:
        """Somebody answers a case, through the process `via`."""

    def raise_finding(self, finding: Mapping[str, Any], still: bytes | None, source: str) -> Mapping[str, Any]:
        """A finding, handed in by the process `source` where it does not name another."""

    def test_alert(self, zone: str, by: str) -> Mapping[str, Any]:
        """A marked test, on behalf of the process `by`."""

    def silence(self, place: str, for_s: int, by: str, reason: str | None) -> Mapping[str, Any]:
        """A zone or camera is silenced for so many seconds."""

    def silences(self, over: bool) -> Iterable[Mapping[str, Any]]:
        """The silences that are on; `over`: also those that are not any more."""

    def unsilence(self, silence: int, by: str) -> Mapping[str, Any]:
        """A silence is ended."""

    def enter(self, terminal: str, pupil: int, operator: str, reason: str, **more: Any) -> Mapping[str, Any]:
        """A meal by hand."""

    def reverse(self, record: str, operator: str, reason: str, words: str = "") -> Mapping[str, Any]:
        """Takes a meal back."""

    def confirm_clock(self, operator: str, at: float | None = None) -> Mapping[str, Any]:
        """Takes somebody's word for what time it is; `at` in Unix seconds."""


class SocketServer:
    """Serves a box's socket until it is closed.

    Args:
        path: where the socket is made; what is there already is replaced (the caller holds the box's lock).
        service: what answers.
        clients: more clients at once than this are turned away with `box-busy`.
        line_s: seconds a client has to finish a line that it began.
        idle_s: seconds after which a client that asks nothing is let go.
        slow_s: seconds that a client may leave its answer unread.
        answer_s: seconds that a request may take.

    Raises:
        PermissionDeniedError: the socket cannot be made there.
    """

    def __init__(
        self,
        path: Path,
        service: Service,
        *,
        clients: int = 64,
        line_s: float = 10.0,
        idle_s: float = 600.0,
        slow_s: float = 60.0,
        answer_s: float = 30.0,
        beat_s: float = BEAT_S,
    ) -> None:
        listening = _listen(path)
        self.path = path
        self._service = service
        self._most = clients
        self._line_s, self._idle_s, self._slow_s = line_s, idle_s, slow_s
        self._answer_s, self._beat_s = answer_s, beat_s
        self._pool = DaemonPool(8, "socket-work")
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self.beat = time.monotonic()
        """When the loop last turned (monotonic seconds): what the watchdog looks at."""
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(listening,), name="socket", daemon=True)
        self._thread.start()

    @property
    def clients(self) -> int:
        """How many clients are connected."""
        return len(self._tasks)

    def close(self) -> None:
        """Lets all clients go and removes the socket; calling it twice is harmless."""
        if not self._thread.is_alive():
            return
        with contextlib.suppress(OSError):
            self.path.unlink()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(5)
        self._pool.shutdown(wait=False)

    def _run(self, listening: socket.socket) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve(listening))
        finally:
            self._loop.close()

    async def _serve(self, listening: socket.socket) -> None:
        server = await asyncio.start_unix_server(self._accept, sock=listening, limit=LINE_LIMIT)
        async with server:
            while not self._closing.is_set():
                self.beat = time.monotonic()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), 1.0)
        # Followers end by themselves when they have the last events; who does not read, or asks something slow, is cut.
        for patience_s in (1.0, 1.0):
            if self._tasks:
                await asyncio.wait(tuple(self._tasks), timeout=patience_s)
            for task in tuple(self._tasks):
                task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        client = _Client(reader, writer, self._slow_s)
        try:
            if len(self._tasks) > self._most:
                busy = BoxBusyError(f"the box serves {self._most} clients already", hint="close one of them")
                await client.send(error_line(busy))
                # Closed before the client has asked, or over bytes that nobody read, a socket takes its answer along.
                writer.write_eof()
                await asyncio.wait_for(reader.read(LINE_LIMIT), TURNING_AWAY_S)
            else:
                await self._talk(client)
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError) as gone:
            logger.debug("socket: %s: gone: %s", client.name, gone)
        except asyncio.CancelledError:
            logger.debug("socket: %s: let go, the box stops", client.name)
        except Exception:
            logger.exception("socket: %s: a bug", client.name)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _talk(self, client: _Client) -> None:
        while not self._closing.is_set():
            try:
                line = await client.line(self._idle_s, self._line_s)
            except (asyncio.LimitOverrunError, ValueError):
                # Where the next line begins is not known any more, so this is the last answer.
                too_long = BoxProtocolError(f"a line is longer than {LINE_LIMIT} bytes", hint=SERVER_HINT)
                await client.send(error_line(too_long))
                return
            if line is None:
                return
            if line.isspace():
                continue
            try:
                request = parse_request(line)
                await self._answer(client, request)
            except EdusenseError as error:
                # Before the next line: a camera that went away is a ConnectionError, too.
                await client.send(error_line(error))
                if isinstance(error, BoxProtocolError) and b'"bytes"' in line:
                    # Whether bytes follow is not known, and so not where the next request begins.
                    return
            except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
                raise
            except Exception as bug:
                logger.exception("socket: %s: a bug while answering %r", client.name, line[:200])
                await client.send(error_line(bug))

    async def _answer(self, client: _Client, request: Request) -> None:
        service, told = self._service, request.arguments
        match request.name:
            case "hello":
                await client.send(
                    {"ok": True, "protocol": PROTOCOL, "requests": list(REQUESTS), **await self._work(service.hello)}
                )
            case "status":
                rows = list(await self._work(service.status))
                for row in rows:
                    await client.send(row)
                await client.send({"ok": True, "rows": len(rows)})
            case "events":
                await self._events(client, told)
            case "clip":
                clip = await self._work(service.clip, told["event"])
                await self._export(client, "clip", told["event"], told["reason"], (clip, "video/mp4"))
            case "thumbnail":
                picture = await self._work(service.thumbnail, told["event"])
                await self._export(client, "thumbnail", told["event"], told["reason"], (picture, "image/jpeg"))
            case "snapshot":
                picture = await self._work(service.snapshot, told["camera"])
                await self._export(client, "snapshot", told["camera"], told["reason"], (picture, "image/jpeg"))
            case "heatmap":
                picture = await self._work(service.heatmap, told["camera"])
                await self._export(client, "heatmap", told["camera"], told["reason"], (picture, "image/png"))
            case "record-export":
                await self._work(service.audit.write, told["what"], told["of"], told["reason"], client.peer)
                await client.send({"ok": True})
            case "retry":
                await self._work(service.retry, told["camera"])
                await client.send({"ok": True})
            case "cases":
                await self._rows(client, service.cases, told.get("open", False), min(told.get("most", 200), 10_000))
            case "case":
                await self._rows(client, service.case, told["case"])
            case "case-file":
                # Its reason is the alert itself.
                found = await self._work(service.case_file, told["case"], told["part"])
                await self._export(client, told["part"], told["case"], f"case {told['case']}", found)
            case "answer":
                note = told.get("note")
                await self._row(client, service.answer, told["case"], told["answer"], told["by"], note, client.name)
            case "raise-finding":
                still = await client.body(told.get("bytes", 0), self._slow_s)
                await self._row(client, service.raise_finding, told["finding"], still, client.name)
            case "test-alert":
                await self._row(client, service.test_alert, told["zone"], client.name)
            case "silence":
                await self._row(client, service.silence, told["place"], told["for"], told["by"], told.get("reason"))
            case "silences":
                await self._rows(client, service.silences, told.get("over", False))
            case "unsilence":
                await self._row(client, service.unsilence, told["silence"], told["by"])
            case "enter" | "reverse" | "confirm-clock" as name:
                # Somebody is named for it; which process it came from stands in the log.
                logger.info("socket: %s: %s", client.name, name)
                act = getattr(service, name.replace("-", "_"))
                await self._row(client, functools.partial(act, **told))
            case _:
                await self._row(client, service.tap, told["terminal"], told["card"], client.name)

    async def _export(self, client: _Client, what: str, of: str, reason: str, found: tuple[bytes, str]) -> None:
        """Children are on it: who takes it away, and why, is on the disk before it goes."""
        await self._work(self._service.audit.write, what, of, reason, client.peer)
        await client.send_payload(*found)

    async def _row(self, client: _Client, function: Callable[..., Any], *arguments: Any) -> None:
        await client.send(await self._work(function, *arguments))
        await client.send({"ok": True, "rows": 1})

    async def _rows(self, client: _Client, function: Callable[..., Any], *arguments: Any) -> None:
        rows = await self._work(lambda: list(function(*arguments)))
        for row in rows:
            await client.send(row)
        await client.send({"ok": True, "rows": len(rows)})

    async def _work(self, function: Callable[..., Any], *arguments: Any) -> Any:
        future = self._loop.run_in_executor(self._pool, function, *arguments)
        try:
            return await asyncio.wait_for(future, self._answer_s)
        except TimeoutError as error:
            if isinstance(error, EdusenseError):
                raise
            raise BoxTimeoutError(
                f"no answer within {self._answer_s:.0f} s", hint="`edusense status` shows what is slow"
            ) from None

    async def _events(self, client: _Client, told: Mapping[str, Any]) -> None:
        log = self._service.log
        follow: bool = told.get("follow", False)
        since: int = told.get("since", log.cursor if follow else 0)
        kinds = frozenset(told.get("kinds", ()))
        missing = log.gap(since)
        if missing is not None:
            await client.send({"kind": "gap", "cursor": missing, "since": since})
        reader = log.reader(since)
        fresh = asyncio.Event()

        def wake() -> None:
            # The loop is closed when the box stops while a part appends its last event.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(fresh.set)

        stop = log.listen(wake) if follow else None
        sent = 0
        try:
            while True:
                fresh.clear()
                lines = await self._loop.run_in_executor(self._pool, reader.read)
                chosen = [line for line in lines if parse_line(line).get("kind") in kinds] if kinds else lines
                if chosen:
                    sent += len(chosen)
                    await client.send_bytes(b"".join(chosen))
                if lines:
                    continue
                if not follow:
                    await client.send({"ok": True, "rows": sent, "cursor": max(reader.cursor, since)})
                    return
                if self._closing.is_set():
                    return
                if not await client.gone_or(fresh, self._closing, self._beat_s):
                    await client.send({"kind": "beat", "cursor": max(reader.cursor, since)})
        finally:
            if stop is not None:
                stop()
            reader.close()


class _Client:
    """One connection: lines in, lines out, with deadlines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, slow_s: float) -> None:
        self._reader, self._writer, self._slow_s = reader, writer, slow_s
        self.peer = Peer.of(writer.get_extra_info("socket"))
        self.name = "somebody" if self.peer is None else str(self.peer)

    async def line(self, idle_s: float, line_s: float) -> bytes | None:
        """The next line; None at the end of the connection or when the client asks nothing for too long."""
        try:
            first = await asyncio.wait_for(self._reader.read(1), idle_s)
        except TimeoutError:
            return None
        if first in (b"", b"\n"):
            return first or None
        try:
            return first + await asyncio.wait_for(self._reader.readuntil(b"\n"), line_s)
        except asyncio.IncompleteReadError:
            return None
        except TimeoutError:
            late = BoxProtocolError(f"a line was not finished within {line_s:.0f} s", hint="end it with a line feed")
            await self.send(error_line(late))
            return None

    async def body(self, size: int, within_s: float) -> bytes | None:
        """The bytes that follow a request; None where none do."""
        return None if size == 0 else await asyncio.wait_for(self._reader.readexactly(size), within_s)

    async def gone_or(self, fresh: asyncio.Event, closing: asyncio.Event, within_s: float) -> bool:
        """Whether one of the two was set in time.

        Raises:
            ConnectionError: the client has closed, or sent something while it follows.
        """
        listening = asyncio.ensure_future(self._reader.read(1))
        waiting = {listening, asyncio.ensure_future(fresh.wait()), asyncio.ensure_future(closing.wait())}
        try:
            done, _ = await asyncio.wait(waiting, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        if listening in done:
            raise ConnectionResetError("the follower closed or spoke")
        return bool(done)

    async def send(self, row: Mapping[str, Any]) -> None:
        await self.send_bytes(encode(row))

    async def send_payload(self, payload: bytes, media_type: str) -> None:
        await self.send_bytes(encode({"ok": True, "bytes": len(payload), "type": media_type}))
        # In pieces, so that the deadline is one of progress and not of the whole clip.
        view = memoryview(payload)
        for start in range(0, len(view), 1 << 18):
            await self.send_bytes(bytes(view[start : start + (1 << 18)]))

    async def send_bytes(self, data: bytes) -> None:
        self._writer.write(data)
        await asyncio.wait_for(self._writer.drain(), self._slow_s)


def _listen(path: Path) -> socket.socket:
    """Binds under a name of its own, sets the mode, then moves it into place: nobody meets it with another mode."""
    making = path.with_name(f".{path.name}.{os.getpid()}")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with contextlib.suppress(FileNotFoundError):
            making.unlink()
        with short_path(making) as name:
            listening.bind(name)
        making.chmod(0o660)
        making.rename(path)
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise PermissionDeniedError(
            f"the socket `{path}` cannot be made: {os.strerror(error.errno or errno.EIO)}",
            hint=f"`{path.parent}` must be a folder of a Linux file system that this user may write",
        ) from error
    listening.setblocking(False)
    return listening
