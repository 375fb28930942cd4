"""Logging in: WS-UsernameToken and HTTP Digest, the client's half. Bytes and text only, no sockets.

Sources: OASIS WSS UsernameToken Profile 1.0; RFC 7616 with RFC 2617's form without `qop`, which old cameras still send.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lxml import etree

__all__ = ["Challenge", "Digest", "challenges", "token"]

_WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_WSU: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_PROFILE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"
_BASE64: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"

_HASHES: Final = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}
"""The better one first: where a camera offers both, it is taken."""


def token(user: str, password: str, now_s: float, nonce: bytes | None = None) -> etree._Element:
    """The `wsse:Security` header with a PasswordDigest.

    Args:
        user: user.
        password: password.
        now_s: the camera's clock in Unix seconds. `Created` ends in `Z`: some firmwares refuse `+00:00`.
        nonce: 16 random bytes; None draws them.
    """
    nonce = secrets.token_bytes(16) if nonce is None else nonce
    created = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = hashlib.sha1(nonce + created.encode() + password.encode()).digest()  # noqa: S324 - the profile's own
    security = etree.Element(f"{{{_WSSE}}}Security", nsmap={"wsse": _WSSE, "wsu": _WSU})
    said = etree.SubElement(security, f"{{{_WSSE}}}UsernameToken")
    etree.SubElement(said, f"{{{_WSSE}}}Username").text = user
    etree.SubElement(said, f"{{{_WSSE}}}Password", Type=_PROFILE).text = base64.b64encode(digest).decode()
    etree.SubElement(said, f"{{{_WSSE}}}Nonce", EncodingType=_BASE64).text = base64.b64encode(nonce).decode()
    etree.SubElement(said, f"{{{_WSU}}}Created").text = created
    return security


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge out of a `WWW-Authenticate` header."""

    scheme: str
    parameters: dict[str, str]

    @property
    def algorithm(self) -> str:
        """The hash, upper-case, without `-SESS`."""
        return self.parameters.get("algorithm", "MD5").upper().removesuffix("-SESS")

    @property
    def usable(self) -> bool:
        """Whether `Digest` can answer it."""
        qop = self.parameters.get("qop", "auth").lower()
        return (
            self.scheme == "digest"
            and "nonce" in self.parameters
            and self.algorithm in _HASHES
            and "auth" in [part.strip() for part in qop.split(",")]
        )


_ITEM = re.compile(
    r"""\s*,?\s*(?: (?P<key>[A-Za-z][\w-]*)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s,"]+))
                  | (?P<scheme>[A-Za-z][\w-]*)(?=\s|,|$) )""",
    re.VERBOSE,
)


def challenges(headers: list[str]) -> list[Challenge]:
    """Every challenge of a 401, in one header or several; what cannot be read ends the header it stands in.

    >>> [found.algorithm for found in challenges(['Digest realm="a", nonce="1", Digest nonce="2", algorithm=SHA-256'])]
    ['MD5', 'SHA-256']
    """
    found: list[Challenge] = []
    for header in headers:
        place = 0
        current: Challenge | None = None
        while match := _ITEM.match(header[:4096], place):
            place = match.end()
            if match["scheme"]:
                current = Challenge(match["scheme"].lower(), {})
                found.append(current)
            elif current is not None:
                quoted = match["quoted"]
                value = match["bare"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                current.parameters.setdefault(match["key"].lower(), value)
    return found


class Digest:
    """HTTP Digest with one nonce, counting its uses.

    Args:
        challenge: what the camera asked for; must be `usable`.
        user: user.
        password: password.
    """

    def __init__(self, challenge: Challenge, user: str, password: str) -> None:
        self.challenge = challenge
        self._user, self._password = user, password
        self._count = 0

    @staticmethod
    def best(found: list[Challenge]) -> Challenge | None:
        """The challenge with the strongest hash; None where none can be answered."""
        usable = [challenge for challenge in found if challenge.usable]
        return min(usable, key=lambda challenge: list(_HASHES).index(challenge.algorithm), default=None)

    def header(self, method: str, target: str, cnonce: str | None = None) -> str:
        """The `Authorization` header for the next request.

        Args:
            method: `GET` or `POST`.
            target: path and query as in the request line.
            cnonce: our own random text; None draws it.
        """
        asked = self.challenge.parameters
        hashed = _HASHES[self.challenge.algorithm]

        def h(*parts: str) -> str:
            return hashed(":".join(parts).encode()).hexdigest()

        self._count += 1
        nonce, realm, count = asked["nonce"], asked.get("realm", ""), f"{self._count:08x}"
        cnonce = secrets.token_hex(8) if cnonce is None else cnonce
        secret = h(self._user, realm, self._password)
        if asked.get("algorithm", "").upper().endswith("-SESS"):
            secret = h(secret, nonce, cnonce)
        said = {"username": self._user, "realm": realm, "nonce": nonce, "uri": target}
        if "qop" in asked:
            response = h(secret, nonce, count, cnonce, "auth", h(method, target))
        else:
            response = h(secret, nonce, h(method, target))
        said["response"] = response
        if "opaque" in asked:
            said["opaque"] = asked["opaque"]
        quoted = [f'{key}="{_escaped(value)}"' for key, value in said.items()]
        if "algorithm" in asked:
            quoted.append(f"algorithm={asked['algorithm']}")
        if "qop" in asked:
            quoted += ["qop=auth", f"nc={count}", f'cnonce="{cnonce}"']
        return "Digest " + ", ".join(quoted)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
