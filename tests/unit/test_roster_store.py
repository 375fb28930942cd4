"""The roster's database: lists that are approved and hold for their days, cards, the calendar, notes, and deletion."""

from __future__ import annotations

import datetime
import os
import sqlite3
import threading
from pathlib import Path

import pytest
from PIL import Image

from edusense.devices import Card
from edusense.errors import PermissionDeniedError, RosterError, RosterStorageError, UsageError
from edusense.meals import Closure, Roster, RosterStore
from edusense.meals.store import Attendance, CardChange, month_of
from edusense.meals.store.cards import cards_on
from edusense.meals.store.people import PHOTO_SIZE, read_photo
from edusense.meals.table import COLUMNS

HEAD = ",".join(COLUMNS) + "\n"
AIGERIM = "1,Айгерім Сәрсенова,4Б,grade-1-4,em4100:010063E9AE,2026-09-01,2026-09-01,2027-05-25\n"
DANIYAR = "2,Данияр Омаров,5А,orphan,em4100:010063E9AF 04A1B2C3D4E5F6,2026-09-01,2026-09-01,\n"
MADINA = "3,Мадина Ким,5А,low-income,em4100:010063E9B0,2026-09-01,2026-09-01,\n"
ONE, TWO, THREE = (Card.parse(f"em4100:010063E9{last}") for last in ("AE", "AF", "B0"))


def day(text: str) -> datetime.date:
    return datetime.date.fromisoformat(f"2026-{text}")


class School:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "roster.csv"
        self.now = 1_790_000_000.0
        self.store = RosterStore(folder / "roster.db", clock=self.clock)

    def clock(self) -> float:
        self.now += 1.0
        return self.now

    def roster(self, *lines: str) -> Roster:
        path = self.folder / "list.csv"
        path.write_text(HEAD + "".join(lines), "utf-8")
        return Roster.load(path)

    def take(self, *lines: str, first: str, last: str | None = None, approved_by: str | None = "Директор"):
        listed = self.store.lists.propose(
            self.roster(*lines),
            first=day(first),
            last=None if last is None else day(last),
            source="list.csv",
            by="pedagogue",
            at=self.clock(),
        )
        return self.store.lists.take(listed.id, at=self.clock(), approved_by=approved_by, approval="№ 45")

    def change(self, card: Card, pupil: int, what: str, on: str) -> CardChange:
        return self.store.cards.change(card, pupil, what, day=day(on), by="guard", at=self.clock())


@pytest.fixture
def school(tmp_path: Path):
    made = School(tmp_path)
    with made.store:
        yield made


def test_a_list_holds_from_its_first_day_on_and_only_when_it_was_taken(school: School):
    assert school.store.book().on(day("10-05")) is None
    proposed = school.store.lists.propose(
        school.roster(AIGERIM), first=day("10-01"), source="october.csv", by="pedagogue", at=1.0
    )
    assert (proposed.state, proposed.period, proposed.approved_by) == ("proposed", "from 2026-10-01", None)
    assert school.store.book().on(day("10-05")) is None
    assert school.store.lists.waiting() == (proposed,)
    taken = school.store.lists.take(proposed.id, at=2.0, approved_by="Ахметова А.", approval="№ 45, 2026-09-28")
    assert (taken.state, taken.approved_by, taken.approved_at, taken.approval) == (
        "taken",
        "Ахметова А.",
        2.0,
        "№ 45, 2026-09-28",
    )
    book = school.store.book()
    assert book.on(day("09-30")) is None
    found = book.on(day("10-01"))
    assert found is not None
    assert found.version == taken.version == school.roster(AIGERIM).version
    assert found.find(ONE) == school.roster(AIGERIM)[1]
    for again in (lambda: school.store.lists.take(taken.id, at=3.0), lambda: school.store.lists.withdraw(taken.id)):
        with pytest.raises(UsageError, match="taken already"):
            again()


