"""Cameras of the site file that are given by `address`: where their streams are is asked by ONVIF, beside the engine.

One attempt to log in is made at each; whoever refuses is not asked again before the cameras are set anew, since cameras
lock accounts. Whoever does not answer is asked again after a pause that doubles.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from edusense import devices
from edusense.devices.address import onvif_address
from edusense.devices.profiles import choose
from edusense.errors import DeviceRefusedError, EdusenseError, SiteError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Asking", "Found"]

THREADS: Final = 16
VISIT_S: Final = 10.0
CALL_S: Final = 5.0
FIRST_S: Final = 1.0
LIMIT_S: Final = 60.0


@dataclass(frozen=True)
class Found:
    """Where a camera's streams are.

    Attributes:
        url: of the stream that is analysed.
        keep_url: of the stream that clips are cut from; None where it is the same.
        user: for both.
        password: for both; never shown.
    """

    url: str
    keep_url: str | None
    user: str | None
    password: str | None = field(repr=False)


@dataclass
class _Waiting:
    camera: Any
    due_s: float = 0.0
    pause_s: float = FIRST_S


class Asking:
    """Asks cameras where their streams are, until each has said so or refused.

    Args:
        found: called with a camera's id and what it said, in a thread of its own.
        failed: likewise, with the id, `refused` or `lost`, and the error.
    """

    def __init__(self, found: Callable[[str, Found], None], failed: Callable[[str, str, EdusenseError], None]) -> None:
        self._found, self._failed = found, failed
        self._changed = threading.Condition()
        self._waiting: dict[str, _Waiting] = {}
        self._asked: set[str] = set()
        self._threads: list[threading.Thread] = []
        self._closed = False

    def update(self, cameras: dict[str, Any]) -> None:
        """Sets the cameras that are to be asked, by id; the others are forgotten."""
        with self._changed:
            before = self._waiting
            self._waiting = {}
            for name, camera in cameras.items():
                known = before.get(name)
                # The same one goes on with its pause; a changed one, or one that had refused, is asked at once.
                self._waiting[name] = known if known and known.camera == camera else _Waiting(camera)
            while len(self._threads) < min(THREADS, len(self._waiting)):
                thread = threading.Thread(target=self._work, name="edusense-asking", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify_all()

    def close(self) -> None:
        """Asks nobody any more; does not wait for who is being asked."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def _work(self) -> None:
        while (taken := self._next()) is not None:
            name, waiting = taken
            try:
                found = ask(waiting.camera)
            except (DeviceRefusedError, SiteError) as error:
                self._end(name, waiting, partial(self._failed, name, "refused", error))
            except EdusenseError as error:
                self._again(name, waiting, error)
            else:
                self._end(name, waiting, partial(self._found, name, found))

    def _next(self) -> tuple[str, _Waiting] | None:
        """The next camera whose time has come; None when there is an end."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                free = [(one.due_s, name) for name, one in self._waiting.items() if name not in self._asked]
                if free and (first := min(free))[0] <= now:
                    self._asked.add(first[1])
                    return first[1], self._waiting[first[1]]
                self._changed.wait(min(free)[0] - now if free else None)
            return None

    def _end(self, name: str, waiting: _Waiting, tell: Callable[[], None]) -> None:
        with self._changed:
            self._asked.discard(name)
            wanted = self._waiting.get(name) is waiting and not self._closed
            if wanted:
                del self._waiting[name]
            self._changed.notify()
        if wanted:
            tell()

    def _again(self, name: str, waiting: _Waiting, error: EdusenseError) -> None:
        with self._changed:
            self._asked.discard(name)
            wanted = self._waiting.get(name) is waiting and not self._closed
            first = waiting.pause_s == FIRST_S
            waiting.due_s = time.monotonic() + waiting.pause_s * random.uniform(0.8, 1.2)
            waiting.pause_s = min(2 * waiting.pause_s, LIMIT_S)
            self._changed.notify()
        if wanted and first:
            self._failed(name, "lost", error)


def ask(camera: Any) -> Found:
    """Asks one camera for the addresses of the streams that it names by `watch` and `keep`.

    Args:
        camera: of the site file: `address`, `watch`, `keep`, `certificate`, `login()`.

    Raises:
        DeviceError: it cannot be reached, or refuses.
        SiteError: its password cannot be read, or it has no such profile.
    """
    login = camera.login()
    user, password = (None, None) if login is None else (login.user, login.secret())
    more = {} if camera.certificate is None else {"certificate": camera.certificate}
    opened = devices.open_camera(
        onvif_address(camera.address),
        user=user,
        password=password,
        timeout_s=CALL_S,
        visit_s=VISIT_S,
        **more,
    )
    with contextlib.closing(opened):
        profiles = opened.profiles()
        watched, kept = (choose(profiles, wanted, camera.id) for wanted in (camera.watch, camera.keep))
        url = opened.stream_address(watched)
        keep_url = None if kept.token == watched.token else opened.stream_address(kept)
    return Found(url, keep_url, user, password)
