"""One durable meal beside what the disk can do at best, and beside what one would take instead."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edusense.bench.figure import Figure
from edusense.meals import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LedgerCase", "RawCase", "SqliteCase", "measure"]

_BYTES = 128


class RawCase:
    """128 bytes over zeros that are on the disk, and fdatasync: the least that a durable record can cost.

    Args:
        folder: on the disk to measure.
    """

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "raw", os.O_RDWR | os.O_CREAT, 0o600)
        self._room = 1 << 20
        os.pwrite(self._file, bytes(self._room), 0)
        os.fsync(self._file)
        self._at = 0

    def step(self, number: int) -> None:
        """One record."""
        os.pwrite(self._file, number.to_bytes(_BYTES, "little"), self._at)
        os.fdatasync(self._file)
        self._at = (self._at + _BYTES) % self._room

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)


class LedgerCase:
    """One meal through `Ledger.append`: checked for uniqueness, chained, summed, on the disk.

    Args:
        folder: on the disk to measure.
    """

    def __init__(self, folder: Path) -> None:
        self._ledger = Ledger.open(folder / "ledger", school=51_001)
        self._row = Ledger.blank(1)
        self._row["terminal"], self._row["day"], self._row["slot"] = 1, 20_261_005, b"lunch"
        self._row["price"] = 45_000

    def step(self, number: int) -> None:
        """One meal."""
        self._row["pupil"], self._row["time"] = number, time.time_ns() // 1000
        if self._ledger.append(self._row)[0] != 0:
            raise RuntimeError("a meal of the bench was not recorded")

    def close(self) -> None:
        """Closes the ledger."""
        self._ledger.close()


class SqliteCase:
    """The same meal in SQLite: WAL, synchronous FULL, UNIQUE over pupil, day and slot; a commit each.

    Args:
        folder: on the disk to measure.
    """

    def __init__(self, folder: Path) -> None:
        self._base = sqlite3.connect(folder / "meals.sqlite", isolation_level=None)
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=FULL")
        self._base.execute(
            "CREATE TABLE meals (school INTEGER, terminal INTEGER, epoch INTEGER, sequence INTEGER, pupil INTEGER, "
            "day INTEGER, slot TEXT, time INTEGER, price INTEGER, UNIQUE (pupil, day, slot))"
        )

    def step(self, number: int) -> None:
        """One meal."""
        self._base.execute("BEGIN IMMEDIATE")
        self._base.execute(
            "INSERT INTO meals VALUES (51001, 1, 1, ?, ?, 20261005, 'lunch', ?, 45000)",
            (number, number, time.time_ns() // 1000),
        )
        self._base.execute("COMMIT")

    def close(self) -> None:
        """Closes the data base."""
        self._base.close()


def measure(folder: str | os.PathLike[str] | None = None, *, runs: int = 1_500, warm_up: int = 100) -> list[Figure]:
    """One durable meal beside a raw fdatasync of 128 bytes and beside SQLite, one of each in turn.

    Args:
        folder: on the disk to measure; None: the folder for temporary files.
        runs: how often each.
        warm_up: how often before that, not measured.
    """
    with tempfile.TemporaryDirectory(prefix="edusense-bench-", dir=folder) as made:
        cases = [case(Path(made)) for case in (RawCase, LedgerCase, SqliteCase)]
        spent: list[list[float]] = [[] for _ in cases]
        try:
            for number in range(warm_up + runs):
                # Whatever else the machine does meets all three alike; none is always first.
                for index in (number + shift for shift in range(len(cases))):
                    took = _microseconds(cases[index % len(cases)].step, number)
                    if number >= warm_up:
                        spent[index % len(cases)].append(took)
        finally:
            for case in cases:
                case.close()
    raw, ours, sqlite = (tuple(runs_of) for runs_of in spent)
    return [
        Figure("one durable meal", "µs", ours, peer="raw fdatasync of 128 bytes", peer_runs=raw, limit=0.6),
        Figure("one durable meal", "µs", ours, peer="SQLite WAL/FULL with UNIQUE", peer_runs=sqlite, limit=1.5),
    ]


def _microseconds(step: Callable[[int], None], number: int) -> float:
    begun = time.perf_counter_ns()
    step(number)
    return (time.perf_counter_ns() - begun) / 1000
