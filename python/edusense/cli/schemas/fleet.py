"""Rows of `edusense camera`, as far as they are about what cameras should be."""

from __future__ import annotations

from typing import Any, Literal

from edusense.cli.schemas.base import Row

__all__ = [
    "AdoptedRow",
    "AimRow",
    "AppliedRow",
    "AuditedRow",
    "BackedUpRow",
    "CameraHealthRow",
    "CameraToldRow",
    "HandoverRow",
    "NewCameraRow",
    "PlannedRow",
    "RebootedRow",
    "TemplateRow",
]


class PlannedRow(Row):
    """One setting of one camera, or a camera that could not be planned."""

    camera: str
    """Its id."""
    setting: str | None
    """Dotted name, as in the template; null for a camera as a whole."""
    action: Literal["keep", "change", "cannot", "skip", "unknown", "problem", "left"]
    """keep: it is so; change: it would be set; cannot: the camera does not offer it; skip: likewise, and the template
    lets it be; unknown: it cannot be read; problem: the camera could not be asked; left: it has no ONVIF or template.
    """
    actual: Any
    """What it is."""
    desired: Any
    """What the template wants."""
    planned: Any
    """What it will be, as the camera rounds."""
    note: str | None
    """What is rounded, or why nothing can be done."""
    why: str | None
    """The template's reason."""


class AppliedRow(Row):
    """What came of one setting."""

    camera: str
    """Its id."""
    setting: str | None
    """Dotted name; null for a camera of which nothing was tried."""
    outcome: (
        Literal["changed", "unchanged", "refused", "accepted-but-not-applied", "pending-reboot", "unreachable-after"]
        | None
    )
    """What was seen when it was read back; null where it was not tried."""
    before: Any
    """What it was."""
    desired: Any
    """What was wanted."""
    after: Any
    """What was read back."""
    note: str | None
    """What the camera said or rounded, or why it was not tried."""
    address: str | None
    """Where the camera is now, where that has changed."""


class NewCameraRow(Row):
    """With --add: a camera that comes into the site file, or why it does not."""

    id: str | None
    """Its id; null where nobody has said its room."""
    room: str | None
    """The room that it looks into."""
    address: str
    """Where it is."""
    mac: str | None
    """Its MAC address; null where it tells none, or another camera tells the same."""
    serial: str | None
    """Its serial number."""
    template: str | None
    """Its template."""
    credentials: str | None
    """The table of [credentials] that it is asked with."""
    assigned: str | None
    """The address that it is to have."""
    kind: str | None
    """Of its room, where that is new, too."""
    make: str | None
    """Manufacturer and model, where it has told them."""
    note: str | None
    """What is to be known about it."""
    problem: str | None
    """Why it is not added; null where it is."""


class AdoptedRow(Row):
    """With --adopt: what came of one factory-new camera."""

    state: Literal["adopted", "needs-activation", "refused", "no-address", "taken", "away", "unknown"]
    """adopted: found at its own address; taken: that is another's; away: not found again; unknown: it does not say who
    it is.
    """
    mac: str | None
    """Its MAC address."""
    serial: str | None
    """Its serial number."""
    make: str | None
    """Manufacturer and model."""
    old: str | None
    """The address that all of them have."""
    new: str | None
    """The address that it was given."""
    note: str | None
    """What is to be done about it."""
    id: str | None
    """Its id in the site file, where the list says one."""
    room: str | None
    """The room that it looks into."""


class BackedUpRow(Row):
    """What came of backing up one camera."""

    camera: str
    """Its id."""
    path: str | None
    """The file."""
    groups: int
    """How many groups of settings are in it."""
    unread: list[str]
    """Groups that could not be read."""
    problem: str | None
    """Why there is no file."""


class CameraToldRow(Row):
    """Something that a camera told."""

    camera: str
    """Its id."""
    at: str | None
    """The camera's own time of it, UTC; null where what it sent is no time."""
    kind: str | None
    """motion, tamper, blurred, too-dark, too-bright, storage-failure, hardware-failure, restart, …; null for others."""
    active: bool | None
    """Whether it holds now; null where the camera tells no state."""
    topic: str
    """The camera's own name for it."""
    source: dict[str, str]
    """What it is about."""
    data: dict[str, str]
    """What happened."""
    operation: str | None
    """Initialized: it was so when it was asked; Changed; Deleted."""


class HealthFindingRow(Row):
    """Something that is not as it should be."""

    check: str
    """What was looked at: clock, size, frozen …"""
    grave: bool
    """The camera cannot be counted as seen to work."""
    words: str
    """What was found, with both figures."""
    hint: str | None
    """What to do about it."""


