"""The binary wire of cheap desk readers (RS-232, or USB as a serial port): bytes in, events out. No port, no clock.

```text
02  LEN  TYPE  number  BCC  03      LEN: bytes of the whole packet; BCC: exclusive or of LEN to the number's last byte
         01    4 or 7 bytes of a MIFARE card's UID
         02    5 bytes of an EM4100 tag
```

The number may hold any byte, also 02 and 03: only length, check byte and end byte together make a packet.
Source: a seller's page (newegg) with the packet of a card whose printed number agrees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edusense_drivers.readers.em4100_frames import ETX, STX, check_byte
from edusense_drivers.readers.frames import BadFrame, Frame, Noise, StreamDecoder

if TYPE_CHECKING:
    from edusense_drivers.readers.frames import Event

__all__ = ["Decoder"]

_AROUND: Final = 5
"""Bytes of a packet that are not the number."""
_NUMBERS: Final = {0x01: ("iso14443a", (4, 7)), 0x02: ("em4100", (5,))}


class Decoder(StreamDecoder):
    """Turns bytes into frames, whatever pieces they come in; keeps 11 bytes at most.

    >>> (frame,) = Decoder().push(bytes.fromhex("02 0A 02 06 00 8E 6D 5D B0 03"))
    >>> frame.technology, frame.uid.hex()
    ('em4100', '06008e6d5d')
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._noise = bytearray()
        self._position = -1
        """Position of the last byte before those that are held."""

    @property
    def pending(self) -> int:
        """How many bytes of a begun packet are held."""
        return len(self._held)

    def push(self, data: bytes) -> list[Event]:
        """Takes the next bytes."""
        events: list[Event] = []
        for byte in data:
            self._held.append(byte)
            while self._held and self._step(events):
                pass
        self._tell_noise(events)
        return events

    def _step(self, events: list[Event]) -> bool:
        """Decides about the first bytes held; False while more are needed."""
        held = self._held
        if held[0] != STX:
            self._skip(1)
            return True
        if len(held) < 3:
            # A length that no packet has is known at once.
            if len(held) == 2 and not any(held[1] - _AROUND in sizes for _, sizes in _NUMBERS.values()):
                self._skip(1)
                return True
            return False
        technology, sizes = _NUMBERS.get(held[2], ("", ()))
        if held[1] - _AROUND not in sizes:
            self._skip(1)
            return True
        if len(held) < held[1]:
            return False
        self._tell_noise(events)
        # What is held may go on behind this packet, where it was held for a longer one that was none.
        raw = bytes(held[: held[1]])
        uid, check = raw[3:-2], check_byte(raw[1:-2])
        end = self._position + len(raw)
        if raw[-1] != ETX:
            self._drop("check", f"byte 0x{raw[-1]:02X} where 0x03 ends the packet", end, events)
        elif raw[-2] != check:
            self._drop("check", f"check byte 0x{raw[-2]:02X}, computed 0x{check:02X}", end, events)
        elif not any(uid):
            self._drop("empty", "a card number of zeros", end, events)
        else:
            events.append(Frame(uid, raw, end, technology))
            self._position = end
            del held[: len(raw)]
        return True

    def _drop(self, reason: str, what: str, end: int, events: list[Event]) -> None:
        """Drops a packet up to the next byte that may begin another."""
        following = self._held.find(STX, 1)
        raw = bytes(self._held if following < 0 else self._held[:following])
        del self._held[: len(raw)]
        self._position += len(raw)
        events.append(BadFrame(reason, f"frame ending at byte {end}: {what}", raw, end))

    def _skip(self, count: int) -> None:
        self._noise += self._held[:count]
        del self._held[:count]
        self._position += count

    def _tell_noise(self, events: list[Event]) -> None:
        if self._noise:
            events.append(Noise(bytes(self._noise), self._position))
            self._noise.clear()
