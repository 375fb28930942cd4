"""A virtual link: bytes pass through it to a real port, at its rate, unless it is cut or loses what passes.

Whatever speaks TCP can be put behind it, TLS too: it knows no protocol. What it does wrong follows from its seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from edusense.errors import DeviceBusyError
from edusense.sim.onvif_http import SharedLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["VirtualLink", "Weather"]

PIECE = 4096


@dataclass
class Weather:
    """What a link does to what passes; may be changed while it runs. Shares are of pieces of at most 4 kB.

    Attributes:
        kbit: most it carries in each direction, kbit/s; 0 for no limit.
        delay_s: how long each piece takes.
        request_lost: share of pieces on their way out with which the connection ends, before they arrive.
        cut: share of pieces on their way out of which half arrives, and then the connection ends.
        answer_lost: share of pieces on their way back with which the connection ends: what was asked has been done.
    """

    kbit: float = 0.0
    delay_s: float = 0.0
    request_lost: float = 0.0
    cut: float = 0.0
    answer_lost: float = 0.0


class VirtualLink:
    """A port that leads to another one.

    Args:
        target: where it leads, now: asked for each connection, so that what is behind it may move.
        host: address to listen on.
        port: 0 takes a free one.
        seed: of what is lost.

    Raises:
        DeviceBusyError: the port is taken.
    """

    def __init__(
        self, target: Callable[[], tuple[str, int]], *, host: str = "127.0.0.1", port: int = 0, seed: int = 1
    ) -> None:
        self.weather = Weather()
        self.host, self.port = host, port
        self.carried = 0
        """Bytes that arrived on the other side."""
        self._target = target
        self._random = random.Random(seed)
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._held: socket.socket | None = None
        """Bound and never listening: while the link is cut, no outgoing connection is given its port."""
        self._free = {True: 0.0, False: 0.0}
        self._shared: SharedLoop | None = None

    def start(self) -> Self:
        """Begins to carry."""
        self._shared = SharedLoop.acquire()
        try:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            self._held = socket.socket(family, socket.SOCK_STREAM)
            self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._held.bind((self.host, self.port))
            self.port = self._held.getsockname()[1]
            self._shared.run(self._listen())
        except OSError as error:
            self._let_go()
            self._shared.release()
            self._shared = None
            raise DeviceBusyError(
                f"`{self.host}:{self.port}` cannot be listened on: {error.strerror}", hint="port 0 takes a free one"
            ) from error
        return self

    def stop(self) -> None:
        """Ends it, with all that is on its way; harmless when repeated."""
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.run(self._cut())
            self._let_go()
            shared.release()

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def is_up(self) -> bool:
        """Whether it carries."""
        return self._server is not None

    def cut(self) -> None:
        """Ends every connection and refuses new ones, until it is mended."""
        if self._shared is not None:
            self._shared.run(self._cut())

    def drop(self) -> None:
        """Ends every connection, and goes on taking new ones."""
        if self._shared is not None:
            self._shared.run(self._drop())

    def mend(self) -> None:
        """Carries again, at the same port."""
        if self._shared is not None and self._server is None:
            self._shared.run(self._listen())

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, self.host, self.port, limit=PIECE)

    async def _cut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        await self._drop()

    async def _drop(self) -> None:
        for task in tuple(self._open):
            task.cancel()
        if self._open:
            await asyncio.wait(tuple(self._open), timeout=2.0)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(reader, writer))
        self._open.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._open.discard(task)
            writer.transport.abort()

        task.add_done_callback(ended)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        outward: asyncio.StreamWriter | None = None
        parts: list[asyncio.Task[bool]] = []
        try:
            back, outward = await asyncio.open_connection(*self._target(), limit=PIECE)
            parts = [
                asyncio.create_task(self._pipe(reader, outward, True)),
                asyncio.create_task(self._pipe(back, writer, False)),
            ]
            ended = False
            for part in asyncio.as_completed(parts):
                ended = await part
                if ended:
                    break
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            # Cut means cut: nothing that is still buffered goes out, and both sides hear a reset. It comes before the
            # wait, which a second cut may break off.
            for side in (writer, outward):
                if side is not None:
                    side.transport.abort()
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, outward: bool) -> bool:
        """Carries one direction to its end; True when the connection is to end with it."""
        while data := await source.read(PIECE):
            await self._paced(len(data), outward)
            weather, chance = self.weather, self._random.random()
            if chance < (weather.request_lost if outward else weather.answer_lost):
                return True
            torn = outward and chance < weather.request_lost + weather.cut
            sink.write(data[: len(data) // 2] if torn else data)
            await sink.drain()
            self.carried += len(data) if outward else 0
            if torn:
                return True
        with contextlib.suppress(OSError):
            sink.write_eof()
        return False

    def _paced(self, count: int, outward: bool) -> Awaitable[None]:
        loop = asyncio.get_running_loop()
        wait = self.weather.delay_s
        if self.weather.kbit > 0:
            begin = max(loop.time(), self._free[outward])
            self._free[outward] = begin + count / (self.weather.kbit * 125.0)
            wait += self._free[outward] - loop.time()
        return asyncio.sleep(max(0.0, wait))
