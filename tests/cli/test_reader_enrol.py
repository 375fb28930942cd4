"""`edusense reader enrol` as it is typed: cards laid down, lines typed, a paper list scanned, the file afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edusense.cli.reader import command
from edusense.cli.schemas import validate
from edusense.devices import Card
from edusense.errors import DeviceNotFoundError, RosterError, UsageError
from edusense.meals import Roster, RosterStore
from edusense.sim.reader_rdm6300 import VirtualRdm6300
from edusense.sim.reader_scanner import VirtualScanner

HEAD = "pupil,name,class,category,cards,consent_date,voucher_from,voucher_to\n"
LIST = HEAD + "1017,Айгерім,4Б,,,,,\n1018,Данияр,4Б,,,,,\n1019,Айша,5А,,em4100:4500C5D1E9,,,\n"
FIRST, SECOND, THIRD = (Card.parse(f"em4100:{number}") for number in ("010063E9AE", "3C00CE754C", "4500C5D1E9"))


class Enrolling:
    """The command in a process of its own, with somebody at its keyboard."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edusense", "reader", "enrol", *arguments, "--json", "--timeout", "60"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._in, self._out, self._err = self._process.stdin, self._process.stdout, self._process.stderr

    def hears(self, said: str) -> str:
        """Waits until the person is told something."""
        while line := self._err.readline():
            if said in line:
                return line
        raise AssertionError(f"`{said}` was never said")

    def type(self, line: str) -> None:
        self._in.write(f"{line}\n")
        self._in.flush()

    def row(self) -> dict[str, Any]:
        line = self._out.readline()
        found = json.loads(line)
        validate("reader enrol", found)
        return dict(found)

    def end(self) -> tuple[int, str]:
        _, told = self._process.communicate(timeout=60)
        return self._process.returncode, told


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    path = tmp_path / "list.csv"
    path.write_text(LIST, "utf-8")
    return path


def test_cards_are_given_refused_and_taken_back(listed: Path) -> None:
    with VirtualRdm6300() as device:
        work = Enrolling(device.address, "--roster", str(listed))
        assert "1017  Айгерім" in work.hears("next:")
        work.hears("ready")
        device.tap(FIRST)
        assert (row := work.row())["kind"] == "enrolled"
        assert (row["pupil"], row["cards"], row["left"]) == (1017, ["em4100:010063E9AE"], 1)
        assert Roster.load(listed)[1017].cards == (FIRST,)  # each card at once
        device.tap(THIRD)
        assert (row := work.row())["kind"] == "refused"
        assert row["others"] == [1019]
        work.type("undo")
        assert work.row()["kind"] == "undone"
        assert Roster.load(listed)[1017].cards == ()
        work.type("skip")
        work.hears("next: 1018")
        device.tap(SECOND)
        assert work.row()["pupil"] == 1018
        work.type("quit")
        status, told = work.end()
    assert status == 1
    assert "1 cards given; 1 children are left without one" in told
    assert listed.read_text("utf-8") == LIST.replace("Данияр,4Б,,", "Данияр,4Б,,em4100:3C00CE754C")


def test_a_scanner_goes_through_a_paper_list(listed: Path, tmp_path: Path) -> None:
    out = tmp_path / "with-cards.csv"
    with VirtualRdm6300() as device, VirtualScanner() as scanner:
        work = Enrolling(
            device.address, "--roster", str(listed), "--out", str(out), "--scanner", scanner.address, "--class", "4Б"
        )
        work.hears("ready")
        work.hears("ready")
        scanner.tap(Card.parse("token:1018"))
        work.hears("next: 1018")
        device.tap(FIRST)
        assert work.row()["pupil"] == 1018
        scanner.tap(Card.parse("token:em4100:3C00CE754C"))  # a card's own bar code
        assert (row := work.row())["pupil"] == 1017
        assert row["card"] == "em4100:3C00CE754C"
        assert work.end()[0] == 0
    assert listed.read_text("utf-8") == LIST
    assert [Roster.load(out)[number].cards for number in (1017, 1018)] == [(SECOND,), (FIRST,)]


def test_without_a_list_the_sites_roster_is_filled_in(listed: Path, tmp_path: Path) -> None:
    with VirtualRdm6300() as device:
        site = tmp_path / "school.toml"
        site.write_text(
            '[site]\nid = "school-51"\nnumber = 51001\ndata = "data"\n[[rooms]]\nid = "canteen"\nkind = "canteen"\n'
            f'[[readers]]\nid = "desk"\ndriver = "rdm6300"\nport = "{device.path}"\n[meals]\nroster = "list.csv"\n'
            '[[meals.slots]]\nid = "all-day"\nfrom = "00:00"\nto = "23:59:59"\nprice = "450.00"\n'
        )
        work = Enrolling("--site", str(site))
        work.hears("ready")
        device.tap(FIRST)
        assert work.row()["pupil"] == 1017
        work.type("undo")
        assert work.row()["kind"] == "undone"
        work.type("1018")
        work.hears("next: 1018")
        device.tap(SECOND)
        assert work.row()["pupil"] == 1018
        work.type("quit")
        assert work.end()[0] == 1
    with RosterStore(tmp_path / "data/roster.db", read_only=True) as store:
        changes = [(change.what, change.pupil, str(change.card)) for change in store.cards.changes()]
    assert changes == [
        ("given", 1017, "em4100:010063E9AE"),
        ("returned", 1017, "em4100:010063E9AE"),
        ("given", 1018, "em4100:3C00CE754C"),
    ]


def test_a_list_to_print_has_each_due_child_with_its_bar_code(listed: Path, tmp_path: Path) -> None:
    page = tmp_path / "list.html"
    result = CliRunner().invoke(
        command, ["enrol", "--roster", str(listed), "--sheet", str(page)], standalone_mode=False
    )
    assert result.return_value == 0
    assert "2 children" in result.stderr
    text = page.read_text("utf-8")
    assert text.count("<svg") == 2
    assert "<td>1017</td><td>Айгерім</td>" in text
    assert "Айша" not in text  # she has a card
    result = CliRunner().invoke(
        command, ["enrol", "--roster", str(listed), "--sheet", str(tmp_path / "no/list.html")], standalone_mode=False
    )
    assert isinstance(result.exception, UsageError)
    assert result.exception.hint == "does its folder exist?"


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["--roster", "list.csv"], UsageError, "`edusense reader ports` shows addresses"),
        (["rdm6300:/dev/ttyUSB77", "--roster", "list.csv"], DeviceNotFoundError, None),
        (
            ["rdm6300:/dev/ttyUSB77", "--out", "x.csv"],
            UsageError,
            "without --roster the site's own roster is filled in",
        ),
        (["rdm6300:/dev/ttyUSB77", "--roster", "list.csv", "--class", "9Ю"], UsageError, "its classes: 4Б, 5А"),
        (["rdm6300:/dev/ttyUSB77", "--roster", "none.csv"], RosterError, None),
    ],
)
def test_what_cannot_begin_says_why(
    listed: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], error: type[Exception], hint: str | None
) -> None:
    monkeypatch.chdir(listed.parent)
    monkeypatch.delenv("EDUSENSE_SITE", raising=False)
    result = CliRunner().invoke(command, ["enrol", *arguments], standalone_mode=False, input="")
    assert isinstance(result.exception, error), result.output
    assert result.exception.hint
    if hint is not None:
        assert result.exception.hint == hint
