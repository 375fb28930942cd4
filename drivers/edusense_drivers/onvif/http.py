"""HTTP with a deadline over everything: connecting, sending, each byte of the answer.

`requests` and `http.client` bound each wait on the socket, so that a camera which sends a byte a second holds its
caller for ever; here the whole exchange ends when its time is over. Answers are bounded in size. No proxy of the
environment is used, no redirect followed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import io
import socket
import ssl
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from edusense.errors import (
    DeviceDisconnectedError,
    DeviceError,
    DeviceNotFoundError,
    DeviceProtocolError,
    DeviceTimeoutError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Answer", "Deadline", "Place", "Trust", "Wire", "excerpt"]

PIECE: Final = 64 * 1024
_NOBODY: Final = {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EADDRNOTAVAIL}


class Deadline:
    """A moment after which an exchange is given up.

    Args:
        seconds: from now.
        clock: monotonic seconds.
        outer: another deadline that also holds (that of a whole visit).
    """

    def __init__(
        self, seconds: float, *, clock: Callable[[], float] = time.monotonic, outer: Deadline | None = None
    ) -> None:
        self.seconds, self._clock = seconds, clock
        self._end = clock() + seconds
        if outer is not None and outer._end < self._end:  # noqa: SLF001 - of the same class
            self.seconds, self._end = outer.seconds, outer._end  # noqa: SLF001

    def left(self) -> float:
        """Seconds left.

        Raises:
            TimeoutError: none.
        """
        left = self._end - self._clock()
        if left <= 0:
            raise TimeoutError
        return left


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service is: scheme, host, port and what stands behind them.

    >>> Place.of("http://10.20.0.51/onvif/device_service").port
    80
    """

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def of(cls, url: str) -> Place:
        """Takes a URL apart.

        Raises:
            UsageError: it is no http or https URL, or carries a user or password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"`{url.rpartition('@')[2]}` is no URL: {error}") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                f"`{url.rpartition('@')[2]}` is no address of a camera",
                hint="such as http://10.20.0.51/onvif/device_service",
            )
        if parts.username is not None or parts.password is not None:
            raise UsageError(
                f"the address of `{parts.hostname}` carries a user or password",
                hint="give them apart: user=…, password=…; on the command line --user and --password-from",
            )
        target = parts.path or "/"
        if parts.query:
            target += "?" + parts.query
        if not all("!" <= c <= "~" for c in target):
            raise UsageError(f"the address of `{parts.hostname}` has characters that a URL cannot have")
        return cls(parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80), target)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.scheme == "https" else 80
        return f"{host}:{self.port}" if self.port != usual else host

    @property
    def url(self) -> str:
        """The whole URL."""
        return f"{self.scheme}://{self}{self.target}"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read to its end."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name]

    def describe(self) -> str:
        """What came, for messages."""
        kind = next(iter(self.all("content-type")), "no content type")
        return f"HTTP {self.status}, {kind.split(';')[0].strip()}, {excerpt(self.body)}"


def excerpt(data: bytes) -> str:
    """The beginning of what came, fit for a message.

    >>> excerpt(b"<html>\\x00" + b"x" * 100)
    '`<html>.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` (107 bytes)'
    """
    if not data:
        return "nothing"
    text = "".join(c if c.isprintable() and c != "`" else "." for c in data[:40].decode("utf-8", "replace"))
    return f"`{text}{'…' if len(data) > 40 else ''}` ({len(data)} bytes)"


class _Raw(io.RawIOBase):
    """Bytes of a socket, each wait bounded by what is left of the deadline."""

    def __init__(self, sock: socket.socket, deadline: Callable[[], Deadline], closed: Callable[[], None]) -> None:
        self._sock, self._deadline, self._closed = sock, deadline, closed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._deadline().left())
        return self._sock.recv_into(buffer)

    def close(self) -> None:
        if not self.closed:
            self._closed()
        super().close()


class _Socket:
    """What `http.client` wants of a socket: also that it lives on while an answer is read after `close`."""

    def __init__(self, sock: socket.socket, deadline: Callable[[], Deadline]) -> None:
        self._sock, self._deadline = sock, deadline
        self._users = 1

    def makefile(self, _mode: str) -> io.BufferedReader:
        self._users += 1
        return io.BufferedReader(_Raw(self._sock, self._deadline, self._let_go), 8192)

    def _let_go(self) -> None:
        self._users -= 1
        if self._users == 0:
            self._sock.close()

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(self._deadline().left())  # of sendall as a whole, not of each wait
        self._sock.sendall(data)

    def close(self) -> None:
        self._let_go()


class _Connection(http.client.HTTPConnection):
    """An HTTP connection whose socket is made elsewhere."""

    def __init__(self, place: Place, open_socket: Callable[[], _Socket]) -> None:
        super().__init__(place.host, place.port)
        self._open_socket = open_socket

    def connect(self) -> None:
        self.sock = self._open_socket()


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe that he is the camera, where https is spoken.

    Args:
        certificate: SHA-256 of the one certificate that is taken, in hex; None: those that this machine trusts.
        legacy: also old ciphers and unsafe renegotiation; only with a certificate named.
    """

    certificate: str | None = None
    legacy: bool = False

    def wrap(self, sock: socket.socket, host: str, deadline: Deadline) -> ssl.SSLSocket:
        """TLS over a connected socket; nothing has been said when it returns.

        Raises:
            ssl.SSLError: the handshake failed, or the certificate is another one.
        """
        sock.settimeout(deadline.left())
        if self.certificate is None:
            return _trusting().wrap_socket(sock, server_hostname=host)
        wrapped = _pinning(self.legacy).wrap_socket(sock, server_hostname=host)
        shown = fingerprint(wrapped)
        if shown != self.certificate.lower():
            wrapped.close()
            raise CertificateError(shown)
        return wrapped


