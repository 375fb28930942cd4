"""The roster's database: its tables, and the one way to read and write them.

What is relational and not hot stands here; what was eaten stands in the ledger, by numbers alone. Names and photos of
people stand in the table `people` and nowhere else, so that deleting a row there deletes the person.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import PermissionDeniedError, RosterStorageError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

__all__ = ["VERSION", "Database"]

VERSION: Final = 1
"""Of the tables; a file with a higher one was written by a newer edusense."""

_MAGIC: Final = 0x45445352
"""SQLite's `application_id` of a roster: "EDSR"."""

_TABLES: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE people (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    photo BLOB,
    photo_at REAL
);
CREATE TABLE lists (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    first TEXT NOT NULL,
    last TEXT,
    state TEXT NOT NULL CHECK (state IN ('proposed', 'taken', 'withdrawn')),
    version INTEGER NOT NULL,
    pupils INTEGER NOT NULL,
    source TEXT NOT NULL,
    proposed_at REAL NOT NULL,
    proposed_by TEXT NOT NULL,
    taken_at REAL,
    approved_at REAL,
    approved_by TEXT,
    approval TEXT
);
CREATE TABLE entries (
    list INTEGER NOT NULL REFERENCES lists (id) ON DELETE CASCADE,
    pupil INTEGER NOT NULL,
    place INTEGER NOT NULL,
    class TEXT NOT NULL,
    category TEXT NOT NULL,
    consent_date TEXT,
    voucher_from TEXT,
    voucher_to TEXT,
    shift INTEGER,
    school INTEGER,
    allergens TEXT NOT NULL,
    PRIMARY KEY (list, pupil)
) WITHOUT ROWID;
CREATE TABLE listed_cards (
    list INTEGER NOT NULL REFERENCES lists (id) ON DELETE CASCADE,
    pupil INTEGER NOT NULL,
    place INTEGER NOT NULL,
    card TEXT NOT NULL,
    PRIMARY KEY (list, pupil, card)
) WITHOUT ROWID;
CREATE TABLE card_changes (
    id INTEGER PRIMARY KEY,
    card TEXT NOT NULL,
    pupil INTEGER NOT NULL,
    what TEXT NOT NULL CHECK (what IN ('given', 'lost', 'blocked', 'found', 'returned')),
    day TEXT NOT NULL,
    note TEXT,
    made_at REAL NOT NULL,
    made_by TEXT NOT NULL
);
CREATE TABLE closures (
    id INTEGER PRIMARY KEY,
    first TEXT NOT NULL,
    last TEXT NOT NULL,
    reason TEXT NOT NULL,
    classes TEXT NOT NULL,
    note TEXT,
    made_at REAL NOT NULL,
    made_by TEXT NOT NULL,
    reopened_at REAL,
    reopened_by TEXT
);
CREATE TABLE operators (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    pin_salt BLOB,
    pin_hash BLOB,
    added_at REAL NOT NULL
);
CREATE TABLE notes (
    carried TEXT PRIMARY KEY,
    operator INTEGER NOT NULL REFERENCES operators (number),
    what TEXT NOT NULL,
    reason TEXT NOT NULL,
    words TEXT NOT NULL,
    made_at TEXT NOT NULL,
    nonce TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE attendance (
    day TEXT NOT NULL,
    class TEXT NOT NULL,
    present INTEGER NOT NULL,
    made_at REAL NOT NULL,
    made_by TEXT NOT NULL,
    PRIMARY KEY (day, class)
) WITHOUT ROWID;
CREATE TABLE purges (
    id INTEGER PRIMARY KEY,
    made_at REAL NOT NULL,
    before TEXT NOT NULL,
    people INTEGER NOT NULL
);
"""


class Database:
    """One roster's file, open. May be used from several threads, and by several processes at once.

    Args:
        path: the file; made where it is missing, unless it is only read.
        read_only: do not write, and do not make it.

    Raises:
        RosterStorageError: it is damaged, no roster, or of a newer edusense; or the disk refuses.
        PermissionDeniedError: this user may not open it.
    """

    def __init__(self, path: str | os.PathLike[str], *, read_only: bool = False) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        self._depth = 0
        with self._told():
            if not read_only:
                self.path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
                # Made by ourselves, so that nobody meets it with another mode: names of children stand in it.
                self.path.touch(mode=0o640)
            mode = "ro" if read_only else "rw"
            self._connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode={mode}",
                uri=True,
                timeout=10.0,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            self._prepare(read_only)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Lets go of the file; calling it twice is harmless."""
        with self._lock:
            self._connection.close()

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """What a query finds."""
        with self._lock, self._told():
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> Any:
        """The first row that a query finds; None where it finds none."""
        found = self.rows(sql, *values)
        return found[0] if found else None

    def write(self, sql: str, *values: Any) -> int:
        """Changes something; the number of the row that was added."""
        with self._lock, self._told():
            return self._connection.execute(sql, values).lastrowid or 0

    def write_many(self, sql: str, values: Any) -> None:
        """Changes something once for each of the values."""
        with self._lock, self._told():
            self._connection.executemany(sql, values)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what is written within, or nothing of it; on the disk when it is left. One inside another is part of
        the outer one.
        """
        with self._lock:
            if self._depth == 0:
                self.write("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self.write("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                try:
                    self.write("COMMIT")
                except BaseException:
                    with contextlib.suppress(sqlite3.Error, RosterStorageError):
                        self._connection.execute("ROLLBACK")
                    raise

    def changes(self) -> tuple[int, int]:
        """A value that differs when this or another process has written to the file."""
        with self._lock, self._told():
            others = self._connection.execute("PRAGMA data_version").fetchone()[0]
            return int(others), self._connection.total_changes

    def meta(self, name: str) -> str | None:
        """A value that belongs to the roster as a whole."""
        found = self.row("SELECT value FROM meta WHERE name = ?", name)
        return None if found is None else str(found[0])

    def set_meta(self, name: str, value: str) -> None:
        """Keeps a value that belongs to the roster as a whole."""
        self.write("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, value)

    def _prepare(self, read_only: bool) -> None:
        with self._told():
            # One file and no other beside it when nobody writes: it can be copied. FULL: a power cut loses nothing.
            if not read_only:
                self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.execute("PRAGMA synchronous = FULL")
            # What is deleted is overwritten: a name that has to go is gone from the file, too.
            self._connection.execute("PRAGMA secure_delete = ON")
            self._connection.execute("PRAGMA foreign_keys = ON")
            magic = int(self._connection.execute("PRAGMA application_id").fetchone()[0])
            version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
            empty = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if empty and magic == 0 and not read_only:
            with self.transaction():
                # A second process may have made them between the two looks.
                if self.row("SELECT count(*) FROM sqlite_master")[0] == 0:
                    for statement in _TABLES.split(";\n"):
                        if statement.strip():
                            self.write(statement)
                    self.write(f"PRAGMA application_id = {_MAGIC}")
                    self.write(f"PRAGMA user_version = {VERSION}")
            return
        if magic != _MAGIC:
            raise RosterStorageError(f"`{self.path}` is no roster of edusense", hint="name another data folder")
        if version > VERSION:
            raise RosterStorageError(
                f"`{self.path}` has version {version}, this edusense knows {VERSION}",
                hint="it was written by a newer edusense: install that one",
            )

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turns what SQLite and the system say into our errors."""
        try:
            yield
        except PermissionError as error:
            raise PermissionDeniedError(
                f"`{self.path}` may not be opened", hint="the user that runs edusense needs to own it"
            ) from error
        except (sqlite3.Error, OSError) as error:
            raise self._error(error) from error

    def _error(self, error: Exception) -> RosterStorageError | PermissionDeniedError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return RosterStorageError(
                f"`{self.path}` is damaged: {error}",
                hint="move it away and import the list again; what was eaten stands in the ledger and is not touched",
            )
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
            return PermissionDeniedError(
                f"`{self.path}` may not be written", hint="the user that runs edusense needs to own it and its folder"
            )
        if code == sqlite3.SQLITE_FULL:
            return RosterStorageError(f"`{self.path}`: the disk is full", hint="make room on it")
        if code == sqlite3.SQLITE_BUSY:
            return RosterStorageError(f"`{self.path}` is in use for a long time by another process", hint="try again")
        return RosterStorageError(
            f"`{self.path}` cannot be used: {getattr(error, 'strerror', None) or error}", hint="`edusense doctor`"
        )
