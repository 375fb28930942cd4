"""Carrying a plan out: set, read back, compare; six outcomes. An OK of a camera proves nothing.

A group of settings is set in one go, then read again until it holds or some seconds are over. What the camera said is
told beside what it did, and only what was read back counts.
"""

from __future__ import annotations

import fnmatch
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from edusense.errors import DeviceError, DeviceRefusedError, SiteError, UsageError
from edusense.fleet.addresses import open_camera, open_of_site
from edusense.fleet.desired import actual_of, rank
from edusense.fleet.journal import Journal
from edusense.fleet.moving import Identity, holder_of, host_of, look_for, with_host
from edusense.fleet.planning import group_name
from edusense.fleet.pool import VISIT_S, WORKERS, visit_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edusense.devices.camera import Camera as OpenCamera
    from edusense.fleet.planning import CameraPlan, Plan, PlannedSetting
    from edusense.fleet.pool import Progress
    from edusense.site import Site

__all__ = ["FAILED", "Applied", "apply", "wait_until_back"]

Outcome = Literal["changed", "unchanged", "refused", "accepted-but-not-applied", "pending-reboot", "unreachable-after"]

FAILED: Final = frozenset({"refused", "accepted-but-not-applied", "unreachable-after", None})
"""Outcomes after which a canary has failed; `None` is a setting that was not tried."""
SETTLE_S: Final = 3.0
"""How long a camera may take until what it was told can be read back, in seconds: encoders restart."""
RETURN_S: Final = 12.0
"""How long a camera may be away after a Set, in seconds."""
REBOOT_S: Final = 180.0
"""How long a camera may take to restart, in seconds."""
HOLD_S: Final = 1.0
"""How long what was set must hold until it is looked at once more, over another connection: some show it for a moment.
"""
GOING_S: Final = 10.0
"""How long a camera may take until it goes down, in seconds."""
FEW: Final = 3
"""Fewer failures than this stop nobody."""
BEFORE: Final = "set by an earlier run of this plan"
_STEP_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of one setting.

    Args:
        camera: the camera's id.
        setting: its dotted name; None for a camera of which nothing was tried.
        outcome: one of six; None where it was not tried.
        before: what it was.
        desired: what was wanted.
        after: what was read back; None where nothing could be.
        note: what the camera said, rounded, or why it was not tried.
        address: where the camera is now, as the site file would have it, where that has changed.
    """

    camera: str
    setting: str | None
    outcome: Outcome | None
    before: Any = None
    desired: Any = None
    after: Any = None
    note: str | None = None
    address: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As `edusense camera apply --json` prints it."""
        return {name: getattr(self, name) for name in self.__slots__}


