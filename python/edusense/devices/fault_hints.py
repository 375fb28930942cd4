"""What to do about frames that drivers drop, by the word that they are counted by (`ReaderStats.faults`)."""

from __future__ import annotations

from typing import Final

__all__ = ["FAULT_HINTS", "fault_hint"]

FAULT_HINTS: Final[dict[str, str]] = {
    "answer": "lay the card down again; where it stays so, plug the reader in again",
    "card": "lay the card down again and leave it there; another card tells whether the card or the reader is at fault",
    "check": "a worn or long cable, or a weak supply: try another cable first",
    "control": "another protocol, or noise: `edusense reader identify PORT` says which protocol speaks",
    "cut-short": "a loose plug, or a card that was moved away too soon",
    "empty": "a reader whose coil or antenna is loose tells zeros; try another card, then another reader",
    "grammar": "another firmware: `edusense reader listen -v` shows the line; send it to the driver's author",
    "held": "a person's keyboard, not a reader: a reader holds no key down",
    "interrupt": "harmless; a firmware of its own kind",
    "length": "another width or form than the reader was set to: look at the driver's options `width` and `form`",
    "lost": "this computer was too busy to listen; the card must be laid down again",
    "no-number": "look at the field in which the terminal sends the number: the driver's option `field`",
    "no-uid": "a card without a number of its own, or one that this reader cannot read: give the child another card",
    "not-bits": "the converter writes in another form: the driver's option `form`",
    "not-decimal": "the converter writes in another form: the driver's option `form`",
    "not-hex": "a worn cable, or another speed: `edusense reader identify PORT` tries them",
    "not-number": "the reader types in another way: the driver's options `layout`, `keys`, `prefix` and `suffix`",
    "not-text": "a code with other characters than printable ASCII, or a scanner set to another country's keys",
    "number": "a number that no card of this kind has: the driver's option `cards`",
    "order": "the firmware writes the bytes in another order: write the option that the message names",
    "parity": "a worn Wiegand line, or another width: the driver's option `width`",
    "refused": "`edusense reader listen -v` shows what was asked; plug the reader in again",
    "slow": "typed by a person, or by a reader set to type slowly: the driver's option `gap`",
    "too-long": "another protocol or another speed: `edusense reader identify PORT` tries them",
    "wrong-key": "the terminal shows another key than the one that the address names",
}
"""Every reason of our own drivers; other packages may use these words, or words of their own."""


def fault_hint(reason: str) -> str | None:
    """What to do about a dropped frame; None for a word that is not known here.

    >>> fault_hint("cut-short")
    'a loose plug, or a card that was moved away too soon'
    """
    return FAULT_HINTS.get(reason)