def test_of_months_the_one_that_began_last_decides_and_an_ended_one_is_over(school: School):
    school.take(AIGERIM, DANIYAR, first="09-01")
    school.take(AIGERIM, first="10-01", last="10-31")
    school.take(AIGERIM, DANIYAR, MADINA, first="11-01", last="11-30")
    on = school.store.book().on
    assert [sorted(one.number for one in on(day(text))) for text in ("09-30", "10-31", "11-01")] == [
        [1, 2],
        [1],
        [1, 2, 3],
    ]
    assert [on(day(text)).over for text in ("10-31", "11-30", "12-01")] == [False, False, True]
    assert (on(day("10-31")).period, on(day("09-30")).period) == ("2026-10", "from 2026-09-01")
    school.take(MADINA, first="10-12", last="10-31")
    assert [one.number for one in school.store.book().on(day("10-12"))] == [3]
    assert [one.number for one in school.store.book().on(day("11-02"))] == [1, 2, 3], "a correction ends with its month"


def test_who_was_dropped_is_still_known_by_the_card_and_not_on_the_list(school: School):
    school.take(AIGERIM, DANIYAR, first="09-01")
    school.take(AIGERIM, first="10-01")
    roster = school.store.book().on(day("10-05"))
    found = roster.find(TWO)
    assert (found.number, found.name) == (2, "Данияр Омаров")
    assert 2 not in roster
    assert roster.anyone(2) == found
    school.take(AIGERIM, MADINA.replace("E9B0", "E9AF"), first="10-06")
    assert school.store.book().on(day("10-06")).find(TWO).number == 3, "the card has gone to somebody else"


def test_approval_can_come_after_a_list_was_taken_without_one(school: School):
    taken = school.take(AIGERIM, first="09-01", approved_by=None)
    assert taken.approved_by is None
    late = school.store.lists.take(taken.id, at=9.0, approved_by="Директор")
    assert (late.approved_by, late.approved_at, late.taken_at) == ("Директор", 9.0, taken.taken_at)


@pytest.mark.parametrize(
    ("changes", "listed_at", "held", "marked"),
    [
        ((), 10, {ONE: 1}, {}),
        ((("given", TWO, 1, 5),), 10, {ONE: 1, TWO: 1}, {}),
        ((("given", ONE, 2, 5),), 10, {ONE: 1}, {}),
        ((("given", ONE, 2, 15),), 10, {ONE: 2}, {}),
        ((("lost", ONE, 1, 5),), 10, {}, {ONE: "lost"}),
        ((("lost", ONE, 1, 15), ("found", ONE, 1, 16)), 10, {ONE: 1}, {}),
        ((("lost", ONE, 1, 15), ("given", ONE, 2, 16)), 10, {ONE: 2}, {}),
        ((("returned", ONE, 1, 15),), 10, {}, {ONE: "replaced"}),
        ((("returned", ONE, 1, 5),), 10, {ONE: 1}, {}),
        ((("given", TWO, 1, 5), ("returned", TWO, 1, 6)), 10, {ONE: 1}, {TWO: "replaced"}),
        ((("blocked", TWO, 9, 5),), 10, {ONE: 1}, {TWO: "blocked"}),
        ((("lost", ONE, 1, 99),), 10, {ONE: 1}, {}),
    ],
)
def test_what_holds_of_a_card(changes, listed_at, held, marked):
    # Day and moment are one number here; what happens after day 50 is still to come.
    first = datetime.date(2026, 1, 1)
    made = [
        CardChange(card, pupil, what, first + datetime.timedelta(days=at), None, float(at), "guard")
        for what, card, pupil, at in changes
    ]
    holders, marks = cards_on(first + datetime.timedelta(days=50), {ONE: 1}, float(listed_at), made)
    assert holders == held
    assert {card: mark.state for card, mark in marks.items()} == marked


