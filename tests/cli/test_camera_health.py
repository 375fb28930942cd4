"""`edusense camera health` on virtual cameras: what works is told from what only says so."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import pytest

from edusense import Site, fleet
from edusense.cli.schemas import validate
from edusense.fleet.handover import COLUMNS
from edusense.sim.encode import Encoding
from edusense.sim.faults import Share
from edusense.sim.fleet import VirtualFleet
from edusense.sim.library import PlayerLibrary

SMALL = {
    "main": Encoding(320, 180, 10.0, gop_s=1.0, cap_kbit=300, constant=True),
    "sub": Encoding(160, 96, 10.0, gop_s=1.0, cap_kbit=100, constant=True),
}
TEXT = """[site]
id = "school"
number = 1
data = "data"
[credentials.cameras]
user = "edusense"
password = "file:cameras.secret"
[[rooms]]
id = "205"
kind = "classroom"
"""
KINDS = ("good", "black-picture", "frozen-picture", "other-stream", "disk-full", "refuse-auth")
SECRET = "he4lth-S3cret"


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    """A camera of each kind, each in a fleet of its own; `other-stream` has been set and does not do it."""
    folder = tmp_path_factory.mktemp("health")
    library = PlayerLibrary(seconds=4.0, events=False)
    fleets, text = [], TEXT
    for index, kind in enumerate(KINDS):
        faults = [] if kind == "good" else [Share(kind)]
        made = VirtualFleet(
            1, network=f"127.36.{index}.0/24", password=SECRET, encodings=SMALL, library=library, faults=faults
        ).start()
        fleets.append(made)
        (camera,) = made.cameras
        where = camera.onvif.partition("://")[2].partition("/")[0]
        text += f'[[cameras]]\nid = "{kind}"\nroom = "205"\naddress = "{where}"\ncredentials = "cameras"\n'
    stream = fleets[0].cameras[0].url("sub")
    text += f'[[cameras]]\nid = "by-url"\nroom = "205"\nurl = "{stream}"\ncredentials = "cameras"\n'
    (folder / "cameras.secret").touch(mode=0o600)
    (folder / "cameras.secret").write_text(f"{SECRET}\n")
    (folder / "school.toml").write_text(text)
    site = Site.load(folder / "school.toml")
    with fleet.addresses.open_of_site(site, site.camera("other-stream"), 20.0) as opened:
        opened.write_settings("encoder/main", {"fps": 5.0, "gop": 5})
    yield folder
    for one in fleets:
        one.stop()
    library.close()


def edusense(folder, *words):
    return subprocess.run(
        [sys.executable, "-m", "edusense", "camera", "health", *words],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "250"},
        stdin=subprocess.DEVNULL,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )


def test_works_is_said_of_what_was_seen(school):
    # Somebody has begun, and broke off.
    site = Site.load(school / "school.toml")
    store = fleet.HealthStore.of(site)
    assert store.begin([one.id for one in site.cameras]) == []
    fleet.health(site, ["by-url"], seconds=2.0, found=store.put)
    done = edusense(school, "--seconds", "2", "--json")
    assert done.returncode == 1, done.stderr
    assert "goes on: 1 of 7 cameras were checked already" in done.stderr
    found = {}
    for line in done.stdout.splitlines():
        row = json.loads(line)
        validate("camera health", row)
        found[row["camera"]] = row
    outcomes = {name: row["outcome"] for name, row in found.items()}
    assert outcomes == {
        "good": "works",
        "by-url": "works",
        "black-picture": "bad-picture",
        "frozen-picture": "bad-picture",
        "other-stream": "findings",
        "disk-full": "findings",
        "refuse-auth": "refused",
    }, {name: row["findings"] for name, row in found.items()}
    checks = {name: {one["check"] for one in row["findings"]} for name, row in found.items()}
    assert checks["black-picture"] == {"black"}
    assert checks["frozen-picture"] == {"frozen"}
    assert checks["other-stream"] == {"rate", "gop"}
    assert checks["disk-full"] == {"storage"}
    seen = found["good"]["streams"]["keep"]
    assert (seen["codec"], seen["width"], seen["height"], seen["gop"]) == ("h264", 320, 180, 10)
    assert found["good"]["snapshot"] is not None
    assert "2 works, 2 findings, 2 bad-picture, 1 refused" in done.stderr
    # What was found is kept, without a secret and not for everybody.
    kept = school / "data" / "fleet" / "health"
    assert (kept / "good.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert not (kept / "refuse-auth.jpg").exists()
    assert (kept / "good.jpg").stat().st_mode & 0o007 == 0
    assert not (kept / "run.json").exists()
    for path in kept.iterdir():
        assert SECRET.encode() not in path.read_bytes()


def test_the_report_tells_what_was_seen_and_which_rooms_have_nothing(school, tmp_path):
    """Goes by what the check above has kept."""
    never = school / "never.toml"
    text = (school / "school.toml").read_text()
    never.write_text(
        text
        + '[[rooms]]\nid = "attic"\nkind = "attic"\n[[rooms]]\nid = "gym"\nkind = "gym"\n'
        + '[[cameras]]\nid = "gym-1"\nroom = "gym"\naddress = "127.36.99.1"\nmac = "02:ed:00:00:99:01"\n'
    )
    out = tmp_path / "handover"
    done = subprocess.run(
        [sys.executable, "-m", "edusense", "camera", "report", "--site", str(never), "--out", str(out), "--json"],
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    validate("camera report", told)
    assert told["rooms_without"] == ["attic", "gym"]
    assert (told["cameras"], told["working"]) == (8, 4)
    assert told["outcomes"]["not-checked"] == 1
    assert "2 rooms of 3 without a camera that was: attic, gym" in done.stderr
    written = [json.loads(line) for line in (school / "data" / "audit.jsonl").read_text().splitlines()]
    assert [(one["what"], one["of"], one["reason"]) for one in written] == [("report", "*", "hand-over report")]
    page = (out / "report.html").read_text()
    assert "4 of 8 cameras were seen to work" in page
    assert page.count("data:image/jpeg") == 6
    for alien in ("http://", "https://", "<script", 'src="/', "url("):
        assert alien not in page.replace("http://www.w3.org", "")
    with (out / "cameras.csv").open(encoding="utf-8-sig", newline="") as file:
        lines = {row["camera"]: row for row in csv.DictReader(file)}
    assert tuple(lines["good"]) == COLUMNS
    assert (lines["good"]["outcome"], lines["good"]["size"]) == ("works", "320x180")
    assert lines["good"]["mac"].startswith("02:ed:")
    assert lines["gym-1"]["mac"] == "02:ed:00:00:99:01"
    assert (out / lines["good"]["picture"]).read_bytes()[:2] == b"\xff\xd8"
    assert (out / "contact-sheet.pdf").read_bytes()[:5] == b"%PDF-"
    for path in [one for one in out.rglob("*") if one.is_file()]:
        assert path.stat().st_mode & 0o007 == 0
        assert SECRET.encode() not in path.read_bytes()


def test_what_a_camera_calls_itself_is_no_formula_and_no_markup(school):
    site = Site.load(school / "school.toml")
    store = fleet.HealthStore(school / "own")
    one = fleet.CameraHealth("good", "205", "works", at_s=1.0, manufacturer="=1+1", model="<b>x</b>")
    store.put(one)
    made = fleet.handover(site, store, ["good"])
    assert "'=1+1" in made.table()
    assert [room.room.id for room in made.without] == []
    from edusense.fleet.handover_page import render

    page = render(made)
    assert "<b>x</b>" not in page
    assert "checked more than a day ago" in page
