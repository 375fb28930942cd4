"""The rule of a line: somebody crosses it, in a direction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edusense.alerts.geometry import foot, overlap, segments_cross, side
from edusense.alerts.rules import Rule

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable

    from edusense.alerts.finding import Finding
    from edusense.alerts.geometry import Point
    from edusense.alerts.rules import Sighting
    from edusense.site import Zone

__all__ = ["LineCrossing"]

CLEAR: Final = 0.01
"""Somebody stands on one side of a line only where they are further from it than this, as a share of the picture's
width or height: feet that are seen to tremble on the line do not cross it.
"""
_MOST_TRACKS: Final = 1000
"""A yard in the wind is one event for hours."""


@dataclass
class _Track:
    """Where something stood last, clearly on one side."""

    point: Point
    left: bool


class LineCrossing(Rule):
    """Something of a minimum size crosses the zone's line, in the zone's direction.

    What stands where is known by the foot of its box, and who it is from picture to picture by its track. Directions
    are those of ONVIF's line detector (Analytics Service Specification, annex A, LineDetector): `left` and `right` of
    somebody who looks along the line from its first point to its second.
    """

    NAME = "line-crossing"
    VERSION = "1"

    def __init__(self, zone: Zone, *, closed: Callable[[datetime.date], bool] | None = None) -> None:
        super().__init__(zone, closed=closed)
        assert zone.line is not None
        (x0, y0), (x1, y1) = zone.line
        self._line: tuple[Point, Point] = ((x0, y0), (x1, y1))
        self._length = math.dist(*self._line)
        self._event: str | None = None
        self._tracks: dict[int, _Track] = {}

    def see(self, sighting: Sighting) -> Finding | None:
        """Finds each crossing; two in one picture are one finding."""
        if sighting.event != self._event:
            self._event, self._tracks = sighting.event, {}
        # Followed outside the hours, too: who stood before the line at six is known when they cross it at six.
        crossed = tuple(
            box for number, box in zip(sighting.tracks, sighting.boxes, strict=False) if self._crosses(number, box)
        )
        if not crossed or not self.schedule.holds(sighting.local):
            return None
        return self.finding(sighting, "line-crossed", crossed)

    def _crosses(self, number: int, box: tuple[float, float, float, float]) -> bool:
        if overlap(box, self.zone.polygon) < self.zone.min_size:
            return False
        here = foot(box)
        away = side(self._line, here) / self._length
        if abs(away) < CLEAR:
            return False
        left = away < 0
        before = self._tracks.get(number)
        if len(self._tracks) >= _MOST_TRACKS:
            self._tracks.clear()
        self._tracks[number] = _Track(here, left)
        if before is None or before.left == left or not segments_cross(self._line, (before.point, here)):
            return False
        wanted = self.zone.direction
        return bool(wanted == "any" or (wanted == "left") == left)
