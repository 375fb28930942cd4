"""The pages as an ASGI application; it opens no socket, so tests talk to it without one."""

from __future__ import annotations

import datetime
import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from edusense.box.pages.access import Access, SecurityHeaders
from edusense.box.pages.by_hand import HandRoutes
from edusense.box.pages.canteen import CanteenRoutes
from edusense.box.pages.feed import STATE_S, Feed, Photos
from edusense.box.pages.guard import GuardRoutes
from edusense.box.pages.words import WORDS
from edusense.errors import BoxUnknownError, EdusenseError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from edusense.box.pages.source import PagesSource

__all__ = ["make_app"]

_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_OPEN: Final = frozenset({"/token", "/static/token.js", "/static/page.css", "/static/icon.svg"})


def make_app(source: PagesSource, *, token: str | None) -> ASGIApp:
    """The pages of a box.

    Args:
        source: the box, as far as pages see it.
        token: what has to be known to see them; None for pages of this machine alone.
    """
    access = Access(token=token, open_paths=_OPEN)
    pages = _Pages(source, access, with_token=token is not None)
    app = Starlette(routes=pages.routes(), exception_handlers={BoxUnknownError: _unknown, EdusenseError: _failed})
    return SecurityHeaders(access.guard(app))


class _Pages:
    def __init__(self, source: PagesSource, access: Access, *, with_token: bool) -> None:
        self._source, self._access, self._with_token = source, access, with_token
        self._photos = Photos()
        self._hand = HandRoutes(source)
        folder = files("edusense.box.pages") / "static"
        self._static = {one.name: one.read_bytes() for one in folder.iterdir() if not one.name.endswith(".html")}
        templates = {one.name: one.read_text("utf-8") for one in folder.iterdir() if one.name.endswith(".html")}
        self._templates = jinja2.Environment(
            loader=jinja2.DictLoader(templates), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )

    def routes(self) -> list[Route]:
        return [
            Route("/", self._index),
            Route("/token", self._token_page),
            Route("/token", self._access.login, methods=["POST"]),
            Route("/static/{name}", self._file),
            Route("/terminal/{id}", self._kiosk),
            Route("/terminal/{id}/events", self._events),
            Route("/photo/{name}", self._photo),
            Route("/present", self._present),
            *CanteenRoutes(self._source, self._page).routes(),
            *self._hand.routes(),
            *self._guard(),
        ]

    def _guard(self) -> list[Route]:
        guard = self._source.guard
        return [] if guard is None else GuardRoutes(guard, self._page, lambda: self._source.languages).routes()

    async def _index(self, _: Request) -> Response:
        return self._page(
            "index.html",
            school=self._source.school,
            terminals=self._source.terminals(),
            guard=self._source.guard is not None,
        )

    async def _token_page(self, _: Request) -> Response:
        if not self._with_token:
            return RedirectResponse("/", 303)
        return self._page("token.html", school=self._source.school)

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        content = self._static.get(name)
        if content is None:
            return PlainTextResponse("there is no such file\n", 404)
        kind = next((kind for suffix, kind in _TYPES.items() if name.endswith(suffix)), "application/octet-stream")
        # The box may be of another version the next time: asked again at each load, which costs nothing on a wire of
        # this length.
        return Response(content, media_type=kind, headers={"cache-control": "no-cache"})

    async def _kiosk(self, request: Request) -> Response:
        part = self._source.terminal(request.path_params["id"])
        return self._page(
            "kiosk.html",
            terminal=part.terminal.id,
            kind=part.terminal.kind,
            languages=self._source.languages,
            words=json.dumps(WORDS, ensure_ascii=False),
            silence_ms=round(3000 * STATE_S),
        )

    async def _events(self, request: Request) -> Response:
        name = request.path_params["id"]
        self._source.terminal(name)
        feed = Feed(self._source, name, self._photos)
        return StreamingResponse(feed.events(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def _photo(self, request: Request) -> Response:
        pupil = self._photos.pupil(request.path_params["name"])
        photo = None if pupil is None else await run_in_threadpool(self._source.photo, pupil)
        if photo is None:
            return PlainTextResponse("there is no such photo\n", 404)
        return Response(photo, media_type="image/jpeg")

    async def _present(self, _: Request) -> Response:
        found = await run_in_threadpool(self._source.inside)
        zone = self._source.zone
        classes: dict[str, list[dict[str, Any]]] = {}
        earlier = []
        for one in found:
            since = datetime.datetime.fromtimestamp(one.since, zone)
            told = {"number": one.person, "name": one.name or "", "since": f"{since:%H:%M}", "day": f"{since:%d.%m}"}
            if one.today:
                classes.setdefault(one.form or "–", []).append(told)
            else:
                earlier.append(told)
        return self._page(
            "present.html",
            school=self._source.school,
            now=f"{datetime.datetime.now(zone):%d.%m.%Y %H:%M}",
            count=sum(len(people) for people in classes.values()),
            classes=classes,
            earlier=earlier,
        )

    def _page(self, name: str, **values: Any) -> HTMLResponse:
        return HTMLResponse(self._templates.get_template(name).render(**values))


async def _unknown(_: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", 404)


async def _failed(_: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", 503)
