"""A terminal's verdicts: each reason, in order, at the edges of slots and days, and what is said after a power cut."""

from __future__ import annotations

import datetime
import errno
import threading
import zoneinfo
from pathlib import Path

import pytest

from edusense.devices import Card
from edusense.errors import LedgerStorageError, SiteValueError, UsageError
from edusense.meals import Kind, Ledger, Roster, Slot, Terminal, card_hash, find_slot, terminal_rows

ALMATY = zoneinfo.ZoneInfo("Asia/Almaty")
SLOTS = (
    Slot("breakfast", datetime.time(7, 30), datetime.time(9), 30_000),
    Slot("lunch", datetime.time(11), datetime.time(14, 30), 45_000),
    Slot("late", datetime.time(23), datetime.time(1), 20_000),
)
HEAD = "pupil,name,class,category,cards,consent_date,voucher_from,voucher_to\n"
PUPILS = """1,Айгерім,4Б,grade-1-4,em4100:010063E9AE 04A1B2C3D4E5F6,2026-09-01,2026-09-01,2027-05-25
2,Данияр,4Б,orphan,em4100:010063E9AF,,2026-09-01,2027-05-25
3,Мадина,5А,orphan,em4100:010063E9B0,2026-09-01,2025-09-01,2026-05-25
4,Тимур,5А,orphan,em4100:010063E9B1,2026-09-01,,
5,Инжу,5А,orphan,em4100:010063E9B2,2026-10-06,2026-09-01,
"""


def moment(text: str) -> float:
    return datetime.datetime.fromisoformat(f"2026-10-{text}").replace(tzinfo=ALMATY).timestamp()


NOON = moment("05 12:03:11")


@pytest.fixture
def roster(tmp_path: Path) -> Roster:
    path = tmp_path / "roster.csv"
    path.write_text(HEAD + PUPILS, "utf-8")
    return Roster.load(path)


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger.open(tmp_path / "ledger", school=51_001, clock=lambda: NOON) as opened:
        yield opened


def terminal(ledger: Ledger, roster: Roster | None, number: int = 1, **more) -> Terminal:
    given = {"slots": SLOTS, "school": 51_001, "timezone": "Asia/Almaty", "clock": lambda: NOON} | more
    return Terminal(id=f"t{number}", number=number, ledger=ledger, roster=roster, **given)


@pytest.mark.parametrize(
    ("card", "at", "reason", "told"),
    [
        ("em4100:010063E9AE", "05 12:00", None, None),
        ("em4100:010063E9FF", "05 12:00", "unknown-card", "em4100:010063E9FF"),
        ("no card", "05 12:00", "unknown-card", "no card"),
        ("em4100:010063E9AF", "05 12:00", "no-consent", "no consent"),
        ("em4100:010063E9B2", "05 12:00", "no-consent", "2026-10-06"),
        ("em4100:010063E9B2", "06 12:00", None, None),
        ("em4100:010063E9B0", "05 12:00", "not-on-list", "2026-05-25"),
        ("em4100:010063E9B1", "05 12:00", "not-on-list", "no voucher"),
        ("em4100:010063E9AE", "05 10:59:59", "outside-slot", "lunch 11:00–14:30"),
        ("em4100:010063E9AE", "05 11:00", None, None),
        ("em4100:010063E9AE", "05 14:29:59", None, None),
        ("em4100:010063E9AE", "05 14:30", "outside-slot", "it is 14:30"),
    ],
)
def test_each_reason(ledger, roster, card, at, reason, told):
    verdict = terminal(ledger, roster).tap(card, at=moment(at))
    assert (verdict.granted, verdict.reason) == (reason is None, reason)
    assert (verdict.record is None) == (reason is not None)
    if told is not None:
        assert told in str(verdict.message)


def test_a_green_light_stands_behind_a_record(ledger, roster):
    verdict = terminal(ledger, roster).tap(Card("em4100", bytes.fromhex("010063E9AE"), at=NOON))
    records = ledger.records()
    meal = records[records["kind"] == Kind.MEAL][0]
    assert verdict.granted
    assert str(verdict.record) == f"1/{ledger.epoch:08x}/2"
    assert (meal["pupil"], meal["day"], meal["slot"], meal["price"]) == (1, 20261005, b"lunch", 45_000)
    assert (meal["school"], meal["terminal"], meal["time"]) == (51_001, 1, round(NOON * 1e6))
    assert (meal["assurance"], meal["entitlement"]) == (1, roster.version)
    assert meal["card"] == card_hash(Card.parse("em4100:010063E9AE"), 51_001)
    assert bytes.fromhex("010063E9AE") not in meal.tobytes()


def test_one_meal_a_slot_whatever_card_and_terminal(ledger, roster):
    left, right = terminal(ledger, roster), terminal(ledger, roster, 2)
    first = left.tap("em4100:010063E9AE")
    second = right.tap("04A1B2C3D4E5F6")
    assert first.granted
    assert second.reason == "already-served"
    assert second.record == first.record
    assert second.message == "already served at 12:03:11 at terminal 1"
    assert left.tap("0006547886", at=moment("05 08:00")).granted, (
        "breakfast is another slot; the printed number will do"
    )
    assert left.tap("em4100:010063E9AE", at=moment("06 12:00")).granted


