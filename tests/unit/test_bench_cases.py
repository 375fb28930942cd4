"""The table of cases: what it promises is what the work gives."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edusense.bench.figure import Figure
from edusense.bench.registry import CASES, find
from edusense.errors import BenchPlanError

ROOT = Path(__file__).resolve().parents[2]
QUICK: dict[str, dict[str, Any]] = {
    "disk": {"writes": 25, "megabytes": 8},
    "meal": {"runs": 3, "warm_up": 1},
    "meals-at-once": {"terminals": 2, "meals": 2, "rounds": 1},
    "meals-batches": {"records": 100, "batches": 2, "peer_records": 1000},
    "meals-recovery": {"records": 500, "opens": 1},
    "meals-opening": {"records": 500, "opens": 1},
    "meals-sealing": {"records": 10_000, "opens": 1},
    "meals-tap": {"pupils": 3},
    "reader-frames": {"frames": 40, "bare_frames": 10},
    "reader-latency": {"cards": 3, "idle_readers": 2, "idle_s": 0.1},
    "gate": {"blocks": 2, "repeat": 12},
    "decode": {"blocks": 1, "pictures": 1},
    "motion": {"blocks": 2, "repeat": 1},
    "fleet-audit": {"cameras": 2, "peer_cameras": 1},
    "alerts-at-once": {"alerts": 8, "kbit": 20_000.0, "still_bytes": 15_000},
    "command-line": {"runs": 1},
}
"""Options with which a case takes a second or so; those that are not here need more than a test has."""


def test_names_are_words_and_there_once():
    names = [case.id for case in CASES]
    assert len(set(names)) == len(names)
    for case in CASES:
        assert case.id == case.id.lower()
        assert len(case.what) > 15
        assert not case.what.endswith(".")
        ids = [kind.id for kind in case.figures]
        assert ids or case.once
        assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_work_is_there_and_its_options_have_defaults(case: Any):
    options = case.options()
    assert set(case.run) <= set(options)
    for option in options.values():
        assert option.kind in {int, float, str, bool, tuple}, option


@pytest.mark.parametrize("name", QUICK)
def test_what_is_promised_is_given(name: str, tmp_path: Path):
    case = find(name)
    arguments = QUICK[name] | ({"folder": str(tmp_path)} if case.device == "disk" else {})
    measured = case.measure(**arguments)
    promised = {kind.id: kind for kind in case.figures}
    assert {figure.id for figure in measured.figures} == set(promised)
    for figure in measured.figures:
        assert figure.unit == promised[figure.id].unit
        assert figure.better == promised[figure.id].better
        assert figure.runs


def test_benches_are_the_same_cases():
    """`make bench` runs each case of the table, none of its own."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "benches/test_bench_cases.py",
        "-o",
        "addopts=",
        "-p",
        "no:cacheprovider",
    ]
    # It is no worker of this test run, and pytest-benchmark would warn that it is one.
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    listed = subprocess.run(
        [*command, "--collect-only", "-q"], cwd=ROOT, env=alone, capture_output=True, text=True, check=False
    )
    assert listed.returncode == 0, listed.stdout + listed.stderr
    assert re.findall(r"test_case\[(.+)\]", listed.stdout) == [case.id for case in CASES]


def test_an_unknown_case_is_named_with_the_nearest():
    with pytest.raises(BenchPlanError, match="there is no case `meel`") as caught:
        find("meel")
    assert caught.value.hint == "perhaps `meal`"


@pytest.mark.parametrize(
    ("better", "speed", "ratio"),
    [("less", True, 3.0), ("less", False, 1 / 3), ("more", True, 1 / 3), ("more", False, 3.0)],
)
def test_a_ratio_is_a_speed_or_a_cost(better: Any, speed: bool, ratio: float):
    figure = Figure("x", "u", (2.0,), peer="p", peer_runs=(6.0,), better=better, more_is_better=speed)
    assert figure.ratio == pytest.approx(ratio)
