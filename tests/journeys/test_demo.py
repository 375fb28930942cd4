"""The demo as a newcomer runs it: two real processes, real bytes, an account that adds up."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_small_school_adds_up(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "edusense",
            "demo",
            "--cameras",
            "3",
            "--seconds",
            "26",
            "--seed",
            "20",
            "--json",
            "--out",
            str(out),
        ],
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    assert done.stdout, done.stderr
    account = json.loads(done.stdout)
    assert account["problems"] == [], done.stderr
    assert done.returncode == 0
    assert account["cameras_up"] == 3
    assert account["motion_found"] == account["motion_staged"] > 0
    assert account["taps_granted"] == account["ledger_meals"] > 0
    assert account["ledger_sound"]
    assert account["alerts_staged"] == account["alerts_raised"] == account["alerts_delivered"] == 1
    assert account["alerts_answered"] == 1
    assert account["alerts_doubled"] == 0
    assert "cameras up: 3 of 3" in done.stderr
    assert (out / "index.html").stat().st_size > 20_000


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "thesis.txt"
    mine.write_text("all of it")
    done = subprocess.run(
        [sys.executable, "-m", "edusense", "demo", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "--out" in done.stderr
    assert mine.read_text() == "all of it"


def test_a_demo_that_is_ended_leaves_no_process_behind(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    command = [sys.executable, "-m", "edusense", "demo", "--cameras", "1", "--seconds", "60", "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stderr is not None
        assert any(line.startswith("box:") for line in demo.stderr)
        demo.terminate()
        demo.stderr.read()
        assert demo.wait(timeout=30) == 130
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            assert str(out) not in process.read_bytes().decode(errors="replace"), "a process of the demo still runs"
