"""All cameras of the box: their addresses found, one engine for all, their news to the event log, clips to the disk."""

from __future__ import annotations

import datetime
import logging
import queue
import threading
import time
import zoneinfo
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edusense.box.gates import GateStore
from edusense.box.parts import Part
from edusense.box.resolver import Resolved, Resolver
from edusense.errors import BoxUnknownError, EdusenseError
from edusense.site.hours import no_calendar

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.box.alerts import AlertsPart
    from edusense.box.clips import ClipStore
    from edusense.box.log import EventLog
    from edusense.site import Site, Zone
    from edusense.video import CameraSource, Engine

__all__ = ["CamerasPart", "ClipsPart"]

logger = logging.getLogger(__name__)

LOST_S = 60.0
"""A camera that was lost for so many seconds is asked for its streams again: they may be elsewhere now."""

ZONES_S = 5.0
"""How often hours of zones are looked at: they have minutes."""

GATES_S = 600.0
"""How often what the gates have learned is written down."""

TURN_S = 0.25
"""The rhythm in which newly found cameras are handed over and the part proves that it lives."""

AFTER_ROLL_S = 3.0
"""How long after an event's end its clip is cut: what the engine keeps after the end has come by then."""

_NOTHING = {
    "pictures_received": 0,
    "pictures_looked_at": 0,
    "pictures_decoded": 0,
    "decoders": {},
    "bitrate_kbit": 0.0,
    "lost": 0,
    "gate": {
        "state": "learning",
        "words": "",
        "level": 0.0,
        "threshold": 0.0,
        "noise": None,
        "agreement": None,
        "probes_moved": 0.0,
        "habits": [],
    },
    "events": 0,
    "last_event_s": None,
    "picture_s": None,
    "reconnects": 0,
}
"""What stands in the row of a camera that the engine does not have yet."""


