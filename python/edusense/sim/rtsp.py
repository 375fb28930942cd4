"""RTSP/1.0 (RFC 2326) and HTTP authentication (RFC 7616), a camera's half: bytes in, messages out, no sockets."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edusense._version import version

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Guard", "MalformedError", "Parser", "Request", "describe", "interleaved_channels", "respond"]

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    459: "Aggregate Operation Not Allowed",
    461: "Unsupported Transport",
    501: "Not Implemented",
    505: "RTSP Version Not Supported",
}
"""What this camera answers (RFC 2326 section 7.1.1)."""

HEAD_LIMIT, BODY_LIMIT = 16_384, 65_536
_REQUEST_LINE = re.compile(r"([A-Z_]{1,32}) (\S{1,2048}) RTSP/(\d)\.(\d)")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:[ \t]*(.*?)[ \t]*")
_PARAMETER = re.compile(r'([A-Za-z][A-Za-z0-9_-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


class MalformedError(ValueError):
    """What came is not RTSP; the connection cannot go on.

    Args:
        status: what is answered before it is closed.
        cseq: the request's number, where it was readable.
    """

    def __init__(self, message: str, status: int = 400, cseq: str | None = None) -> None:
        super().__init__(message)
        self.status, self.cseq = status, cseq


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        method: in capitals.
        uri: as it was sent.
        headers: by lower-case name; the last of several.
        body: what Content-Length announced.
    """

    method: str
    uri: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def cseq(self) -> str:
        """The number that the answer repeats."""
        return self.headers["cseq"]

    @property
    def session(self) -> str | None:
        """The session it belongs to."""
        named = self.headers.get("session")
        return None if named is None else named.split(";", 1)[0].strip()

    @property
    def path(self) -> str:
        """The path in its URI, without query and slashes at its ends; `*` for the server as a whole."""
        return "*" if self.uri == "*" else urlsplit(self.uri).path.strip("/")


class Parser:
    """Turns what a client sends into requests, however it is cut into reads.

    >>> parser = Parser()
    >>> parser.push(b"OPTIONS * RTSP/1.0\\r\\nCS")
    >>> list(parser.pull())
    []
    >>> parser.push(b"eq: 1\\r\\n\\r\\n")
    >>> [(request.method, request.cseq) for request in parser.pull()]
    [('OPTIONS', '1')]
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.frames = 0
        """Interleaved packets that came (a client's receiver reports): a sign of life, otherwise not looked at."""

    def push(self, data: bytes) -> None:
        """Takes what was read."""
        self._buffer += data

    def pull(self) -> Iterator[Request]:
        """The requests that are complete.

        Raises:
            MalformedError: what came is not RTSP.
        """
        while self._buffer:
            if self._buffer[0] == 0x24:  # "$": an interleaved packet, RFC 2326 section 10.12
                if len(self._buffer) < 4:
                    return
                end = 4 + int.from_bytes(self._buffer[2:4])
                if len(self._buffer) < end:
                    return
                del self._buffer[:end]
                self.frames += 1
                continue
            if self._buffer[0] in b"\r\n":  # empty lines before a request are to be ignored
                del self._buffer[:1]
                continue
            request = self._request()
            if request is None:
                return
            yield request

    def _request(self) -> Request | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > HEAD_LIMIT:
                raise MalformedError(f"a head of more than {HEAD_LIMIT} bytes")
            # Something that can never become a request is refused at its first line, not after 16 kB of it.
            opening, found, _ = bytes(self._buffer).partition(b"\r\n")
            if found and not _REQUEST_LINE.fullmatch(opening.decode("latin-1")):
                raise MalformedError("not a request line")
            if not found and (not 0x41 <= self._buffer[0] <= 0x5A or len(opening) > 4096):
                raise MalformedError("not a request line")
            return None
        if end > HEAD_LIMIT:
            raise MalformedError(f"a head of more than {HEAD_LIMIT} bytes")
        lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        headers: dict[str, str] = {}
        for line in lines[1:]:
            header = _HEADER.fullmatch(line)
            if header is None:
                raise MalformedError("a header without a name", cseq=headers.get("cseq"))
            headers[header[1].lower()] = header[2]
        cseq = headers.get("cseq")
        cseq = cseq if cseq is not None and cseq.isascii() and cseq.isdigit() and len(cseq) < 12 else None
        first = _REQUEST_LINE.fullmatch(lines[0])
        if first is None:
            raise MalformedError("not a request line", cseq=cseq)
        if (first[3], first[4]) != ("1", "0"):
            raise MalformedError("another version than RTSP/1.0", 505, cseq)
        if cseq is None:
            raise MalformedError("a request without CSeq")
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit() and len(length) < 9 and int(length) <= BODY_LIMIT):
            raise MalformedError("a Content-Length that cannot be", cseq=cseq)
        whole = end + 4 + int(length)
        if len(self._buffer) < whole:
            return None
        body = bytes(self._buffer[end + 4 : whole])
        del self._buffer[:whole]
        try:
            urlsplit(first[2])
        except ValueError:
            raise MalformedError("a URI that cannot be read", cseq=cseq) from None
        return Request(first[1], first[2], headers, body)


