"""Who may ask a virtual camera: WS-UsernameToken and HTTP Digest, the device's half.

Sources: OASIS WSS UsernameToken Profile 1.0 (`PasswordDigest = Base64(SHA-1(nonce + created + password))`), RFC 7616
(HTTP Digest), ONVIF Core Specification 5.9 (both, and which fault). Written apart from the driver's half, so that each
tests the other.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from edusense.sim.onvif_xml import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from edusense.sim.onvif_http import Request
    from edusense.sim.onvif_xml import Element

__all__ = ["Guard", "Visitor"]

SKEW_LIMIT_S: Final = 300.0
"""How far a token's `Created` may be from the camera's clock; the figure that real cameras use (facts: 5 minutes)."""
STRICT_LIMIT_S: Final = 5.0
LOCK_AFTER: Final = 5
LOCK_S: Final = 30.0
"""Samsung SND-5084R: five failures, 30 seconds."""
NONCE_LIFE_S: Final = 300.0
NONCES_KEPT: Final = 1024

_HASHES: Final = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_PARAMETER = re.compile(r'([a-zA-Z][a-zA-Z-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who has logged in.

    Args:
        name: the user's name.
        proven: the password was looked at, and right.
    """

    name: str
    proven: bool = True


class Guard:
    """Checks the credentials of one camera's visitors.

    Args:
        passwords: passwords by user, as they are now; None lets everybody in.
        clock: the camera's own clock, in Unix seconds.
        schemes: what is accepted: `wsse`, `digest`.
        algorithms: digest algorithms offered, in this order: `MD5`, `SHA-256`.
        allow_password_text: accept a token that carries the password in clear.
        lies: what the camera does wrong now: names out of `edusense.sim.onvif_lies.LIES`.
    """

    def __init__(
        self,
        passwords: Callable[[], Mapping[str, str]] | None,
        clock: Callable[[], float],
        *,
        schemes: Sequence[str] = ("wsse", "digest"),
        algorithms: Sequence[str] = ("MD5",),
        allow_password_text: bool = False,
        lies: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self._passwords, self._clock, self._lies = passwords, clock, lies
        self._schemes, self._algorithms, self._allow_text = tuple(schemes), tuple(algorithms), allow_password_text
        self._realm = "edusense virtual camera"
        self._seen: OrderedDict[bytes, float] = OrderedDict()
        self._given: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._locked_until = 0.0
        self.failures = 0
        """How often a user or password was wrong: what a camera's lock-out counts."""

    def _accepts(self, scheme: str, *, media: bool = False) -> bool:
        lies = self._lies()
        if scheme == "wsse":
            refused = "digest-only" in lies or (media and "digest-on-media" in lies)
        else:
            refused = "unusable-digest" in lies or "token-only" in lies or ("digest-on-media" in lies and not media)
        return scheme in self._schemes and not refused

    def challenges(self, *, stale: bool = False, picture: bool = False, media: bool = False) -> list[tuple[str, str]]:
        """The `WWW-Authenticate` headers of a 401, a fresh nonce in each.

        Args:
            stale: user and password were right, only the nonce was not.
            picture: for the still picture, which has no other way to log in.
            media: at another service than the device's.
        """
        lies = self._lies()
        offered = self._accepts("digest", media=media) or "unusable-digest" in lies
        if not offered and not picture:
            return []
        headers = []
        for algorithm in ("MD5", "SHA-256") if "two-challenges" in lies else self._algorithms:
            nonce = secrets.token_hex(16)
            self._given[nonce] = (self._clock() + NONCE_LIFE_S, 0)
            while len(self._given) > NONCES_KEPT:
                self._given.popitem(last=False)
            text = f'Digest realm="{self._realm}", qop="auth", nonce="{nonce}", algorithm={algorithm}'
            headers.append(("WWW-Authenticate", text + (", stale=true" if stale else "")))
        return headers

    def check_token(self, header: Element | None, *, media: bool = False) -> Visitor | None:
        """Checks the WS-UsernameToken in a SOAP header.

        Args:
            header: the SOAP header.
            media: at another service than the device's.

        Returns:
            None where there is none; who it is where it is right.

        Raises:
            Fault: it is wrong, too old, or was seen before.
        """
        token = header.find("Security", "UsernameToken") if header else None
        if token is None:
            return None
        name = token.value("Username")
        if self._passwords is None:
            return Visitor(name)
        if not self._accepts("wsse", media=media):
            raise self._refusal("UsernameToken is not accepted", counted=False)
        self._not_locked()
        known = self._passwords().get(name)
        password = token.find("Password")
        given = password.text if password else ""
        if password is None or password.attributes.get("Type", "").endswith("#PasswordText"):
            if not self._allow_text:
                raise self._refusal("PasswordText is not accepted, PasswordDigest is", counted=False)
            wanted = known or ""
        else:
            wanted = self._digest_of(token, known or "")
        return self._known(name, known is not None and _same(given.strip(), wanted), 400)

    def _known(self, name: str, right: bool, status: int) -> Visitor:
        if right or "lets-anyone-read" in self._lies():
            return Visitor(name, proven=right)
        raise self._refusal("wrong user or password", status)

    def _not_locked(self) -> None:
        if self._locked_until > time.monotonic():
            raise self._refusal("the account is locked", counted=False)

    def _digest_of(self, token: Element, known: str) -> str:
        """The PasswordDigest that this token should carry; refuses one that is stale or repeated."""
        created, now = token.value("Created"), self._clock()
        try:
            nonce = base64.b64decode(token.value("Nonce"), validate=True)
            when = datetime.fromisoformat(created)
        except (ValueError, binascii.Error):
            raise self._refusal("Nonce or Created cannot be read", counted=False) from None
        if not nonce or when.tzinfo is None:
            raise self._refusal("Nonce or Created is missing or without a time zone", counted=False)
        lies = self._lies()
        if "zulu-only" in lies and not created.endswith("Z"):
            raise self._refusal("Created does not end in Z", counted=False)
        if abs(when.timestamp() - now) > (STRICT_LIMIT_S if "strict-clock" in lies else SKEW_LIMIT_S):
            raise self._refusal("Created is too far from the camera's clock", counted=False)
        while self._seen and (next(iter(self._seen.values())) < now or len(self._seen) >= NONCES_KEPT):
            self._seen.popitem(last=False)
        if nonce in self._seen:
            raise self._refusal("replayed nonce", counted=False)
        self._seen[nonce] = now + 2 * SKEW_LIMIT_S
        digest = hashlib.sha1(nonce + created.encode() + known.encode()).digest()  # noqa: S324 - the profile's
        return base64.b64encode(digest).decode()

    def check_digest(self, request: Request, *, picture: bool = False, media: bool = False) -> Visitor | None:
        """Checks HTTP Digest.

        Args:
            request: what came.
            picture: it asks for the still picture, which has no other way to log in.
            media: at another service than the device's.

        Returns:
            None where the request carries none; who it is where it is right.

        Raises:
            Fault: it is wrong (401); the caller adds a new challenge.
        """
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "digest" or not (self._accepts("digest", media=media) or picture):
            return None
        if self._passwords is None:
            return Visitor("")
        self._not_locked()
        said = {key.lower(): quoted or bare for key, quoted, bare in _PARAMETER.findall(rest)}
        life, used = self._given.get(said.get("nonce", ""), (0.0, 0))
        hashed = _HASHES.get(said.get("algorithm", "MD5").upper())
        if hashed is None or said.get("qop") != "auth" or said.get("realm") != self._realm:
            raise self._refusal("Digest parameters are not those of the challenge", 401, counted=False)
        if said.get("uri") != request.target:
            raise self._refusal("Digest is for another address", 401, counted=False)

        def h(text: str) -> str:
            return hashed(text.encode()).hexdigest()

        name = said.get("username", "")
        known = self._passwords().get(name)
        secret = h(f"{name}:{self._realm}:{known or ''}")
        what = h(f"{request.method}:{request.target}")
        wanted = h(":".join([secret, said.get("nonce", ""), said.get("nc", ""), said.get("cnonce", ""), "auth", what]))
        visitor = self._known(name, known is not None and _same(said.get("response", ""), wanted), 401)
        try:
            count = int(said.get("nc", ""), 16)
        except ValueError:
            raise self._refusal("nc is no number", 401, counted=False) from None
        if life < self._clock() or count <= used:
            raise StaleNonceFault
        self._given[said["nonce"]] = (life, count)
        return visitor

    def _refusal(self, reason: str, status: int = 400, *, counted: bool = True) -> Fault:
        if counted:
            self.failures += 1
            if "locks" in self._lies() and self.failures % LOCK_AFTER == 0:
                self._locked_until = time.monotonic() + LOCK_S
        return Fault(("ter:NotAuthorized",), f"Sender not authorized: {reason}", status=status)


class StaleNonceFault(Fault):
    """User and password are right, the nonce is used up: the client may ask once more with a new one."""

    def __init__(self) -> None:
        super().__init__(("ter:NotAuthorized",), "Sender not authorized: stale nonce", status=401)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def utc(seconds: float) -> datetime:
    """Unix seconds as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
