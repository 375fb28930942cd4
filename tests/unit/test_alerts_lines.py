"""A line that is crossed: which way, by whom, and what does not cross it."""

from __future__ import annotations

import datetime
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense import Site
from edusense.alerts.geometry import segments_cross
from edusense.alerts.rules import ForbiddenZone, Sighting, rule_of

SITE = """
[site]
id = "school-51"
number = 51001
[[rooms]]
id = "gate"
kind = "entrance"
[[cameras]]
id = "gate-1"
room = "gate"
url = "rtsp://10.0.0.1/a"
[[zones]]
id = "over-the-fence"
camera = "gate-1"
kind = "forbidden"
{more}
"""
UP = "line = [[0.5, 0.9], [0.5, 0.1]]\n"
"""Looking along it from below, the left of the picture is on the left."""


def rule(more: str):
    (zone,) = Site.loads(SITE.format(more=more)).zones
    return rule_of(zone)


def sighting(at_s: float, *feet: tuple[int, float, float], event: str = "e1", hour: int = 12) -> Sighting:
    boxes = tuple((x - 0.05, y - 0.294, 0.1, 0.3) for _, x, y in feet)
    local = datetime.datetime(2026, 9, 14, hour, 0, tzinfo=datetime.UTC)
    numbers = tuple(number for number, _, _ in feet)
    return Sighting("gate-1", event, at_s, 0.0, local, boxes, tracks=numbers)


def walked(line_rule, *points: tuple[float, float], **more) -> list[tuple[float, str]]:
    found = []
    for index, (x, y) in enumerate(points):
        finding = line_rule.see(sighting(index * 0.2, (7, x, y), **more))
        if finding is not None:
            found.append((round(finding.end_s, 1), finding.kind))
    return found


RIGHTWARDS = ((0.3, 0.6), (0.4, 0.6), (0.47, 0.6), (0.53, 0.6), (0.6, 0.6), (0.7, 0.6))


def test_it_is_found_when_it_is_crossed_and_once():
    assert walked(rule(UP), *RIGHTWARDS) == [(0.6, "line-crossed")]


@pytest.mark.parametrize(("direction", "rightwards", "leftwards"), [("left", 0, 1), ("right", 1, 0), ("any", 1, 1)])
def test_the_direction_is_that_of_who_looks_along_the_line(direction, rightwards, leftwards):
    more = UP + f'direction = "{direction}"'
    assert len(walked(rule(more), *RIGHTWARDS)) == rightwards
    assert len(walked(rule(more), *reversed(RIGHTWARDS))) == leftwards
    turned = f'line = [[0.5, 0.1], [0.5, 0.9]]\ndirection = "{direction}"'
    assert len(walked(rule(turned), *RIGHTWARDS)) == leftwards


def test_who_comes_back_has_crossed_twice():
    assert len(walked(rule(UP), *RIGHTWARDS, *reversed(RIGHTWARDS))) == 2


def test_feet_that_tremble_on_the_line_do_not_cross_it():
    trembling = ((0.4, 0.6), *(((0.496, 0.6), (0.504, 0.6)) * 20), (0.4, 0.6))
    assert walked(rule(UP), *trembling) == []


def test_who_walks_past_the_end_of_the_line_does_not_cross_it():
    assert walked(rule("line = [[0.5, 0.9], [0.5, 0.8]]"), *RIGHTWARDS) == []


def test_two_who_change_places_are_told_apart_by_their_tracks():
    line = rule(UP + 'direction = "right"')
    line.see(sighting(0.0, (1, 0.4, 0.6), (2, 0.6, 0.6)))
    finding = line.see(sighting(0.2, (1, 0.6, 0.6), (2, 0.4, 0.6)))
    assert finding is not None
    assert len(finding.boxes) == 1
    assert finding.boxes[0][0] == pytest.approx(0.55)
    # Without a track nobody knows who it is that now stands there.
    assert line.see(sighting(0.4, (3, 0.4, 0.6), (4, 0.6, 0.6))) is None


def test_another_event_begins_anew():
    line = rule(UP)
    assert line.see(sighting(0.0, (1, 0.4, 0.6), event="e1")) is None
    assert line.see(sighting(9.0, (1, 0.6, 0.6), event="e2")) is None


def test_outside_its_hours_nothing_is_found_but_who_is_where_is_known():
    line = rule(UP + 'hours = "mon-sun 18:00-20:00"')
    assert walked(line, *RIGHTWARDS, hour=12) == []
    assert line.see(sighting(5.0, (7, 0.4, 0.6), hour=18)) is not None


def test_what_is_too_small_does_not_count():
    assert walked(rule(UP + "min_size = 0.2"), *RIGHTWARDS) == []


def test_a_zone_without_a_line_has_another_rule_and_one_that_tells_nobody_has_none():
    assert isinstance(rule("polygon = [[0, 0], [1, 0], [1, 1]]"), ForbiddenZone)
    zone = Site.loads(SITE.format(more=UP).replace('"forbidden"', '"watch"')).zones[0]
    assert rule_of(zone) is None


@given(
    st.lists(st.tuples(st.floats(0.06, 0.94), st.floats(0.35, 0.99)), min_size=2, max_size=30),
    st.floats(0, 2 * math.pi),
)
def test_crossings_to_the_left_and_to_the_right_alternate(points, angle):
    """A line across the whole picture: who is on its left by the last crossing can next only cross to the right."""
    cos, sin = math.cos(angle), math.sin(angle)
    ends = [(0.5 - 0.5 * cos, 0.5 - 0.5 * sin), (0.5 + 0.5 * cos, 0.5 + 0.5 * sin)]
    line = f"line = [[{ends[0][0]}, {ends[0][1]}], [{ends[1][0]}, {ends[1][1]}]]\n"
    ways = {}
    for way in ("left", "right"):
        ways |= dict.fromkeys((at for at, _ in walked(rule(line + f'direction = "{way}"'), *points)), way)
    order = [ways[at] for at in sorted(ways)]
    crossing = [segments_cross(ends, (points[index], points[index + 1])) for index in range(len(points) - 1)]
    assert len(order) <= sum(crossing) + len(points)
    both = walked(rule(line), *points)
    assert len(both) == len(order)
