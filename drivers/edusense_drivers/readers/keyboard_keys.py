"""The numbers that readers type which pose as keyboards: texts in, cards out. No device, no clock.

Source: what sellers' manuals of such readers call 10D, 8H, 8H10D, 3D5D (facility), and hex in both orders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edusense.devices.card import Card
from edusense.errors import CardError
from edusense_drivers.readers.frames import BadFrame, Frame
from edusense_drivers.readers.keyboard_typing import EVENT, KEY_GAP_S, TypingDecoder

if TYPE_CHECKING:
    from edusense_drivers.readers.frames import Event

__all__ = ["CARDS", "EVENT", "KEY_GAP_S", "LAYOUTS", "Decoder", "number"]

LAYOUTS: Final = {
    "digits": "ten decimal digits, as printed on most EM4100 tags (10D)",
    "facility": "eight decimal digits, three and five, with or without a comma (3D5D)",
    "8h": "eight hex digits: the last four bytes of an EM4100 number (8H)",
    "8h10d": "those eight hex digits and the same in ten decimal ones (8H10D)",
    "hex": "hex digits in the order of the wire: 10 of an EM4100, 8, 14 or 20 of a 13.56 MHz card",
    "hex-reversed": "the same with the last byte first",
}
CARDS: Final = ("em4100", "iso14443a", "iso14443a-reversed")
"""What the digits of the first four layouts are: the end of an EM4100 number, or the UID of four bytes in one of two
orders.
"""


def number(text: str, layout: str, cards: str = "em4100") -> Card:
    """The card that a typed text means.

    Args:
        text: what was typed, without Enter.
        layout: one of `LAYOUTS`.
        cards: one of `CARDS`.

    Returns:
        The card, of assurance `printed`: anybody's keyboard types the same.

    Raises:
        CardError: it is no number in this layout.

    >>> number("0006547886", "digits").facility
    '099,59822'
    >>> str(number("AEE9630001", "hex-reversed"))
    'em4100:010063E9AE'
    >>> str(number("2647343936", "digits", "iso14443a"))
    'iso14443a:9DCB4340'
    """
    four = _four_bytes(text, layout)
    if four is not None:
        if cards == "em4100":
            return Card("em4100", four, assurance="printed")
        return Card("iso14443a", four[::-1] if cards.endswith("reversed") else four, assurance="printed")
    match layout:
        case "facility" if len(digits := text.replace(",", "")) == 8 and digits.isascii() and digits.isdecimal():
            return Card.parse(f"{digits[:3]},{digits[3:]}")
        case "hex" | "hex-reversed" if len(text) in (8, 10, 14, 20) and (told := _hex(text)):
            uid = told if layout == "hex" else told[::-1]
            return Card("em4100" if len(uid) == 5 else "iso14443a", uid, assurance="printed")
    raise CardError(f"`{text}` is no number in the layout `{layout}`", hint=f"layouts are {', '.join(LAYOUTS)}")


def _four_bytes(text: str, layout: str) -> bytes | None:
    """The four bytes that a text of the layouts with that many means; None where it does not."""
    match layout:
        case "digits" if len(text) == 10 and text.isascii() and text.isdecimal() and int(text) <= 0xFFFFFFFF:
            return int(text).to_bytes(4, "big")
        case "8h" if len(text) == 8:
            return _hex(text)
        case "8h10d" if len(text) == 18 and (told := _hex(text[:8])) and text[8:].isdecimal():
            return told if int.from_bytes(told, "big") == int(text[8:]) else None
    return None


def _hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text) if " " not in text else None
    except ValueError:
        return None


class Decoder(TypingDecoder):
    """Turns input events into frames; keeps one event and 32 keys at most.

    Args:
        layout: how the reader writes numbers: one of `LAYOUTS`.
        gap_s: seconds between two keys of one number at most.
        keys: as in `TypingDecoder`.
        cards: one of `CARDS`.
        prefix: what the reader types before each number, and is taken off.
        suffix: what it types behind each number.
    """

    def __init__(
        self,
        layout: str = "digits",
        *,
        gap_s: float = KEY_GAP_S,
        keys: str = "us",
        cards: str = "em4100",
        prefix: str = "",
        suffix: str = "",
    ) -> None:
        super().__init__(gap_s=gap_s, keys=keys, longest=32 + len(prefix) + len(suffix))
        self._layout, self._cards = layout, cards
        self._prefix, self._suffix = prefix, suffix

    def _judge(self, text: str) -> Event:
        digits = text.removeprefix(self._prefix).removesuffix(self._suffix)
        raw = text.encode()
        try:
            if len(text) != len(digits) + len(self._prefix) + len(self._suffix):
                raise CardError(f"`{text}` lacks `{self._prefix or self._suffix}`, which the reader was said to type")
            card = number(digits.upper(), self._layout, self._cards)
        except CardError as error:
            what = f"text ending at byte {self._position} of the events: {error}"
            return BadFrame("not-number", what, raw, self._position)
        if not any(card.uid):
            what = f"text ending at byte {self._position} of the events: a card number of zeros"
            return BadFrame("empty", what, raw, self._position)
        return Frame(card.uid, raw, self._position, card.technology)
