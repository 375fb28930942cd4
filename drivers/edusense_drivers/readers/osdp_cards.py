"""From the bits that an OSDP reader tells (osdp_RAW) to a card.

A reader sends what it reads without saying which kind of card it was: 26, 34 and 37 bits are what a Wiegand line would
carry; 32, 56 and 80 bits are the UIDs of ISO 14443-A; 40 bits a whole EM4100 number. Source: SIA OSDP v2.1.7, 7.10.
"""

from __future__ import annotations

from typing import Final

from edusense.devices.wiegand import WIDTHS, parity_problem, unpack
from edusense_drivers.readers.wiegand_cards import identity

__all__ = ["number"]

_UIDS: Final = {32: "iso14443a", 56: "iso14443a", 80: "iso14443a", 40: "em4100", 64: "iso15693"}
_LONGEST: Final = 256


def number(bits: int, data: bytes, cards: str = "any", order: str = "wire") -> tuple[str, bytes]:
    """Technology and number.

    Args:
        bits: how many were read.
        data: the bits, left-aligned.
        cards: what the reader reads, as in `wiegand_cards.KINDS`.
        order: of a UID's bytes: `wire` or `reversed`.

    Raises:
        ValueError: a wrong parity, or no bits at all; the message says which bit.

    >>> number(26, bytes.fromhex("8A5C9C00"))
    ('wiegand26', b'\\x14\\xb98')
    >>> number(56, bytes.fromhex("04A1B2C3D4E5F6"))[0]
    'iso14443a'
    """
    if not 0 < bits <= _LONGEST or len(data) < (bits + 7) // 8:
        raise ValueError(f"{bits} bits in {len(data)} bytes")
    frame = int.from_bytes(data[: (bits + 7) // 8], "big") >> (-bits % 8)
    if bits in WIDTHS:
        if problem := parity_problem(frame, bits):
            raise ValueError(f"a frame of {bits} bits with a wrong parity: {problem}")
        uid = unpack(frame, bits).to_bytes((bits - 2 + 7) // 8, "big")
        return identity(f"wiegand{bits}", uid, cards, order)
    uid = frame.to_bytes((bits + 7) // 8, "big")
    kind = _UIDS.get(bits)
    if kind is None:
        return f"raw{bits}", uid
    return kind, uid[::-1] if order == "reversed" else uid
