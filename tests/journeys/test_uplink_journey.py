"""From the tap to the hub's signature: a real box that is killed, a hub that goes away and comes back, a stick."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edusense.cli.schemas import validate
from edusense.meals import Ledger
from edusense.sim.hub import VirtualHub

SCHOOL = 51001


@pytest.fixture
def hub(tmp_path):
    with VirtualHub(tmp_path / "hub") as hub:
        yield hub


@pytest.fixture
def school(school_class, tmp_path, hub):
    import contextlib

    (tmp_path / "school").mkdir()
    with contextlib.closing(school_class(tmp_path / "school", cameras=0)) as school:
        school.write_site(lambda text: text + f'\n[hub]\nurl = "{hub.url}"\nkey = "{hub.key}"\n')
        yield school


def meals_of(hub: VirtualHub) -> list[int]:
    return sorted(meal["pupil"] for meal in hub.store.meals(SCHOOL))


def edusense(*arguments: str, status: int = 0) -> list[dict]:
    command = [sys.executable, "-m", "edusense", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_meal_reaches_the_hub_whatever_happens_to_both(school, hub):
    school.start()
    box = school.connect()
    assert box.tap(terminal="left", card=school.cards[0])["granted"]
    school.until(lambda: meals_of(hub) == [1001])
    working = school.until(lambda: (row := school.row("uplink"))["waiting"] == 0 and row)
    validate("status", working)
    assert (working["state"], working["reason"]) == ("working", None)
    hub.link.cut()
    assert box.tap(terminal="left", card=school.cards[1])["granted"], "meals go on without the hub"
    away = school.until(lambda: (row := school.row("uplink"))["state"] == "unavailable" and row["waiting"] and row)
    assert away["oldest_s"] is not None
    assert hub.url in away["reason"]
    school.processes[-1].kill()
    school.processes[-1].wait(10)
    hub.link.mend()
    school.start()
    school.until(lambda: meals_of(hub) == [1001, 1002])
    school.until(lambda: school.row("uplink")["waiting"] == 0)
    for row in school.events("uplink"):
        validate("events", row)
    assert school.connect().tap(terminal="left", card=school.cards[2])["granted"]
    school.until(lambda: meals_of(hub) == [1001, 1002, 1003])
    assert school.stop() == 0
    assert [day["paid"] for day in hub.store.day_totals(SCHOOL)] == [3]
    assert hub.store.cases() == []
    ledger = Ledger.open(school.folder / "data/ledger", read_only=True)
    held = {(line.terminal, line.epoch): line.acknowledged for line in hub.store.lines(SCHOOL)}
    for stream in ledger.streams():
        assert held[stream.terminal, stream.epoch] <= stream.last


def test_by_stick_where_there_is_no_line(school, hub, tmp_path: Path):
    with Ledger.open(school.folder / "data/ledger", school=SCHOOL) as ledger:
        rows = Ledger.blank(3)
        rows["terminal"], rows["day"], rows["slot"], rows["pupil"] = 1, 20261005, b"lunch", [1, 2, 3]
        ledger.append(rows)
    with Ledger.open(school.folder / "data/ledger", school=SCHOOL) as ledger:
        rows["pupil"] = [4, 5, 6]
        ledger.append(rows)
    stick, site = tmp_path / "stick", ("--site", str(school.site))
    edusense("meals", "key", "new", *site)
    written = edusense("meals", "batches", "export", "--out", str(stick), *site)
    sent = edusense("meals", "batches", "send", str(stick), hub.url, "--hub-key", hub.key)
    assert [row["outcome"] for row in sent] == ["taken"] * len(written)
    for row in sent:
        validate("meals batches send", row)
    assert meals_of(hub) == [1, 2, 3, 4, 5, 6]
    assert {row["outcome"] for row in edusense("meals", "batches", "send", str(stick), hub.url)} == {"known"}
    assert edusense("meals", "batches", "import", str(stick), "--hub-key", hub.key, *site)
    assert edusense("meals", "batches", "export", "--out", str(tmp_path / "again"), *site) == []
    # What happened to a file on its way is found by the hub.
    file = next(stick.glob("51001-1-*.edbatch"))
    shutil.copy(file, tmp_path / "altered.edbatch")
    altered = bytearray((tmp_path / "altered.edbatch").read_bytes())
    altered[300] ^= 1
    (tmp_path / "altered.edbatch").write_bytes(altered)
    (row,) = edusense("meals", "batches", "send", str(tmp_path / "altered.edbatch"), hub.url, status=1)
    assert row["outcome"] == "damaged"
    with (tmp_path / "huge.edbatch").open("wb") as file_:
        file_.truncate(1 << 30)
    (row,) = edusense("meals", "batches", "send", str(tmp_path / "huge.edbatch"), hub.url, status=1)
    assert row["outcome"] == "too-large"
