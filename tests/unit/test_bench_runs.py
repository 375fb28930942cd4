"""Runs in processes of their own: what crashes, hangs, lies about or is missing, and what stays of it in the folder."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edusense.bench.case import Case, Kind
from edusense.bench.folder import Folder
from edusense.bench.noise import Before, Noise, Sample, watch
from edusense.bench.plan import Plan, Unit
from edusense.bench.report import build, read
from edusense.bench.runner import Runner
from edusense.bench.running import Step, run
from edusense.errors import BenchReportError, PermissionDeniedError

FAKES = """
import os, subprocess, sys, time
from edusense.bench.figure import Figure
from edusense.errors import BenchNotMeasuredError, DeviceDisconnectedError

def figure(value, what="work"):
    return [Figure(what, "ms", tuple(value), peer="nothing at all", peer_runs=(1.0,) * len(value))]

def good(value=2.0, secret=None):
    print("this is not the answer")
    return figure([value] * 3 if secret is None else [float(len(secret))])

def crash(value=1.0):
    print("last words", file=sys.stderr, flush=True)
    os.abort()

def hang(value=1.0):
    time.sleep(600)

def unplugged(value=1.0):
    raise DeviceDisconnectedError("the reader went away", hint="plug it in")

def missing(value=1.0):
    raise BenchNotMeasuredError("no reader is here", hint="bring one")

def bug(value=1.0):
    return 1 / 0

def leaves_a_child(value=1.0):
    child = subprocess.Popen(["sleep", "600"])
    return figure([float(child.pid)])

def burns(value=0.3):
    begun = time.process_time()
    while time.process_time() - begun < value:
        pass
    return figure([value])
