"""Factory-new virtual cameras that all have one address: at a time, one of them answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from edusense.sim.onvif_http import HttpServer

if TYPE_CHECKING:
    import asyncio

    from edusense.sim.onvif_http import Request, Response
    from edusense.sim.onvif_server import OnvifServer

__all__ = ["Shelf"]


class Shelf:
    """Where virtual cameras stand until they have addresses of their own.

    On a real network the one answers whose ARP answer came last; here it is the first that is not restarting. When it
    has gone to an address of its own, the next one answers.

    Args:
        host: the address that all of them have.
        port: the port; 0 takes a free one.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._servers: list[OnvifServer] = []
        self._http = HttpServer(self._answer, host=host, port=port, away=lambda: self.current is None)

    @property
    def current(self) -> OnvifServer | None:
        """Whose turn it is; None where nobody is there."""
        return next((one for one in self._servers if not one.state.down), None)

    def start(self) -> Self:
        """Begins to listen.

        Raises:
            OSError: the address or the port is taken.
        """
        self._http.start()
        self.port = self._http.port
        return self

    def close(self) -> None:
        """Stops listening; harmless when repeated."""
        self._http.close()

    def put(self, server: OnvifServer) -> tuple[str, int, asyncio.AbstractEventLoop | None]:
        """Takes a camera; returns the address, the port and the loop that it is served on."""
        self._servers.append(server)
        return self.host, self.port, self._http.loop

    def remove(self, server: OnvifServer) -> None:
        """Forgets a camera; harmless when it was not there."""
        self._servers = [one for one in self._servers if one is not server]

    async def _answer(self, request: Request) -> Response | None:
        server = self.current
        return None if server is None else await server.answer(request)
