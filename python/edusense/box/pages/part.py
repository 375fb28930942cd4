"""The part of the box that serves its pages: uvicorn in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from typing import TYPE_CHECKING, Any

from edusense.box.parts import Part
from edusense.errors import BoxBusyError, EdusenseError, PermissionDeniedError, SiteSecretError, SiteValueError
from edusense.site import resolve_secret

if TYPE_CHECKING:
    from edusense.box.log import EventLog
    from edusense.box.pages.source import PagesSource
    from edusense.site import Listening, Site

__all__ = ["PagesPart", "bind"]

logger = logging.getLogger(__name__)


class PagesPart(Part):
    """Serves the pages for as long as the box runs.

    Args:
        site: the site file, with `[pages]`.
        source: the box, as far as pages see it.
        log: the event log.
    """

    def __init__(self, site: Site, source: PagesSource, log: EventLog) -> None:
        super().__init__("pages", log)
        assert site.pages is not None
        self._site, self._source = site, source
        self.table: Listening = site.pages
        self.url: str | None = None
        """Where they are, while they are served."""

    def run(self) -> None:
        """Serves until it is stopped."""
        try:
            import uvicorn

            from edusense.box.pages.app import make_app
        except ImportError as error:
            raise EdusenseError(
                f"the pages need a package that is not installed: {error.name}",
                hint="pip install 'edusense[pages]' into edusense's environment",
            ) from error
        table = self.table
        token = None
        if table.token is not None:
            place = (str(self._site.path), *self._site.place("pages", "token"))
            token = resolve_secret(table.token, self._site.folder, place=place)
        tls = _tls(self._site, table)
        listening = bind(table.host, table.port)
        try:
            config = uvicorn.Config(
                make_app(self._source, token=token),
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_keep_alive=20,
                timeout_graceful_shutdown=1,
                limit_concurrency=256,
                ws="none",
                **tls,
            )
            logging.getLogger("uvicorn").setLevel(logging.WARNING)  # what it says at a start, the box has said already
            server = uvicorn.Server(config)
            host = f"[{table.host}]" if ":" in table.host else table.host
            self.url = f"{'https' if tls else 'http'}://{host}:{listening.getsockname()[1]}/"
            logger.info("pages: %s", self.url)
            asyncio.run(self._serve(server, listening))
        finally:
            self.url = None
            listening.close()

    async def _serve(self, server: Any, listening: socket.socket) -> None:
        server.install_signal_handlers = lambda: None
        serving = asyncio.ensure_future(server.serve(sockets=[listening]))
        while not serving.done():
            self.beat()
            if self.stopping.is_set():
                server.should_exit = True
            await asyncio.wait({serving}, timeout=0.5)
        await serving

    def to_json(self) -> dict[str, Any]:
        """As the base class, with where the pages are."""
        return {**super().to_json(), "url": self.url}


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: address, or `localhost`.
        port: 0 takes a free one.

    Raises:
        BoxBusyError: somebody else listens there.
        PermissionDeniedError: this user may not.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((host, port))
        listening.listen(128)
    except PermissionError as error:
        listening.close()
        raise PermissionDeniedError(f"port {port} may not be listened on", hint="take one above 1023") from error
    except OSError as error:
        listening.close()
        raise BoxBusyError(
            f"`{host}:{port}` cannot be listened on: {error.strerror}",
            hint=f"`ss -ltnp 'sport = :{port}'` says who has it; or take another port",
        ) from error
    return listening


def _tls(site: Site, table: Listening) -> dict[str, Any]:
    """What uvicorn is told of certificate and key, after they were looked at: its own errors are tracebacks."""
    if table.certificate is None or table.key is None:
        return {}
    certificate, key = site.path_of(table.certificate), site.path_of(table.key)
    try:
        if key.stat().st_mode & 0o077:
            raise SiteSecretError(f"the key `{key}` may be read by others", hint=f"chmod 600 {key}")
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise SiteValueError(
            f"certificate `{certificate}` and key `{key}` cannot be used: {error.strerror or error}",
            hint="both PEM, and of one pair",
        ) from error
    return {"ssl_certfile": str(certificate), "ssl_keyfile": str(key)}
