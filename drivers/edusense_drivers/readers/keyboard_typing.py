"""What devices that pose as keyboards type: Linux' input events in, texts out. No device, no clock.

A reader types a number within a tenth of a second and ends with Enter. A person does not: what comes slower than that
is no number. The times are those of the events themselves, which the kernel writes when a key moves; a program that
sleeps meanwhile changes nothing.

Sources: linux/input.h (`struct input_event`), linux/input-event-codes.h; the key caps of ISO/IEC 9995 keyboards in the
United States, France and Germany.
"""

from __future__ import annotations

import struct
from abc import abstractmethod
from typing import TYPE_CHECKING, Final

from edusense_drivers.readers.frames import BadFrame, StreamDecoder

if TYPE_CHECKING:
    from edusense_drivers.readers.frames import Event

__all__ = ["EVENT", "KEYS", "KEY_GAP_S", "TypingDecoder"]

EVENT: Final = struct.Struct("@llHHi")
"""Seconds, microseconds, type, code, value."""
KEY_GAP_S: Final = 0.05
"""Seconds between two keys at most: readers need 5 to 20 ms, a person above 80."""
_SYN, _KEY = 0x00, 0x01
_SYN_DROPPED: Final = 3
_ENTER: Final = frozenset({28, 96})
_SHIFT: Final = frozenset({42, 54})

_PLAIN_ROWS: Final = ((2, "1234567890-="), (16, "qwertyuiop[]"), (30, "asdfghjkl;'`"), (43, "\\zxcvbnm,./"))
_SHIFTED_ROWS: Final = ((2, "!@#$%^&*()_+"), (16, "QWERTYUIOP{}"), (30, 'ASDFGHJKL:"~'), (43, "|ZXCVBNM<>?"))
_KEYPAD: Final = {82: "0", 79: "1", 80: "2", 81: "3", 75: "4", 76: "5", 77: "6", 71: "7", 72: "8", 73: "9"} | {
    55: "*", 74: "-", 78: "+", 83: ".", 98: "/", 57: " "
}  # fmt: skip


def _table(rows: tuple[tuple[int, str], ...]) -> dict[int, str]:
    return _KEYPAD | {first + place: letter for first, row in rows for place, letter in enumerate(row)}


def _swapped(table: dict[int, str], **codes: str) -> dict[int, str]:
    return table | {int(code[1:]): letter for code, letter in codes.items()}


_US: Final = (_table(_PLAIN_ROWS), _table(_SHIFTED_ROWS))
KEYS: Final[dict[str, tuple[dict[int, str], dict[int, str]]]] = {
    "us": _US,
    "fr": (
        _swapped(
            _US[0], _2="&", _4='"', _5="'", _6="(", _7="-", _9="_", _13="=", _16="a", _17="z", _30="q", _39="m",
            _44="w", _50=",", _51=";", _52=":", _53="!",
        ),
        _swapped(
            _US[1], _2="1", _3="2", _4="3", _5="4", _6="5", _7="6", _8="7", _9="8", _10="9", _11="0", _16="A", _17="Z",
            _30="Q", _39="M", _44="W", _50="?", _51=".", _52="/",
        ),
    ),
    "de": (
        _swapped(_US[0], _21="z", _44="y", _53="-", _43="#"),
        _swapped(
            _US[1], _3='"', _7="&", _8="/", _9="(", _10=")", _11="=", _12="?", _21="Z", _44="Y", _51=";", _52=":",
            _53="_", _43="'",
        ),
    ),
}  # fmt: skip
"""Characters by the kernel's number of a key, without and with Shift, by the country that the device was set to."""


class TypingDecoder(StreamDecoder):
    """Turns input events into texts, and those into frames; keeps one event and a text's keys at most.

    Args:
        gap_s: seconds between two keys of one text at most.
        keys: which country's keys the device was set to type: one of `KEYS`.
        longest: keys in a text at most.
    """

    def __init__(self, *, gap_s: float = KEY_GAP_S, keys: str = "us", longest: int = 32) -> None:
        self._gap_s = gap_s
        self._plain, self._shifted = KEYS[keys]
        self._longest = longest
        self._held = bytearray()
        self._text = ""
        self._spoilt: tuple[str, str] | None = None
        self._keys = 0
        self._shift: dict[int, float] = {}
        self._key_at: float | None = None
        self._position = -1

    @abstractmethod
    def _judge(self, text: str) -> Event:
        """What a text that came whole, and fast enough, means."""

    @property
    def pending(self) -> int:
        """How many bytes of a begun event, and keys of a begun text, are held."""
        return len(self._held) + len(self._text)

    def push(self, data: bytes) -> list[Event]:
        """Takes the next bytes; an event may be split anywhere."""
        self._held += data
        events: list[Event] = []
        whole = len(self._held) // EVENT.size * EVENT.size
        for seconds, microseconds, kind, code, value in EVENT.iter_unpack(bytes(self._held[:whole])):
            self._position += EVENT.size
            at = seconds + microseconds / 1e6
            if kind == _SYN and code == _SYN_DROPPED:
                self._spoil("lost", "the kernel dropped events")
                self._shift.clear()
            elif kind == _KEY and code in _SHIFT:
                self._shift.pop(code, None)
                if value:
                    self._shift[code] = at
            elif kind == _KEY and value:
                self._press(at, code, value, events)
        del self._held[:whole]
        return events

    def _press(self, at: float, code: int, value: int, events: list[Event]) -> None:
        if self._key_at is not None and not 0 <= at - self._key_at <= self._gap_s and self._keys:
            if code in _ENTER:
                self._spoil("slow", f"Enter came {at - self._key_at:.2f} s after the last key: typed by a person?")
            else:
                # What was begun is over: a text that never got its Enter must not join with the next one.
                what = f"after `{self._text}` {at - self._key_at:.2f} s without a key: typed by a person?"
                events.append(self._bad("slow", what))
        if not self._keys:
            # A Shift whose release was lost must not hold for ever: readers press it with the key that it is for.
            self._shift = {key: since for key, since in self._shift.items() if 0 <= at - since <= self._gap_s}
        self._key_at = at
        self._keys += 1
        letter = (self._shifted if self._shift else self._plain).get(code)
        if code in _ENTER:
            events += self._finish()
        elif value == 2:
            self._spoil("held", f"key {code} was held down, which no reader does")
        elif letter is None:
            self._spoil("not-number", f"key {code} stands in no text")
        elif len(self._text) >= self._longest:
            self._spoil("too-long", f"more than {self._longest} keys without Enter")
        else:
            self._text += letter

    def _finish(self) -> list[Event]:
        if self._keys == 1 and self._spoilt is None:
            self._keys = 0
            return []  # Enter alone: some readers press it twice
        if self._spoilt is not None:
            return [self._bad(*self._spoilt)]
        told = self._judge(self._text)
        self._clear()
        return [told]

    def _spoil(self, reason: str, what: str) -> None:
        self._spoilt = self._spoilt or (reason, what)

    def _bad(self, reason: str, what: str) -> BadFrame:
        raw = self._text.encode()
        self._clear()
        return BadFrame(reason, f"text ending at byte {self._position} of the events: {what}", raw, self._position)

    def _clear(self) -> None:
        self._text, self._spoilt, self._keys = "", None, 0
