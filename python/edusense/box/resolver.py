"""Where each camera's streams are, found out by ONVIF: many at a time, each with its own deadline and its own pauses.

A dead camera costs one thread of the pool for one deadline, and never delays another one's pictures.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edusense.box.pool import DaemonPool
from edusense.errors import DeviceRefusedError, EdusenseError, SiteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.fleet import StreamAddresses
    from edusense.site import Site

__all__ = ["Login", "Resolved", "Resolver"]

logger = logging.getLogger(__name__)

REFUSED_S = 900.0
"""Cameras lock accounts: after a refusal nothing is asked for so many seconds, unless the site file, the secret or
somebody says so.
"""


@dataclass(frozen=True)
class Login:
    """A user and a password that were read from where the site file says they are; neither is ever shown."""

    user: str
    password: str = field(repr=False)

    def secret(self) -> str:
        """The password."""
        return self.password


@dataclass(frozen=True)
class Resolved:
    """A camera whose streams are known."""

    camera: Any
    login: Login | None
    addresses: StreamAddresses


@dataclass
class _Asked:
    """A camera, and how far it is."""

    camera: Any
    due: float = 0.0
    pause: float = 0.0
    asking: bool = False
    login: Login | None = None
    resolved: Resolved | None = None
    state: str = "connecting"
    reason: str | None = None
    code: str | None = None


class Resolver:
    """Resolves the cameras of a site, again and again until each is known.

    Args:
        find: `edusense.fleet.stream_addresses`, or what stands in for it.
        changed: called, in a thread of the pool, after each answer or failure.
        tell: called with a camera's id, its state (`refused`, `lost`), the reason and the error's code, in any thread,
            each time that one of them is another than before.
        threads: cameras that are asked at the same time.
        timeout_s: deadline of one camera.
        first_s: pause after the first failure; doubles, with a little chance, to `limit_s`.
        limit_s: longest pause.
    """

    def __init__(
        self,
        find: Callable[..., StreamAddresses],
        changed: Callable[[], None],
        *,
        tell: Callable[[str, str, str, str], None] | None = None,
        threads: int = 16,
        timeout_s: float = 10.0,
        first_s: float = 1.0,
        limit_s: float = 60.0,
    ) -> None:
        self._find, self._changed, self._tell = find, changed, tell
        self._timeout_s, self._first_s, self._limit_s = timeout_s, first_s, limit_s
        self._pool = DaemonPool(threads, "resolve")
        self._lock = threading.Lock()
        self._asked: dict[str, _Asked] = {}

    def update(self, site: Site) -> None:
        """Takes the cameras of a site file that was read; those whose entry and login are the same stay known."""
        logins: dict[str, Login | SiteError] = {}
        refused: list[tuple[str, SiteError]] = []
        with self._lock:
            before, self._asked = self._asked, {}
            for camera in site.cameras:
                asked = _Asked(camera)
                login = _login(site, camera, logins)
                if isinstance(login, SiteError):
                    # Nothing mends this but a change of the secret or the site file, and that comes back here.
                    asked.state, asked.reason, asked.code, asked.due = "refused", str(login), login.code, float("inf")
                    refused.append((camera.id, login))
                else:
                    asked.login = login
                    old = before.get(camera.id)
                    if old is not None and old.camera == camera and old.login == login and old.resolved is not None:
                        asked.resolved = old.resolved
                self._asked[camera.id] = asked
        for name, error in refused:
            logger.error("camera=%s: %s", name, error)
            if self._tell is not None:
                self._tell(name, "refused", str(error), error.code)
        self.turn()

    def turn(self) -> None:
        """Begins to ask every camera that is due."""
        now = time.monotonic()
        with self._lock:
            for asked in self._asked.values():
                if asked.resolved is None and not asked.asking and asked.due <= now:
                    asked.asking = True
                    self._pool.submit(self._ask, asked)

    def again(self, camera: str) -> None:
        """Asks a camera again, at once, whatever happened before; what is known stays until there is an answer."""
        with self._lock:
            asked = self._asked.get(camera)
            if asked is None or asked.asking or asked.camera.address is None or asked.due == float("inf"):
                return
            asked.asking = True
            asked.pause = 0.0
            self._pool.submit(self._ask, asked)

    def resolved(self) -> list[Resolved]:
        """The cameras that are known, in the order of the site file."""
        with self._lock:
            return [asked.resolved for asked in self._asked.values() if asked.resolved is not None]

    def unresolved(self) -> dict[str, tuple[str, str | None, str | None]]:
        """State, reason and error code of those that are not."""
        with self._lock:
            return {
                name: (asked.state, asked.reason, asked.code)
                for name, asked in self._asked.items()
                if asked.resolved is None
            }

    def close(self) -> None:
        """Asks nobody any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, asked: _Asked) -> None:
        name = asked.camera.id
        try:
            addresses = self._find(asked.camera, asked.login, self._timeout_s)
        except Exception as error:
            with self._lock:
                asked.asking = False
                asked.pause = min(max(self._first_s, 2 * asked.pause), self._limit_s)
                pause = asked.pause * random.uniform(0.8, 1.2)
                refused = isinstance(error, (DeviceRefusedError, SiteError))
                asked.due = time.monotonic() + (REFUSED_S if refused else pause)
                before = asked.state, asked.reason
                state = asked.state = "refused" if refused else "lost"
                reason = asked.reason = f"{error}" or type(error).__name__
                code = asked.code = error.code if isinstance(error, EdusenseError) else "internal"
            if before != (state, reason):
                trace = None if isinstance(error, EdusenseError) else error
                logger.warning("camera=%s: %s", name, reason, exc_info=trace)
                if self._tell is not None:
                    self._tell(name, state, reason, code)
        else:
            with self._lock:
                asked.asking = False
                asked.pause = 0.0
                asked.reason = asked.code = None
                asked.resolved = Resolved(asked.camera, asked.login, addresses)
            logger.debug("camera=%s: streams known", name)
        self._changed()


def _login(site: Site, camera: Any, known: dict[str, Login | SiteError]) -> Login | SiteError | None:
    """The camera's login; each secret is read once for all cameras that share it."""
    name = camera.credentials
    if name is None:
        return None
    if name not in known:
        credentials = site.credentials[name]
        try:
            known[name] = Login(credentials.user, credentials.secret())
        except SiteError as error:
            known[name] = error
    return known[name]
