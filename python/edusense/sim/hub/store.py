"""What a hub holds: every accepted record once, the batches that brought it, meals as facts, and cases.

What was acknowledged is on the disk: one transaction a batch, SQLite with full sync. Nothing that was accepted is ever
changed or deleted; what is paid is worked out from the facts each time that it is asked.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import EdusenseError
from edusense.meals.record import RecordKey
from edusense.sim.hub.incoming import Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["HubStore", "Line"]

VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE keys (school INTEGER NOT NULL, key BLOB NOT NULL, since_s REAL NOT NULL, until_s REAL, how TEXT NOT NULL,
    PRIMARY KEY (school, key)) STRICT;
CREATE TABLE announced (school INTEGER NOT NULL, fingerprint TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (school, fingerprint)) STRICT;
CREATE TABLE lines (id INTEGER PRIMARY KEY, school INTEGER NOT NULL, terminal INTEGER NOT NULL, epoch INTEGER NOT NULL,
    follows_epoch INTEGER NOT NULL, follows_sequence INTEGER NOT NULL, acknowledged INTEGER NOT NULL,
    meals INTEGER NOT NULL, reversals INTEGER NOT NULL, sum_tiyn INTEGER NOT NULL, head BLOB NOT NULL,
    standing INTEGER NOT NULL,
    UNIQUE (school, terminal, epoch)) STRICT;
CREATE TABLE batches (id INTEGER PRIMARY KEY, line INTEGER NOT NULL REFERENCES lines (id), first INTEGER NOT NULL,
    last INTEGER NOT NULL, received_s REAL NOT NULL, body BLOB NOT NULL, records BLOB NOT NULL) STRICT;
CREATE UNIQUE INDEX batches_of ON batches (line, last);
CREATE TABLE meals (id INTEGER PRIMARY KEY, school INTEGER NOT NULL, day INTEGER NOT NULL, slot TEXT NOT NULL,
    pupil INTEGER NOT NULL, line INTEGER NOT NULL, sequence INTEGER NOT NULL, price INTEGER NOT NULL,
    time_us INTEGER NOT NULL, batch INTEGER NOT NULL, reversed_by TEXT) STRICT;
CREATE INDEX meals_of_child ON meals (school, day, slot, pupil);
CREATE UNIQUE INDEX meals_of_line ON meals (line, sequence);
CREATE INDEX meals_of_batch ON meals (batch);
CREATE TABLE cases (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, school INTEGER NOT NULL, topic TEXT NOT NULL UNIQUE,
    opened_s REAL NOT NULL, times INTEGER NOT NULL, body TEXT NOT NULL, decision TEXT, decided_by TEXT,
    decided_s REAL) STRICT;
CREATE TABLE evidence (id INTEGER PRIMARY KEY, topic TEXT NOT NULL, digest BLOB NOT NULL, body BLOB NOT NULL,
    UNIQUE (topic, digest)) STRICT;
"""
_MEALS: Final = """
SELECT * FROM (SELECT meals.*, lines.terminal, lines.epoch, lines.standing, ROW_NUMBER() OVER (
    PARTITION BY meals.day, meals.slot, meals.pupil, meals.reversed_by IS NULL AND lines.standing ORDER BY meals.id
) AS rank FROM meals JOIN lines ON lines.id = meals.line WHERE meals.school = ?) WHERE TRUE"""
# A number of a pupil is 64 bits wide without a sign; SQLite's integers have one.
_SIGN: Final = 1 << 63
_WRAP: Final = 1 << 64


@dataclass(frozen=True)
class Line:
    """One epoch of a terminal: a row of records without a gap, as far as it has come.

    Attributes:
        follows: the record that its first one says it follows; sequence 0 for none.
        acknowledged: the last sequence that is here; all before it are, too.
        totals: of all that is here.
        standing: whether its meals count; those of a branch that nobody has decided about do not.
    """

    id: int
    school: int
    terminal: int
    epoch: int
    follows_epoch: int
    follows_sequence: int
    acknowledged: int
    totals: Totals
    standing: bool

    @property
    def name(self) -> str:
        """`TERMINAL/EPOCH`, as people write it."""
        return f"{self.terminal}/{self.epoch:08x}"


