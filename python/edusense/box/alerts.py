"""Alerts in the box: motion is shown to the rules of zones, findings go to the desk, couriers bring them away."""

from __future__ import annotations

import datetime
import logging
import queue
import time
import zoneinfo
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from edusense.alerts import Desk, Finding
from edusense.alerts.budget import Budget
from edusense.alerts.courier import Courier
from edusense.alerts.database import Database
from edusense.alerts.heartbeat import heartbeat
from edusense.alerts.registry import destination_class, make_destination, settings_of
from edusense.alerts.rules import Rule, Sighting, rule_of, severity_of
from edusense.box.evidence import EvidenceMaker
from edusense.box.pages.guard_source import GuardSource
from edusense.box.parts import Part
from edusense.errors import AlertStorageError, EdusenseError, FindingLimitedError, FindingSilencedError
from edusense.site.hours import no_calendar

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Mapping

    from edusense.alerts import Case, Destination
    from edusense.alerts.finding import Box
    from edusense.box.log import EventLog
    from edusense.site import Site
    from edusense.video import Engine

__all__ = ["AlertsPart"]

logger = logging.getLogger(__name__)

TURN_S: Final = 0.5
MOST_WAITING: Final = 20_000
LANE_HUNG_S: Final = 180.0
"""A lane may wait for a slow destination, and for its name to be looked up; only then is it held to hang."""

_TOLD_ON: Final = ("answer", "attached", "answer-refused", "escalated", "silence-begun", "silence-over")
"""Changes after which there is something new to bring away."""


