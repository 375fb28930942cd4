"""The part of the box that seals, on a real ledger."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edusense.box.log import EventLog
from edusense.box.sealing import SealPart
from edusense.meals import Ledger
from edusense.site import Site


@contextlib.contextmanager
def running(folder: Path) -> Iterator[SealPart]:
    log = EventLog(folder / "events")
    part = SealPart(Site.load(folder / "school.toml"), log, first_s=0.0)
    part.start()
    try:
        yield part
    finally:
        part.stop()
        assert part.join(30.0)
        log.close()


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60.0
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "school.toml").write_text('[site]\nid = "school-51"\nnumber = 51001\ndata = "."\n')
    return tmp_path


def test_the_box_seals_what_is_full_and_names_what_has_changed(folder: Path):
    ledger = folder / "ledger"
    with Ledger.open(ledger, school=51_001, segment_records=64) as open_ledger:
        rows = Ledger.blank(200)
        rows["terminal"], rows["pupil"], rows["day"], rows["slot"] = 1, range(200), 20261005, b"lunch"
        assert not open_ledger.append(rows).any()
        # Beside the writer, as in a box.
        with running(folder) as part:
            until(lambda: len(list(ledger.glob("*.seal"))) == 3)
            assert part.state == "running"
    found = Ledger.open(ledger, read_only=True).verify()
    assert found.ok
    assert [one.first for one in found.seals] == [0, 64, 128]
    segment = ledger / f"{64:020}.seg"
    raw = bytearray(segment.read_bytes())
    raw[500] ^= 1
    segment.write_bytes(raw)
    with running(folder) as part:
        until(lambda: part.state == "failed")
        assert f"{64:020}.seg" in str(part.reason)


def test_a_box_without_a_ledger_makes_nothing(folder: Path):
    with running(folder) as part:
        until(lambda: part.state == "running")
    assert not (folder / "ledger").exists()
    assert not (folder / "meals.key").exists()