def test_a_slot_across_midnight_counts_for_the_day_it_began(ledger, roster):
    late = terminal(ledger, roster)
    assert late.tap("em4100:010063E9AE", at=moment("05 23:30")).day == datetime.date(2026, 10, 5)
    assert late.tap("em4100:010063E9AE", at=moment("06 00:30")).reason == "already-served"
    assert late.tap("em4100:010063E9AE", at=moment("06 23:00")).granted


def test_threads_at_two_terminals_serve_one_child_once(ledger, roster):
    terminals = [terminal(ledger, roster, number) for number in (1, 2)]
    verdicts = []
    begin = threading.Barrier(8)

    def tap(index: int) -> None:
        begin.wait()
        verdicts.append(terminals[index % 2].tap("em4100:010063E9AE"))

    threads = [threading.Thread(target=tap, args=[index]) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(verdict.reason or "green" for verdict in verdicts) == ["already-served"] * 7 + ["green"]


def test_after_a_power_cut_the_light_that_nobody_confirmed_is_said(tmp_path, roster):
    folder = tmp_path / "ledger"
    with Ledger.open(folder, school=51_001) as ledger:
        at = terminal(ledger, roster)
        seen = at.tap("em4100:010063E9AE")
        at.shown(seen)
        unseen = at.tap("em4100:010063E9B2", at=moment("06 12:03:11"))
        assert "power" not in at.tap("em4100:010063E9B2", at=moment("06 12:05")).message
    with Ledger.open(folder, school=51_001) as ledger:
        again = terminal(ledger, roster)
        shown, unshown = again.tap("em4100:010063E9AE"), again.tap("em4100:010063E9B2", at=moment("06 12:10"))
        assert (shown.reason, shown.message) == ("already-served", "already served at 12:03:11")
        assert unshown.message == "recorded at 12:03:11, just before the power failed"
        assert (shown.record, unshown.record) == (seen.record, unseen.record)
        assert terminal_rows(ledger.records())[1]["shown"] == 1


def test_marks_are_kept_for_green_lights_only(ledger, roster):
    at = terminal(ledger, roster)
    at.shown(at.tap("em4100:010063E9AF"))
    at.shown(at.tap("em4100:010063E9AE"))
    at.shown(at.tap("em4100:010063E9AE"))
    ledger.sync()
    assert (ledger.records()["kind"] == Kind.SHOWN).sum() == 1


def test_a_disk_that_refuses_is_a_red_light_and_no_exception(ledger, roster, monkeypatch, caplog):
    at = terminal(ledger, roster)
    for error in (LedgerStorageError("writing: full"), OSError(errno.EIO, "broken"), ZeroDivisionError("a bug")):

        def fails(*_, error=error, **__):
            raise error

        monkeypatch.setattr(ledger, "receipts", fails)
        verdict = at.tap("em4100:010063E9AE")
        assert (verdict.granted, verdict.reason) == (False, "cannot-record")
        assert verdict.message.startswith("cannot record: ")
    monkeypatch.undo()
    ledger.close()
    assert at.tap("em4100:010063E9AE").reason == "cannot-record"


def test_without_a_roster_nobody_is_known(ledger):
    assert terminal(ledger, None).tap("em4100:010063E9AE").reason == "unknown-card"


def test_what_no_terminal_can_be(ledger, roster):
    with pytest.raises(SiteValueError, match="Asia/Almatty") as caught:
        terminal(ledger, roster, timezone="Asia/Almatty")
    assert "IANA" in str(caught.value.hint)
    with pytest.raises(UsageError):
        terminal(ledger, roster, number=0)
    with pytest.raises(UsageError):
        Slot("a name too long", datetime.time(1), datetime.time(2))


def test_a_machine_without_time_zone_data_is_said(ledger, roster, monkeypatch):
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    with pytest.raises(SiteValueError, match="no time zone data") as caught:
        terminal(ledger, roster, timezone="Asia/Nowhere")
    assert "tzdata" in str(caught.value.hint)


def test_slots_are_looked_at_in_their_order():
    first = Slot("first", datetime.time(11), datetime.time(13))
    second = Slot("second", datetime.time(12), datetime.time(14))
    at = datetime.datetime(2026, 10, 5, 12, 30, tzinfo=ALMATY)
    assert find_slot([first, second], at) == (first, at.date())
    assert find_slot([], at) is None


@pytest.mark.parametrize("nothing", [None, b"\x01\x00\x63\xe9\xae", 6547886])
def test_what_is_no_card_is_a_mistake_of_the_caller_and_no_refusal(
    ledger: Ledger, roster: Roster, nothing: object
) -> None:
    with pytest.raises(UsageError, match="a card is wanted"):
        terminal(ledger, roster).tap(nothing)  # type: ignore[arg-type]
