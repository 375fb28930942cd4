"""The page as an ASGI application; it opens no socket."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from edusense.box.pages.access import Access, SecurityHeaders
from edusense.errors import EdusenseError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from edusense.fleet.aiming import Aim

__all__ = ["make_app"]

WAIT_S: Final = 5.0
_OPEN: Final = frozenset({"/token", "/static/token.js", "/static/page.css", "/static/icon.svg"})
_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def make_app(aim: Aim, *, token: str | None) -> ASGIApp:
    """The page of one camera.

    Args:
        aim: what is shown.
        token: what has to be known to see it; None for this machine alone.
    """
    access = Access(token=token, open_paths=_OPEN)
    page = _Page(aim)
    app = Starlette(
        routes=[
            Route("/", page.index),
            Route("/state", page.state),
            Route("/picture.jpg", page.picture),
            Route("/outline.png", page.outline),
            Route("/reference", page.save, methods=["POST"]),
            Route("/best", page.forget, methods=["POST"]),
            Route("/token", page.token),
            Route("/token", access.login, methods=["POST"]),
            Route("/static/{name}", page.static),
        ],
        exception_handlers={EdusenseError: _failed},
    )
    return SecurityHeaders(access.guard(app))


class _Page:
    def __init__(self, aim: Aim) -> None:
        self._aim = aim
        own = files("edusense.cli.aim")
        shared = files("edusense.box.pages") / "static"
        self._static = {name: (own / name).read_bytes() for name in ("aim.js", "aim.css")}
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


async def _failed(_: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", 409)
