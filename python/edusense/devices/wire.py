"""What a driver understands of bytes by themselves, without its device: for naming an unknown reader, and for holding a
driver against frames that others published.

A driver declares its dialects (`Driver.dialects`) and published frames (`Driver.vectors`); `edusense reader identify`
and `edusense reader vectors` need nothing else of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edusense.devices.card import Card

__all__ = ["Heard", "Vector"]


@dataclass(frozen=True, slots=True)
class Heard:
    """What one dialect makes of some bytes.

    Args:
        cards: the cards, in order, repeated ones too.
        explained: how many of the bytes belong to good frames.
        bad_frames: frames that were begun and dropped.
        last_fault: the last of them in words.
    """

    cards: tuple[Card, ...] = ()
    explained: int = 0
    bad_frames: int = 0
    last_fault: str | None = None


@dataclass(frozen=True, slots=True)
class Vector:
    """A frame that somebody published.

    Args:
        source: who and where.
        wire: the bytes.
        card: the card in it, as `Card.parse` reads it; None for bytes that must be refused.
        options: the dialect, as the options of an address: `framing=bare`.
    """

    source: str
    wire: bytes
    card: str | None
    options: str = ""
