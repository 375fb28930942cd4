"""Where the box of a site lives on disk: its socket, its lock, and how a long path is still reached."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from edusense.errors import BoxBusyError, BoxNotRunningError, PermissionDeniedError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BoxLock", "short_path", "socket_of"]

SOCKET_NAME = "box.sock"
LOCK_NAME = "box.lock"


def socket_of(where: str | os.PathLike[str] | None = None) -> Path:
    """The socket that belongs to a place.

    Args:
        where: a socket, a site file, or a folder that holds one of them; None is `$EDUSENSE_SITE`, else
            `./school.toml`.

    Returns:
        The socket's path; whether a box answers there is not looked at.

    Raises:
        BoxNotRunningError: a folder with neither a socket nor a site file.
        SiteError: the site file cannot be read.
    """
    path = Path(os.environ.get("EDUSENSE_SITE") or "school.toml") if where is None else Path(where)
    try:
        mode = path.stat().st_mode
    except OSError:
        mode = 0
    if stat.S_ISSOCK(mode) or (mode == 0 and path.suffix == ".sock"):
        return path
    if stat.S_ISDIR(mode):
        if (path / SOCKET_NAME).exists():
            return path / SOCKET_NAME
        if (path / "school.toml").is_file():
            return socket_of(path / "school.toml")
        raise BoxNotRunningError(
            f"`{path}` holds neither `{SOCKET_NAME}` nor `school.toml`",
            hint="name the site file, or the folder that its key `site.data` names",
        )
    return _data_folder(path) / SOCKET_NAME


def _data_folder(site: Path) -> Path:
    # Asking how the box is doing must work while somebody is in the middle of editing the site file, so only one key is
    # read; where that fails, the whole reader says what is wrong.
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        data: str = tomllib.loads(site.read_text("utf-8"))["site"]["data"]
        return site.absolute().parent / data
    from edusense.site import Site

    return Path(Site.load(site).data_folder())


@contextlib.contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A name for a socket that fits into `sun_path` (108 bytes on Linux, unix(7)), however long its path is.

    A long one is reached through `/proc/self/fd/N/NAME`, N being its open folder. The name is good inside the block.
    """
    if len(os.fsencode(path)) < 108:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class BoxLock:
    """One box a site: a lock on a file in its data folder, with the holder's name in it.

    The kernel gives the lock back when the holder dies, however it dies.

    Args:
        folder: the site's data folder.
        site: the site file, for whoever meets the lock.

    Raises:
        BoxBusyError: another box runs on this site; the message says which.
        PermissionDeniedError: the folder cannot be written.
    """

    def __init__(self, folder: Path, site: Path) -> None:
        self.path = folder / LOCK_NAME
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise PermissionDeniedError(
                f"`{self.path}` cannot be written: {os.strerror(error.errno or errno.EIO)}",
                hint=f"`{folder}` must belong to the user who runs the box, on a disk that is mounted for writing",
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = _holder(os.read(self._file, 1000))
            os.close(self._file)
            raise BoxBusyError(
                f"a box runs on this site already: {holder}",
                hint="`edusense status` asks it how it is; stop it before you start another",
            ) from None
        os.ftruncate(self._file, 0)
        note = {"pid": os.getpid(), "uid": os.getuid(), "since_s": round(time.time()), "site": str(site)}
        os.write(self._file, json.dumps(note).encode() + b"\n")

    def close(self) -> None:
        """Gives the lock back. The file stays: deleting it would let two boxes hold two files of one name."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1


def _holder(note: bytes) -> str:
    try:
        told = json.loads(note)
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(told["since_s"]))
        return f"process {told['pid']} of user {told['uid']}, since {since}, site `{told['site']}`"
    except (ValueError, KeyError, TypeError):
        return "its note cannot be read"
