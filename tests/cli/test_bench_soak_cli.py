"""`edusense bench soak` on a virtual school and a box of its own, broken off and gone on with; `bench box`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from edusense.cli.schemas import validate

BOX = [sys.executable, "-m", "edusense", "bench", "box"]
SOAK = [sys.executable, "-m", "edusense", "bench", "soak", "--cameras", "2", "--every", "0.5", "--json", "--out"]


@pytest.mark.timeout(240)
def test_a_soak_that_is_broken_off_keeps_what_it_has_and_goes_on(tmp_path):
    out = tmp_path / "soak"
    keep = out / "samples.jsonl"
    with subprocess.Popen(
        [*SOAK, str(out), "--hours", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as first:
        deadline = time.monotonic() + 90
        while not keep.exists() or len(keep.read_text("utf-8").splitlines()) < 3:
            assert time.monotonic() < deadline, "no sample came"
            assert first.poll() is None, first.stderr.read() if first.stderr else ""
            time.sleep(0.1)
        first.send_signal(signal.SIGINT)
        told, said = first.communicate(timeout=60)
    assert first.returncode == 0, said
    rows = [json.loads(line) for line in told.splitlines()]
    assert {row["id"] for row in rows} == {"memory_mb", "descriptors", "threads", "status_ms"}
    for row in rows:
        validate("bench soak", row)
    before = len(keep.read_text("utf-8").splitlines())
    again = subprocess.run(
        [*SOAK, str(out), "--minutes", "0.05"], capture_output=True, text=True, timeout=120, check=False
    )
    assert again.returncode == 0, again.stderr
    assert "goes on from the samples" in again.stderr
    samples = [json.loads(line) for line in keep.read_text("utf-8").splitlines()]
    assert len(samples) > before
    times = [sample["at_s"] for sample in samples]
    assert times == sorted(times)
    assert "<svg" in (out / "report.html").read_text("utf-8")


def test_a_soak_needs_a_length_and_a_box(tmp_path):
    without = subprocess.run([*SOAK, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False)
    assert without.returncode == 2
    assert "--hours or --minutes" in without.stderr
    (tmp_path / "school.toml").write_text('[site]\nid = "s"\nnumber = 1\ndata = "data"\n')
    site = str(tmp_path / "school.toml")
    none = subprocess.run(
        [*SOAK, str(tmp_path), "--minutes", "1", "--site", site],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert none.returncode == 4, none.stderr


@pytest.mark.timeout(240)
def test_bench_box_tells_how_many_cameras_are_held(tmp_path):
    out = tmp_path / "box"
    done = subprocess.run(
        [*BOX, "--most", "2", "--seconds", "1", "--width", "320", "--json", "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    for row in rows:
        validate("bench box", row)
    figures = {row["figure"]: row["median"] for row in rows if row["kind"] == "figure"}
    assert figures["held"] in (0.0, 2.0)
    assert figures["memory"] > 1
    assert (out / "report.html").read_text("utf-8").count("Memory by number of cameras") >= 1