def apply(
    plan: Plan,
    *,
    canary: int = 0,
    max_failed: float | None = None,
    limit: str | None = None,
    reboot: bool = False,
    workers: int = WORKERS,
    visit_s: float = VISIT_S,
    deadline_s: float | None = None,
    journal: Path | None = None,
    progress: Progress | None = None,
) -> list[Applied]:
    """Carries a plan out and reads back what came of it.

    A camera that is another one than was planned for is left alone; so is a setting that has changed since. Applied
    again after an interruption, the same plan goes on where it stopped.

    Args:
        plan: from `fleet.plan`, or `Plan.load`.
        canary: so many cameras go first; the others only when all of these did as they were told.
        max_failed: no further camera is begun once more than this share of them (0 to 1) did not do as they were told;
            None: go on whatever happens.
        limit: only cameras whose id fits this pattern.
        reboot: restart a camera that has not taken a setting, and read again.
        workers: cameras visited at once.
        visit_s: longest visit to one camera, in seconds; a restart comes on top.
        deadline_s: for all of it together: what has not been begun by then is not.
        journal: folder of journals; `fleet/journal` in the site's data folder by default.
        progress: called with how many cameras are done and how many there are.

    Returns:
        A row for each setting that was to be changed, in the plan's order.

    Raises:
        UsageError: no camera fits `limit`.
        PermissionDeniedError: the journal cannot be written.
    """
    fitting = [one for one in plan.cameras if limit is None or fnmatch.fnmatchcase(one.camera, limit)]
    if limit is not None and not fitting:
        raise UsageError(f"no camera of the plan fits `{limit}`", hint="`edusense camera list` shows their ids")
    todo = [one for one in fitting if one.changes]
    folder = journal or plan.site.data_folder() / "fleet" / "journal"
    name = plan.id
    first, rest = (todo[:canary], todo[canary:]) if canary > 0 else (todo, [])
    done: dict[str, list[Applied]] = {}

    def work(one: CameraPlan, stop: threading.Event) -> list[Applied]:
        with Journal(folder, name, one.camera) as kept:
            return _Visit(plan.site, one, kept, stop, visit_s, reboot=reboot).run()

    begun, stop = time.monotonic(), threading.Event()
    failed: list[str] = []

    lates: set[str] = set()

    def late(one: CameraPlan) -> list[Applied]:
        lates.add(one.camera)
        if stop_for_failures():
            return _not_tried(
                one, f"not tried: {len(failed)} cameras had failed, `{'`, `'.join(failed[:3])}` among them"
            )
        return _not_tried(one, f"not tried: the {deadline_s or 0:g} s for all of them were over")

    def stop_for_failures() -> bool:
        return max_failed is not None and len(failed) >= FEW and len(failed) > max_failed * len(todo)

    def some(cameras: Sequence[CameraPlan], before: int) -> None:
        def told(count: int, _: int) -> None:
            if progress is not None:
                progress(before + count, len(todo))

        left = None if deadline_s is None else max(0.0, deadline_s - (time.monotonic() - begun))
        for index, found in visit_all(cameras, work, workers, told, deadline_s=left, late=late, stop=stop):
            done[cameras[index].camera] = found
            if cameras[index].camera not in lates and any(one.outcome in FAILED for one in found):
                failed.append(cameras[index].camera)
                if stop_for_failures():
                    stop.set()

    some(first, 0)
    bad = [camera for camera, found in done.items() if any(one.outcome in FAILED for one in found)]
    if rest and bad:
        for one in rest:
            done[one.camera] = _not_tried(one, f"not tried: canary `{bad[0]}` failed")
    elif rest:
        some(rest, len(first))
    rows: list[Applied] = []
    for one in fitting:
        if one.problem is not None:
            rows.append(Applied(one.camera, None, None, note=f"not tried: {one.problem}"))
        rows += done.get(one.camera, [])
    return rows


def _not_tried(one: CameraPlan, note: str, settings: Sequence[PlannedSetting] | None = None) -> list[Applied]:
    return [
        Applied(one.camera, each.wanted.setting, None, each.actual, each.wanted.want, None, note)
        for each in (one.changes if settings is None else settings)
    ]


