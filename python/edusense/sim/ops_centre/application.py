"""The centre's web side: the contract for boxes below `/alerts`, and the page for people."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from edusense.alerts.case import ANSWERS
from edusense.alerts.signing import SignatureError, verify
from edusense.sim.ops_centre.store import OffsetError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from starlette.requests import Request

    from edusense.sim.ops_centre.store import CentreStore

__all__ = ["CentreApplication"]

logger = logging.getLogger(__name__)

MESSAGE_LIMIT: Final = 256 << 10
PIECE_LIMIT: Final = 2 << 20
WAIT_LIMIT_S: Final = 60.0
MOST_SHOWN: Final = 100
"""Cases on the page."""
MOST_NUMBER: Final = 1 << 53
"""Beyond it, a number is not the same in every program."""
SILENT_S: Final = 180.0
"""A box that has not been heard for three of its minutes is an alert of the centre's own."""


class CentreApplication:
    """Answers boxes and people.

    Args:
        store: what the centre holds.
        secrets: what boxes sign with, by who signs, who speaks for one school: the first that it names. None takes
            unsigned requests, too, and from everybody.
        faulty: whether a fault is on now.
        silent_s: a school whose box has not been heard for so many seconds is an alert of the centre's own.
        clock: Unix seconds.
    """

    def __init__(
        self,
        store: CentreStore,
        *,
        secrets: Mapping[str, bytes] | None,
        faulty: Callable[[str], bool] = lambda _: False,
        silent_s: float = SILENT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._secrets, self._faulty, self._clock = store, secrets, faulty, clock
        self._silent_s = silent_s
        self._waiting: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._count = 0
        self._ended = False
        self.refused = 0
        """Requests of boxes whose signature was wrong."""
        self.skew_s: dict[str, float] = {}
        """By how much the clock of whoever signs differs from ours."""
        self.web = Starlette(
            routes=[
                Route("/alerts", self._message, methods=["POST"]),
                Route("/alerts/heartbeat", self._heartbeat, methods=["POST"]),
                Route("/alerts/answers", self._answers, methods=["GET"]),
                Route("/alerts/cases/{case}/{name}", self._offset, methods=["HEAD"]),
                Route("/alerts/cases/{case}/{name}", self._piece, methods=["PATCH"]),
                Route("/", self._page),
                Route("/cases", self._cases),
                Route("/live", self._live),
                Route("/files/{case}/{name}", self._file),
                Route("/cases/{case}/answer", self._answer, methods=["POST"]),
            ],
        )

    def changed(self) -> None:
        """Something new is to be shown or given; may be called from any thread."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._wake)

    def end(self) -> None:
        """Whoever waits is answered now: the centre closes. May be called from any thread."""
        self._ended = True
        self.changed()

    def _wake(self) -> None:
        for event in self._waiting:
            event.set()

    # For boxes.

    async def _message(self, request: Request) -> Response:
        told = await self._told(request)
        if isinstance(told, Response):
            return told
        wrong = _wrong_message(told)
        if wrong is not None:
            return _refusal(422, wrong)
        of_a_case = told["type"] in ("alert", "update")
        foreign = self._foreign(request, told["school"]["id"], told["case"] if of_a_case else None)
        if foreign is not None:
            return foreign
        fresh = self._store.take(told)
        self._wake()
        return JSONResponse({"key": told["key"], "duplicate": not fresh})

    async def _heartbeat(self, request: Request) -> Response:
        told = await self._told(request)
        if isinstance(told, Response):
            return told
        if not _is_text(told.get("key")):
            return _refusal(422, "a heartbeat needs its `key`")
        if (wrong := _wrong_school(told)) is not None:
            return _refusal(422, wrong)
        if (foreign := self._foreign(request, told["school"]["id"])) is not None:
            return foreign
        self._store.beat(told)
        self._wake()
        return JSONResponse({"key": told["key"]})

    async def _told(self, request: Request) -> dict[str, Any] | Response:
        body = await self._body(request, MESSAGE_LIMIT)
        if isinstance(body, Response):
            return body
        try:
            told = json.loads(body)
            # Half of a surrogate pair is JSON, and nothing that could be written down.
            json.dumps(told, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            told = None
        return told if isinstance(told, dict) else _refusal(400, "the body is no JSON object")

    async def _body(self, request: Request, limit: int) -> bytes | Response:
        """The body, if the request is one that this centre takes."""
        self._loop = asyncio.get_running_loop()
        if (fault := self._fault()) is not None:
            return fault
        pieces, size = [], 0
        try:
            async for piece in request.stream():
                size += len(piece)
                if size > limit:
                    return _refusal(413, f"more than {limit} bytes")
                pieces.append(piece)
        except ClientDisconnect:
            return _refusal(400, "the request was cut")
        body = b"".join(pieces)
        if self._secrets is not None:
            target = request.scope["raw_path"].decode("latin-1")
            query = request.scope["query_string"].decode("latin-1")
            url = f"{target}?{query}" if query else target
            try:
                who, created = verify(request.method, url, request.headers, body, secrets=self._secrets)
            except SignatureError as error:
                self.refused += 1
                logger.warning("ops-centre: refused %s %s: %s", request.method, target, error)
                return _refusal(401, str(error))
            self.skew_s[who] = created - self._clock()
            request.state.who = who
        return body

    def _foreign(
        self, request: Request, school: str | None = None, case: str | None = None, *, claim: bool = False
    ) -> Response | None:
        """A refusal, where whoever signed speaks for another school, or the case is another school's."""
        who = getattr(request.state, "who", None)
        if who is None:  # nobody has to sign here
            return None
        if school is not None and (own := self._store.speaks_for(who, school)) != school:
            return self._not_yours(request, f"`{who}` signs for the school `{own}`, and not for `{school[:80]}`")
        if case is not None and not self._store.owns(who, case, claim=claim):
            return self._not_yours(request, f"`{case[:120]}` is a case of a school that `{who}` does not sign for")
        return None

    def _not_yours(self, request: Request, message: str) -> Response:
        logger.warning("ops-centre: refused %s %s: %s", request.method, request.url.path, message)
        return _refusal(403, message)

    def _fault(self) -> Response | None:
        self._count += 1
        if self._faulty("refuse"):
            return _refusal(401, "nobody is known here")
        if self._faulty("redirect"):
            return Response(status_code=307, headers={"Location": "http://127.0.0.1:9/elsewhere"})
        if self._faulty("portal"):
            return HTMLResponse("<h1>Welcome to our network</h1>Please log in.")
        if self._faulty("huge-answer"):
            return StreamingResponse(_endless(1 << 30), media_type="application/json")
        if self._faulty("errors"):
            later = {"Retry-After": "1"} if self._count % 3 == 0 else None
            return _refusal(503 if later else 500, "a fault that was asked for", headers=later)
        return None

    async def _offset(self, request: Request) -> Response:
        body = await self._body(request, 0)
        if isinstance(body, Response):
            return body
        if (foreign := self._foreign(request, case=request.path_params["case"])) is not None:
            return foreign
        found = self._store.offset(request.path_params["case"], request.path_params["name"])
        if found is None:
            return Response(status_code=404)
        headers = {"Upload-Offset": str(found[0]), "Upload-Length": str(found[1]), "Cache-Control": "no-store"}
        return Response(status_code=200, headers=headers)

    async def _piece(self, request: Request) -> Response:
        body = await self._body(request, PIECE_LIMIT)
        if isinstance(body, Response):
            return body
        offset, length = _count(request, "upload-offset"), _count(request, "upload-length")
        sha256 = request.headers.get("upload-sha256", "")
        if offset is None or length is None or len(sha256) != 64:
            return _refusal(400, "a piece needs Upload-Offset, Upload-Length and Upload-Sha256")
        if (foreign := self._foreign(request, case=request.path_params["case"], claim=True)) is not None:
            return foreign
        try:
            have, whole = await asyncio.to_thread(
                self._store.append,
                request.path_params["case"],
                request.path_params["name"],
                body,
                offset=offset,
                length=length,
                media_type=request.headers.get("upload-media-type", "application/octet-stream"),
                sha256=sha256,
            )
        except OffsetError as error:
            return _refusal(409, str(error), headers={"Upload-Offset": str(error.offset)})
        except ValueError as error:
            return _refusal(422, str(error))
        if whole:
            self._wake()
        return Response(status_code=204, headers={"Upload-Offset": str(have)})

    async def _answers(self, request: Request) -> Response:
        body = await self._body(request, 0)
        if isinstance(body, Response):
            return body
        after = request.query_params.get("after", "")
        school = request.query_params.get("school", "")
        if not _is_text(school):
            return _refusal(400, "`school` says whose answers are asked for")
        try:
            since, wait_s = int(after or 0), min(WAIT_LIMIT_S, float(request.query_params.get("wait", "0")))
            if not 0 <= since < MOST_NUMBER:
                raise ValueError
        except ValueError:
            return _refusal(400, "`after` is a cursor that this centre gave, `wait` a number of seconds")
        if (foreign := self._foreign(request, school)) is not None:
            return foreign
        until = time.monotonic() + wait_s
        with self._listening() as fresh:
            while not (found := self._store.answers(school, since)) and (left := until - time.monotonic()) > 0:
                if self._ended:
                    break
                fresh.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(fresh.wait(), left)
        cursor = found[-1]["number"] if found else since
        if self._faulty("answers-twice"):
            found = [*found, *({**row, "id": f"{row['id']}-again"} for row in found)]
        answers = [{key: value for key, value in row.items() if key != "number"} for row in found]
        return JSONResponse({"answers": answers, "cursor": str(cursor)})

    @contextlib.contextmanager
    def _listening(self) -> Any:
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            yield event
        finally:
            self._waiting.discard(event)

    # For people.

    async def _page(self, _: Request) -> Response:
        page = resources.files("edusense.sim.ops_centre").joinpath("page.html").read_text("utf-8")
        return HTMLResponse(page, headers=_HEADERS)

    async def _cases(self, request: Request) -> Response:
        most = request.query_params.get("most", "")
        if most and not (most.isascii() and most.isdigit() and len(most) < 6):
            return _refusal(400, "`most` is a number of cases")
        return JSONResponse(self._shown(int(most or MOST_SHOWN)), headers=_HEADERS)

    def _shown(self, most: int = MOST_SHOWN) -> dict[str, Any]:
        now_s = self._clock()
        schools = []
        for told in self._store.schools():
            cameras = [camera for camera in told.get("cameras", []) if isinstance(camera, dict)]
            schools.append(
                {
                    "school": told["school"],
                    "heard_s": told["received_s"],
                    "silent": now_s - told["received_s"] > self._silent_s,
                    "cameras": len(cameras),
                    "cameras_up": sum(camera.get("state") == "playing" for camera in cameras),
                    "cameras_down": [camera for camera in cameras if camera.get("state") != "playing"][:20],
                    "box": told.get("box"),
                    "silences": told.get("silences", []),
                    "waiting": told.get("waiting"),
                }
            )
        return {"now_s": now_s, "cases": self._store.cases(most), "schools": schools}

    async def _live(self, request: Request) -> Response:
        self._loop = asyncio.get_running_loop()

        async def rows() -> AsyncIterator[bytes]:
            with self._listening() as fresh:
                while not self._ended and not await request.is_disconnected():
                    fresh.clear()
                    yield f"data: {json.dumps(self._shown(), ensure_ascii=False)}\n\n".encode()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(fresh.wait(), min(15.0, self._silent_s / 3))
                    # Many changes at once are shown at once.
                    await asyncio.sleep(0.1)

        return StreamingResponse(rows(), media_type="text/event-stream", headers=_HEADERS)

    async def _file(self, request: Request) -> Response:
        found = self._store.file(request.path_params["case"], request.path_params["name"])
        if found is None:
            return _refusal(404, "there is no such file, or not all of it")
        return FileResponse(found[0], media_type=found[1], headers=_HEADERS)

    async def _answer(self, request: Request) -> Response:
        self._loop = asyncio.get_running_loop()
        try:
            told = json.loads(await request.body())
            answer, by, note = str(told["answer"]), str(told["by"]).strip(), told.get("note")
        except (ValueError, KeyError, TypeError, AttributeError):
            return _refusal(400, "an answer needs `answer` and `by`")
        if answer not in ANSWERS or not 0 < len(by) <= 100:
            return _refusal(422, f"`answer` is one of {', '.join(ANSWERS)}; `by` is a name")
        number = self._store.answer(
            request.path_params["case"], answer, by=by, note=None if note is None else str(note)[:500]
        )
        if number is None:
            return _refusal(404, "there is no such case")
        self._wake()
        return JSONResponse({"number": number})


_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src 'self' data:; media-src 'self'; connect-src 'self'; frame-ancestors 'none'; form-action 'none'",
}


