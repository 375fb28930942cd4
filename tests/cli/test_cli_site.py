"""`edusense site`: new, check, show, schema."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edusense import Site
from edusense.cli.group import edusense
from edusense.cli.schemas import validate
from edusense.errors import EdusenseError, SiteError, UsageError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDUSENSE_SITE", raising=False)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(edusense, arguments, standalone_mode=False)


def error_of(result: Result) -> EdusenseError:
    assert result.exception is not None
    error: Any = result.exception
    found = error.error
    assert isinstance(found, EdusenseError)
    return found


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_new_file_is_valid_commented_and_takes_what_it_is_given(folder: Path):
    assert run("site", "new", "--id", "village-12", "--number", "51012", "--rooms", "45").exception is None
    site = Site.load("school.toml")
    assert (site.site.id, site.site.number, len(site.rooms)) == ("village-12", 51012, 46)
    assert [site.rooms[index].id for index in (0, 19, 20, 44)] == ["101", "120", "201", "305"]
    assert (folder / "school.toml").read_text().count("#") > 20


def test_every_example_that_is_commented_out_in_the_new_file_works(folder: Path):
    run("site", "new")
    text = Path("school.toml").read_text()
    text = re.sub(r"^# (?=\[|[a-z_]+ = )", "", text, flags=re.MULTILINE)
    site = Site.loads(text.replace('key = "…"', f'key = "{"ab" * 32}"'))
    assert site.hub
    assert site.cameras
    assert site.readers
    assert site.terminals
    assert site.zones
    assert site.destinations


def test_an_existing_file_is_left_as_it_is(folder: Path):
    Path("school.toml").write_text("mine")
    error = error_of(run("site", "new"))
    assert isinstance(error, UsageError)
    assert Path("school.toml").read_text() == "mine"


@pytest.mark.parametrize("arguments", [["--id", "Not An Id"], ["--timezone", 'x"\ny = 1'], ["--timezone", "Mars/Base"]])
def test_arguments_that_the_file_would_not_allow_are_usage_errors(folder: Path, arguments: list[str]):
    assert isinstance(error_of(run("site", "new", *arguments)), UsageError)
    assert not Path("school.toml").exists()


def test_check_tells_every_error_with_its_place(folder: Path):
    run("site", "new")
    Path("school.toml").write_text(
        Path("school.toml").read_text().replace("uplink_kbit", "uplink") + '\n[[cameras]]\nid = "x"\n'
    )
    result = run("site", "check", "--json")
    assert result.return_value == 3
    found = rows(result)
    for row in found:
        validate("site check", row)
    assert [row["code"] for row in found] == ["site-unknown-key", "site-value", "site-value"]
    text = run("site", "check").stdout
    assert f"school.toml:{found[0]['line']}:1: error: there is no key `uplink`" in text
    assert "hint: perhaps `uplink_kbit`" in text


def test_check_warns_of_what_is_probably_not_meant(folder: Path):
    run("site", "new")
    result = run("site", "check", "--json")
    assert result.return_value == 0
    messages = " ".join(row["message"] for row in rows(result))
    assert {row["severity"] for row in rows(result)} == {"warning"}
    for said in ("roster", "cameras.secret", "room `101` has no camera"):
        assert said in messages
    assert run("site", "check", "--strict").return_value == 1


def test_check_says_so_when_all_is_well(folder: Path):
    Path("school.toml").write_text('[site]\nid = "a"\nnumber = 1\n')
    result = run("site", "check", "--strict")
    assert result.return_value == 0
    assert not result.stdout
    assert "no errors; 0 rooms" in result.stderr


def test_a_file_that_is_not_there_is_one_row(folder: Path):
    (row,) = rows(run("site", "check", "none.toml", "--json"))
    assert row["code"] == "site-file"


def test_show_resolves_paths_and_keeps_secrets_out(folder: Path, monkeypatch: pytest.MonkeyPatch):
    run("site", "new")
    Path("cameras.secret").write_text("hunter2")
    Path("cameras.secret").chmod(0o600)
    (row,) = rows(run("site", "show", "--json"))
    validate("site show", row)
    assert row["meals"]["roster"] == str(folder / "roster.csv")
    assert row["meals"]["slots"] == [{"id": "lunch", "from": "11:00", "to": "14:30", "price": "450.00"}]
    assert row["credentials"]["cameras"]["password"] == "file:cameras.secret"
    assert "hunter2" not in json.dumps(row)
    monkeypatch.setenv("EDUSENSE_SITE", str(folder / "school.toml"))
    monkeypatch.chdir("/")
    told = run("site", "show").stdout
    assert "rooms" in told
    assert re.search(r"^meal slots\nid +from +to +price\nlunch +11:00 +14:30 +450.00$", told, re.MULTILINE)
    assert "{" not in told


def test_show_of_a_wrong_file_is_the_error_itself(folder: Path):
    Path("school.toml").write_text("[site]\n")
    error = error_of(run("site", "show"))
    assert isinstance(error, SiteError)
    assert error.exit_status == 3


def test_the_schema_describes_what_the_models_hold(folder: Path):
    schema = json.loads(run("site", "schema").stdout)
    assert schema["$schema"].endswith("2020-12/schema")
    run("site", "new")
    written = tomllib.loads(Path("school.toml").read_text())
    assert set(written) <= set(schema["properties"])
    assert schema["$defs"]["Slot"]["required"] == ["id", "from", "to", "price"]
    assert schema["additionalProperties"] is False


def test_a_driver_and_a_template_that_are_not_here_are_warnings(folder: Path):
    Path("school.toml").write_text(
        '[site]\nid = "a"\nnumber = 1\n'
        '[[rooms]]\nid = "r"\nkind = "gym"\n'
        '[[cameras]]\nid = "c"\nroom = "r"\naddress = "10.0.0.1"\ntemplate = "generic/onvif-x"\n'
        '[[readers]]\nid = "left"\ndriver = "rdm630"\nport = "/dev/ttyUSB0"\n'
        '[[destinations]]\nid = "bell"\ndriver = "command"\n',
        encoding="utf-8",
    )
    result = run("site", "check", "--json")
    assert result.return_value == 0
    found = {row["code"]: row for row in rows(result)}
    assert found["destination-refused"]["line"] == 18
    assert "needs a command" in found["destination-refused"]["message"]
    assert found["site-reference"]["line"] == 11
    assert "generic/onvif-t" in found["site-reference"]["hint"]
    assert found["driver-missing"]["line"] == 14
    assert "rdm6300" in found["driver-missing"]["hint"]
    for row in found.values():
        validate("site check", row)