def test_cards_lost_given_and_replaced_are_seen_by_the_roster_of_the_day(school: School):
    school.take(AIGERIM, DANIYAR, first="09-01")
    school.change(TWO, 2, "lost", "10-03")
    school.change(THREE, 2, "given", "10-04")
    roster = school.store.book().on(day("10-02"))
    assert roster.find(TWO).number == 2
    roster = school.store.book().on(day("10-04"))
    assert roster.find(TWO) is None
    assert (roster.mark(TWO).state, roster.mark(TWO).since, roster.mark(TWO).pupil) == ("lost", day("10-03"), 2)
    assert roster.mark(Card.parse("0006547887")).state == "lost", "also by the number that is printed on it"
    assert roster[2].cards == (Card.parse("04A1B2C3D4E5F6"), THREE)
    school.take(AIGERIM.replace("E9AE", "E9FF"), DANIYAR, first="10-05")
    roster = school.store.book().on(day("10-05"))
    assert roster.mark(ONE).state == "replaced"
    assert roster.mark(TWO).state == "lost", "whatever the list says: it may be made from older papers"
    assert roster.find(THREE).number == 2, "a list without the card does not take it away"
    assert [change.what for change in school.store.cards.changes(2)] == ["lost", "given"]


@pytest.mark.parametrize("card", ["0006547886", "iso14443a:0804FB0E"])
def test_a_card_that_is_only_a_part_or_random_is_not_given(school: School, card: str):
    with pytest.raises(UsageError, match="number"):
        school.change(Card.parse(card), 1, "given", "10-01")
    with pytest.raises(UsageError, match="nothing that happens"):
        school.change(ONE, 1, "eaten", "10-01")


def test_the_calendar_keeps_who_closed_and_who_opened_again(school: School):
    frost = Closure(day("12-13"), day("12-15"), "weather", ("1А", "2Б"), "−38 °C")
    stored = school.store.days.close(frost, by="deputy", at=1.0)
    calendar = school.store.days.calendar()
    assert calendar.closed(day("12-14"), "2Б") == frost
    assert calendar.closed(day("12-14"), "9А") is None
    assert stored.to_json()["classes"] == ["1А", "2Б"]
    school.store.days.reopen(stored.id, by="director", at=2.0)
    assert school.store.days.closures() == ()
    with pytest.raises(UsageError, match="no closure"):
        school.store.days.reopen(stored.id, by="director", at=3.0)
    with pytest.raises(UsageError, match="no day"):
        school.store.days.close(Closure(day("12-13"), day("12-12")), by="x", at=1.0)
    with pytest.raises(UsageError, match="no reason"):
        school.store.days.close(Closure(day("12-13"), day("12-13"), "frost"), by="x", at=1.0)


def test_attendance_is_kept_by_class_and_the_later_word_counts(school: School):
    days = school.store.days
    days.attend([Attendance(day("10-05"), "4Б", 24), Attendance(day("10-05"), "5А", 19)], by="a", at=1.0)
    days.attend([Attendance(day("10-05"), "4Б", 23)], by="b", at=2.0)
    assert days.attendance(day("10-05"), day("10-05")) == {(day("10-05"), "4Б"): 23, (day("10-05"), "5А"): 19}


def test_operators_have_pins_and_their_notes_a_hash(school: School):
    operators = school.store.operators
    cook = operators.named("  Ким   Вера ", at=1.0)
    assert cook == operators.named("Ким Вера", at=2.0)
    assert operators.with_pin(cook.number, "1234") is None
    operators.set_pin(cook.number, "1234")
    assert operators.with_pin(cook.number, "1234").name == "Ким Вера"
    assert operators.with_pin(cook.number, "1235") is None
    assert operators.with_pin(99, "1234") is None
    for pin in ("12", "12ab", "1" * 13):
        with pytest.raises(UsageError, match="digits"):
            operators.set_pin(cook.number, pin)
    at = datetime.datetime(2026, 10, 5, 12, 10, tzinfo=datetime.UTC)
    note = operators.note(cook, "meal", "Card forgotten", school=51_001, at=at)
    own = operators.note(cook, "reversal", "the soup was cold", school=51_001, at=at)
    assert (note.reason, note.words, note.code) == ("card-forgotten", "", 1)
    assert (own.reason, own.words, own.code) == ("other", "the soup was cold", 255)
    assert operators.notes() == {note.in_record(51_001): note, own.in_record(51_001): own}
    assert note.in_record(51_001) & 0xFFFF_FFFF == cook.number
    assert note.in_record(51_001) != note.in_record(51_002)
    for wrong in (
        lambda: operators.named("  ", at=1.0),
        lambda: operators.note(cook, "meal", " ", school=1, at=at),
        lambda: operators.note(cook, "meal", "other", school=1, at=at),
        lambda: operators.note(cook, "meal", "x" * 501, school=1, at=at),
    ):
        with pytest.raises(UsageError):
            wrong()
    assert "1234" not in school.store.path.read_bytes().decode("latin-1")


