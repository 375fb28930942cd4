"""The rules as tables: a case in, a reason out; no ledger, no clock, no disk."""

from __future__ import annotations

import datetime
import zoneinfo
from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest

from edusense.errors import UsageError
from edusense.meals import RULES, Calendar, Case, Closure, Moment, Pupil, RecordKey, Refusal, Sentence, Served, Slot
from edusense.meals import rules as rules_module
from edusense.meals.rules import decide, installed_rules
from edusense.meals.slots import find_slot, of_shift
from edusense.meals.words import LANGUAGES, TITLES, title

ALMATY = zoneinfo.ZoneInfo("Asia/Almaty")
DAY = datetime.date(2026, 10, 5)  # a Monday
LUNCH = Slot("lunch", datetime.time(11), datetime.time(14, 30), 45_000)
FIRST = Slot("lunch-1", datetime.time(10), datetime.time(12), 45_000, shift=1)
SECOND = Slot("lunch-2", datetime.time(11, 30), datetime.time(15), 45_000, shift=2)
CHILD = Pupil(
    7,
    "Айгерім",
    "4Б",
    "grade-1-4",
    (),
    datetime.date(2026, 9, 1),
    datetime.date(2026, 9, 1),
    datetime.date(2027, 5, 25),
)
KEY = RecordKey(2, 0x9F3A01BC, 17)
EARLIER = Served("lunch", datetime.datetime(2026, 10, 5, 12, 3, 11, tzinfo=ALMATY).timestamp(), 2, KEY)


def case(**more) -> Case:
    local = datetime.datetime(2026, 10, 5, 12, 10, tzinfo=ALMATY)
    given = {
        "pupil": CHILD,
        "day": DAY,
        "local": local,
        "slot": LUNCH,
        "slots": (LUNCH,),
        "school": 51_001,
        "terminal": 1,
    }
    return Case(**(given | more))


def child(**more) -> Pupil:
    return replace(CHILD, **more)


@pytest.mark.parametrize(
    ("given", "reason", "told"),
    [
        (case(), None, None),
        (case(pupil=child(school=51_001)), None, None),
        (case(pupil=child(school=51_012)), "other-school", "belongs to school 51012"),
        (case(pupil=child(school=51_012, consent_date=None)), "other-school", None),
        (case(pupil=child(consent_date=None)), "no-consent", "no consent of the parents is on file"),
        (case(pupil=child(consent_date=DAY)), None, None),
        (case(pupil=child(consent_date=datetime.date(2026, 10, 6))), "no-consent", "begins on 2026-10-06"),
        (case(pupil=child(consent_date=None, voucher_from=None)), "no-consent", None),
        (case(pupil=child(voucher_from=None)), "not-on-list", "has no voucher"),
        (case(pupil=child(voucher_to=datetime.date(2026, 10, 4))), "not-on-list", "to 2026-10-04"),
        (case(pupil=child(voucher_to=DAY)), None, None),
        (case(pupil=child(voucher_from=datetime.date(2026, 10, 6), voucher_to=None)), "not-on-list", "from 2026-10-06"),
        (case(pupil=child(category="staff", consent_date=None)), "not-on-list", "works in the school"),
        (case(listed=False, period="2026-10"), "not-on-list", "is not on the list of 2026-10"),
        (case(list_over=True, period="2026-09"), "not-on-list", "the list of 2026-09 has ended"),
        (case(calendar=Calendar([Closure(DAY, DAY, "holiday")])), "closed-day", "2026-10-05 is closed: holiday"),
        (case(calendar=Calendar([Closure(DAY, DAY, "weather", ("4Б",))])), "closed-day", "because of the weather"),
        (case(calendar=Calendar([Closure(DAY, DAY, "weather", ("9А",))])), None, None),
        (case(calendar=Calendar(days="sat,sun")), "closed-day", "no day with meals"),
        (case(slot=None, calendar=Calendar([Closure(DAY, DAY, "holiday")])), "closed-day", None),
        (case(slot=None), "outside-slot", "it is 12:10; meals: lunch 11:00–14:30"),
        (
            case(slot=None, slots=(FIRST, SECOND), pupil=child(shift=2)),
            "outside-slot",
            "shift 2; meals: lunch-2 11:30–15:00",
        ),
        (case(history=(EARLIER,)), "already-served", "already served at 12:03:11 at terminal 2"),
        (case(history=(EARLIER,), terminal=2), "already-served", "already served at 12:03:11"),
        (case(history=(replace(EARLIER, shown=False),)), "already-served", "just before the power failed"),
        (case(history=(replace(EARLIER, slot="breakfast"),)), None, None),
        (case(history=(EARLIER,), pupil=child(consent_date=None)), "no-consent", None),
    ],
)
def test_a_case_has_its_reason(given: Case, reason: str | None, told: str | None):
    found = decide(given)
    assert (None if found is None else found.reason) == reason
    if told is not None:
        assert found is not None
        assert told in found.sentence.text()
    if found is not None:
        assert (found.record is not None) == (reason == "already-served")
        for language in LANGUAGES:
            assert found.sentence.text(language)


