"""Whose card is it: owners by their cards, where a printed number finds the full one and an ambiguity stays one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

from edusense.devices.card_forms import forms

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from edusense.devices.card import CardId

__all__ = ["CardIndex"]

Owner = TypeVar("Owner", bound="Hashable")

_TAILS: Final = (4, 3)
_PRINTED_FORMS: Final = ("decimal", "decimal-reversed")


class CardIndex(Generic[Owner]):
    """Owners by their cards.

    >>> from edusense.devices import CardId
    >>> index = CardIndex()
    >>> index.add(CardId.parse("em4100:010063E9AE"), "Aigerim")
    >>> index.find(CardId.parse("099,59822"))
    ('Aigerim',)
    >>> index.add(CardId.parse("em4100:020063E9AE"), "Daniyar")
    >>> index.find(CardId.parse("099,59822"))  # on both cards the same is printed: nobody chooses
    ('Aigerim', 'Daniyar')
    """

    def __init__(self) -> None:
        self._exact: dict[CardId, dict[Owner, None]] = {}
        self._tails: dict[bytes, dict[Owner, None]] = {}
        self._printed: dict[str, dict[CardId, Owner]] = {}

    def add(self, card: CardId, owner: Owner) -> None:
        """Gives a card to an owner; it may have others."""
        self._exact.setdefault(card, {})[owner] = None
        if card.technology == "em4100" or card.technology in ("wiegand26", "wiegand34"):
            for length in _TAILS:
                if len(card.uid) >= length:
                    self._tails.setdefault(card.uid[-length:], {})[owner] = None
        written = forms(card)
        for form in _PRINTED_FORMS:
            if form in written:
                self._printed.setdefault(written[form], {})[card] = owner

    def remove(self, card: CardId, owner: Owner) -> None:
        """Takes a card back; one that was not given is no error."""
        self._exact.get(card, {}).pop(owner, None)
        others = {other for cards in [self._cards_of(owner)] for other in cards}
        for length in _TAILS:
            tail = card.uid[-length:]
            if not any(other.uid[-length:] == tail for other in others):
                self._tails.get(tail, {}).pop(owner, None)
        for found in self._printed.values():
            found.pop(card, None)

    def find(self, card: CardId) -> tuple[Owner, ...]:
        """Everybody whose card this may be: one owner is an answer, several are an ambiguity to be told.

        Args:
            card: as read in full, or the part of it that is printed or that a Wiegand line carries.
        """
        exact = self._exact.get(card)
        if exact and not card.partial:
            return tuple(exact)
        if card.technology == "em4100" or card.technology in ("wiegand26", "wiegand34"):
            if card.partial:
                return tuple(self._tails.get(card.uid, exact or {}))
            # The list may hold only what is printed on the card that was read in full.
            for length in _TAILS:
                listed = self._exact.get(type(card)("em4100", card.uid[-length:]))
                if listed:
                    return tuple(listed)
        return tuple(exact or ())

    def printed_alike(self) -> Iterator[tuple[str, dict[CardId, Owner]]]:
        """Ten digits that are printed on cards of several owners, with those cards: a reader that types only these
        digits cannot tell them apart. The same digits on two kinds of cards count too.
        """
        for digits, cards in self._printed.items():
            if len(set(cards.values())) > 1:
                yield digits, dict(cards)

    def conflicts(self) -> Iterator[tuple[CardId, tuple[Owner, ...]]]:
        """Cards that several owners have, or that may be another owner's: each with all of them."""
        for card, owners in self._exact.items():
            everybody = tuple(dict.fromkeys([*owners, *self.find(card)]))
            if owners and len(everybody) > 1:
                yield card, everybody

    def _cards_of(self, owner: Owner) -> list[CardId]:
        return [card for card, owners in self._exact.items() if owner in owners]
