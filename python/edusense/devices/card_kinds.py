"""Kinds of cards: what they are called, how long their numbers are, and which of them are the same to a reader.

Sources: EM4100 data sheet (40 bits); ISO/IEC 14443-3 and NXP AN10927 (UIDs of 4, 7 and 10 bytes); ISO/IEC 15693-3;
JIS X 6319-4 (FeliCa); HID's format H10301 and its kin for Wiegand lines.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["ASSURANCES", "KINDS", "PRINTED", "TECHNOLOGIES", "TEXTS", "normal_kind", "text_problem"]

TECHNOLOGIES: Final[dict[str, frozenset[int]]] = {
    "em4100": frozenset({5}),
    "iso14443a": frozenset({4, 7, 10}),
    "iso14443b": frozenset({4}),
    "iso15693": frozenset({8}),
    "felica": frozenset({8}),
    "wiegand26": frozenset({3}),
    "wiegand34": frozenset({4}),
    "wiegand37": frozenset({5}),
}
"""Kinds of cards that are known by name, with the lengths in bytes that their full numbers have. A Wiegand line carries
a part of some card's number and not the card's kind; that is a kind of its own here.
"""

KINDS: Final[dict[str, str]] = {
    "em-marine": "em4100",
    "em4102": "em4100",
    "mifare": "iso14443a",
    "mifare-classic": "iso14443a",
    "mifare-ultralight": "iso14443a",
    "mifare-plus": "iso14443a",
    "mifare-desfire": "iso14443a",
    "ntag": "iso14443a",
    "type-4-tag": "iso14443a",
}
"""Products by the technology that they are to a reader: a MIFARE Classic that one reader calls by its name is the card
that another calls ISO 14443-A.
"""

PRINTED: Final[dict[str, frozenset[int]]] = {"em4100": frozenset({3, 4})}
"""Lengths that are only a part of the number: what is printed on the card leaves the first bytes out."""

TEXTS: Final[dict[str, tuple[re.Pattern[str], int]]] = {
    "person": (re.compile(r"[0-9A-Za-z][0-9A-Za-z._\-]*"), 32),
    "pupil": (re.compile(r"[1-9][0-9]*"), 18),
    "token": (re.compile(r"[!-~](?:[ -~]*[!-~])?"), 512),
}
"""What is text and no number of a card: a person's number in the words of a terminal that knows people by other
means, our own number of a pupil, and what stands in a bar code. Each with the characters and the length it may have.
"""

ASSURANCES: Final = ("printed", "uid", "authenticated")
"""How much a number proves, rising: somebody typed or printed it; a card told it (and a copy would too); a card
proved a secret.
"""


def normal_kind(kind: str) -> str:
    """The technology by which cards of a kind are compared.

    >>> normal_kind("mifare-classic"), normal_kind("em4100")
    ('iso14443a', 'em4100')
    """
    return KINDS.get(kind, kind)


def text_problem(kind: str, text: str) -> str | None:
    """What is wrong with a person's number or a token; None where nothing is.

    >>> text_problem("person", "1017") is None
    True
    >>> text_problem("person", "10 17")
    'letters, digits, `.`, `_` and `-` make a number of a person'
    """
    pattern, longest = TEXTS[kind]
    if not text:
        return "it is empty"
    if len(text) > longest:
        return f"it has {len(text)} characters; the most is {longest}"
    if not pattern.fullmatch(text):
        if kind == "person":
            return "letters, digits, `.`, `_` and `-` make a number of a person"
        if kind == "pupil":
            return "our numbers of pupils are whole numbers from 1"
        return "only printable ASCII makes a token, with no space at its ends"
    return None
