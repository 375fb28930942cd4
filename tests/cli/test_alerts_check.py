"""`edusense alerts check`: as somebody who builds a centre of his own would use it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.small_centre import SCHOOL, SECRET, USER, SmallCentre

from edusense.cli.schemas import validate

SITE = """
[site]
id = "school-51"
number = 51001

[credentials.centre]
user = "box-51"
password = "env:CENTRE_SECRET"

[[destinations]]
id = "ops-centre"
driver = "https-json"
url = "{url}"
credentials = "centre"

[[destinations]]
id = "bell"
driver = "command"
options = {{ command = "true" }}
"""
KNOWN = ("--school", SCHOOL, "--user", USER, "--password-from", "env:CENTRE_SECRET")


def check(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edusense", "alerts", "check", *arguments]
    env = {**os.environ, "CENTRE_SECRET": SECRET, **environment}
    done = subprocess.run(command, capture_output=True, text=True, timeout=80, check=False, env=env)
    assert SECRET not in done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def centre():
    with SmallCentre() as centre:
        yield centre


def test_a_good_centre_passes_and_every_row_keeps_to_its_schema(centre):
    done = check(centre.url, *KNOWN, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    for row in rows:
        validate("alerts check", row)
    assert [row["check"] for row in rows if row["state"] != "passed"] == ["speaks-https"]
    assert done.stderr == "the centre does what it must: 22 checks\n"


def test_what_fails_is_told_with_what_the_contract_asks_for():
    with SmallCentre("doubles", "json") as centre:
        done = check(centre.url, *KNOWN, "--only", "refuses-bad-json", "--only", "takes-a-message")
    assert done.returncode == 1
    passed, failed, asks = done.stdout.splitlines()
    assert passed == "passed   takes-a-message"
    assert failed == "failed   refuses-bad-json: cut JSON as the body of POST url: 500, no JSON object"
    assert asks.strip().startswith("A body that is no JSON object is refused with 400")
    assert done.stderr.startswith("1 of 2 checks failed; docs/reference/alerts.md")


def test_address_credentials_and_school_out_of_the_site_file(centre, tmp_path: Path):
    site = tmp_path / "school.toml"
    site.write_text(SITE.format(url=centre.url), "utf-8")
    where = ("--site", str(site), "--only", "refuses-another-school")
    done = check("--destination", "ops-centre", *where)
    assert (done.returncode, done.stdout) == (0, "passed   refuses-another-school\n"), done.stderr
    for arguments, said in (
        (("--destination", "ops-center"), "hint: perhaps `ops-centre`"),
        (("--destination", "bell"), "its driver is `command`"),
        (("--destination", "ops-centre", centre.url), "and URL"),
        (("--destination", "ops-centre", "--user", "x"), "and --user"),
    ):
        done = check(*arguments, *where)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "a URL, or --destination"),
        (("http://127.0.0.1:9/alerts",), "--school ID"),
        (("http://user:secret@127.0.0.1:9/alerts", "--school", "s"), "a user or password stands in the URL"),
        (("https://ops.example.kz/alerts", "--school", "s"), "that is not signed"),
        (("http://127.0.0.1:9/alerts", "--school", "s", "--user", "x"), "without a password"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_sent(arguments, said):
    done = check(*arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_where_nobody_listens_and_where_nobody_is_known(centre):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/alerts"
    done = check(url, *KNOWN)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith(f"error: operations centre `{url}`: ")
    done = check(centre.url, *KNOWN, CENTRE_SECRET="another")
    assert (done.returncode, done.stdout) == (5, "")
    assert "hint: is the secret the one that the centre knows?" in done.stderr