class _Visit:
    """One visit to one camera."""

    def __init__(
        self, site: Site, one: CameraPlan, journal: Journal, stop: threading.Event, visit_s: float, *, reboot: bool
    ) -> None:
        self._site, self._plan, self._journal, self._stop = site, one, journal, stop
        self._visit_s, self._reboot = visit_s, reboot
        self._until = time.monotonic() + visit_s
        self._opened: OpenCamera | None = None
        self._patience_s = SETTLE_S

    def _camera(self) -> OpenCamera:
        if self._opened is None:
            camera = self._site.camera(self._plan.camera)
            left = max(1.0, self._until - time.monotonic())
            self._opened = open_of_site(self._site, camera, left)
        return self._opened

    def _close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def run(self) -> list[Applied]:
        """Sets what the plan says, group by group."""
        one = self._plan
        try:
            who = self._camera().information()
            if (who.serial, who.mac) != (one.serial, one.mac):
                was = one.serial or one.mac
                return _not_tried(one, f"not tried: `{was}` was planned for, now `{who.serial}` is at its address")
            rows: list[Applied] = []
            for group in sorted({each.wanted.group for each in one.changes}, key=rank):
                these = [each for each in one.changes if each.wanted.group == group]
                if self._stop.is_set():
                    rows += _not_tried(one, "not tried: broken off", these)
                elif any(row.outcome == "unreachable-after" for row in rows):
                    rows += _not_tried(one, "not tried: the camera is gone", these)
                elif group == "network":
                    rows = self._look_again(rows)
                    rows = self._restarted(rows) if self._reboot else rows
                    return rows + self._set(group, these)
                else:
                    rows += self._set(group, these)
            rows = self._look_again(rows)
            return self._restarted(rows) if self._reboot else rows
        except (DeviceError, SiteError) as error:
            hint = f"; {error.hint}" if error.hint else ""
            return _not_tried(one, f"not tried: {error.message}{hint}")
        finally:
            self._close()

    def _set(self, group: str, these: list[PlannedSetting]) -> list[Applied]:
        name = group_name(group, self._plan.profiles)
        try:
            before = self._camera().read_settings(name).values
        except DeviceError as error:
            return _not_tried(self._plan, f"not tried: {error.message}", these)
        ours = group in self._journal.begun
        rows: list[Applied] = []
        todo: list[PlannedSetting] = []
        for each in these:
            actual = actual_of(each.wanted, before)
            if each.holds(actual):
                outcome: Outcome = "changed" if ours else "unchanged"
                note = BEFORE if ours else "it was so already"
                rows.append(self._row(each, outcome, actual, note))
            elif actual != each.actual and each.wanted.key != "offset_s" and group not in self._journal.open:
                note = f"not tried: it has changed since the plan, from {each.actual} to {actual}; plan again"
                rows.append(Applied(self._plan.camera, each.wanted.setting, None, actual, each.wanted.want, None, note))
            else:
                todo.append(each)
        if not todo:
            return rows
        return rows + (self._move(todo) if group == "network" else self._set_and_read(group, name, todo, before))

    def _set_and_read(self, group: str, name: str, todo: list[PlannedSetting], before: dict[str, Any]) -> list[Applied]:
        values = {each.wanted.key: each.write for each in todo}
        self._journal.begin(group, values)
        restart, said = False, ""
        refused = False
        try:
            for part in _parts(values, before):
                restart = self._camera().write_settings(name, part) or restart
        except DeviceRefusedError as error:
            refused, said = True, error.message
        except DeviceError as error:
            said = error.message  # it may have done it all the same
            self._close()
        after = self._read_back(name, todo, patient=not refused and not restart)
        rows = []
        for each in todo:
            if after is None:
                gone = "it does not answer any more after this was set" + (f": {said}" if said else "")
                rows.append(self._row(each, "unreachable-after", None, gone))
                continue
            actual = actual_of(each.wanted, after)
            if each.holds(actual):
                rows.append(self._row(each, "changed", actual, _rounded(each, actual) or each.note or None))
            elif refused or said:
                rows.append(self._row(each, "refused", actual, said))
            elif restart:
                rows.append(self._row(each, "pending-reboot", actual, "the camera wants a restart for it"))
            else:
                note = "the camera said OK; some need a restart: `--reboot`"
                rows.append(self._row(each, "accepted-but-not-applied", actual, note))
        # Of a camera that did nothing of what it was told, less and less is waited for.
        held = any(row.outcome == "changed" for row in rows)
        self._patience_s = SETTLE_S if held else max(SETTLE_S / 6, self._patience_s / 2)
        self._journal.done(group, {row.setting or "": row.outcome for row in rows})
        return rows

    def _look_again(self, rows: list[Applied]) -> list[Applied]:
        """Looks once more, over another connection, at what was changed: some show it for a moment."""
        changed = {row.setting for row in rows if row.outcome == "changed" and row.note != BEFORE}
        gone = any(row.outcome == "unreachable-after" for row in rows)
        if not changed or gone or self._stop.is_set():
            return rows
        self._close()
        time.sleep(HOLD_S)
        planned = {one.wanted.setting: one for one in self._plan.changes}
        reads: dict[str, dict[str, Any] | None] = {}
        found: list[Applied] = []
        for row in rows:
            if row.setting is None or row.setting not in changed:
                found.append(row)
                continue
            each = planned[row.setting]
            group = each.wanted.group
            if group not in reads:
                reads[group] = self._read_back(group_name(group, self._plan.profiles), [each], patient=False)
            after = reads[group]
            actual = None if after is None else actual_of(each.wanted, after)
            if after is None:
                found.append(_with(row, "unreachable-after", None, "it was set, and then the camera did not answer"))
            elif each.holds(actual):
                found.append(row)
            else:
                note = f"it held for a moment, and is {actual} again"
                found.append(_with(row, "accepted-but-not-applied", actual, note))
        return found

    def _move(self, todo: list[PlannedSetting]) -> list[Applied]:
        """Gives the camera another address, or leaves that to DHCP, and looks for it afterwards."""
        one, camera = self._plan, self._site.camera(self._plan.camera)
        old = camera.address or ""
        values = {each.wanted.key: each.write for each in todo}
        static = values.get("address")
        new = with_host(old, static.partition("/")[0]) if static else None
        who = Identity(one.serial, one.mac, self._endpoint())
        if new is not None and host_of(new) != host_of(old) and (holder := holder_of(self._site, new, who)):
            note = f"not tried: {host_of(new)} is taken by {holder}"
            return _not_tried(one, note, todo)
        self._journal.begin("network", values)
        said, refused = "", False
        try:
            if self._camera().write_settings("network", values):
                self._camera().reboot()
        except DeviceRefusedError as error:
            refused, said = True, error.message
        except DeviceError as error:
            said = error.message  # it may have gone at once
        self._close()
        if refused:
            rows = [self._row(each, "refused", each.actual, said) for each in todo]
        else:
            found = look_for(
                self._site, camera, who, new=new, old=old, seconds=REBOOT_S, settled_s=GOING_S, stop=self._stop
            )
            rows = self._moved(todo, found, old, new)
        self._journal.done("network", {row.setting or "": row.outcome for row in rows})
        return rows

    def _endpoint(self) -> str | None:
        try:
            return self._camera().endpoint()
        except DeviceError:
            return None

    def _moved(
        self, todo: list[PlannedSetting], found: tuple[str, OpenCamera] | None, old: str, new: str | None
    ) -> list[Applied]:
        """What came of setting its address."""
        if found is None:
            at = f"neither at {host_of(old)}" + (f" nor at {host_of(new)}" if new else "") + " nor by a search"
            note = f"not found again within {REBOOT_S:g} s, {at}"
            return [self._row(each, "unreachable-after", None, note) for each in todo]
        address, opened = found
        with opened:
            try:
                after = opened.read_settings("network").values
            except DeviceError as error:
                return [
                    replace(self._row(each, "unreachable-after", None, error.message), address=address) for each in todo
                ]
        rows = []
        for each in todo:
            actual = actual_of(each.wanted, after)
            right = each.holds(actual) and (new is None or host_of(address) == host_of(new))
            if right:
                row = self._row(each, "changed", actual, f"now at {host_of(address)}")
            elif host_of(address) == host_of(old):
                row = self._row(each, "accepted-but-not-applied", actual, "it came back as it was")
            else:
                row = self._row(each, "accepted-but-not-applied", actual, f"it came back at {host_of(address)} instead")
            rows.append(replace(row, address=address if address != old else None))
        return rows

    def _row(self, each: PlannedSetting, outcome: Outcome, after: Any, note: str | None) -> Applied:
        return Applied(self._plan.camera, each.wanted.setting, outcome, each.actual, each.wanted.want, after, note)

    def _read_back(self, name: str, todo: list[PlannedSetting], *, patient: bool) -> dict[str, Any] | None:
        """The group as it is now; None where the camera does not come back. Waits a while for it to hold."""
        settled = time.monotonic() + (self._patience_s if patient else 0.0)
        back = min(self._until, time.monotonic() + RETURN_S)
        found: dict[str, Any] | None = None
        while True:
            try:
                found = self._camera().read_settings(name).values
                if time.monotonic() >= settled or all(one.holds(actual_of(one.wanted, found)) for one in todo):
                    return found
            except DeviceRefusedError:
                if time.monotonic() >= settled:
                    return found or {}  # it answers, and not this: nothing was seen to hold
            except DeviceError:
                found = None
                self._close()
            if time.monotonic() >= back:
                return found
            time.sleep(_STEP_S)

    def _restarted(self, rows: list[Applied]) -> list[Applied]:
        """Restarts the camera where something waits for it, and reads that again."""
        waiting = {row.setting for row in rows if row.outcome in ("pending-reboot", "accepted-but-not-applied")}
        if not waiting or self._stop.is_set():
            return rows
        try:
            self._camera().reboot()
        except DeviceError as error:
            return [
                _with(row, row.outcome, row.after, error.message) if row.setting in waiting else row for row in rows
            ]
        self._close()
        self._until = time.monotonic() + REBOOT_S + self._visit_s
        camera = self._site.camera(self._plan.camera)
        if wait_until_back(camera.address or "", REBOOT_S, self._stop) == "away":
            note = f"it did not come back within {REBOOT_S:g} s of its restart"
            return [_with(row, "unreachable-after", None, note) if row.setting in waiting else row for row in rows]
        planned = {one.wanted.setting: one for one in self._plan.changes}
        found: list[Applied] = []
        for row in rows:
            if row.setting is None or row.setting not in waiting:
                found.append(row)
                continue
            one = planned[row.setting]
            after = self._read_back(group_name(one.wanted.group, self._plan.profiles), [one], patient=True)
            actual = None if after is None else actual_of(one.wanted, after)
            if after is None:
                found.append(_with(row, "unreachable-after", None, "it does not answer after its restart"))
            elif one.holds(actual):
                found.append(_with(row, "changed", actual, "after a restart"))
            else:
                found.append(_with(row, "accepted-but-not-applied", actual, "also not after a restart"))
        return found


