"""The wire of EM-18 modules: ten hex digits and two of the check byte, with nothing around them. No port, no clock.

Only silence tells where a number begins: 12 digits at 9600 baud take 12.5 ms, and the module is still between cards.
Two halves of different numbers pass the check byte once in 256 times; so after anything that was wrong the decoder
waits for the next silence and guesses nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edusense_drivers.readers.em4100_frames import DIGITS, check_byte
from edusense_drivers.readers.frames import BadFrame, Frame, Noise, StreamDecoder

if TYPE_CHECKING:
    from edusense_drivers.readers.frames import Event

__all__ = ["GAP_S", "Decoder"]

GAP_S: Final = 0.03
"""Seconds of silence between two numbers: above the 16 ms that USB chips hold bytes back, below any module's pause."""
_HEX: Final = frozenset(b"0123456789ABCDEFabcdef")


class Decoder(StreamDecoder):
    """Turns bytes into frames; keeps 11 bytes at most.

    Args:
        gap_s: seconds of silence that end a number.

    >>> decoder = Decoder()
    >>> decoder.push(b"4500C5")
    []
    >>> decoder.push(b"D1E9B8")[0].uid.hex()
    '4500c5d1e9'
    """

    def __init__(self, gap_s: float = GAP_S) -> None:
        self._gap_s = gap_s
        self._digits = bytearray()
        self._in_step = True
        self._position = -1

    @property
    def pending(self) -> int:
        """How many digits of a begun number are held."""
        return len(self._digits)

    def pause(self, seconds: float) -> list[Event]:
        """A silence ends what was begun, and puts the decoder in step."""
        if seconds < self._gap_s:
            return []
        self._in_step = True
        return [self._drop("cut-short", f"{len(self._digits)} digits, then silence")] if self._digits else []

    def push(self, data: bytes) -> list[Event]:
        """Takes the next bytes."""
        events: list[Event] = []
        noise = bytearray()

        for byte in data:
            self._position += 1
            if byte in _HEX and self._in_step:
                if noise:
                    events.append(Noise(bytes(noise), self._position - 1))
                    noise.clear()
                self._digits.append(byte)
                if len(self._digits) == DIGITS:
                    events.append(self._finish())
            else:
                if self._digits:
                    events.append(self._drop("not-hex", f"byte 0x{byte:02X} where a hex digit stands"))
                    self._in_step = False
                noise.append(byte)
        if noise:
            events.append(Noise(bytes(noise), self._position))
        return events

    def _finish(self) -> Frame | BadFrame:
        raw = bytes(self._digits)
        number = bytes.fromhex(raw.decode("ascii"))
        uid, check = number[:5], number[5]
        if check != check_byte(uid):
            self._in_step = False
            return self._drop("check", f"check byte 0x{check:02X}, computed 0x{check_byte(uid):02X}")
        if not any(uid):
            return self._drop("empty", "a tag number of zeros")
        self._digits.clear()
        return Frame(uid, raw, self._position)

    def _drop(self, reason: str, what: str) -> BadFrame:
        raw = bytes(self._digits)
        self._digits.clear()
        return BadFrame(reason, f"frame ending at byte {self._position}: {what}", raw, self._position)
