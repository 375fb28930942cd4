"""The roster's file: every dress that schools send it in; every wrong line named, and nothing taken of a wrong file."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.devices import Card
from edusense.errors import EdusenseError, RosterError
from edusense.meals import Roster
from edusense.meals.table import COLUMNS, read_table

HEAD = ",".join(COLUMNS) + "\n"
GOOD = HEAD + (
    "1017,Айгерим А.,4Б,grade-1-4,em4100:010063E9AE 04A1B2C3D4E5F6,2026-09-01,2026-09-01,2027-05-25\n"
    '1018,"Ким, Илья",5А,large-family,9DCB4340,01.09.2026,01.09.2026,\n'
)


def written(tmp_path: Path, raw: bytes | str) -> Path:
    path = tmp_path / "roster.csv"
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return path


@pytest.mark.parametrize(
    "raw",
    [
        GOOD.encode(),
        GOOD.encode("utf-8-sig"),
        GOOD.encode("cp1251"),
        GOOD.encode("utf-16"),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace('"Ким, Илья"', "Ким| Илья").replace(",", ";").replace("|", ",").encode("cp1251"),
        b"sep=;\r\n" + GOOD.replace('"Ким, Илья"', "Ким| Илья").replace(",", ";").replace("|", ",").encode(),
        GOOD.replace('"Ким, Илья"', "Ким| Илья").replace(",", "\t").replace("|", ",").encode(),
        (GOOD + "\n,,,,,,,\n").encode(),
    ],
    ids=["utf-8", "mark", "cp1251", "utf-16", "crlf", "semicolon", "sep=", "tab", "empty lines"],
)
def test_the_same_list_in_every_dress(tmp_path, raw):
    roster = Roster.load(written(tmp_path, raw))
    assert [pupil.name for pupil in roster] == ["Айгерим А.", "Ким, Илья"]
    assert roster.version == Roster.load(written(tmp_path, GOOD)).version
    assert roster[1018].consent_date == datetime.date(2026, 9, 1)
    assert roster[1018].may_eat(datetime.date(2099, 1, 1))
    assert not roster[1017].may_eat(datetime.date(2027, 5, 26))
    assert roster.find(Card.parse("04A1B2C3D4E5F6")) is roster[1017]


def test_a_printed_number_finds_the_full_one_unless_two_end_so(tmp_path):
    roster = Roster.load(written(tmp_path, GOOD))
    assert roster.find(Card.parse("0006547886")) is roster[1017]
    assert roster.find(Card.parse("099,59822")) is roster[1017]
    doubled = GOOD + "1019,Н,5А,x,em4100:020063E9AE,,,\n"
    both = Roster.load(written(tmp_path, doubled))
    assert both.find(Card.parse("0006547886")) is None
    assert both.find(Card.parse("em4100:020063E9AE")) is both[1019]
    printed = Roster.load(written(tmp_path, HEAD + "1,Н,5А,x,0006547886,,,\n"))
    assert printed.find(Card.parse("em4100:010063E9AE")) is printed[1]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1O17,A,4,x,,,,", "line 4, column `pupil`: `1O17`, expected our number"),
        ("0,A,4,x,,,,", "line 4, column `pupil`: `0`"),
        ("140517501234,A,4,x,,,,", "never the national one"),
        ("7,,4,x,,,,", "line 4, column `name`: empty, expected a name"),
        ("7,A,,x,,,,", "line 4, column `class`"),
        ("7,A,4,x,010063E9A,,,", "line 4, column `cards`: `010063E9A`"),
        ("7,A,4,x,,2026-02-30,,", "line 4, column `consent_date`: `2026-02-30`, expected a date"),
        ("7,A,4,x,,1.9.26,,", "line 4, column `consent_date`"),
        ("7,A,4,x,,,2026-09-02,2026-09-01", "line 4, column `voucher_to`: `2026-09-01`, expected a day not before"),
        ("7,A,4,x,,,,2026-09-01", "line 4, column `voucher_from`"),
        ("1017,A,4,x,,,,", "line 2 has it too in class 4Б there and in 4 here"),
        (
            "7,A,4,x,010063E9AE,,,",
            "line 4, column `cards`: `em4100:010063E9AE`, expected a card of one pupil; pupil 1017",
        ),
        ("7,A,4,x", "line 4: expected 8 columns as in the first line, found 4"),
        ("7,A,4,x,,,,,,more", "found 10"),
        ('7,"A,4,x,,,,', "line 4: expected a line of CSV"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_taken(tmp_path, line, told):
    path = written(tmp_path, GOOD + line + "\n")
    checked = Roster.check(path)
    assert checked.roster is None
    assert told in str(checked.faults[0])
    with pytest.raises(RosterError, match=r"line \d") as caught:
        Roster.load(path)
    assert "140517501234" not in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "empty"),
        (b"a,b\n1,2\n", "no column `pupil`"),
        ((HEAD.replace("cards", "cards,cards") + "1,A,4,x,,,,,\n").encode(), "twice"),
        (GOOD.encode()[:-20] + b"\xd0\n", "line 3: byte 0xD0 is not UTF-8"),
        (b"\xef\xbb\xbf" + HEAD.encode() + b"1,\xc0,4,x,,,,\n", "line 2: byte 0xC0"),
        (HEAD.encode() + b"1,\x98\xc0,4,x,,,,\n", "line 2: byte 0x98"),
        (GOOD.encode()[:-1] + b"\0\n", "line 3: a zero byte"),
        (b"\xff\xfeabc", "UTF-16"),
    ],
)
def test_a_file_that_is_no_list_is_said(tmp_path, raw, told):
    with pytest.raises(RosterError, match=told):
        Roster.load(written(tmp_path, raw))


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(RosterError, match="cannot be read"):
        Roster.load(tmp_path / "none.csv")


def test_other_columns_are_named_and_ignored(tmp_path):
    raw = "Phone,PUPIL,name,class,category,cards,consent_date,voucher_from,voucher_to\n7,1,A,4,x,,,,\n"
    checked = Roster.check(written(tmp_path, raw))
    assert checked.ignored == ("phone",)
    assert checked.roster is not None
    assert checked.roster[1].category_number >= 0x8000


def test_what_a_new_list_changes(tmp_path):
    old = Roster.load(written(tmp_path, GOOD))
    text = GOOD.replace("5А", "6А").replace("1017,", "2017,").replace("010063E9AE", "010063E9AF")
    new = Roster.load(written(tmp_path, text))
    changes = {change.pupil: change for change in new.changes(old)}
    assert {number: change.what for number, change in changes.items()} == {
        1017: "dropped",
        1018: "changed",
        2017: "added",
    }
    assert changes[1018].fields == {"class": ("5А", "6А")}
    assert old.changes(old) == []
    assert [change.what for change in old.changes(None)] == ["added", "added"]


def test_the_list_survives_being_written(tmp_path):
    old = Roster.load(written(tmp_path, GOOD))
    again = Roster.load(written(tmp_path, old.to_csv()))
    assert again.changes(old) == []
    assert again.version == old.version


@given(st.binary(max_size=400))
def test_no_bytes_from_outside_break_the_reader(raw):
    for tried in (raw, HEAD.encode() + raw):
        try:
            read_table(tried)
        except EdusenseError as error:
            assert error.code == "roster"  # noqa: PT017 - anything else is a failure by itself
