"""A plan: for each camera and setting what it is, what it should be, and what would be done about it."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from edusense.devices.profiles import choose
from edusense.errors import DeviceError, EdusenseError, PermissionDeniedError, SiteError, UsageError
from edusense.fleet.addresses import open_of_site
from edusense.fleet.desired import GROUPS, Wanted, actual_of, choose_value, rank, satisfied, wanted_of
from edusense.fleet.pool import VISIT_S, WORKERS, visit_all
from edusense.fleet.templates import fits, older, template

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    from edusense.devices.camera import Camera as OpenCamera
    from edusense.devices.camera import CameraInformation, CameraSettings
    from edusense.fleet.pool import Progress
    from edusense.fleet.templates import Template
    from edusense.site import Camera, Site

__all__ = ["CameraPlan", "Plan", "PlannedSetting", "group_name", "plan", "plan_opened"]

_VERSION: Final = 1
_MAX_BYTES: Final = 64 << 20

Action = Literal["keep", "change", "cannot", "skip", "unknown"]


@dataclass(frozen=True, slots=True)
class PlannedSetting:
    """One setting of one camera.

    Args:
        wanted: what it should be.
        action: `keep` (it is so), `change`, `cannot` (the camera cannot, and the template says to report it), `skip`
            (the camera cannot, and the template lets it be), `unknown` (it cannot be read).
        actual: what it is; None where the camera does not tell.
        planned: what it will be, after the camera's rounding; None where nothing is done.
        write: what the camera is told.
        note: what the camera rounds, or why nothing can be done.
    """

    wanted: Wanted
    action: Action
    actual: Any = None
    planned: Any = None
    write: Any = None
    note: str = ""

    def holds(self, actual: Any) -> bool:
        """Whether a value is as it should be, or as near as the camera comes."""
        return satisfied(self.wanted, actual) or (self.planned is not None and actual == self.planned)


@dataclass(frozen=True, slots=True)
class CameraPlan:
    """One camera's part of a plan.

    Args:
        camera: its id.
        serial: serial number, by which it is known again; empty where it tells none.
        mac: MAC address; None where it does not tell.
        profiles: token of its main and sub stream.
        settings: what it should be, in the order in which it is done.
        problem: why it could not be planned: it cannot be reached, refuses the login, does not fit its template.
        code: the problem's code.
        left: why there is nothing to plan: it has no ONVIF, or no template.
    """

    camera: str
    serial: str = ""
    mac: str | None = None
    profiles: dict[str, str] = field(default_factory=dict)
    settings: list[PlannedSetting] = field(default_factory=list)
    problem: str | None = None
    code: str | None = None
    left: str | None = None

    @property
    def changes(self) -> list[PlannedSetting]:
        """What would be done."""
        return [one for one in self.settings if one.action == "change"]

    @property
    def drifted(self) -> list[PlannedSetting]:
        """What is not as it should be, whether or not something can be done about it."""
        return [one for one in self.settings if one.action in ("change", "cannot")]


@dataclass(slots=True)
class Plan:
    """A plan for the cameras of a site; `fleet.apply` carries it out.

    Args:
        site: the site that it is for.
        cameras: its cameras, in the site file's order.
        made_s: when the cameras were read, Unix seconds.
    """

    site: Site
    cameras: list[CameraPlan]
    made_s: float

    @property
    def id(self) -> str:
        """Sixteen hex digits that stand for its content."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def changes(self) -> int:
        """How many settings would be changed."""
        return sum(len(one.changes) for one in self.cameras)

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row for each setting, and one for each camera that could not be planned."""
        for camera in self.cameras:
            if camera.problem or camera.left:
                action = "problem" if camera.problem else "left"
                yield _row(camera.camera, None, action, note=camera.problem or camera.left)
            for one in camera.settings:
                yield _row(
                    camera.camera,
                    one.wanted.setting,
                    one.action,
                    one.actual,
                    one.wanted.want,
                    one.planned,
                    one.note or None,
                    one.wanted.why,
                )

    def to_json(self) -> dict[str, Any]:
        """As `save` writes it; without any secret."""
        return {
            "edusense_plan": _VERSION,
            "site": self.site.site.id,
            "number": self.site.site.number,
            "made_s": self.made_s,
            "cameras": [asdict(camera) for camera in self.cameras],
        }

    def save(self, path: Path) -> None:
        """Writes it to a file, to be reviewed and applied later.

        Raises:
            PermissionDeniedError: the file may not be written.
            UsageError: there is no such folder.
        """
        try:
            path.write_text(json.dumps(self.to_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        except PermissionError:
            raise PermissionDeniedError(f"`{path}` may not be written by this user") from None
        except OSError as error:
            raise UsageError(f"`{path}` cannot be written: {error.strerror}") from None

    @classmethod
    def load(cls, path: Path, site: Site) -> Plan:
        """Reads a saved plan.

        Args:
            path: what `save` wrote.
            site: the site that it must be for.

        Raises:
            UsageError: it is no plan, or one for another site or for cameras that the site file has no longer.
        """
        data = _read_plan(path)
        try:
            version, of = data["edusense_plan"], (data["site"], data["number"])
            cameras = [_camera_plan(one) for one in data["cameras"]] if version == _VERSION else []
            made_s = float(data["made_s"]) if version == _VERSION else 0.0
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UsageError(f"`{path}` is no plan", hint="`edusense camera plan --out FILE` writes one") from None
        if version != _VERSION:
            raise UsageError(f"`{path}` is a plan of another version of edusense", hint="plan again")
        if of != (site.site.id, site.site.number):
            raise UsageError(f"`{path}` is a plan for `{of[0]}`, this site is `{site.site.id}`", hint="--site FILE")
        known = {camera.id for camera in site.cameras}
        if missing := [one.camera for one in cameras if one.camera not in known]:
            raise UsageError(f"`{path}` plans for `{missing[0]}`, which the site file does not have", hint="plan again")
        return cls(site, cameras, made_s)


def _read_plan(path: Path) -> Any:
    try:
        size = path.stat().st_size
        content = path.read_text(encoding="utf-8") if size <= _MAX_BYTES else ""
    except OSError as error:
        raise UsageError(f"`{path}` cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        content, size = "", 0
    if size > _MAX_BYTES:
        raise UsageError(f"`{path}` is no plan: {size >> 20} MiB long")
    try:
        return json.loads(content)
    except ValueError:
        raise UsageError(f"`{path}` is no plan", hint="`edusense camera plan --out FILE` writes one") from None


def _camera_plan(data: dict[str, Any]) -> CameraPlan:
    settings = [PlannedSetting(**{**one, "wanted": Wanted(**one["wanted"])}) for one in data["settings"]]
    if any(rank(one.wanted.group)[0] == len(GROUPS) for one in settings if one.action == "change"):
        raise ValueError("a change of what nobody can set")
    return CameraPlan(**{**data, "settings": settings})


def _row(
    camera: str,
    setting: str | None,
    action: str,
    actual: Any = None,
    desired: Any = None,
    planned: Any = None,
    note: str | None = None,
    why: str | None = None,
) -> dict[str, Any]:
    names = ("camera", "setting", "action", "actual", "desired", "planned", "note", "why")
    return dict(zip(names, (camera, setting, action, actual, desired, planned, note, why), strict=True))


def plan(
    site: Site,
    *,
    limit: str | None = None,
    workers: int = WORKERS,
    visit_s: float = VISIT_S,
    deadline_s: float | None = None,
    progress: Progress | None = None,
) -> Plan:
    """Reads every camera of a site and says what would have to be done. Changes nothing.

    Args:
        site: the site file.
        limit: only cameras whose id fits this pattern: `205-*`.
        workers: cameras visited at once.
        visit_s: longest visit to one camera, in seconds.
        deadline_s: for all of it together; who was not asked by then is a problem of the plan.
        progress: called with how many are done and how many there are.

    Raises:
        SiteError: a template is missing or wrong.
        UsageError: no camera fits `limit`.
    """
    cameras = [one for one in site.cameras if limit is None or fnmatch.fnmatchcase(one.id, limit)]
    if limit is not None and not cameras:
        raise UsageError(f"no camera fits `{limit}`", hint="`edusense camera list` shows their ids")
    templates = {name: template(name, site.folder) for name in {one.template for one in cameras} if name is not None}
    made = time.time()

    def work(camera: Camera, _: threading.Event) -> CameraPlan:
        return _plan_camera(site, camera, templates, visit_s)

    def late(camera: Camera) -> CameraPlan:
        problem = f"it was not asked within the {deadline_s:g} s that all of them had"
        return CameraPlan(camera.id, problem=problem, code="device-timeout")

    done = dict(visit_all(cameras, work, workers, progress, deadline_s=deadline_s, late=late))
    return Plan(site, [done[index] for index in range(len(cameras))], made)


def _plan_camera(site: Site, camera: Camera, templates: dict[str, Template], visit_s: float) -> CameraPlan:
    if camera.address is None:
        return CameraPlan(camera.id, left="it is given by `url`: there is no ONVIF to set it by")
    if camera.template is None:
        return CameraPlan(camera.id, left="it has no `template` in the site file")
    chosen = templates[camera.template]
    try:
        wanted = wanted_of(site, camera, chosen)
        make = (chosen.matches.manufacturer or "", chosen.matches.model or "")
        with open_of_site(site, camera, visit_s, make=make) as opened:
            return plan_opened(camera, opened, chosen, wanted)
    except (DeviceError, SiteError) as error:
        return CameraPlan(camera.id, problem=_said(error), code=error.code)


def _said(error: EdusenseError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


def plan_opened(camera: Camera, opened: OpenCamera, chosen: Template, wanted: list[Wanted]) -> CameraPlan:
    """Compares a camera that is being visited with what it should be.

    Args:
        camera: of the site file.
        opened: the visit.
        chosen: its template.
        wanted: what that wants of it (`wanted_of`).

    Raises:
        DeviceError: it cannot be asked any more.
    """
    # Time first: where the clock is off, the driver's logins go by what it reads here.
    reads = {"clock": _read(opened, "clock")}
    who = opened.information()
    if problem := _unfit(who, chosen):
        return CameraPlan(camera.id, who.serial, who.mac, problem=problem, code="device")
    found = opened.profiles()
    tokens = {"main": choose(found, camera.keep, camera.id).token, "sub": choose(found, camera.watch, camera.id).token}
    groups = {one.group for one in wanted}
    for group in GROUPS:
        if group not in groups or group in reads:
            continue
        if group == "sub" and tokens["sub"] == tokens["main"]:
            reads[group] = "the camera has one stream only"
            continue
        reads[group] = _read(opened, group_name(group, tokens))
    settings: list[PlannedSetting] = []
    for group in (*GROUPS, ""):
        these = [one for one in wanted if one.group == group]
        done = _plan_group(these, reads.get(group, "ONVIF has no word for it"))
        settings += [_doubted(one, opened) for one in done]
    settings += _firmware(who, chosen)
    return CameraPlan(camera.id, who.serial, who.mac, tokens, settings)


def _firmware(who: CameraInformation, chosen: Template) -> list[PlannedSetting]:
    """A finding where the firmware is older than the template wants; nothing here can change that."""
    wanted = chosen.firmware
    if wanted.minimum is None or not older(who.firmware, wanted.minimum):
        return []
    why = wanted.why or "older ones are not known to work"
    one = Wanted("firmware.minimum", "", "", wanted.minimum, None, None, "report", why)
    return [PlannedSetting(one, "cannot", who.firmware, note=f"older than {wanted.minimum}: {why}; update it")]


def _doubted(one: PlannedSetting, opened: OpenCamera) -> PlannedSetting:
    """With a word where others have seen this make accept it and ignore it."""
    doubt = opened.doubts(one.wanted.setting) if one.action == "change" else None
    return one if doubt is None else replace(one, note="; ".join(part for part in (one.note, doubt) if part))


def _read(opened: OpenCamera, group: str) -> CameraSettings | str:
    """A group's settings, or why they cannot be read."""
    try:
        return opened.read_settings(group)
    except DeviceError as error:
        if error.exit_status != 5 and error.code != "device-protocol":
            raise  # not this question: the camera itself is gone
        return error.message


