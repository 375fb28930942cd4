"""The line of the alert storm: carries each request to the centre, or does to it what its seed says.

It knows as much HTTP/1.1 as it takes to tell where a request and an answer end, because faults are of whole requests:
one that came, was done, and whose answer was lost, is not the same as one that never came.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections import Counter
from collections.abc import Callable

__all__ = ["LINE_KINDS", "Relay"]

LINE_KINDS = (
    "lost-request",
    "lost-answer",
    "duplicated",
    "delayed",
    "late",
    "cut-request",
    "cut-answer",
    "error",
    "error-after",
)
"""What happens to a request: it is lost; its answer is; it comes twice, one after the other or at once; it takes a
moment; it comes after later ones, its sender having given up; half of it comes; half of its answer does; it is answered
with 500 and has not come, or has.
"""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"
_TROUBLE = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)


class Relay:
    """A port that leads to the centre's.

    Args:
        target: the centre's port, now.
        seed: of what happens to which request.
        kinds: what may happen; of `LINE_KINDS`.
        share: of requests that meet a fault.
    """

    def __init__(self, target: Callable[[], int], seed: int, kinds: tuple[str, ...], share: float) -> None:
        self.kinds, self.share = kinds, share
        self.injected: Counter[str] = Counter()
        self.requests = 0
        self.is_up = True
        self._target = target
        self._chance = random.Random(seed)
        self._open: set[asyncio.StreamWriter] = set()
        self._late: set[asyncio.Task[None]] = set()
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._server.close()
        self.cut()
        await self.come_late()
        if self._serving:
            await asyncio.wait(tuple(self._serving))

    def cut(self) -> None:
        """The line is down: every connection ends, and so do new ones, until `is_up` is set again."""
        self.is_up = False
        for writer in tuple(self._open):
            writer.transport.abort()

    async def come_late(self) -> None:
        """Waits for what is still on its way."""
        while self._late:
            await asyncio.wait(tuple(self._late))

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(*_TROUBLE):
            while self.is_up:
                head = await reader.readuntil(b"\r\n\r\n")
                request = head + await reader.readexactly(_length(head))
                answer, whole = await self._carried(request)
                if writer.is_closing():  # whoever asked is gone
                    break
                writer.write(answer)
                await writer.drain()
                if not whole:
                    break
        self._open.discard(writer)
        # What was written goes out before the end does, half an answer too.
        writer.close()

    async def _carried(self, request: bytes) -> tuple[bytes, bool]:
        """What comes back, and whether it is all of it: the connection ends otherwise."""
        self.requests += 1
        chance = self._chance
        kind = chance.choice(self.kinds) if self.kinds and chance.random() < self.share else ""
        moment, share, coin = chance.random(), chance.random(), chance.random() < 0.5
        if kind:
            self.injected[kind] += 1
        match kind:
            case "lost-request":
                return b"", False
            case "cut-request":
                with contextlib.suppress(*_TROUBLE):
                    await self._asked(request[: int(share * len(request))], whole=False)
                return b"", False
            case "late":
                task = asyncio.get_running_loop().create_task(self._asked_late(request, 0.02 + 0.5 * moment))
                self._late.add(task)
                task.add_done_callback(self._late.discard)
                return b"", False
            case "delayed":
                await asyncio.sleep(0.05 * moment)
            case "duplicated":
                if coin:
                    answers = await asyncio.gather(self._asked(request), self._asked(request))
                    return answers[share < 0.5], True
                first = await self._asked(request)
                second = await self._asked(request)
                return first if share < 0.5 else second, True
            case "error":
                return _ERROR, True
        answer = await self._asked(request)
        match kind:
            case "lost-answer":
                return b"", False
            case "cut-answer":
                return answer[: int(share * len(answer))], False
            case "error-after":
                return _ERROR, True
        return answer, True

    async def _asked(self, request: bytes, *, whole: bool = True) -> bytes:
        """The centre's answer to a request; none is waited for where only part of a request goes out."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._target(), limit=1 << 20)
        try:
            writer.write(request)
            await writer.drain()
            if not whole:
                writer.write_eof()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(), 1.0)  # what the centre says to that, if anything
                return b""
            head = await reader.readuntil(b"\r\n\r\n")
            bare = request.startswith(b"HEAD ") or head.startswith(b"HTTP/1.1 204")
            return head + (b"" if bare else await reader.readexactly(_length(head)))
        finally:
            writer.transport.abort()

    async def _asked_late(self, request: bytes, after_s: float) -> None:
        await asyncio.sleep(after_s)
        # A question for answers may wait at the centre for half a minute; nobody is there any more who would hear it.
        within_s = 1.0 if request.startswith(b"GET ") else None
        with contextlib.suppress(*_TROUBLE, TimeoutError):
            await asyncio.wait_for(self._asked(request), within_s)


def _length(head: bytes) -> int:
    found = _LENGTH.search(head)
    return 0 if found is None else int(found[1])
