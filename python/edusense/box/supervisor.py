"""`edusense run`: the parts of the box, begun in order, watched, told of changes, and ended in order.

```text
lock → event log → cameras, clips, alerts, terminals → socket → "ready"
socket stays until the last event has been told; then log, lock
```
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edusense._version import version
from edusense.alerts import Finding
from edusense.box.alerts import AlertsPart
from edusense.box.audit import AuditLog
from edusense.box.cameras import CamerasPart, ClipsPart
from edusense.box.canteen import Canteen
from edusense.box.clips import ClipStore
from edusense.box.log import EventLog
from edusense.box.notify import Notifier
from edusense.box.parts import Part
from edusense.box.place import SOCKET_NAME, BoxLock
from edusense.box.process import figures
from edusense.box.school_days import SchoolDays
from edusense.box.screens import Screens
from edusense.box.sealing import SealPart
from edusense.box.server import SocketServer
from edusense.box.terminals import TerminalPart
from edusense.box.uplink import UplinkPart
from edusense.devices import Card
from edusense.errors import BoxUnknownError, EdusenseError, PermissionDeniedError
from edusense.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Supervisor"]

logger = logging.getLogger(__name__)

TURN_S = 1.0
"""How often files are looked at and the watchdog is fed, in seconds (more often where systemd asks for it)."""

STOP_S = 8.0
"""A part that has not ended by then is left behind: the process ends without it."""


class _LogPart(Part):
    """Writes the event log through to the disk, once a second: a disk that hangs holds up this thread and no other."""

    def run(self) -> None:
        while not self.stopping.wait(1.0):
            self.log.sync()
            self.beat()


class Supervisor:
    """The box of one site.

    Args:
        path: the site file.
        notifier: systemd, or what stands in for it.

    Raises:
        SiteError: the site file.
        BoxBusyError: another box runs on this site.
        PermissionDeniedError: its data folder cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, notifier: Notifier | None = None) -> None:
        self.site = Site.load(path)
        self._path = Path(path).absolute()
        self._began = time.monotonic()
        self._notifier = Notifier() if notifier is None else notifier
        self.folder = _made(self.site.data_folder())
        self._lock = BoxLock(self.folder, self._path)
        try:
            self.log = EventLog(self.folder / "events")
        except BaseException:
            self._lock.close()
            raise
        self.audit = AuditLog(self.folder)
        self._store = ClipStore(self.site.recording_folder(), self.site.recording.budget_gb * 10**9)
        self._clips = ClipsPart(self._store, self.log)
        try:
            days = SchoolDays(lambda: self.site)
            self._alerts = AlertsPart(self.site, self.log, self.clip, status=self.status, closed=days.closed)
        except BaseException:
            self.log.close()
            self._lock.close()
            raise
        self._cameras = CamerasPart(self.site, self.log, self._clips, self._alerts, closed=days.closed)
        self._canteen = Canteen(self.site)
        self._screens = Screens()
        self._terminals = {entry.id: self._terminal(entry) for entry in self.site.terminals}
        self._pages = self._pages_of(self.site)
        self._uplink = self._uplink_of(self.site)
        self._sealing = SealPart(self.site, self.log)
        self._flush = _LogPart("event log", self.log)
        self._marks = self._files()
        self._reload_wanted = threading.Event()
        self._server: SocketServer | None = None

    def run(self, stop: threading.Event) -> None:
        """Runs the box until `stop` is set, then ends it cleanly: open events closed, ledger synced, socket removed."""
        try:
            self._server = SocketServer(self.folder / SOCKET_NAME, self)
            self.log.append("box", state="started", version=version(), pid=os.getpid())
            for part in self._parts():
                if part not in self._alerts.lanes:
                    part.start()
            self._alerts.start_lanes()
            told = f"{len(self.site.cameras)} cameras, {len(self._terminals)} terminals, socket {self._server.path}"
            logger.info("box: ready: %s", told)
            self._notifier.ready(told)
            turn = TURN_S if self._notifier.watchdog_s is None else min(TURN_S, self._notifier.watchdog_s / 4)
            while not stop.wait(turn):
                self._turn()
        finally:
            self._end()

    def reload(self) -> None:
        """Has the site file, the secrets and the roster read again within a second (SIGHUP); does not wait."""
        self._reload_wanted.set()

    # What the socket serves.

    def hello(self) -> Mapping[str, Any]:
        """Who answers."""
        return {"version": version(), "site": self.site.site.id, "pid": os.getpid(), "cursor": self.log.cursor}

    def status(self) -> Iterator[Mapping[str, Any]]:
        """The rows of the box, its cameras, its terminals and the ledger."""
        parts = {part.name: part.to_json() for part in self._parts()}
        failed = sorted(name for name, told in parts.items() if told["state"] == "failed")
        hung = [part.name for part in self._parts() if not part.alive]
        yield {
            "kind": "box",
            "version": version(),
            "pid": os.getpid(),
            "site": self.site.site.id,
            "path": str(self._path),
            "state": "degraded" if failed or hung or self.log.trouble else "running",
            "reason": "; ".join(
                [*(f"{name}: {parts[name]['reason']}" for name in failed), *(f"{n}: hangs" for n in hung)]
            )
            or self.log.trouble,
            "uptime_s": round(time.monotonic() - self._began, 3),
            **figures(),
            "clients": 0 if self._server is None else self._server.clients,
            "cursor": self.log.cursor,
            "parts": parts,
        }
        yield from self._cameras.rows()
        for terminal in self._terminals.values():
            yield terminal.state_row()
        if self.site.terminals:
            yield self._canteen.state()
        if self._uplink is not None:
            yield self._uplink.row()
        if self.site.zones or self.site.destinations:
            yield from self._alerts.rows()

    def clip(self, event: str) -> bytes:
        """An event's clip: from the disk, or from memory where it is not there yet."""
        return self._file_of(event, ".mp4", "clip")

    def thumbnail(self, event: str) -> bytes:
        """An event's picture, likewise."""
        return self._file_of(event, ".jpg", "thumbnail")

    def snapshot(self, camera: str) -> bytes:
        """A camera's newest picture."""
        return self._cameras.engine(camera).snapshot(camera)

    def heatmap(self, camera: str) -> bytes:
        """Where things moved in a camera's picture."""
        return self._cameras.heatmap(camera)

    def retry(self, camera: str) -> None:
        """Asks a camera again at once."""
        self._cameras.retry(camera)
        logger.info("camera=%s: asked again by hand", camera)

    def tap(self, terminal: str, card: str, by: str) -> Mapping[str, Any]:
        """A card at a terminal, as if its reader had seen it."""
        return self._terminal_of(terminal).tap(Card.parse(card), by)

    def enter(self, terminal: str, pupil: int, operator: str, reason: str, **more: Any) -> Mapping[str, Any]:
        """A meal by hand at a terminal."""
        return self._terminal_of(terminal).enter(pupil, operator, reason, **more)

    def reverse(self, record: str, operator: str, reason: str, words: str = "") -> Mapping[str, Any]:
        """Takes a meal back."""
        from edusense.meals import RecordKey
        from edusense.meals.of_site import meals_terminal

        key = RecordKey.parse(record)
        who = self._canteen.store().operators.named(operator, at=time.time())
        terminal = meals_terminal(
            self.site,
            "by hand",
            key.terminal,
            ledger=self._canteen.ledger(),
            roster=self._canteen.roster(),
            clock=self._canteen.clock,
        )
        done = self._canteen.by_hand().reverse(terminal, key, operator=who, reason=reason, words=words)
        return self.log.append("by-hand", what="reversal", **done.to_json())

    def confirm_clock(self, operator: str, at: float | None = None) -> Mapping[str, Any]:
        """Takes somebody's word for what time it is."""
        who = self._canteen.store().operators.named(operator, at=time.time())
        said, record = self._canteen.by_hand().confirm_clock(self._canteen.ledger(), operator=who, at=at)
        logger.warning("terminals: the clock was confirmed by operator %d", who.number)
        return self.log.append("by-hand", what="clock", operator=who.number, record=str(record), clock_s=said)

    def cases(self, open_only: bool, most: int) -> Iterator[Mapping[str, Any]]:
        """The newest cases."""
        for case in self._alerts.desk.cases(open_only=open_only, most=most):
            yield {"kind": "case", **case.to_json()}

    def case(self, name: str) -> Iterator[Mapping[str, Any]]:
        """One case, its log, and where it went."""
        desk = self._alerts.desk
        case = desk.find(name)
        yield {"kind": "case", **case.to_json()}
        for entry in desk.history(case.case):
            yield {"kind": "entry", **entry}
        for hop in desk.outbox.hops(case.case):
            yield {"kind": "hop", **hop}

    def case_file(self, name: str, part: str) -> tuple[bytes, str]:
        """The still or clip of a case, and what it is."""
        desk = self._alerts.desk
        case = desk.find(name)
        found = desk.outbox.attachment(case.case, part)
        try:
            if found is not None:
                return found.path.read_bytes(), found.media_type
        except OSError as error:
            logger.warning("alerts: case=%s: its %s cannot be read: %s", case.case, part, error.strerror)
        raise BoxUnknownError(f"case `{case.case}` has no {part}", hint="it is not made yet, or was deleted")

    def answer(self, case: str, answer: str, by: str, note: str | None, via: str) -> Mapping[str, Any]:
        """Somebody answers a case."""
        return {"kind": "case", **self._alerts.desk.answer(case, answer, by=by, via=via, note=note).to_json()}

    def raise_finding(self, finding: Mapping[str, Any], still: bytes | None, source: str) -> Mapping[str, Any]:
        """Somebody hands in a finding."""
        made = Finding.of({**finding, "source": finding.get("source") or source})
        return {"kind": "case", **self._alerts.raise_finding(made, still).to_json()}

    def test_alert(self, zone: str, by: str) -> Mapping[str, Any]:
        """A marked test on its whole way."""
        return {"kind": "case", **self._alerts.test(zone, by).to_json()}

    def silence(self, place: str, for_s: int, by: str, reason: str | None) -> Mapping[str, Any]:
        """A zone or camera whose findings open no case for a while."""
        made = self._alerts.desk.silence(place, until_s=time.time() + for_s, by=by, reason=reason)
        return {"kind": "silence", **made.to_json()}

    def silences(self, over: bool) -> Iterator[Mapping[str, Any]]:
        """The silences that are on, or all."""
        for silence in self._alerts.desk.silences(over=None if over else False):
            yield {"kind": "silence", **silence.to_json()}

    def unsilence(self, silence: int, by: str) -> Mapping[str, Any]:
        """Ends a silence."""
        return {"kind": "silence", **self._alerts.desk.unsilence(silence, by=by).to_json(), "over": True}

    # How it is run.

    def _parts(self) -> list[Part]:
        outside: list[Part] = [part for part in (self._pages, self._uplink) if part is not None]
        alerts = [self._alerts, *self._alerts.lanes]
        return [self._flush, self._clips, *alerts, self._cameras, *self._terminal_parts(), *outside, self._sealing]

    def _terminal_parts(self) -> list[Part]:
        return [part for terminal in self._terminals.values() for part in (terminal, *terminal.more_readers)]

    def _terminal(self, entry: Any) -> TerminalPart:
        return TerminalPart(entry, self.site, self._canteen, self.log, self._screens)

    def _pages_of(self, site: Site) -> Part | None:
        """The part that serves the pages; None for a site without."""
        if site.pages is None:
            return None
        from edusense.box.pages.part import PagesPart
        from edusense.box.pages.source import PagesSource

        source = PagesSource(
            lambda: self.site,
            self._canteen,
            self._screens,
            lambda: self._terminals,
            reverse=self.reverse,
            confirm_clock=self.confirm_clock,
            taps=self._taps,
            guard=self._alerts.guard,
        )
        return PagesPart(site, source, self.log)

    def _taps(self, since: int) -> Iterator[Mapping[str, Any]]:
        """The taps of the event log after a cursor."""
        reader = self.log.reader(since)
        try:
            while lines := reader.read():
                # Most lines are of motion: they are not worth reading.
                yield from (row for line in lines if b'"tap"' in line and (row := json.loads(line))["kind"] == "tap")
        finally:
            reader.close()

    def _exchange_pages(self, before: Site, site: Site) -> None:
        if before.pages == site.pages:
            return
        if self._pages is not None:
            self._pages.stop()
            self._pages.join(5.0)
        self._pages = self._pages_of(site)
        if self._pages is not None:
            self._pages.start()

    def _uplink_of(self, site: Site) -> UplinkPart | None:
        """The part that sends records to the hub; None for a site without."""
        return None if site.hub is None else UplinkPart(site, self.log, self._alerts.budget)

    def _exchange_uplink(self, before: Site, site: Site) -> None:
        if before.hub == site.hub:
            return
        if self._uplink is not None:
            self._uplink.stop()
            self._uplink.join(5.0)
        self._uplink = self._uplink_of(site)
        if self._uplink is not None:
            self._uplink.start()

    def _terminal_of(self, name: str) -> TerminalPart:
        part = self._terminals.get(name)
        if part is None:
            listed = ", ".join(self._terminals) or "none"
            raise BoxUnknownError(f"there is no terminal `{name}` in this site", hint=f"there are: {listed}")
        return part

    def _turn(self) -> None:
        """Once a second: files that have changed, and the watchdog."""
        marks = self._files()
        if self._reload_wanted.is_set() or marks != self._marks:
            self._reload_wanted.clear()
            self._marks = marks
            self._reload()
        hung = [part.name for part in self._parts() if not part.alive]
        if self._server is not None and time.monotonic() - self._server.beat > 30.0:
            hung.append("socket")
        if hung:
            # Systemd hears nothing any more, and begins the box anew when its patience ends.
            self._notifier.status(f"hangs: {', '.join(hung)}")
        else:
            self._notifier.alive()

    def _files(self) -> dict[str, object]:
        """What the site file and every file with a secret look like, so that a change shows."""
        files = [str(self._path)]
        for credentials in self.site.credentials.values():
            kind, _, rest = str(credentials.password).partition(":")
            if kind == "file":
                files.append(str(self.site.path_of(rest)))
        marks: dict[str, object] = {}
        for name in files:
            try:
                status = Path(name).stat()
                marks[name] = (status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode)
            except OSError as error:
                marks[name] = error.errno
        return marks

    def _reload(self) -> None:
        try:
            site = Site.load(self._path)
            self._fits(site)
        except EdusenseError as error:
            logger.error("box: the site file is not taken over, the one before stays in force: %s", error)
            self.log.append("box", state="reload-failed", reason=str(error), code=error.code)
            return
        before, self.site = self.site, site
        self._marks = self._files()
        self._store.budget_bytes = site.recording.budget_gb * 10**9
        self._canteen.update(site)
        self._alerts.update(site)
        self._cameras.update(site)
        self._exchange_terminals(before, site)
        self._exchange_pages(before, site)
        self._exchange_uplink(before, site)
        logger.info("box: site file and secrets read again")
        self.log.append("box", state="reloaded")

    def _fits(self, site: Site) -> None:
        """Refuses what a running box cannot change under its ledger and its socket."""
        for name in ("id", "number", "data"):
            was, wanted = getattr(self.site.site, name), getattr(site.site, name)
            if was != wanted:
                raise EdusenseError(
                    f"`site.{name}` was changed from `{was}` to `{wanted}` under a running box",
                    hint="stop the box and start it again",
                )

    def _exchange_terminals(self, before: Site, site: Site) -> None:
        """Ends terminals that are gone or changed, begins those that are new; the rest goes on."""
        same = before.meals == site.meals and before.site == site.site
        wanted = {entry.id: entry for entry in site.terminals}
        kept = {}
        for name, part in self._terminals.items():
            entry = wanted.get(name)
            if same and entry == part.terminal and _readers(before, part.terminal) == _readers(site, entry):
                kept[name] = part
        gone = [part for name, part in self._terminals.items() if name not in kept]
        for ending in [one for part in gone for one in (part, *part.more_readers)]:
            ending.stop()
        for ending in [one for part in gone for one in (part, *part.more_readers)]:
            ending.join(3.0)
        terminals = {}
        for name, entry in wanted.items():
            terminals[name] = kept.get(name) or self._terminal(entry)
            if name not in kept:
                for begun in (terminals[name], *terminals[name].more_readers):
                    begun.start()
        self._terminals = terminals

    def _file_of(self, event: str, suffix: str, what: str) -> bytes:
        content = self._store.read(event, suffix)
        if content is not None:
            return content
        ask: Callable[[str], bytes] = getattr(self._cameras.engine(), what)
        try:
            return ask(event)
        except EdusenseError as error:
            raise BoxUnknownError(
                f"there is no {what} of event `{event}`",
                hint=f"it was deleted to make room, or the id is wrong: `edusense events` lists them ({error})",
            ) from error

    def _end(self) -> None:
        begun = time.monotonic()
        logger.info("box: stopping")
        self._notifier.stopping()
        outside = [part for part in (self._pages, self._uplink) if part is not None]
        ending: list[Part] = [*self._terminal_parts(), self._cameras, *outside, self._sealing]
        for part in ending:
            part.stop()
        late = [part.name for part in ending if not _ended(part, begun + STOP_S)]
        self._clips.stop()
        self._alerts.stop()
        if not _ended(self._alerts, begun + STOP_S):
            late.append(self._alerts.name)
        self._alerts.close()
        self._flush.stop()
        self._canteen.close()
        if late:
            logger.error("box: did not end in time: %s", ", ".join(late))
        self.log.append("box", state="stopped", reason=f"left behind: {', '.join(late)}" if late else None)
        if self._server is not None:
            self._server.close()
        self.log.close()
        self._lock.close()
        self._notifier.close()
        logger.info("box: stopped after %.1f s", time.monotonic() - begun)


def _ended(part: Part, until: float) -> bool:
    return part.join(until - time.monotonic())


def _readers(site: Site, terminal: Any) -> Any:
    return None if terminal is None else [site.reader(name) for name in terminal.all_readers]


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise PermissionDeniedError(
            f"the data folder `{folder}` cannot be made: {error.strerror or error}",
            hint="`site.data` must be a folder that the user who runs the box may write",
        ) from error
    return folder
