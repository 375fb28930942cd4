"""Who may see the box's pages: this machine alone, or who has the token, over TLS.

On loopback there is no token: whoever sits at the box sees its kiosk. Then a foreign page that points a name of its
own at 127.0.0.1 must get nothing, so the `Host` of each request has to be this machine's (DNS rebinding). With a token,
a browser shows it once and carries a cookie from then on; programs send `Authorization: Bearer`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["COOKIE", "Access", "SecurityHeaders"]

logger = logging.getLogger(__name__)

COOKIE: Final = "edusense-pages"
_OWN_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_KEEP_S: Final = 400 * 86_400
_WRONG_PAUSE_S: Final = 1.0
_WRONG_A_MINUTE: Final = 20
_SAID_S: Final = 60.0
"""Who is refused is said once in so many seconds: a scanner must not fill the log."""

_HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        b"base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class SecurityHeaders:
    """Says with every answer that nothing comes from elsewhere, and nothing is kept.

    Args:
        app: what answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""

        async def told(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = list(message["headers"])
                known = {name.lower() for name, _ in headers}
                headers += [header for header in _HEADERS if header[0] not in known]
                if b"cache-control" not in known:
                    headers.append((b"cache-control", b"no-store"))
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, told)


class Access:
    """Lets in who may come in.

    Args:
        token: what they have to know; None on loopback, where nobody else can come.
        open_paths: what is answered to everybody: the page that asks for the token.
    """

    def __init__(self, *, token: str | None, open_paths: frozenset[str] = frozenset()) -> None:
        self._token = None if token is None else token.encode()
        self._open = open_paths
        self._wrong: list[float] = []
        self._said: dict[str, float] = {}

    def guard(self, app: ASGIApp) -> ASGIApp:
        """An application that answers who may come in, and refuses everybody else.

        Args:
            app: what they get.
        """

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                return
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
            refusal = self._refusal(scope, headers)
            if refusal is not None:
                self._say(scope)
            await (refusal or app)(scope, receive, send)

        return guarded

    def _say(self, scope: Scope) -> None:
        client = scope.get("client") or ("somebody",)
        now = time.monotonic()
        if now - self._said.get(client[0], float("-inf")) < _SAID_S:
            return
        self._said = {who: at for who, at in self._said.items() if now - at < _SAID_S} | {client[0]: now}
        asked = (client[0], scope["method"], scope["path"][:200])
        logger.warning("pages: refused %s: %s %r, without a right to it", *asked)

    @property
    def cookie(self) -> str:
        """What a browser that has shown the token carries: the same after a restart, so that a kiosk comes back."""
        assert self._token is not None
        return hmac.new(self._token, b"edusense pages cookie", hashlib.sha256).hexdigest()

    async def login(self, request: Request) -> JSONResponse | PlainTextResponse:
        """Takes the token from a browser, and gives it the cookie."""
        body = await request.body()
        now = time.monotonic()
        self._wrong = [at for at in self._wrong if now - at < 60.0]
        if len(self._wrong) >= _WRONG_A_MINUTE:
            return PlainTextResponse("too many wrong tokens; wait a minute\n", 429, {"retry-after": "60"})
        if self._token is None or len(body) > 4096 or not hmac.compare_digest(body.strip(), self._token):
            self._wrong.append(now)
            await asyncio.sleep(_WRONG_PAUSE_S)
            return PlainTextResponse("this is not the token\n", 403)
        answer = JSONResponse({"ok": True})
        answer.set_cookie(COOKIE, self.cookie, max_age=_KEEP_S, httponly=True, secure=True, samesite="strict")
        return answer

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> ASGIApp | None:
        if scope["method"] not in ("GET", "HEAD"):
            origin = headers.get("origin")
            if origin is not None and origin.partition("://")[2] != headers.get("host"):
                return PlainTextResponse("from another page\n", 403)
        if self._token is None:
            if _name_of(headers.get("host", "")) in _OWN_NAMES:
                return None
            return PlainTextResponse("this page is for this machine alone\n", 421)
        if scope["path"] in self._open or self._knows(headers):
            return None
        if "text/html" in headers.get("accept", "") and scope["method"] == "GET":
            return RedirectResponse("/token", 303)
        return PlainTextResponse("a token is wanted\n", 401, {"www-authenticate": "Bearer"})

    def _knows(self, headers: dict[str, str]) -> bool:
        assert self._token is not None
        kind, _, told = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(told.strip().encode(), self._token):
            return True
        try:
            carried = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return carried is not None and hmac.compare_digest(carried.value.encode(), self.cookie.encode())


def _name_of(host: str) -> str:
    """The name in a `Host` header, without its port.

    >>> _name_of("127.0.0.1:8480"), _name_of("[::1]:8480"), _name_of("localhost")
    ('127.0.0.1', '::1', 'localhost')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