def test_the_file_that_the_site_names_is_taken_when_it_was_written_by_hand(school: School):
    school.file.write_text(HEAD + AIGERIM, "utf-8")
    first = school.store.take_file(school.file, today=day("10-01"))
    assert (first.state, first.approved_by, first.source) == ("taken", None, "roster.csv")
    assert school.store.take_file(school.file, today=day("10-02")) is None
    school.file.write_bytes((HEAD + AIGERIM).encode("utf-8-sig"))
    assert school.store.take_file(school.file, today=day("10-02")) is None, "other bytes, the same list"
    school.file.write_text(HEAD + AIGERIM + "x", "utf-8")
    with pytest.raises(RosterError, match="line 3"):
        school.store.take_file(school.file, today=day("10-02"))
    school.file.write_text(HEAD + AIGERIM + MADINA, "utf-8")
    waiting = school.store.take_file(school.file, today=day("10-03"), approval_required=True)
    assert (waiting.state, waiting.pupils) == ("proposed", 2)
    assert [one.number for one in school.store.book().on(day("10-03"))] == [1]
    assert school.store.take_file(school.file, today=day("10-03"), approval_required=True) is None
    school.file.write_text(HEAD + DANIYAR, "utf-8")
    school.store.saw_file(school.file)
    assert school.store.take_file(school.file, today=day("10-03")) is None
    school.file.unlink()
    with pytest.raises(RosterError, match="cannot be read"):
        school.store.take_file(school.file, today=day("10-03"))


def test_who_left_is_deleted_from_every_byte_of_the_file(school: School):
    folder = school.folder / "photos"
    folder.mkdir()
    Image.new("RGB", (900, 1200), "red").save(folder / "2.jpg")
    school.take(AIGERIM, DANIYAR, first="09-01")
    assert [one.problem for one in school.store.people.import_photos(folder, at=1.0)] == [None]
    assert school.store.people.with_photo() == {2}
    school.take(AIGERIM, first="10-01")
    assert school.store.people.forget(day("09-30"), at=1.0) == 0, "on 30 September he was on a list"
    raw = school.store.path.read_bytes()
    assert "Данияр".encode() in raw
    assert b"010063E9AF" in raw
    assert school.store.people.forget(day("10-01"), at=1.0) == 1
    raw = school.store.path.read_bytes()
    for gone in ("Данияр".encode(), b"010063E9AF", b"JFIF"):
        assert gone not in raw
    assert "Айгерім".encode() in raw
    assert school.store.people.names() == {1: "Айгерім Сәрсенова"}
    assert school.store.book().on(day("10-05")).find(TWO) is None
    assert [one.number for one in school.store.lists.roster(1)] == [1, 2], "the account of September stays, by numbers"


