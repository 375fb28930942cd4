"""Whose a card is: by its kind and all its bytes, by what is printed on it, and told where that fits several pupils."""

from __future__ import annotations

from pathlib import Path

import pytest

from edusense.devices import Card
from edusense.meals import Roster
from edusense.meals.identify import identify

HEAD = "pupil,name,class,category,cards,consent_date,voucher_from,voucher_to\n"


def roster_of(folder: Path, *cards: str) -> Roster:
    path = folder / "roster.csv"
    lines = [f"{1001 + place},Pupil {place},1A,7,{told},,,\n" for place, told in enumerate(cards)]
    path.write_text(HEAD + "".join(lines), "utf-8")
    checked = Roster.check(path)
    assert checked.roster is not None, [str(fault) for fault in checked.faults]
    return checked.roster


def faults_of(folder: Path, *cards: str) -> list[str]:
    path = folder / "roster.csv"
    lines = [f"{1001 + place},Pupil {place},1A,7,{told},,,\n" for place, told in enumerate(cards)]
    path.write_text(HEAD + "".join(lines), "utf-8")
    return [str(fault) for fault in Roster.check(path).faults]


def number(roster: Roster, text: str) -> int | None:
    pupil = roster.find(Card.parse(text))
    return None if pupil is None else pupil.number


def test_the_same_bytes_as_another_kind_of_card_are_another_card(tmp_path: Path) -> None:
    roster = roster_of(tmp_path, "iso14443a:0063E9AE", "iso14443b:9DCB4340")
    # Printed on an EM4100 tag stands 0006547886, which is 0063E9AE in hex: not the first pupil's card.
    assert number(roster, "0006547886") is None
    assert number(roster, "iso14443a:9DCB4340") is None
    assert number(roster, "iso14443b:9DCB4340") == 1002


def test_a_card_enrolled_at_one_reader_is_the_same_child_at_another(tmp_path: Path) -> None:
    roster = roster_of(tmp_path, "010063E9AE", "0456463AAC2280")
    # RDM6300, a keyboard that types ten digits, a Wiegand line of 26 and of 34 bits.
    for text in ("em4100:010063E9AE", "0006547886", "wiegand26:099,59822", "wiegand34:0063E9AE"):
        assert number(roster, text) == 1001, text
    # An ACR122U, and an IronLogic reader that rotates what it prints.
    for text in ("mifare-ultralight:0456463AAC2280", "Mifare[3AAC2280045646]  (0142,20) 004,22086"):
        assert number(roster, text) == 1002, text


def test_a_number_that_fits_several_pupils_finds_none_of_them(tmp_path: Path) -> None:
    roster = roster_of(tmp_path, "em4100:010063E9AE", "em4100:020063E9AE")
    assert number(roster, "0006547886") is None
    assert [pupil.number for pupil in roster.candidates(Card.parse("0006547886"))] == [1001, 1002]
    pupil, refusal = identify(roster, Card.parse("0006547886"))
    assert pupil is None
    assert refusal is not None
    assert refusal.reason == "unknown-card"
    assert "fits the cards of 2 pupils" in refusal.sentence.text()
    assert number(roster, "020063E9AE") == 1002
    (told,) = roster.printed_alike()
    assert "0006547886" in told


def test_the_same_digits_on_two_kinds_of_cards_are_told(tmp_path: Path) -> None:
    (told,) = roster_of(tmp_path, "em4100:010063E9AE", "iso14443a:0063E9AE").printed_alike()
    assert "pupil 1001" in told
    assert "iso14443a:0063E9AE of pupil 1002" in told


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        (
            ("010063E9AE", "em4100:010063E9AE"),
            "line 3, column `cards`: `em4100:010063E9AE`, expected a card of one pupil",
        ),
        (("010063E9AE", "0006547886"), "pupil 1001 in line 2 has a card that ends so: write all of its digits"),
        (("0006547886", "010063E9AE"), "line 2, column `cards`: `em4100:0063E9AE`"),
        (("iso14443a:0804FB0E",), "drawn anew at each reading"),
        (("token:EW-1",), "what a bar code says"),
    ],
)
def test_conflicts_and_what_is_no_identity_are_named(tmp_path: Path, cards: tuple[str, ...], expected: str) -> None:
    (told,) = faults_of(tmp_path, *cards)
    assert expected in told


def test_a_child_may_have_several_cards_and_one_of_them_twice(tmp_path: Path) -> None:
    roster = roster_of(tmp_path, "010063E9AE em4100:010063E9AE 9DCB4340")
    assert len(roster.pupils[0].cards) == 2


@pytest.mark.parametrize(
    ("card", "told"),
    [
        ("iso14443a:0804FB0E", "drawn anew"),
        ("token:EW-2026-000017", "the code `EW-2026-000017` is no voucher"),
        ("token:" + "x" * 300, "…` is no voucher"),
        ("em4100:0000000001", "nobody has the card"),
    ],
)
def test_what_identifies_nobody_says_so_in_every_language(tmp_path: Path, card: str, told: str) -> None:
    pupil, refusal = identify(roster_of(tmp_path, "010063E9AE"), Card.parse(card))
    assert pupil is None
    assert refusal is not None
    assert told in refusal.sentence.text("en")
    assert all(refusal.sentence.to_json().values())


def test_a_persons_number_from_another_terminal(tmp_path: Path) -> None:
    roster = roster_of(tmp_path, "person:palm-42", "010063E9AE")
    assert number(roster, "person:palm-42") == 1001
    assert number(roster, "person:1002") is None
    assert number(roster, "pupil:1002") == 1002
    assert number(roster, "pupil:9999") is None
