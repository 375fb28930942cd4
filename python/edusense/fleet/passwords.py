"""Changing the passwords of cameras so that nobody is locked out, whatever a camera answers and whenever it breaks off.

The new password stands already where a table of [credentials] says; both passwords are in an encrypted journal before
the camera hears of the new one; the camera is logged in to with the new one before the site file takes the old one from
it. What a camera said proves nothing.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from edusense.errors import DeviceError, DeviceRefusedError, PermissionDeniedError, SiteError, UsageError
from edusense.fleet.adding import edit_site
from edusense.fleet.addresses import open_of_site
from edusense.fleet.applying import Applied
from edusense.fleet.pool import VISIT_S, WORKERS, visit_all
from edusense.fleet.tasks import chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edusense.fleet.pool import Progress
    from edusense.site import Camera, Credentials, Site

__all__ = ["SealedJournal", "new_password", "rotate_passwords"]

ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789-_"
"""What every camera takes (Dahua: none of ' \" ; : &; others break at /), without what is mistaken on paper."""
LENGTH: Final = 20


def new_password() -> str:
    """A random password that every camera takes: 20 letters, digits, - and _; about 117 bits."""
    while True:
        found = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        kinds = (str.isupper, str.islower, str.isdigit, lambda one: one in "-_")
        if found[0].isalnum() and all(any(kind(one) for one in found) for kind in kinds):
            return found  # cameras with rules want three kinds of characters or all four


class SealedJournal:
    """What is done to passwords, on disk before it is done, readable with the site's key alone.

    Args:
        path: the file; made where it does not exist, readable by its owner alone.
        key: the site's key (`[fleet] key`): any text; a passphrase is stretched by scrypt.

    Raises:
        PermissionDeniedError: it may not be read or written.
        UsageError: it was written with another key, or is no such journal.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._file = os.fdopen(descriptor, "a+b")
        except PermissionError:
            raise PermissionDeniedError(
                f"`{path}` may not be written by this user", hint="run it as the box's user"
            ) from None
        except OSError as error:
            raise UsageError(f"`{path}` cannot hold a journal: {error.strerror}") from None
        try:
            self._begin(key)
        except BaseException:
            self._file.close()
            raise

    def _begin(self, key: str) -> None:
        """Reads what stands there, or begins a new one."""
        self._file.seek(0)
        content = self._file.read()
        lines = content.splitlines()
        if lines:
            salt = self._salt(lines[0])
        else:
            salt = secrets.token_bytes(16)
            self._write({"edusense_passwords": 1, "scrypt": base64.b64encode(salt).decode()})
        self._cipher = AESGCM(Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(key.encode()))
        if content and not content.endswith(b"\n"):
            self._file.write(b"\n")
        self._entries = [entry for line in lines[1:] if (entry := self._opened(line)) is not None]

    def _salt(self, line: bytes) -> bytes:
        try:
            head = json.loads(line)
            if head["edusense_passwords"] != 1:
                raise ValueError
            return base64.b64decode(head["scrypt"], validate=True)
        except (ValueError, KeyError, TypeError):
            raise UsageError(f"`{self._path}` is no journal of password changes", hint="move it away") from None

    def _opened(self, line: bytes) -> dict[str, Any] | None:
        try:
            entry = json.loads(line)
            sealed = base64.b64decode(entry["sealed"], validate=True)
            plain = self._cipher.decrypt(sealed[:12], sealed[12:], entry["camera"].encode())
            return {**entry, **json.loads(plain)}
        except InvalidTag:
            raise UsageError(
                f"`{self._path}` was written with another key than [fleet] names now",
                hint="name that key again, or move the journal away once every camera answers to its password",
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            return None  # torn by a power cut

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What stands in it, in order: `at_s`, `camera`, `state`, and what was sealed."""
        return list(self._entries)

    def last(self, camera: str) -> dict[str, Any] | None:
        """The last word about a camera; None where there is none."""
        return next((entry for entry in reversed(self._entries) if entry["camera"] == camera), None)

    def say(self, camera: str, state: str, **sealed: Any) -> None:
        """Writes a line; on disk when it returns.

        Args:
            camera: the camera's id.
            state: `begin`, or what came of it.
            sealed: what only the key opens.
        """
        nonce = secrets.token_bytes(12)
        plain = json.dumps({"state": state, **sealed}).encode()
        data = nonce + self._cipher.encrypt(nonce, plain, camera.encode())
        entry = {"at_s": round(time.time(), 3), "camera": camera, "sealed": base64.b64encode(data).decode()}
        with self._lock:
            self._entries.append({**entry, "state": state, **sealed})
            self._write(entry)

    def _write(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file; harmless when repeated."""
        self._file.close()

    def __enter__(self) -> SealedJournal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def rotate_passwords(
    site: Site,
    cameras: Sequence[str],
    to: str,
    *,
    remove_old: bool = False,
    workers: int = WORKERS,
    visit_s: float = VISIT_S,
    journal: Path | None = None,
    progress: Progress | None = None,
    on_changed: Callable[[Camera], None] | None = None,
) -> list[Applied]:
    """Gives cameras the user and password of another table of [credentials], one after the other's own pace.

    Broken off, the same call goes on: where the journal says that a camera may have the new password already, that is
    tried first. One wrong login a camera and run at most.

    Args:
        site: a site that was loaded from a file; each camera's `credentials` is changed in it as soon as it answers to
            the new password.
        cameras: ids or patterns.
        to: the table of [credentials] with the new user and password.
        remove_old: take the old user from the camera afterwards, where the new one is another; never the last
            administrator.
        workers: cameras at once.
        visit_s: longest visit to one camera, in seconds.
        journal: the file of the journal; `fleet/passwords.jsonl` in the site's data folder by default.
        progress: called with how many cameras are done and how many there are.
        on_changed: called for each camera that answers to its new password.

    Returns:
        A row a camera: `changed`, `unchanged` (it has that table already), `refused`, `accepted-but-not-applied`,
        `unreachable-after`; None where it was not tried.

    Raises:
        UsageError: no camera fits, or there is no such table.
        SiteSecretError: the new password or the key cannot be read.
    """
    todo = chosen(site, cameras)
    if to not in site.credentials:
        known = ", ".join(site.credentials) or "none"
        raise UsageError(
            f"the site file has no [credentials.{to}]",
            hint=f"it has {known}; add the table with the new user and where the new password is",
        )
    new = site.credentials[to]
    password = new.secret()
    key = site.fleet.secret()
    keeper = _Keeper(site, to, on_changed)
    with SealedJournal(journal or site.data_folder() / "fleet" / "passwords.jsonl", key) as kept:

        def work(camera: Camera, stop: threading.Event) -> Applied:
            return _Rotation(site, camera, to, new, password, kept, visit_s, remove_old=remove_old).run(keeper)

        found = dict(visit_all(todo, work, workers, progress))
    return [found[index] for index in range(len(todo))]


class _Keeper:
    """Writes into the site file, one camera at a time, which table a camera has now."""

    def __init__(self, site: Site, to: str, on_changed: Callable[[Camera], None] | None) -> None:
        self._site, self._to, self._on_changed = site, to, on_changed
        self._lock = threading.Lock()

    def changed(self, camera: Camera) -> None:
        with self._lock:
            if self._site.path is not None and camera.credentials != self._to:
                place = next(index for index, one in enumerate(self._site.cameras) if one.id == camera.id)
                self._site = edit_site(self._site, [("set", ("cameras", place, "credentials"), self._to)])
        if self._on_changed is not None:
            self._on_changed(camera)


class _Rotation:
    """One camera's change."""

    def __init__(
        self,
        site: Site,
        camera: Camera,
        to: str,
        new: Credentials,
        password: str,
        journal: SealedJournal,
        visit_s: float,
        *,
        remove_old: bool,
    ) -> None:
        self._site, self._camera, self._to, self._new, self._password = site, camera, to, new, password
        self._journal, self._visit_s, self._remove_old = journal, visit_s, remove_old

    def run(self, keeper: _Keeper) -> Applied:
        camera, before = self._camera, self._camera.credentials
        if camera.address is None:
            return self._row(None, "not tried: it is given by `url`, without ONVIF")
        if before == self._to:
            problem = self._refusal(self._new)
            return self._row("unchanged", None) if problem is None else self._row("refused", problem)
        last = self._journal.last(camera.id)
        if last is not None and last["state"] == "begin" and last.get("to") == self._to:
            # An earlier run was broken off after this: the camera may have the new one already.
            if self._refusal(self._new) is None:
                return self._done(keeper, "set by an earlier run that was broken off")
            self._journal.say(camera.id, "not-applied")
            note = "an earlier run was broken off here, and the new password does not hold: run it once more"
            return self._row("accepted-but-not-applied", note)
        try:
            return self._set(keeper)
        except (DeviceError, SiteError) as error:
            hint = f"; {error.hint}" if error.hint else ""
            return self._row(None, f"not tried: {error.message}{hint}")

    def _set(self, keeper: _Keeper) -> Applied:
        camera = self._camera
        old = self._site.credentials_of(camera)
        with open_of_site(self._site, camera, self._visit_s) as opened:
            with contextlib.suppress(DeviceRefusedError):  # one that wants another password first tells nothing else
                opened.information()
            opened.prove_login()
            self._journal.say(
                camera.id,
                "begin",
                to=self._to,
                old=None if old is None else [old.user, old.secret()],
                new=[self._new.user, self._password],
            )
            try:
                opened.set_password(self._new.user, self._password)
                said = ""
            except DeviceRefusedError as error:
                self._journal.say(camera.id, "refused")
                return self._row("refused", error.message + (f"; {error.hint}" if error.hint else ""))
            except DeviceError as error:
                said = error.message  # it may have done it all the same
        problem = self._refusal(self._new)
        if problem is None:
            return self._done(keeper, said or None)
        if old is not None and self._refusal(old) is None:
            self._journal.say(camera.id, "not-applied")
            return self._row("accepted-but-not-applied", "the camera said OK, and answers to the old password alone")
        self._journal.say(camera.id, "lost")
        note = f"it answers to neither password now ({problem}); the journal holds both: try again in some minutes"
        return self._row("unreachable-after", note)

    def _done(self, keeper: _Keeper, note: str | None) -> Applied:
        keeper.changed(self._camera)
        self._journal.say(self._camera.id, "changed")
        if self._remove_old and (problem := self._forget_old()):
            note = "; ".join(part for part in (note, problem) if part)
        return self._row("changed", note)

    def _forget_old(self) -> str | None:
        """Takes the old user from the camera, where it is another; why that could not be done."""
        old = self._site.credentials_of(self._camera)
        if old is None or old.user == self._new.user:
            return None
        try:
            with open_of_site(self._site, self._camera, self._visit_s, credentials=self._new) as opened:
                opened.information()
                opened.write_settings("users", {f"user:{old.user}": "absent"})
                left = opened.read_settings("users").values["users"]
        except DeviceError as error:
            return f"the old user `{old.user}` is still there: {error.message}"
        return f"the old user `{old.user}` is still there, although the camera said OK" if old.user in left else None

    def _refusal(self, credentials: Credentials) -> str | None:
        """Why a login does not hold; None where it does. One attempt."""
        try:
            with open_of_site(self._site, self._camera, self._visit_s, credentials=credentials) as opened:
                opened.prove_login()
        except (DeviceError, SiteError) as error:
            return error.message
        return None

    def _row(self, outcome: Any, note: str | None) -> Applied:
        before = f"[credentials.{self._camera.credentials}]" if self._camera.credentials else None
        wanted = f"[credentials.{self._to}]"
        after = wanted if outcome in ("changed", "unchanged") else before
        return Applied(self._camera.id, f"users.{self._new.user}.password", outcome, before, wanted, after, note)
