"""What bytes that are no frame tell: a speed that does not fit, or a device that is no reader.

A port that listens at another speed than the reader speaks still delivers bytes; which ones is plain arithmetic
(`misheard`), and they look like nothing that devices say. `suspicion` turns that into a sentence.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["misheard", "suspicion"]

_ENOUGH: Final = 24
"""Bytes below which nothing is suspected: two frames of the shortest protocol."""
_STRANGERS: Final[tuple[tuple[re.Pattern[bytes], str], ...]] = (
    (re.compile(rb"\$(?:GP|GN|GL|GA|BD|GB)[A-Z]{3},"), "a GPS receiver (NMEA lines such as `$GPGGA`)"),
    (re.compile(rb"(?:^|[\r\n])(?:\+C[A-Z]{2,5}:|RING|NO CARRIER|AT\+)"), "a modem (`+CREG:`, `RING`)"),
    (re.compile(rb"\x1b@|\x1b\x21|\x1d\x56|@PJL"), "a printer (ESC/POS or PJL)"),
    (re.compile(rb"login: |U-Boot|\x1b\[\d*[;\d]*[mHJ]"), "the console of a computer"),
    (re.compile(rb"(?:^|[\r\n])(?:ST|US|OL),(?:GS|NT),|[+\- ]\d+\.\d+ ?kg", re.IGNORECASE), "a weighing scale"),
)
_PLAIN: Final = frozenset(range(0x20, 0x7F)) | {0x02, 0x03, 0x09, 0x0A, 0x0D}
_ONE_EDGE: Final = frozenset({0x00, 0x80, 0xC0, 0xE0, 0xF0, 0xF8, 0xFC, 0xFE, 0xFF})
"""Bytes whose bits, in the order of the line, are low and then high: what a much slower sender's long bits make."""


def suspicion(data: bytes, baud: int) -> str | None:
    """What bytes without a frame most probably are; None where they tell nothing.

    Args:
        data: what came and was no frame, some hundred bytes of it at most are looked at.
        baud: the speed that it was heard at.

    >>> suspicion(b"$GPGGA,123519,4807.038,N,01131.000,E,1,08", 9600)
    'it looks like a GPS receiver (NMEA lines such as `$GPGGA`)'
    >>> suspicion(misheard(b"\\x02010063E9AE25\\x03" * 4, 9600, 57600), 57600)
    'the bytes look like those of a reader that speaks slower than 57600 baud'
    """
    if len(data) < _ENOUGH:
        return None
    data = data[-512:]
    for pattern, told in _STRANGERS:
        if pattern.search(data):
            return f"it looks like {told}"
    if sum(byte in _ONE_EDGE for byte in data) >= 0.9 * len(data):
        if len(set(data)) > 1:
            return f"the bytes look like those of a reader that speaks slower than {baud} baud"
        return f"only 0x{data[0]:02X} comes: a reader that speaks much slower than {baud} baud, or a wire that is off"
    strange = sum(byte not in _PLAIN for byte in data)
    if strange >= 0.1 * len(data):
        return f"the bytes look like those of a device that does not speak at {baud} baud"
    if not strange:
        return "it is text, but none that a reader of this kind says"
    return None


def misheard(data: bytes, sent: int, heard: int) -> bytes:
    """What a port makes of bytes that were sent at another speed: 8 data bits, no parity, 1 stop bit on both sides.

    The receiver begins at a falling edge and samples the middle of each of its own bits. A byte whose stop bit is low
    is delivered all the same, as Linux does where parity is not checked; the receiver then waits for a high line.

    Args:
        data: the bytes, sent without a pause between them.
        sent: bits a second of the sender.
        heard: bits a second of the receiver.

    >>> misheard(b"abc", 9600, 9600)
    b'abc'
    >>> misheard(b"U", 9600, 19200).hex()
    '66e6'
    """
    if sent == heard or not data:
        return data
    levels = bytearray()
    for byte in data:
        levels += bytes([0, *(byte >> place & 1 for place in range(8)), 1])
    # Times are counted in bits of the receiver, with the product of both speeds as unit, so that nothing is rounded.
    bit, own = heard, sent
    end = len(levels) * bit

    def level(at: int) -> int:
        return levels[at // bit] if at < end else 1

    def edge(at: int) -> int | None:
        """When the line next goes from high to low, from `at` on; None where it does not any more."""
        place = -(-at // bit)
        while place < len(levels):
            if not levels[place] and (place == 0 or levels[place - 1]):
                return place * bit
            place += 1
        return None

    told = bytearray()
    start = edge(0)
    while start is not None:
        middles = [start + (2 * place + 3) * own // 2 for place in range(9)]
        told.append(sum(level(middles[place]) << place for place in range(8)))
        stop = middles[8]
        while stop < end and not level(stop):
            stop += 1 if bit < own else own
        start = edge(stop)
    return bytes(told)
