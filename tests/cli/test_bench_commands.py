"""`edusense bench` as its user calls it: a plan, its report, the same again, and two reports beside each other."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edusense.bench.report import read, schema
from edusense.cli.schemas import validate

PLAN = """title = "A small plan"
rounds = {rounds}

[[cases]]
id = "meal"
options = {{ runs = 5, warm_up = 1 }}

[[cases.limits]]
figure = "one-durable-meal"
at_most = {most}
unit = "µs"
reason = "a child must not wait for the light"

[[cases]]
id = "command-line"
options = {{ runs = 1 }}
"""


def edusense(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edusense", *arguments], cwd=cwd, capture_output=True, text=True, timeout=85, check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two reports of one plan."""
    made = tmp_path_factory.mktemp("bench")
    (made / "plan.toml").write_text(PLAN.format(rounds=2, most=60e6))
    for name in ("march", "april"):
        told = edusense("bench", "plan.toml", "--out", name, "--patience", "0", "--json", cwd=made)
        assert told.returncode == 0, told.stderr
        (made / f"{name}.jsonl").write_text(told.stdout)
    return made


def test_a_plan_makes_a_report_for_people_and_one_for_programs(folder: Path):
    rows = [json.loads(line) for line in (folder / "march.jsonl").read_text().splitlines()]
    for row in rows:
        validate("bench run", row)
    assert [row["kind"] for row in rows] == ["figure", "figure", "limit", "report"]
    assert (rows[-1]["verdict"], rows[-1]["passed"]) == ("passed", 1)
    report = read(folder / "march")
    assert {case.key for case in report.cases} == {"meal@disk", "command-line"}
    assert all(len(case.runs) >= 2 for case in report.cases)
    page = (folder / "march/report.html").read_text()
    assert "A small plan" in page
    assert "Passed" in page
    data = json.loads((folder / "march/report.json").read_text())
    assert set(schema()["required"]) <= set(data)
    assert not list((folder / "march").glob(".*"))


def test_the_printed_command_is_called_as_printed(folder: Path):
    command = read(folder / "march").cases[0].command.split()
    assert command[0] == "edusense"
    told = edusense(*command[1:], "--json", cwd=folder)
    assert told.returncode == 0, told.stderr
    row = json.loads(told.stdout)
    validate("bench case", row)
    assert row["key"] == "meal@disk"
    assert row["runs"] >= 2


def test_the_same_command_again_measures_nothing_anew(folder: Path):
    before = (folder / "march/runs.jsonl").read_text()
    told = edusense("bench", "plan.toml", "--out", "march", "--patience", "0", cwd=folder)
    assert told.returncode == 0, told.stderr
    assert "holds" in told.stderr
    assert (folder / "march/runs.jsonl").read_text() == before


def test_two_reports_beside_each_other(folder: Path):
    told = edusense("bench", "compare", "march", "april", "--json", cwd=folder)
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    for row in rows:
        validate("bench compare", row)
    # Two runs each are too few to show anything, and that is what is said.
    assert {row["verdict"] for row in rows} == {"not compared"}
    assert told.returncode == 0
    text = edusense("bench", "compare", "march", "april", cwd=folder)
    assert "too few to show anything" in text.stderr
    assert "no changes beyond noise" in text.stderr


def test_a_report_is_shown_again_and_its_page_made_anew(folder: Path):
    page = folder / "march/report.html"
    before = page.read_text()
    page.unlink()
    told = edusense("bench", "show", "march", cwd=folder)
    assert told.returncode == 0, told.stderr
    assert "pass" in told.stdout
    assert page.read_text() == before


def test_a_limit_that_is_not_kept_is_status_1(tmp_path: Path):
    (tmp_path / "plan.toml").write_text(PLAN.format(rounds=1, most=0.001))
    told = edusense("bench", "plan.toml", "--out", "out", "--case", "meal", "--patience", "0", cwd=tmp_path)
    assert told.returncode == 1, told.stderr
    assert told.stdout.splitlines()[1].startswith("fail")
    assert "Failed" in (tmp_path / "out/report.html").read_text()
    assert edusense("bench", "show", "out", cwd=tmp_path).returncode == 1


def test_ctrl_c_leaves_a_report_of_what_was_measured(tmp_path: Path):
    (tmp_path / "plan.toml").write_text(PLAN.format(rounds=200, most=60e6))
    process = subprocess.Popen(
        [sys.executable, "-m", "edusense", "bench", "plan.toml", "--out", "out", "--patience", "0"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    until = time.monotonic() + 60
    while not process.stderr.readline().startswith("[2/"):
        assert time.monotonic() < until
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on" in said
    assert read(tmp_path / "out").ended_early == "interrupted"
    assert len((tmp_path / "out/runs.jsonl").read_text().splitlines()) >= 3


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["school-41", "--out", "x"], 2, "perhaps `school-40`"),
        (["nothing.toml", "--out", "x"], 2, "no profile and no file"),
        (["school-40"], 2, "missing option '--out'"),
        (["school-40", "--out", "x", "--case", "mael"], 2, "perhaps `meal`"),
        (["school-40", "--out", "x", "--user", "u", "--password-from", "env:X"], 2, "for cameras"),
        (["school-40", "--out", "x", "--camera", "rtsp://u:hunter2@h/"], 2, "a user or password stands in the URL"),
        (["case", "meel"], 2, "perhaps `meal`"),
        (["case", "meal", "--option", "runs"], 2, "a value is missing"),
        (["case", "meal", "--option", "runs=many"], 2, "expected a whole number"),
        (["compare", "none", "none"], 6, "there is no report"),
        (["meels"], 2, "perhaps `edusense bench meals`"),
    ],
)
def test_a_wrong_call_says_what_was_meant(arguments: list[str], status: int, said: str, tmp_path: Path):
    told = edusense("bench", *arguments, cwd=tmp_path)
    assert told.returncode == status
    assert said in told.stderr
    assert "hunter2" not in told.stderr
    assert not list(tmp_path.iterdir())


def test_a_plan_with_mistakes_names_them_all(tmp_path: Path):
    (tmp_path / "plan.toml").write_text('title = "x"\n[[cases]]\nid = "meel"\n[[cases]]\nid = "disc"\n')
    told = edusense("bench", "plan.toml", "--out", "x", "--json", cwd=tmp_path)
    assert told.returncode == 2
    error = json.loads(told.stderr)
    validate("error", error)
    assert (error["error"], error["line"], len(error["others"])) == ("bench-plan", 3, 1)


def test_profiles_and_cases_are_listed(tmp_path: Path):
    for command in ("profiles", "cases"):
        told = edusense("bench", command, "--json", cwd=tmp_path)
        assert told.returncode == 0
        for line in told.stdout.splitlines():
            validate(f"bench {command}", json.loads(line))
    assert "school-180" in edusense("bench", "profiles", cwd=tmp_path).stdout


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_measured(tmp_path: Path):
    (tmp_path / "file").touch()
    told = edusense("bench", "school-40", "--out", "file/report", cwd=tmp_path)
    assert told.returncode == 7
    assert "cannot be written" in told.stderr