def _rounded(each: PlannedSetting, actual: Any) -> str | None:
    """What a camera made of a value, where it is not what it was told; None where it is."""
    if actual == each.planned or each.wanted.key == "offset_s":
        return None
    return f"the camera made {actual} of {each.planned}, which will do"


def _with(row: Applied, outcome: Outcome | None, after: Any, note: str) -> Applied:
    return replace(row, outcome=outcome, after=after, note=note)


def _parts(values: dict[str, Any], before: dict[str, Any]) -> list[dict[str, Any]]:
    """What is sent, in order: a clock is set by hand first, then given to NTP, if that is where it belongs."""
    if "offset_s" not in values:
        return [values]
    rest = {"ntp": before.get("ntp", False), **values}
    del rest["offset_s"]
    return [{"offset_s": 0.0}, rest] if rest["ntp"] or len(rest) > 1 else [{"offset_s": 0.0}]


def wait_until_back(
    address: str, seconds: float, stop: threading.Event | None = None
) -> Literal["back", "stayed", "away"]:
    """Waits for a camera that was told to restart; asks without login.

    Args:
        address: the camera.
        seconds: the longest that may take.
        stop: breaks the wait off.

    Returns:
        `back`: it went and answers again; `stayed`: it was not seen to go; `away`: it does not answer.
    """
    until = time.monotonic() + seconds
    # One that answers at once has not gone down yet, or said yes and stayed.
    gone_by = time.monotonic() + min(GOING_S, seconds / 2)
    seen_gone = False
    while time.monotonic() < until and not (stop is not None and stop.is_set()):
        try:
            with open_camera(address, None, 2.0) as opened:
                opened.clock()
            answers = True
        except DeviceRefusedError:
            answers = True  # it wants a login for its time: it is there
        except DeviceError:
            answers = False
        if answers and seen_gone:
            return "back"
        if answers and time.monotonic() >= gone_by:
            return "stayed"
        seen_gone = seen_gone or not answers
        time.sleep(_STEP_S)
    return "away"
