"""Meals entered and taken back by hand: by the same rules, once, and with who and why on the record."""

from __future__ import annotations

import datetime
import zoneinfo
from pathlib import Path

import pytest

from edusense.errors import UsageError
from edusense.meals import Flag, Kind, Ledger, MealClock, RecordKey, Roster, RosterStore, Slot, Terminal
from edusense.meals.by_hand import ByHand

ALMATY = zoneinfo.ZoneInfo("Asia/Almaty")
NOON = datetime.datetime(2026, 10, 5, 12, tzinfo=ALMATY).timestamp()
SLOTS = (
    Slot("breakfast", datetime.time(7, 30), datetime.time(9), 30_000),
    Slot("lunch", datetime.time(11), datetime.time(14, 30), 45_000),
)
PUPILS = """pupil,name,class,category,cards,consent_date,voucher_from,voucher_to
1,Айгерім,4Б,grade-1-4,em4100:010063E9AE,2026-09-01,2026-09-01,
2,Данияр,4Б,orphan,em4100:010063E9AF,,2026-09-01,
"""


class School:
    def __init__(self, folder: Path, ledger: Ledger, store: RosterStore) -> None:
        (folder / "roster.csv").write_text(PUPILS, "utf-8")
        self.now = NOON
        self.clock = MealClock(lambda: self.now, lambda: self.now)
        self.ledger, self.store = ledger, store
        roster = Roster.load(folder / "roster.csv")
        self.left, self.right = (
            Terminal(
                id=f"t{number}",
                number=number,
                ledger=ledger,
                roster=roster,
                slots=SLOTS,
                school=51_001,
                clock=self.clock,
            )
            for number in (1, 2)
        )
        self.hand = ByHand(store, school=51_001, zone=ALMATY, clock=self.clock)
        self.cook = store.operators.named("Ким Вера", at=NOON)

    def enter(self, pupil: int = 1, reason: str = "card-forgotten", **more):
        return self.hand.enter(self.left, pupil, operator=self.cook, reason=reason, **more)

    def reverse(self, key: RecordKey, reason: str = "wrong-child"):
        return self.hand.reverse(self.right, key, operator=self.cook, reason=reason)


@pytest.fixture
def school(tmp_path: Path):
    with (
        Ledger.open(tmp_path / "ledger", school=51_001, clock=lambda: NOON) as ledger,
        RosterStore(tmp_path / "roster.db") as store,
    ):
        yield School(tmp_path, ledger, store)


def test_a_meal_by_hand_goes_by_the_same_rules(school: School):
    green = school.enter()
    assert (green.granted, green.slot, green.day) == (True, "lunch", datetime.date(2026, 10, 5))
    assert school.enter(2).reason == "no-consent"
    again = school.enter()
    assert (again.reason, again.record) == ("already-served", green.record)
    assert school.right.tap("em4100:010063E9AE").reason == "already-served"
    school.now += 3 * 3600
    assert school.enter().reason == "outside-slot"
    with pytest.raises(UsageError, match="reason"):
        school.enter(reason="  ")
    with pytest.raises(UsageError, match="nobody has the number 99"):
        school.enter(99)


def test_who_and_why_stand_on_the_record_as_numbers(school: School):
    verdict = school.enter(reason="card-lost", words="on the bus")
    records = school.ledger.records()
    (meal,) = records[records["kind"] == Kind.MEAL]
    assert RecordKey.of(meal) == verdict.record
    assert meal["flags"] & Flag.MANUAL
    assert meal["assurance"] == 0
    note = school.store.operators.notes()[int(meal["card"])]
    assert (note.operator, note.what, note.reason, note.words) == (
        school.cook.number,
        "meal",
        "card-lost",
        "on the bus",
    )
    assert note.made_at == "2026-10-05T12:00:00.000+05:00"
    assert int(meal["card"]) & 0xFFFF_FFFF == school.cook.number
    raw = school.ledger.records().tobytes()
    for word in ("Ким", "Айгерім", "bus"):
        assert word.encode() not in raw


def test_a_meal_that_is_taken_back_frees_its_slot_once(school: School):
    first = school.left.tap("em4100:010063E9AE")
    done = school.reverse(first.record)
    assert (done.meal, done.operator, done.note.reason) == (first.record, school.cook, "wrong-child")
    with pytest.raises(UsageError, match="taken back before"):
        school.reverse(first.record)
    second = school.left.tap("em4100:010063E9AE")
    assert second.granted
    with pytest.raises(UsageError, match="taken back before"):
        school.reverse(first.record)
    assert school.reverse(second.record).meal == second.record
    records = school.ledger.records()
    reversal = records[records["kind"] == Kind.REVERSAL][0]
    assert (reversal["terminal"], reversal["price"], reversal["pupil"]) == (1, 45_000, 1)
    assert reversal["flags"] & Flag.MANUAL
    assert int(reversal["card"]) in school.store.operators.notes()


@pytest.mark.parametrize("key", ["1/00000001/9", "9/9f3a01bc/2"])
def test_what_is_no_meal_is_not_taken_back(school: School, key: str):
    with pytest.raises(UsageError, match="there is no meal"):
        school.reverse(RecordKey.parse(key))
    opened = RecordKey.of(school.ledger.records()[0])
    with pytest.raises(UsageError, match="there is no meal"):
        school.reverse(opened)


def test_a_paper_list_is_entered_for_its_own_day(school: School):
    friday = datetime.date(2026, 10, 2)
    verdict = school.enter(reason="paper-list", day=friday, slot="lunch")
    assert (verdict.granted, verdict.day) == (True, friday)
    assert school.enter(reason="paper-list", day=friday, slot="lunch").reason == "already-served"
    assert school.left.tap("em4100:010063E9AE").granted, "today's lunch is another one"
    (meal, _) = [record for record in school.ledger.records() if record["kind"] == Kind.MEAL]
    assert (meal["day"], meal["time"]) == (20261002, round(NOON * 1e6)), "when it was entered stands there, too"
    for wrong in ({"day": friday}, {"slot": "lunch"}, {"day": friday, "slot": "dinner"}):
        with pytest.raises(UsageError, match="no meal of this school"):
            school.enter(reason="paper-list", **wrong)
    with pytest.raises(UsageError, match="still to come"):
        school.enter(reason="paper-list", day=datetime.date(2026, 10, 6), slot="lunch")


def test_without_a_sure_clock_the_record_says_so(school: School):
    assert school.left.tap("em4100:010063E9AE").granted
    school.clock = MealClock(lambda: 0.0, lambda: school.now)
    school.clock.heard(NOON)
    school.left.clock = school.clock
    unsure = school.left.tap("em4100:010063E9AE", at=None)
    assert (unsure.reason, unsure.clock_unsure) == ("already-served", True)
    school.now += 2.6 * 3600 - 600
    edge = school.left.tap("em4100:010063E9AE")
    assert (edge.reason, edge.granted) == ("clock-not-trusted", False)
    school.now += 13 * 3600
    assert school.left.tap("em4100:010063E9AE").reason == "clock-not-trusted"
