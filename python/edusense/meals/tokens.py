"""What a code is worth that a scanner has read: vouchers are not built yet, so each is refused by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edusense.meals.rules import Refusal
from edusense.meals.words import Sentence

if TYPE_CHECKING:
    from edusense.devices import CardId

__all__ = ["check_token"]

_SHOWN = 40
"""Characters of a token that are shown: a longer one says nothing to a cook."""


def check_token(token: CardId) -> Refusal:
    """Why a code is no good at a terminal.

    Args:
        token: what the scanner read, of the kind `token`.

    >>> from edusense.devices import CardId
    >>> check_token(CardId.parse("token:EW-2026-000017")).sentence.text()
    'the code `EW-2026-000017` is no voucher that this box knows'
    """
    text = token.id if len(token.id) <= _SHOWN else token.id[:_SHOWN] + "…"
    return Refusal("unknown-card", Sentence("token", {"token": text}))
