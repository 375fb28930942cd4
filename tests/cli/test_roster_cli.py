"""`edusense roster` beyond a list: months and their approval, cards, closed days, photos, operators, deletion."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from edusense.cli.group import edusense
from edusense.cli.schemas import validate
from edusense.errors import EdusenseError, PermissionDeniedError, RosterError, RosterStorageError, UsageError
from edusense.meals import RosterStore

SITE = """[site]
id = "school-51"
number = 51001
data = "data"
[[rooms]]
id = "canteen"
kind = "canteen"
[[terminals]]
id = "left"
number = 1
room = "canteen"
[meals]
roster = "roster.csv"
{more}
[[meals.slots]]
id = "all-day"
from = "00:00"
to = "23:59:59"
price = "450.00"
"""
HEAD = "pupil,name,class,category,cards,consent_date,voucher_from,voucher_to\n"
AIGERIM = "1017,Айгерім,4Б,grade-1-4,em4100:010063E9AE,2020-09-01,2020-09-01,\n"
DANIYAR = "1018,Данияр,5А,orphan,em4100:010063E9AF,,2020-09-01,\n"


@pytest.fixture
def school(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDUSENSE_SITE", raising=False)
    write(SITE.format(more=""))
    Path("list.csv").write_text(HEAD + AIGERIM + DANIYAR, "utf-8")
    return tmp_path


def write(text: str) -> None:
    Path("school.toml").write_text(text, "utf-8")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(edusense, arguments, standalone_mode=False)


def ok(*arguments: str) -> Result:
    result = run(*arguments)
    assert result.exception is None, result.stderr or result.exception
    return result


def rows(command: str, *arguments: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in ok(*command.split(), *arguments, "--json").stdout.splitlines()]
    for row in found:
        validate(command, row)
    return found


def fails(kind: type[EdusenseError], *arguments: str) -> EdusenseError:
    error: Any = run(*arguments).exception
    assert isinstance(error.error, kind), error
    return error.error


def tap(card: str) -> dict[str, Any]:
    result = run("meals", "tap", card, "--terminal", "left", "--json")
    return json.loads(result.stdout)


def test_a_list_says_what_it_changes_and_who_approved_it(school: Path):
    told = ok("roster", "import", "list.csv", "--approved-by", "Ахметова", "--order", "№ 45")
    assert "added  1017" in told.stdout
    assert "without the parents' consent: 1018 Данияр 5А" in told.stderr
    (listed,) = rows("roster lists")
    assert (listed["state"], listed["approved_by"], listed["approval"], listed["last"]) == (
        "taken",
        "Ахметова",
        "№ 45",
        None,
    )
    assert "nothing changes" in ok("roster", "import", "list.csv").stderr
    assert len(rows("roster lists")) == 1
    Path("list.csv").write_text(HEAD + AIGERIM.replace("grade-1-4", "orphan"), "utf-8")
    changes = rows("roster import", "list.csv")
    assert [change["change"] for change in changes] == ["changed", "dropped"]
    assert changes[0]["fields"] == {"category": {"before": "grade-1-4", "after": "orphan"}}
    assert rows("roster lists")[1]["approved_by"] is None
    assert "nobody's approval" in ok("roster", "show").stderr
    assert "approved by Директор" in ok("roster", "import", "list.csv", "--approved-by", "Директор").stderr
    assert [one["approved_by"] for one in rows("roster lists")] == ["Ахметова", "Директор"]


def test_where_approval_is_required_nothing_takes_effect_without_it(school: Path):
    write(SITE.format(more='approval = "required"'))
    assert "list 1 (from" in ok("roster", "import", "list.csv").stderr
    assert not Path("roster.csv").exists()
    assert "no list is in force" in str(fails(RosterError, "roster", "show"))
    waits = fails(RosterError, "meals", "tap", "em4100:010063E9AE", "--terminal", "left")
    assert "list 1 waits for the director" in str(waits)
    (taken,) = rows("roster approve", "--by", "Ахметова")
    assert taken["state"] == "taken"
    assert Path("roster.csv").read_text("utf-8").startswith("pupil,")
    assert tap("em4100:010063E9AE")["granted"]
    assert "no lists wait" in str(fails(UsageError, "roster", "approve", "--by", "Ахметова"))
    # Written by hand it waits, too.
    Path("roster.csv").write_text(HEAD + DANIYAR.replace(",,", ",2020-09-01,", 1), "utf-8")
    assert tap("em4100:010063E9AF")["reason"] == "no-consent"
    assert [one["state"] for one in rows("roster lists")] == ["taken", "proposed"]


def test_a_month_is_brought_before_it_begins(school: Path):
    ok("roster", "import", "list.csv")
    Path("list.csv").write_text(HEAD + AIGERIM, "utf-8")
    told = ok("roster", "import", "list.csv", "--month", "2099-10", "--approved-by", "Ахметова")
    assert "takes effect on 2099-10-01" in told.stderr
    assert "1018" in Path("roster.csv").read_text("utf-8"), "the file is that of the list in force"
    assert [row["pupil"] for row in rows("roster show")] == [1017, 1018]
    assert [row["pupil"] for row in rows("roster show", "--day", "2099-10-31")] == [1017]
    assert "it has ended" in ok("roster", "show", "--day", "2099-11-01").stderr
    assert "nothing changes" in ok("roster", "import", "list.csv", "--month", "2099-10").stderr
    assert len(rows("roster lists")) == 2
    for wrong in (["--month", "2099-13"], ["--order", "x"], ["--propose", "--approved-by", "x"]):
        fails(UsageError, "roster", "import", "list.csv", *wrong)
    fails(UsageError, "roster", "show", "--day", "tomorrow")


def test_a_dry_run_leaves_no_trace(school: Path):
    ok("roster", "import", "list.csv", "--dry-run")
    assert sorted(path.name for path in school.iterdir()) == ["list.csv", "school.toml"]


def test_a_card_that_is_lost_is_red_at_once(school: Path):
    Path("list.csv").write_text(HEAD + AIGERIM, "utf-8")
    ok("roster", "import", "list.csv")
    (change,) = rows("roster card", "lost", "0006547886", "--note", "on the bus")
    assert change["card"] == "em4100:010063E9AE", "the whole number, though only the print was known"
    red = tap("em4100:010063E9AE")
    assert (red["reason"], red["pupil"]) == ("blocked-card", 1017)
    ok("roster", "card", "given", "iso14443a:04A1B2C3D4E5F6", "--pupil", "1017")
    assert tap("iso14443a:04A1B2C3D4E5F6")["granted"]
    assert [row["what"] for row in rows("roster cards", "--pupil", "1017")] == ["lost", "given"]
    ok("roster", "card", "found", "em4100:010063E9AE")
    assert tap("em4100:010063E9AE")["reason"] == "already-served"
    assert "nobody has" in str(fails(UsageError, "roster", "card", "lost", "em4100:0100000001"))
    assert "to whom" in str(fails(UsageError, "roster", "card", "given", "em4100:0100000001"))
    assert "not on the list" in str(fails(UsageError, "roster", "card", "given", "em4100:0100000001", "--pupil", "7"))
    Path("list.csv").write_text(HEAD + AIGERIM + DANIYAR, "utf-8")
    ok("roster", "import", "list.csv")
    taken = fails(UsageError, "roster", "card", "given", "em4100:010063E9AF", "--pupil", "1017")
    assert "pupil 1018 has the card" in str(taken)


def test_a_closed_day_is_red_and_opens_again(school: Path):
    ok("roster", "import", "list.csv")
    today = rows("roster close", "2020-01-01", "2099-12-31", "--reason", "quarantine", "--class", "4Б")
    assert today[0]["classes"] == ["4Б"]
    red = tap("em4100:010063E9AE")
    assert red["reason"] == "closed-day"
    assert "quarantine" in red["message"]
    ok("roster", "reopen", "1")
    assert tap("em4100:010063E9AE")["granted"]
    fails(UsageError, "roster", "reopen", "1")
    fails(UsageError, "roster", "close", "2026-10-02", "2026-10-01")
    assert rows("roster calendar") == []


def test_attendance_is_taken_whole_or_not_at_all(school: Path):
    Path("a.csv").write_bytes("day;class;present;note\n2026-10-05;4Б;24;\n05.10.2026;5А;19;x\n".encode("cp1251"))
    ok("roster", "attendance", "a.csv")
    assert [(row["class"], row["present"]) for row in rows("roster attendance", "--day", "2026-10-05")] == [
        ("4Б", 24),
        ("5А", 19),
    ]
    for line, told in (
        ("2026-10-06,4Б,many", "line 3, column `present`: `many`"),
        ("6 October,4Б,3", "line 3, column `day`"),
        ("2026-10-06,,3", "line 3, column `class`"),
        ("2026-10-05,4Б,3", "occurs once"),
    ):
        Path("a.csv").write_text(f"day,class,present\n2026-10-05,4Б,1\n{line}\n", "utf-8")
        assert told in str(fails(RosterError, "roster", "attendance", "a.csv"))
    assert rows("roster attendance", "--day", "2026-10-05")[0]["present"] == 24


def test_photos_operators_and_what_is_forgotten(school: Path, monkeypatch: pytest.MonkeyPatch):
    ok("roster", "import", "list.csv")
    Path("photos").mkdir()
    Image.new("RGB", (60, 80)).save("photos/1017.jpg")
    Path("photos/1018.jpg").write_bytes(b"x")
    result = run("roster", "photos", "photos", "--json")
    assert result.return_value == 1
    assert [json.loads(line)["problem"] is None for line in result.stdout.splitlines()] == [True, False]
    monkeypatch.setenv("PIN", "4711")
    assert rows("roster operator", "Ким Вера", "--pin-from", "env:PIN")[0]["pin"] is True
    assert rows("roster operator", "Ким Вера", "--no-pin")[0]["pin"] is False
    assert [row["name"] for row in rows("roster operators")] == ["Ким Вера"]
    monkeypatch.setenv("PIN", "no")
    fails(UsageError, "roster", "operator", "Ким Вера", "--pin-from", "env:PIN")
    assert rows("roster forget")[0]["people"] == 0
    with RosterStore("data/roster.db") as store:
        assert store.people.names() == {1017: "Айгерім", 1018: "Данияр"}


def test_before_there_is_a_list_commands_say_so(school: Path):
    for command in ("lists", "cards", "calendar", "operators"):
        assert ok("roster", command).stdout == ""
    assert not Path("data").exists()
    fails(RosterError, "roster", "show")
    Path("roster.csv").write_text(HEAD + AIGERIM, "utf-8")
    assert [row["pupil"] for row in rows("roster show")] == [1017], "the file alone will do"


def test_a_damaged_database_is_told_and_left(school: Path):
    ok("roster", "import", "list.csv")
    Path("data/roster.db").write_bytes(b"garbage" * 1000)
    error = fails(RosterStorageError, "roster", "import", "list.csv")
    assert "move it away" in str(error.hint)
    assert Path("data/roster.db").read_bytes().startswith(b"garbage")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(school: Path):
    Path("data").mkdir(mode=0o500)
    fails(PermissionDeniedError, "roster", "import", "list.csv")
