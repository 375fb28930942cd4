"""The guide's worked example is a package of its own that passes the shipped contract."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs/guide/writing-a-driver.md"


def files() -> dict[str, str]:
    """The blocks of the guide that begin with a file's name."""
    blocks = re.findall(r"```(?:python|toml)\n# (\S+\.\w+)\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    return dict(blocks)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The example as the guide has it, and the folder that pip has built and installed it into."""
    written, installed = tmp_path_factory.mktemp("written"), tmp_path_factory.mktemp("installed")
    found = files()
    assert set(found) == {"lines_driver.py", "pyproject.toml", "test_lines_driver.py"}
    for name, text in found.items():
        (written / name).write_text(text, encoding="utf-8")
    # With the build tools that are here: a test must not need a package index.
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    ended = subprocess.run(
        [*pip, "--target", str(installed), "."], cwd=written, capture_output=True, text=True, timeout=80, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return written, installed


def test_the_example_is_listed_as_a_distribution_of_its_own(installed: tuple[Path, Path]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "edusense", "reader", "list", "--json"],
        cwd=installed[1],
        env={**os.environ, "PYTHONPATH": str(installed[1])},
        capture_output=True,
        text=True,
        timeout=80,
        check=True,
    )
    found = {row["id"]: row for row in map(json.loads, ended.stdout.splitlines())}
    assert found["lines"]["distribution"] == "edusense-lines"
    assert found["lines"]["problem"] is None
    assert found["lines"]["models"][0]["name"] == "Made-up Lines 1"
    assert found["rdm6300"]["distribution"] == "edusense-drivers"


@pytest.mark.slow
def test_the_example_driver_keeps_every_promise(installed: tuple[Path, Path], tmp_path: Path) -> None:
    # From a folder without the driver's source: what is tested is what was installed.
    written, site = installed
    (tmp_path / "test_lines_driver.py").write_bytes((written / "test_lines_driver.py").read_bytes())
    options = ["-p", "no:cacheprovider", "-p", "no:asyncio", "-W", "error"]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, "test_lines_driver.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert re.search(r"\d{2} passed", ended.stdout)
