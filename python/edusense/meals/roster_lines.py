"""From the lines of a roster's file to pupils, and everything that is wrong with them."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

from edusense.devices import Card, CardIndex
from edusense.meals.pupil import Pupil

if TYPE_CHECKING:
    from edusense.devices import CardId
    from edusense.meals.table import Fault, Line, Table

__all__ = ["read_date", "read_pupils"]


def read_pupils(table: Table) -> tuple[list[Pupil], list[Fault]]:
    """The pupils of a file, and its faults in the order of the lines; with a fault nothing of it is to be taken.

    Args:
        table: the file's rows.
    """
    pupils: list[Pupil] = []
    faults = list(table.faults)
    numbers: dict[int, Line] = {}
    cards: CardIndex[str] = CardIndex()
    places: dict[tuple[str, CardId], Line] = {}
    for line in table.lines:
        pupil, found = _pupil(line)
        faults += found
        if pupil is None:
            continue
        if (other := numbers.setdefault(pupil.number, line)) is not line:
            classes = (
                f"in class {other['class']} there and in {line['class']} here"
                if other["class"] != line["class"]
                else ""
            )
            faults.append(
                line.fault("pupil", f"a number that occurs once; line {other.number} has it too {classes}".rstrip())
            )
        for card in pupil.cards:
            cards.add(card, line["pupil"])
            places.setdefault((line["pupil"], card), line)
        pupils.append(pupil)
    faults += _conflicts(cards, places)
    return pupils, sorted(faults, key=lambda fault: fault.line)


def _conflicts(cards: CardIndex[str], places: dict[tuple[str, CardId], Line]) -> list[Fault]:
    """Cards that several pupils have, or that may be another pupil's because only a part of their number is listed."""
    found = []
    for card, owners in cards.conflicts():
        # The fault stands where the card is given the second time; a part of a number where it is listed.
        here = [owner for owner in owners if (owner, card) in places]
        first, *others = here if len(here) > 1 else [next(owner for owner in owners if owner not in here), *here]
        for owner in others:
            line = places[owner, card]
            other = next(place for (number, _), place in places.items() if number == first)
            what = "has it too" if len(here) > 1 else "has a card that ends so: write all of its digits"
            expected = f"a card of one pupil; pupil {first} in line {other.number} {what}"
            found.append(line.fault("cards", expected, str(card)))
    return found


def _pupil(line: Line) -> tuple[Pupil | None, list[Fault]]:
    faults: list[Fault] = []

    def date(column: str) -> datetime.date | None:
        try:
            return read_date(line[column])
        except ValueError:
            faults.append(line.fault(column, "a date, such as 2026-09-01 or 01.09.2026, or nothing"))
            return None

    number = 0
    text = line["pupil"]
    if _looks_national(text):
        # Not even in an error: the message goes into logs.
        faults.append(line.fault("pupil", "our own number of the pupil, never the national one (IIN)", f"{text[:2]}…"))
    elif not text.isascii() or not text.isdecimal() or not 0 < int(text) < 2**63:
        faults.append(line.fault("pupil", "our number of the pupil, a whole number from 1"))
    else:
        number = int(text)
    for column, expected in (("name", "a name"), ("class", "a class, such as 4Б")):
        if not line[column]:
            faults.append(line.fault(column, expected))
    cards = []
    for word in line["cards"].split():
        try:
            card = Card.parse(word)
            card.refuse_as_identity()
            cards.append(card)
        except ValueError as error:
            faults.append(line.fault("cards", f"cards, separated by spaces ({error})", word))
    consent, begin, end = date("consent_date"), date("voucher_from"), date("voucher_to")
    if begin is not None and end is not None and end < begin:
        faults.append(line.fault("voucher_to", f"a day not before voucher_from, {begin.isoformat()}"))
    if begin is None and end is not None and not any(fault.column == "voucher_from" for fault in faults):
        faults.append(line.fault("voucher_from", "the first day of the voucher that voucher_to ends"))
    shift = _whole(line, "shift", 9, "a shift, 1 to 9, or nothing", faults)
    school = _whole(line, "school", 2**32 - 1, "the national number of a school, or nothing", faults)
    allergens = tuple(dict.fromkeys(word.strip() for word in re.split("[;,/]", line["allergens"]) if word.strip()))
    if faults:
        return None, faults
    unique = tuple(dict.fromkeys(cards))
    name, form, category = line["name"], line["class"], line["category"]
    return Pupil(number, name, form, category, unique, consent, begin, end, shift, allergens, school), []


def _whole(line: Line, column: str, most: int, expected: str, faults: list[Fault]) -> int | None:
    text = line[column]
    if not text:
        return None
    if text.isascii() and text.isdecimal() and 0 < int(text) <= most:
        return int(text)
    faults.append(line.fault(column, expected))
    return None


def read_date(text: str) -> datetime.date | None:
    """A date as programs and as people here write it; None for nothing.

    Args:
        text: `2026-09-01` or `01.09.2026`.

    Raises:
        ValueError: it is no date.

    >>> read_date("01.09.2026") == read_date("2026-09-01")
    True
    """
    if not text:
        return None
    if text.count(".") == 2:
        day, month, year = text.split(".")
        if len(year) != 4:
            raise ValueError(text)
        return datetime.date(int(year), int(month), int(day))
    return datetime.date.fromisoformat(text)


def _looks_national(text: str) -> bool:
    """Whether a number is an IIN: 12 digits that begin with a date of birth.

    >>> _looks_national("140517501234"), _looks_national("1017")
    (True, False)
    """
    if len(text) != 12 or not (text.isascii() and text.isdecimal()):
        return False
    return 1 <= int(text[2:4]) <= 12 and 1 <= int(text[4:6]) <= 31
