"""One tap from many frames: readers repeat a card's number for as long as it lies on them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Debounce"]


class Debounce:
    """Tells a card that has just come from one that still lies there.

    A card counts as gone when nothing was heard of it for `silence_s`: an RDM6300 repeats every 50 to 65 ms and
    loses some frames of a card that is moved; a child needs longer than 300 ms to lift a card and lay it down again.
    Each card has its own silence, so a second child's card at once is a tap of its own, and two cards that a reader
    shows in turn are two taps and not a hundred.

    Args:
        silence_s: seconds without a card after which it may tap again.

    >>> debounce = Debounce(0.3)
    >>> [debounce.fresh("A", at) for at in (0.0, 0.05, 0.3, 0.7)]
    [True, False, False, True]
    """

    def __init__(self, silence_s: float = 0.3) -> None:
        self.silence_s = silence_s
        self._heard: OrderedDict[object, float] = OrderedDict()
        """When each card was heard last: the longest silent one first, so that forgetting looks at those alone."""
        self._since: dict[object, float] = {}

    def fresh(self, card: object, at: float) -> bool:
        """Whether this is a new tap. To be asked for every frame, in order.

        Args:
            card: anything hashable that identifies the card.
            at: when the frame came, in seconds of a clock that does not jump.
        """
        # Forgetting those who left keeps the table as small as the field is, for years.
        while self._heard:
            gone, heard = next(iter(self._heard.items()))
            if at - heard < self.silence_s:
                break
            del self._heard[gone]
            del self._since[gone]
        fresh = card not in self._heard
        self._hear(card, at)
        if fresh:
            self._since[card] = at
        return fresh

    def held_s(self, card: object, at: float) -> float:
        """For how many seconds a card has lain there without a break; 0 for one that does not.

        >>> debounce = Debounce(0.3)
        >>> [debounce.fresh("A", at / 10) for at in range(4)], debounce.held_s("A", 0.3)
        ([True, False, False, False], 0.3)
        """
        return at - self._since[card] if card in self._since else 0.0

    def still_there(self, cards: Iterable[object], at: float) -> None:
        """Cards of which nothing could be heard meanwhile, because the device was silent and not because they left.

        Args:
            cards: those that lay there when the device was last heard.
            at: when it is heard again.
        """
        for card in cards:
            if card in self._heard:
                self._hear(card, at)

    def _hear(self, card: object, at: float) -> None:
        self._heard[card] = at
        self._heard.move_to_end(card)
