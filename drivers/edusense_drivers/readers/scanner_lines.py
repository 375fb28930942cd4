"""What scanners of bar codes and QR codes send over a serial line: texts with a line end. No port, no clock.

```text
[prefix] text CR LF          CR or LF alone, or a tab, by how the scanner was set
```

A scanner may put the code's kind before it (`]Q1` for QR codes, ISO/IEC 15424); it is taken off.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from edusense.devices.card_kinds import TEXTS, text_problem
from edusense_drivers.readers.frames import BadFrame, Frame, Noise, StreamDecoder

if TYPE_CHECKING:
    from edusense_drivers.readers.frames import Event

__all__ = ["LONGEST", "Decoder", "token"]

LONGEST: Final = TEXTS["token"][1]
"""Characters of a code at most: what is longer is no voucher, but somebody's business card."""
_ENDS: Final = b"\r\n\t"
_SYMBOLOGY: Final = re.compile(r"\][A-Za-z][0-9A-Za-z](?=.)")


def token(text: str) -> str:
    """The text of a code without what the scanner puts before and behind it.

    >>> token("]Q1EW-2026-000017 ")
    'EW-2026-000017'
    """
    return _SYMBOLOGY.sub("", text.strip(), count=1) if text.startswith("]") else text.strip()


class Decoder(StreamDecoder):
    """Turns bytes into frames, whatever pieces they come in; keeps 512 bytes at most.

    >>> (frame,) = Decoder().push(b"EW-2026-000017\\r\\n")
    >>> frame.technology, frame.uid
    ('token', b'EW-2026-000017')
    """

    def __init__(self) -> None:
        self._line = bytearray()
        self._overlong = False
        self._position = -1

    @property
    def pending(self) -> int:
        """How many bytes of a begun text are held."""
        return len(self._line)

    def push(self, data: bytes) -> list[Event]:
        """Takes the next bytes."""
        events: list[Event] = []
        for byte in data:
            self._position += 1
            if byte in _ENDS:
                raw = bytes(self._line)
                self._line.clear()
                if raw and not self._overlong:
                    events.append(self._judge(raw, bytes([byte])))
                elif raw:
                    events.append(Noise(raw, self._position))
                self._overlong = False
                continue
            self._line.append(byte)
            if len(self._line) > LONGEST:
                raw = bytes(self._line)
                self._line.clear()
                if self._overlong:
                    events.append(Noise(raw, self._position))
                else:
                    what = f"text ending at byte {self._position}: more than {LONGEST} characters without a line end"
                    events.append(BadFrame("too-long", what, raw, self._position))
                self._overlong = True
        return events

    def _judge(self, raw: bytes, end: bytes) -> Event:
        text = token(raw.decode("utf-8", "replace"))
        if not text or any(byte < 0x20 for byte in raw):
            return Noise(raw + end, self._position)
        if problem := text_problem("token", text):
            return BadFrame("not-text", f"text ending at byte {self._position}: {problem}", raw + end, self._position)
        return Frame(text.encode("ascii"), raw + end, self._position, "token")
