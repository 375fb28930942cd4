"""Findings from outside, and boxes against zones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.alerts import Finding
from edusense.alerts.finding import raised
from edusense.alerts.geometry import contains, foot, overlap, side, within
from edusense.errors import FindingError

GOOD = {"kind": "fire", "camera": "205-front", "start_s": 1_790_000_000.0, "rule": "smoke", "version": "3"}


def test_a_finding_survives_its_json():
    finding = Finding.of(GOOD | {"boxes": [[0.1, 0.2, 0.3, 0.4]], "zone": "door", "severity": "extreme", "test": True})
    assert finding.boxes == ((0.1, 0.2, 0.3, 0.4),)
    assert Finding.of(finding.to_json()) == finding


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "Fire!"}, "not a kind"),
        ({"kind": 7}, "must be a text"),
        ({"start_s": "now"}, "must be a number"),
        ({"start_s": float("nan")}, "must be seconds"),
        ({"start_s": -1}, "must be seconds"),
        ({"end_s": 1.0}, "end before it begins"),
        ({"severity": "sever"}, "not a severity"),
        ({"confidence": 1.5}, "between 0 and 1"),
        ({"boxes": [[0.9, 0.9, 0.2, 0.05]]}, "not inside the picture"),
        ({"boxes": [[0.1, 0.1, 0.2]]}, "list of four numbers"),
        ({"boxes": "all"}, "must be a list"),
        ({"boxes": [[0, 0, 0.1, 0.1]] * 33}, "at most 32 boxes"),
        ({"text": "a\x1b[2Jb"}, "control characters"),
        ({"text": "\ud800"}, "control characters"),
        ({"text": "x" * 501}, "at most 500"),
        ({"rule": ""}, "1 to 100"),
        ({"test": 1}, "true or false"),
        ({"colour": "red"}, "has no `colour`"),
        ({"camra": "x"}, "has no `camra`"),
    ],
)
def test_what_is_no_finding_is_told_what_is_wrong(change, said):
    with pytest.raises(FindingError, match=said):
        Finding.of(GOOD | change)


@pytest.mark.parametrize("missing", ["kind", "start_s", "rule", "version"])
def test_what_a_finding_needs(missing):
    with pytest.raises(FindingError, match=f"needs `{missing}`"):
        Finding.of({key: value for key, value in GOOD.items() if key != missing})


def test_severities_rise_to_the_gravest():
    assert [raised("minor", steps) for steps in range(5)] == ["minor", "moderate", "severe", "extreme", "extreme"]


shares = st.floats(0, 1)
boxes = st.tuples(st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0.01, 0.1), st.floats(0.01, 0.1))
WHOLE = [[0, 0], [1, 0], [1, 1], [0, 1]]


@given(boxes)
def test_a_box_lies_wholly_in_the_whole_picture(box):
    assert within(box, WHOLE) == pytest.approx(1.0)
    assert contains(WHOLE, foot(box))


@given(boxes, st.lists(st.tuples(shares, shares), min_size=3, max_size=3))
def test_what_is_shared_is_no_more_than_either(box, triangle):
    (x0, y0), (x1, y1), (x2, y2) = triangle
    area = abs((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)) / 2
    shared = overlap(box, triangle)
    assert -1e-12 <= shared <= min(area, box[2] * box[3]) + 1e-9


@given(boxes, st.lists(st.tuples(shares, shares), min_size=3, max_size=3), st.integers(0, 2))
def test_neither_order_nor_beginning_of_the_corners_matters(box, triangle, turn):
    turned = triangle[turn:] + triangle[:turn]
    assert overlap(box, turned) == pytest.approx(overlap(box, triangle), abs=1e-9)
    assert overlap(box, turned[::-1]) == pytest.approx(overlap(box, triangle), abs=1e-9)


def test_a_zone_with_a_bay_is_measured_with_its_bay():
    bay = [[0, 0], [1, 0], [1, 1], [0.6, 1], [0.6, 0.4], [0.4, 0.4], [0.4, 1], [0, 1]]
    assert overlap((0.4, 0.5, 0.2, 0.4), bay) == pytest.approx(0)
    assert overlap((0.3, 0.5, 0.2, 0.4), bay) == pytest.approx(0.04)
    assert not contains(bay, (0.5, 0.7))
    assert contains(bay, (0.2, 0.7))


def test_sides_of_a_line():
    line = [[0.5, 0.0], [0.5, 1.0]]
    assert side(line, (0.2, 0.3)) > 0 > side(line, (0.8, 0.3))
    assert side(line, (0.5, 0.3)) == 0
