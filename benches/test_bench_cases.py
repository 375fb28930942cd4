"""Every case of `edusense bench cases`, as pytest-benchmark stores it: the same code, the same figures and limits.

The stored time is that of the whole run; what was measured stands in `extra_info`, each figure with its runs, its peer
and its ratio. `make bench` runs all, `pytest benches -o addopts= -k "[meal]"` one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edusense.bench.registry import CASES
from edusense.errors import BenchNotMeasuredError

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from edusense.bench.case import Case

ROOT = Path(__file__).resolve().parents[1]


def build_the_bare_loop() -> None:
    """The peer of `ingest`: an example of the Rust half."""
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not installed: the bare loop is an example of the Rust half")
    command = ["cargo", "build", "--release", "--locked", "--quiet", "-p", "edusense-stream", "--example"]
    subprocess.run([*command, "bare_retina"], check=True, cwd=ROOT)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case(benchmark: BenchmarkFixture, case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if case.device in ("camera", "reader"):
        pytest.skip(f"needs a real one: `edusense bench {case.device} ADDRESS`")
    if case.id == "ingest":
        build_the_bare_loop()
    where: dict[str, Any] = {"folder": str(tmp_path)} if case.device == "disk" else {}
    try:
        measured = benchmark.pedantic(case.measure, kwargs=where, rounds=1, iterations=1)
    except BenchNotMeasuredError as missing:
        pytest.skip(f"{missing}; {case.needs}")
    benchmark.extra_info["figures"] = [{"id": figure.id, **figure.to_json()} for figure in measured.figures]
    benchmark.extra_info["notes"] = list(measured.notes)
    with capsys.disabled():
        for figure in measured.figures:
            beside = "" if figure.ratio is None else f", {figure.ratio:.2f} × {figure.peer}"
            sys.stdout.write(f"\n{case.id}: {figure.what}: {figure.median:.4g} {figure.unit}{beside}")
        sys.stdout.write("\n")
    for figure in measured.figures:
        assert figure.good is not False, figure.to_json()
