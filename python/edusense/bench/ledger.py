"""The ledger under load: terminals at once, batches, coming back after a crash; each beside what one would take."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
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

__all__ = ["at_once", "batches", "opening", "recovery"]

SQLITE: Final = "SQLite WAL/FULL with UNIQUE"
HASHED: Final = "SHA-256 of the same number of bytes"
BARE: Final = "the same bytes, without sums, chain and uniqueness"
_INDEX_BYTES: Final = 24
"""What a meal takes in the index of who was served."""
_OPEN: Final = """
import json, re, sys, time
from edusense.meals import Ledger
def peak():
    # Of this program alone: `ru_maxrss` tells of what was there before it, too.
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024
before, began = peak(), time.perf_counter()
ledger = Ledger.open(sys.argv[1], school=51_001)
took = time.perf_counter() - began
print(json.dumps([1000 * took, peak() - before, len(ledger)]))
ledger.close()
"""
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
    """Batches from NumPy, each durable: chain, check sums and uniqueness included.

    Beside SQLite's thousands, and beside the same bytes written and confirmed as they are.

    Args:
        folder: on the disk to measure.
        records: of a batch.
        batches: how many.
        peer_records: what SQLite takes in all, a thousand at a time.
    """
    ours: list[float] = []
    theirs: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory(prefix="edusense-bench-", dir=folder) as made:
        base = _sqlite(Path(made) / "meals.sqlite")
        raw = os.open(Path(made) / "raw", os.O_RDWR | os.O_CREAT, 0o600)
        os.pwrite(raw, bytes(128 * records), 0)
        os.fsync(raw)
        with Ledger.open(Path(made) / "ledger", school=51_001) as ledger:
            every = max(1, batches // max(1, peer_records // 1000))
            for batch in range(batches):
                rows = _rows(batch * records, records)
                began = time.perf_counter()
                status = ledger.append(rows)
                ours.append(records / (time.perf_counter() - began))
                if status.any():
                    raise RuntimeError("a meal of the bench was not recorded")
                data = rows.tobytes()
                began = time.perf_counter()
                os.pwrite(raw, data, 0)
                os.fdatasync(raw)
                bare.append(records / (time.perf_counter() - began))
                if batch % every == 0:
                    now = time.time_ns() // 1000
                    values = [(1, number, number, now) for number in range(batch * 1000, (batch + 1) * 1000)]
                    began = time.perf_counter()
                    base.execute("BEGIN IMMEDIATE")
                    base.executemany(_INSERT, values)
                    base.execute("COMMIT")
                    theirs.append(1000 / (time.perf_counter() - began))
        base.close()
        os.close(raw)
    what, unit = "records in durable batches", "a second"
    return Measured(
        [
            Figure(what, unit, tuple(ours), SQLITE, tuple(theirs), id="rate", better="more"),
            Figure(what, unit, tuple(ours), BARE, tuple(bare), id="rate", better="more"),
        ],
        notes=["SQLite takes batches of 1,000."],
    )


def opening(
    folder: str | os.PathLike[str] | None = None, *, records: int = 1_000_000, opens: int = 3, sealed: bool = False
) -> Measured:
    """Opening a large ledger for writing, in a process of its own: how long, and how much memory beyond the index.

    Args:
        folder: on the disk to measure.
        records: in the ledger, each a meal.
        opens: how often.
        sealed: seal its segments before; and verify it with its seals.

    Raises:
        RuntimeError: records are missing.
    """
    opened: list[float] = []
    beyond: list[float] = []
    figures = []
    with tempfile.TemporaryDirectory(prefix="edusense-bench-", dir=folder) as made:
        path = Path(made) / "ledger"
        with Ledger.open(path, school=51_001) as ledger:
            for first in range(0, records, 8192):
                ledger.append(_rows(first, min(8192, records - first)))
        if sealed:
            figures = _sealed(path, opens)
        for _ in range(opens):
            told = subprocess.run(
                [sys.executable, "-c", _OPEN, str(path)], capture_output=True, text=True, check=True, timeout=600
            )
            took, memory, found = json.loads(told.stdout)
            if found < records:
                raise RuntimeError(f"{found} of {records} records are there")
            opened.append(took)
            beyond.append((memory - _INDEX_BYTES * records) / 1e6)
    return Measured(
        [
            Figure("opening the ledger", "ms", tuple(opened), id="open"),
            Figure("memory beyond the index's 24 bytes a meal", "MB", tuple(beyond), id="memory"),
            *figures,
        ]
    )


def _sealed(path: Path, times: int) -> list[Figure]:
    """Verifying with and without seals, by turns."""
    from edusense.meals import SigningKey
    from edusense.meals.sealing import seal

    rates: list[list[float]] = [[], []]
    began = time.perf_counter()
    made = seal(path, SigningKey.make())
    took = time.perf_counter() - began
    aside = path.parent / "aside"
    aside.mkdir()
    for turn in range(2 * times):
        there = turn % 2 == 0
        for one in list((aside if there else path).glob("*.seal")):
            one.rename((path if there else aside) / one.name)
        began = time.perf_counter()
        found = Ledger.open(path, read_only=True).verify()
        rates[turn % 2].append(found.records / (time.perf_counter() - began))
        if there and (len(made) != len(found.seals) or not found.ok):
            raise RuntimeError("the seals do not hold")
    sealing = sum(one.records for one in made) / took
    return [
        Figure("records sealed", "a second", (sealing,), id="seal", better="more"),
        Figure(
            "sealed records verified", "a second", tuple(rates[0]), "the same without seals", tuple(rates[1]),
            id="verify-sealed", better="more",
        ),
    ]  # fmt: skip


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
    summed: list[float] = []
    program = shutil.which("sha256sum")
    with tempfile.TemporaryDirectory(prefix="edusense-bench-", dir=folder) as made:
        path = Path(made) / "ledger"
        with Ledger.open(path, school=51_001) as ledger:
            for first in range(0, records, 8192):
                ledger.append(_rows(first, min(8192, records - first)))
        size = 128 * records
        data = os.urandom(size)
        (Path(made) / "data").write_bytes(data)
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
            if program is not None:
                began = time.perf_counter()
                subprocess.run([program, Path(made) / "data"], check=True, stdout=subprocess.DEVNULL)
                summed.append(records / (time.perf_counter() - began))
            if found.records < records:
                raise RuntimeError(f"{found.records} of {records} records were verified")
    what, unit = "records verified", "a second"
    figures = [
        Figure("opening the ledger", "ms", tuple(opened), id="open"),
        Figure(what, unit, tuple(verified), HASHED, tuple(hashed), id="verify", better="more"),
    ]
    if summed:
        figures.append(Figure(what, unit, tuple(verified), "sha256sum", tuple(summed), id="verify", better="more"))
    return Measured(figures)
