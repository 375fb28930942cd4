"""A virtual IronLogic reader: lines of text over a pseudo-terminal, once when a card comes and once when it goes.

Written from captured lines apart from the driver, so that each tests the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edusense.errors import CardError
from edusense.sim.reader_serial import VirtualSpeaker

if TYPE_CHECKING:
    from pathlib import Path

    from edusense.devices.card import Card

__all__ = ["NOISE", "VirtualIronLogic", "line"]

NOISE = bytes.fromhex("00FF8055AA03300D0A")
"""What a loose cable says; ends with a line end, so that a line may follow."""


def line(card: Card, *, network_id: int | None = None) -> bytes:
    """What the reader prints for a card.

    Args:
        card: an EM4100 card with all five bytes, or an ISO 14443-A card with four or seven.
        network_id: the reader's number, which the firmware of readers on a network puts first.

    Raises:
        CardError: it is another kind of card: the reader does not see it.

    >>> from edusense.devices.card import Card
    >>> line(Card.parse("em4100:55007EE424"))
    b'Em-Marine[5500] 126,58404\\r\\n'
    >>> line(Card.parse("iso14443a:0456463AAC2280"), network_id=19997)
    b'19997 Mifare[3AAC2280045646] UL (0144,00) 004,22086\\r\\n'
    """
    uid = card.uid
    if card.technology == "em4100" and len(uid) == 5:
        text = f"Em-Marine[{uid[:2].hex().upper()}] {uid[2]:03d},{uid[3] << 8 | uid[4]:05d}"
    elif card.technology == "iso14443a" and len(uid) == 4:
        text = f"Mifare[{card.id}] 1K (0004,08) {uid[2]:03d},{uid[1] << 8 | uid[0]:05d}"
    elif card.technology == "iso14443a" and len(uid) == 7:
        rotated = (uid[3:] + uid[:3]).hex().upper()
        text = f"Mifare[{rotated}] UL (0144,00) {uid[0]:03d},{uid[1] << 8 | uid[2]:05d}"
    else:
        raise CardError(
            f"this reader does not see `{card}`", hint="give an EM4100 card with ten hex digits, or 8 or 14 digits"
        )
    return (f"{network_id} " if network_id is not None else "").encode() + text.encode() + b"\r\n"


class VirtualIronLogic(VirtualSpeaker):
    """A reader on a pseudo-terminal, alive until closed. Every method may be called from any thread.

    Args:
        path: where a link to the pseudo-terminal is kept, the same after replugging; default: in a temporary folder.
        network_id: speak as the firmware for networks does.

    Raises:
        UsageError: at `path` is something else already.
    """

    driver = "ironlogic"
    noise = NOISE

    def __init__(self, path: str | Path | None = None, *, network_id: int | None = None) -> None:
        self._network_id = network_id
        super().__init__(path, once=True)

    def frame(self, card: Card) -> bytes:
        """What it says for a card."""
        return line(card, network_id=self._network_id)

    def farewell(self, card: Card) -> bytes:
        """What it says when a card is taken away."""
        return (f"{self._network_id} " if self._network_id is not None else "").encode() + b"No card\r\n"

    def spoil(self, frame: bytes) -> bytes:
        """The line damaged so that it can be seen: decimals that deny a Mifare card's UID; Em-Marine lines say
        everything once, so a letter among theirs.
        """
        at = frame.rindex(b",") + 1
        wrong = b"?" if b"Em-Marine" in frame else b"0" if frame[at : at + 1] != b"0" else b"1"
        return frame[:at] + wrong + frame[at + 1 :]
