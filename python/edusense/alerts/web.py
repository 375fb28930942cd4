"""One HTTPS connection to a destination: kept open, with a deadline for the whole exchange, and never too much read.

A redirect is not followed: what is signed for one address is not for another. An answer is read up to a limit, however
long it is.
"""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import io
import json
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from edusense.alerts.budget import PIECE
from edusense.alerts.signing import sign
from edusense.errors import DestinationRefusedError, DestinationUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edusense.alerts.destination import Settings

__all__ = ["Answer", "Web"]

CONNECT_S: Final = 5.0
EXCHANGE_S: Final = 15.0
"""Seconds for a request and its answer, beyond what its bytes take on the way out."""
ANSWER_LIMIT: Final = 256 << 10
"""Most bytes of an answer that are read."""
MOST_RETRY_AFTER_S: Final = 3600.0
HEADERS_LIMIT: Final = 100


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: HTTP status.
        headers: with names in lower case.
        body: at most `ANSWER_LIMIT` bytes of it.
        cut: there was more.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool

    @property
    def told(self) -> dict[str, Any]:
        """Its JSON object; empty where it is none."""
        with contextlib.suppress(ValueError, RecursionError):
            found = json.loads(self.body)
            if isinstance(found, dict):
                return found
        return {}

    @property
    def retry_after_s(self) -> float | None:
        """Seconds to wait, as Retry-After says (RFC 9110, section 10.2.3): a number, or a date."""
        text = self.headers.get("retry-after", "").strip()
        seconds: float | None = None
        if text.isascii() and text.isdigit():
            seconds = float(text[:12])
        elif text:
            with contextlib.suppress(ValueError, TypeError):
                seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        return None if seconds is None else min(MOST_RETRY_AFTER_S, max(0.0, seconds))


