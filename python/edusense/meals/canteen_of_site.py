"""The pictures of a site's canteen, out of ledger, roster and calendar. The box's pages and the commands share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edusense.errors import RosterError
from edusense.meals.canteen_figures import DayFigures, MonthFigures
from edusense.meals.canteen_pictures import draw_day, draw_month
from edusense.meals.inside import by_class
from edusense.meals.of_site import open_store, read_roster, store_path, today
from edusense.meals.record import DTYPE
from edusense.meals.terminal import time_zone

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable
    from typing import Any

    from numpy.typing import NDArray

    from edusense.meals.calendar import Calendar
    from edusense.meals.canteen_figures import Refused
    from edusense.meals.drawing import Drawing
    from edusense.meals.ledger import Ledger
    from edusense.site import Site

__all__ = ["day_drawing", "month_drawing"]


def day_drawing(site: Site, ledger: Ledger, day: datetime.date, *, refused: Iterable[Refused] | None = None) -> Drawing:
    """The canteen's day.

    Args:
        site: the site file.
        ledger: open for reading or for writing.
        day: the day at the school.
        refused: taps that were answered red; None where nobody knows.
    """
    slots = () if site.meals is None else site.meals.slots
    zone = time_zone(site.site.timezone)
    records = _between(ledger, day, day)
    return draw_day(DayFigures.of(records, day, zone=zone, slots=slots, refused=refused), site.site.id)


def month_drawing(site: Site, ledger: Ledger, first: datetime.date, *, now: float | None = None) -> Drawing:
    """The canteen's month.

    Args:
        site: the site file.
        ledger: open for reading or for writing.
        first: a day of the month.
        now: Unix seconds; None for the machine's time.
    """
    here = today(site, now)
    first = first.replace(day=1)
    last = first.replace(day=28)
    while (following := last.fromordinal(last.toordinal() + 1)).month == first.month:
        last = following
    classes: dict[int, str] = {}
    try:
        roster, _ = read_roster(site, min(max(first, here), last))
        classes = {pupil.number: pupil.form for pupil in roster}
    except RosterError:
        pass  # without a list every meal is of nobody on the list, and the picture says so
    school = _calendar(site)

    def closed(day: datetime.date, form: str) -> str | None:
        closure = school.closed(day, form)
        return None if closure is None else closure.reason

    figures = MonthFigures.of(
        _between(ledger, first, last), first, classes=classes, today=here, closed=closed, order=by_class
    )
    return draw_month(figures, site.site.id)


def _calendar(site: Site) -> Calendar:
    from edusense.meals.calendar import Calendar

    days = None if site.meals is None else site.meals.days
    if not store_path(site).exists():
        return Calendar(days=days)
    with open_store(site, read_only=True) as store:
        return store.days.calendar(days)


def _between(ledger: Ledger, first: datetime.date, last: datetime.date) -> NDArray[Any]:
    """The records of some days; looked for from the end, since what is asked for is mostly of late."""
    from edusense.meals.lookup import records_backwards
    from edusense.meals.record import day_number

    low, high = day_number(first), day_number(last)
    found = []
    for part in records_backwards(ledger):
        days = part["day"]
        found.append(part[(days >= low) & (days <= high)])
        told = days[days > 0]
        # A day's records stand close together; a whole part of earlier days ends the search.
        if len(told) and int(told.max()) < low:
            break
    return np.concatenate(found[::-1]) if found else np.zeros(0, DTYPE)
