"""The database of cases: SQLite in WAL mode with full sync, one writer, and the case log's chain in it.

What belongs together (an entry of the log, the case's new state, what is to be sent) is one transaction: after a power
cut either all of it is there or nothing.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

from edusense.alerts.chain import START, body_of, check, following
from edusense.errors import AlertError, AlertStorageError, PermissionDeniedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["Database"]

T = TypeVar("T")

VERSION: Final = 1
RESERVE_BYTES: Final = 8 << 20
"""A file of this size is given up when the disk is full, so that alerts find room that clips and logs cannot take."""

_SCHEMA: Final = """
CREATE TABLE log (position INTEGER PRIMARY KEY, stream TEXT, body BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE INDEX log_of_case ON log (stream, position);
CREATE TRIGGER log_is_not_altered BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'the case log only grows'); END;
CREATE TRIGGER log_is_not_cut BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'the case log only grows'); END;

CREATE TABLE cases (
    id TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE, open INTEGER NOT NULL, topic TEXT NOT NULL,
    last_s REAL NOT NULL, due_s REAL, body TEXT NOT NULL
) STRICT;
CREATE INDEX cases_open ON cases (topic) WHERE open;
CREATE INDEX cases_due ON cases (due_s) WHERE due_s IS NOT NULL;

CREATE TABLE messages (stream TEXT NOT NULL, sequence INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (stream, sequence)) STRICT;
CREATE TABLE attachments (stream TEXT NOT NULL, name TEXT NOT NULL, path TEXT NOT NULL, media_type TEXT NOT NULL,
    bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (stream, name)) STRICT;

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY, destination TEXT NOT NULL, stream TEXT NOT NULL, sequence INTEGER, name TEXT,
    rank INTEGER NOT NULL, severity INTEGER NOT NULL, created_s REAL NOT NULL, state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, settled_s REAL, reason TEXT
) STRICT;
CREATE INDEX outbox_waiting ON outbox (destination, rank, severity DESC, id) WHERE state = 'waiting';
CREATE INDEX outbox_order ON outbox (stream, destination, sequence);

