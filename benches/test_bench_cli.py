"""What commands cost before they do anything, one by one: for a stored comparison; the case is `command-line`."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["site", "--help"], ["site", "check", "--help"]])
def test_time_of(benchmark: BenchmarkFixture, arguments: list[str]):
    benchmark.pedantic(
        subprocess.run,
        ([sys.executable, "-m", "edusense", *arguments],),
        {"check": True, "stdout": subprocess.DEVNULL},
        rounds=10,
        warmup_rounds=1,
    )


def test_time_of_loading_a_school_of_180_cameras(benchmark: BenchmarkFixture):
    from edusense import Site

    rooms = "".join(f'[[rooms]]\nid = "r{index}"\nkind = "classroom"\n' for index in range(90))
    cameras = "".join(
        f'[[cameras]]\nid = "c{index}"\nroom = "r{index % 90}"\naddress = "10.20.0.{index}"\n' for index in range(180)
    )
    text = f'[site]\nid = "large"\nnumber = 1\n{rooms}{cameras}'
    site = benchmark(Site.loads, text)
    assert len(site.cameras) == 180
