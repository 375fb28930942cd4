"""Rules: from what moved in a camera's picture to findings.

A rule belongs to one zone. It is shown what moved there, picture by picture where the camera's motion is followed so
closely, and says when that is worth an alert. It keeps no clock and opens no file: the same sightings give the same
findings.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from edusense.alerts.finding import Finding
from edusense.alerts.geometry import contains, foot, overlap, within
from edusense.site.hours import Schedule, parse_hours

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Mapping

    from edusense.alerts.finding import Box, Severity

__all__ = ["ForbiddenZone", "Rule", "Sighting", "rule_of", "severity_of"]

INSIDE: Final = 0.25
"""A box is in a zone when so much of it is, or when it stands in it."""
FILLED: Final = 0.5
"""Or when it covers so much of the zone: a zone around a door handle is smaller than whoever opens the door."""


DEFAULT_SEVERITY: Final[Mapping[str, Severity]] = {"forbidden": "severe", "watch": "minor"}
"""How grave an alert is, by the kind of its zone."""


def severity_of(zone: Any) -> Severity:
    """How grave an alert of a zone is: as the site file says, or by its kind."""
    given: Severity | None = zone.severity
    return given or DEFAULT_SEVERITY.get(zone.kind, "moderate")


def rule_of(zone: Any, *, closed: Callable[[datetime.date], bool] | None = None) -> Rule | None:
    """The rule that watches a zone of the site file; None where nobody is to be told of it.

    Args:
        zone: its table.
        closed: the school's calendar: whether it is closed on a day.
    """
    if zone.kind == "ignore" or (zone.kind == "watch" and not zone.alert):
        return None
    if zone.line is not None:
        from edusense.alerts.lines import LineCrossing

        return LineCrossing(zone, closed=closed)
    return ForbiddenZone(zone, closed=closed)


@dataclass(frozen=True)
class Sighting:
    """What moved in a camera's picture. Only confirmed motion is shown to rules.

    Attributes:
        camera: the camera's id.
        event: the motion event's id; the same as long as it goes on.
        at_s: the picture's time, Unix seconds.
        start_s: when the event began.
        local: the picture's time by the school's clock.
        boxes: what moved, as shares of the picture.
        score: how clear it is, 0 to 1.
        clock_error_s: by how much the times may be wrong.
        over: the event is over: `boxes` are all places in which something moved.
        tracks: numbers of what moves, one for each box, the same from picture to picture; empty where it is not known.
    """

    camera: str
    event: str
    at_s: float
    start_s: float
    local: datetime.datetime
    boxes: tuple[Box, ...]
    score: float = 1.0
    clock_error_s: float = 0.5
    over: bool = False
    tracks: tuple[int, ...] = ()


class Rule(abc.ABC):
    """Watches one zone.

    Args:
        zone: its table of the site file.
        closed: the school's calendar: whether it is closed on a day.
    """

    NAME: ClassVar[str]
    """As it stands in findings."""
    VERSION: ClassVar[str] = "1"
    """Raised when the same sightings give other findings."""

    def __init__(self, zone: Any, *, closed: Callable[[datetime.date], bool] | None = None) -> None:
        self.zone = zone
        given = {} if closed is None else {"closed": closed}
        self.schedule = Schedule(parse_hours(zone.hours), **given)

    @abc.abstractmethod
    def see(self, sighting: Sighting) -> Finding | None:
        """Takes a sighting of its camera.

        Returns:
            A finding; None where there is none.
        """

    def finding(
        self, sighting: Sighting, kind: str, boxes: tuple[Box, ...], *, start_s: float | None = None
    ) -> Finding:
        """A finding of this rule about what was seen.

        Args:
            sighting: in which it was seen.
            kind: what it is.
            boxes: where.
            start_s: when it began, Unix seconds; with the motion event by default.
        """
        return Finding(
            kind,
            sighting.camera,
            sighting.start_s if start_s is None else start_s,
            self.NAME,
            self.VERSION,
            end_s=max(sighting.at_s, sighting.start_s),
            clock_error_s=sighting.clock_error_s,
            confidence=max(0.0, min(1.0, sighting.score)),
            severity=severity_of(self.zone),
            zone=self.zone.id,
            boxes=boxes,
            source="motion",
            event=sighting.event,
        )


class ForbiddenZone(Rule):
    """Somebody is where nobody may be: something of a minimum size moves in the zone, for a minimum time."""

    NAME = "forbidden-zone"
    VERSION = "1"

    def __init__(self, zone: Any, *, closed: Callable[[datetime.date], bool] | None = None) -> None:
        super().__init__(zone, closed=closed)
        self._area = overlap((0.0, 0.0, 1.0, 1.0), zone.polygon)
        self._event: str | None = None
        self._since_s: float | None = None
        self._found = False

    def see(self, sighting: Sighting) -> Finding | None:
        """Finds once an event."""
        begins = sighting.event != self._event
        if begins:
            self._event, self._since_s, self._found = sighting.event, None, False
        if self._found or not self.schedule.holds(sighting.local):
            return None
        boxes = tuple(box for box in sighting.boxes if self._is_in(box))
        if not boxes:
            # Of an event that is over the boxes are of all of it: somebody who stepped aside for a moment is not gone.
            return None
        if self._since_s is None:
            # Who is in it from the first picture on was there when the event began.
            self._since_s = sighting.start_s if sighting.over or begins else sighting.at_s
        if sighting.at_s - self._since_s < self.zone.min_s:
            return None
        self._found = True
        kind = "forbidden-entry" if self.zone.kind == "forbidden" else "movement"
        return self.finding(sighting, kind, boxes, start_s=self._since_s)

    def _is_in(self, box: Box) -> bool:
        shared = overlap(box, self.zone.polygon)
        if shared < self.zone.min_size:
            return False
        return (
            within(box, self.zone.polygon) >= INSIDE
            or contains(self.zone.polygon, foot(box))
            or shared >= FILLED * self._area
        )
