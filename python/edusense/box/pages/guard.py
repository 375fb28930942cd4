"""The guard's page: open cases with picture and sound, one tap to answer; works on a phone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from edusense.box.pages.by_hand import RefusedError, read_body, text_of
from edusense.box.pages.words_guard import WORDS
from edusense.errors import EdusenseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request

    from edusense.box.pages.guard_source import GuardSource

__all__ = ["GuardRoutes"]

logger = logging.getLogger(__name__)

STATE_S: Final = 5.0
"""The page hears something at least this often; when it has heard nothing for three of these it says so."""
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class GuardRoutes:
    """Where the guard's page is, and what it asks.

    Args:
        source: the alerts.
        page: makes a page of a template.
        languages: of the school's pages, the first one first.
    """

    def __init__(self, source: GuardSource, page: Callable[..., Response], languages: Callable[[], list[str]]) -> None:
        self._source, self._page, self._languages = source, page, languages

    def routes(self) -> list[Route]:
        """The paths, below `/guard`."""
        return [
            Route("/guard", self._shown),
            Route("/guard/events", self._events),
            Route("/guard/answer", self._answer, methods=["POST"]),
            Route("/guard/cases/{case}/{part}", self._file),
        ]

    async def _shown(self, _: Request) -> Response:
        # Whatever the kiosks speak: a guard, an inspector and a guest each switch to their own.
        languages = list(dict.fromkeys([*self._languages(), "kk", "ru", "en"]))
        page = self._page(
            "guard.html",
            languages=languages,
            words=json.dumps(WORDS, ensure_ascii=False),
            silence_ms=round(3000 * STATE_S),
        )
        page.headers["content-security-policy"] = _POLICY
        return page

    async def _events(self, _: Request) -> Response:
        return StreamingResponse(self._rows(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def _rows(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        fresh = asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop ends while a case changes
                loop.call_soon_threadsafe(fresh.set)

        stop = self._source.listen(wake)
        try:
            yield b"retry: 1000\n\n"
            while True:
                fresh.clear()
                told = await loop.run_in_executor(None, self._source.shown)
                told["now_s"] = time.time()
                yield f"data: {json.dumps(told, ensure_ascii=False)}\n\n".encode()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(fresh.wait(), STATE_S)
                    # Many changes at once are shown at once.
                    await asyncio.sleep(0.1)
        finally:
            stop()

    async def _answer(self, request: Request) -> Response:
        try:
            told = await read_body(request)
            case, answer, by = (text_of(told, name) for name in ("case", "answer", "by"))
            note = text_of(told, "note") if told.get("note") is not None else None
            await run_in_threadpool(self._source.answer, case, answer, by, note)
        except RefusedError as refusal:
            return JSONResponse({"error": refusal.code, "message": refusal.message}, refusal.status)
        except EdusenseError as error:
            logger.warning("pages: an answer to case %r is not taken: %s", str(told.get("case"))[:100], error)
            return JSONResponse({"error": error.code, "message": str(error)}, 409)
        return JSONResponse({"ok": True})

    async def _file(self, request: Request) -> Response:
        found = await run_in_threadpool(self._source.file, request.path_params["case"], request.path_params["part"])
        if found is None:
            return PlainTextResponse("there is no such picture\n", 404)
        return FileResponse(found.path, media_type=found.media_type, headers={"cache-control": "private, no-cache"})