class Web:
    """A connection to the address of a destination, made when it is needed.

    Args:
        settings: of the destination.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        parts = urlsplit(settings.url or "")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DestinationRefusedError(
                f"{settings.what} `{settings.id}` needs an https URL", hint='url = "https://ops.example.kz/alerts"'
            )
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._path = parts.path.rstrip("/")
        self._connection: http.client.HTTPConnection | None = None
        self._line: _Line | None = None
        self._interrupted = False

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        within_s: float = EXCHANGE_S,
    ) -> Answer:
        """One signed request and its answer.

        Args:
            method: `POST`, `PATCH`, `HEAD` or `GET`.
            path: what follows the destination's URL: `` or `/answers?after=7`.
            body: of the request; paced.
            headers: beside those that sign it.
            within_s: deadline, beyond the time that pacing takes.

        Raises:
            DestinationUnavailableError: no connection, it broke, no answer in time.
            DestinationRefusedError: its certificate is not to be trusted, or it redirects.
        """
        reused = self._connection is not None
        try:
            return self._exchange(method, path, body, headers or {}, within_s)
        except (http.client.BadStatusLine, ConnectionError, BrokenPipeError) as error:
            self.close()
            if not reused or self._interrupted:
                raise self._broke(error) from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._broke(error) from error
        # A connection that was kept open and has been closed meanwhile says so only when it is used.
        try:
            return self._exchange(method, path, body, headers or {}, within_s)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._broke(error) from error

    def _exchange(self, method: str, path: str, body: bytes, headers: Mapping[str, str], within_s: float) -> Answer:
        connection, line = self._connected()
        target = (self._path + path) or "/"
        told = {"Accept": "application/json", **headers}
        if self._settings.user is not None and self._settings.password is not None:
            told |= sign(
                method,
                target,
                told,
                body,
                key_id=self._settings.user,
                secret=self._settings.password.encode(),
                created=int(time.time()),
            )
        connection.putrequest(method, target, skip_accept_encoding=True)
        if body or method in ("POST", "PATCH"):
            connection.putheader("Content-Length", str(len(body)))
        for name, value in told.items():
            connection.putheader(name, value)
        self._settings.pace(400)
        line.deadline = time.monotonic() + within_s
        connection.endheaders()
        for start in range(0, len(body), PIECE):
            piece = body[start : start + PIECE]
            self._settings.pace(len(piece))
            line.deadline = time.monotonic() + within_s
            connection.send(piece)
        response = connection.getresponse()
        answer = self._read(response)
        if answer.cut or response.will_close:
            self.close()
        if 300 <= answer.status < 400:
            where = answer.headers.get("location", "somewhere else")[:200]
            raise DestinationRefusedError(
                f"{self._settings.what} `{self._settings.id}` redirects to `{where}`, which is not followed",
                hint="write the final address into the site file",
            )
        return answer

    def _read(self, response: http.client.HTTPResponse) -> Answer:
        headers = {name.lower(): value for name, value in response.getheaders()[:HEADERS_LIMIT]}
        body = response.read(ANSWER_LIMIT + 1)
        cut = len(body) > ANSWER_LIMIT
        if not cut and response.length:
            # http.client gives what came of it without a word where it was asked for a number of bytes.
            raise http.client.IncompleteRead(body, response.length)
        return Answer(response.status, headers, body[:ANSWER_LIMIT], cut)

    def _connected(self) -> tuple[http.client.HTTPConnection, _Line]:
        if self._connection is None or self._line is None:
            made: http.client.HTTPConnection
            if self._secure:
                made = http.client.HTTPSConnection(
                    self._host, self._port, timeout=CONNECT_S, context=self._settings.tls()
                )
            else:
                made = http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_S)
            made.connect()
            assert made.sock is not None
            made.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._line = _Line(made.sock)
            made.sock = self._line  # it has what http.client uses of a socket
            self._connection = made
        return self._connection, self._line

    def _broke(self, error: Exception) -> DestinationRefusedError | DestinationUnavailableError:
        name = f"{self._settings.what} `{self._settings.id}`"
        if isinstance(error, (DestinationRefusedError, DestinationUnavailableError)):
            return error
        if isinstance(error, ssl.SSLCertVerificationError):
            return DestinationRefusedError(
                f"{name}: its certificate is not to be trusted: {error.verify_message}",
                hint="have it renewed; a certificate of your own authority is named by `ca`",
            )
        if isinstance(error, ssl.SSLError):
            return DestinationRefusedError(
                f"{name}: no TLS with it: {error.reason or error}", hint="is it https at that port?"
            )
        if isinstance(error, TimeoutError):
            return DestinationUnavailableError(f"{name} did not answer in time")
        if isinstance(error, socket.gaierror):
            return DestinationUnavailableError(
                f"{name}: `{self._host}` has no address: {error.strerror}",
                hint="is the link up, and the name right?",
            )
        told = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return DestinationUnavailableError(f"{name}: {told}", hint="is the link up?")

    def interrupt(self) -> None:
        """Ends what waits in another thread."""
        self._interrupted = True
        line = self._line
        if line is not None:
            line.interrupt()

    def close(self) -> None:
        """Closes the connection; the next request makes another."""
        connection, self._connection, self._line = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()


class _Line:
    """What http.client uses of a socket, with one deadline for all of an exchange and not one for each byte."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self.deadline = time.monotonic() + EXCHANGE_S

    def _limit(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline is over")
        self._inner.settimeout(left)

    def sendall(self, data: Any) -> None:
        self._limit()
        self._inner.sendall(data)

    def readinto(self, buffer: Any) -> int:
        self._limit()
        return self._inner.recv_into(buffer)

    def makefile(self, *_: object, **__: object) -> io.BufferedReader:
        return io.BufferedReader(_Raw(self))

    def close(self) -> None:
        self._inner.close()

    def interrupt(self) -> None:
        with contextlib.suppress(OSError):
            self._inner.shutdown(socket.SHUT_RDWR)


class _Raw(io.RawIOBase):
    """The reading side of a line, as a file."""

    def __init__(self, line: _Line) -> None:
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._line.readinto(buffer)