@pytest.mark.parametrize(
    ("now", "gap_s", "reason"),
    [
        ("12:45", 600, None),
        ("12:45", 12 * 3600, None),
        ("12:45", 12 * 3600 + 1, "clock-not-trusted"),
        ("12:45", float("inf"), "clock-not-trusted"),
        ("11:14:59", 600, "clock-not-trusted"),
        ("11:15", 600, None),
        ("14:15", 600, None),
        ("14:15:01", 600, "clock-not-trusted"),
        ("14:44", 600, "clock-not-trusted"),
        ("14:46", 600, "outside-slot"),
        ("10:40", 600, "outside-slot"),
        ("10:50", 600, "clock-not-trusted"),
    ],
)
def test_without_a_sure_clock_meals_go_on_unless_day_or_slot_cannot_be_told(now: str, gap_s: float, reason: str | None):
    local = datetime.datetime.combine(DAY, datetime.time.fromisoformat(now), ALMATY)
    on = find_slot((LUNCH,), local)
    found = decide(case(local=local, slot=None if on is None else on[0], moment=Moment(0.0, False, gap_s)))
    assert (None if found is None else found.reason) == reason
    if reason == "clock-not-trusted":
        assert "confirm" in found.sentence.text()


def test_near_midnight_the_edge_is_near_whichever_side_it_is_looked_at_from():
    late = Slot("late", datetime.time(23), datetime.time(0, 5))
    local = datetime.datetime(2026, 10, 5, 23, 55, tzinfo=ALMATY)
    found = decide(case(local=local, slot=late, slots=(late,), moment=Moment(0.0, False, 60.0)))
    assert found is not None
    assert found.reason == "clock-not-trusted"


def test_a_rule_of_somebody_elses_comes_behind_ours_and_brings_its_words(monkeypatch):
    def two_hours_apart(one: Case) -> Refusal | None:
        last = max((served.time for served in one.history), default=None)
        if last is None or one.local.timestamp() - last >= 7200:
            return None
        return Refusal("two-hours-apart", Sentence.own(ru="ещё рано {не шаблон}", en="too early"))

    snack = case(history=(EARLIER,), slot=Slot("snack", datetime.time(12), datetime.time(16)))
    found = decide(snack, (*RULES, two_hours_apart))
    assert found is not None
    assert found.reason == "two-hours-apart"
    assert found.sentence.to_json() == {"kk": "ещё рано {не шаблон}", "ru": "ещё рано {не шаблон}", "en": "too early"}
    assert title("two-hours-apart", "kk") == "Two hours apart"
    with pytest.raises(UsageError, match="is no reason"):
        Refusal("Two hours", Sentence.own(en="-"))

    points = [
        EntryPoint("two-hours-apart", "tests.unit.test_meals_rules:DAY", rules_module.ENTRY_POINTS),
        EntryPoint("broken", "no_such_module:rule", rules_module.ENTRY_POINTS),
    ]
    monkeypatch.setattr(rules_module, "entry_points", lambda group: points)
    assert installed_rules(()) == RULES
    with pytest.raises(UsageError, match="no meal rule `two-hours`") as caught:
        installed_rules(["two-hours"])
    assert "perhaps `two-hours-apart`" in str(caught.value.hint)
    with pytest.raises(UsageError, match="cannot be loaded: ModuleNotFoundError"):
        installed_rules(["broken"])


def test_slots_of_shifts_and_of_days():
    noon = datetime.datetime(2026, 10, 5, 11, 45, tzinfo=ALMATY)
    slots = (FIRST, SECOND)
    assert find_slot(slots, noon) == (FIRST, DAY)
    assert find_slot(slots, noon, 2) == (SECOND, DAY)
    assert find_slot(slots, noon, 3) is None
    assert of_shift((LUNCH, FIRST), 3) == (LUNCH,)
    weekday = Slot("lunch", datetime.time(11), datetime.time(14), days="mon-fri")
    night = Slot("night", datetime.time(22), datetime.time(1), days="fri")
    sunday = datetime.datetime(2026, 10, 4, 12, tzinfo=ALMATY)
    assert find_slot((weekday,), sunday) is None
    # Friday's night is still Friday's at half past midnight.
    assert find_slot((night,), datetime.datetime(2026, 10, 10, 0, 30, tzinfo=ALMATY)) == (
        night,
        datetime.date(2026, 10, 9),
    )
    assert find_slot((night,), datetime.datetime(2026, 10, 10, 23, tzinfo=ALMATY)) is None
    with pytest.raises(UsageError, match="names no days"):
        Slot("x", datetime.time(1), datetime.time(2), days="mon-frei")


def test_a_calendar_of_no_days_is_a_mistake():
    with pytest.raises(UsageError, match="names no days"):
        Calendar(days="weekdays")


def test_every_title_is_said_in_three_languages():
    from edusense.meals import REASONS

    for reason in (*REASONS, "meal", "arrival", "departure"):
        assert set(TITLES[reason]) == set(LANGUAGES)
        assert len({*TITLES[reason].values()}) == 3
