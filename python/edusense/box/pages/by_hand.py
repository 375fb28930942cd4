"""What is done by hand at a kiosk: by an operator with a PIN, for three minutes after it was typed."""

from __future__ import annotations

import asyncio
import datetime
import json
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.routing import Route

from edusense.errors import EdusenseError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from edusense.box.pages.source import PagesSource
    from edusense.meals.store import Operator

__all__ = ["HandRoutes", "RefusedError", "read_body", "text_of"]

SESSION_S: Final = 180.0
"""How long a PIN holds without anything being done, in seconds."""

_WRONG: Final = 5
_WRONG_S: Final = 120.0
"""So many wrong PINs of one operator lock them out for so many seconds."""

_MOST_BYTES: Final = 16_384


class HandRoutes:
    """The requests of a kiosk that act: JSON in, JSON out.

    Args:
        source: the box, as far as pages see it.
        clock: monotonic seconds.
    """

    def __init__(self, source: PagesSource, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._source, self._clock = source, clock
        self._sessions: dict[str, tuple[Operator, float]] = {}
        self._wrong: dict[int, list[float]] = {}
        self._checking = asyncio.Semaphore(1)

    def routes(self) -> list[Route]:
        """The routes, below `/by-hand`."""
        post = {
            "operators": self._operators,
            "login": self._login,
            "classes": self._classes,
            "pupils": self._pupils,
            "recent": self._recent,
            "enter": self._enter,
            "reverse": self._reverse,
            "clock": self._clock_is,
        }
        return [Route(f"/by-hand/{name}", self._guarded(handler), methods=["POST"]) for name, handler in post.items()]

    def _guarded(self, handler: Callable[[dict[str, Any]], Any]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> JSONResponse:
            try:
                return JSONResponse(await handler(await read_body(request)))
            except RefusedError as refusal:
                return JSONResponse({"error": refusal.code, "message": refusal.message}, refusal.status)
            except EdusenseError as error:
                return JSONResponse({"error": error.code, "message": str(error)}, 409)

        return answer

    async def _operators(self, _: dict[str, Any]) -> Any:
        return await run_in_threadpool(self._source.operators)

    async def _login(self, told: dict[str, Any]) -> Any:
        number, pin = told.get("operator"), told.get("pin")
        if not isinstance(number, int) or not isinstance(pin, str):
            raise RefusedError(400, "bad-request", "`operator` and `pin` are wanted")
        now = self._clock()
        wrong = [at for at in self._wrong.get(number, []) if now - at < _WRONG_S]
        if len(wrong) >= _WRONG:
            raise RefusedError(429, "locked", f"too many wrong PINs; wait {_WRONG_S:.0f} s")
        # One at a time: it costs memory and time on purpose, and the box has two cores.
        async with self._checking:
            operator = await run_in_threadpool(self._source.login, number, pin)
        if operator is None:
            self._wrong[number] = [*wrong, self._clock()]
            raise RefusedError(403, "wrong-pin", "wrong PIN")
        self._wrong.pop(number, None)
        self._sessions = {key: found for key, found in self._sessions.items() if found[1] > now}
        session = secrets.token_urlsafe(16)
        self._sessions[session] = (operator, now + SESSION_S)
        return {"session": session, "name": operator.name}

    async def _classes(self, told: dict[str, Any]) -> Any:
        self._operator(told)
        return await run_in_threadpool(self._source.classes)

    async def _pupils(self, told: dict[str, Any]) -> Any:
        self._operator(told)
        return await run_in_threadpool(self._source.pupils, text_of(told, "class"))

    async def _recent(self, told: dict[str, Any]) -> Any:
        self._operator(told)
        return await run_in_threadpool(self._source.recent, text_of(told, "terminal"))

    async def _enter(self, told: dict[str, Any]) -> Any:
        operator, pupil = self._operator(told), told.get("pupil")
        if not isinstance(pupil, int):
            raise RefusedError(400, "bad-request", "`pupil` is wanted, a number")
        row = await run_in_threadpool(
            self._source.enter, text_of(told, "terminal"), pupil, operator, text_of(told, "reason")
        )
        return {name: row.get(name) for name in ("granted", "reason", "message", "record")}

    async def _reverse(self, told: dict[str, Any]) -> Any:
        operator = self._operator(told)
        row = await run_in_threadpool(self._source.reverse, text_of(told, "record"), operator, text_of(told, "reason"))
        return {name: row.get(name) for name in ("meal", "record")}

    async def _clock_is(self, told: dict[str, Any]) -> Any:
        operator, at = self._operator(told), told.get("at")
        seconds = None
        if at is not None:
            try:
                said = datetime.datetime.fromisoformat(str(at))
            except ValueError:
                raise UsageError(f"`{str(at)[:40]}` is no time", hint="2026-10-05T12:10") from None
            seconds = said.replace(tzinfo=self._source.zone).timestamp()
        row = await run_in_threadpool(self._source.confirm_clock, operator, seconds)
        return {"clock_s": row["clock_s"]}

    def _operator(self, told: dict[str, Any]) -> Operator:
        """Who acts; each act makes the session last longer."""
        session, now = told.get("session"), self._clock()
        found = self._sessions.get(session) if isinstance(session, str) else None
        if found is None or found[1] <= now:
            raise RefusedError(401, "no-session", "the PIN is wanted again")
        self._sessions[str(session)] = (found[0], now + SESSION_S)
        return found[0]


class RefusedError(Exception):
    """A request that a page must not have sent: HTTP status, a code, and what is wrong."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


async def read_body(request: Request) -> dict[str, Any]:
    """The JSON object that a page sent.

    Raises:
        RefusedError: another type, too long, or none.
    """
    # A form of another page cannot send this type without being asked about it first.
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise RefusedError(415, "bad-request", "JSON is wanted")
    raw = b""
    async for part in request.stream():
        raw += part
        if len(raw) > _MOST_BYTES:
            raise RefusedError(413, "bad-request", f"more than {_MOST_BYTES} bytes")
    try:
        told = json.loads(raw or b"{}")
    except ValueError:
        raise RefusedError(400, "bad-request", "this is not JSON") from None
    if not isinstance(told, dict):
        raise RefusedError(400, "bad-request", "a JSON object is wanted")
    return told


def text_of(told: dict[str, Any], name: str) -> str:
    """A text of it.

    Raises:
        RefusedError: it is not there, no text, or too long.
    """
    value = told.get(name)
    if not isinstance(value, str) or len(value) > 500:
        raise RefusedError(400, "bad-request", f"`{name}` is wanted, a text")
    return value
