"""The parts of the case `meal`, each alone, and verifying: for a stored comparison."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edusense.bench.meals import LedgerCase, RawCase, SqliteCase
from edusense.meals import Ledger

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture


@pytest.mark.parametrize("case", [RawCase, LedgerCase, SqliteCase])
def test_time_of(benchmark: BenchmarkFixture, case: type[RawCase | LedgerCase | SqliteCase], tmp_path: Path):
    made = case(tmp_path)
    numbers = itertools.count()
    benchmark(lambda: made.step(next(numbers)))
    made.close()


def test_time_of_verifying_a_hundred_thousand_records(benchmark: BenchmarkFixture, tmp_path: Path):
    with Ledger.open(tmp_path, school=51_001) as ledger:
        rows = Ledger.blank(100_000)
        rows["terminal"], rows["pupil"], rows["day"], rows["slot"] = 1, range(100_000), 20_261_005, b"lunch"
        ledger.append(rows)
    reading = Ledger.open(tmp_path, read_only=True)
    assert benchmark(reading.verify).records == 100_002