class HubStore:
    """The hub's memory; threads share it.

    Args:
        folder: where it is kept; made where it is missing.
        clock: Unix seconds.

    Raises:
        EdusenseError: it was written by a newer edusense.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.folder, self.clock = folder, clock
        self.path = folder / "hub.sqlite"
        self.lock = threading.RLock()
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))
        self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10.0)
        connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 10000"):
            connection.execute(f"PRAGMA {pragma}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            connection.close()
            raise EdusenseError(f"`{self.path}` was written by a newer edusense", hint="start the newer one")
        if version == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        return connection

    def close(self) -> None:
        """Lets go of the files; calling it twice is harmless."""
        with self.lock:
            self._connection.close()

    def backup(self, path: Path) -> None:
        """Copies all that is here now into a file."""
        with self.lock, contextlib.closing(sqlite3.connect(path)) as copy:
            self._connection.backup(copy)

    def restore(self, path: Path) -> None:
        """Puts everything back to what a backup holds: what came after it is gone, as on a bad day in a city."""
        with self.lock, contextlib.closing(sqlite3.connect(path)) as copy:
            copy.backup(self._connection)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it, or nothing; nobody else reads in between."""
        with self.lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def rows(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        """What a query finds."""
        with self.lock:
            return self._connection.execute(statement, values).fetchall()

    # Keys.

    def keys(self, school: int) -> list[bytes]:
        """The public keys that a school signs or signed with, the one in force last."""
        found = self.rows("SELECT key FROM keys WHERE school = ? ORDER BY until_s IS NULL, since_s, rowid", school)
        return [bytes(row["key"]) for row in found]

    def school_of(self, key: bytes) -> int | None:
        """Whose key this is; None where nobody's."""
        for row in self.rows("SELECT school FROM keys WHERE key = ?", key):
            return int(row["school"])
        return None

    def add_key(self, school: int, key: bytes, how: str) -> None:
        """A school signs with this key from now on; those before it go on to be known.

        Args:
            school: its number.
            key: 32 bytes.
            how: `given`, `first-heard`, or the record that changed it.
        """
        now = self.clock()
        with self.lock:
            self._connection.execute(
                "UPDATE keys SET until_s = ? WHERE school = ? AND until_s IS NULL AND key <> ?", (now, school, key)
            )
            self._connection.execute("INSERT OR IGNORE INTO keys VALUES (?, ?, ?, NULL, ?)", (school, key, now, how))

    def announce(self, school: int, fingerprint: str, record: str) -> None:
        """A record says that the school will sign with another key."""
        with self.lock:
            self._connection.execute("INSERT OR IGNORE INTO announced VALUES (?, ?, ?)", (school, fingerprint, record))

    def announced(self, school: int) -> dict[str, str]:
        """Fingerprints of keys that records of a school name, and which records."""
        found = self.rows("SELECT * FROM announced WHERE school = ?", school)
        return {row["fingerprint"]: row["record"] for row in found}

    # Lines and what they consist of.

    def lines(self, school: int, terminal: int | None = None) -> list[Line]:
        """All epochs of a school or of one of its terminals, in the order in which they came."""
        where = "" if terminal is None else "AND terminal = ?"
        values = (school,) if terminal is None else (school, terminal)
        found = self.rows(f"SELECT * FROM lines WHERE school = ? {where} ORDER BY id", *values)  # noqa: S608 - constants
        return [_line(row) for row in found]

    def page(self, school: int, after: int, most: int, *, newest: bool) -> list[Line]:
        """Epochs of a school that came after one of them, in their order; `newest`: each terminal's last one."""
        which = (
            "AND id IN (SELECT MAX(id) FROM lines WHERE school = ? GROUP BY terminal)"
            if newest
            else "AND ? IS NOT NULL"
        )
        found = self.rows(
            f"SELECT * FROM lines WHERE school = ? {which} AND id > ? ORDER BY id LIMIT ?",  # noqa: S608 - constants
            school,
            school,
            after,
            most,
        )
        return [_line(row) for row in found]

    def line(self, school: int, terminal: int, epoch: int) -> Line | None:
        """One epoch of a terminal; None where nothing of it is here."""
        where = "WHERE school = ? AND terminal = ? AND epoch = ?"
        for row in self.rows(f"SELECT * FROM lines {where}", school, terminal, epoch):  # noqa: S608 - constants
            return _line(row)
        return None

    def add_line(
        self, school: int, terminal: int, epoch: int, *, follows_epoch: int, follows_sequence: int, standing: bool
    ) -> Line:
        """Begins an epoch."""
        with self.lock:
            self._connection.execute(
                "INSERT INTO lines (school, terminal, epoch, follows_epoch, follows_sequence, acknowledged, meals, "
                "reversals, sum_tiyn, head, standing) VALUES (?, ?, ?, ?, ?, 0, 0, 0, 0, zeroblob(32), ?)",
                (school, terminal, epoch, follows_epoch, follows_sequence, standing),
            )
            found = self.line(school, terminal, epoch)
        assert found is not None
        return found

    def extend(self, line: Line, last: int, added: Totals) -> None:
        """Says how far a line has come.

        Args:
            line: as it was.
            last: sequence of its last record now.
            added: totals of what is new.
        """
        with self.lock:
            self._connection.execute(
                "UPDATE lines SET acknowledged = ?, meals = meals + ?, reversals = reversals + ?, "
                "sum_tiyn = sum_tiyn + ?, head = ? WHERE id = ?",
                (last, added.meals, added.reversals, added.sum_tiyn, added.head, line.id),
            )

    def add_batch(self, line: Line, first: int, last: int, body: bytes, records: bytes) -> int:
        """Keeps a batch as it came, and those of its records that are new; returns its number."""
        with self.lock:
            done = self._connection.execute(
                "INSERT INTO batches (line, first, last, received_s, body, records) VALUES (?, ?, ?, ?, ?, ?)",
                (line.id, first, last, self.clock(), body, records),
            )
            assert done.lastrowid is not None
            return done.lastrowid

    def records(self, line: Line, first: int, last: int) -> bytes:
        """The records of a line from one sequence to another, both included, 128 bytes each."""
        pieces = []
        for row in self.rows(
            "SELECT first, last, records FROM batches WHERE line = ? AND last >= ? AND first <= ? ORDER BY last",
            line.id,
            first,
            last,
        ):
            low, high = max(first, row["first"]), min(last, row["last"])
            pieces.append(row["records"][(low - row["first"]) * 128 : (high - row["first"] + 1) * 128])
        return b"".join(pieces)

    def batches(self, line: Line, first: int, last: int) -> list[bytes]:
        """The signed batches that brought these records, as they came."""
        found = self.rows(
            "SELECT body FROM batches WHERE line = ? AND last >= ? AND first <= ? ORDER BY last", line.id, first, last
        )
        return [bytes(row["body"]) for row in found]

    # Meals.

    def add_meals(self, line: Line, batch: int, records: NDArray[Any]) -> None:
        """Writes meals down as facts."""
        names = ("day", "pupil", "sequence", "price", "time")
        day, pupil, sequence, price, time_us = (records[name].tolist() for name in names)
        slots = [bytes(slot).decode("ascii", "replace") for slot in records["slot"]]
        facts = zip(day, slots, pupil, sequence, price, time_us, strict=True)
        with self.lock:
            self._connection.executemany(
                "INSERT INTO meals (school, day, slot, pupil, line, sequence, price, time_us, batch) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (line.school, on, slot, _signed(child), line.id, number, tiyn, at, batch)
                    for on, slot, child, number, tiyn, at in facts
                ),
            )

    def reverse(self, line: Line, epoch: int, sequence: int, by: RecordKey) -> None:
        """Takes a meal of the same terminal back, unless it was before.

        Args:
            line: where the reversal stands; one that does not count takes back only meals that do not, either.
            epoch: of the meal.
            sequence: of the meal.
            by: the reversal.
        """
        with self.lock:
            self._connection.execute(
                "UPDATE meals SET reversed_by = ? WHERE reversed_by IS NULL AND sequence = ? AND line = "
                "(SELECT id FROM lines WHERE school = ? AND terminal = ? AND epoch = ? AND standing <= ?)",
                (str(by), sequence, line.school, line.terminal, epoch, line.standing),
            )

    def served_twice(self, batch: int) -> list[sqlite3.Row]:
        """Meals of a batch whose child, day and slot have another meal that stands, in all lines of the school."""
        return self.rows(
            "SELECT DISTINCT new.day, new.slot, new.pupil FROM meals AS new JOIN meals AS other "
            "ON other.school = new.school AND other.day = new.day AND other.slot = new.slot "
            "AND other.pupil = new.pupil AND other.id <> new.id "
            "WHERE new.batch = ? AND new.reversed_by IS NULL AND other.reversed_by IS NULL",
            batch,
        )

    def meals(self, school: int, day: int | None = None) -> list[dict[str, Any]]:
        """Every meal of a school, with whether it is paid: of one child, day and slot the first that stands.

        What came first stays paid, whatever comes later, unless it is taken back.
        """
        return [_meal(row) for row in self.rows(f"{_MEALS} AND (? IS NULL OR day = ?) ORDER BY id", school, day, day)]

    def meals_of(self, school: int, day: int, slot: str, pupil: int) -> list[dict[str, Any]]:
        """The meals of one child, day and slot; `pupil` as the database has it."""
        found = self.rows(f"{_MEALS} AND day = ? AND slot = ? AND pupil = ? ORDER BY id", school, day, slot, pupil)
        return [_meal(row) for row in found]

    def day_totals(self, school: int) -> list[dict[str, Any]]:
        """Meals, paid meals and what they come to, by day."""
        days: dict[int, dict[str, Any]] = {}
        for meal in self.meals(school):
            told = days.setdefault(
                meal["day"], {"day": meal["day"], "meals": 0, "reversed": 0, "held": 0, "paid": 0, "paid_tiyn": 0}
            )
            told["meals"] += 1
            told["reversed"] += meal["reversed_by"] is not None
            told["held"] += meal["held"]
            told["paid"] += meal["paid"]
            told["paid_tiyn"] += meal["price_tiyn"] if meal["paid"] else 0
        return [days[day] for day in sorted(days)]

    # Cases.

    def open_case(
        self, kind: str, school: int, topic: str, body: Mapping[str, Any], evidence: Sequence[bytes] = ()
    ) -> dict[str, Any]:
        """Opens a case, or counts one more sign of one that is open.

        Args:
            kind: `fork`, `rolled-back`, `served-twice`.
            school: its number.
            topic: what tells this case from others.
            body: what people have to know.
            evidence: signed batches.
        """
        with self.lock:
            self._connection.execute(
                "INSERT INTO cases (kind, school, topic, opened_s, times, body) VALUES (?, ?, ?, ?, 1, ?) "
                "ON CONFLICT (topic) DO UPDATE SET times = times + 1",
                (kind, school, topic, self.clock(), json.dumps(body)),
            )
            self._keep(topic, evidence)
            (row,) = self.rows("SELECT * FROM cases WHERE topic = ?", topic)
        return self._case(row)

    def cases(self, school: int | None = None) -> list[dict[str, Any]]:
        """All cases, or those of one school, the oldest first."""
        found = self.rows("SELECT * FROM cases WHERE ? IS NULL OR school = ? ORDER BY id", school, school)
        return [self._case(row) for row in found]

    def case(self, number: int) -> dict[str, Any] | None:
        """One case."""
        for row in self.rows("SELECT * FROM cases WHERE id = ?", number):
            return self._case(row)
        return None

    def evidence(self, number: int, piece: int) -> bytes | None:
        """One of the signed batches that a case rests on."""
        case = self.case(number)
        for row in [] if case is None else self.rows("SELECT body FROM evidence WHERE id = ?", piece):
            return bytes(row["body"])
        return None

    def decide(self, number: int, decision: str, by: str, why: str) -> None:
        """Writes down what somebody decided about a case."""
        with self.lock:
            self._connection.execute(
                "UPDATE cases SET decision = ?, decided_by = ?, decided_s = ?, body = json_set(body, '$.why', ?) "
                "WHERE id = ?",
                (decision, by, self.clock(), why or None, number),
            )

    def keep_evidence(self, case: int, pieces: Iterable[bytes]) -> None:
        """Keeps more signed batches that a case rests on."""
        for row in self.rows("SELECT topic FROM cases WHERE id = ?", case):
            self._keep(row["topic"], pieces)

    def _keep(self, topic: str, pieces: Iterable[bytes]) -> None:
        with self.lock:
            for piece in pieces:
                self._connection.execute(
                    "INSERT OR IGNORE INTO evidence (topic, digest, body) VALUES (?, ?, ?)",
                    (topic, hashlib.sha256(piece).digest(), piece),
                )

    def cut(self, line: Line, first: int, left: Totals) -> None:
        """Takes a line's records from one on out of what counts; the batches that brought them have to be kept before.

        Args:
            line: as it was.
            first: sequence of the first record that goes.
            left: totals of those before it.
        """
        with self.lock:
            run = self._connection.execute
            run("DELETE FROM meals WHERE line = ? AND sequence >= ?", (line.id, first))
            run("DELETE FROM batches WHERE line = ? AND first >= ?", (line.id, first))
            run(
                "UPDATE batches SET last = ?, records = substr(records, 1, (? - first) * 128) "
                "WHERE line = ? AND last >= ?",
                (first - 1, first, line.id, first),
            )
            # What its reversals took back is there again.
            for row in run(
                "SELECT id, reversed_by FROM meals WHERE reversed_by LIKE ?", (f"{line.name}/%",)
            ).fetchall():
                if RecordKey.parse(row["reversed_by"]).sequence >= first:
                    run("UPDATE meals SET reversed_by = NULL WHERE id = ? AND school = ?", (row["id"], line.school))
            run(
                "UPDATE lines SET acknowledged = ?, meals = ?, reversals = ?, sum_tiyn = ?, head = ? WHERE id = ?",
                (first - 1, left.meals, left.reversals, left.sum_tiyn, left.head, line.id),
            )

    def count(self, line: Line) -> None:
        """The meals of an epoch count from now on."""
        with self.lock:
            self._connection.execute("UPDATE lines SET standing = 1 WHERE id = ?", (line.id,))

    def _case(self, row: sqlite3.Row) -> dict[str, Any]:
        pieces = self.rows("SELECT id FROM evidence WHERE topic = ? ORDER BY id", row["topic"])
        return {
            "case": row["id"],
            "kind": row["kind"],
            "school": row["school"],
            "opened_s": row["opened_s"],
            "times": row["times"],
            "decision": row["decision"],
            "by": row["decided_by"],
            "decided_s": row["decided_s"],
            **json.loads(row["body"]),
            "evidence": [piece["id"] for piece in pieces],
        }


def _line(row: sqlite3.Row) -> Line:
    return Line(
        id=row["id"],
        school=row["school"],
        terminal=row["terminal"],
        epoch=row["epoch"],
        follows_epoch=row["follows_epoch"],
        follows_sequence=row["follows_sequence"],
        acknowledged=row["acknowledged"],
        totals=Totals(row["meals"], row["reversals"], row["sum_tiyn"], bytes(row["head"])),
        standing=bool(row["standing"]),
    )


def _meal(row: sqlite3.Row) -> dict[str, Any]:
    stands = row["reversed_by"] is None and row["standing"]
    return {
        "record": str(RecordKey(row["terminal"], row["epoch"], row["sequence"])),
        "day": row["day"],
        "slot": row["slot"],
        "pupil": row["pupil"] % _WRAP,
        "price_tiyn": row["price"],
        "time_s": row["time_us"] / 1e6,
        "reversed_by": row["reversed_by"],
        "held": not row["standing"],
        "paid": bool(stands and row["rank"] == 1),
    }


def _signed(number: int) -> int:
    return number - _WRAP if number >= _SIGN else number
