"""Enrolment: whose card it is, what is refused, and the file in which only the column of cards changes."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

import pytest

from edusense.devices import Card
from edusense.errors import RosterError, UsageError
from edusense.meals import Roster
from edusense.meals.enrolment import Enrolment, Step
from edusense.meals.list_file import replace_file, with_cards
from edusense.meals.pupil import CardMark, Pupil

FIRST, SECOND, THIRD = (Card.parse(f"em4100:{number}") for number in ("010063E9AE", "3C00CE754C", "4500C5D1E9"))


class Paper:
    """Keeps what it is told, unless it is full."""

    def __init__(self) -> None:
        self.cards: dict[int, list[str]] = {}
        self.full = False

    def keep(self, pupil: int, before: Sequence[Card], after: Sequence[Card]) -> None:
        if self.full:
            raise RosterError("the disk is full")
        self.cards[pupil] = [str(card) for card in after]


def pupil(number: int, name: str, form: str, *cards: Card) -> Pupil:
    return Pupil(number, name, form, "", cards, None, None, None)


ROSTER = Roster(
    [
        pupil(1, "Айгерім Әуезова", "4Б"),
        pupil(2, "Данияр Оспанов", "4Б"),
        pupil(3, "Айша Ким", "5А", THIRD),
        pupil(4, "Тимур Ли", "5А", Card.parse("0013530444")),
    ]
)


@pytest.fixture
def paper() -> Paper:
    return Paper()


@pytest.fixture
def work(paper: Paper) -> Enrolment:
    return Enrolment(ROSTER, paper)


def due(work: Enrolment) -> int | None:
    return None if work.current is None else work.current.number


def test_card_after_card_to_child_after_child(work: Enrolment, paper: Paper) -> None:
    assert (due(work), work.left) == (1, 2)
    assert work.lay(FIRST).what == "enrolled"
    assert due(work) == 2
    assert work.lay(Card.parse("iso14443a:9DCB4340")).text == "iso14443a:9DCB4340 is now that of 2 Данияр Оспанов 4Б"
    assert (due(work), work.left, work.enrolled) == (None, 0, 2)
    assert paper.cards == {1: ["em4100:010063E9AE"], 2: ["iso14443a:9DCB4340"]}
    step = work.lay(Card.parse("em4100:0C000621A5"))
    assert (step.what, step.hint) == ("refused", "choose a child by its number")


def test_undo_makes_the_child_due_again(work: Enrolment, paper: Paper) -> None:
    assert work.undo().text == "there is nothing to undo"
    work.lay(FIRST)
    work.skip()
    step = work.undo()
    assert (step.what, step.pupil) == ("undone", ROSTER[1])
    assert (due(work), work.left) == (1, 2)
    assert paper.cards == {1: []}
    work.choose(2)
    assert work.lay(FIRST).what == "enrolled"  # it is nobody's again
    assert paper.cards == {1: [], 2: ["em4100:010063E9AE"]}


def test_conflicts_are_said_at_once_by_name(work: Enrolment, paper: Paper) -> None:
    step = work.lay(THIRD)
    assert (step.what, step.text, step.others) == ("refused", "em4100:4500C5D1E9 is that of 3 Айша Ким 5А", (3,))
    part = work.lay(SECOND)
    assert part.what == "refused"
    assert part.text == (
        "em4100:3C00CE754C may be that of 4 Тимур Ли 5А: em4100:00CE754C is listed, a part of a number"
    )
    assert part.hint == "lay their card on the reader first: type 4"
    work.lay(FIRST)
    step = work.lay(FIRST)  # it still lies there
    assert (step.what, step.others) == ("refused", (1,))
    assert due(work) == 2
    assert paper.cards == {1: ["em4100:010063E9AE"]}


def test_a_whole_number_takes_the_place_of_its_printed_part(work: Enrolment, paper: Paper) -> None:
    work.choose(4)
    assert work.lay(SECOND).what == "enrolled"
    assert paper.cards == {4: ["em4100:3C00CE754C"]}


def test_what_is_nobodys_for_ever_is_refused(work: Enrolment) -> None:
    random = work.lay(Card.parse("iso14443a:0804FB0E"))
    assert (random.what, random.hint) == (
        "refused",
        "it is a telephone, or a card set to privacy: give the child a card of its own",
    )
    assert work.lay(Card("token", b"EW-1")).what == "refused"
    assert due(work) == 1


def test_a_lost_card_is_not_given(paper: Paper) -> None:
    roster = Roster(ROSTER.pupils, marks=[CardMark(FIRST, 3, "lost", datetime.date(2026, 9, 1))])
    step = Enrolment(roster, paper).lay(FIRST)
    assert step.what == "refused"
    assert step.text == "em4100:010063E9AE is lost, since 2026-09-01; it was that of 3 Айша Ким 5А"
    assert step.hint == "edusense roster card found em4100:010063E9AE"


def test_cards_that_print_alike_are_noted(work: Enrolment) -> None:
    work.lay(FIRST)
    step = work.lay(Card.parse("em4100:020063E9AE"))
    assert step.what == "enrolled"
    assert step.hint is not None
    assert step.hint.startswith("0006547886 is printed on the card of 1 Айгерім Әуезова 4Б too")


def test_a_disk_that_is_full_gives_nobody_a_card(work: Enrolment, paper: Paper) -> None:
    paper.full = True
    with pytest.raises(RosterError):
        work.lay(FIRST)
    paper.full = False
    assert due(work) == 1
    assert work.lay(FIRST).what == "enrolled"
    paper.full = True
    with pytest.raises(RosterError):
        work.undo()
    assert work.cards[1] == (FIRST,)


@pytest.mark.parametrize("text", ["2", "pupil:2", "данияр", " Оспанов "])
def test_a_line_chooses_a_child(work: Enrolment, text: str) -> None:
    assert work.typed(text) == ROSTER[2]
    assert due(work) == 2
    assert work.left == 2


def test_a_line_may_be_a_cards_number(work: Enrolment, paper: Paper) -> None:
    step = work.typed("em4100:010063E9AE")
    assert isinstance(step, Step)
    assert step.what == "enrolled"
    assert paper.cards == {1: ["em4100:010063E9AE"]}
    step = work.typed("0006547886")  # printed on EM4100 tags; some readers write a UID so
    assert isinstance(step, Step)
    assert (step.what, step.text) == ("refused", "`0006547886` may be several cards")
    assert step.hint is not None
    assert "em4100:0063E9AE" in step.hint


def test_a_line_that_means_nothing_or_several_children(work: Enrolment) -> None:
    step = work.typed("ай")
    assert isinstance(step, Step)
    assert (step.text, step.hint) == ("`ай` stands in 2 names", "1 Айгерім Әуезова 4Б, 3 Айша Ким 5А")
    step = work.typed("17")
    assert isinstance(step, Step)
    assert step.text == "`17` is no child of the list and no card"
    with pytest.raises(UsageError):
        work.choose(17)


def test_a_class_everybody_and_new_cards_for_old(paper: Paper) -> None:
    with pytest.raises(UsageError) as caught:
        Enrolment(ROSTER, paper, form="6В")
    assert caught.value.hint == "its classes: 4Б, 5А"
    assert Enrolment(ROSTER, paper, form="5а").left == 0
    work = Enrolment(ROSTER, paper, form="5 А", everybody=True, replace=True)
    assert (due(work), work.left) == (3, 2)
    work.lay(FIRST)
    assert paper.cards == {3: ["em4100:010063E9AE"]}
    work.choose(1)
    assert work.lay(THIRD).what == "enrolled"  # it was taken from its child
    work.undo()
    work.undo()
    assert paper.cards[3] == ["em4100:4500C5D1E9"]


TEXT = (
    "house;pupil;name;class;category;cards;consent_date;voucher_from;voucher_to\r\n"
    'green;1;"Айгерім; Ә.";4Б;;;;;\r\n\r\nred;2;Данияр;4Б;;0013530444;;;\r\n'
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1251"])
@pytest.mark.parametrize("separator", ["", "sep=;\r\n"])
def test_only_the_column_of_cards_changes(tmp_path: Path, encoding: str, separator: str) -> None:
    text = TEXT if encoding != "cp1251" else TEXT.replace("Айгерім; Ә.", "Айгерим; А.")
    raw = (separator + text).encode(encoding)
    assert with_cards(raw, {}) == raw
    changed = with_cards(raw, {1: [FIRST, SECOND], 2: []})
    path = tmp_path / "list.csv"
    replace_file(path, changed)
    roster = Roster.load(path)
    assert [roster[1].cards, roster[2].cards] == [(FIRST, SECOND), ()]
    assert changed.decode(encoding).replace("em4100:010063E9AE em4100:3C00CE754C", "") == (
        separator + text.replace("0013530444", "")
    )
