"""`edusense meals` and `edusense roster` as a person or a script calls them, without a box."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from edusense.meals import Ledger

SITE = """[site]
id = "school-51"
number = 51001
data = "data"
[[rooms]]
id = "canteen"
kind = "canteen"
[[terminals]]
id = "canteen-left"
number = 1
room = "canteen"
[meals]
roster = "roster.csv"
[[meals.slots]]
id = "all-day"
from = "00:00"
to = "23:59:59"
price = "450.00"
"""
PUPILS = """pupil;name;class;category;cards;consent_date;voucher_from;voucher_to;phone
1017;Айгерим;4Б;grade-1-4;em4100:010063E9AE;2020-09-01;01.09.2020;;77
1018;Данияр;4Б;orphan;em4100:010063E9AF;;01.09.2020;;77
"""


@pytest.fixture
def school(tmp_path: Path) -> Path:
    (tmp_path / "school.toml").write_text(SITE)
    (tmp_path / "new.csv").write_bytes(PUPILS.encode("cp1251"))
    return tmp_path


def run(folder: Path, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "edusense", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def test_a_list_is_checked_compared_and_replaced_whole(school):
    assert json.loads(run(school, "roster", "check", "new.csv", "--json").stdout)["pupils"] == 2
    dry = run(school, "roster", "import", "new.csv", "--dry-run", "--json")
    assert [json.loads(line)["change"] for line in dry.stdout.splitlines()] == ["added", "added"]
    assert not (school / "roster.csv").exists()
    assert "ignored: phone" in run(school, "roster", "import", "new.csv").stderr
    kept = (school / "roster.csv").read_bytes()
    assert b"77" not in kept
    assert "nothing changes" in run(school, "roster", "import", "new.csv").stderr
    (school / "bad.csv").write_text(PUPILS.replace("1018", "1O18"))
    assert "1O18" in run(school, "roster", "check", "bad.csv", status=6).stdout
    assert "line 3, column `pupil`" in run(school, "roster", "import", "bad.csv", status=6).stderr
    assert (school / "roster.csv").read_bytes() == kept
    (school / "next.csv").write_text(PUPILS.replace("4Б", "5Б", 1).replace("1018", "1019"))
    changes = run(school, "roster", "import", "next.csv", "--json").stdout.splitlines()
    assert [json.loads(line)["change"] for line in changes] == ["changed", "dropped", "added"]
    assert json.loads(changes[0])["fields"] == {"class": {"before": "4Б", "after": "5Б"}}
    shown = run(school, "roster", "show", "--class", "5Б", "--json").stdout
    assert json.loads(shown)["cards"] == ["em4100:010063E9AE"]


def test_a_list_that_is_not_there_is_told_with_what_to_look_at(school):
    told = run(school, "roster", "check", "octobre.csv", status=6).stderr
    assert "octobre.csv" in told
    assert "is the name right?" in told


def test_taps_become_records_that_can_be_counted_and_exported(school):
    run(school, "roster", "import", "new.csv")
    green = json.loads(run(school, "meals", "tap", "010063E9AE", "--terminal", "canteen-left", "--json").stdout)
    assert (green["granted"], green["pupil"]) == (True, 1017)
    assert "name" not in green
    red = json.loads(
        run(school, "meals", "tap", "em4100:010063E9AE", "--terminal", "canteen-left", "--json", status=5).stdout
    )
    assert (red["reason"], red["record"]) == ("already-served", green["record"])
    assert "no-consent" in run(school, "meals", "tap", "010063E9AF", "--terminal", "canteen-left", status=5).stdout
    assert "canteen-left" in run(school, "meals", "tap", "010063E9AF", "--terminal", "canteen-lft", status=2).stderr
    run(school, "meals", "tap", "zz", "--terminal", "canteen-left", status=2)
    head, *terminals = map(json.loads, run(school, "meals", "status", "--json").stdout.splitlines())
    assert (head["meals"], head["holder"], terminals[1]["shown"]) == (1, None, 1)
    (row,) = csv.DictReader(io.StringIO(run(school, "meals", "export").stdout))
    assert (row["record"], row["price_tiyn"], row["shown"]) == (green["record"], "45000", "yes")
    day = row["day"]
    for arguments, count in ((["--day", day], 1), (["--month", day[:7]], 1), (["--day", "2020-01-01"], 0)):
        assert len(run(school, "meals", "export", *arguments, "--format", "json").stdout.splitlines()) == count
    run(school, "meals", "export", "--day", day, "--month", day[:7], status=2)
    run(school, "meals", "export", "--day", "yesterday", status=2)
    assert "accounted for" in run(school, "meals", "verify").stdout


def test_by_hand_a_meal_is_entered_and_taken_back(school):
    run(school, "roster", "import", "new.csv")
    who = ("--by", "Ким Вера", "--json")
    where = ("--terminal", "canteen-left")
    green = json.loads(run(school, "meals", "enter", "1017", *where, *who, "--reason", "card-forgotten").stdout)
    assert (green["granted"], green["pupil"], "name" in green) == (True, 1017, False)
    again = run(school, "meals", "enter", "1017", *where, *who, "--reason", "card-forgotten", status=5)
    assert json.loads(again.stdout)["reason"] == "already-served"
    back = json.loads(run(school, "meals", "reverse", green["record"], *who, "--reason", "the soup ran out").stdout)
    assert (back["meal"], back["operator"], back["why"]) == (green["record"], 1, "other")
    told = run(school, "meals", "reverse", green["record"], *who, "--reason", "mistake", status=2).stderr
    assert "taken back before" in told
    paper = ("--reason", "paper-list", "--slot", "all-day", "--day")
    early = run(school, "meals", "enter", "1017", *where, *who, *paper, "2021-10-04", status=5)
    assert json.loads(early.stdout)["reason"] == "not-on-list", "no list was in force then"
    assert json.loads(run(school, "meals", "enter", "1017", *where, *who, *paper, green["day"]).stdout)["granted"]
    run(school, "meals", "enter", "1", *where, *who, "--reason", "card-lost", status=2)
    (row,) = [
        line for line in csv.DictReader(io.StringIO(run(school, "meals", "export").stdout)) if line["reversed"] == "yes"
    ]
    assert row["flags"] == "manual"
    run(school, "meals", "enter", "1017", *where, "--by", "x", status=2)
    run(school, "meals", "reverse", "1/2", *who, "--reason", "mistake", status=2)
    run(school, "meals", "confirm-clock", "--by", "x", status=4)
    run(school, "meals", "confirm-clock", "--by", "x", "--time", "noon", status=2)


def test_verify_says_damage_with_1_and_no_ledger_with_6(school):
    run(school, "meals", "verify", "/usr", status=6)
    run(school, "meals", "verify", status=6)
    folder = school / "data" / "ledger"
    with Ledger.open(folder, school=51_001) as ledger:
        rows = Ledger.blank(10)
        rows["terminal"], rows["pupil"], rows["day"], rows["slot"] = 1, range(10), 20261005, b"all-day"
        ledger.append(rows)
    assert json.loads(run(school, "meals", "verify", str(folder), "--json").stdout)["ok"] is True
    segment = folder / f"{0:020}.seg"
    raw = bytearray(segment.read_bytes())
    raw[6 * 128 + 9] ^= 8
    segment.write_bytes(raw)
    report = json.loads(run(school, "meals", "verify", "--json", status=1).stdout)
    assert [problem["record"] for problem in report["problems"]] == [6]
    assert "record 6" in run(school, "meals", "verify", status=1).stdout
    exported = run(school, "meals", "export", "--format", "json", status=6)
    assert len(exported.stdout.splitlines()) == 4
    assert "record 6" in exported.stderr
    run(school, "roster", "import", "new.csv")
    assert "damage" in run(school, "meals", "tap", "010063E9AE", "--terminal", "canteen-left", status=6).stderr.lower()
    assert segment.read_bytes() == raw
    segment.unlink()
    gone = run(school, "meals", "verify", status=1).stdout
    assert "damage: record 0 and 11 more: missing" in gone, gone


def test_while_somebody_writes_a_tap_says_who(school):
    run(school, "roster", "import", "new.csv")
    with Ledger.open(school / "data" / "ledger", school=51_001):
        told = run(school, "meals", "tap", "010063E9AE", "--terminal", "canteen-left", status=5).stderr
    assert "is being written by" in told
    assert "process" in told


def test_the_shell_completes_ids_of_terminals(tmp_path):
    site = tmp_path / "school.toml"
    room = '[[rooms]]\nid = "canteen"\nkind = "canteen"\n'
    terminals = "".join(
        f'[[terminals]]\nid = "{name}"\nnumber = {number}\nkind = "meals"\nroom = "canteen"\n'
        for number, name in enumerate(("left", "long", "right"), 1)
    )
    meals = '[meals]\nroster = "roster.csv"\n'
    site.write_text(f'[site]\nid = "x"\nnumber = 1\n{room}{terminals}{meals}')
    for path, words, wanted in (
        (site, "edusense meals tap 0100 --terminal l", ["left", "long"]),
        (site, "edusense meals terminal r", ["right"]),
        (tmp_path / "none.toml", "edusense meals terminal r", []),
    ):
        told = subprocess.run(
            [sys.executable, "-m", "edusense"],
            env={
                "_EDUSENSE_COMPLETE": "bash_complete",
                "COMP_WORDS": words,
                "COMP_CWORD": str(len(words.split()) - 1),
                "EDUSENSE_SITE": str(path),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert told.stdout.split() == [f"plain,{name}" for name in wanted], told.stderr
        assert not told.stderr
