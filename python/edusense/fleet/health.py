"""Health: is a camera really working? Asked, logged in to, watched for some seconds, and held against what it says.

"Works" is said of a camera whose pictures were seen, and of no other.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from edusense.devices.profiles import choose
from edusense.errors import DeviceError, EdusenseError, SiteError, StreamError
from edusense.fleet.addresses import open_of_site
from edusense.fleet.comparing import Finding, aim_findings, clock_findings, event_findings, merged, stream_findings
from edusense.fleet.desired import wanted_of
from edusense.fleet.planning import plan_opened
from edusense.fleet.pool import VISIT_S, visit_all
from edusense.fleet.tasks import chosen
from edusense.fleet.templates import template

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from edusense.devices.camera import Camera as OpenCamera
    from edusense.devices.camera import CameraClock, CameraEvent, CameraProfile
    from edusense.fleet.measuring import Measured, StreamMeter
    from edusense.fleet.pool import Progress
    from edusense.fleet.templates import Template
    from edusense.site import Camera, Site

__all__ = ["OUTCOMES", "WATCH_S", "CameraHealth", "health"]

Outcome = Literal["works", "findings", "bad-picture", "no-picture", "refused", "unreachable", "not-checked"]
OUTCOMES: Final[tuple[Outcome, ...]] = (
    *("works", "findings", "bad-picture", "no-picture"),
    *("refused", "unreachable", "not-checked"),
)
"""From best to worst. `findings`: its pictures were seen, and something else is not as it should be."""
WORKERS: Final = 16
"""Cameras at once: each is watched by two sessions."""
WATCH_S: Final = 8.0
"""How long a stream is watched, from its first picture."""
EVENTS_S: Final = 3.0
"""How long a camera is listened to for what it tells by itself; how things are comes at once."""
_PICTURE: Final = frozenset({"black", "covered", "blurred", "frozen"})
_NAMES: Final = {"keep": "main stream", "watch": "sub stream"}


@dataclass(slots=True)
class CameraHealth:
    """What a health check found of one camera.

    Args:
        camera: its id.
        room: the room that it looks into.
        outcome: one of `OUTCOMES`.
        at_s: when it was checked, Unix seconds.
        seconds: how long that took.
        address: where it was asked, or its stream's URL.
        manufacturer: as it says; likewise the others.
        model: its model.
        firmware: version.
        serial: serial number.
        mac: MAC address.
        clock_offset_s: its clock minus ours; None where it did not tell.
        ntp: whether it says that it follows NTP.
        streams: `watch` and `keep` → what was measured; one of them where the camera has one stream.
        said: likewise, what the camera says of each.
        snapshot: width and height of the still picture that it makes; None where it was not had.
        speed_mbit: of its network port, where it tells.
        duplex: likewise.
        settings: beside its template: `template`, how many are `as_wanted`, those that `differ` (setting, actual,
            desired), how many are `unknown`; None where that was not compared.
        findings: what is not as it should be, the gravest first.
        unchecked: what could not be looked at, each with the reason.
        picture: the newest key picture of its largest stream, JPEG.
    """

    camera: str
    room: str
    outcome: Outcome = "not-checked"
    at_s: float = 0.0
    seconds: float = 0.0
    address: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    firmware: str | None = None
    serial: str | None = None
    mac: str | None = None
    clock_offset_s: float | None = None
    ntp: bool | None = None
    streams: dict[str, dict[str, Any]] = field(default_factory=dict)
    said: dict[str, dict[str, Any]] = field(default_factory=dict)
    snapshot: list[int] | None = None
    speed_mbit: int | None = None
    duplex: str | None = None
    settings: dict[str, Any] | None = None
    findings: list[Finding] = field(default_factory=list)
    unchecked: dict[str, str] = field(default_factory=dict)
    picture: bytes | None = field(default=None, repr=False)

    @property
    def seen(self) -> bool:
        """Whether it was seen to work: a picture with something to see."""
        return self.outcome in ("works", "findings")

    @property
    def watched(self) -> dict[str, Any] | None:
        """What was measured of its largest stream."""
        return self.streams.get("keep") or self.streams.get("watch")

    def to_json(self) -> dict[str, Any]:
        """As `edusense camera health --json` prints it."""
        value = {name: getattr(self, name) for name in self.__slots__ if name != "picture"}
        return {**value, "findings": [one.to_json() for one in self.findings]}

    @classmethod
    def from_json(cls, value: dict[str, Any], picture: bytes | None = None) -> CameraHealth:
        """Reads what `to_json` gave.

        Raises:
            TypeError: it is none.
        """
        findings = [Finding(**one) for one in value["findings"]]
        return cls(**{**value, "findings": findings}, picture=picture)


def health(
    site: Site,
    cameras: Sequence[str] = ("*",),
    *,
    seconds: float = WATCH_S,
    events: bool = True,
    workers: int = WORKERS,
    visit_s: float = VISIT_S,
    deadline_s: float | None = None,
    progress: Progress | None = None,
    found: Callable[[CameraHealth], None] | None = None,
    skip: Sequence[str] = (),
) -> list[CameraHealth]:
    """Checks whether cameras really work.

    Args:
        site: the site file.
        cameras: ids or patterns.
        seconds: how long each stream is watched.
        events: ask also for what each tells by itself; that takes one of its few places for three seconds.
        workers: cameras at once.
        visit_s: longest visit to one camera, in seconds.
        deadline_s: for all of it together; who was not checked by then is told as such.
        progress: called with how many are done and how many there are.
        found: called with each as it is done, from this thread.
        skip: ids that need no check.

    Raises:
        UsageError: a pattern that no camera fits.
        SiteError: a template is missing or wrong.
    """
    from edusense.fleet.measuring import StreamMeter

    todo = [one for one in chosen(site, cameras) if one.id not in set(skip)]
    templates = {name: template(name, site.folder) for name in {one.template for one in todo} if name is not None}
    if not todo:
        return []

    def late(camera: Camera) -> CameraHealth:
        reason = f"it was not checked within the {deadline_s:g} s that all of them had"
        made = CameraHealth(camera.id, camera.room, at_s=round(time.time(), 3), unchecked={"all": reason})
        made.findings.append(Finding("reach", True, reason))
        return made

    with StreamMeter(keep_s=max(12.0, seconds)) as meter:

        def work(camera: Camera, stop: threading.Event) -> CameraHealth:
            return _Check(site, camera, templates, meter, seconds, events, visit_s, stop).run()

        done: dict[int, CameraHealth] = {}
        for index, one in visit_all(todo, work, workers, progress, deadline_s=deadline_s, late=late):
            done[index] = one
            if found is not None:
                found(one)
    return [done[index] for index in range(len(todo))]


@dataclass(slots=True)
class _Check:
    """One visit to one camera."""

    site: Site
    camera: Camera
    templates: dict[str, Template]
    meter: StreamMeter
    seconds: float
    events: bool
    visit_s: float
    stop: threading.Event
    made: CameraHealth = field(init=False)

    def run(self) -> CameraHealth:
        begun = time.monotonic()
        self.made = made = CameraHealth(self.camera.id, self.camera.room, at_s=round(time.time(), 3))
        made.address = self.camera.address or self.camera.url
        try:
            if self.camera.address is None:
                self._by_url()
            else:
                with open_of_site(self.site, self.camera, self.visit_s, make=self._make()) as opened:
                    self._visit(opened)
        except (DeviceError, SiteError) as error:
            self._stopped(error)
        made.findings.sort(key=lambda one: not one.grave)
        if made.outcome == "not-checked" and not (self.stop.is_set() and not made.streams):
            made.outcome = _outcome(made)
        made.seconds = round(time.monotonic() - begun, 1)
        return made

    def _make(self) -> tuple[str, str]:
        if self.camera.template is None:
            return "", ""
        matches = self.templates[self.camera.template].matches
        return matches.manufacturer or "", matches.model or ""

    def _stopped(self, error: EdusenseError) -> None:
        """It could not be asked, or not any more."""
        self.made.outcome = "refused" if error.exit_status == 5 else "unreachable"
        check = "login" if error.exit_status == 5 else "reach"
        if error.code == "device-protocol":
            self.made.outcome, check = "no-picture", "profiles"
        if isinstance(error, SiteError):
            self.made.outcome, check = "not-checked", "site"
        self.made.findings.append(Finding(check, True, error.message, error.hint))

    def _by_url(self) -> None:
        """A camera without ONVIF: its stream is all that there is."""
        login = self.site.credentials_of(self.camera)
        assert self.camera.url is not None
        addresses = {"watch": self.camera.url}
        if self.camera.keep_url is not None:
            addresses["keep"] = self.camera.keep_url
        user, password = (None, None) if login is None else (login.user, login.secret())
        going = self._begin(addresses, user, password)
        if going is not None:
            self._measured(self.meter.finish(going, self.seconds, self.stop), {})

    def _begin(self, addresses: dict[str, str], user: str | None, password: str | None) -> Any:
        from edusense.fleet.measuring import Stream

        # What does not move does not move in both: the smaller stream costs a ninth to look at.
        still = "watch" if "watch" in addresses else "keep"
        streams = [Stream(name, url, user, password, name == still) for name, url in addresses.items()]
        try:
            return self.meter.begin(self.camera.id, streams)
        except StreamError as error:
            self.made.findings.append(Finding("stream", True, error.message, error.hint))
            return None

    def _visit(self, opened: OpenCamera) -> None:
        made = self.made
        # The clock goes first and needs no login.
        clock = self._asked("clock", opened.clock)
        if clock is not None:
            made.clock_offset_s = None if clock.offset_s is None else round(clock.offset_s, 1)
            made.ntp = clock.ntp
            made.findings += clock_findings(clock)
        who = opened.information()
        made.manufacturer, made.model, made.firmware = who.manufacturer, who.model, who.firmware
        made.serial, made.mac = who.serial or None, who.mac
        if who.mac is not None and self.camera.mac is not None and who.mac != self.camera.mac:
            words = f"its MAC address is {who.mac}, the site file says {self.camera.mac}"
            made.findings.append(Finding("identity", True, words, "another camera answers at this address"))
        profiles = opened.profiles()
        said, addresses = self._streams(opened, profiles)
        login = self.site.credentials_of(self.camera)
        user, password = (None, None) if login is None else (login.user, login.secret())
        going = self._begin(addresses, user, password) if addresses else None
        try:
            # All of this while the engine watches.
            self._still_picture(opened, said.get("keep") or said.get("watch"))
            self._settings(opened)
            self._asked("login", opened.prove_login, finding=True)
            if self.events:
                self._events(opened, clock)
        finally:
            seen = {} if going is None else self.meter.finish(going, self.seconds, self.stop)
            self._measured(seen, said)

    def _streams(
        self, opened: OpenCamera, profiles: list[CameraProfile]
    ) -> tuple[dict[str, CameraProfile], dict[str, str]]:
        said: dict[str, CameraProfile] = {}
        addresses: dict[str, str] = {}
        for name, wanted in (("keep", self.camera.keep), ("watch", self.camera.watch)):
            profile = choose(profiles, wanted, self.camera.id)
            if profile.token in {one.token for one in said.values()}:
                continue
            try:
                addresses[name] = opened.stream_address(profile)
                said[name] = profile
            except DeviceError as error:
                if error.exit_status == 4 and error.code != "device-protocol":
                    raise
                self.made.findings.append(
                    Finding("profiles", True, f"{_NAMES[name]}: {error.message}", error.hint),
                )
        return said, addresses

    def _asked(self, check: str, ask: Callable[[], Any], *, finding: bool = False) -> Any:
        """An answer; None where there is none, which is told."""
        try:
            return ask()
        except DeviceError as error:
            if error.exit_status != 5 and error.code != "device-protocol":
                raise
            if finding:
                self.made.findings.append(Finding(check, False, error.message, error.hint))
            else:
                self.made.unchecked[check] = error.message
            return None

    def _still_picture(self, opened: OpenCamera, profile: CameraProfile | None) -> None:
        address = self._asked("snapshot", lambda: opened.snapshot_address(profile or opened.profiles()[0]))
        if address is None:
            self.made.unchecked.setdefault("snapshot", "it makes no still pictures")
            return
        content = self._asked("snapshot", lambda: opened.snapshot(profile), finding=True)
        if content is None:
            return
        size = _jpeg_size(content)
        if size is None:
            self.made.findings.append(Finding("snapshot", False, "its still picture cannot be read as JPEG"))
        else:
            self.made.snapshot = list(size)

    def _settings(self, opened: OpenCamera) -> None:
        network = self._asked("network", lambda: opened.read_settings("network"))
        if network is not None:
            self.made.speed_mbit = network.values.get("speed_mbit")
            self.made.duplex = network.values.get("duplex")
            if self.made.duplex == "half" or (self.made.speed_mbit or 100) < 100:
                said = f"its port runs at {self.made.speed_mbit or '?'} Mbit/s, {self.made.duplex or '?'} duplex"
                self.made.findings.append(
                    Finding("link", False, said, "a bad pair in the cable, or a port set by hand")
                )
        if self.camera.template is None:
            self.made.unchecked["template"] = "it has no `template` in the site file"
            return
        chosen_ = self.templates[self.camera.template]
        plan = plan_opened(self.camera, opened, chosen_, wanted_of(self.site, self.camera, chosen_))
        if plan.problem is not None:
            self.made.findings.append(Finding("template", False, plan.problem))
        else:
            differ = [
                {"setting": one.wanted.setting, "actual": one.actual, "desired": one.wanted.want}
                for one in plan.drifted
                if one.wanted.setting != "clock.time"
            ]
            counted = Counter(one.action for one in plan.settings)
            self.made.settings = {
                "template": self.camera.template,
                "as_wanted": counted["keep"],
                "differ": differ,
                "unknown": counted["unknown"],
            }
        # The clock has a finding of its own.
        off = [one for one in plan.drifted if one.wanted.setting != "clock.time"]
        if off:
            some = ", ".join(f"{one.wanted.setting} {one.actual!r}" for one in off[:6]) + (" …" if len(off) > 6 else "")
            many = "1 setting is" if len(off) == 1 else f"{len(off)} settings are"
            words = f"{many} not as its template says: {some}"
            self.made.findings.append(Finding("template", False, words, "`edusense camera plan` shows them"))

    def _events(self, opened: OpenCamera, clock: CameraClock | None) -> None:
        told: list[CameraEvent] = []
        until = time.monotonic() + EVENTS_S

        def enough() -> bool:
            return time.monotonic() > until or self.stop.is_set()

        try:
            told.extend(opened.events(EVENTS_S, stopped=enough))
        except DeviceError as error:
            # Whoever has seen its pictures does not call it unreachable because of its events.
            self.made.unchecked["events"] = error.message
        offset_s = 0.0 if clock is None or clock.offset_s is None else clock.offset_s
        self.made.findings += event_findings(told, datetime.now(UTC) + timedelta(seconds=offset_s))

    def _measured(self, seen: dict[str, Measured], said: dict[str, CameraProfile]) -> None:
        of: dict[str, list[Finding]] = {"keep": [], "watch": []}
        for name in of:
            if name not in seen:
                continue
            one = seen[name]
            words = _NAMES[name] if len(seen) > 1 else "stream"
            self.made.streams[name] = one.to_json()
            if name in said:
                self.made.said[name] = asdict(said[name])
            of[name] = stream_findings(words, one, said.get(name))
            self.made.picture = self.made.picture or one.picture
        self.made.findings += merged(of["keep"], of["watch"])
        self._beside_reference()

    def _beside_reference(self) -> None:
        """Whether it still looks where it was aimed."""
        from edusense.fleet.references import References, displaced, luma_of_jpeg

        reference = References.of(self.site).get(self.camera.id)
        if reference is None or self.made.picture is None or _PICTURE & {one.check for one in self.made.findings}:
            return
        try:
            beside = displaced(luma_of_jpeg(self.made.picture), luma_of_jpeg(reference))
        except ValueError as error:
            self.made.unchecked["aim"] = f"its reference cannot be read: {error}"
            return
        self.made.findings += aim_findings(beside)


def _outcome(made: CameraHealth) -> Outcome:
    grave = {one.check for one in made.findings if one.grave}
    if not made.streams or not all(one["codec"] for one in made.streams.values()) or grave - _PICTURE:
        return "no-picture"
    return "bad-picture" if grave else "findings" if made.findings else "works"


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    import io

    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content), formats=["JPEG"]) as picture:
            picture.load()
            return picture.size
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
