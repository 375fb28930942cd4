"""The lines of IronLogic's readers (Z-2 USB, Z-2 Base, Matrix-III RD-ALL): bytes in, events out. No port, no clock.

```text
line     = [ reader SP ] ( "No card" | card ) CR LF
card     = type "[" hex "]" SP [ subtype ] SP [ "(" atqa "," sak ")" SP ] fff "," nnnnn
reader   = 5 or more digits, by the firmware of readers on a network
type     = Em-Marine | Mifare | HID | Temic
fff      = third byte from the end, nnnnn = last two, in decimal; padded with zeros by most firmware
```

What stands where was worked out on 14 lines that two public programs captured, and on one tag that three readers of
different makes read alike:

- `Em-Marine[5500] 126,58404`: the brackets hold the first two of five bytes, the decimals the others: `55007EE424`.
- `Mifare[77242CF0]  (0004,88) 044,09335`: the brackets hold the UID in wire order, the decimals its first three bytes
  backwards.
- `Mifare[3AAC2280045646]  (0142,20) 004,22086`: of seven bytes the first three stand behind the other four, and the
  decimals are those three: the UID is `0456463AAC2280`. By position: the byte 04 may stand anywhere in a UID.

The lines have no check sum. A Mifare line is held against its own decimals; an Em-Marine line says everything once, so
that digits lost at its end are seen only where the firmware pads with zeros, which is learnt from the lines before.
HID and Temic lines are taken as Em-Marine ones (inferred, no captured line known): all bytes that are told, in order.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from edusense_drivers.readers.frames import BadFrame, Frame, Left, Noise, StreamDecoder

if TYPE_CHECKING:
    from edusense_drivers.readers.frames import Event

__all__ = ["LONGEST", "Decoder"]

LONGEST: Final = 128
"""Bytes that are held at most."""
_LINE: Final = 64
"""Bytes in a line at most, with its end; the longest captured one has 50."""
_KINDS: Final = {b"em-marine": "em4100", b"mifare": "iso14443a", b"hid": "hid", b"temic": "temic"}
_READER: Final = rb"(?:(?<![0-9])[0-9]{5,10} )?"
# Anchored at the end: what stands before it in the line belongs to something else.
_CARD: Final = re.compile(
    _READER + rb"(?P<kind>Em-Marine|Mifare|HID|Temic)\[(?P<hex>[0-9A-F]{1,32})\] +(?:(?P<subtype>[A-Z0-9]{1,4}) +)?"
    rb"(?:\((?P<atqa>[0-9A-F]{4}),(?P<sak>[0-9A-F]{2})\) +)?(?P<facility>[0-9]{1,3}),(?P<number>[0-9]{1,5}) *\Z",
    re.IGNORECASE,
)
_GONE: Final = re.compile(_READER + rb"no card *\Z", re.IGNORECASE)


class Decoder(StreamDecoder):
    """Turns bytes into frames, whatever pieces they come in; keeps 128 bytes at most.

    Args:
        rotated: whether UIDs of seven bytes stand in the brackets with their first three bytes at the end, as every
            captured line has them.

    >>> decoder = Decoder()
    >>> decoder.push(b"Mifare[3AAC2280045646]  (0142,20) 004,")
    []
    >>> decoder.push(b"22086\\r\\n")[0].uid.hex()
    '0456463aac2280'
    """

    def __init__(self, *, rotated: bool = True) -> None:
        self._rotated = rotated
        self._pads = False
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
            self._line.append(byte)
            if byte == 0x0A:
                self._judge(bytes(self._line), events)
                self._line.clear()
                self._overlong = False
            elif len(self._line) >= LONGEST:
                # The end is kept: a card's line may follow on garbage that has no line end.
                dropped = bytes(self._line[:-_LINE])
                end = self._position - _LINE
                if self._overlong:
                    events.append(Noise(dropped, end))
                else:
                    what = f"frame ending at byte {end}: {LONGEST} bytes without a line end"
                    events.append(BadFrame("too-long", what, dropped, end))
                del self._line[:-_LINE]
                self._overlong = True
        return events

    def _judge(self, line: bytes, events: list[Event]) -> None:
        text = line.rstrip(b"\r\n")
        if not text:
            return
        found = _CARD.search(text) or _GONE.search(text)
        if found is None:
            if b"[" in text and not self._overlong:
                events.append(self._bad("grammar", f"`{_shown(text)}` is no line of a card", line))
            else:
                events.append(Noise(line, self._position))
            return
        before, rest = line[: found.start()], line[found.start() :]
        end = self._position - len(rest)
        if b"[" in before and not self._overlong:
            what = f"frame ending at byte {end}: `{_shown(before)}` was cut short by the next line"
            events.append(BadFrame("cut-short", what, before, end))
        elif before:
            events.append(Noise(before, end))
        events.append(self._card(found, rest) if found.re is _CARD else Left(rest, self._position))

    def _card(self, found: re.Match[bytes], raw: bytes) -> Frame | BadFrame:
        facility, number, digits = found["facility"], found["number"], found["hex"]
        if self._pads and (len(facility), len(number)) != (3, 5):
            what = f"`{_shown(found[0])}` lacks digits: this reader pads with zeros"
            return self._bad("cut-short", what, raw)
        if int(facility) > 0xFF or int(number) > 0xFFFF:
            return self._bad("check", f"`{_shown(found[0])}` has decimals above 255,65535", raw)
        if len(digits) % 2:
            return self._bad("not-hex", f"`{_shown(digits)}` has half a byte", raw)
        told = bytes.fromhex(digits.decode("ascii"))
        decimals = bytes([int(facility)]) + int(number).to_bytes(2, "big")
        technology = _KINDS[found["kind"].lower()]
        if technology == "iso14443a":
            uid = self._uid(told, decimals, raw)
            if isinstance(uid, BadFrame):
                return uid
        elif len(told) != 2 and technology == "em4100":
            return self._bad("cut-short", f"{len(told)} bytes in the brackets where 2 stand", raw)
        else:
            uid = told + decimals
        # The number of no tag; what a reader says whose coil is loose.
        if not any(uid):
            return self._bad("empty", "a card number of zeros", raw)
        # Only a line that held together may teach.
        self._pads = self._pads or facility.startswith(b"0") or number.startswith(b"0")
        return Frame(uid, raw, self._position, technology)

    def _uid(self, told: bytes, decimals: bytes, raw: bytes) -> bytes | BadFrame:
        """The UID in wire order, when its decimals agree."""
        if len(told) == 4:
            uid, expected = told, told[2::-1]
        elif len(told) == 7:
            orders = {True: told[4:] + told[:4], False: told}
            uid, other = orders[self._rotated], orders[not self._rotated]
            expected = uid[:3]
            if decimals != expected and decimals == other[:3]:
                profile = "wire" if self._rotated else "rotated"
                what = f"the decimals fit the other order of the UID's bytes: set uid={profile}"
                return self._bad("order", what, raw)
        else:
            return self._bad("length", f"a UID of {len(told)} bytes where 4 or 7 stand", raw)
        if decimals != expected:
            said, computed = _decimals(decimals), _decimals(expected)
            return self._bad("check", f"the UID's decimals are {said}, computed {computed}", raw)
        return uid

    def _bad(self, reason: str, what: str, raw: bytes) -> BadFrame:
        return BadFrame(reason, f"frame ending at byte {self._position}: {what}", raw, self._position)


def _decimals(three: bytes) -> str:
    return f"{three[0]:03d},{int.from_bytes(three[1:], 'big'):05d}"


def _shown(text: bytes) -> str:
    return text.decode("ascii", "backslashreplace").strip()
