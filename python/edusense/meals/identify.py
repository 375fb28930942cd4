"""Whose a card is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edusense.meals.rules import Refusal
from edusense.meals.tokens import check_token
from edusense.meals.words import Sentence

if TYPE_CHECKING:
    from edusense.devices import Card
    from edusense.meals.pupil import Pupil
    from edusense.meals.roster import Roster

__all__ = ["identify"]


def identify(roster: Roster | None, card: Card) -> tuple[Pupil | None, Refusal | None]:
    """Whose a card is, and why it is no good where it is known and no good.

    Args:
        roster: who is known; None: nobody.
        card: as read, or as typed from what is printed on it.

    Returns:
        Its holder and None; or a refusal, with the holder of a card that was lost, blocked or replaced.

    >>> from edusense.devices import Card
    >>> identify(None, Card.parse("010063E9AE"))[1].sentence.text()
    'nobody has the card em4100:010063E9AE'
    """
    if roster is None:
        return None, Refusal("unknown-card", Sentence("nobody", {"card": card}))
    if card.technology == "token":
        return None, check_token(card)
    if card.random_id:
        return None, Refusal("unknown-card", Sentence("drawn-anew", {"card": card}))
    found = roster.candidates(card)
    if len(found) == 1:
        return found[0], None
    if found:
        return None, Refusal("unknown-card", Sentence("ambiguous", {"card": card, "count": len(found)}))
    mark = roster.mark(card)
    if mark is None:
        return None, Refusal("unknown-card", Sentence("nobody", {"card": card}))
    return roster.anyone(mark.pupil), Refusal("blocked-card", Sentence(mark.state, {"since": mark.since}))
