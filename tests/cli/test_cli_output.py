"""Rows and talk: what goes where, on a terminal, in a pipe, as JSON."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from edusense.cli.output import row, rows, talk, wants_colour

FOUND = [
    {"id": "205-front", "up": True, "kbit_s": 512.25, "note": None, "regions": [[1, 2]]},
    {"id": "жол", "up": False, "kbit_s": 3.0, "note": "a[red]b", "regions": []},
]


def on_a_terminal(code: str, **environment: str) -> str:
    """What a program prints when its stdout is a terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environment},
    )
    os.close(slave)
    printed = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        printed += part
    os.close(master)
    assert process.wait(timeout=60) == 0
    return printed.decode()


def test_rows_in_a_pipe_are_aligned_and_plain(capsys: pytest.CaptureFixture[str]):
    assert rows(iter(FOUND), ["id", "up", "kbit_s", "note"], as_json=False) == 2
    out = capsys.readouterr().out.splitlines()
    assert out == [
        "id         up   kbit s  note",
        "205-front  yes  512.25  -",
        "жол        no   3       a[red]b",
    ]


def test_rows_as_json_have_every_key_and_only_json(capsys: pytest.CaptureFixture[str]):
    assert rows(FOUND, ["id"], as_json=True) == 2
    out, err = capsys.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == FOUND
    assert "жол" in out
    assert not err
    row({"level": float("nan"), "parts": [float("inf"), 1.0]}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"level": None, "parts": [None, 1.0]}


def test_nothing_found_is_said_on_stderr_and_is_no_row(capsys: pytest.CaptureFixture[str]):
    assert rows([], ["id"], as_json=False, empty="no cameras") == 0
    assert capsys.readouterr() == ("", "no cameras\n")
    assert rows([], ["id"], as_json=True) == 0
    talk("hello")
    assert capsys.readouterr() == ("", "hello\n")


def test_a_table_on_a_terminal_and_no_colour_where_it_is_not_wanted():
    code = (
        "from edusense.cli.output import rows\n"
        "rows([{'id': '205-front', 'note': 'a[red]b'}], ['id', 'note'], as_json=False)"
    )
    drawn = on_a_terminal(code)
    assert "205-front" in drawn
    assert "a[red]b" in drawn
    assert "\x1b[1m" in drawn
    assert "\x1b" not in on_a_terminal(code, NO_COLOR="1")


def test_errors_are_coloured_only_on_a_terminal():
    code = (
        "import sys; sys.argv = ['edusense', 'camra']\n"
        "from edusense.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass"
    )
    assert "\x1b[31m" in on_a_terminal(code)
    assert "\x1b" not in on_a_terminal(code, NO_COLOR="1")


def test_colour_is_for_terminals(tmp_path: Path):
    with (tmp_path / "out").open("w") as file:
        assert not wants_colour(file)


def test_names_and_letters_that_a_terminal_does_not_know_end_no_command(tmp_path: Path):
    strange = os.fsencode(tmp_path) + b"/\xff\xfe.toml"
    Path(os.fsdecode(strange)).write_text("[site]\n")
    for encoding in ("utf-8", "ascii", "koi8-r"):
        told = subprocess.run(
            [sys.executable, "-m", "edusense", "site", "check", strange],
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert told.returncode == 3, told.stderr
        assert b"`id` is missing" in told.stdout
