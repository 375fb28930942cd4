"""A fault of a virtual device that begins and ends: `KIND`, `KIND@FROM` or `KIND@FROM-TO`, in seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from edusense.errors import UsageError

__all__ = ["TimedFault", "parse_fault"]

_TEXT: Final = re.compile(r"(?P<kind>[a-z0-9-]+)(@(?P<start>\d+(\.\d+)?)(-(?P<stop>\d+(\.\d+)?))?)?")


@dataclass(frozen=True)
class TimedFault:
    """One fault.

    Attributes:
        kind: its name.
        start_s: seconds after the device's start until it begins.
        stop_s: seconds after the device's start until it ends.
    """

    kind: str
    start_s: float = 0.0
    stop_s: float = float("inf")

    def holds(self, after_s: float) -> bool:
        """Whether it is on so many seconds after the start."""
        return self.start_s <= after_s < self.stop_s


def parse_fault(text: str) -> TimedFault:
    """Reads a fault; whether its kind is known is for the caller to say.

    >>> parse_fault("slow@2")
    TimedFault(kind='slow', start_s=2.0, stop_s=inf)

    Raises:
        UsageError: the times are none.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        kind = text.partition("@")[0]
        raise UsageError(f"`{text}` does not say when", hint=f"`{kind}`, `{kind}@10` or `{kind}@10-20`, in seconds")
    start = float(match["start"] or 0)
    stop = float(match["stop"]) if match["stop"] else float("inf")
    if stop <= start:
        raise UsageError(f"`{text}` ends before it begins", hint=f"`{match['kind']}@10-20`, in seconds")
    return TimedFault(match["kind"], start, stop)
