"""A virtual Wiegand reader behind a converter: lines on a pseudo-terminal, once for each card laid down.

Written from the converters' data sheets apart from the driver, so that each tests the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from edusense.errors import CardError, UsageError
from edusense.sim.reader_serial import VirtualSpeaker

if TYPE_CHECKING:
    from pathlib import Path

    from edusense.devices.card import Card

__all__ = ["FORMS", "Form", "VirtualWiegand", "frame_bits", "line"]

Form: TypeAlias = Literal["hex", "frame", "bits", "decimal"]
FORMS: Final[tuple[str, ...]] = get_args(Form)
_COVERED: Final = {26: 12, 34: 16, 37: 18}
"""How many of the data bits each of the two parity bits is over."""


def frame_bits(data: int, width: int) -> str:
    """A frame as the line carries it, bit by bit.

    >>> frame_bits(0x7EE424, 26) == f"{0x2FDC848:026b}"
    True
    """
    bits = f"{data:0{width - 2}b}"
    covered = _COVERED[width]
    return f"{bits[:covered].count('1') % 2}{bits}{1 - bits[-covered:].count('1') % 2}"


def line(card: Card, *, width: int = 26, form: Form = "hex") -> bytes:
    """What the converter prints for a card.

    Args:
        card: an EM4100 card, an ISO 14443-A card with four bytes (34 bits), or what a line carries (`wiegand26:…`).
        width: bits of the line's frames.
        form: how it writes them.

    Raises:
        CardError: the card's number does not fit.

    >>> from edusense.devices.card import Card
    >>> line(Card.parse("em4100:010063E9AE")), line(Card.parse("em4100:010063E9AE"), width=34, form="decimal")
    (b'63E9AE\\r\\n', b'0006547886\\r\\n')
    """
    size = (width - 2) // 8
    fits = card.technology == "em4100" or card.technology == f"wiegand{width}"
    if not fits and not (card.technology == "iso14443a" and len(card.uid) == 4 and width == 34):
        raise CardError(f"a line of {width} bits carries no number of `{card}`", hint="give an EM4100 card")
    data = int.from_bytes(card.uid if card.technology == f"wiegand{width}" else card.uid[-size:], "big")
    bits = frame_bits(data, width)
    match form:
        case "hex":
            text = f"{data:0{2 * ((width - 2 + 7) // 8)}X}"
        case "frame":
            text = f"{int(bits, 2):0{(width + 3) // 4}X}"
        case "bits":
            text = bits
        case "decimal":
            text = f"{data:010d}"
    return text.encode() + b"\r\n"


class VirtualWiegand(VirtualSpeaker):
    """A converter on a pseudo-terminal, alive until closed. Every method may be called from any thread.

    Args:
        path: where a link to the pseudo-terminal is kept, the same after replugging; default: in a temporary folder.
        width: bits of the line's frames: 26, 34 or 37.
        form: how the converter writes them.

    Raises:
        UsageError: at `path` is something else already, or there is no such width.
    """

    driver = "wiegand"
    noise = bytes.fromhex("00FF8055AA0B0A")

    def __init__(self, path: str | Path | None = None, *, width: int = 26, form: Form = "bits") -> None:
        if width not in _COVERED:
            raise UsageError(f"no Wiegand line has {width} bits", hint=f"one of {', '.join(map(str, _COVERED))}")
        self._width = width
        self._form: Form = form
        super().__init__(path, once=True)

    @property
    def address(self) -> str:
        """What `open_reader` takes."""
        return f"{super().address}?form={self._form}&width={self._width}"

    def frame(self, card: Card) -> bytes:
        """What it prints for a card."""
        return line(card, width=self._width, form=self._form)

    def spoil(self, frame: bytes) -> bytes:
        """The line with a wrong parity, where it has any; else with a letter that stands in no number."""
        if self._form == "bits":
            return bytes([frame[0] ^ 1]) + frame[1:]
        if self._form == "frame":
            text, end = frame[:-2], frame[-2:]
            return f"{int(text, 16) ^ 1:0{len(text)}X}".encode() + end
        return frame[:-3] + b"?" + frame[-2:]
