"""What converters from Wiegand to a serial line print: bytes in, events out. No port, no clock.

```text
hex      63E9AE CR            the data bits alone, two digits a byte; the converter has looked at the parity
frame    2C7D35C CR LF        the whole frame in hex, parity bits and all
bits     10110001… CR LF      the same as ones and zeros
decimal  0006547886 CR LF     the data bits as a number of ten digits
```

What ends a line is CR, LF or both. Sources: Priority 1 Design WIE232-A and the WG2RS232 that copies it (hex, 9600
baud), S4A's Wiegand converters (decimal), sketches for microcontrollers (bits); frames in `edusense.devices.wiegand`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from edusense.devices.wiegand import WIDTHS, parity_problem, unpack
from edusense_drivers.readers.frames import BadFrame, Frame, Noise, StreamDecoder

if TYPE_CHECKING:
    from edusense_drivers.readers.frames import Event

__all__ = ["FORMS", "LONGEST", "Decoder"]

FORMS: Final = ("hex", "frame", "bits", "decimal")
LONGEST: Final = 64
"""Bytes of a line that are held at most; the longest one has 39."""
_ENDS: Final = b"\r\n"
_HEX: Final = re.compile(rb"[0-9A-Fa-f]+")
_DIGITS: Final = re.compile(rb"[0-9]{1,12}")
_BITS: Final = re.compile(rb"[01]+")


class Decoder(StreamDecoder):
    """Turns bytes into frames, whatever pieces they come in; keeps 64 bytes at most.

    Args:
        width: bits of the line's frames: 26, 34 or 37; None takes what the length of a line tells.
        form: how the converter writes them.

    >>> (frame,) = Decoder(form="frame", width=26).push(b"21A6616\\r\\n")
    >>> frame.technology, frame.uid.hex()
    ('wiegand26', '0d330b')
    """

    def __init__(self, width: int | None = None, form: str = "hex") -> None:
        self._width = width
        self._form = form
        self._line = bytearray()
        self._overlong = False
        self._position = -1

    @property
    def pending(self) -> int:
        """How many bytes of a begun line are held."""
        return len(self._line)

    def push(self, data: bytes) -> list[Event]:
        """Takes the next bytes."""
        events: list[Event] = []
        for byte in data:
            self._position += 1
            if byte in _ENDS:
                if self._line and not self._overlong:
                    events.append(self._judge(bytes(self._line), bytes([byte])))
                elif self._line:
                    events.append(Noise(bytes(self._line), self._position))
                self._line.clear()
                self._overlong = False
                continue
            self._line.append(byte)
            if len(self._line) >= LONGEST:
                raw = bytes(self._line)
                self._line.clear()
                if self._overlong:
                    events.append(Noise(raw, self._position))
                else:
                    what = f"frame ending at byte {self._position}: {LONGEST} bytes without a line end"
                    events.append(BadFrame("too-long", what, raw, self._position))
                self._overlong = True
        return events

    def _judge(self, line: bytes, end: bytes) -> Event:
        text = line.strip(b" \x00")
        if not text or any(byte < 0x20 or byte > 0x7E for byte in text):
            # A loose cable, or a key of a keypad, which converters pass on as one byte.
            return Noise(line + end, self._position)
        told = {"hex": self._hex, "frame": self._frame, "bits": self._bits, "decimal": self._decimal}[self._form](text)
        if isinstance(told, str):
            reason, _, what = told.partition(":")
            shown = text.decode("ascii", "backslashreplace")
            message = f"frame ending at byte {self._position}: `{shown}`{what}"
            return BadFrame(reason, message, line + end, self._position)
        data, width = told
        if not data:
            return BadFrame(
                "empty", f"frame ending at byte {self._position}: a number of zeros", line + end, self._position
            )
        uid = data.to_bytes((width - 2 + 7) // 8, "big")
        return Frame(uid, line + end, self._position, f"wiegand{width}")

    def _hex(self, text: bytes) -> tuple[int, int] | str:
        if not _HEX.fullmatch(text):
            return "not-hex: is no hex number"
        widths = {6: 26, 8: 34, 9: 37, 10: 37}
        width = widths.get(len(text))
        if width is None or self._width not in (None, width):
            wanted = "6, 8 or 10" if self._width is None else f"{(self._width - 2 + 3) // 4}"
            return f"length: has {len(text)} digits where {wanted} stand"
        data = int(text, 16)
        return (data, width) if data < 1 << (width - 2) else f"length: does not fit into {width - 2} bits"

    def _frame(self, text: bytes) -> tuple[int, int] | str:
        if not _HEX.fullmatch(text):
            return "not-hex: is no hex number"
        widths = {7: 26, 9: 34, 10: 37} if self._width is None else {(self._width + 3) // 4: self._width}
        width = widths.get(len(text))
        if width is None:
            return f"length: has {len(text)} digits where {' or '.join(str(length) for length in widths)} stand"
        return _checked(int(text, 16), width)

    def _bits(self, text: bytes) -> tuple[int, int] | str:
        if not _BITS.fullmatch(text):
            return "not-bits: is not ones and zeros"
        if len(text) not in WIDTHS or self._width not in (None, len(text)):
            wanted = " or ".join(str(width) for width in WIDTHS) if self._width is None else str(self._width)
            return f"length: has {len(text)} bits where {wanted} stand"
        return _checked(int(text, 2), len(text))

    def _decimal(self, text: bytes) -> tuple[int, int] | str:
        if not _DIGITS.fullmatch(text):
            return "not-decimal: is no decimal number"
        data, width = int(text), self._width or 26
        return (data, width) if data < 1 << (width - 2) else f"length: does not fit into {width - 2} bits"


def _checked(frame: int, width: int) -> tuple[int, int] | str:
    if frame >> width:
        return f"length: does not fit into {width} bits"
    if problem := parity_problem(frame, width):
        return f"parity: has a wrong parity: {problem}"
    return unpack(frame, width), width