class AlertsPart(Part):
    """The desk, what feeds it, and what empties its outbox.

    Args:
        site: the site file.
        log: the event log.
        clip_of: the clip of an event, wherever it is.
        status: the rows of `status`, for heartbeats.
        closed: whether the school is closed on a day, for the hours of zones.

    Raises:
        AlertStorageError: the database of cases cannot be opened.
        PermissionDeniedError: this user may not write it.
    """

    def __init__(
        self,
        site: Site,
        log: EventLog,
        clip_of: Callable[[str], bytes],
        *,
        status: Callable[[], Iterable[Mapping[str, Any]]] = lambda: (),
        closed: Callable[[datetime.date], bool] = no_calendar,
    ) -> None:
        super().__init__("alerts", log)
        self._closed, self._status = closed, status
        self._site = site
        self._turned = float("-inf")
        self.engine: Engine | None = None
        self.desk = Desk(Database(site.data_folder() / "alerts"), site, told=self._told)
        self._evidence = EvidenceMaker(self.desk, lambda: self._site, lambda: self.engine, clip_of)
        self._budget = Budget(site.site.uplink_kbit)
        self.guard = GuardSource(self.desk, lambda: self._site, lambda: self.rows()[1:])
        self._rows: queue.Queue[tuple[str, Any]] = queue.Queue(MOST_WAITING)
        self._rules: dict[str, list[Rule]] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._seen: set[str] = set()
        """Events of which looks have come."""
        self._cases_of: dict[str, list[str]] = {}
        self._unkept: list[Finding] = []
        self._trouble: str | None = None
        self._outlets: dict[str, _Outlet] = {}
        self.lost = 0
        """Pieces of news of cameras that came faster than they could be looked at."""
        self._set_rules(site)
        self._exchange_outlets(site)

    # What the box calls.

    @property
    def budget(self) -> Budget:
        """What the way out carries; whatever else leaves the school asks it, too."""
        return self._budget

    @property
    def lanes(self) -> list[Part]:
        """The parts that bring alerts away."""
        return [lane for outlet in self._outlets.values() for lane in outlet.lanes]

    def follows(self, camera: str) -> bool:
        """Whether its rules want to know where somebody is while an event goes on."""
        return camera in self._rules

    def saw(self, row: dict[str, Any]) -> None:
        """Takes news of the engine about motion; returns at once."""
        if row["camera"] not in self._rules or row["kind"] not in ("motion-moving", "motion"):
            return
        try:
            self._rows.put_nowait(("motion", row))
        except queue.Full:
            self.lost += 1

    def raise_finding(self, finding: Finding, still: bytes | None = None) -> Case:
        """Takes a finding of an analyser or of a script; its case is on the disk on return.

        Args:
            finding: what was seen.
            still: its picture as JPEG; without one the camera's newest is taken.

        Raises:
            FindingError: it names what this site has not.
            FindingLimitedError: its source hands in too many.
            PictureDamagedError: its picture is none.
            AlertStorageError: the disk did not take it.
        """
        if still is not None:
            from edusense.video.evidence import checked_still

            still = checked_still(still)
        case = self.desk.take(finding)
        self._after(case, finding, still)
        return case

    def test(self, zone: str, by: str) -> Case:
        """Walks the whole way with an alert of a zone that is marked as a test.

        Args:
            zone: the zone's id.
            by: who asks for it.

        Raises:
            UsageError: there is no such zone.
            AlertStorageError: the disk did not take it.
        """
        entry = self._site.zone(zone)
        now_s = time.time()
        finding = Finding(
            "forbidden-entry" if entry.kind == "forbidden" else "movement",
            entry.camera,
            now_s,
            "test",
            "1",
            end_s=now_s,
            clock_error_s=0.0,
            severity=severity_of(entry),
            zone=entry.id,
            source=f"test by {by}"[:200],
            text="test",
            test=True,
        )
        return self.raise_finding(finding)

    def update(self, site: Site) -> None:
        """Takes a site file that was read again, or secrets that have changed."""
        self._site = site
        self.desk.update(site)
        self._budget.set_rate(site.site.uplink_kbit)
        self._set_rules(site)
        self._exchange_outlets(site)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of `status`: one of the desk, one of each destination."""
        position, head = self.desk.database.head
        counts = self.desk.counts()
        first = {
            "kind": "alerts",
            "state": "cannot-record" if self._trouble else "running",
            "reason": self._trouble,
            "open": counts["open"],
            "unanswered": counts["unanswered"],
            "cases": counts["cases"],
            "unkept": len(self._unkept),
            "position": position,
            "head": head.hex(),
            "lost": self.lost,
        }
        return [first, *(outlet.row() for outlet in self._outlets.values())]

    def run(self) -> None:
        """Looks at what cameras tell, until it is stopped."""
        while not self.stopping.is_set():
            self.beat()
            self._desk_turn()
            try:
                kind, told = self._rows.get(timeout=TURN_S)
            except queue.Empty:
                continue
            if kind == "motion":
                self._look(told)

    def close(self) -> None:
        """Ends the lanes and closes the database; the part itself has ended."""
        for outlet in self._outlets.values():
            outlet.stop()
        self._evidence.close()
        until = time.monotonic() + 3.0
        for outlet in self._outlets.values():
            outlet.join(until)
        self.desk.database.close()

    # Rules.

    def _set_rules(self, site: Site) -> None:
        rules: dict[str, list[Rule]] = {}
        for zone in site.zones:
            rule = rule_of(zone, closed=self._closed)
            if rule is not None:
                rules.setdefault(zone.camera, []).append(rule)
        self._rules = rules

    def _look(self, row: dict[str, Any]) -> None:
        """Shows one piece of news to the rules of its camera."""
        over = row["kind"] == "motion"
        event = row["id"]
        size = self._size(event)
        # Look by look it is known where somebody is; an event's own boxes are around all that moved in it.
        if size is not None and not (over and event in self._seen):
            if not over:
                self._seen.add(event)
            sighting = self._sighting(row, size, over)
            for rule in self._rules.get(row["camera"], ()):
                finding = rule.see(sighting)
                if finding is not None:
                    self._take(finding)
        if over:
            self._sizes.pop(event, None)
            self._seen.discard(event)
            for case in self._cases_of.pop(event, ()):
                if self._record_of(row["camera"]) != "never":
                    self._evidence.clip(self.desk.case(case))

    def _size(self, event: str) -> tuple[int, int] | None:
        if event not in self._sizes and self.engine is not None:
            found = self.engine.picture_size(event)
            if found is not None:
                self._sizes[event] = found
        return self._sizes.get(event)

    def _sighting(self, row: dict[str, Any], size: tuple[int, int], over: bool) -> Sighting:
        at_s = row["end_s"] if over else row.get("at_s") or row.get("time_s", row["start_s"])
        zone = zoneinfo.ZoneInfo(self._site.site.timezone)
        boxes: list[Box] = []
        tracks: list[int] = []
        numbers = row.get("tracks") or ()
        for index, (x, y, width, height) in enumerate(row["regions"]):
            left, top = min(x / size[0], 1.0), min(y / size[1], 1.0)
            box = (left, top, min(width / size[0], 1.0 - left), min(height / size[1], 1.0 - top))
            if box[2] > 0 and box[3] > 0:
                boxes.append(box)
                tracks += numbers[index : index + 1]
        return Sighting(
            row["camera"],
            row["id"],
            at_s,
            row["start_s"],
            datetime.datetime.fromtimestamp(at_s, zone),
            tuple(boxes),
            score=row.get("score") or 0.0,
            clock_error_s=row.get("clock_error_s") or 0.5,
            over=over,
            tracks=tuple(tracks),
        )

    def _take(self, finding: Finding) -> None:
        try:
            case = self.desk.take(finding)
        except (FindingLimitedError, FindingSilencedError):
            return
        except AlertStorageError as error:
            self._keep_for_later(finding, error)
            return
        self._after(case, finding, None)

    def _after(self, case: Case, finding: Finding, still: bytes | None) -> None:
        """What follows once a finding is on the disk: couriers are woken, pictures made."""
        for name in case.destinations:
            if name in self._outlets:
                self._outlets[name].wake()
        if case.count == 1:
            if still is not None:
                self._evidence.given(case, still)
            else:
                self._evidence.still(case, finding.start_s if finding.end_s is None else finding.end_s)
            if finding.event is not None:
                self._cases_of.setdefault(finding.event, []).append(case.case)

    def _keep_for_later(self, finding: Finding, error: AlertStorageError) -> None:
        """The disk is full: the finding waits in memory, and that is said."""
        if self._trouble is None:
            logger.error("alerts: %s; findings wait in memory until the disk takes them", error)
            self.log.append("box", state="alerts-cannot-record", reason=str(error))
        self._trouble = str(error)
        if len(self._unkept) < MOST_WAITING:
            self._unkept.append(finding)
        else:
            self.lost += 1

    def _desk_turn(self) -> None:
        """What time brings to cases, also while news comes without an end."""
        now = time.monotonic()
        if now - self._turned < TURN_S:
            return
        self._turned = now
        try:
            self.desk.turn()
        except AlertStorageError as error:
            logger.debug("alerts: %s; tried again", error)
        self._take_kept()

    def _take_kept(self) -> None:
        """Findings that the disk did not take are handed in again, in their order."""
        while self._unkept:
            finding = self._unkept[0]
            try:
                case = self.desk.take(finding, limited=False)
            except AlertStorageError as error:
                self._trouble = str(error)
                return
            except EdusenseError as error:
                logger.warning("alerts: a finding that had waited for the disk is left out: %s", error)
            else:
                self._after(case, finding, None)
            del self._unkept[0]
        if self._trouble is not None:
            self._trouble = None
            self.desk.database.keep_reserve()
            logger.info("alerts: the disk takes alerts again")
            self.log.append("box", state="alerts-recovered")

    def _record_of(self, camera: str) -> str:
        return next((entry.record for entry in self._site.cameras if entry.id == camera), "events")

    # Destinations.

    def _exchange_outlets(self, site: Site) -> None:
        """Ends destinations that are gone or changed, begins those that are new; the rest goes on."""
        outlets = {}
        for entry in site.destinations:
            old = self._outlets.get(entry.id)
            made = _Outlet(site, entry, self.desk, self._budget, self._changed, self.log, self._heartbeat)
            if old is not None and old.mark == made.mark:
                outlets[entry.id] = old
                continue
            if old is not None:
                old.stop()
            outlets[entry.id] = made
        for name, old in self._outlets.items():
            if name not in outlets:
                old.stop()
        self._outlets = outlets
        if self.state != "starting":
            self.start_lanes()

    def _heartbeat(self, destination: str) -> Mapping[str, Any]:
        """What a destination is told of the box's state."""
        return heartbeat(
            self._status(),
            school={"id": self._site.site.id, "number": self._site.site.number},
            timezone=self._site.site.timezone,
            now_s=time.time(),
            waiting=self.desk.outbox.waiting(destination),
            silences=(silence.to_json() for silence in self.desk.silences()),
        )

    def start_lanes(self) -> None:
        """Begins to bring alerts away."""
        for outlet in self._outlets.values():
            outlet.start()

    def _changed(self, row: dict[str, Any]) -> None:
        """A destination's health has changed."""
        self.log.append("destination", **row)
        self.guard.changed()

    def _told(self, row: dict[str, Any]) -> None:
        """A change of a case, on the disk by now: to the event log."""
        self.log.append("alert", **row)
        self.guard.changed()
        if row["entry"] in _TOLD_ON:
            for outlet in self._outlets.values():
                outlet.wake()