"""


@pytest.fixture(autouse=True)
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fakes.py").write_text(FAKES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("fakes", None)
    monkeypatch.setattr("edusense.bench.runner._WATCH_S", 0.02)


def unit(name: str, rounds: int = 1, *, deadline_s: float = 60.0, **options: Any) -> Unit:
    case = Case(name, f"what {name} does", f"fakes:{name}", (Kind("work", "work", "ms"),), deadline_s=deadline_s)
    return Unit(case, None, options, rounds)


def plan(*units: Unit) -> Plan:
    return Plan("fakes", units)


def one(name: str, tmp_path: Path, **more: Any) -> dict[str, Any]:
    return Runner(0.0, tmp_path).run(unit(name, **more), 0)


def test_a_run_gives_figures_and_what_the_machine_did(tmp_path: Path):
    found = one("good", tmp_path, value=3.0)
    (figure,) = found["figures"]
    assert (figure["value"], figure["samples"], figure["peers"][0]["ratio"]) == (3.0, 3, pytest.approx(1 / 3))
    assert len(figure["quantiles"]) == 12
    assert {"others", "steal", "before", "busy"} <= found["noise"].keys()
    assert all(pace > 0 for pace in found["pace"])
    json.dumps(found)


def test_a_secret_reaches_the_work_and_not_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BENCH_SECRET", "hunter2")
    monkeypatch.setattr(Unit, "arguments", lambda self: ({"secret": "env:BENCH_SECRET"}, ["secret"]))
    found = one("good", tmp_path)
    assert found["figures"][0]["value"] == len("hunter2")
    assert "hunter2" not in json.dumps(found)


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("crash", "crashed", "ended by SIGABRT"),
        ("unplugged", "device-disconnected", "the reader went away"),
        ("missing", "bench-not-measured", "no reader is here"),
        ("bug", "internal", "ZeroDivisionError"),
    ],
)
def test_what_goes_wrong_is_an_answer_too(name: str, kind: str, said: str, tmp_path: Path):
    error = one(name, tmp_path)["error"]
    assert error["kind"] == kind
    assert said in error["message"]
    if name == "crash":
        assert error["said"].startswith("last words")
    if name == "bug":
        assert "Traceback" in error["traceback"]


def test_what_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("edusense.bench.runner._GRACE_S", 0.1)
    begun = time.monotonic()
    error = one("hang", tmp_path, deadline_s=2.0)["error"]
    assert error["kind"] == "hung"
    assert time.monotonic() - begun < 60


def test_what_a_case_leaves_running_is_ended_with_it(tmp_path: Path):
    pid = int(one("leaves_a_child", tmp_path)["figures"][0]["value"])
    until = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_worker_ends_when_whoever_asked_is_gone(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from edusense.bench.case import Case, Kind;"
        "from edusense.bench.plan import Unit; from edusense.bench.runner import Runner;"
        "Runner(0.0, Path('.')).run(Unit(Case('h', '', 'fakes:hang', ()), None, {}, 1), 0)"
    )
    asking = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)

    def workers() -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if b"edusense.bench.worker" in path.read_bytes() and Path(path.parent / "cwd").resolve() == tmp_path:
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return found

    until = time.monotonic() + 60
    while not workers():
        assert time.monotonic() < until
        time.sleep(0.05)
    asking.kill()
    asking.wait()
    while workers():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_cpu_of_a_run_is_its_own_and_not_a_strangers(tmp_path: Path):
    found = one("burns", tmp_path, value=1.0)
    assert found["cpu_s"] > 1.0
    assert found["harness_cpu_s"] < 0.02 * found["cpu_s"] + 0.02


def test_noise_names_what_was_busy():
    first, last = Sample(0.0, 10.0, 1.0, 0.0), Sample(10.0, 22.0, 1.0, 5.0)
    quiet = Before(0.02, 0.0, 0.1)
    assert Noise.between(first, last, 11.9, quiet).reasons() == []
    assert "1.00 cores (rustc)" in Noise.between(first, last, 2.0, Before(0.9, 0.0, 1.0, ("rustc",))).reasons()[0]
    stolen = Sample(10.0, 12.0, 3.0, 0.0)
    assert "the hypervisor" in Noise.between(first, stolen, 2.0, quiet).reasons()[0]
    assert "the disk was busy 80 %" in Noise(0.0, 0.0, Before(0.0, 0.8, 0.0)).reasons()[0]


def test_a_program_that_works_beside_us_is_seen_and_named():
    burning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        until = time.monotonic() + 60
        while not (seen := watch(0.5)).busy or not any("python" in name for name in seen.programs):
            assert time.monotonic() < until
        assert seen.cores > 0.25
    finally:
        burning.kill()
        burning.wait()


# ---- the folder


def measure(path: Path, *units: Unit, minutes: float | None = None, **more: Any) -> tuple[Folder, str | None]:
    made = Plan("fakes", units, minutes=minutes)
    with Folder.open(path) as folder:
        ended = run(made, folder, patience_s=0.0, **more)
        return folder, ended


def test_a_case_that_breaks_is_marked_and_the_others_go_on(tmp_path: Path):
    folder, ended = measure(tmp_path / "out", unit("unplugged", 4), unit("good", 2), unit("missing", 3))
    assert ended is None
    report = build(folder)
    states = {case.case: case.state for case in report.cases}
    assert states == {"unplugged": "failed", "good": "measured", "missing": "not measured"}
    assert len(report.cases[0].runs) == 2, "given up after two"
    assert len(report.cases[2].runs) == 1
    assert report.verdict == "failed"
    assert "the reader went away" in (report.cases[0].reason or "")
    assert report.cases[0].hint == "plug it in"


def test_an_interrupted_plan_goes_on_where_it_stopped(tmp_path: Path):
    def stop(step: Step) -> None:
        if step.done == 2 and step.run is not None:
            raise KeyboardInterrupt

    folder, ended = measure(tmp_path / "out", unit("good", 5), say=stop)
    assert ended == "interrupted"
    assert len(folder.runs) == 2
    assert build(folder, ended).ended_early == "interrupted"
    # The power went while a third line was written.
    with (tmp_path / "out/runs.jsonl").open("ab") as file:
        file.write(b'{"kind":"run","unit":"good","num')
    folder, ended = measure(tmp_path / "out", unit("good", 5))
    assert ended is None
    quiet_first = [one["number"] for one in folder.runs][:5]
    assert quiet_first == [0, 1, 2, 3, 4]


def test_runs_of_another_plan_are_not_mixed_in(tmp_path: Path):
    measure(tmp_path / "out", unit("good", 1, value=1.0))
    with pytest.raises(BenchReportError, match="another plan") as caught:
        measure(tmp_path / "out", unit("good", 1, value=2.0))
    assert "--restart" in (caught.value.hint or "")
    with Folder.open(tmp_path / "out", restart=True) as folder:
        assert folder.runs == []


def test_a_plan_whose_time_is_over_says_what_was_not_run(tmp_path: Path):
    folder, ended = measure(tmp_path / "out", unit("good", 3), minutes=0.0001)
    assert ended == "the time was over"
    (case,) = build(folder, ended).cases
    assert case.state == "not run"


def test_two_do_not_measure_into_one_folder(tmp_path: Path):
    with Folder.open(tmp_path / "out"), pytest.raises(BenchReportError, match="another `edusense bench`"):
        Folder.open(tmp_path / "out")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            '{"kind":"head","schema":99,"edusense":"9.9","began":"","plan":{},"machine":{},"versions":{},"doctor":[]}',
            "newer",
        ),
        ('{"kind":"run"}', "line 1: this is no run"),
        ("hello", "line 1: this is no run"),
    ],
)
def test_a_folder_with_something_else_is_left_alone(line: str, said: str, tmp_path: Path):
    (tmp_path / "runs.jsonl").write_text(line + "\n")
    with pytest.raises(BenchReportError, match=said):
        Folder.open(tmp_path)
    assert (tmp_path / "runs.jsonl").read_text() == line + "\n"


def test_a_full_disk_costs_nothing_that_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real, count = os.fsync, 0

    def full(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with Folder.open(tmp_path / "out") as folder:
        monkeypatch.setattr("edusense.bench.folder.os.fsync", full)
        with pytest.raises(PermissionDeniedError, match="No space left") as caught:
            run(plan(unit("good", 5)), folder, patience_s=0.0)
        assert "goes on" in (caught.value.hint or "")
        assert len(folder.runs) == 2
        report = build(folder, "the disk was full")
        folder.write("report.json", report.model_dump_json(by_alias=True))
    assert read(tmp_path / "out").cases[0].figures[0].count == 2
    folder, _ = measure(tmp_path / "out", unit("good", 5))
    assert {one["number"] for one in folder.runs} >= set(range(5))


def test_room_for_the_report_is_kept_while_measuring(tmp_path: Path):
    with Folder.open(tmp_path / "out") as folder:
        assert sum(file.stat().st_blocks for file in folder.path.iterdir()) * 512 >= 1 << 20
        folder.write("report.json", "{}")
        assert sum(file.stat().st_size for file in folder.path.iterdir()) < 10_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no report"),
        ("[]", "no `schema`"),
        ('{"schema": 99, "edusense": "9.9"}', "newer edusense"),
        ('{"schema": 1, "title": "x"}', "damaged: `profile`"),
    ],
)
def test_a_report_that_cannot_be_read_says_why(text: str, said: str, tmp_path: Path):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(BenchReportError, match=said):
        read(tmp_path)


def test_a_folder_without_a_report_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(BenchReportError, match="there is no report") as caught:
        read(tmp_path)
    assert "makes one" in (caught.value.hint or "")
    (tmp_path / "runs.jsonl").touch()
    with pytest.raises(BenchReportError) as caught:
        read(tmp_path)
    assert "goes on" in (caught.value.hint or "")


def test_ctrl_c_ends_the_worker_too(tmp_path: Path):
    # A run that hangs, and the person at the terminal presses Ctrl-C.
    code = (
        "from pathlib import Path; from edusense.bench.case import Case; from edusense.bench.plan import Plan, Unit;"
        "from edusense.bench.folder import Folder; from edusense.bench.running import run;"
        "folder = Folder.open(Path('out'));"
        "print(run(Plan('x', (Unit(Case('h', '', 'fakes:hang', ()), None, {}, 1),)), folder, patience_s=0,"
        " say=lambda step: print('going', flush=True)))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "going\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=60)
    assert told == "interrupted\n"
    assert process.returncode == 0
