"""Boxes against zones: how much of a box lies in a polygon, and on which side of a line something stands.

Everything is in shares of the picture, so that a zone fits each of a camera's streams.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edusense.alerts.finding import Box

__all__ = ["Point", "contains", "foot", "overlap", "segments_cross", "side", "within"]

Point = tuple[float, float]


def overlap(box: Box, polygon: Sequence[Sequence[float]]) -> float:
    """The area that a box and a polygon share, as a share of the picture.

    The polygon is cut along the box's four sides, one after the other (Sutherland and Hodgman, 1974).

    >>> overlap((0.0, 0.0, 0.5, 1.0), [[0.25, 0], [1, 0], [1, 1], [0.25, 1]])
    0.25
    """
    left, top, width, height = box
    points: list[Point] = [(x, y) for x, y in polygon]
    for axis, limit, keep_above in (
        (0, left, True),
        (0, left + width, False),
        (1, top, True),
        (1, top + height, False),
    ):
        points = _cut(points, axis, limit, keep_above)
        if not points:
            return 0.0
    ring = [*points, points[0]]
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise(ring))) / 2


def within(box: Box, polygon: Sequence[Sequence[float]]) -> float:
    """The share of a box that lies in a polygon, 0 to 1."""
    area = box[2] * box[3]
    return min(1.0, overlap(box, polygon) / area) if area > 0 else 0.0


def contains(polygon: Sequence[Sequence[float]], point: Point) -> bool:
    """Whether a point lies in a polygon.

    >>> contains([[0, 0], [1, 0], [0, 1]], (0.2, 0.2)), contains([[0, 0], [1, 0], [0, 1]], (0.8, 0.8))
    (True, False)
    """
    x, y = point
    inside = False
    for index in range(len(polygon)):
        (x0, y0), (x1, y1) = polygon[index - 1], polygon[index]
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
            inside = not inside
    return inside


def foot(box: Box) -> Point:
    """Where whatever a box is around stands: the middle of its lower side, a little above it."""
    left, top, width, height = box
    return (left + width / 2, top + 0.98 * height)


def side(line: Sequence[Sequence[float]], point: Sequence[float]) -> float:
    """On which side of a line a point lies: the sign says it, 0 is on the line itself.

    >>> side([[0, 0.5], [1, 0.5]], (0.3, 0.9)) * side([[0, 0.5], [1, 0.5]], (0.3, 0.1)) < 0
    True
    """
    (x0, y0), (x1, y1) = line
    return (x1 - x0) * (point[1] - y0) - (y1 - y0) * (point[0] - x0)


def segments_cross(one: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> bool:
    """Whether two segments have a point in common; touching ends count.

    >>> segments_cross([[0, 0], [1, 1]], [[0, 1], [1, 0]]), segments_cross([[0, 0], [1, 1]], [[0, 1], [0.4, 0.6]])
    (True, False)
    """
    return side(one, other[0]) * side(one, other[1]) <= 0 and side(other, one[0]) * side(other, one[1]) <= 0


def _cut(points: list[Point], axis: int, limit: float, keep_above: bool) -> list[Point]:
    kept: list[Point] = []
    for index, here in enumerate(points):
        before = points[index - 1]
        here_in, before_in = ((p[axis] >= limit) == keep_above or p[axis] == limit for p in (here, before))
        if here_in != before_in:
            share = (limit - before[axis]) / (here[axis] - before[axis])
            kept.append((before[0] + share * (here[0] - before[0]), before[1] + share * (here[1] - before[1])))
        if here_in:
            kept.append(here)
    return kept
