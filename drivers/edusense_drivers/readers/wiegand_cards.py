"""From the bits of a Wiegand line, or of an OSDP reader, to the card that they may be.

A line of 26 bits carries 24 bits of some card's number and does not say which kind of card it is; what the reader at
its other end reads, only people know: the option `cards` tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edusense.errors import UsageError

if TYPE_CHECKING:
    from edusense.devices.address import Address

__all__ = ["CARDS_HELP", "KINDS", "ORDER_HELP", "check_options", "identity"]

KINDS: Final = ("any", "em4100", "iso14443a")
CARDS_HELP: Final = (
    "what the reader at the line's other end reads: `em4100`, `iso14443a` (34 bits: the UID of four bytes), or `any`, "
    "which is nobody's guess: a card of the kind `wiegand26`, found by the end of an EM4100 number"
)
ORDER_HELP: Final = "with cards=iso14443a: the order of the UID's bytes, `wire` or `reversed`"
_ORDERS: Final = ("wire", "reversed")


def check_options(address: Address) -> tuple[str, str]:
    """The options `cards` and `order` of an address.

    Raises:
        UsageError: one of them is nothing that there is.
    """
    cards, order = address.options.get("cards", "any"), address.options.get("order", "wire")
    if cards not in KINDS:
        raise UsageError(f"`{address}`: `cards` is `{cards}`", hint=f"one of {', '.join(KINDS)}")
    if order not in _ORDERS:
        raise UsageError(f"`{address}`: `order` is `{order}`", hint=f"one of {', '.join(_ORDERS)}")
    if order != "wire" and cards != "iso14443a":
        raise UsageError(f"`{address}`: `order` goes with cards=iso14443a", hint="other numbers have one order")
    return cards, order


def identity(kind: str, uid: bytes, cards: str, order: str = "wire") -> tuple[str, bytes]:
    """Technology and number of a card.

    Args:
        kind: `wiegand26`, `wiegand34` or `wiegand37`.
        uid: the data bits, right-aligned in whole bytes.
        cards: what the reader reads: one of `KINDS`.
        order: of the bytes of a UID.

    >>> identity("wiegand34", bytes.fromhex("4043CB9D"), "iso14443a", "reversed")
    ('iso14443a', b'\\x9d\\xcbC@')
    >>> identity("wiegand26", bytes.fromhex("63E9AE"), "em4100")
    ('em4100', b'c\\xe9\\xae')
    """
    if cards == "em4100" and len(uid) in (3, 4):
        return "em4100", uid
    if cards == "iso14443a" and len(uid) == 4:
        return "iso14443a", uid if order == "wire" else uid[::-1]
    return kind, uid
