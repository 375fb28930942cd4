"""Two things done to many cameras at once that need no template: setting their clocks, and restarting them."""

from __future__ import annotations

import fnmatch
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from edusense.errors import DeviceError, SiteError, UsageError
from edusense.fleet.addresses import open_of_site
from edusense.fleet.applying import REBOOT_S, Applied, apply, wait_until_back
from edusense.fleet.desired import Wanted, actual_of
from edusense.fleet.planning import CameraPlan, Plan, PlannedSetting
from edusense.fleet.pool import VISIT_S, WORKERS, visit_all

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from pathlib import Path

    from edusense.fleet.pool import Progress
    from edusense.site import Camera, Site

__all__ = ["Rebooted", "reboot", "set_time"]

_CLOCK: Final = Wanted("clock.time", "clock", "offset_s", 0.0, -2.0, 2.0, "report", "asked for")
"""Cameras tell whole seconds: closer than this cannot be seen."""


@dataclass(frozen=True, slots=True)
class Rebooted:
    """What came of telling a camera to restart.

    Args:
        camera: its id.
        state: `back` (it went and answers again), `stayed` (it said yes and was not seen to go), `away` (it did not
            come back in time), `failed` (it could not be told, or said no).
        seconds: from the word to its answer, or to the end of the wait.
        note: why it failed.
    """

    camera: str
    state: Literal["back", "stayed", "away", "failed"]
    seconds: float | None = None
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As `edusense camera reboot --json` prints it."""
        return {name: getattr(self, name) for name in self.__slots__}


def chosen(site: Site, patterns: Sequence[str]) -> list[Camera]:
    """The cameras that fit any of the patterns, in the site file's order.

    Raises:
        UsageError: a pattern that none fits.
    """
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(camera.id, pattern) for camera in site.cameras):
            raise UsageError(f"no camera fits `{pattern}`", hint="`edusense camera list` shows their ids")
    return [one for one in site.cameras if any(fnmatch.fnmatchcase(one.id, pattern) for pattern in patterns)]


def set_time(
    site: Site,
    cameras: Sequence[str],
    *,
    workers: int = WORKERS,
    visit_s: float = VISIT_S,
    journal: Path | None = None,
    progress: Progress | None = None,
) -> list[Applied]:
    """Sets the clocks of cameras to ours and reads them back. One that follows NTP is given back to it.

    Args:
        site: the site file.
        cameras: ids or patterns.
        workers: cameras visited at once.
        visit_s: longest visit to one camera, in seconds.
        journal: folder of journals; `fleet/journal` in the site's data folder by default.
        progress: called with how many are done and how many there are.

    Raises:
        UsageError: a pattern that no camera fits.
    """
    todo = chosen(site, cameras)

    def work(camera: Camera, _: threading.Event) -> CameraPlan:
        try:
            with open_of_site(site, camera, visit_s) as opened:
                values = opened.read_settings("clock").values
                who = opened.information()
        except (DeviceError, SiteError) as error:
            return CameraPlan(camera.id, problem=error.message, code=error.code)
        actual = actual_of(_CLOCK, values)
        # None: it shows no date at all, as some do after a power cut.
        action: Literal["keep", "change"] = "change"
        if actual is not None and abs(actual) <= _CLOCK.high:
            action = "keep"
        return CameraPlan(camera.id, who.serial, who.mac, {}, [PlannedSetting(_CLOCK, action, actual, 0.0, 0.0)])

    found = dict(visit_all(todo, work, workers, progress))
    plan = Plan(site, [found[index] for index in range(len(todo))], time.time())
    done = {one.camera: one for one in apply(plan, workers=workers, visit_s=visit_s, journal=journal)}
    for one in plan.cameras:
        if one.problem is None and not one.changes:
            actual = one.settings[0].actual
            done[one.camera] = Applied(one.camera, "clock.time", "unchanged", actual, 0.0, actual)
    return [done[camera.id] for camera in todo]


def reboot(
    site: Site,
    cameras: Sequence[str],
    *,
    wait_s: float = REBOOT_S,
    workers: int = WORKERS,
    progress: Progress | None = None,
) -> list[Rebooted]:
    """Restarts cameras and waits until they answer again.

    Args:
        site: the site file.
        cameras: ids or patterns.
        wait_s: how long each may take, in seconds.
        workers: cameras at once.
        progress: called with how many are done and how many there are.

    Raises:
        UsageError: a pattern that no camera fits.
    """
    todo = chosen(site, cameras)

    def work(camera: Camera, stop: threading.Event) -> Rebooted:
        begun = time.monotonic()
        try:
            with open_of_site(site, camera, VISIT_S) as opened:
                opened.reboot()
        except (DeviceError, SiteError) as error:
            return Rebooted(camera.id, "failed", None, error.message)
        state = wait_until_back(camera.address or "", wait_s, stop)
        return Rebooted(camera.id, state, round(time.monotonic() - begun, 1))

    found = dict(visit_all(todo, work, workers, progress))
    return [found[index] for index in range(len(todo))]
