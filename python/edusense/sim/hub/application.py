"""The hub's web side: `docs/reference/hub.md` as a Starlette application."""

from __future__ import annotations

import asyncio
import json
import logging
import zlib
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from edusense.meals.batches import MOST_BATCH_BYTES
from edusense.sim.hub.access import guarded
from edusense.sim.hub.intake import Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from starlette.requests import Request

    from edusense.sim.hub.intake import Intake
    from edusense.sim.hub.store import Line

__all__ = ["HubApplication"]

logger = logging.getLogger(__name__)

MOST_RECORDS: Final = 8192
"""Most records that one answer gives."""
PAGE: Final = 100
"""Most epochs that one answer tells of."""
BINARY: Final = "application/octet-stream"


class HubApplication:
    """Answers boxes, auditors and whoever runs the hub.

    Args:
        intake: what takes batches.
        token: what others than this machine have to know; None on loopback.
        operator: what those have to know who enrol schools and close cases; None: the same token.
        faulty: whether a fault is on now.
        drop: breaks every connection.
    """

    def __init__(
        self,
        intake: Intake,
        *,
        token: str | None = None,
        operator: str | None = None,
        faulty: Callable[[str], bool] = lambda _: False,
        drop: Callable[[], None] = lambda: None,
    ) -> None:
        self._intake, self._faulty, self._drop = intake, faulty, drop
        self._store = intake.store
        self._count = 0
        self.largest = 0
        """Most bytes of a request that were held at once."""
        self.web = guarded(
            Starlette(
                routes=[
                    Route("/", self._hub),
                    Route("/batches", self._batch, methods=["POST"]),
                    Route("/schools/{school:int}", self._school),
                    Route("/schools/{school:int}/key", self._key, methods=["PUT"]),
                    Route("/schools/{school:int}/meals", self._meals),
                    Route("/schools/{school:int}/days", self._days),
                    Route("/schools/{school:int}/{terminal:int}/{epoch}", self._line),
                    Route("/schools/{school:int}/{terminal:int}/{epoch}/ranges", self._ranges),
                    Route("/schools/{school:int}/{terminal:int}/{epoch}/records", self._records),
                    Route("/cases", self._cases),
                    Route("/cases/{case:int}", self._decide, methods=["POST"]),
                    Route("/cases/{case:int}/evidence/{piece:int}", self._evidence),
                ],
            ),
            token=token,
            operator=operator,
        )

    # For boxes.

    async def _batch(self, request: Request) -> Response:
        body = await self._body(request, MOST_BATCH_BYTES)
        if not isinstance(body, Response):
            body = self._unpacked(request, body)
        if isinstance(body, Response):
            return body
        if (fault := self._fault()) is not None:
            return fault
        if self._faulty("twice"):
            await self._taken(body)
        answer = await self._taken(body)
        if self._faulty("commit-without-answer"):
            self._drop()
        elif self._faulty("errors-after-commit"):
            return _refusal(500, "fault", "a fault that was asked for")
        return answer

    async def _taken(self, body: bytes) -> Response:
        try:
            taken = await asyncio.to_thread(self._intake.take, body)
        except Refused as refused:
            logger.info("hub: refused a batch: %s: %s", refused.code, refused)
            return _refusal(refused.status, refused.code, str(refused), **refused.more)
        return JSONResponse(taken)

    async def _body(self, request: Request, limit: int) -> bytes | Response:
        """The body, unless there is too much of it: nothing beyond the limit is kept, however long it goes on."""
        told = request.headers.get("content-length", "0")
        if told.isascii() and told.isdigit() and int(told) > limit:
            return _refusal(413, "too-large", f"{told} bytes; a batch has at most {limit}", close=True)
        pieces, size = [], 0
        async for piece in request.stream():
            size += len(piece)
            if size > limit:
                return _refusal(413, "too-large", f"more than {limit} bytes", close=True)
            pieces.append(piece)
            self.largest = max(self.largest, size)
        return b"".join(pieces)

    def _unpacked(self, request: Request, body: bytes) -> bytes | Response:
        """The batch as it was before it was compressed, as far as it may go."""
        match request.headers.get("content-encoding", "identity").lower():
            case "identity":
                return body
            case "gzip":
                unpacker = zlib.decompressobj(31)
                try:
                    found = unpacker.decompress(body, MOST_BATCH_BYTES + 1)
                except zlib.error as error:
                    return _refusal(422, "damaged", f"its compression is damaged: {error}")
                if len(found) > MOST_BATCH_BYTES:
                    return _refusal(413, "too-large", f"more than {MOST_BATCH_BYTES} bytes once it is unpacked")
                if not unpacker.eof or unpacker.unused_data:
                    return _refusal(422, "damaged", "its compression is cut short, or more follows it")
                return found
            case other:
                refused = _refusal(415, "encoding", f"`{other[:40]}` is not understood")
                refused.headers["Accept-Encoding"] = "gzip"
                return refused

    def _fault(self) -> Response | None:
        self._count += 1
        if self._faulty("portal"):
            return HTMLResponse("<h1>Welcome to our network</h1>Please log in.")
        if self._faulty("huge-answer"):
            return StreamingResponse(_endless(1 << 30), media_type="application/json")
        if self._faulty("errors"):
            later = {"Retry-After": "1"} if self._count % 3 == 0 else None
            return _refusal(503 if later else 500, "fault", "a fault that was asked for", headers=later)
        return None

    async def _hub(self, _: Request) -> Response:
        return self._fault() or JSONResponse(self._intake.hub())

    async def _school(self, request: Request) -> Response:
        after = _number(request, "after", 0)
        if after is None:
            return _refusal(400, "malformed", "`after` is what an answer before gave as `next`")
        newest = request.query_params.get("newest") == "true"
        lines = await asyncio.to_thread(self._store.page, _school(request), after, PAGE, newest=newest)
        following = lines[-1].id if len(lines) == PAGE else None
        told = {"lines": [self._intake.told(line) for line in lines], "next": following}
        return self._fault() or JSONResponse(told)

    async def _line(self, request: Request) -> Response:
        line = self._line_of(request)
        if line is None:
            return _refusal(404, "unknown", "nothing of that epoch is here")
        return self._fault() or JSONResponse(self._intake.told(line))

    async def _ranges(self, request: Request) -> Response:
        line = self._line_of(request)
        if line is None:
            return _refusal(404, "unknown", "nothing of that epoch is here")
        first, last = _number(request, "first", 1), _number(request, "last", line.acknowledged)
        size = _number(request, "size", 1024)
        if first is None or last is None or size is None or not size > 0:
            return _refusal(400, "malformed", "`first`, `last` and `size` are numbers")
        ranges = await asyncio.to_thread(self._intake.ranges, line, max(1, first), last, max(size, last // 4096))
        return JSONResponse({"ranges": ranges})

    async def _records(self, request: Request) -> Response:
        line = self._line_of(request)
        if line is None:
            return _refusal(404, "unknown", "nothing of that epoch is here")
        first, last = _number(request, "first", 1), _number(request, "last", line.acknowledged)
        if first is None or last is None:
            return _refusal(400, "malformed", "`first` and `last` are numbers")
        last = min(last, first + MOST_RECORDS - 1)
        return Response(await asyncio.to_thread(self._store.records, line, first, last), media_type=BINARY)

    def _line_of(self, request: Request) -> Line | None:
        told = request.path_params
        try:
            epoch = int(told["epoch"], 16)
        except ValueError:
            return None
        return self._store.line(told["school"], told["terminal"], epoch) if epoch < 1 << 32 else None

    # For auditors and whoever runs the hub.

    async def _key(self, request: Request) -> Response:
        body = await self._body(request, 1024)
        if isinstance(body, Response):
            return body
        try:
            self._intake.enrol(request.path_params["school"], bytes.fromhex(body.decode("ascii").strip()))
        except ValueError:
            return _refusal(400, "malformed", "a public key is 32 bytes, in hex")
        except Refused as refused:
            return _refusal(refused.status, refused.code, str(refused))
        return Response(status_code=204)

    async def _meals(self, request: Request) -> Response:
        day = _number(request, "day", 0)
        if day is None:
            return _refusal(400, "malformed", "`day` is yyyymmdd")
        return JSONResponse({"meals": await asyncio.to_thread(self._store.meals, _school(request), day or None)})

    async def _days(self, request: Request) -> Response:
        return JSONResponse({"days": await asyncio.to_thread(self._store.day_totals, _school(request))})

    async def _cases(self, request: Request) -> Response:
        school = _number(request, "school", 0)
        return JSONResponse({"cases": await asyncio.to_thread(self._store.cases, school or None)})

    async def _evidence(self, request: Request) -> Response:
        found = self._store.evidence(request.path_params["case"], request.path_params["piece"])
        return (
            _refusal(404, "unknown", "there is no such piece") if found is None else Response(found, media_type=BINARY)
        )

    async def _decide(self, request: Request) -> Response:
        body = await self._body(request, 64 << 10)
        if isinstance(body, Response):
            return body
        try:
            told = json.loads(body)
            decision, by = str(told["decision"]), str(told["by"]).strip()
            why = str(told.get("why") or "").strip()
        except (ValueError, KeyError, TypeError, RecursionError):
            return _refusal(400, "malformed", "a decision needs `decision` and `by`")
        try:
            case = request.path_params["case"]
            return JSONResponse(await asyncio.to_thread(self._intake.decide, case, decision, by, why))
        except Refused as refused:
            return _refusal(refused.status, refused.code, str(refused))


def _school(request: Request) -> int:
    return int(request.path_params["school"])


def _number(request: Request, name: str, default: int) -> int | None:
    """A number of the query; None for what is none."""
    text = request.query_params.get(name, str(default))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


async def _endless(size: int) -> AsyncIterator[bytes]:
    piece = b" " * 65_536
    for _ in range(size // len(piece)):
        yield piece


def _refusal(
    status: int,
    code: str,
    message: str,
    *,
    headers: Mapping[str, str] | None = None,
    close: bool = False,
    **more: Any,
) -> JSONResponse:
    told = dict(headers or {}) | ({"Connection": "close"} if close else {})
    return JSONResponse({"error": code, "message": message, **more}, status_code=status, headers=told)