class MeasuredRow(Row):
    """A stream as it was seen."""

    url: str
    """Where, without user and password."""
    state: str
    """Of the session at the end: playing, refused, lost, stalled …"""
    reason: str
    """In words."""
    code: str | None
    """Of the error behind it."""
    hint: str | None
    """What to do about it."""
    first_picture_s: float | None
    """From the call to the first picture; null where none came."""
    seconds: float
    """From the first picture to the last."""
    pictures: int
    """How many came."""
    codec: str | None
    """h264, h265, jpeg; null where no picture could be decoded."""
    width: int | None
    """Pixels of a decoded picture."""
    height: int | None
    """Pixels of a decoded picture."""
    fps: float | None
    """Pictures a second, by the camera's timestamps."""
    gop: int | None
    """Pictures from one key picture to the next, median."""
    gop_s: float | None
    """The same in seconds."""
    kbit: float | None
    """Mean over whole groups of pictures, kbit/s."""
    lost: int
    """Packets that did not come."""
    jitter_ms: float | None
    """How unevenly pictures come, as RFC 3550 counts it."""
    backwards: int
    """Timestamps that did not grow."""
    gaps: int
    """Times that pictures were missing by their timestamps."""
    speed: float | None
    """Seconds of the camera's timestamps in one of ours."""
    reconnects: int
    """Sessions after the first."""
    changes: int
    """How often size or profile changed on the way."""
    brightness: float | None
    """Mean luma, 0 to 255."""
    contrast: float | None
    """Spread of the picture's parts, grey levels."""
    sharpness: float | None
    """0 to 1."""
    fault: Literal["black", "covered", "blurred", "frozen"] | None
    """What is wrong with the picture."""


class SettingsRow(Row):
    """A camera's settings beside its template."""

    template: str
    """Its name."""
    as_wanted: int
    """How many are as they should be."""
    differ: list[dict[str, Any]]
    """Those that are not: setting, actual, desired."""
    unknown: int
    """How many could not be read."""


class SaidRow(Row):
    """A stream as the camera describes it."""

    token: str
    """Its name in requests."""
    name: str
    """The name that people see."""
    width: int | None
    """Pixels."""
    height: int | None
    """Pixels."""
    fps: float | None
    """Pictures a second."""
    kbit: int | None
    """Limit of the bit rate in kbit/s."""
    encoding: str | None
    """H264, H265, JPEG …"""
    gop: int | None
    """Pictures from one key picture to the next."""


class CameraHealthRow(Row):
    """What a health check found of one camera."""

    camera: str
    """Its id."""
    room: str
    """The room that it looks into."""
    outcome: Literal["works", "findings", "bad-picture", "no-picture", "refused", "unreachable", "not-checked"]
    """works and findings: its pictures were seen; bad-picture: they are black, covered, out of focus or frozen."""
    at_s: float
    """When it was checked, Unix seconds."""
    seconds: float
    """How long that took."""
    address: str | None
    """Where it was asked."""
    manufacturer: str | None
    """As it says."""
    model: str | None
    """As it says."""
    firmware: str | None
    """Version."""
    serial: str | None
    """Serial number."""
    mac: str | None
    """MAC address."""
    clock_offset_s: float | None
    """Its clock minus ours."""
    ntp: bool | None
    """Whether it says that it follows NTP."""
    streams: dict[Literal["keep", "watch"], MeasuredRow]
    """What was measured; one of them where the camera has one stream."""
    said: dict[Literal["keep", "watch"], SaidRow]
    """What the camera says of them."""
    snapshot: list[int] | None
    """Width and height of the still picture that it makes."""
    speed_mbit: int | None
    """Of its network port, where it tells."""
    duplex: str | None
    """Of its network port, where it tells."""
    settings: SettingsRow | None
    """Beside its template; null where that was not compared."""
    findings: list[HealthFindingRow]
    """What is not as it should be, the gravest first."""
    unchecked: dict[str, str]
    """What could not be looked at, each with the reason."""


class AimRow(Row):
    """Where the page is, as soon as it is served."""

    camera: str
    """Its id."""
    url: str
    """The page; a token that it asks for is told on stderr."""
    fingerprint: str | None
    """SHA-256 of its certificate; null where it is served to this machine alone."""


class HandoverRow(Row):
    """The report that was written."""

    out: str
    """The folder."""
    files: list[str]
    """What is in it, beside the pictures."""
    cameras: int
    """How many it tells of."""
    working: int
    """How many were seen to work."""
    outcomes: dict[str, int]
    """How many of each outcome."""
    rooms: int
    """How many rooms the site has."""
    rooms_without: list[str]
    """Rooms without a camera that was seen to work."""


class TemplateRow(Row):
    """A template."""

    template: str
    """Its name."""
    summary: str | None
    """One line for people; null where it is wrong."""
    settings: int
    """How many settings it wants, those of the template that it extends included."""
    matches: str | None
    """The cameras that it is for."""
    path: str
    """Its file."""
    problem: str | None
    """What is wrong with it, with line and column."""
    hint: str | None
    """What was meant."""


class AuditedRow(Row):
    """What an audit says about one camera."""

    camera: str
    """Its id."""
    state: Literal["as-planned", "drifted", "problem", "left"]
    """problem: it could not be asked; left: it has no ONVIF or no template."""
    drifted: list[dict[str, Any]]
    """Settings that differ: setting, actual, desired, note."""
    unknown: list[str]
    """Settings that could not be read."""
    note: str | None
    """The problem, or why it was left out."""


class RebootedRow(Row):
    """What came of telling a camera to restart."""

    camera: str
    """Its id."""
    state: Literal["back", "stayed", "away", "failed"]
    """stayed: it said yes and was not seen to go; away: it did not come back in time; failed: it said no."""
    seconds: float | None
    """From the word to its answer."""
    note: str | None
    """Why it failed."""