class CamerasPart(Part):
    """The engine and what it says.

    Args:
        site: the site file.
        log: the event log.
        clips: takes the events that are over.
        alerts: is shown what moves.
        clock: Unix seconds, by which zones with hours apply.
        closed: whether the school is closed on a day, likewise.
    """

    def __init__(
        self,
        site: Site,
        log: EventLog,
        clips: ClipsPart,
        alerts: AlertsPart | None = None,
        *,
        clock: Callable[[], float] = time.time,
        closed: Callable[[datetime.date], bool] = no_calendar,
    ) -> None:
        super().__init__("cameras", log)
        self._closed = closed
        self._clock = clock
        self._zones_due = 0.0
        self._site = site
        self._clips = clips
        self._alerts = alerts
        self._news = threading.Event()
        self._retry_refused = False
        self._engine: Engine | None = None
        self._held: dict[str, CameraSource] = {}
        self._unusable: dict[str, str] = {}
        self._lost_since: dict[str, float] = {}
        self._lost_due = 0.0
        self._resolver: Resolver | None = None
        self._gates = GateStore(site.data_folder() / "gates.json")
        self._kept: dict[str, bytes] = {}
        self._gates_due = 0.0

    def update(self, site: Site) -> None:
        """Takes a site file that was read again, or secrets that have changed: refused cameras are tried again."""
        self._site = site
        self._retry_refused = True
        if self._resolver is not None:
            self._resolver.update(site)
        self._news.set()

    def run(self) -> None:
        """Runs the engine until it is stopped; what is open then is ended, logged and kept."""
        from edusense.fleet import stream_addresses
        from edusense.video import Engine

        self._held, self._unusable = {}, {}
        self._kept = self._gates.load()
        self._gates_due = time.monotonic() + GATES_S
        self._resolver = Resolver(stream_addresses, self._news.set, tell=self._not_found)
        self._resolver.update(self._site)
        self._news.set()
        try:
            with Engine(()) as engine:
                self._engine = engine
                self._clips.engine = engine
                if self._alerts is not None:
                    self._alerts.engine = engine
                while not self.stopping.is_set():
                    self._resolver.turn()
                    if self._news.is_set():
                        self._news.clear()
                        self._hand_over(engine)
                    until = time.monotonic() + TURN_S
                    for event in engine.events(timeout=TURN_S):
                        self._told(event.to_json())
                        if time.monotonic() > until:
                            break
                    self._look_for_lost(engine)
                    self._apply_zones(engine)
                    self._keep_gates(engine, due=time.monotonic() >= self._gates_due)
                    self.beat()
                self._keep_gates(engine, due=True)
                engine.close()
                # Stopping ends what is open; these are the last words.
                for event in engine.events(timeout=0.0):
                    self._told(event.to_json())
                self._clips.finish(3.0)
        finally:
            self._engine = None
            if self._alerts is not None:
                self._alerts.engine = None
            self._resolver.close()

    def rows(self) -> list[dict[str, Any]]:
        """The rows of all cameras, in the order of the site file."""
        engine, resolver = self._engine, self._resolver
        told = {} if engine is None else {row["id"]: row for row in engine.stats()}
        unresolved = {} if resolver is None else resolver.unresolved()
        rows = []
        for camera in self._site.cameras:
            row = {
                "kind": "camera",
                "id": camera.id,
                "room": camera.room,
                "state": "waiting",
                "reason": None,
            } | _NOTHING
            row |= told.get(camera.id, {})
            if camera.id in unresolved:
                state, reason, code = unresolved[camera.id]
                row |= {"state": state, "reason": reason, "code": code}
            elif camera.id in self._unusable:
                row |= {"state": "refused", "reason": self._unusable[camera.id]}
            elif engine is None:
                row |= {"state": "waiting", "reason": self.reason}
            rows.append(row)
        return rows

    def engine(self, camera: str | None = None) -> Engine:
        """The engine, for a question about one camera.

        Raises:
            BoxUnknownError: the site has no such camera.
            EdusenseError: the engine does not run at the moment.
        """
        if camera is not None:
            self._known(camera)
        if self._engine is None:
            raise EdusenseError("the engine does not run at the moment", hint="`edusense status` says why")
        return self._engine

    def heatmap(self, camera: str) -> bytes:
        """Where things moved in a camera's picture since it was called, as PNG.

        Raises:
            BoxUnknownError: the site has no such camera, or nothing of it was looked at yet.
        """
        if camera not in self._held:
            self._known(camera)
        found = self.engine(camera).heat(camera) if camera in self._held else None
        if found is None:
            raise BoxUnknownError(
                f"nothing of camera `{camera}` was looked at yet", hint="`edusense status` says how it is"
            )
        return found.png()

    def retry(self, camera: str) -> None:
        """Asks a camera again, for its address and for its pictures, whatever its back-off.

        Raises:
            BoxUnknownError: the site has no such camera.
        """
        self._known(camera)
        if self._resolver is not None:
            self._resolver.again(camera)
        if self._engine is not None and camera in self._held:
            self._engine.retry(camera)

    def _known(self, camera: str) -> None:
        ids = [entry.id for entry in self._site.cameras]
        if camera not in ids:
            listed = ", ".join(ids[:12]) + (" …" if len(ids) > 12 else "")
            raise BoxUnknownError(
                f"there is no camera `{camera}` in this site", hint=f"there are: {listed}" if ids else "it has none"
            )

    def _hand_over(self, engine: Engine) -> None:
        """Gives the engine the cameras that are known by now; what did not change goes on undisturbed."""
        assert self._resolver is not None
        wanted = {resolved.camera.id: self._source(resolved) for resolved in self._resolver.resolved()}
        self._unusable = {name: reason for name, reason in self._unusable.items() if name in wanted}
        if wanted != self._held or self._unusable:
            try:
                engine.update(list(wanted.values()))
                self._restore_gates(engine, wanted)
                self._held = wanted
                self._unusable = {}
            except EdusenseError:
                self._hand_over_singly(engine, wanted)
        if self._retry_refused:
            self._retry_refused = False
            for row in engine.stats():
                if row["state"] == "refused":
                    engine.retry(row["id"])

    def _hand_over_singly(self, engine: Engine, wanted: dict[str, CameraSource]) -> None:
        """One of them has an address that cannot be used: it is found and left out, and the others are watched."""
        self._held = {name: source for name, source in self._held.items() if wanted.get(name) == source}
        for name, source in wanted.items():
            if name in self._held:
                continue
            try:
                engine.update([*self._held.values(), source])
            except EdusenseError as error:
                if self._unusable.get(name) != str(error):
                    logger.error("camera=%s: %s", name, error)
                    self.log.append("camera", camera=name, state="refused", reason=str(error), code=error.code)
                self._unusable[name] = str(error)
            else:
                self._restore_gates(engine, {name: source})
                self._held[name] = source
                self._unusable.pop(name, None)

    def _restore_gates(self, engine: Engine, named: dict[str, CameraSource]) -> None:
        """Cameras that the engine has from now on go on from what their gates had learned."""
        for name, source in named.items():
            held = self._held.get(name)
            # Whatever else has changed, the engine calls it anew and knows nothing of it.
            anew = held is None or replace(held, zones=source.zones, followed=source.followed) != source
            if anew and name in self._kept:
                engine.restore_gate(name, self._kept[name])

    def _keep_gates(self, engine: Engine, *, due: bool) -> None:
        if not due:
            return
        self._gates_due = time.monotonic() + GATES_S
        # A camera that is away keeps what it had; one that left the site does not.
        cameras = {camera.id for camera in self._site.cameras}
        kept = {name: gate for name, gate in self._kept.items() if name in cameras} | engine.kept_gates()
        if kept != self._kept:
            self._kept = kept
            self._gates.save(kept)

    def _source(self, resolved: Resolved) -> CameraSource:
        from edusense.video import CameraSource

        camera, addresses, login = resolved.camera, resolved.addresses, resolved.login
        return CameraSource(
            id=camera.id,
            url=addresses.watch,
            user=None if login is None else login.user,
            password=None if login is None else login.password,
            keep_url=None if addresses.keep == addresses.watch else addresses.keep,
            zones=self._zones_of(camera.id),
            followed=self._alerts is not None and self._alerts.follows(camera.id),
        )

    def _zones_of(self, camera: str) -> tuple[Zone, ...]:
        """A camera's zones that apply at this hour."""
        from edusense.site.hours import Schedule, parse_hours

        local = datetime.datetime.fromtimestamp(self._clock(), zoneinfo.ZoneInfo(self._site.site.timezone))
        return tuple(
            zone
            for zone in self._site.zones
            if zone.camera == camera and Schedule(parse_hours(zone.hours), closed=self._closed).holds(local)
        )

    def _apply_zones(self, engine: Engine) -> None:
        """Zones whose hours have begun or ended; the streams go on."""
        now = time.monotonic()
        if now < self._zones_due:
            return
        self._zones_due = now + ZONES_S
        for name, source in self._held.items():
            zones = self._zones_of(name)
            if zones != source.zones:
                engine.set_zones(name, zones)
                self._held[name] = replace(source, zones=zones)

    def _not_found(self, camera: str, state: str, reason: str, code: str) -> None:
        """A camera's streams could not be found out; followers hear of it as of a stream that is lost."""
        self.log.append("camera", camera=camera, state=state, reason=reason, code=code)

    def _told(self, row: dict[str, Any]) -> None:
        """One piece of the engine's news, to the log."""
        if self._alerts is not None and row["kind"].startswith("motion"):
            self._alerts.saw(row)
        if row["kind"] == "motion-moving":
            return  # for rules: five a second would bury everything else in the log
        # When the box wrote it down is the log's own `time_s`; when the engine said it differs by less than a look.
        row = {key: _short(value) for key, value in row.items() if key != "time_s"}
        kind = row.pop("kind")
        if kind == "camera":
            words = "camera=%s stream=%s: %s%s"
            because = f": {row['reason']}" if row.get("reason") else ""
            level = logging.WARNING if row["state"] in ("lost", "refused", "stalled") else logging.INFO
            logger.log(level, words, row["camera"], row.get("stream"), row["state"], because)
        logged = self.log.append(kind, **row)
        if kind == "motion":
            self._clips.keep(logged, self._record_of(row["camera"]))

    def _record_of(self, camera: str) -> str:
        return next((entry.record for entry in self._site.cameras if entry.id == camera), "events")

    def _look_for_lost(self, engine: Engine) -> None:
        """Asks cameras again for their streams that could not be reached there for a while."""
        assert self._resolver is not None
        now = time.monotonic()
        if now < self._lost_due:
            return
        self._lost_due = now + LOST_S / 20
        lost = {row["id"] for row in engine.stats() if row["state"] in ("lost", "stalled")}
        self._lost_since = {name: self._lost_since.get(name, now) for name in lost}
        for name, since in self._lost_since.items():
            if now - since > LOST_S:
                self._lost_since[name] = now
                self._resolver.again(name)


