"""Damaged ledgers, and the hub that has what they lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edusense.errors import LedgerError
from edusense.meals import Ledger
from edusense.meals.hub_client import HubClient
from edusense.meals.recover import recover
from edusense.meals.uplink import Uplink
from edusense.sim.hub import VirtualHub

SCHOOL = 51001


@pytest.fixture
def place(tmp_path: Path):
    """A ledger of two segments and two terminals by turns, all of which the hub has; folder and hub."""
    folder = tmp_path / "ledger"
    with VirtualHub(tmp_path / "hub") as hub:
        for opening in range(2):
            with Ledger.open(folder, school=SCHOOL, segment_records=64) as ledger:
                rows = Ledger.blank(50)
                rows["day"], rows["slot"], rows["price"] = 20261005, b"lunch", 45_000
                rows["pupil"] = range(100 * opening + 1, 100 * opening + 51)
                rows["terminal"] = [1, 2] * 25
                ledger.append(rows)
        client = HubClient(hub.url)
        uplink = Uplink(folder, client, school=SCHOOL)
        uplink.refresh()
        while uplink.send():
            pass
        yield folder, client
        client.close()


def spoil(folder: Path, position: int, count: int = 1) -> None:
    path = folder / f"{position // 64 * 64:020}.seg"
    raw = bytearray(path.read_bytes())
    for place in range(position % 64, position % 64 + count):
        raw[place * 128 + 40] ^= 0x55
        raw[place * 128 + 41] ^= 0x55
    path.write_bytes(raw)


@pytest.mark.parametrize("damage", [(20, 1), (20, 7), (62, 1), (63, 1), (0, 3), (70, 20), (64, 1)])
def test_what_the_hub_has_stands_in_its_place_again(place, damage, tmp_path: Path):
    folder, client = place
    whole = Ledger.open(folder, read_only=True).records().tobytes()
    spoil(folder, *damage)
    assert not Ledger.open(folder, read_only=True).verify().ok
    found = recover(folder, tmp_path / "mended", client, school=SCHOOL)
    assert [one.position for one in found.places] == list(range(damage[0], sum(damage)))
    assert all(one.record is not None for one in found.places)
    assert found.verified.ok
    assert Ledger.open(tmp_path / "mended", read_only=True).records().tobytes() == whole
    assert not Ledger.open(folder, read_only=True).verify().ok, "the damaged one is left as it is"


def test_a_segment_that_is_gone_is_there_again(place, tmp_path: Path):
    folder, client = place
    whole = Ledger.open(folder, read_only=True).records().tobytes()
    (folder / f"{0:020}.seg").unlink()
    found = recover(folder, tmp_path / "mended", client, school=SCHOOL)
    # The first record behind it is named, too, since what it held on to is gone; it is sound.
    assert len(found.places) >= 65
    assert found.verified.ok
    assert Ledger.open(tmp_path / "mended", read_only=True).records().tobytes() == whole


def test_what_nobody_has_is_listed(place, tmp_path: Path):
    folder, client = place
    with Ledger.open(folder, school=SCHOOL) as ledger:
        rows = Ledger.blank(3)
        rows["day"], rows["slot"], rows["terminal"], rows["pupil"] = 20261006, b"lunch", 1, [1, 2, 3]
        ledger.append(rows)
        count = len(ledger)
    spoil(folder, 20)
    spoil(folder, count - 2)
    found = recover(folder, tmp_path / "mended", client, school=SCHOOL)
    assert [(one.position, one.record is not None) for one in found.places] == [(20, True), (count - 2, False)]
    assert [problem.record for problem in found.verified.problems] == [count - 2]
    with pytest.raises(LedgerError, match="is there already"):
        recover(folder, tmp_path / "mended", client, school=SCHOOL)


def test_the_command(place, tmp_path: Path):
    folder, client = place
    spoil(folder, 30, 2)
    command = ["meals", "recover", str(folder), "--from", client.url, "--out", str(tmp_path / "mended"), "--json"]
    done = subprocess.run([sys.executable, "-m", "edusense", *command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["position"], row["outcome"]) for row in rows] == [(30, "recovered"), (31, "recovered")]
