"""Hours of zones: what they mean at which moment, and what is refused."""

from __future__ import annotations

import datetime

import pytest

from edusense import Site, errors
from edusense.site.hours import Schedule, parse_hours

MONDAY = datetime.date(2026, 9, 14)


def at(day: int, clock: str) -> datetime.datetime:
    """A moment of the week that begins on Monday the 14th."""
    return datetime.datetime.combine(MONDAY + datetime.timedelta(days=day), datetime.time.fromisoformat(clock))


@pytest.mark.parametrize(
    ("hours", "moment", "holds"),
    [
        ("always", at(2, "12:00"), True),
        ("mon-fri 18:00-07:00", at(0, "17:59"), False),
        ("mon-fri 18:00-07:00", at(0, "18:00"), True),
        ("mon-fri 18:00-07:00", at(1, "06:59"), True),
        ("mon-fri 18:00-07:00", at(1, "07:00"), False),
        ("mon-fri 18:00-07:00", at(0, "03:00"), False),  # Sunday's evening is not in it
        ("mon-fri 18:00-07:00", at(5, "06:00"), True),  # Friday's goes on
        ("mon-fri 18:00-07:00", at(5, "19:00"), False),
        ("sat,sun 00:00-24:00", at(6, "23:59"), True),
        ("sat,sun 00:00-24:00", at(7, "00:00"), False),
        ("sat-mon 09:00-10:00", at(0, "09:30"), True),
        ("mon 08:00-09:00; mon 10:00-11:00", at(0, "09:30"), False),
        ("mon 08:00-09:00; mon 10:00-11:00", at(0, "10:30"), True),
        ("sun 22:00-06:00", at(7, "05:00"), True),
    ],
)
def test_when_it_holds(hours, moment, holds):
    assert Schedule(parse_hours(hours)).holds(moment) is holds


def test_the_calendar_of_the_school_decides_where_it_is_named():
    holidays = {MONDAY + datetime.timedelta(days=1)}
    both = Schedule(
        parse_hours("school-days 18:00-07:00; closed 00:00-24:00"),
        closed=lambda day: day in holidays or day.weekday() > 4,
    )
    assert not both.holds(at(0, "12:00"))
    assert both.holds(at(0, "19:00"))
    assert both.holds(at(1, "12:00")), "a holiday"
    assert not both.holds(at(2, "06:00")), "the night after a holiday is no school day's"
    assert both.holds(at(5, "12:00")), "a Saturday"


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        ("nights", "not a schedule"),
        ("mon-fri 18:00", "not a schedule"),
        ("mon-fri 25:00-07:00", "not a schedule"),
        ("mon 24:00-25:00", "not a schedule"),
        ("mon 09:00-09:00", "never comes"),
        ("mon-fri 09:00-12:00; wed 11:00-14:00", "overlaps"),
        ("closed 09:00-12:00; closed 11:00-14:00", "overlaps"),
    ],
)
def test_what_never_comes_or_overlaps_is_refused(hours, said):
    with pytest.raises(errors.UsageError, match=said):
        parse_hours(hours)
    text = (
        '[site]\nid = "a"\nnumber = 1\n[[rooms]]\nid = "r"\nkind = "attic"\n[[cameras]]\nid = "c"\nroom = "r"\n'
        'url = "rtsp://10.0.0.1/x"\n[[zones]]\nid = "z"\ncamera = "c"\nkind = "forbidden"\n'
        f'polygon = [[0, 0], [1, 0], [1, 1]]\nhours = "{hours}"\n'
    )
    with pytest.raises(errors.SiteValueError, match=said) as caught:
        Site.loads(text)
    assert caught.value.line == len(text.splitlines())


def test_a_night_may_meet_the_next_day():
    assert len(parse_hours("mon-fri 18:00-07:00; sat,sun 00:00-24:00") or ()) == 2