def respond(status: int, cseq: str | None, headers: list[tuple[str, str]] | None = None, body: bytes = b"") -> bytes:
    """One answer as bytes."""
    lines = [f"RTSP/1.0 {status} {REASONS[status]}"]
    if cseq is not None:
        lines.append(f"CSeq: {cseq}")
    lines.append(f"Server: edusense-sim/{version()}")
    lines += [f"{name}: {value}" for name, value in headers or ()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def interleaved_channels(transport: str) -> tuple[int, int] | None:
    """The channels that a Transport header wants (RFC 2326 section 12.39); None where it offers no interleaved TCP.

    >>> interleaved_channels("RTP/AVP;unicast;client_port=5000-5001,RTP/AVP/TCP;unicast;interleaved=2-3")
    (2, 3)
    """
    for offer in transport.split(","):
        parts = [part.strip() for part in offer.split(";")]
        if parts[0].upper() != "RTP/AVP/TCP" or "multicast" in parts:
            continue
        wanted = next((part.split("=", 1)[1] for part in parts if part.startswith("interleaved=")), "0-1")
        found = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", wanted)
        if found is None:
            continue
        first = int(found[1])
        second = int(found[2]) if found[2] else first + 1
        if first != second and max(first, second) <= 255:
            return first, second
    return None


def describe(uri: str, parameter_sets: tuple[bytes, bytes], *, fps: float, kbit: int, name: str, address: str) -> bytes:
    """A stream's description (SDP, RFC 4566; H.264's parameters by RFC 6184 section 8.1).

    Args:
        uri: of the presentation; stands in the session's id.
        parameter_sets: SPS and PPS.
        fps: pictures a second.
        kbit: most it sends.
        name: of the camera.
        address: of the camera.
    """
    sps, pps = parameter_sets
    sets = ",".join(base64.b64encode(part).decode() for part in (sps, pps))
    identity = int.from_bytes(hashlib.sha256(uri.encode()).digest()[:4])
    lines = [
        "v=0",
        f"o=- {identity} 1 IN IP{6 if ':' in address else 4} {address}",
        f"s={name}",
        # Not an address to bind to: RFC 2326 C.1.7 has the wildcard where the transport is settled by SETUP.
        f"c=IN IP{6 if ':' in address else 4} {'::' if ':' in address else '0.0.0.0'}",  # noqa: S104
        "t=0 0",
        f"a=tool:edusense-sim {version()}",
        "a=control:*",
        "a=range:npt=now-",
        "m=video 0 RTP/AVP 96",
        f"b=AS:{kbit}",
        "a=rtpmap:96 H264/90000",
        f"a=fmtp:96 packetization-mode=1;profile-level-id={sps[1:4].hex().upper()};sprop-parameter-sets={sets}",
        f"a=framerate:{fps:g}",
        "a=recvonly",
        "a=control:trackID=0",
    ]
    return "\r\n".join(lines).encode() + b"\r\n"


class Guard:
    """Who may watch: Digest (RFC 7616, also without qop as RFC 2069 had it) and Basic (RFC 7617).

    Args:
        user: the first user.
        password: that user's password; None lets everybody in.
        schemes: what is offered, in order: `digest`, `digest-sha256`, `basic`.
        realm: as cameras have one.
    """

    SCHEMES = ("digest", "digest-sha256", "basic")

    def __init__(
        self,
        user: str,
        password: str | None,
        schemes: tuple[str, ...] = ("digest",),
        realm: str = "edusense virtual camera",
    ) -> None:
        self.passwords = None if password is None else {user: password}
        """Passwords by user; may be replaced while it is used."""
        self.schemes, self.realm = schemes, realm

    def challenges(self, nonce: str, *, stale: bool = False) -> list[tuple[str, str]]:
        """The headers of a 401."""
        rows: list[tuple[str, str]] = []
        for scheme in self.schemes:
            if scheme == "basic":
                rows.append(("WWW-Authenticate", f'Basic realm="{self.realm}"'))
                continue
            algorithm = ', algorithm=SHA-256, qop="auth"' if scheme == "digest-sha256" else ""
            old = ", stale=TRUE" if stale else ""
            rows.append(("WWW-Authenticate", f'Digest realm="{self.realm}", nonce="{nonce}"{algorithm}{old}'))
        return rows

    def admits(self, request: Request, nonce: str) -> bool:
        """Whether a request's credentials are right."""
        if self.passwords is None:
            return True
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic" and "basic" in self.schemes:
            try:
                given = base64.b64decode(rest.strip(), validate=True)
            except (binascii.Error, ValueError):
                return False
            known = [f"{user}:{password}".encode() for user, password in self.passwords.items()]
            return any(hmac.compare_digest(given, one) for one in known)
        if scheme.lower() == "digest":
            return self._digest(request, rest, nonce)
        return False

    def _digest(self, request: Request, rest: str, nonce: str) -> bool:
        given = {
            found[1].lower(): found[2] if found[2] is not None else found[3] for found in _PARAMETER.finditer(rest)
        }
        algorithm = given.get("algorithm", "MD5").upper()
        wanted = {"MD5": "digest", "SHA-256": "digest-sha256"}.get(algorithm)
        user = given.get("username", "")
        password = (self.passwords or {}).get(user)
        if wanted not in self.schemes or given.get("nonce") != nonce or password is None:
            return False

        def h(text: str) -> str:
            data = text.encode()
            # MD5 is what RFC 2617 says and what cameras have; nothing here is protected by its strength.
            return (
                hashlib.md5(data, usedforsecurity=False) if algorithm == "MD5" else hashlib.sha256(data)
            ).hexdigest()

        secret = h(f"{user}:{self.realm}:{password}")
        what = h(f"{request.method}:{given.get('uri', '')}")
        middle = f"{nonce}:"
        if "qop" in given:
            middle += f"{given.get('nc', '')}:{given.get('cnonce', '')}:{given['qop']}:"
        return hmac.compare_digest(h(f"{secret}:{middle}{what}"), given.get("response", "").lower())

    @staticmethod
    def nonce() -> str:
        """A fresh one, for one connection."""
        return secrets.token_hex(16)
