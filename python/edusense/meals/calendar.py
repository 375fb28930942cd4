"""On which days, and for which classes, no meals are given: holidays, sanitary days, a class kept at home by frost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import UsageError
from edusense.week import days_of

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable

__all__ = ["CLOSURE_REASONS", "Calendar", "Closure"]

CLOSURE_REASONS: Final = ("holiday", "vacation", "sanitary-day", "weather", "quarantine", "other")
"""Why a day is closed."""


@dataclass(frozen=True)
class Closure:
    """Days without meals.

    >>> import datetime
    >>> frost = Closure(datetime.date(2026, 12, 13), datetime.date(2026, 12, 15), "weather", forms=("1А", "2Б"))
    >>> frost.holds(datetime.date(2026, 12, 14), "2Б"), frost.holds(datetime.date(2026, 12, 14), "9А")
    (True, False)
    """

    first: datetime.date
    last: datetime.date
    reason: str = "other"
    """One of `CLOSURE_REASONS`, or `weekend`."""
    forms: tuple[str, ...] = ()
    """The classes that it is for; empty: the whole school."""
    note: str | None = None
    """In somebody's own words."""

    def holds(self, day: datetime.date, form: str) -> bool:
        """Whether a class has no meals on a day because of this."""
        return self.first <= day <= self.last and (not self.forms or form in self.forms)

    def to_json(self) -> dict[str, Any]:
        """The closure as `edusense roster calendar --json` prints it."""
        return {
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "reason": self.reason,
            "classes": list(self.forms),
            "note": self.note,
        }


class Calendar:
    """The days of a school on which meals are given.

    Args:
        closures: days and classes without meals.
        days: the days of the week with meals, such as `mon-fri`; None: all of them, as in a boarding school.

    Raises:
        UsageError: `days` names none.

    >>> import datetime
    >>> school = Calendar(days="mon-fri")
    >>> school.closed(datetime.date(2026, 10, 4), "4Б").reason
    'weekend'
    >>> school.closed(datetime.date(2026, 10, 5), "4Б") is None
    True
    """

    def __init__(self, closures: Iterable[Closure] = (), *, days: str | None = None) -> None:
        self.closures = tuple(closures)
        self._days = days_of("mon-sun" if days is None else days)
        if not self._days:
            raise UsageError(f"`{days}` names no days of the week", hint="such as `mon-fri` or `mon-thu,sat`")

    def closed(self, day: datetime.date, form: str) -> Closure | None:
        """Why a class has no meals on a day; None: it has.

        Args:
            day: the day that a meal would count for.
            form: the class.
        """
        for closure in self.closures:
            if closure.holds(day, form):
                return closure
        if day.weekday() not in self._days:
            return Closure(day, day, "weekend")
        return None
