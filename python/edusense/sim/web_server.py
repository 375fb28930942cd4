"""Serves the web side of a virtual device from a thread of its own: a Starlette application, by uvicorn."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from edusense.errors import DeviceBusyError, EdusenseError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["WebServer"]


class WebServer:
    """Serves an application until it is closed.

    Args:
        application: an ASGI application.
        name: what it is, for its thread.
        host: address to listen on.
        port: 0 takes a free one.
        certificate: a file with the certificate chain, PEM, for TLS.
        key: its private key, PEM.

    Raises:
        DeviceBusyError: the port is taken, or may not be used.
        EdusenseError: the extra `pages` is not installed.
    """

    def __init__(
        self,
        application: Any,
        *,
        name: str,
        host: str = "127.0.0.1",
        port: int = 0,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        try:
            import uvicorn
        except ImportError as error:
            raise EdusenseError(
                f"`{name}` needs Starlette and uvicorn, which are not installed", hint="pip install 'edusense[pages]'"
            ) from error
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise DeviceBusyError(
                f"`{host}:{port}` cannot be listened on: {error.strerror}", hint="port 0 takes a free one"
            ) from error
        self.host, self.port = host, int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=1,
            ssl_certfile=None if certificate is None else str(certificate),
            ssl_keyfile=None if key is None else str(key),
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name=name, daemon=True
        )
        self._thread.start()

    def wait_ready(self, seconds: float = 10.0) -> bool:
        """Whether it has begun to serve within the time."""
        until = time.monotonic() + seconds
        while not self._server.started and self._thread.is_alive() and time.monotonic() < until:
            time.sleep(0.01)
        return bool(self._server.started)

    def close(self) -> None:
        """Ends it; calling it twice is harmless."""
        self._server.should_exit = True
        self._thread.join(5.0)
        with contextlib.suppress(OSError):
            self._socket.close()
