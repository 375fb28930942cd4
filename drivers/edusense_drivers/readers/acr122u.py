"""What an ACR122U can beyond its class: light and sound, by commands to the reader itself.

Source: ACR122U API v2.04, 6.2 (bi-colour LED and buzzer control) and 6.7 (buzzer at card detection).
"""

from __future__ import annotations

from typing import Final

__all__ = ["USB_IDS", "sound_for_cards", "verdict"]

USB_IDS: Final = frozenset({"072f:2200"})
"""The models that know these commands."""

_RED, _GREEN = 0x01, 0x02
_BOTH_CHANGE: Final = 0x0C
"""Mask: both lights take their final state."""
_SOUND_WITH_FIRST: Final = 0x01
"""The buzzer sounds in the first of the two times."""


def verdict(granted: bool) -> bytes:
    """Green and a tone of 100 ms, or red and two tones.

    >>> verdict(True).hex(" "), verdict(False).hex(" ")
    ('ff 00 40 0e 04 01 00 01 01', 'ff 00 40 0d 04 01 01 02 01')
    """
    light = (_GREEN if granted else _RED) | _BOTH_CHANGE
    first, second, times = (1, 0, 1) if granted else (1, 1, 2)  # in tenths of a second
    return bytes([0xFF, 0x00, 0x40, light, 0x04, first, second, times, _SOUND_WITH_FIRST])


def sound_for_cards(*, on: bool) -> bytes:
    """Whether the reader sounds by itself for each card that it sees.

    >>> sound_for_cards(on=False).hex(" ")
    'ff 00 52 00 00'
    """
    return bytes([0xFF, 0x00, 0x52, 0xFF if on else 0x00, 0x00])