def test_photos_are_made_small_upright_and_empty_of_what_cameras_add(school: School):
    folder = school.folder / "photos"
    folder.mkdir()
    turned = Image.new("RGB", (1600, 1200), "blue")
    exif = turned.getexif()
    exif[0x0112] = 6
    exif[0x010F] = "CameraMaker"
    turned.save(folder / "1.JPG", exif=exif, format="JPEG")
    (folder / "2.png").write_bytes(b"no picture")
    Image.new("RGB", (10, 10)).save(folder / "9.png")
    Image.new("RGB", (10, 10)).save(folder / "IMG_1.jpg")
    (folder / "readme.txt").write_text("x")
    school.take(AIGERIM, DANIYAR, first="09-01")
    found = {one.file: one for one in school.store.people.import_photos(folder, at=1.0)}
    assert {name: one.problem is None for name, one in found.items()} == {
        "1.JPG": True,
        "2.png": False,
        "9.png": False,
        "IMG_1.jpg": False,
    }
    assert "no picture" in found["2.png"].problem
    assert "nobody" in found["9.png"].problem
    photo = school.store.people.photo(1)
    assert b"CameraMaker" not in photo
    kept = Image.open(__import__("io").BytesIO(photo))
    assert kept.size[0] < kept.size[1] <= PHOTO_SIZE[1]
    assert school.store.people.photo(2) is None
    with pytest.raises(RosterError, match="more than any photo"):
        read_photo(b"\0" * (31 << 20))
    with pytest.raises(RosterError, match="cannot be read"):
        school.store.people.import_photos(folder / "none", at=1.0)


def test_two_processes_write_and_read_at_once(school: School):
    school.take(AIGERIM, first="09-01")
    before = school.store.changes()
    book = school.store.book()
    with RosterStore(school.store.path) as other:
        other.cards.change(THREE, 1, "given", day=day("09-02"), by="x", at=1.0)
    assert school.store.changes() != before
    assert book.on(day("09-03")).find(THREE) is not None
    failed = []

    def give(number: int) -> None:
        try:
            with RosterStore(school.store.path) as mine:
                for last in range(10):
                    card = Card("em4100", bytes((1, 0, 0, number, last)))
                    mine.cards.change(card, 1, "given", day=day("09-02"), by="x", at=1.0)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=give, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(school.store.cards.changes()) == 41


def test_a_transaction_that_fails_leaves_nothing(school: School, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("edusense.meals.store.lists._entry", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        school.take(AIGERIM, first="09-01")
    monkeypatch.undo()
    assert school.store.lists.all() == ()
    assert school.store.people.names() == {}
    school.take(AIGERIM, first="09-01")


def test_what_is_no_roster_is_not_touched(tmp_path: Path):
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"SQLite format 3\0" + bytes(200))
    with pytest.raises(RosterStorageError, match="damaged"):
        RosterStore(garbage)
    assert garbage.read_bytes() == b"SQLite format 3\0" + bytes(200)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as base:
        base.execute("CREATE TABLE songs (name)")
    base.close()
    with pytest.raises(RosterStorageError, match="no roster"):
        RosterStore(other)
    newer = tmp_path / "newer.db"
    RosterStore(newer).close()
    with sqlite3.connect(newer) as base:
        base.execute("PRAGMA user_version = 99")
    base.close()
    with pytest.raises(RosterStorageError, match="version 99") as caught:
        RosterStore(newer)
    assert "newer" in str(caught.value.hint)
    with pytest.raises(RosterStorageError):
        RosterStore(tmp_path / "none.db", read_only=True)
    assert not (tmp_path / "none.db").exists()


def test_children_s_names_are_not_for_everybody_on_the_machine(tmp_path: Path):
    RosterStore(tmp_path / "roster.db").close()
    assert (tmp_path / "roster.db").stat().st_mode & 0o777 == 0o640 & ~current_umask()
    with RosterStore(tmp_path / "roster.db", read_only=True) as store, pytest.raises(PermissionDeniedError):
        store.days.close(Closure(day("10-01"), day("10-01")), by="x", at=1.0)


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_months():
    assert month_of("2028-02") == (datetime.date(2028, 2, 1), datetime.date(2028, 2, 29))
    with pytest.raises(UsageError, match="no month"):
        month_of("2026-13")
