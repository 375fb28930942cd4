"""A virtual scanner of bar codes on a pseudo-terminal: a text with a line end for each code that is held before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edusense.errors import CardError
from edusense.sim.reader_serial import VirtualSpeaker

if TYPE_CHECKING:
    from pathlib import Path

    from edusense.devices.card import Card

__all__ = ["VirtualScanner"]


class VirtualScanner(VirtualSpeaker):
    """A scanner, alive until closed. Every method may be called from any thread. Its cards are `token:TEXT`.

    Args:
        path: where a link to the pseudo-terminal is kept, the same after replugging; default: in a temporary folder.
        symbology: whether it tells the code's kind before its text, as `]Q1`.

    Raises:
        UsageError: at `path` is something else already.
    """

    driver = "scanner"
    noise = bytes.fromhex("00FF8055AA0D")

    def __init__(self, path: str | Path | None = None, *, symbology: bool = False) -> None:
        self._symbology = symbology
        super().__init__(path, once=True)

    def frame(self, card: Card) -> bytes:
        """What it sends for a code."""
        if card.technology != "token":
            raise CardError(f"a scanner reads codes and not `{card}`", hint="give `token:TEXT`")
        return (b"]Q1" if self._symbology else b"") + card.uid + b"\r\n"

    def spoil(self, frame: bytes) -> bytes:
        """The text with a character that was read wrong: no ASCII."""
        return frame[:-3] + b"\xe9" + frame[-2:]
