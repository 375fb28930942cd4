"""The page as an ASGI application; it opens no socket."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from edusense.box.pages.access import Access, SecurityHeaders
from edusense.cli.output import talk
from edusense.errors import EdusenseError, UsageError
from edusense.fleet.drawing import add_zone
from edusense.site import Site

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from edusense.fleet.aiming import Aim

__all__ = ["make_app"]

WAIT_S: Final = 5.0
MOST: Final = 64 << 10
"""Bytes of a drawn zone; a hundred corners are some kilobytes."""
_OPEN: Final = frozenset({"/token", "/static/token.js", "/static/page.css", "/static/icon.svg"})
_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def make_app(aim: Aim, *, site: Path, token: str | None) -> ASGIApp:
    """The page of one camera.

    Args:
        aim: what is shown.
        site: the site file, whose zones are shown and to which new ones are added.
        token: what has to be known to see it; None for this machine alone.
    """
    access = Access(token=token, open_paths=_OPEN)
    page = _Page(aim, site)
    app = Starlette(
        routes=[
            Route("/", page.index),
            Route("/state", page.state),
            Route("/picture.jpg", page.picture),
            Route("/outline.png", page.outline),
            Route("/reference", page.save, methods=["POST"]),
            Route("/best", page.forget, methods=["POST"]),
            Route("/zones", page.zones),
            Route("/zones", page.draw, methods=["POST"]),
            Route("/token", page.token),
            Route("/token", access.login, methods=["POST"]),
            Route("/static/{name}", page.static),
        ],
        exception_handlers={EdusenseError: _failed},
    )
    return SecurityHeaders(access.guard(app))


class _Page:
    def __init__(self, aim: Aim, site: Path) -> None:
        self._aim, self._site = aim, site
        own = files("edusense.cli.aim")
        shared = files("edusense.box.pages") / "static"
        self._static = {name: (own / name).read_bytes() for name in ("aim.js", "zones.js", "aim.css")}
        self._static |= {name: (shared / name).read_bytes() for name in ("token.js", "page.css", "icon.svg")}
        texts = {"aim.html": (own / "aim.html").read_text("utf-8")}
        texts["token.html"] = (shared / "token.html").read_text("utf-8")
        self._templates = jinja2.Environment(loader=jinja2.DictLoader(texts), autoescape=True)

    async def index(self, _: Request) -> Response:
        return HTMLResponse(self._templates.get_template("aim.html").render(camera=self._aim.camera))

    async def token(self, _: Request) -> Response:
        return HTMLResponse(self._templates.get_template("token.html").render(school=self._aim.camera))

    async def state(self, request: Request) -> Response:
        after = request.query_params.get("after", "0")
        known = int(after) if after.isascii() and after.isdigit() and len(after) < 16 else 0
        found = await run_in_threadpool(self._aim.wait, known, WAIT_S)
        return JSONResponse(found.to_json())

    async def picture(self, _: Request) -> Response:
        return _or_none(self._aim.picture(), "image/jpeg")

    async def outline(self, _: Request) -> Response:
        return _or_none(self._aim.outline(), "image/png")

    async def save(self, _: Request) -> Response:
        await run_in_threadpool(self._aim.save_reference)
        return JSONResponse({"ok": True})

    async def forget(self, _: Request) -> Response:
        self._aim.forget_best()
        return JSONResponse({"ok": True})

    async def zones(self, _: Request) -> Response:
        return JSONResponse(self._zones_of(await run_in_threadpool(Site.load, self._site)))

    async def draw(self, request: Request) -> Response:
        name, kind, polygon = _drawn(await _body(request))
        site = await run_in_threadpool(self._add, name, kind, polygon)
        talk(f"{self._site}: zone {name} added")
        return JSONResponse(self._zones_of(site))

    def _add(self, name: str, kind: str, polygon: list[list[float]]) -> Site:
        # As it stands now: somebody may have edited it since the page was opened.
        site = Site.load(self._site)
        return add_zone(site, name=name, camera=self._aim.camera, kind=kind, polygon=polygon)

    def _zones_of(self, site: Site) -> list[dict[str, Any]]:
        own = [zone for zone in site.zones if zone.camera == self._aim.camera]
        return [{"id": zone.id, "kind": zone.kind, "polygon": zone.polygon, "line": zone.line} for zone in own]

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        content = self._static.get(name)
        if content is None:
            return PlainTextResponse("there is no such file\n", 404)
        return Response(content, media_type=_TYPES[name.rpartition(".")[2]])


def _or_none(content: bytes | None, kind: str) -> Response:
    if content is None:
        return PlainTextResponse("there is none yet\n", 404)
    return Response(content, media_type=kind)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST:
            raise UsageError("so many corners has no zone", hint="a zone needs a handful")
    return bytes(body)


def _drawn(body: bytes) -> tuple[str, str, list[list[float]]]:
    """Name, kind and corners of a zone, as the page sends them."""
    try:
        told = json.loads(body)
        return str(told["id"]), str(told["kind"]), [[float(x), float(y)] for x, y in told["polygon"]]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise UsageError('this is no zone: {"id", "kind", "polygon": [[x, y], …]}') from None


async def _failed(_: Request, error: Exception) -> Response:
    hint = getattr(error, "hint", None)
    return PlainTextResponse(f"{error}\n" if hint is None else f"{error}: {hint}\n", 409)
