"""The ledger under load: terminals at once, batches, coming back after a crash; each beside what one would take."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edusense.bench.case import Measured
from edusense.bench.figure import Figure
from edusense.meals import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["at_once", "batches", "recovery"]

SQLITE: Final = "SQLite WAL/FULL with UNIQUE"
_DAY: Final = 20_261_005
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS meals (school INTEGER, terminal INTEGER, epoch INTEGER, sequence INTEGER, "
    "pupil INTEGER, day INTEGER, slot TEXT, time INTEGER, price INTEGER, UNIQUE (pupil, day, slot))"
)
_INSERT: Final = "INSERT INTO meals VALUES (51001, ?, 1, ?, ?, 20261005, 'lunch', ?, 45000)"


def _rows(first: int, count: int, terminal: int = 1) -> Any:
    rows = Ledger.blank(count)
    rows["terminal"], rows["day"], rows["slot"], rows["price"] = terminal, _DAY, b"lunch", 45_000
    rows["pupil"] = np.arange(first, first + count)
    rows["time"] = time.time_ns() // 1000
    return rows


def _sqlite(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(path, isolation_level=None, timeout=60, check_same_thread=False)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=FULL")
    base.execute(_TABLE)
    return base


def at_once(
    folder: str | os.PathLike[str] | None = None, *, terminals: int = 16, meals: int = 25, rounds: int = 3
) -> Measured:
    """Terminals that all record at once, each meal on the disk before the next: ours and SQLite by turns.

    Args:
        folder: on the disk to measure.
        terminals: threads, each a terminal.
        meals: of each terminal in a round.
        rounds: how often each has its turn.
    """
    ours: list[float] = []
    theirs: list[float] = []
    waits: list[float] = []
    with tempfile.TemporaryDirectory(prefix="edusense-bench-", dir=folder) as made:
        path = Path(made) / "meals.sqlite"
        _sqlite(path).close()
        with Ledger.open(Path(made) / "ledger", school=51_001) as ledger:
            for turn in range(rounds):
                begin = 1_000_000 * turn

                def record(terminal: int, begin: int = begin) -> None:
                    first = begin + 10_000 * terminal
                    for number in range(meals):
                        row = _rows(first + number, 1, terminal + 1)
                        began = time.perf_counter_ns()
                        if ledger.append(row)[0] != 0:
                            raise RuntimeError("a meal of the bench was not recorded")
                        waits.append((time.perf_counter_ns() - began) / 1000)

                def insert(terminal: int, begin: int = begin) -> None:
                    base = _sqlite(path)
                    for number in range(meals):
                        pupil = begin + 10_000 * terminal + number
                        base.execute("BEGIN IMMEDIATE")
                        base.execute(_INSERT, (terminal + 1, pupil, pupil, time.time_ns() // 1000))
                        base.execute("COMMIT")
                    base.close()

                ours.append(terminals * meals / _together(record, terminals))
                theirs.append(terminals * meals / _together(insert, terminals))
    return Measured(
        [
            Figure(
                "durable meals of all terminals", "a second", tuple(ours), SQLITE, tuple(theirs),
                id="rate", better="more",
            ),
            Figure("99 of 100 of these meals within", "µs", tuple(waits), id="p99", statistic="p99"),
        ]
    )  # fmt: skip


def _together(work: Callable[[int], None], count: int) -> float:
    """Seconds until threads that begin together have all ended."""
    failed: list[BaseException] = []
    begin = threading.Barrier(count + 1)

    def run(number: int) -> None:
        begin.wait()
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    begin.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return time.perf_counter() - began


def batches(
    folder: str | os.PathLike[str] | None = None, *, records: int = 8192, batches: int = 12, peer_records: int = 10_000
) -> Measured:
    """Batches from NumPy, each durable: chain, check sums and uniqueness included; beside SQLite's thousands.

    Args:
        folder: on the disk to measure.
        records: of a batch.
        batches: how many.
        peer_records: what SQLite takes in all, a thousand at a time.
    """
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory(prefix="edusense-bench-", dir=folder) as made:
        base = _sqlite(Path(made) / "meals.sqlite")
        with Ledger.open(Path(made) / "ledger", school=51_001) as ledger:
            every = max(1, batches // max(1, peer_records // 1000))
            for batch in range(batches):
                rows = _rows(batch * records, records)
                began = time.perf_counter()
                status = ledger.append(rows)
                ours.append(records / (time.perf_counter() - began))
                if status.any():
                    raise RuntimeError("a meal of the bench was not recorded")
                if batch % every == 0:
                    now = time.time_ns() // 1000
                    values = [(1, number, number, now) for number in range(batch * 1000, (batch + 1) * 1000)]
                    began = time.perf_counter()
                    base.execute("BEGIN IMMEDIATE")
                    base.executemany(_INSERT, values)
                    base.execute("COMMIT")
                    theirs.append(1000 / (time.perf_counter() - began))
        base.close()
    figure = Figure(
        "records in durable batches", "a second", tuple(ours), SQLITE, tuple(theirs), id="rate", better="more"
    )
    return Measured([figure], notes=["SQLite takes batches of 1,000."])


def recovery(folder: str | os.PathLike[str] | None = None, *, records: int = 200_000, opens: int = 3) -> Measured:
    """A ledger that was left open by a crash: how long until it takes meals again, and until every byte is verified.

    Args:
        folder: on the disk to measure.
        records: in the ledger.
        opens: how often it is opened.
    """
    opened: list[float] = []
    verified: list[float] = []
    hashed: list[float] = []
    with tempfile.TemporaryDirectory(prefix="edusense-bench-", dir=folder) as made:
        path = Path(made) / "ledger"
        with Ledger.open(path, school=51_001) as ledger:
            for first in range(0, records, 8192):
                ledger.append(_rows(first, min(8192, records - first)))
        size = 128 * records
        data = os.urandom(size)
        for _ in range(opens):
            began = time.perf_counter()
            Ledger.open(path, school=51_001).close()
            opened.append(1000 * (time.perf_counter() - began))
            reading = Ledger.open(path, read_only=True)
            began = time.perf_counter()
            found = reading.verify()
            verified.append(found.records / (time.perf_counter() - began))
            began = time.perf_counter()
            hashlib.sha256(data).digest()
            hashed.append(records / (time.perf_counter() - began))
            if found.records < records:
                raise RuntimeError(f"{found.records} of {records} records were verified")
    return Measured(
        [
            Figure("opening the ledger", "ms", tuple(opened), id="open"),
            Figure(
                "records verified", "a second", tuple(verified), "SHA-256 of the same number of bytes", tuple(hashed),
                id="verify", better="more",
            ),
        ]
    )  # fmt: skip
