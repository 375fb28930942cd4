"""What happened to cards between two lists: given, lost, blocked, found again, returned."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from edusense.devices import Card
from edusense.errors import UsageError
from edusense.meals.pupil import CardMark

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edusense.meals.store.schema import Database

__all__ = ["CARD_CHANGES", "CardChange", "Cards", "cards_on"]

CARD_CHANGES: Final = ("given", "lost", "blocked", "found", "returned")
"""What can happen to a card."""

_STATES: Final = {"lost": "lost", "blocked": "blocked", "returned": "replaced"}


@dataclass(frozen=True)
class CardChange:
    """Something that happened to a card."""

    card: Card
    pupil: int
    what: str
    """One of `CARD_CHANGES`."""
    day: datetime.date
    """From this day on."""
    note: str | None
    made_at: float
    made_by: str

    SELECT: ClassVar[str] = "SELECT card, pupil, what, day, note, made_at, made_by FROM card_changes"

    @classmethod
    def of(cls, row: Any) -> CardChange:
        """A row of the database."""
        card, pupil, what, day, note, made_at, made_by = row
        return cls(Card.parse(card), pupil, what, datetime.date.fromisoformat(day), note, made_at, made_by)

    def to_json(self) -> dict[str, Any]:
        """The change as `edusense roster cards --json` prints it."""
        return {
            "card": str(self.card),
            "pupil": self.pupil,
            "what": self.what,
            "day": self.day.isoformat(),
            "note": self.note,
            "made_by": self.made_by,
            "made_s": self.made_at,
        }


class Cards:
    """The cards of a roster's database.

    Args:
        database: the roster's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def change(
        self, card: Card, pupil: int, what: str, *, day: datetime.date, by: str, at: float, note: str | None = None
    ) -> CardChange:
        """Notes what happened to a card.

        Args:
            card: the card, with its whole number.
            pupil: whose it is.
            what: one of `CARD_CHANGES`.
            day: from when on.
            by: who says so.
            at: when, Unix seconds.
            note: more words.

        Raises:
            UsageError: only a part of the card's number is known, or it is no such change.
        """
        if what not in CARD_CHANGES:
            raise UsageError(f"`{what}` is nothing that happens to a card", hint=f"one of {', '.join(CARD_CHANGES)}")
        if card.partial or card.random_id:
            raise UsageError(
                f"`{card}` is {'a part of a number' if card.partial else 'a number drawn anew at each reading'}",
                hint="hold the card to a reader: `edusense reader listen` prints its whole number",
            )
        self._database.write(
            "INSERT INTO card_changes (card, pupil, what, day, note, made_at, made_by) VALUES (?, ?, ?, ?, ?, ?, ?)",
            str(card),
            pupil,
            what,
            day.isoformat(),
            note,
            at,
            by,
        )
        return CardChange(card, pupil, what, day, note, at, by)

    def changes(self, pupil: int | None = None) -> list[CardChange]:
        """What happened to cards, the oldest first.

        Args:
            pupil: only those of this one.
        """
        where = "" if pupil is None else "WHERE pupil = ?"
        rows = self._database.rows(f"{CardChange.SELECT} {where} ORDER BY id", *(() if pupil is None else (pupil,)))
        return [CardChange.of(row) for row in rows]


def cards_on(
    day: datetime.date, listed: Mapping[Card, int], listed_at: float, changes: Iterable[CardChange]
) -> tuple[dict[Card, int], dict[Card, CardMark]]:
    """What holds on a day: who has which card, and which cards are no longer good for anything.

    A card given by hand stays with its pupil, whether lists name it or not, until it is returned, given to another,
    or listed for another by a newer list. A card that was lost or blocked stays so until it is found, whatever lists
    say: they are often made from older papers.

    Args:
        day: the day.
        listed: whose each card is by the list in force.
        listed_at: when that list was taken, Unix seconds.
        changes: what happened to cards, in its order.
    """
    holders = dict(listed)
    marks: dict[Card, CardMark] = {}
    for change in changes:
        if change.day > day:
            continue
        overruled = change.made_at < listed_at and change.card in listed
        match change.what:
            case "given":
                marks.pop(change.card, None)
                if not overruled:
                    holders[change.card] = change.pupil
            case "found":
                marks.pop(change.card, None)
            case "returned" if overruled:
                pass
            case _:
                marks[change.card] = CardMark(change.card, change.pupil, _STATES[change.what], change.day)
    return {card: pupil for card, pupil in holders.items() if card not in marks}, marks