def group_name(group: str, tokens: dict[str, str]) -> str:
    """A group as the driver calls it."""
    if group in ("main", "sub"):
        return f"encoder/{tokens[group]}"
    return f"{group}/{tokens['main']}" if group in ("imaging", "osd") else group


def _unfit(who: CameraInformation, chosen: Template) -> str | None:
    """Why a camera and its template do not go together; None where they do."""
    for what, pattern, said in (
        ("manufacturer", chosen.matches.manufacturer, who.manufacturer),
        ("model", chosen.matches.model, who.model),
    ):
        if pattern is not None and not fits(pattern, said):
            return f"template `{chosen.name}` is for {what} `{pattern}`, this camera's is `{said}`"
    for bad in chosen.firmware.known_bad:
        if fits(bad.version, who.firmware):
            return f"firmware `{bad.version}` must not be in use: {bad.why}"
    return None


def _plan_group(wanted: list[Wanted], read: CameraSettings | str) -> list[PlannedSetting]:
    if isinstance(read, str):
        return [PlannedSetting(one, "skip" if one.otherwise == "skip" else "unknown", note=read) for one in wanted]
    will = dict(read.values)
    planned: list[PlannedSetting] = []
    # The encoding decides what is offered, the rate how many pictures a GOP has.
    first = {"encoding": 0, "fps": 1}
    for one in sorted(wanted, key=lambda one: first.get(one.key, 2)):
        codec = will.get("encoding", "")
        offer = read.offers.get(one.key) or read.offers.get(f"{codec}:{one.key}")
        done = _plan_one(one, actual_of(one, read.values), actual_of(one, will), offer, will.get("fps"))
        if done.action == "change":
            will[one.key] = done.write
        planned.append(done)
    place = {one.setting: index for index, one in enumerate(wanted)}
    return sorted(planned, key=lambda one: place[one.wanted.setting])


def _plan_one(one: Wanted, actual: Any, will: Any, offer: Any, fps: float | None) -> PlannedSetting:
    if actual is None:
        action: Action = "skip" if one.otherwise == "skip" else "unknown"
        return PlannedSetting(one, action, note="the camera does not tell")
    if satisfied(one, will):
        return PlannedSetting(one, "keep", actual)
    if one.group == "users" and actual == "absent":
        note = "there is no such user; `edusense camera rotate-password` makes one with a password"
        return PlannedSetting(one, "skip" if one.otherwise == "skip" else "cannot", actual, note=note)
    choice = choose_value(one, offer, fps)
    if choice.value is None:
        return PlannedSetting(one, "skip" if one.otherwise == "skip" else "cannot", actual, note=choice.note)
    if choice.planned == will:
        return PlannedSetting(one, "keep", actual, choice.planned, note=choice.note)
    return PlannedSetting(one, "change", actual, choice.planned, choice.value, choice.note)
