"""`edusense new`: what it writes passes its own tests at once, and nothing is ever written over."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from edusense.cli.main import edusense
from edusense.cli.new import write_project

GUIDE = Path(__file__).parents[2] / "docs/guide/writing-a-driver.md"


def test_a_new_driver_is_the_guides_worked_example(tmp_path: Path) -> None:
    # tests/unit/test_driver_guide.py builds and installs that one, and holds it against the contract.
    blocks = dict(
        re.findall(r"```(?:python|toml)\n# (\S+\.\w+)\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    )
    written = {file.name: file.read_text(encoding="utf-8") for file in write_project("driver", "lines", tmp_path / "d")}
    assert {name: text for name, text in written.items() if name != "README.md"} == blocks


def test_a_new_driver_carries_its_name_everywhere(tmp_path: Path) -> None:
    files = write_project("driver", "palm-gate", tmp_path)
    assert {file.name for file in files} == {
        "README.md",
        "palm_gate_driver.py",
        "pyproject.toml",
        "test_palm_gate_driver.py",
    }
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert "{{" not in text
        assert "lines:" not in text
        if file.suffix == ".py":
            compile(text, str(file), "exec")
    assert 'palm-gate = "palm_gate_driver:DRIVER"' in (tmp_path / "pyproject.toml").read_text(encoding="utf-8")


def its_tests(project: Path, site: Path) -> str:
    """Installs a new package into a folder of its own and runs its tests; what they printed."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(site), "."], cwd=project, check=True, timeout=80, capture_output=True)
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "-W", "error"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout
    return tested.stdout


def test_a_new_rule_installs_and_passes_its_tests(tmp_path: Path) -> None:
    project, site = tmp_path / "project", tmp_path / "site"
    ended = CliRunner().invoke(edusense, ["new", "rule", "two-hours-apart", "--out", str(project), "--json"])
    assert ended.exit_code == 0, ended.output
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    assert {Path(row["file"]).name for row in rows} == {
        "README.md",
        "pyproject.toml",
        "two_hours_apart_rule.py",
        "test_two_hours_apart_rule.py",
    }
    assert "5 passed" in its_tests(project, site)


def test_a_new_destination_installs_and_keeps_the_contract(tmp_path: Path) -> None:
    project, site = tmp_path / "project", tmp_path / "site"
    ended = CliRunner().invoke(edusense, ["new", "destination", "duty-room", "--out", str(project), "--json"])
    assert ended.exit_code == 0, ended.output
    assert {Path(json.loads(line)["file"]).name for line in ended.stdout.splitlines()} == {
        "README.md",
        "pyproject.toml",
        "duty_room_destination.py",
        "test_duty_room_destination.py",
    }
    assert "7 passed, 2 skipped" in its_tests(project, site)


@pytest.mark.parametrize(
    "name", ["Palm", "palm_gate", "-palm", "palm--gate", "1palm", "a" * 41, "../palm", "class;", "class"]
)
def test_names_that_cannot_be(name: str, tmp_path: Path) -> None:
    ended = CliRunner().invoke(edusense, ["new", "rule", "--out", str(tmp_path / "x"), "--", name])
    assert ended.exit_code == 2
    assert name in ended.stderr
    assert not (tmp_path / "x").exists()


def test_a_name_that_is_taken_is_told_with_its_owner(tmp_path: Path) -> None:
    ended = CliRunner().invoke(edusense, ["new", "driver", "rdm6300", "--out", str(tmp_path / "x")])
    assert ended.exit_code == 2
    assert "edusense-drivers" in ended.stderr


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    ended = CliRunner().invoke(edusense, ["new", "driver", "palm-gate", "--out", str(tmp_path)])
    assert ended.exit_code == 2
    assert "is not empty" in ended.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]
    ended = CliRunner().invoke(edusense, ["new", "driver", "palm-gate", "--out", str(tmp_path / "mine.txt")])
    assert ended.exit_code == 2
