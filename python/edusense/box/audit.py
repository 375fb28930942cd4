"""The audit log of exports: which picture or clip left the box, when, who took it, and why.

Children are on these pictures, so who carries one away is written down before it is handed out, and where that cannot
be written nothing is handed out. The file is `audit.jsonl` in the site's data folder: one JSON object a line, only ever
appended to, each line on the disk before the export goes on.
"""

from __future__ import annotations

import datetime
import errno
import os
import pwd
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edusense.box.protocol import encode
from edusense.errors import PermissionDeniedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["AUDIT_NAME", "AuditLog", "Peer"]

AUDIT_NAME: Final = "audit.jsonl"


@dataclass(frozen=True)
class Peer:
    """The process at the other end of the box's socket, as the kernel names it; it cannot give another's name."""

    pid: int
    uid: int

    @classmethod
    def of(cls, connection: socket.socket) -> Peer | None:
        """Who is at the other end of a Unix socket (SO_PEERCRED, unix(7)); None where the kernel does not say."""
        try:
            packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        except OSError:
            return None
        pid, uid, _ = struct.unpack("3i", packed)
        return cls(pid, uid)

    @classmethod
    def this(cls) -> Peer:
        """This process: its real user, also under a program with other rights."""
        return cls(os.getpid(), os.getuid())

    @property
    def user(self) -> str | None:
        """The name of that user; None where the system knows none."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return None

    def __str__(self) -> str:
        return f"process {self.pid} of user {self.uid}"


class AuditLog:
    """The audit log of one site; several processes may append to it at once.

    Args:
        folder: the site's data folder.
        clock: Unix seconds.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.path = folder / AUDIT_NAME
        self._clock = clock
        self._lock = threading.Lock()

    def write(self, what: str, subject: str, reason: str, by: Peer | None) -> None:
        """Appends one export; it is on the disk when this returns.

        Args:
            what: `clip`, `thumbnail`, `snapshot`, …
            subject: the event, camera or case that it is of.
            reason: why, in somebody's words.
            by: who takes it; None where the kernel does not say.

        Raises:
            PermissionDeniedError: it cannot be written, so the export must not happen.
        """
        now = self._clock()
        row: dict[str, Any] = {
            "time_s": round(now, 3),
            "time": datetime.datetime.fromtimestamp(now, datetime.UTC).isoformat(timespec="milliseconds"),
            "uid": None if by is None else by.uid,
            "user": None if by is None else by.user,
            "pid": None if by is None else by.pid,
            "what": what,
            "of": subject,
            "reason": reason,
        }
        try:
            with self._lock:
                self._append(encode(row))
        except OSError as error:
            raise PermissionDeniedError(
                f"the audit log `{self.path}` cannot be written: {error.strerror}; so nothing is handed out",
                hint=f"look at `ls -ld {self.path.parent}` and `df {self.path.parent}`; a running box writes it itself",
            ) from error

    def _append(self, line: bytes) -> None:
        fresh = not self.path.exists()
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            size = os.fstat(file).st_size
            if size and os.pread(file, 1, size - 1) != b"\n":
                # A power cut tore the last line: it stays as it is, and ours begins on a line of its own.
                line = b"\n" + line
            # One write, so that lines of two processes do not mix (O_APPEND, open(2)).
            if os.write(file, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file)
        finally:
            os.close(file)
        if fresh:
            # A new file's name is on the disk once its folder is synced.
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