class CertificateError(ssl.SSLError):
    """The camera shows another certificate than it should; its SHA-256 is the only argument."""


def fingerprint(sock: ssl.SSLSocket) -> str:
    """SHA-256 of the certificate that the other side has shown, in hex."""
    return hashlib.sha256(sock.getpeercert(binary_form=True) or b"").hexdigest()


@cache
def _trusting() -> ssl.SSLContext:
    return ssl.create_default_context()


@cache
def _pinning(legacy: bool) -> ssl.SSLContext:
    """A context that believes everybody: what is shown is compared by whoever uses it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if legacy:
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.options |= getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0x4)
    return context


class Wire:
    """One kept connection to one host and port.

    Args:
        place: whom to talk to; its target is not used.
        trust: whom to believe, where https is spoken.
    """

    def __init__(self, place: Place, trust: Trust | None = None) -> None:
        self._place, self._trust = place, trust or Trust()
        self._deadline = Deadline(0)
        self._connection = _Connection(place, self._connect)
        self._fresh = True

    def _connect(self) -> _Socket:
        self._fresh = True
        left = self._deadline.left()
        sock = socket.create_connection((self._place.host, self._place.port), timeout=left)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._place.scheme == "https":
                sock = self._trust.wrap(sock, self._place.host, self._deadline)
        except BaseException:
            sock.close()
            raise
        return _Socket(sock, lambda: self._deadline)

    def _shown(self, deadline: Deadline) -> str | None:
        """SHA-256 of the certificate that the camera shows, in hex; None where that cannot be had in time."""
        try:
            with (
                socket.create_connection((self._place.host, self._place.port), timeout=deadline.left()) as sock,
                _pinning(False).wrap_socket(sock, server_hostname=self._place.host) as wrapped,
            ):
                return fingerprint(wrapped)
        except OSError:
            return None

    def close(self) -> None:
        """Closes the connection; the next exchange opens another."""
        self._connection.close()

    def exchange(
        self,
        method: str,
        target: str,
        body: bytes | None,
        headers: Mapping[str, str],
        deadline: Deadline,
        limit: int,
        *,
        authorize: Callable[[], str] | None = None,
    ) -> Answer:
        """Sends a request and reads its answer.

        Args:
            method: `GET` or `POST`.
            target: path and query.
            body: what to send; None for nothing.
            headers: what to say besides `Host` and `Content-Length`.
            deadline: when to give up.
            limit: the most bytes that an answer may have.
            authorize: makes the `Authorization` header, anew for each try: the camera may have counted the first one.

        Raises:
            DeviceTimeoutError: the deadline passed.
            DeviceNotFoundError: nobody listens there.
            DeviceDisconnectedError: the connection broke.
            DeviceProtocolError: what came is not HTTP, or longer than `limit`.
        """
        self._deadline = deadline

        def said() -> Mapping[str, str]:
            return headers if authorize is None else {**headers, "Authorization": authorize()}

        try:
            try:
                return self._once(method, target, body, said(), limit)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                # A camera may close a kept connection whenever it likes; only then is a second try no repetition.
                if self._fresh:
                    raise
                self.close()
                return self._once(method, target, body, said(), limit)
        except DeviceError:  # some of ours are OSErrors, too
            self.close()
            raise
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._told(error, deadline) from error
        except BaseException:
            self.close()
            raise

    def _once(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str], limit: int) -> Answer:
        self._fresh = False  # until `_connect` says otherwise
        self._connection.request(method, target, body=body, headers=dict(headers))
        response = self._connection.getresponse()
        with contextlib.closing(response):
            announced = response.length
            if announced is not None and announced > limit:
                raise self._too_long(limit)
            pieces: list[bytes] = []
            size = 0
            while piece := response.read(PIECE):
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    raise self._too_long(limit)
            if announced is not None and size < announced:
                raise DeviceDisconnectedError(
                    f"`{self._place}` broke off after {size} of {announced} bytes of its answer",
                    hint="it may be restarting; try again",
                )
            return Answer(response.status, response.getheaders(), b"".join(pieces))

    def _too_long(self, limit: int) -> DeviceProtocolError:
        return DeviceProtocolError(f"`{self._place}` answers more than {limit} bytes", hint="is it a camera?")

    def _told(self, error: OSError | http.client.HTTPException, deadline: Deadline) -> DeviceError:
        place = self._place
        if isinstance(error, TimeoutError):
            return DeviceTimeoutError(
                f"`{place}` did not answer within {deadline.seconds:g} s",
                hint="is it on, and is this its address? it may be restarting, or a firewall may be in between",
            )
        if isinstance(error, socket.gaierror):
            return DeviceNotFoundError(f"the name `{place.host}` is not known", hint="give the camera's IP address")
        if isinstance(error, CertificateError):
            return DeviceProtocolError(
                f"`{place}` shows another certificate than the site file names: sha256:{error.args[0]}",
                hint="where the camera was exchanged or reset, put this one there; otherwise somebody is in between",
            )
        if isinstance(error, ssl.SSLCertVerificationError):
            shown = self._shown(deadline)
            return DeviceProtocolError(
                f"no trusted connection to `{place}`: {error.verify_message}",
                hint=f'is it yours? then pin its certificate in the site file: certificate = "sha256:{shown}"'
                if shown
                else "use its http address inside the school's network",
            )
        if isinstance(error, ssl.SSLError):
            return DeviceProtocolError(
                f"no secure connection to `{place}`: {error.reason or 'TLS failed'}",
                hint='old cameras need `tls = "legacy"` in a quirk and a pinned `certificate`, or their http address',
            )
        if isinstance(error, http.client.RemoteDisconnected | ConnectionResetError | BrokenPipeError):
            return DeviceDisconnectedError(
                f"`{place}` closed the connection without an answer", hint="it may be restarting; try again"
            )
        if isinstance(error, http.client.IncompleteRead):
            return DeviceDisconnectedError(
                f"`{place}` broke off in the middle of its answer", hint="it may be restarting; try again"
            )
        if isinstance(error, http.client.HTTPException):
            came = excerpt(str(error).encode("utf-8", "replace"))
            return DeviceProtocolError(
                f"`{place}` answers something that is not HTTP: {came}", hint="is this the port of its web pages?"
            )
        if error.errno in _NOBODY:
            return DeviceNotFoundError(
                f"nobody listens at `{place}`: {error.strerror}",
                hint="check address and port; `edusense camera discover` lists the cameras that answer",
            )
        return DeviceDisconnectedError(f"the connection to `{place}` failed: {error.strerror or error}")
