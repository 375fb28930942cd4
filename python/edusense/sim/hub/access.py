"""Who may speak to a hub: this machine alone, or who has the token, over TLS."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["guarded"]

_OWN_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def guarded(app: ASGIApp, *, token: str | None, operator: str | None = None) -> ASGIApp:
    """An application that answers who may come in, and refuses everybody else.

    Without a token the `Host` of a request has to be this machine's own: a page that points a name of its own at
    127.0.0.1 must get nothing (DNS rebinding).

    Args:
        app: what they get.
        token: what they have to know; None on loopback.
        operator: what those have to know who enrol schools and close cases, which no box may do; None: the same token.
    """
    wanted = None if token is None else token.encode()
    wanted_of_operators = None if operator is None else operator.encode()

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        refusal: ASGIApp | None = None
        kind, _, told = headers.get(b"authorization", b"").partition(b" ")
        bearer = told.strip() if kind.lower() == b"bearer" else b""
        is_operator = wanted_of_operators is not None and hmac.compare_digest(bearer, wanted_of_operators)
        if wanted is None and _name_of(headers.get(b"host", b"").decode("latin-1")) not in _OWN_NAMES:
            refusal = _refused(421, "other-host", "this hub is for this machine alone")
        elif wanted_of_operators is not None and _of_operators(scope) and not is_operator:
            refusal = _refused(401, "token", "the token of the hub's operators is wanted: Authorization: Bearer")
        elif wanted is not None and not is_operator and not hmac.compare_digest(bearer, wanted):
            refusal = _refused(401, "token", "a token is wanted: Authorization: Bearer")
        await (refusal or app)(scope, receive, send)

    return answer


def _of_operators(scope: Scope) -> bool:
    """Whether a request enrols a school or closes a case."""
    method, path = str(scope["method"]), str(scope["path"])
    return method == "PUT" or (method == "POST" and path.startswith("/cases/"))


def _refused(status: int, code: str, message: str) -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse({"error": code, "message": message}, status_code=status, headers=headers)


def _name_of(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
