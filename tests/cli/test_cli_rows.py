"""What commands print with `--json` is what their schema says."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edusense.cli.schemas import ROWS, row_schema, validate
from edusense.site.template import new_site

TERMINAL = """
[[cameras]]
id = "101-front"
room = "101"
url = "rtsp://127.0.0.1:9/nobody"

[[terminals]]
id = "canteen-left"
number = 1
room = "canteen"
"""


def edusense(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edusense", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def rows(command: str, *arguments: str) -> list[dict[str, Any]]:
    told = edusense(*command.split(), *arguments, "--json")
    assert told.returncode in (0, 1), told.stderr
    found = [json.loads(line) for line in told.stdout.splitlines()]
    for row in found:
        validate(command, row)
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("school")
    (folder / "cameras.secret").touch(mode=0o600)
    (folder / "cameras.secret").write_text("secret\n")
    (folder / "roster.csv").write_text("pupil,name,class,category,cards,consent_date,voucher_from,voucher_to\n")
    (folder / "school.toml").write_text(new_site() + TERMINAL)
    return folder / "school.toml"


@pytest.fixture(scope="module")
def box(site: Path) -> Iterator[Path]:
    process = subprocess.Popen(
        [sys.executable, "-m", "edusense", "run", "--site", str(site)], stderr=subprocess.PIPE, text=True
    )
    socket = site.parent / "data/box.sock"
    until = time.monotonic() + 30
    while not socket.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    try:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        yield site
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_of_the_site(site: Path):
    assert [row["id"] for row in rows("camera list", "--site", str(site))] == ["101-front"]
    assert {row["kind"] for row in rows("reader list", "--site", str(site))} == {"driver"}
    rows("site check", str(site))
    rows("site show", str(site))
    rows("reader ports")
    rows("doctor", "--site", str(site))


def test_of_the_running_box(box: Path):
    status = rows("status", "--site", str(box))
    assert [row["kind"] for row in status] == ["box", "camera", "terminal", "ledger"]
    import edusense as package

    package.connect(box).tap("canteen-left", "010063E9AE")
    events = rows("events", "--site", str(box))
    assert {"box", "tap"} <= {row["kind"] for row in events}


def test_of_a_roster_and_a_ledger(tmp_path: Path):
    roster = tmp_path / "roster.csv"
    head = "pupil,name,class,category,cards,consent_date,voucher_from,voucher_to\n"
    roster.write_text(head + "1001,Айгерім,2А,free,010063E9AE,2020-08-20,2020-09-01,2099-05-31\n")
    all_day = new_site().replace('from = "11:00"', 'from = "00:00"').replace('to = "14:30"', 'to = "23:59:59"')
    (tmp_path / "school.toml").write_text(all_day + TERMINAL)
    site = ("--site", str(tmp_path / "school.toml"))
    assert [row["pupil"] for row in rows("roster show", *site)] == [1001]
    rows("roster check", str(roster))
    more = tmp_path / "more.csv"
    more.write_text(roster.read_text() + "1002,Данияр,7Б,large-family,0100A1B2C3,2026-08-21,2026-09-01,2027-05-31\n")
    assert [row["change"] for row in rows("roster import", str(more), *site, "--dry-run")] == ["added"]
    more.write_text(head + "1O02,,7Б,,,,,\n")
    told = edusense("roster", "check", str(more), "--json")
    assert told.returncode == 6
    for line in told.stdout.splitlines():
        validate("roster check", json.loads(line))
    told = edusense("meals", "tap", "010063E9AE", "--terminal", "canteen-left", *site, "--json")
    validate("meals tap", json.loads(told.stdout))
    assert {row["kind"] for row in rows("meals status", *site)} == {"ledger", "terminal"}
    rows("meals verify", *site)
    rows("meals export", *site)


def test_of_a_file_of_pictures(tmp_path: Path):
    import av
    import numpy as np

    path = tmp_path / "moving.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=10, options={"g": "10", "bf": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 192, "yuv420p"
        for index in range(60):
            picture = np.full((192, 320, 3), 90, np.uint8)
            if 20 <= index < 40:  # something bright walks through
                picture[60:130, 8 * (index - 20) : 8 * (index - 20) + 50] = 230
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    (inspected,) = rows("video inspect", str(path))
    assert (inspected["width"], inspected["height"], inspected["pictures"]) == (320, 192, 60)
    (cut,) = rows("video clip", str(path), "--from", "2.5", "--to", "4", "--out", str(tmp_path / "clip.mp4"))
    assert (cut["start_s"], cut["end_s"], cut["pictures"]) == (2.0, 3.9, 20)
    (event,) = rows("video events", str(path))
    assert abs(event["start_s"] - 2.0) < 0.5
    rows("video luma", str(path), "--at", "2.5", "--out", str(tmp_path / "luma.png"))


def test_an_error_is_a_row_too():
    told = edusense("site", "show", "none.toml", "--json")
    validate("error", json.loads(told.stderr))


def test_an_unknown_key_would_be_seen():
    row = {"check": "clock", "state": "ok", "finding": "right", "hint": None}
    validate("doctor", row)
    for broken in ({**row, "more": 1}, {**row, "state": "fine"}, {"check": "clock"}):
        with pytest.raises(ValueError, match="validation error"):
            validate("doctor", broken)


@pytest.mark.parametrize("command", ROWS)
def test_schemas_leave_room_for_additions_and_describe_each_key(command: str):
    text = json.dumps(row_schema(command))
    assert 'additionalProperties": false' not in text
    for model in ROWS[command]:
        for name, field in model.model_fields.items():
            assert field.description or name == "kind" or name == "state", f"{model.__name__}.{name}"
