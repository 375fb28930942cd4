"""What `closed` and `school-days` mean to a box: the calendar of the roster, as it is now."""

from __future__ import annotations

import datetime

import pytest

from edusense.box.cameras import CamerasPart
from edusense.box.school_days import AGAIN_S, SchoolDays
from edusense.meals.calendar import Closure
from edusense.meals.of_site import open_store, store_path
from edusense.site import Site

MONDAY = datetime.date(2026, 11, 30)
SATURDAY = datetime.date(2026, 12, 5)
TEXT = """[site]
id = "s"
number = 1
data = "data"
[[rooms]]
id = "1"
kind = "gym"
[[cameras]]
id = "a"
room = "1"
url = "rtsp://127.0.0.1/a"
[[zones]]
id = "night"
camera = "a"
kind = "ignore"
polygon = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0]]
hours = "closed 00:00-24:00"
"""
MEALS = """[meals]
roster = "roster.csv"
[[meals.slots]]
id = "lunch"
from = "11:00"
to = "14:00"
price = "450.00"
"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "school.toml").write_text(TEXT + MEALS)
    return Site.load(tmp_path / "school.toml")


def close(site, first, last, forms=()):
    with open_store(site) as store:
        store.days.close(Closure(first, last, "holiday", forms), by="the director", at=0.0)


def test_a_day_that_somebody_closes_is_closed_a_minute_later(site):
    now = [0.0]
    days = SchoolDays(lambda: site, monotonic=lambda: now[0])
    assert [days.closed(day) for day in (MONDAY, SATURDAY)] == [False, True]
    close(site, MONDAY, MONDAY)
    close(site, MONDAY + datetime.timedelta(1), MONDAY + datetime.timedelta(1), ("1А",))
    assert not days.closed(MONDAY)
    now[0] += AGAIN_S
    assert days.closed(MONDAY)
    assert not days.closed(MONDAY + datetime.timedelta(1)), "some classes are at home, and the school is open"


def test_a_school_without_meals_is_closed_at_weekends(tmp_path):
    days = SchoolDays(lambda: Site.loads(TEXT, path=tmp_path / "school.toml"))
    assert [days.closed(day) for day in (MONDAY, SATURDAY)] == [False, True]


def test_a_school_that_has_meals_on_saturdays_is_open_then(tmp_path):
    text = TEXT + MEALS.replace('roster = "roster.csv"', 'roster = "roster.csv"\ndays = "mon-sat"')
    days = SchoolDays(lambda: Site.loads(text, path=tmp_path / "school.toml"))
    assert not days.closed(SATURDAY)
    assert days.closed(SATURDAY + datetime.timedelta(1))


def test_a_calendar_that_cannot_be_read_is_told_once_and_what_was_known_holds(site, caplog):
    now = [0.0]
    days = SchoolDays(lambda: site, monotonic=lambda: now[0])
    close(site, MONDAY, MONDAY)
    assert days.closed(MONDAY)
    store_path(site).write_bytes(b"no data base" * 100)
    for _ in range(3):
        now[0] += AGAIN_S
        assert days.closed(MONDAY)
    assert caplog.text.count("calendar cannot be read") == 1


def test_zones_go_by_it(site):
    noon = datetime.datetime.combine(MONDAY, datetime.time(7), datetime.UTC).timestamp()
    days = SchoolDays(lambda: site)
    part = CamerasPart(site, None, None, clock=lambda: noon, closed=days.closed)  # type: ignore[arg-type]
    assert part._zones_of("a") == ()
    close(site, MONDAY, MONDAY)
    days = SchoolDays(lambda: site)
    part = CamerasPart(site, None, None, clock=lambda: noon, closed=days.closed)  # type: ignore[arg-type]
    assert [zone.id for zone in part._zones_of("a")] == ["night"]
