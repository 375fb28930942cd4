"""The reference is what the code says, and every command can be found, understood and read by a program."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from edusense.bench.plan import profiles
from edusense.cli.group import edusense
from edusense.cli.main import COMMANDS, help_text
from edusense.cli.schemas import ROWS, row_schema

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs/guide"


def commands(path: str = "", command: click.Command = edusense) -> Iterator[tuple[str, click.Command]]:
    if command.hidden:
        return
    if path:
        yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from commands(f"{path} {name}".strip(), child)


ALL = dict(commands())
PRINTS_ROWS = [path for path, command in ALL.items() if any(option.name == "as_json" for option in command.params)]


def test_the_reference_is_up_to_date():
    told = subprocess.run(
        [sys.executable, ROOT / "tools/make-reference", "--check"],
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    assert told.returncode == 0, f"`make docs` brings it up to date\n{told.stdout}{told.stderr}"


@pytest.mark.parametrize("path", ALL)
def test_every_command_has_help_and_a_real_example(path: str):
    text = ALL[path].help or ""
    assert text.strip(), "no help"
    summary = text.strip().splitlines()[0]
    assert len(summary) > 15
    examples = re.findall(r"^\s+(.*\bedusense .+)$", text.partition("Examples:")[2], re.MULTILINE)
    assert examples, "no Examples block"
    group = path.split()[0]
    assert any(f"edusense {group}" in example for example in examples)
    for option in ALL[path].params:
        if isinstance(option, click.Option) and not option.hidden and option.name != "version":
            assert option.help, f"{option.opts} has no help"


@pytest.mark.parametrize("path", ALL)
def test_every_command_stands_in_the_guide(path: str):
    guide = "\n".join(page.read_text(encoding="utf-8") for page in GUIDE.glob("*.md"))
    assert re.search(rf"edusense {re.escape(path)}\b", guide), f"show `edusense {path}` once in docs/guide/"


def test_the_guide_shows_no_command_that_is_not_there():
    for page in GUIDE.glob("*.md"):
        for group, word in re.findall(
            r"(?:`|^\$ )edusense ([a-z]+)(?: ([a-z0-9.-]+))?", page.read_text("utf-8"), re.MULTILINE
        ):
            assert group in ALL, f"{page.name}: edusense {group}"
            if group == "bench" and (word in profiles() or word.endswith(".toml")):
                continue  # `run` may be left out
            if isinstance(ALL[group], click.Group) and word and not word.startswith("-"):
                assert f"{group} {word}" in ALL, f"{page.name}: edusense {group} {word}"


@pytest.mark.parametrize("path", PRINTS_ROWS)
def test_rows_of_every_command_have_a_schema(path: str):
    assert path in ROWS, f"describe the rows of `{path}` in edusense/cli/schemas.py"
    schema = row_schema(path)
    assert schema["title"] == f"edusense {path} --json"
    written = ROOT / "docs/reference/json" / f"{path.replace(' ', '-')}.json"
    assert json.loads(written.read_text(encoding="utf-8")) == schema


def test_nothing_is_described_that_is_not_there():
    assert {path for path in ROWS if path != "error"} <= set(ALL)


def test_help_lists_every_command_in_one_line():
    listed = help_text().partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert all(len(line) <= 100 for line in listed)


def test_links_of_the_reference_and_the_guide_lead_somewhere():
    for page in [*GUIDE.glob("*.md"), *(ROOT / "docs/reference").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
