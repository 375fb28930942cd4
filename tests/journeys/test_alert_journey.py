"""From a forbidden zone to the operations centre and back: the real box as a process, on a virtual camera."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import av
import pytest
from PIL import Image

import edusense
from edusense.cli.schemas import validate
from edusense.errors import CaseClosedError, CaseUnknownError, FindingError, FindingLimitedError, PictureDamagedError
from edusense.sim.ops_centre import VirtualOpsCentre

ZONES = """
[credentials.centre]
user = "edusense"
password = "file:centre.secret"

[[zones]]
id = "whole-room"
camera = "205-0"
polygon = [[0, 0], [1, 0], [1, 1], [0, 1]]
kind = "forbidden"
alert = ["ops-centre"]

[[zones]]
id = "quiet-corner"
camera = "205-0"
polygon = [[0, 0], [0.01, 0], [0.01, 0.01], [0, 0.01]]
kind = "forbidden"

[[destinations]]
id = "ops-centre"
driver = "https-json"
url = "{url}"
credentials = "centre"
"""


@pytest.fixture(scope="module")
def centre() -> Iterator[VirtualOpsCentre]:
    with VirtualOpsCentre() as centre:
        yield centre


@pytest.fixture(scope="module")
def school(
    tmp_path_factory: pytest.TempPathFactory, centre: VirtualOpsCentre, school_class: type[Any]
) -> Iterator[Any]:
    with contextlib.closing(school_class(tmp_path_factory.mktemp("school"))) as school:
        secret = school.folder / "centre.secret"
        secret.touch(mode=0o600)
        secret.write_text(f"{centre.secret}\n")
        school.write_site(lambda text: text + ZONES.format(url=centre.url))
        school.start()
        school.until(lambda: school.row("camera")["state"] == "playing")
        yield school


def run(school: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edusense", "alerts", *arguments, "--site", str(school.site)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"COLUMNS": "200"},
    )


def test_somebody_enters_and_the_centre_has_the_still_and_then_the_clip(school, centre):
    school.until(lambda: [case for case in centre.store.cases() if "clip" in case["files"]], 60)
    case = centre.store.cases()[0]
    assert case["status"] == "actual"
    assert case["finding"] == "forbidden-entry"
    assert case["place"]["zone"] == "whole-room"
    assert case["place"]["room"]["id"] == "205"
    assert case["clock_error_s"] > 0
    path, media_type = centre.store.file(case["case"], "still")
    assert media_type == "image/jpeg"
    assert path.stat().st_size <= 50_000
    with Image.open(path) as still:
        assert still.size == (320, 240)
        # The zone's red outline goes round the whole picture.
        red, green, blue = still.convert("RGB").getpixel((160, 1))
        assert red > 140
        assert red > 2 * green
        assert red > 2 * blue
    school.until(lambda: centre.store.file(case["case"], "clip"))
    with av.open(io.BytesIO(centre.store.file(case["case"], "clip")[0].read_bytes())) as clip:
        assert sum(1 for _ in clip.decode(video=0)) > 10


def test_an_answer_goes_both_ways(school, centre):
    box = school.connect()
    case = school.until(lambda: [row for row in box.cases(open_only=True) if not row["test"]])[0]["case"]
    told = run(school, "acknowledge", case, "--by", "А. Серикова")
    assert told.returncode == 0, told.stderr
    school.until(lambda: centre.store.case(case)["state"] == "seen")
    centre.answer(case, "taken", by="ЦОУ, Оспанов")
    school.until(lambda: box.case(case)[0]["state"] == "taken")
    assert box.case(case)[0]["answered_by"] == "ЦОУ, Оспанов"
    school.until(lambda: centre.store.case(case)["state"] == "taken")


def test_the_test_alert_prints_each_hop_and_is_marked_everywhere(school, centre):
    told = run(school, "test", "quiet-corner")
    assert told.returncode == 0, told.stderr
    assert "names no destination" in told.stderr
    told = run(school, "test", "whole-room", "--json")
    assert told.returncode == 0, told.stderr
    hops = [json.loads(line) for line in told.stdout.splitlines()]
    for hop in hops:
        validate("alerts test", hop)
    assert {hop["hop"] for hop in hops} == {"on the disk", "ops-centre: message", "still", "ops-centre: still"}
    case = hops[0]["case"]
    assert centre.store.case(case)["status"] == "test"
    school.until(lambda: centre.store.case(case)["state"] == "closed")
    wrong = run(school, "test", "whole-rom")
    assert wrong.returncode == 2
    assert "perhaps `whole-room`" in wrong.stderr


def test_rows_are_as_their_schemas_say(school):
    for command, arguments in (
        ("alerts list", ["list"]),
        ("alerts show", ["show", "1"]),
        ("alerts verify", ["verify"]),
    ):
        told = run(school, *arguments, "--json")
        assert told.returncode == 0, told.stderr
        assert told.stdout
        for line in told.stdout.splitlines():
            validate(command, json.loads(line))
    for row in school.connect().status():
        validate("status", row)
    for row in [*school.events("alert"), *school.events("destination")]:
        validate("events", row)
    shown = run(school, "show", "1")
    assert "where it went" in shown.stdout
    assert "forbidden-entry" in run(school, "list").stdout


def test_files_of_a_case(school, tmp_path):
    told = run(school, "show", "1", "--still", str(tmp_path / "a.jpg"), "--clip", str(tmp_path / "a.mp4"))
    assert told.returncode == 0, told.stderr
    assert (tmp_path / "a.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert (tmp_path / "a.jpg").stat().st_mode & 0o777 == 0o640
    told = run(school, "show", "1", "--still", "/nowhere/a.jpg")
    assert told.returncode == 7


def test_a_finding_is_one_call(school, centre):
    box = school.connect()
    jpeg = io.BytesIO()
    Image.new("RGB", (64, 64), (0, 0, 255)).save(jpeg, "JPEG")
    case = box.raise_finding(
        "fire", camera="205-0", rule="smoke", version="3", severity="extreme", boxes=[[0.1, 0.1, 0.2, 0.2]],
        text="дым у окна", still=jpeg.getvalue(),
    )  # fmt: skip
    school.until(lambda: centre.store.file(case["case"], "still"))
    assert centre.store.file(case["case"], "still")[0].read_bytes() == jpeg.getvalue()
    assert centre.store.case(case["case"])["text"] == "дым у окна"
    assert case["source"].startswith("process ")
    with pytest.raises(FindingError, match="no camera `205-9`"):
        box.raise_finding("fire", camera="205-9", rule="smoke", version="3")
    with pytest.raises(FindingError, match="not inside the picture"):
        box.raise_finding("fire", camera="205-0", rule="smoke", version="3", boxes=[[0.9, 0, 0.2, 1]])
    for still in (b"GIF89a", jpeg.getvalue()[:100]):
        with pytest.raises(PictureDamagedError):
            box.raise_finding("fire", camera="205-0", rule="smoke", version="3", still=still)
    with pytest.raises(CaseUnknownError):
        box.answer("nothing", "seen", by="x")
    box.answer(case["case"], "false", by="завхоз", note="пар")
    with pytest.raises(CaseClosedError):
        box.answer(case["case"], "seen", by="x")


async def test_the_same_for_asyncio(school):
    box = await edusense.connect_async(school.site)
    case = await box.raise_finding("fight", camera="205-0", rule="fights", version="1", test=True)
    assert (await box.case(case["case"]))[0]["finding"] == "fight"
    assert (await box.cases(most=1))[0]["case"] == case["case"]
    assert (await box.answer(case["case"], "closed", by="test"))["state"] == "closed"
    assert (await box.test_alert("quiet-corner"))["test"]


def test_a_runaway_analyser_is_limited(school):
    box = school.connect()

    def flood() -> None:
        for _ in range(200):
            box.raise_finding("noise", camera="205-0", rule="broken", version="1", source="broken", severity="minor")

    with pytest.raises(FindingLimitedError):
        flood()
    assert len([row for row in school.events("alert") if row["entry"] == "limited"]) == 1


def test_cases_can_be_read_while_no_box_runs(school):
    before = {case["case"] for case in school.connect().cases()}
    assert school.stop() == 0
    after = {json.loads(line)["case"] for line in run(school, "list", "--json").stdout.splitlines()}
    assert before <= after
    assert run(school, "show", "1").returncode == 0
    assert run(school, "verify").returncode == 0
    assert run(school, "acknowledge", "1", "--by", "x").returncode == 4
    school.start()
    school.until(lambda: school.row("camera")["state"] == "playing")


def test_the_link_is_cut_and_nothing_is_lost_or_doubled(school, centre):
    box = school.connect()
    centre.link.cut()
    cases = []
    for number in range(12):
        severity = ("minor", "severe", "extreme")[number % 3]
        cases.append(box.raise_finding(f"cut-{number}", rule="r", version="1", severity=severity, source=f"s{number}"))
    waiting = school.until(lambda: (row := school.row("destination"))["state"] == "unavailable" and row)
    assert waiting["waiting"]["messages"] >= 12
    box.answer(cases[0]["case"], "seen", by="guard")
    centre.link.mend()
    ids = {case["case"] for case in cases}
    school.until(lambda: len([told for told in centre.store.messages() if told["case"] in ids]) >= 13, 90)
    arrived = [told for told in centre.store.messages() if told["case"] in ids]
    severities = [told["severity"] for told in arrived if told["type"] == "alert"]
    # Several go at once, so neighbours may change places; the gravest are there before the first of the least.
    assert severities[0] == "extreme"
    assert max(i for i, one in enumerate(severities) if one == "extreme") < severities.index("minor")
    assert len(arrived) == 13
    assert sorted({told["key"] for told in arrived}) == sorted(told["key"] for told in arrived)


def test_a_page_of_the_site_file_that_changes_takes_effect(school, centre):
    before = school.site.read_text("utf-8")
    school.site.write_text(before.replace('url = "http://127', 'url = "https://127'), "utf-8")
    row = school.until(lambda: (row := school.row("destination"))["state"] == "refused" and row)
    assert "TLS" in row["reason"]
    school.site.write_text(before, "utf-8")
    school.until(lambda: school.row("destination")["state"] == "working")


def test_secrets_are_in_no_log(school, centre):
    assert centre.secret not in school.said()
    for path in (school.folder / "data").rglob("*"):
        if path.is_file() and path.stat().st_size < 50_000_000:
            assert centre.secret.encode() not in path.read_bytes(), path


def test_the_centre_hears_of_every_camera_and_of_the_box_itself_by_a_signed_heartbeat(school, centre):
    school.until(lambda: centre.store.schools(), 70)
    (told,) = centre.store.schools()
    (camera,) = told["cameras"]
    assert (camera["id"], camera["room"]) == ("205-0", "205")
    assert told["box"]["version"]
    assert told["cases"]["position"] > 0
    assert len(told["cases"]["head"]) == 64
    assert abs(told["at_s"] - told["received_s"]) < 10
    assert centre.application.refused == 0


def test_a_silenced_zone_is_silent_and_the_centre_knows_who_silenced_it(school, centre):
    told = run(school, "silence", "whole-room", "--for", "30m", "--by", "А. Серикова", "--reason", "ремонт", "--json")
    assert told.returncode == 0, told.stderr
    silence = json.loads(told.stdout)
    validate("alerts silence", silence)
    school.until(lambda: [one for one in centre.store.messages() if one["type"] == "silence"])
    heard = next(one for one in centre.store.messages() if one["type"] == "silence")
    assert (heard["what"], heard["silence"]["zone"], heard["silence"]["by"]) == ("begun", "whole-room", "А. Серикова")
    # Somebody walks through every few seconds: it is counted, and opens nothing.
    before = len(school.connect().cases())
    school.until(lambda: [one for one in school.connect().silences() if one["count"]], 60)
    assert len(school.connect().cases()) == before
    for line in run(school, "silences", "--json").stdout.splitlines():
        validate("alerts silences", json.loads(line))
    assert "whole-room" in run(school, "silences").stdout
    assert "is no time" in run(school, "silence", "whole-room", "--for", "soon", "--by", "x").stderr
    assert run(school, "silence", "whole-rom", "--for", "1h", "--by", "x").returncode == 2
    told = run(school, "unsilence", str(silence["id"]), "--by", "А. Серикова")
    assert "is over" in told.stdout
    assert run(school, "unsilence", str(silence["id"]), "--by", "x").returncode == 5
    assert "nothing is silenced" in run(school, "silences").stderr + run(school, "silences").stdout
