"""Whether the school is closed on a day: what `closed` and `school-days` in the hours of zones mean.

The calendar is that of the roster (`edusense roster calendar`): closures of the whole school, and the days of the week
on which it has meals. A school without a roster is closed at weekends.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from edusense.errors import EdusenseError
from edusense.site.hours import no_calendar

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable

    from edusense.meals.calendar import Calendar
    from edusense.site import Site

__all__ = ["SchoolDays"]

logger = logging.getLogger(__name__)

AGAIN_S: Final = 60.0
"""So soon somebody who closes a day sees that it acts."""
USUAL: Final = "mon-fri"


class SchoolDays:
    """A site's calendar, read again once a minute; any thread may ask.

    Args:
        site: gives the site file as it is now.
        monotonic: seconds that never jump.
    """

    def __init__(self, site: Callable[[], Site], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._site, self._monotonic = site, monotonic
        self._lock = threading.Lock()
        self._calendar: Calendar | None = None
        self._due = -1.0
        self._trouble: str | None = None

    def closed(self, day: datetime.date) -> bool:
        """Whether the whole school is closed on a day."""
        with self._lock:
            if self._monotonic() >= self._due:
                self._read()
                self._due = self._monotonic() + AGAIN_S
            calendar = self._calendar
        if calendar is None:
            return no_calendar(day)
        # A closure of some classes leaves the others in the house; no class has an empty name.
        return calendar.closed(day, "") is not None

    def _read(self) -> None:
        site = self._site()
        if site.meals is None:
            self._calendar = None
            return
        from edusense.meals.of_site import open_store, store_path

        try:
            if not store_path(site).exists():
                # Nobody has closed a day yet.
                from edusense.meals.calendar import Calendar

                self._calendar = Calendar(days=site.meals.days or USUAL)
                return
            with open_store(site, read_only=True) as store:
                self._calendar = store.days.calendar(site.meals.days or USUAL)
            self._trouble = None
        except EdusenseError as error:
            # What was known of it still holds; without any, weekends are what is closed.
            if self._trouble != str(error):
                self._trouble = str(error)
                logger.warning("the school's calendar cannot be read, zones go by what was known of it: %s", error)