def _short(value: Any) -> Any:
    """Times to a tenth of a millisecond: what is behind that is noise, and stands in every line of the log."""
    return round(value, 4) if isinstance(value, float) else value


class ClipsPart(Part):
    """Writes the clip and the picture of each event that is over. A slow disk holds up nothing but itself.

    Args:
        store: where they are kept.
        log: the event log.
        most: events that may wait; the oldest is given up beyond this, and stays in the engine's memory for a while.
    """

    def __init__(self, store: ClipStore, log: EventLog, *, most: int = 500) -> None:
        super().__init__("clips", log)
        self.store = store
        self.engine: Engine | None = None
        self.kept = 0
        self.given_up = 0
        self._waiting: queue.Queue[tuple[float, dict[str, Any]]] = queue.Queue(most)
        self._hurry = threading.Event()

    def keep(self, event: dict[str, Any], record: str) -> None:
        """Takes an event that is over; returns at once."""
        if record == "never":
            return
        try:
            self._waiting.put_nowait((time.monotonic() + AFTER_ROLL_S, event))
        except queue.Full:
            self.given_up += 1

    def run(self) -> None:
        """Writes what comes, until it is stopped and nothing is left."""
        while not self.stopping.is_set():
            self.beat()
            try:
                due, event = self._waiting.get(timeout=0.5)
            except queue.Empty:
                continue
            try:
                self._hurry.wait(max(0.0, due - time.monotonic()))
                self._write(event)
            finally:
                self._waiting.task_done()

    def finish(self, within_s: float) -> None:
        """Waits until everything is written, but not longer than this."""
        self._hurry.set()
        until = time.monotonic() + within_s
        while self._waiting.unfinished_tasks and self._thread.is_alive() and time.monotonic() < until:
            time.sleep(0.02)

    def to_json(self) -> dict[str, Any]:
        """Also what it keeps."""
        return {
            **super().to_json(),
            "kept": self.kept,
            "given_up": self.given_up,
            "bytes": self.store.used_bytes,
            "budget_bytes": self.store.budget_bytes,
            "path": str(self.store.folder),
        }

    def _write(self, event: dict[str, Any]) -> None:
        engine = self.engine
        if engine is None:
            return
        parts: dict[str, bytes | None] = {"clip": None, "thumbnail": None}
        for what in parts:
            try:
                parts[what] = getattr(engine, what)(event["id"])
            except EdusenseError as error:
                logger.warning("event=%s: no %s: %s", event["id"], what, error)
        self.store.keep(event, parts["clip"], parts["thumbnail"])
        self.kept += 1
