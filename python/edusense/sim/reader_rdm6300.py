"""Virtual 125 kHz readers: the device half of their protocols over a pseudo-terminal that any program can open.

Like the real ones they only speak; an RDM6300 repeats a tag's frame every 50 ms for as long as the tag is in its field.
Written from data sheets apart from the driver, so that each tests the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from edusense.errors import CardError
from edusense.sim.reader_serial import NOISE, VirtualSpeaker

if TYPE_CHECKING:
    from pathlib import Path

    from edusense.devices.card import Card

__all__ = ["NOISE", "VARIANTS", "Variant", "VirtualRdm6300", "frame"]

Variant: TypeAlias = Literal["rdm6300", "id-la", "em-18", "binary"]
VARIANTS: Final[tuple[str, ...]] = get_args(Variant)
_FRAMINGS: Final = {"rdm6300": "", "id-la": "", "em-18": "?framing=bare", "binary": "?framing=binary"}


def frame(card: Card, variant: Variant = "rdm6300") -> bytes:
    """The bytes that a module sends for a tag.

    Args:
        card: an EM4100 card with all five bytes; `binary` readers also see MIFARE cards.
        variant: `id-la` modules put a line end before the end byte, `em-18` ones nothing around the digits.

    Raises:
        CardError: it is another kind of card: the reader does not see it.

    >>> from edusense.devices.card import Card
    >>> frame(Card.parse("em4100:010063E9AE")).hex(" ")
    '02 30 31 30 30 36 33 45 39 41 45 32 35 03'
    >>> frame(Card.parse("em4100:06008E6D5D"), "binary").hex(" ")
    '02 0a 02 06 00 8e 6d 5d b0 03'
    """
    mifare = variant == "binary" and card.technology == "iso14443a" and len(card.uid) in (4, 7)
    if not mifare and (card.technology != "em4100" or card.partial):
        raise CardError(f"a 125 kHz reader does not see `{card}`", hint="give an EM4100 card with ten hex digits")
    if variant == "binary":
        body = bytes([len(card.uid) + 5, 0x01 if mifare else 0x02]) + card.uid
        return b"\x02" + body + bytes([_exclusive_or(body), 0x03])
    digits = f"{card.id}{_exclusive_or(card.uid):02X}".encode()
    match variant:
        case "em-18":
            return digits
        case "id-la":
            return b"\x02" + digits + b"\r\n\x03"
    return b"\x02" + digits + b"\x03"


def _exclusive_or(data: bytes) -> int:
    check = 0
    for byte in data:
        check ^= byte
    return check


class VirtualRdm6300(VirtualSpeaker):
    """A reader on a pseudo-terminal, alive until closed. Every method may be called from any thread.

    Args:
        path: where a link to the pseudo-terminal is kept, the same after replugging; default: in a temporary folder.
        variant: the framing; all but `rdm6300` speak once for each tag laid down.
        period_s: seconds between two frames of a tag that lies there.

    Raises:
        UsageError: at `path` is something else already.
    """

    driver = "rdm6300"

    def __init__(self, path: str | Path | None = None, *, variant: Variant = "rdm6300", period_s: float = 0.05) -> None:
        self._variant: Variant = variant
        super().__init__(path, period_s=period_s, once=variant != "rdm6300")

    @property
    def address(self) -> str:
        """What `open_reader` takes."""
        return super().address + _FRAMINGS[self._variant]

    def frame(self, card: Card) -> bytes:
        """What it says for a card."""
        return frame(card, self._variant)

    def spoil(self, frame: bytes) -> bytes:
        """The frame with a wrong check sum."""
        # The check byte's last digit; in binary packets the check byte, which is before the end byte.
        at = {"em-18": 11, "binary": len(frame) - 2}.get(self._variant, 12)
        wrong = frame[at] ^ 0xFF if self._variant == "binary" else ord("1" if frame[at : at + 1] == b"0" else "0")
        return frame[:at] + bytes([wrong]) + frame[at + 1 :]
