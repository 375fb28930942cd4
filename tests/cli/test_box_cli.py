"""`edusense run`, `status` and `events` as people and programs call them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

from edusense.cli.schemas import validate


def edusense(*words: str, **settings) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edusense", *words], capture_output=True, text=True, timeout=60, **settings
    )


def test_status_for_people(running_school):
    done = edusense("status", "--site", str(running_school.site))
    assert done.returncode == 0
    assert done.stderr == ""
    assert re.match(
        r"box tiny: running, edusense [\d.]+, process \d+, up 0:\d\d:\d\d, [\d.]+ s CPU, \d+ MB\n", done.stdout
    )
    assert "2 of 2 cameras up" in done.stdout
    assert re.search(r"^205-0 +205 +playing +\d+ +\d+", done.stdout, re.MULTILINE)
    assert re.search(r"^left +ready +left +\d+", done.stdout, re.MULTILINE)
    assert re.search(r"^ledger /.*/ledger: open, \d+ records$", done.stdout, re.MULTILINE)


def test_status_for_programs(running_school):
    done = edusense("status", "--json", env={"EDUSENSE_SITE": str(running_school.site), "PATH": "/usr/bin"})
    assert done.returncode == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["kind"] for row in rows] == ["box", "camera", "camera", "terminal", "ledger"]
    for row in rows:
        validate("status", row)


def test_status_of_no_box_is_exit_4(tmp_path):
    site = tmp_path / "school.toml"
    site.write_text('[site]\nid = "x"\nnumber = 1\n')
    done = edusense("status", "--site", str(site))
    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr.startswith("error: no box answers at `")
    assert "hint: start it with `edusense run" in done.stderr


def test_status_of_no_site_is_exit_3(tmp_path):
    assert edusense("status", "--site", str(tmp_path / "none.toml")).returncode == 3


def test_events_for_people_and_for_programs(running_school):
    school = running_school
    tap = school.connect().tap("left", school.cards[0])
    told = edusense("events", "--site", str(school.site), "--kind", "tap", "--json")
    assert json.loads(told.stdout.splitlines()[-1]) == tap
    for row in school.connect().events():
        validate("events", row)
    told = edusense("events", "--site", str(school.site), "--since", str(tap["cursor"] - 1), "--kind", "tap")
    assert re.fullmatch(rf"{tap['cursor']}  \d\d:\d\d:\d\d  tap +left  granted, pupil 1001\n", told.stdout)
    told = edusense("events", "--site", str(school.site))
    assert re.search(r"motion +205-\d  [\d.]+ s from \d\d:\d\d:\d\d, score \d\.\d\d, 205-", told.stdout)
    assert re.search(r"box +state=started", told.stdout)
    assert edusense("events", "--site", str(school.site), "--since", "-1").returncode == 2


def test_following_until_interrupted(running_school):
    school = running_school
    box = school.connect()
    before = school.row("box")["clients"]
    with subprocess.Popen(
        [sys.executable, "-m", "edusense", "events", "-f", "--json", "--kind", "tap", "--site", str(school.site)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as follower:
        try:
            school.until(lambda: school.row("box")["clients"] > before)
            tap = box.tap("left", school.cards[1])
            assert follower.stdout is not None
            assert json.loads(follower.stdout.readline()) == tap
            follower.send_signal(signal.SIGINT)
            assert follower.wait(10) == 130
        finally:
            follower.kill()


def test_commands_have_examples():
    for name in ("run", "status", "events"):
        told = edusense(name, "--help").stdout
        assert "Examples:" in told
        assert f"edusense {name}" in told


def test_a_clip_of_an_event(running_school, tmp_path):
    event = next(row for row in running_school.connect().events() if row["kind"] == "motion")
    out = tmp_path / "event.mp4"
    words = ("video", "clip", event["id"], "--site", str(running_school.site), "--out", str(out), "--json")
    told = edusense(*words)
    assert told.returncode == 2
    assert "--reason" in told.stderr
    assert not out.exists()
    told = edusense(*words, "--reason", "a window was broken")
    assert told.returncode == 0, told.stderr
    audit = running_school.folder / "data/audit.jsonl"
    assert f"written to {audit}" in told.stderr
    last = json.loads(audit.read_text("utf-8").splitlines()[-1])
    assert (last["uid"], last["what"], last["of"]) == (os.getuid(), "clip", event["id"])
    assert last["reason"] == "a window was broken"
    row = json.loads(told.stdout)
    validate("video clip", row)
    assert row["pictures"] > 1
    assert row["start_s"] <= event["start_s"] + 0.5
    assert out.stat().st_mode & 0o777 == 0o640
    words = ("--site", str(running_school.site), "--out", str(out), "--reason", "a test")
    told = edusense("video", "clip", "205-0-1795443259781-4", *words)
    assert told.returncode == 4
    assert out.stat().st_size == len(running_school.connect().clip(event["id"], reason="a test"))


def test_pictures_of_a_running_box(running_school, tmp_path):
    site = str(running_school.site)
    why = "trying it"
    done = edusense(
        "video", "contact-sheet", "--out", str(tmp_path / "s.png"), "--reason", why, "--json", "--site", site
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 2
    for row in rows:
        validate("video contact-sheet", row)
        assert row["picture"]
        assert row["age_s"] < 60
    done = edusense("video", "timeline", "--hours", "1", "--out", str(tmp_path / "t.html"), "--json", "--site", site)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        validate("video timeline", json.loads(line))
    assert done.stdout
    done = edusense("video", "heatmap", "205-0", "--out", str(tmp_path / "h.png"), "--reason", why, "--site", site)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "h.png").read_bytes().startswith(b"\x89PNG")
    done = edusense("video", "heatmap", "nobody", "--out", str(tmp_path / "n.png"), "--reason", why, "--site", site)
    assert done.returncode != 0
    assert "there is no camera `nobody`" in done.stderr
    done = edusense("video", "timeline", "--camera", "nobody", "--out", str(tmp_path / "n.png"), "--site", site)
    assert "there is no camera `nobody`" in done.stderr
