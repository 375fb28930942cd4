"""When a zone applies: `always`, or days and times of the school's own clock, also past midnight.

```text
always                              at any time
mon-fri 18:00-07:00                 from 18:00 to 07:00 of the next day
mon-fri 18:00-07:00; sat,sun 00:00-24:00
school-days 00:00-07:30; closed 00:00-24:00      by the school's calendar
```

A part that goes past midnight belongs to the day on which it begins. `to` itself is outside.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edusense.errors import UsageError
from edusense.week import WEEKDAYS, days_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ALWAYS", "Part", "Schedule", "parse_hours"]

SCHOOL_DAYS: Final = "school-days"
CLOSED: Final = "closed"
DAY_MINUTES: Final = 24 * 60

_DAY: Final = f"({'|'.join(WEEKDAYS)})"
_PART: Final = re.compile(
    rf"(?P<days>{_DAY}(-{_DAY})?(,{_DAY}(-{_DAY})?)*|{SCHOOL_DAYS}|{CLOSED}) "
    r"(?P<from>([01]\d|2[0-3]):[0-5]\d)-(?P<to>([01]\d|2[0-3]):[0-5]\d|24:00)"
)
HINT: Final = (
    'hours = "always", or days and times: "mon-fri 18:00-07:00", "sat,sun 00:00-24:00", "closed 00:00-24:00"; '
    'several parted by ";"'
)


@dataclass(frozen=True)
class Part:
    """One span of a schedule.

    Attributes:
        days: numbers of the days on which it begins, 0 for Monday; empty where the calendar says which.
        by_calendar: `school-days`, `closed`, or None.
        start: minutes from midnight.
        stop: minutes from midnight of the day on which it begins; past 1440 it ends on the next one.
        text: as it was written.
    """

    days: frozenset[int]
    by_calendar: str | None
    start: int
    stop: int
    text: str

    def begins_on(self, day: datetime.date, closed: Callable[[datetime.date], bool]) -> bool:
        """Whether it begins on a day."""
        if self.by_calendar is None:
            return day.weekday() in self.days
        return closed(day) == (self.by_calendar == CLOSED)


def no_calendar(day: datetime.date) -> bool:
    """The calendar of a school that has none: closed at weekends."""
    return day.weekday() >= 5


class Schedule:
    """When something applies.

    Args:
        parts: its spans; None for always.
        closed: the school's calendar: whether it is closed on a day.

    >>> import datetime
    >>> evening = Schedule(parse_hours("mon-fri 18:00-07:00"))
    >>> evening.holds(datetime.datetime(2026, 9, 14, 19, 40)), evening.holds(datetime.datetime(2026, 9, 15, 7, 0))
    (True, False)
    >>> evening.holds(datetime.datetime(2026, 9, 19, 3, 0)), evening.holds(datetime.datetime(2026, 9, 19, 19, 0))
    (True, False)
    """

    def __init__(
        self, parts: tuple[Part, ...] | None, *, closed: Callable[[datetime.date], bool] = no_calendar
    ) -> None:
        self._parts = parts
        self._closed = closed

    def holds(self, local: datetime.datetime) -> bool:
        """Whether it applies at a time of the school's own clock."""
        if self._parts is None:
            return True
        minute = local.hour * 60 + local.minute
        today = local.date()
        yesterday = today - datetime.timedelta(days=1)
        return any(
            (part.start <= minute < part.stop and part.begins_on(today, self._closed))
            or (minute + DAY_MINUTES < part.stop and part.begins_on(yesterday, self._closed))
            for part in self._parts
        )


ALWAYS: Final = Schedule(None)


def parse_hours(text: str) -> tuple[Part, ...] | None:
    """The spans that a schedule is made of; None for `always`.

    Raises:
        UsageError: it is no schedule, holds a span that never comes, or spans that overlap.

    >>> [part.stop for part in parse_hours("mon-fri 18:00-07:00; sat,sun 00:00-24:00")]
    [1860, 1440]
    """
    if text.strip() == "always":
        return None
    parts = tuple(_part(piece.strip()) for piece in text.split(";"))
    _apart(parts)
    return parts


def _part(text: str) -> Part:
    match = _PART.fullmatch(text)
    if match is None:
        raise UsageError(f"`{text[:60]}` is not a schedule", hint=HINT)
    start, stop = _minutes(match["from"]), _minutes(match["to"])
    if start == stop:
        raise UsageError(
            f"`{text}` never comes: it begins and ends at one time", hint='the whole day is written "00:00-24:00"'
        )
    named = match["days"]
    by_calendar = named if named in (SCHOOL_DAYS, CLOSED) else None
    days: frozenset[int] = frozenset() if by_calendar else days_of(named)
    return Part(days, by_calendar, start, stop if stop > start else stop + DAY_MINUTES, text)


def _apart(parts: tuple[Part, ...]) -> None:
    """Refuses spans that overlap on the day on which both begin: one of them was meant otherwise.

    What goes on past midnight may meet the next day's span: "mon-fri 18:00-07:00; sat,sun 00:00-24:00" is how people
    write it.
    """
    for index, later in enumerate(parts):
        for earlier in parts[:index]:
            same = later.by_calendar == earlier.by_calendar and (later.by_calendar or later.days & earlier.days)
            if same and earlier.start < later.stop and later.start < earlier.stop:
                raise UsageError(
                    f"`{later.text}` overlaps `{earlier.text}`", hint="each moment of a day belongs to one part"
                )


def _minutes(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)
