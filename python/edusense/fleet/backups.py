"""What a camera is set to, kept in a file, and put back: into the same camera, or into the one that takes its place.

A backup is what ONVIF can tell, as JSON: no firmware, no passwords. Putting it back goes the way of every other change:
it is planned, shown, set, read back.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import DeviceError, PermissionDeniedError, SiteError, UsageError
from edusense.fleet.addresses import open_of_site
from edusense.fleet.desired import Wanted, actual_of, rank, satisfied
from edusense.fleet.planning import CameraPlan, Plan, PlannedSetting
from edusense.fleet.pool import VISIT_S, WORKERS, visit_all
from edusense.fleet.tasks import chosen

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from pathlib import Path

    from edusense.devices.camera import Camera as OpenCamera
    from edusense.fleet.pool import Progress
    from edusense.site import Camera, Site

__all__ = ["BackedUp", "Backup", "back_up", "latest_backup", "plan_restore"]

_VERSION: Final = 1
_MAX_BYTES: Final = 1 << 20
_PLAIN: Final = ("clock", "ntp", "users", "scopes", "hostname", "discovery", "dns", "gateway", "network")
_NOT_KEPT: Final = {"offset_s", "users", "speed_mbit", "duplex", "quality"}
"""What is no setting: a clock's difference at that moment, what a cable does; and each maker's own scale."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What a camera was set to.

    Args:
        camera: its id in the site file.
        site: the site's id.
        made_s: when, Unix seconds.
        information: who it said it was.
        profiles: token → name of its streams.
        groups: group of settings → setting → value, as the driver reads them.
        unread: group → why it could not be read.
    """

    camera: str
    site: str
    made_s: float
    information: dict[str, Any]
    profiles: dict[str, str]
    groups: dict[str, dict[str, Any]]
    unread: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As it stands in its file."""
        return {"edusense_backup": _VERSION, **asdict(self)}

    def save(self, folder: Path) -> Path:
        """Writes it into a folder: `CAMERA-YYYYMMDD-HHMMSS.json`, readable by owner and group.

        Raises:
            PermissionDeniedError: the folder may not be written.
            UsageError: it cannot be for another reason.
        """
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(self.made_s))
        path = folder / f"{self.camera}-{stamp}.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(json.dumps(self.to_json(), ensure_ascii=False, indent=1) + "\n")
        except PermissionError:
            raise PermissionDeniedError(f"`{folder}` may not be written by this user", hint="--out DIR") from None
        except OSError as error:
            raise UsageError(f"`{path}` cannot be written: {error.strerror}") from None
        return path

    @classmethod
    def load(cls, path: Path) -> Backup:
        """Reads a backup.

        Raises:
            UsageError: it cannot be read, or is none.
        """
        try:
            content = path.read_bytes() if path.stat().st_size <= _MAX_BYTES else b""
            data = json.loads(content)
            version = data.pop("edusense_backup")
            if version != _VERSION:
                raise UsageError(f"`{path}` is a backup of another version of edusense")
            made = cls(**data)
            if not all(isinstance(values, dict) for values in made.groups.values()):
                raise TypeError
        except OSError as error:
            raise UsageError(f"`{path}` cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UsageError(f"`{path}` is no backup of a camera", hint="`edusense camera backup` writes one") from None
        return made


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What came of backing up one camera.

    Args:
        camera: its id.
        path: the file; None where there is none.
        groups: how many groups of settings are in it.
        unread: groups that could not be read.
        problem: why there is no file.
    """

    camera: str
    path: str | None = None
    groups: int = 0
    unread: list[str] = field(default_factory=list)
    problem: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As `edusense camera backup --json` prints it."""
        return {name: getattr(self, name) for name in self.__slots__}


def back_up(
    site: Site,
    cameras: Sequence[str],
    folder: Path,
    *,
    workers: int = WORKERS,
    visit_s: float = VISIT_S,
    progress: Progress | None = None,
) -> list[BackedUp]:
    """Keeps what cameras are set to, a file each.

    Args:
        site: the site file.
        cameras: ids or patterns.
        folder: where the files go.
        workers: cameras at once.
        visit_s: longest visit to one camera, in seconds.
        progress: called with how many are done and how many there are.

    Raises:
        UsageError: no camera fits.
        PermissionDeniedError: the folder may not be written.
    """
    todo = chosen(site, cameras)

    def work(camera: Camera, _: threading.Event) -> BackedUp:
        if camera.address is None:
            return BackedUp(camera.id, problem="it is given by `url`: there is no ONVIF to ask it by")
        try:
            with open_of_site(site, camera, visit_s) as opened:
                made = _read(site, camera, opened)
        except (DeviceError, SiteError) as error:
            return BackedUp(camera.id, problem=error.message + (f"; {error.hint}" if error.hint else ""))
        path = made.save(folder)
        return BackedUp(camera.id, str(path), len(made.groups), sorted(made.unread))

    found = dict(visit_all(todo, work, workers, progress))
    return [found[index] for index in range(len(todo))]


def _read(site: Site, camera: Camera, opened: OpenCamera) -> Backup:
    who = opened.information()
    profiles = {one.token: one.name for one in opened.profiles()}
    main = next(iter(profiles))
    names = [*_PLAIN, *(f"encoder/{token}" for token in profiles), f"imaging/{main}", f"osd/{main}"]
    groups: dict[str, dict[str, Any]] = {}
    unread: dict[str, str] = {}
    for name in names:
        try:
            values = opened.read_settings(name).values
        except DeviceError as error:
            if error.exit_status != 5 and error.code != "device-protocol":
                raise  # not this question: the camera is gone
            unread[name] = error.message
            continue
        groups[name] = {key: value for key, value in values.items() if key not in _NOT_KEPT}
    information = {**asdict(who), "speaks": list(who.speaks)}
    return Backup(camera.id, site.site.id, round(time.time(), 3), information, profiles, groups, unread)


def latest_backup(place: Path, camera: str) -> Path:
    """The newest backup of a camera in a folder; a file is taken as it is.

    Args:
        place: a folder, or a file.
        camera: the camera's id.

    Raises:
        UsageError: there is none.
    """
    if not place.is_dir():
        return place
    stamp = "[0-9]" * 8 + "-" + "[0-9]" * 6
    found = sorted(place.glob(f"{camera}-{stamp}.json"))
    if not found:
        raise UsageError(f"`{place}` has no backup of `{camera}`", hint="`edusense camera backup` writes them")
    return found[-1]


def plan_restore(site: Site, camera: str, backup: Backup, *, network: bool = False, visit_s: float = VISIT_S) -> Plan:
    """What would have to be done so that a camera is as a backup says. Changes nothing; `fleet.apply` does it.

    The camera need not be the one that the backup was made of: what takes its place is set like it.

    Args:
        site: the site file.
        camera: the camera's id.
        backup: what it should be.
        network: its address, too; else that is left as it is.
        visit_s: longest visit, in seconds.

    Raises:
        UsageError: there is no such camera.
        DeviceError: it cannot be asked.
    """
    entry = site.camera(camera)
    with open_of_site(site, entry, visit_s) as opened:
        who = opened.information()
        tokens = [one.token for one in opened.profiles()]
        settings: list[PlannedSetting] = []
        for name in sorted(backup.groups, key=rank):
            if name == "network" and not network:
                continue
            here = _same_place(name, list(backup.profiles), tokens)
            settings += _planned(opened, name, here, backup.groups[name])
    return Plan(site, [CameraPlan(camera, who.serial, who.mac, {}, settings)], time.time())


def _same_place(name: str, before: list[str], now: list[str]) -> str | None:
    """A group's name in this camera: its streams may have other tokens, and are taken in their order."""
    head, slash, token = name.partition("/")
    if not slash:
        return name
    place = before.index(token) if token in before else len(now)
    return f"{head}/{now[place]}" if place < len(now) else None


def _planned(opened: OpenCamera, name: str, here: str | None, values: dict[str, Any]) -> list[PlannedSetting]:
    kind = name.replace("/", ".")
    wanted = {
        key: Wanted(f"{kind}.{key}", here or name, key, value, None, None, "report", "as it was in the backup")
        for key, value in values.items()
    }
    if here is None:
        return [PlannedSetting(one, "cannot", note="this camera has fewer streams") for one in wanted.values()]
    try:
        now = opened.read_settings(here).values
    except DeviceError as error:
        if error.exit_status != 5 and error.code != "device-protocol":
            raise
        return [PlannedSetting(one, "unknown", note=error.message) for one in wanted.values()]
    found = []
    for key, one in wanted.items():
        actual = now.get(key, "absent" if name == "users" else None)
        if name == "users" and actual == "absent":
            note = "there is no such user here; `edusense camera rotate-password` makes one with a password"
            found.append(PlannedSetting(one, "cannot", actual, note=note))
        elif actual is None:
            found.append(PlannedSetting(one, "unknown", note="the camera does not tell"))
        elif satisfied(one, actual_of(one, now)):
            found.append(PlannedSetting(one, "keep", actual))
        elif key == "address" and values.get("dhcp"):
            found.append(PlannedSetting(one, "skip", actual, note="it takes its address from DHCP"))
        else:
            found.append(PlannedSetting(one, "change", actual, one.want, one.want))
    return found
