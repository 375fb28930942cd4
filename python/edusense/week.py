"""Days of the week as the site file and people write them: `mon-fri`, `mon-thu,sat`."""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["WEEKDAYS", "days_of"]

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""The days by their number: 0 is Monday, as in Python's `weekday()`."""

_DAY: Final = f"(?:{'|'.join(WEEKDAYS)})"
_WEEK: Final = re.compile(f"{_DAY}(?:-{_DAY})?(?:,{_DAY}(?:-{_DAY})?)*")


def days_of(text: Any) -> frozenset[int]:
    """The days that a text names, by number; none for anything that names none.

    Args:
        text: such as `mon-fri`; anything.

    >>> sorted(days_of("sat-mon"))
    [0, 5, 6]
    >>> days_of("friday")
    frozenset()
    """
    found: set[int] = set()
    if isinstance(text, str) and _WEEK.fullmatch(text):
        for part in text.split(","):
            first, _, last = part.partition("-")
            begin, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
            found |= {index % 7 for index in range(begin, end + 1 if end >= begin else end + 8)}
    return frozenset(found)
