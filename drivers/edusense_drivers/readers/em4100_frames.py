"""The wire of RDM6300 and ID-LA readers: bytes in, events out. No port, no clock.

```text
RDM6300   02  10 hex digits  2 hex digits  03            14 bytes, again every 50 to 65 ms while the tag is there
ID-LA     02  10 hex digits  2 hex digits  0D 0A  03     16 bytes, once
```

The ten digits are the tag's 5 bytes, the two the exclusive or of them. Sources: ID-LA series data sheet p. 4, Seeed
113020002 data sheet p. 3, frames published with tags whose printed numbers agree (see the tests).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edusense_drivers.readers.frames import BadFrame, Frame, Noise, StreamDecoder

if TYPE_CHECKING:
    from edusense_drivers.readers.frames import Event

__all__ = ["BadFrame", "Decoder", "Frame", "Noise", "check_byte"]

STX: Final = 0x02
ETX: Final = 0x03
DIGITS: Final = 12
"""Hex digits in a frame: ten of the number, two of the check byte."""
_HEX: Final = frozenset(b"0123456789ABCDEFabcdef")
_TRAILER: Final = b"\r\n"


def check_byte(uid: bytes) -> int:
    """The exclusive or of a tag's bytes.

    >>> f"{check_byte(bytes.fromhex('010063E9AE')):02X}"
    '25'
    """
    value = 0
    for byte in uid:
        value ^= byte
    return value


class Decoder(StreamDecoder):
    """Turns bytes into frames, whatever pieces they come in; keeps 16 bytes at most.

    A start byte always begins a frame: one that was cut short costs that frame and not the next.

    >>> decoder = Decoder()
    >>> decoder.push(b"\\x02010063E9AE")
    []
    >>> decoder.push(b"25\\x03")[0].uid.hex()
    '010063e9ae'
    """

    def __init__(self) -> None:
        self._body: bytearray | None = None
        self._position = -1

    @property
    def pending(self) -> int:
        """How many bytes of a begun frame are held."""
        return 0 if self._body is None else len(self._body) + 1

    def push(self, data: bytes) -> list[Event]:
        """Takes the next bytes.

        Args:
            data: any number of bytes, split anywhere.

        Returns:
            What is now known of them, in order.
        """
        events: list[Event] = []
        noise = bytearray()
        for byte in data:
            self._position += 1
            if byte == STX:
                if self._body is not None:
                    events.append(self._drop("cut-short", f"a new frame began after {len(self._body)} bytes"))
                elif noise:
                    events.append(Noise(bytes(noise), self._position - 1))
                    noise.clear()
                self._body = bytearray()
            elif self._body is None:
                noise.append(byte)
            elif byte == ETX:
                events.append(self._finish(self._body))
                self._body = None
            else:
                place = len(self._body)
                self._body.append(byte)
                if place < DIGITS:
                    if byte not in _HEX:
                        events.append(self._drop("not-hex", f"byte 0x{byte:02X} where a hex digit stands"))
                elif place >= DIGITS + len(_TRAILER) or byte != _TRAILER[place - DIGITS]:
                    events.append(self._drop("too-long", f"byte 0x{byte:02X} where the frame ends"))
        if noise:
            events.append(Noise(bytes(noise), self._position))
        return events

    def _finish(self, body: bytearray) -> Frame | BadFrame:
        if len(body) not in (DIGITS, DIGITS + len(_TRAILER)):
            return self._drop("cut-short", f"{len(body)} bytes where {DIGITS} hex digits stand", closed=True)
        number = bytes.fromhex(body[:DIGITS].decode("ascii"))
        uid, check = number[:5], number[5]
        if check != check_byte(uid):
            return self._drop("check", f"check byte 0x{check:02X}, computed 0x{check_byte(uid):02X}", closed=True)
        # A module whose coil is loose sends zeros with a right check byte; no tag is made with that number.
        if not any(uid):
            return self._drop("empty", "a tag number of zeros", closed=True)
        return Frame(uid, bytes([STX, *body, ETX]), self._position)

    def _drop(self, reason: str, what: str, *, closed: bool = False) -> BadFrame:
        raw = bytes([STX, *(self._body or b"")]) + (bytes([ETX]) if closed else b"")
        self._body = None
        return BadFrame(reason, f"frame ending at byte {self._position}: {what}", raw, self._position)
