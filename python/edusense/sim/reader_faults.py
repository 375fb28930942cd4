"""What virtual readers can be told to do wrong: one word for each fault, the same for all protocols that can have it.

It imports nothing: the command line knows the faults without loading a simulator.
"""

from __future__ import annotations

from typing import Final

__all__ = ["COMMON", "FAULTS", "KINDS", "LASTING"]

COMMON: Final[dict[str, str]] = {
    "bad-checksum": "the next frame's check sum is wrong",
    "noise": "bytes that belong to no frame come before the next one",
    "split": "the next frame comes in two pieces, with a pause between them",
    "unplug": "the plug is pulled for a second",
    "silence": "it says and hears nothing for a second",
    "stuck": "the next card stays in its field though it is taken away, until a reset or the plug is pulled",
    "reset": "it restarts: settings are lost, and what lies there comes anew",
    "two-cards": "a second card lies beside the next one",
    "wrong-baud": "from now on it speaks at twice its speed",
}
"""Faults that most protocols can have."""

_SERIAL: Final = (*COMMON, "half-frame")
_OWN: Final[dict[str, str]] = {
    "half-frame": "the next frame is cut in the middle",
    "half-number": "the next number is cut in the middle, and no Enter follows",
    "slow": "the next number comes as slowly as a person types",
    "letters": "a letter stands before the next number",
    "time-extension": "it asks for more time before the next answer",
    "stale": "an answer to an earlier request comes before the next one",
    "mute": "the next card does not answer when it is powered up",
    "no-uid": "the next card tells no number",
    "garbage": "its next answer is none of its protocol",
    "too-long": "the next answer to an APDU has more bytes than were asked for",
    "wrong-key": "its key for the secure channel is another one",
    "wrong-parity": "the next frame of the line has a wrong parity bit",
    "biometric": "it sends a template along with the next number, which must not be kept",
}

KINDS: Final[dict[str, tuple[str, ...]]] = {
    "rdm6300": _SERIAL,
    "ironlogic": _SERIAL,
    "pn532": (*COMMON, "half-frame", "too-long"),
    "keyboard": (
        *(name for name in COMMON if name not in ("bad-checksum", "wrong-baud")),
        "half-number",
        "slow",
        "letters",
    ),
    "wiegand": (*(name for name in _SERIAL if name != "bad-checksum"), "wrong-parity"),
    "scanner": tuple(name for name in _SERIAL if name != "bad-checksum"),
    "osdp": (*_SERIAL, "wrong-key"),
    "external": ("noise", "split", "unplug", "silence", "stuck", "reset", "two-cards", "wrong-key", "biometric"),
    "ccid": (
        *(name for name in COMMON if name != "wrong-baud"),
        "time-extension",
        "stale",
        "mute",
        "no-uid",
        "garbage",
        "too-long",
    ),
}
"""The faults of each virtual reader. Keys, codes and lines over a network have no check sum of their own, a Wiegand
line has parity bits instead, and where there is no serial line there is no speed to be wrong.
"""

FAULTS: Final[dict[str, str]] = COMMON | _OWN
"""Every fault, and what it does."""

LASTING: Final = frozenset({"wrong-baud", "wrong-key"})
"""Faults that are a state and not an event: once is enough."""
