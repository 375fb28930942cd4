"""Frames of a Wiegand line: data between two parity bits, of 26, 34 or 37 bits.

```text
26   P dddddddddddddddddddddddd P                even over the first 12 data bits, odd over the last 12
34   P dddddddddddddddddddddddddddddddd P        even over 16, odd over 16
37   P ddddddddddddddddddddddddddddddddddd P     even over the first 18 of 35, odd over the last 18: they share one
```

Sources: HID's H10301 (26 bits: 8 of facility, 16 of number), IDTECK SR10 manual p. 10 (34 bits), HID's H10302 and
H10304 (37 bits: a number of 35 bits, or 16 of facility and 19 of number), as programs that write cards pack them.
"""

from __future__ import annotations

from typing import Final

__all__ = ["WIDTHS", "bits_of", "pack", "parity_problem", "unpack"]

WIDTHS: Final[dict[int, int]] = {26: 12, 34: 16, 37: 18}
"""Bits in a frame, and how many data bits each of its two parity bits covers."""


def pack(data: int, width: int) -> int:
    """The frame around some data, first bit highest.

    Args:
        data: the data bits as a number.
        width: bits in the frame: one of `WIDTHS`.

    Raises:
        ValueError: more data than the frame holds, or no such frame.

    >>> hex(pack(0x7EE424, 26)), hex(pack(0x0063E9AE, 34))
    ('0x2fdc848', '0xc7d35d')
    """
    if width not in WIDTHS:
        raise ValueError(f"no frame has {width} bits")
    if not 0 <= data < 1 << (width - 2):
        raise ValueError(f"0x{data:X} does not fit into {width - 2} bits")
    first, last = _parities(data, width)
    return first << (width - 1) | data << 1 | last


def unpack(frame: int, width: int) -> int:
    """The data in a frame; its parity is not looked at.

    >>> hex(unpack(0x2FDC848, 26))
    '0x7ee424'
    """
    return frame >> 1 & ((1 << (width - 2)) - 1)


def parity_problem(frame: int, width: int) -> str | None:
    """Which parity bit of a frame is wrong; None where both are right.

    Args:
        frame: the frame, first bit highest.
        width: bits in the frame.

    >>> parity_problem(0x21A6616, 26) is None
    True
    >>> parity_problem(0x21A6617, 26)
    'bit 25 is 1; odd parity over bits 13 to 24 makes it 0'
    """
    covered = WIDTHS[width]
    first, last = _parities(unpack(frame, width), width)
    if frame >> (width - 1) & 1 != first:
        return f"bit 0 is {1 - first}; even parity over bits 1 to {covered} makes it {first}"
    if frame & 1 != last:
        return (
            f"bit {width - 1} is {1 - last}; odd parity over bits {width - 1 - covered} to {width - 2} makes it {last}"
        )
    return None


def bits_of(frame: int, width: int) -> str:
    """A frame as ones and zeros, in the order of the line.

    >>> bits_of(0x21A6616, 26)
    '10000110100110011000010110'
    """
    return f"{frame:0{width}b}"


def _parities(data: int, width: int) -> tuple[int, int]:
    covered = WIDTHS[width]
    even = (data >> (width - 2 - covered)).bit_count() & 1
    odd = (data & ((1 << covered) - 1)).bit_count() & 1 ^ 1
    return even, odd
