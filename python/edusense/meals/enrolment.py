"""Enrolment: card after card to child after child, where a conflict is said at once and the last step can be undone."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from edusense.devices import Card, CardId, CardIndex, readings
from edusense.errors import CardError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edusense.meals.pupil import Pupil
    from edusense.meals.roster import Roster

__all__ = ["Enrolment", "Keeper", "Step"]


class Keeper(Protocol):
    """Where the cards are written down."""

    def keep(self, pupil: int, before: Sequence[Card], after: Sequence[Card]) -> None:
        """Writes a pupil's cards down; what it raises leaves everything as it was."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """What became of a card, or of a word.

    Args:
        what: `enrolled`; `undone`; `refused`, and nothing has changed.
        pupil: whose it is about; None where no child was due.
        card: the card; None where none was read.
        text: what happened, in words.
        hint: what to do about it.
        others: pupils whose card it is, or may be.
    """

    what: Literal["enrolled", "undone", "refused"]
    pupil: Pupil | None
    card: CardId | None
    text: str
    hint: str | None = None
    others: tuple[int, ...] = ()


class Enrolment:
    """Who is due, and what the next card means.

    Args:
        roster: everybody, whose cards it must not be.
        keeper: where cards are written down.
        form: only this class is due.
        everybody: whether those are due as well who have a card.
        replace: whether a new card takes the place of those that a child has.

    Raises:
        UsageError: the roster has no such class.
    """

    def __init__(
        self,
        roster: Roster,
        keeper: Keeper,
        *,
        form: str | None = None,
        everybody: bool = False,
        replace: bool = False,
    ) -> None:
        self._roster, self._keeper, self._replace = roster, keeper, replace
        self._cards: dict[int, tuple[Card, ...]] = {pupil.number: pupil.cards for pupil in roster}
        self._owners: CardIndex[int] = CardIndex()
        for pupil in roster:
            for card in pupil.cards:
                self._owners.add(card, pupil.number)
        wanted = [pupil for pupil in roster if form is None or _same(pupil.form, form)]
        if form is not None and not wanted:
            forms = ", ".join(sorted({pupil.form for pupil in roster}))
            raise UsageError(f"nobody of the class `{form}` is on the list", hint=f"its classes: {forms or 'none'}")
        self._due = [pupil.number for pupil in wanted if everybody or not pupil.cards]
        self._done: list[tuple[int, tuple[Card, ...], CardId, list[int]]] = []

    @property
    def current(self) -> Pupil | None:
        """The child whose card is laid down next."""
        return self._roster[self._due[0]] if self._due else None

    @property
    def due(self) -> list[Pupil]:
        """Who is due, the current child first."""
        return [self._roster[number] for number in self._due]

    @property
    def left(self) -> int:
        """How many children are due, with the current one."""
        return len(self._due)

    @property
    def enrolled(self) -> int:
        """How many cards were given, without those that were taken back."""
        return len(self._done)

    @property
    def cards(self) -> Mapping[int, tuple[Card, ...]]:
        """Everybody's cards as they are now."""
        return self._cards

    def choose(self, number: int) -> Pupil:
        """Makes a child the next one; who was due stays so, after it.

        Raises:
            UsageError: the roster does not have that number.
        """
        if number not in self._roster:
            raise UsageError(f"pupil {number} is not on the list", hint="`edusense roster show` lists them")
        self._due = [number, *(other for other in self._due if other != number)]
        return self._roster[number]

    def skip(self) -> None:
        """Puts the current child at the end."""
        if self._due:
            self._due.append(self._due.pop(0))

    def find(self, name: str) -> list[Pupil]:
        """Children in whose name a text stands, in small letters or large."""
        wanted = _folded(name)
        return [pupil for pupil in self._roster if wanted and wanted in _folded(pupil.name)]

    def lay(self, card: CardId) -> Step:
        """Gives a card that was read to the child that is due, unless it is another's or nobody's.

        Args:
            card: as read, or as printed on it.
        """
        pupil = self.current
        try:
            card.refuse_as_identity()
        except CardError as error:
            return Step("refused", pupil, card, error.message, error.hint)
        owners = self._owners.find(card)
        others = tuple(owner for owner in owners if pupil is None or owner != pupil.number)
        if others:
            return self._of_others(pupil, card, others)
        if pupil is None:
            return Step("refused", None, card, f"{card} is nobody's, and nobody is due", "choose a child by its number")
        mark = next((mark for mark in self._roster.marks if mark.card.matches(card)), None)
        if mark is not None and mark.state != "replaced":
            text = f"{card} is {mark.state}, since {mark.since}; it was that of {self._who(mark.pupil)}"
            hint = f"edusense roster card found {mark.card}"
            return Step("refused", pupil, card, text, hint, (mark.pupil,))
        before = self._cards[pupil.number]
        if card in before and not card.partial:
            self._due.pop(0)
            return Step("enrolled", pupil, card, f"{card} is already that of {self._who(pupil.number)}")
        kept = () if self._replace else tuple(own for own in before if not own.matches(card))
        listed = Card(card.technology, card.uid, product=card.product, assurance=getattr(card, "assurance", "printed"))
        due = list(self._due)
        self._set(pupil.number, (*kept, listed))
        self._done.append((pupil.number, before, card, due))
        self._due.pop(0)
        alike = self._printed_alike(card, pupil.number)
        return Step("enrolled", pupil, card, f"{card} is now that of {self._who(pupil.number)}", alike)

    def typed(self, text: str) -> Step | Pupil:
        """What a line means that somebody typed, or a scanner read off a paper list: a child, or a card's number.

        Args:
            text: our number of a child on the list, a part of its name, or a card's number.

        Returns:
            The child that is due now, or what became of the card.
        """
        text = text.strip()
        digits = text.removeprefix("pupil:")
        if digits.isascii() and digits.isdecimal() and not digits.startswith("0") and int(digits) in self._roster:
            return self.choose(int(digits))
        try:
            found = readings(text)
        except CardError as error:
            named = self.find(text)
            if len(named) == 1:
                return self.choose(named[0].number)
            if named:
                some = ", ".join(f"{pupil.number} {pupil.name} {pupil.form}".strip() for pupil in named[:8])
                hint = some + (f" and {len(named) - 8} more" if len(named) > 8 else "")
                return Step("refused", self.current, None, f"`{text}` stands in {len(named)} names", hint)
            told = f"`{text[:64]}` is no child of the list and no card"
            return Step("refused", self.current, None, told, error.hint)
        if len(found) > 1:
            kinds = " or ".join(f"`{card}`" for card in found)
            told = f"`{text}` may be several cards"
            return Step("refused", self.current, None, told, f"lay the card on the reader, or write {kinds}")
        return self.lay(found[0])

    def undo(self) -> Step:
        """Takes the last card back; its child is due again."""
        if not self._done:
            return Step("refused", self.current, None, "there is nothing to undo")
        number, before, card, due = self._done[-1]
        self._set(number, before)
        self._done.pop()
        self._due = due
        return Step("undone", self._roster[number], card, f"{card} is no longer that of {self._who(number)}")

    def _set(self, number: int, after: tuple[Card, ...]) -> None:
        before = self._cards[number]
        self._keeper.keep(number, before, after)
        for card in before:
            self._owners.remove(card, number)
        self._cards[number] = after
        for card in after:
            self._owners.add(card, number)

    def _of_others(self, pupil: Pupil | None, card: CardId, others: tuple[int, ...]) -> Step:
        whose = " and ".join(self._who(number) for number in others)
        exact = any(card in self._cards[number] for number in others)
        if exact:
            text, hint = f"{card} is that of {whose}", "another card, or `undo` where that one was wrong"
        else:
            listed = next(own for own in self._cards[others[0]] if own.matches(card))
            text = f"{card} may be that of {whose}: {listed} is listed, a part of a number"
            hint = f"lay their card on the reader first: type {others[0]}"
        return Step("refused", pupil, card, text, hint, others)

    def _printed_alike(self, card: CardId, number: int) -> str | None:
        """What a reader that types printed digits cannot tell apart from now on."""
        for digits, cards in self._owners.printed_alike():
            if card in cards:
                others = " and ".join(self._who(owner) for owner in dict.fromkeys(cards.values()) if owner != number)
                return f"{digits} is printed on the card of {others} too: a reader that types it finds neither"
        return None

    def _who(self, number: int) -> str:
        pupil = self._roster.anyone(number)
        return (
            str(number) if pupil is None else " ".join(part for part in (str(number), pupil.name, pupil.form) if part)
        )


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _same(left: str, right: str) -> bool:
    return "".join(_folded(left).split()) == "".join(_folded(right).split())