class _Outlet:
    """One destination: its courier, and a part for each of its lanes."""

    def __init__(
        self,
        site: Site,
        entry: Any,
        desk: Desk,
        budget: Budget,
        changed: Callable[[dict[str, Any]], None],
        log: EventLog,
        heartbeat: Callable[[str], Mapping[str, Any]],
    ) -> None:
        self.id = entry.id
        self.driver = entry.driver
        self.lanes: list[Part] = []
        self._problem: EdusenseError | None = None
        self._desk = desk
        self._started = False
        self._courier: Courier | None = None
        try:
            cls = destination_class(entry.driver)
            settings = settings_of(site, entry)
            # Made once here, so that a wrong table is told when the box starts.
            make_destination(cls, settings).close()
        except EdusenseError as error:
            self._problem = error
            self.mark: object = (entry, str(error))
            return
        self.mark = (entry, settings.password, settings.school, settings.timezone)

        def make(rank: int) -> Destination:
            return make_destination(cls, replace(settings, pace=lambda count: budget.take(count, rank=rank)))

        courier = Courier(entry.id, desk, make, heartbeat=heartbeat, changed=changed)
        self._courier = courier
        lanes: list[tuple[str, Callable[[threading.Event, Callable[[], None]], None]]] = [
            (f"messages {number + 1}" if cls.LANES > 1 else "messages", courier.deliver) for number in range(cls.LANES)
        ]
        if "clip" in cls.ATTACHMENTS:
            lanes.append(("clips", courier.deliver_clips))
        if cls.ANSWERS:
            lanes.append(("answers", courier.listen))
        if cls.HEARTBEATS:
            lanes.append(("heartbeat", courier.pulse))
        self.lanes = [_Lane(f"{entry.id}: {name}", log, work) for name, work in lanes]

    def start(self) -> None:
        """Begins its lanes; once."""
        if self._started:
            return
        self._started = True
        if self._problem is not None:
            logger.error("alerts: destination=%s: %s", self.id, self._problem)
        for lane in self.lanes:
            lane.start()

    def wake(self) -> None:
        """Something new waits for it."""
        if self._courier is not None:
            self._courier.wake()

    def stop(self) -> None:
        """Asks its lanes to end."""
        for lane in self.lanes:
            lane.stop()
        if self._courier is not None:
            self._courier.interrupt()

    def join(self, until: float) -> None:
        """Waits for its lanes, until a monotonic time."""
        for lane in self.lanes:
            lane.join(until - time.monotonic())

    def row(self) -> dict[str, Any]:
        """Its row for `status`."""
        if self._courier is None:
            assert self._problem is not None
            health = {
                "state": "refused",
                "reason": str(self._problem),
                "hint": self._problem.hint,
                "since_s": None,
                "delivered": 0,
                "attachments": 0,
                "failures": 0,
                "last_s": None,
            }
        else:
            health = self._courier.health.to_json()
        waiting = self._desk.outbox.waiting(self.id)
        return {"kind": "destination", "id": self.id, "driver": self.driver, **health, "waiting": waiting}


class _Lane(Part):
    """One lane of a courier."""

    def __init__(self, name: str, log: EventLog, work: Callable[[threading.Event, Callable[[], None]], None]) -> None:
        super().__init__(f"destination {name}", log, hung_s=LANE_HUNG_S)
        self._work = work

    def run(self) -> None:
        """Delivers until it is stopped."""
        self._work(self.stopping, self.beat)
