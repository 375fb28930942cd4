"""The texts that scanners type which pose as keyboards. No device, no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edusense.devices.card_kinds import text_problem
from edusense_drivers.readers.frames import BadFrame, Frame
from edusense_drivers.readers.keyboard_typing import TypingDecoder
from edusense_drivers.readers.scanner_lines import LONGEST, token

if TYPE_CHECKING:
    from edusense_drivers.readers.frames import Event

__all__ = ["TextDecoder"]


class TextDecoder(TypingDecoder):
    """Turns input events into frames of the kind `token`; keeps one event and 512 keys at most.

    Args:
        gap_s: seconds between two keys of one text at most.
        keys: which country's keys the scanner was set to type.
    """

    def __init__(self, *, gap_s: float = 0.1, keys: str = "us") -> None:
        super().__init__(gap_s=gap_s, keys=keys, longest=LONGEST)

    def _judge(self, text: str) -> Event:
        told = token(text)
        raw = text.encode()
        if problem := text_problem("token", told):
            what = f"text ending at byte {self._position} of the events: {problem}"
            return BadFrame("not-text", what, raw, self._position)
        return Frame(told.encode("ascii"), raw, self._position, "token")
