"""What does not add up: a ledger with one ghost of each kind, and a day on which everything is right."""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path

import pytest

from edusense.cli.main import main
from edusense.cli.schemas import validate
from edusense.meals import Calendar, Closure, Flag, Kind, Ledger, Pupil, Roster, RosterStore
from edusense.meals.report import findings, portions
from edusense.meals.store import Attendance

DAY = datetime.date(2026, 10, 5)
FROM = datetime.date(2026, 9, 1)


def pupil(number: int, form: str, consent: bool = True) -> Pupil:
    return Pupil(number, f"P{number}", form, "grade-1-4", (), FROM if consent else None, FROM, None)


ROSTER = Roster([pupil(number, "1А" if number <= 20 else "2Б", number != 3) for number in range(1, 41)])


def tell(ledger: Ledger, kind: Kind, pupils: list[int], day: int = 20261005, **fields: int) -> None:
    rows = Ledger.blank(len(pupils), kind)
    rows["terminal"], rows["pupil"], rows["day"], rows["price"] = 1, pupils, day, 45_000
    rows["time"] = [1_790_000_000_000_000 + 20_000_000 * number for number in range(len(pupils))]
    if kind == Kind.MEAL:
        rows["slot"] = b"lunch"
    for name, value in fields.items():
        rows[name] = value
    assert set(ledger.append(rows).tolist()) <= {0}


def found(ledger: Ledger, calendar: Calendar | None = None, **attendance: int) -> dict[str, tuple[int, int | None]]:
    present = {(DAY, form): count for form, count in attendance.items()}
    told = findings(ledger.records(), lambda _: ROSTER, calendar or Calendar(), present)
    assert all(len(set(one.records)) == len(one.records) for one in told)
    return {one.finding: (len(one.records), one.limit) for one in told}


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "data" / "ledger", school=51_001) as opened:
        yield opened


def test_a_day_on_which_everything_is_right(ledger):
    tell(ledger, Kind.ARRIVAL, list(range(1, 31)))
    tell(ledger, Kind.MEAL, list(range(1, 31)))
    assert found(ledger) == {}


def test_each_ghost_is_named_with_its_records(ledger):
    tell(ledger, Kind.MEAL, list(range(1, 20)))
    assert found(ledger) == {}
    assert found(ledger, **{"1А": 15}) == {"above-attendance": (19, 15)}
    frost = Calendar([Closure(DAY, DAY, "weather", ("1А",))])
    assert found(ledger, frost) == {"closed-day": (19, 0)}
    assert found(ledger, Calendar(days="tue-fri"))["closed-day"] == (19, 0)
    tell(ledger, Kind.MEAL, [777])
    assert found(ledger) == {"not-on-list": (1, None)}
    tell(ledger, Kind.ARRIVAL, list(range(1, 11)))
    told = found(ledger)
    assert told["above-attendance"] == (19, 10)
    assert told["no-arrival"] == (10, None)


def test_meals_that_were_taken_back_and_other_days_do_not_count(ledger):
    tell(ledger, Kind.MEAL, [1, 2])
    meal = ledger.records()[-1]
    tell(ledger, Kind.REVERSAL, [2], slot=b"lunch", ref_epoch=int(meal["epoch"]), ref_sequence=int(meal["sequence"]))
    assert found(ledger, **{"1А": 1}) == {}
    told = findings(ledger.records(), lambda _: ROSTER, Calendar(), {(DAY, "1А"): 0}, first_day=20261006)
    assert told == []


def test_a_burst_of_one_operator_is_seen_and_two_who_share_it_are_not(ledger):
    tell(ledger, Kind.MEAL, list(range(21, 30)), flags=Flag.MANUAL, card=7 | 9 << 32)
    assert found(ledger) == {}
    tell(ledger, Kind.MEAL, [30], flags=Flag.MANUAL, card=8)
    assert found(ledger) == {}
    tell(ledger, Kind.MEAL, [31], flags=Flag.MANUAL, card=7)
    (burst,) = findings(ledger.records(), lambda _: ROSTER, Calendar(), {})
    assert (burst.finding, burst.operator, len(burst.records)) == ("burst", 7, 10)
    assert burst.sum_tiyn == 450_000


def test_portions_are_for_those_who_came(ledger):
    def of(calendar: Calendar, present: dict[tuple[datetime.date, str], int]) -> list[tuple[str, int, str]]:
        told = portions(ledger.records(), ROSTER, calendar, present, DAY)
        return [(one.form, one.portions, one.source) for one in told]

    assert of(Calendar(), {(DAY, "2Б"): 12}) == [("1А", 19, "list"), ("2Б", 12, "attendance")]
    assert of(Calendar([Closure(DAY, DAY, "holiday", ("2Б",))]), {})[1] == ("2Б", 0, "closed")
    tell(ledger, Kind.ARRIVAL, [1, 2, 3, 25, 999])
    assert of(Calendar(), {(DAY, "2Б"): 12}) == [("1А", 2, "arrivals"), ("2Б", 1, "arrivals")]


def test_the_command_prints_what_its_schema_says(
    ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    tell(ledger, Kind.MEAL, list(range(1, 20)))
    (tmp_path / "school.toml").write_text('[site]\nid = "x"\nnumber = 51001\ndata = "data"\n')
    with RosterStore(tmp_path / "data" / "roster.db") as store:
        listed = store.lists.propose(ROSTER, first=FROM, last=None, source="-", by="A", at=0.0)
        store.lists.take(listed.id, at=1.0, approved_by="D")
        store.days.attend([Attendance(DAY, "1А", 15)], by="A", at=2.0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDUSENSE_SITE", raising=False)

    def run(*arguments: str) -> tuple[int, list[dict[str, object]]]:
        monkeypatch.setattr(sys, "argv", ["edusense", "meals", "report", *arguments, "--json"])
        with pytest.raises(SystemExit) as ended:
            main()
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        for line in lines:
            validate("meals report", line)
        return int(ended.value.code or 0), lines

    status, (line,) = run("--month", "2026-10")
    assert (status, line["finding"], line["meals"], line["limit"]) == (1, "above-attendance", 19, 15)
    assert run("--day", "2026-10-06") == (0, [])
    status, lines = run("--portions", "--day", "2026-10-05")
    assert [(one["class"], one["portions"]) for one in lines] == [("1А", 15), ("2Б", 20)]
    assert run("--day", "yesterday")[0] == 2
