"""A country's day: the meals of every school through ledger, signature, compression, and the hub's checks and commit.

`SCHOOLS=8042 make bench` does all of it; by default a part is done and scaled up. The schools' ledgers lie in memory,
since they would be on 8,042 disks; the hub's database is on this disk, with full sync. One process, one core.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from edusense.meals import Kind, Ledger, SigningKey, make_batch
from edusense.sim.hub import VirtualHub

COUNTRY_SCHOOLS = 8042
COUNTRY_MEALS = 1_700_000
MEALS = round(COUNTRY_MEALS / COUNTRY_SCHOOLS)
# What http.client and uvicorn send and answer beside the body, counted on the wire: request line, headers, answer.
HTTP_BYTES = 260 + 820


def day_of(folder: Path, school: int, terminals: int) -> list[Any]:
    """The records of one school's day: its terminals by turns, each meal with its mark, as they are recorded."""
    meal, mark = Ledger.blank(1), Ledger.blank(1, Kind.SHOWN)
    sequences = [1] * terminals
    with Ledger.open(folder, school=school, segment_records=1024) as ledger:
        for row in (meal, mark):
            row["day"], row["slot"] = 20_261_005, b"lunch"
        meal["price"], meal["entitlement"], meal["category"], meal["assurance"] = 45_000, 0x1A2B3C4D, 4, 1
        for number in range(MEALS):
            side = number % terminals
            meal["terminal"] = mark["terminal"] = side + 1
            meal["pupil"] = mark["pupil"] = school * 1000 + number
            meal["time"] = 1_790_000_000_000_000 + number * 7_123_457
            mark["time"] = meal["time"] + 180_000
            meal["card"] = int.from_bytes(os.urandom(8), "little")
            mark["ref_epoch"], mark["ref_sequence"] = ledger.epoch, sequences[side] + 1
            sequences[side] += 2
            assert not ledger.append(meal).any()
            assert not ledger.receipts(mark, lazily=True).status.any()
    streams = Ledger.open(folder, read_only=True).streams()
    return [streams.records(one.terminal, one.epoch, one.first, one.last) for one in streams]


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("terminals", [1, 2])
def test_a_country_day(terminals: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    schools = int(os.environ.get("SCHOOLS", "40"))
    memory = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    spent = {"record": 0.0, "sign": 0.0, "compress": 0.0, "hub": 0.0}
    wire = packed_bytes = batches = meals = records = 0
    try:
        with VirtualHub(tmp_path) as hub:
            for school in range(1, schools + 1):
                begun = time.perf_counter()
                parts = day_of(memory / str(school), school, terminals)
                shutil.rmtree(memory / str(school))
                spent["record"] += time.perf_counter() - begun
                key = SigningKey.make()
                for part in parts:
                    begun = time.perf_counter()
                    batch = make_batch(part, key)
                    signed = time.perf_counter()
                    packed = gzip.compress(batch.data, 9, mtime=0)
                    compressed = time.perf_counter()
                    told = hub.intake.take(gzip.decompress(packed))
                    taken = time.perf_counter()
                    spent["sign"] += signed - begun
                    spent["compress"] += compressed - signed
                    spent["hub"] += taken - compressed
                    assert told["new"] == len(part)
                    wire, batches = wire + len(packed) + HTTP_BYTES, batches + 1
                    packed_bytes += len(packed)
                    meals, records = meals + batch.meals, records + len(part)
            assert sum(day["paid"] for day in hub.store.day_totals(schools)) == MEALS
            stored = (tmp_path / "hub.sqlite").stat().st_size
    finally:
        shutil.rmtree(memory)
    scale = COUNTRY_MEALS / meals
    told = {
        "schools": schools,
        "terminals": terminals,
        "meals": meals,
        "records": records,
        "batches": batches,
        "bytes_per_meal_packed": round(packed_bytes / meals, 1),
        "bytes_per_meal_on_the_wire": round(wire / meals, 1),
        "hub_bytes_per_meal": round(stored / meals),
        "seconds": {name: round(seconds, 2) for name, seconds in spent.items()},
        "minutes_for_the_country": {name: round(seconds * scale / 60, 2) for name, seconds in spent.items()},
    }
    with capsys.disabled():
        sys.stdout.write(f"\n{json.dumps(told)}\n")
    # Where terminals alternate, each meal carries the hash of another terminal's record: 32 bytes that do not compress.
    assert told["bytes_per_meal_on_the_wire"] < (64 if terminals == 1 else 96)
