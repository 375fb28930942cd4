"""Findings that the disk did not take: none is left out, however long it is full and whatever moves meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.alert_desks import SITE, entry

from edusense import Site
from edusense.box.alerts import AlertsPart
from edusense.box.log import EventLog
from edusense.errors import AlertStorageError


@pytest.fixture
def part(tmp_path: Path):
    path = tmp_path / "school.toml"
    path.write_text(SITE.replace("number = 51001\n", f'number = 51001\ndata = "{tmp_path}/data"\n'))
    log = EventLog(tmp_path / "events")
    part = AlertsPart(Site.load(path), log, lambda _: b"")
    yield part
    part.close()
    log.close()


def test_a_full_disk_costs_no_finding_however_often_it_is_tried(part, monkeypatch):
    database = part.desk.database

    def full(_):
        raise AlertStorageError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(database, "durably", full)
        for place in ("stairs-3", "yard-1"):
            part._take(entry(camera=place, zone="attic-door" if place == "stairs-3" else None, source="motion"))
        # Far more often than a source may hand in findings: they were counted when they came.
        for _ in range(100):
            part._take_kept()
        assert part.rows()[0]["unkept"] == 2
        assert part.rows()[0]["state"] == "cannot-record"
    # News come without an end; what waits is taken by time, not when nothing happens.
    part._turned = float("-inf")
    part._desk_turn()
    first = part.rows()[0]
    assert (first["unkept"], first["cases"], first["state"], first["lost"]) == (0, 2, "running", 0)
