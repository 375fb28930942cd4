"""What a centre holds: every message once, stills and clips as far as they came, answers, heartbeats.

What was acknowledged is on the disk: SQLite with full sync, and a file's bytes before its offset.

A signer speaks for one school, the first that it named, and a case belongs to the school that told of it first: whoever
has the secret of one school can neither tell of another's cases nor ask for its answers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["CentreStore", "OffsetError"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS messages (key TEXT NOT NULL, stream TEXT NOT NULL, sequence INTEGER NOT NULL,
    school TEXT NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL, received_s REAL NOT NULL, times INTEGER NOT NULL,
    PRIMARY KEY (school, key));
CREATE INDEX IF NOT EXISTS messages_of ON messages (stream, sequence);
CREATE TABLE IF NOT EXISTS files (stream TEXT NOT NULL, name TEXT NOT NULL, media_type TEXT NOT NULL,
    length INTEGER NOT NULL, offset INTEGER NOT NULL, sha256 TEXT NOT NULL, completed_s REAL,
    PRIMARY KEY (stream, name));
CREATE TABLE IF NOT EXISTS answers (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, school TEXT NOT NULL,
    stream TEXT NOT NULL, answer TEXT NOT NULL, who TEXT NOT NULL, note TEXT, at_s REAL NOT NULL);
CREATE TABLE IF NOT EXISTS heartbeats (school TEXT PRIMARY KEY, body TEXT NOT NULL, received_s REAL NOT NULL,
    times INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS signers (who TEXT PRIMARY KEY, school TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS senders (stream TEXT PRIMARY KEY, who TEXT NOT NULL);
"""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,119}")
CLOCK_SLACK_S: Final = 60.0
"""A box's clock that is ahead by less than this is not held to be wrong."""
MOST_S: Final = 1e15
"""No clock tells a later time; neither does what is no number."""