CREATE TABLE answers (destination TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (destination, id)) STRICT;
CREATE TABLE cursors (destination TEXT PRIMARY KEY, cursor TEXT NOT NULL) STRICT;
CREATE TABLE silences (id INTEGER PRIMARY KEY, place TEXT NOT NULL, until_s REAL NOT NULL, body TEXT NOT NULL,
    count INTEGER NOT NULL DEFAULT 0, over INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX silences_on ON silences (until_s) WHERE NOT over;
"""


class Database:
    """The database of cases of one site. Threads share it; each call is short.

    Args:
        folder: made where it is missing; holds `cases.sqlite` and `evidence/`.
        read_only: only look, beside a running box.

    Raises:
        AlertStorageError: it cannot be opened: damaged, of a newer edusense, on a full disk.
        PermissionDeniedError: this user may not write there.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder = folder
        self.path = folder / "cases.sqlite"
        self._lock = threading.RLock()
        self._inside = False
        try:
            if not read_only:
                folder.mkdir(mode=0o750, parents=True, exist_ok=True)
                # Made before SQLite does, so that nobody meets it with another mode: names of people stand in it.
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))
            name = f"{self.path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
            self._connection = sqlite3.connect(
                name, uri=True, isolation_level=None, check_same_thread=False, timeout=10.0
            )
        except (OSError, sqlite3.Error) as error:
            raise _cannot_open(self.path, error) from error
        try:
            self._prepare(read_only)
        except sqlite3.Error as error:
            self._connection.close()
            raise _trouble(error, self.path) from error
        except BaseException:
            self._connection.close()
            raise
        self.head = self._head()
        """Position and hash of the log's newest entry."""
        if not read_only:
            self._keep_reserve()

    def _prepare(self, read_only: bool) -> None:
        run = self._connection.execute
        self._connection.row_factory = sqlite3.Row
        run("PRAGMA busy_timeout = 10000")
        if not read_only:
            run("PRAGMA journal_mode = WAL")
            run("PRAGMA synchronous = FULL")
            run("PRAGMA wal_autocheckpoint = 400")
        (version,) = run("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise AlertStorageError(
                f"`{self.path}` was written by a newer edusense (format {version}, this one knows {VERSION})",
                hint="start the newer one; nothing was changed",
            )
        if version == 0 and not read_only:
            self._connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")

    def close(self) -> None:
        """Lets go of the file; calling it twice is harmless."""
        with self._lock:
            self._connection.close()

    def durably(self, work: Callable[[], T]) -> T:
        """Runs `work` as one transaction: what it did is on the disk on return, all of it or nothing.

        On a full disk it is run once more with the reserve's room, so `work` must have no effect but on the database.
        Inside another transaction it is a part of that one.

        Raises:
            AlertStorageError: the disk did not take it.
        """
        with self._lock:
            if self._inside:
                return work()
            try:
                return self._transaction(work)
            except AlertStorageError as error:
                if not (error.is_full and self._give_up_reserve()):
                    raise
            return self._transaction(work)

    def _transaction(self, work: Callable[[], T]) -> T:
        head = self.head
        self._inside = True
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            done = work()
            self._connection.execute("COMMIT")
        except BaseException as error:
            self.head = head
            # SQLite may have rolled back by itself, as it does on a full disk.
            if self._connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise _trouble(error, self.path) from error
            raise
        finally:
            self._inside = False
        return done

    def run(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Runs one statement; one that writes only inside `durably`.

        Raises:
            AlertStorageError: the disk did not take it, or the file is damaged.
        """
        with self._lock:
            try:
                return self._connection.execute(statement, values)
            except sqlite3.Error as error:
                raise _trouble(error, self.path) from error

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """All rows of a question."""
        with self._lock:
            return self.run(statement, values).fetchall()

    # The log.

    def append(self, entry: dict[str, Any]) -> int:
        """Adds an entry to the log, inside `durably`.

        Returns:
            Its position.
        """
        position, before = self.head
        position += 1
        body = body_of(entry)
        found = following(before, body)
        self.run("INSERT INTO log VALUES (?, ?, ?, ?)", (position, entry.get("case"), body, found))
        self.head = (position, found)
        return position

    def verify(self) -> tuple[int, bytes]:
        """Follows the log's chain from its beginning.

        Returns:
            Position and hash of the newest entry.

        Raises:
            AlertLogDamagedError: an entry does not follow from those before it.
        """
        cursor = self.run("SELECT position, body, hash FROM log ORDER BY position")
        return check((row["position"], row["body"], row["hash"]) for row in cursor)

    def _head(self) -> tuple[int, bytes]:
        rows = self.rows("SELECT position, hash FROM log ORDER BY position DESC LIMIT 1")
        return (rows[0]["position"], rows[0]["hash"]) if rows else (0, START)

    # The reserve.

    def keep_reserve(self) -> None:
        """Puts the reserve back where it was given up and there is room again."""
        with self._lock:
            self._keep_reserve()

    def _keep_reserve(self) -> None:
        path = self.folder / "reserve"
        with contextlib.suppress(OSError):
            if path.exists() and path.stat().st_size == RESERVE_BYTES:
                return
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                os.posix_fallocate(file, 0, RESERVE_BYTES)
            except OSError:
                # Half a reserve would only take room from whoever needs it now.
                os.unlink(path)  # noqa: PTH108 - beside its descriptor
            finally:
                os.close(file)

    def _give_up_reserve(self) -> bool:
        try:
            (self.folder / "reserve").unlink()
        except OSError:
            return False
        return True


def _cannot_open(path: Path, error: Exception) -> AlertError | PermissionDeniedError:
    if isinstance(error, PermissionError):
        return PermissionDeniedError(
            f"the database of cases `{path}` cannot be opened: {error.strerror}",
            hint="its folder must belong to the user who runs the box",
        )
    return _trouble(error, path)


def _trouble(error: Exception, path: Path) -> AlertStorageError:
    text = str(error)
    if "full" in text:
        full = AlertStorageError(
            f"the disk is full: `{path}` took no alert", hint="make room on the disk of `site.data`"
        )
        full.is_full = True
        return full
    if "malformed" in text or "not a database" in text:
        return AlertStorageError(
            f"the database of cases `{path}` is damaged: {text}",
            hint="keep the file, it is evidence: move it away and start the box, which makes a new one",
        )
    if "readonly" in text or "unable to open" in text:
        return AlertStorageError(
            f"the database of cases `{path}` cannot be written: {text}",
            hint="it must belong to the user who runs the box, on a disk that is mounted for writing",
        )
    return AlertStorageError(f"the database of cases `{path}`: {text}", hint="`edusense doctor` looks at the disk")