def _wrong_message(told: Mapping[str, Any]) -> str | None:
    """What is wrong with a message; None where nothing is."""
    for name, kind in (("key", str), ("case", str), ("type", str), ("sequence", int), ("school", dict)):
        if not isinstance(told.get(name), kind):
            return f"a message needs `{name}`"
    if not _is_text(told["case"]) or not 0 < told["sequence"] < MOST_NUMBER:
        return "`case` is a name, `sequence` a number from 1 on"
    if told["key"] != f"{told['case']}/{told['sequence']}":
        return "`key` is `case` and `sequence`"
    if (wrong := _wrong_school(told)) is not None:
        return wrong
    if told["type"] == "alert" and not all(
        name in told for name in ("finding", "severity", "place", "start_s", "state")
    ):
        return "an alert needs `finding`, `severity`, `place`, `start_s` and `state`"
    return None


def _wrong_school(told: Mapping[str, Any]) -> str | None:
    school = told.get("school")
    return None if isinstance(school, dict) and _is_text(school.get("id")) else "`school` needs its `id`"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()


def _count(request: Request, name: str) -> int | None:
    text = request.headers.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"message": message}, status_code=status, headers=headers)


async def _endless(size: int) -> AsyncIterator[bytes]:
    piece = b" " * (1 << 16)
    for _ in range(size // len(piece)):
        yield piece