class OffsetError(ValueError):
    """A piece does not begin where the file ends; `offset` says where it does."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"the file has {offset} bytes")
        self.offset = offset


class CentreStore:
    """The centre's memory.

    Args:
        folder: where it is kept.
        clock: Unix seconds.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        (folder / "files").mkdir(mode=0o750, parents=True, exist_ok=True)
        self._clock = clock
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            folder / "centre.sqlite", isolation_level=None, check_same_thread=False, timeout=10.0
        )
        self._connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Lets go of the files; calling it twice is harmless."""
        with self._lock:
            self._connection.close()

    def _rows(self, statement: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    # Who may say it.

    def speaks_for(self, who: str, school: str) -> str:
        """The school that a signer speaks for: the first that it named, on the disk on return.

        Args:
            who: who signed.
            school: the one that it names now.
        """
        with self._lock:
            known = self._school_of(who)
            if known is None:
                self._connection.execute("INSERT INTO signers VALUES (?, ?)", (who, school))
            return school if known is None else known

    def owns(self, who: str, case: str, *, claim: bool = False) -> bool:
        """Whether a signer may say something of a case, or ask for it: no other school has told of it or sent of it.

        Args:
            who: who signed.
            case: the case.
            claim: it is this signer's from now on, where it is nobody's yet.
        """
        with self._lock:
            mine = self._school_of(who)
            if (school := self._school_with(case)) is not None:
                return school == mine
            # A piece may come before the message: then all that is known of its school is who signed.
            if claim:
                self._connection.execute("INSERT INTO senders VALUES (?, ?) ON CONFLICT DO NOTHING", (case, who))
            sent = self._rows("SELECT who FROM senders WHERE stream = ?", (case,))
            if not sent or sent[0]["who"] == who:
                return True
            return mine is not None and mine == self._school_of(sent[0]["who"])

    def _school_of(self, who: str) -> str | None:
        for row in self._rows("SELECT school FROM signers WHERE who = ?", (who,)):
            return str(row["school"])
        return None

    def _school_with(self, case: str) -> str | None:
        """Whose case it is; what is no alert or update says nothing of that, whatever it calls its case."""
        statement = "SELECT school FROM messages WHERE stream = ? AND type IN ('alert', 'update') LIMIT 1"
        for row in self._rows(statement, (case,)):
            return str(row["school"])
        return None

    # What comes in.

    def take(self, message: Mapping[str, Any]) -> bool:
        """Takes a message; on the disk on return.

        Returns:
            Whether it is new: one that came before from this school is counted, and nothing else happens.
        """
        key, body = message["key"], json.dumps(message, ensure_ascii=False)
        with self._lock:
            done = self._connection.execute(
                "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, 1) "
                "ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times",
                (
                    key,
                    message["case"],
                    message["sequence"],
                    message["school"]["id"],
                    message["type"],
                    body,
                    self._clock(),
                ),
            ).fetchone()
            return bool(done["times"] == 1)

    def beat(self, message: Mapping[str, Any]) -> bool:
        """Takes a heartbeat; the newest of a school is kept.

        Returns:
            Whether it is the newest: one that is older, or the same again, makes no silent school look alive.
        """
        school, now_s = message["school"]["id"], self._clock()
        with self._lock:
            found = self._rows("SELECT body FROM heartbeats WHERE school = ?", (school,))
            if found and not _is_newer(message, json.loads(found[0]["body"]), now_s):
                return False
            self._connection.execute(
                "INSERT INTO heartbeats VALUES (?, ?, ?, 1) ON CONFLICT (school) DO UPDATE SET body = excluded.body, "
                "received_s = excluded.received_s, times = times + 1",
                (school, json.dumps(message, ensure_ascii=False), now_s),
            )
            return True

    def offset(self, case: str, name: str) -> tuple[int, int] | None:
        """How much of a file is there, and how long it will be; None where nothing is."""
        for row in self._rows("SELECT offset, length FROM files WHERE stream = ? AND name = ?", (case, name)):
            return row["offset"], row["length"]
        return None

    def append(
        self, case: str, name: str, piece: bytes, *, offset: int, length: int, media_type: str, sha256: str
    ) -> tuple[int, bool]:
        """Takes a piece of a file; on the disk on return.

        Returns:
            How much is there, and whether the file is whole.

        Raises:
            OffsetError: it does not begin where the file ends.
            ValueError: a name that is none, too long a piece, or a whole file with another hash (which is dropped).
        """
        if not _NAME.fullmatch(case) or not _NAME.fullmatch(name):
            raise ValueError("a case or file of that name cannot be")
        path = self.folder / "files" / f"{case}.{name}"
        with self._lock:
            found = self._rows("SELECT * FROM files WHERE stream = ? AND name = ?", (case, name))
            have = found[0]["offset"] if found else 0
            if found and (found[0]["length"] != length or found[0]["sha256"] != sha256):
                raise ValueError("another file of that name is there already")
            if offset != have:
                raise OffsetError(have)
            if have + len(piece) > length:
                raise ValueError(f"{have + len(piece)} bytes of a file of {length}")
            with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640), "r+b") as file:
                file.seek(have)
                file.write(piece)
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
                have += len(piece)
                if have == length:
                    file.seek(0)
                    if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                        self._connection.execute("DELETE FROM files WHERE stream = ? AND name = ?", (case, name))
                        raise ValueError("the whole file has another hash than was said")
            self._connection.execute(
                "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (stream, name) DO UPDATE SET "
                "offset = excluded.offset, completed_s = excluded.completed_s",
                (case, name, media_type, length, have, sha256, self._clock() if have == length else None),
            )
            return have, have == length

    # Answers.

    def answer(self, case: str, answer: str, *, by: str, note: str | None, school: str | None = None) -> int | None:
        """Somebody answers a case.

        Returns:
            The answer's number; None where no school has such a case, and none was given.
        """
        if school is None:
            school = self._school_with(case)
            if school is None:
                return None
        with self._lock:
            done = self._connection.execute(
                "INSERT INTO answers (id, school, stream, answer, who, note, at_s) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (f"{case}-{os.urandom(6).hex()}", school, case, answer, by, note, self._clock()),
            )
            return done.lastrowid

    def answers(self, school: str, after: int, most: int = 100) -> list[dict[str, Any]]:
        """Answers to a school's cases after a number, in order, each with its `number`."""
        return [
            {
                "number": row["number"],
                "id": row["id"],
                "case": row["stream"],
                "answer": row["answer"],
                "by": row["who"],
                "note": row["note"],
                "at_s": row["at_s"],
            }
            for row in self._rows(
                "SELECT * FROM answers WHERE number > ? AND school = ? ORDER BY number LIMIT ?", (after, school, most)
            )
        ]

    # What is shown.

    def cases(self, most: int = 100) -> list[dict[str, Any]]:
        """The newest cases, the newest first: the first message, and what later ones and answers made of it."""
        rows = self._rows("SELECT * FROM messages WHERE type = 'alert' ORDER BY received_s DESC LIMIT ?", (most,))
        return [self._case(row) for row in rows]

    def case(self, name: str) -> dict[str, Any] | None:
        """One case."""
        for row in self._rows("SELECT * FROM messages WHERE type = 'alert' AND stream = ?", (name,)):
            return self._case(row)
        return None

    def _case(self, row: sqlite3.Row) -> dict[str, Any]:
        told = json.loads(row["body"])
        updates = [
            json.loads(other["body"])
            for other in self._rows(
                "SELECT body FROM messages WHERE stream = ? AND type = 'update' ORDER BY sequence", (row["stream"],)
            )
        ]
        files = {
            file["name"]: {"bytes": file["length"], "offset": file["offset"], "completed_s": file["completed_s"]}
            for file in self._rows("SELECT * FROM files WHERE stream = ?", (row["stream"],))
        }
        last = updates[-1] if updates else told
        return {
            **told,
            "state": last["state"],
            "severity": last.get("severity", told["severity"]),
            "count": last.get("count", 1),
            "received_s": row["received_s"],
            "updates": updates,
            "files": files,
            "given": self.given(row["stream"]),
        }

    def given(self, case: str) -> list[dict[str, Any]]:
        """What was answered here to a case."""
        rows = self._rows("SELECT * FROM answers WHERE stream = ? ORDER BY number", (case,))
        return [{"answer": row["answer"], "by": row["who"], "note": row["note"], "at_s": row["at_s"]} for row in rows]

    def file(self, case: str, name: str) -> tuple[Path, str] | None:
        """A whole file and what it is; None where there is none, or not all of it."""
        rows = self._rows(
            "SELECT media_type FROM files WHERE stream = ? AND name = ? AND completed_s IS NOT NULL", (case, name)
        )
        return (self.folder / "files" / f"{case}.{name}", rows[0]["media_type"]) if rows else None

    def schools(self) -> list[dict[str, Any]]:
        """Every school whose box has been heard, with its last heartbeat."""
        return [
            {"school": row["school"], "received_s": row["received_s"], "times": row["times"], **json.loads(row["body"])}
            for row in self._rows("SELECT * FROM heartbeats ORDER BY school")
        ]

    def messages(self) -> list[dict[str, Any]]:
        """Every message in the order in which it came, with `received_s` and how many `times` it did."""
        return [
            {**json.loads(row["body"]), "received_s": row["received_s"], "times": row["times"]}
            for row in self._rows("SELECT * FROM messages ORDER BY rowid")
        ]

    def forget(self) -> None:
        """Drops everything: for tests."""
        with self._lock:
            for table in ("messages", "files", "answers", "heartbeats", "signers", "senders"):
                self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - constants
            for path in (self.folder / "files").iterdir():
                with contextlib.suppress(OSError):
                    path.unlink()


def _is_newer(beat: Mapping[str, Any], kept: Mapping[str, Any], now_s: float) -> bool:
    at_s, kept_s = _time(beat.get("at_s")), _time(kept.get("at_s"))
    if at_s is None or kept_s is None:
        return bool(beat["key"] != kept["key"])
    # A clock that was ahead and has been put right must not hide its box until the time comes that it told.
    return at_s > kept_s or (at_s < kept_s and kept_s > now_s + CLOCK_SLACK_S)


def _time(value: Any) -> float | None:
    sound = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < MOST_S
    return value if sound else None
