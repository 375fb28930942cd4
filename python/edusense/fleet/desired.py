"""What a camera should be: its template's settings with the site's values filled in, in the words of the drivers.

Also what is enough (`satisfied`), and what a camera can be told so that it comes nearest (`choose_value`).
"""

from __future__ import annotations

import math
import re
import zoneinfo
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import SiteReferenceError, SiteValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edusense.devices.camera import Offer
    from edusense.fleet.templates import Setting, Template
    from edusense.site import Camera, Site

__all__ = [
    "GROUPS",
    "Choice",
    "Wanted",
    "actual_of",
    "choose_value",
    "posix_zone",
    "rank",
    "satisfied",
    "wanted_of",
]

GROUPS: Final = (
    *("clock", "ntp", "users", "scopes", "main", "sub", "imaging", "osd"),
    *("hostname", "discovery", "dns", "gateway", "network"),
)
"""Groups of settings in the order in which they are set: time first, since logging in depends on it, then users; what
may cut us off from the camera last. `main` and `sub` are the encoders of those streams.
"""
_KINDS: Final = {"encoder": "sub", "imaging": "imaging", "osd": "osd"}


def rank(group: str) -> tuple[int, str]:
    """When a group is set: its place in `GROUPS`; a driver's own groups (`encoder/TOKEN`) with those of their kind."""
    kind = _KINDS.get(group.partition("/")[0], group)
    return GROUPS.index(kind) if kind in GROUPS else len(GROUPS), group


CLOCK_S: Final = 5.0
"""How far a clock may be off, in seconds: some cameras refuse logins beyond it."""

_KEYS: Final = {
    "clock.timezone": ("clock", "timezone"),
    "clock.ntp": ("ntp", "servers"),
    "identity.hostname": ("hostname", "hostname"),
    "identity.name": ("scopes", "name"),
    "identity.location": ("scopes", "location"),
    "imaging.noise_reduction": ("imaging", "noise_reduction"),
    "imaging.wide_dynamic_range": ("imaging", "wide_dynamic_range"),
    "imaging.ir_cut": ("imaging", "ir_cut"),
    "osd.text": ("osd", "text"),
    "osd.clock": ("osd", "clock"),
    "network.discoverable": ("discovery", "discoverable"),
    "network.dns": ("dns", "dns"),
    "network.gateway": ("gateway", "gateway"),
    "network.dhcp": ("network", "dhcp"),
    "network.address": ("network", "address"),
    **{
        f"{stream}.{name}": (stream, key)
        for stream in ("main", "sub")
        for name, key in (
            ("encoding", "encoding"),
            ("profile", "profile"),
            ("fps", "fps"),
            ("gop_s", "gop"),
            ("rate_control", "rate_control"),
            ("kbit", "kbit"),
        )
    },
}
_PROFILES: Final = ("Baseline", "Main", "High")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One setting that a camera should have.

    Args:
        setting: its dotted name.
        group: the group that it is read and set with; empty where ONVIF, or this version, cannot read it.
        key: its name there.
        want: the value.
        low: the smallest that will do; None: `want` itself.
        high: the largest that will do.
        otherwise: what to do where the camera cannot: `report`, `nearest` or `skip`.
        why: the reason, for people.
    """

    setting: str
    group: str
    key: str
    want: Any
    low: Any
    high: Any
    otherwise: str
    why: str


def wanted_of(site: Site, camera: Camera, template: Template) -> list[Wanted]:
    """Every setting that a camera of the site should have, in the order in which they are set.

    Args:
        site: the site file.
        camera: one of its cameras.
        template: the camera's template.

    Raises:
        SiteReferenceError: a value of the site is asked for that it does not have.
        SiteValueError: a time zone that this machine does not know.
    """
    settings = template.settings()
    found: list[Wanted] = []
    if any(name.startswith("clock.") for name in settings):
        why = "logins and the time in the picture depend on it"
        found.append(Wanted("clock.time", "clock", "offset_s", 0.0, -CLOCK_S, CLOCK_S, "report", why))
    for name, setting in settings.items():
        stream, _, key = name.partition(".")
        if key == "height" and f"{stream}.width" in settings:
            continue  # told with the width: cameras offer sizes as pairs
        if key == "width" and f"{stream}.height" in settings:
            found.append(_size(stream, setting, settings[f"{stream}.height"]))
            continue
        if setting.otherwise == "skip" and _missing(site, camera, setting.want):
            continue  # of a site that does not say it, no camera has to have it
        want = _filled(site, camera, setting.want)
        if name.startswith("users."):
            key = f"user:{name.partition('.')[2]}"
            found.append(Wanted(name, "users", key, want, None, None, setting.otherwise, setting.why))
            continue
        if name == "clock.timezone":
            want = posix_zone(want)
        elif name == "identity.hostname":
            want = re.sub(r"[^A-Za-z0-9-]+", "-", want).strip("-")[:63]
        group, word = _KEYS.get(name, ("", ""))
        found.append(Wanted(name, group, word, want, setting.low, setting.high, setting.otherwise, setting.why))
        if name == "clock.timezone":
            # Some say that it is on whatever is set, and burn a time into the picture that is an hour off.
            found.append(Wanted("clock.daylight", "clock", "daylight", "," in want, None, None, "skip", setting.why))
        if name == "clock.ntp":
            found.append(Wanted("clock.follow_ntp", "clock", "ntp", True, None, None, setting.otherwise, setting.why))
    place = {group: index for index, group in enumerate(GROUPS)}
    return sorted(found, key=lambda one: place.get(one.group, len(place)))


def _size(stream: str, width: Setting[Any], height: Setting[Any]) -> Wanted:
    return Wanted(
        f"{stream}.size",
        stream,
        "size",
        [width.want, height.want],
        [width.low or width.want, height.low or height.want],
        [width.high or width.want, height.high or height.want],
        width.otherwise,
        width.why,
    )


def _values(site: Site, camera: Camera) -> dict[str, str | None]:
    """What may stand in braces."""
    return {
        "site.id": site.site.id,
        "site.timezone": site.site.timezone,
        "room.id": camera.room,
        "room.kind": next((room.kind for room in site.rooms if room.id == camera.room), ""),
        "camera.id": camera.id,
        "camera.mac": camera.mac,
        "camera.assigned": camera.assigned,
    }


def _missing(site: Site, camera: Camera, value: Any) -> bool:
    """Whether a value of a template asks for something that the site file does not say."""
    texts = value if isinstance(value, list) else [value]
    names = [name for text in texts if isinstance(text, str) for name in re.findall(r"\{([^{}]*)\}", text)]
    known = _values(site, camera) if names else {}
    return any(known.get(name) is None for name in names)


def _filled(site: Site, camera: Camera, value: Any) -> Any:
    """A value of a template with what stands in braces taken from the site."""
    if isinstance(value, list):
        return [_filled(site, camera, one) for one in value]
    if not isinstance(value, str) or "{" not in value:
        return value
    values = _values(site, camera)

    def put(match: re.Match[str]) -> str:
        found = values.get(match[1])
        if found is None:
            raise SiteReferenceError(
                f"the template of `{camera.id}` asks for `{match[0]}`, which the site file does not have",
                hint=f"give the camera its `{match[1].partition('.')[2]}`",
            )
        return str(found)

    return re.sub(r"\{([^{}]*)\}", put, value)


@cache
def posix_zone(name: str) -> str:
    """The POSIX string of an IANA time zone, as cameras want it; it stands at the end of the zone's file (RFC 8536).

    Raises:
        SiteValueError: this machine does not know the zone.

    >>> posix_zone("Asia/Tokyo")
    'JST-9'
    """
    places = [Path(base) / name for base in zoneinfo.TZPATH]
    for place in places:
        if place.is_file():
            return place.read_bytes().rstrip(b"\n").rpartition(b"\n")[2].decode("ascii")
    try:
        content = resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    except (ModuleNotFoundError, OSError):
        raise SiteValueError(f"time zone `{name}` is not known here", hint="apt install tzdata") from None
    return content.rstrip(b"\n").rpartition(b"\n")[2].decode("ascii")


def _zone_key(zone: str) -> str:
    """A POSIX time zone without its names, offsets in one spelling: `<+05>-5` and `UTC-05:00` are the same zone."""
    head, comma, rules = zone.strip().partition(",")
    bare = re.sub(r"<[^>]*>|[A-Za-z]+", "X", head)
    bare = re.sub(r"([+-]?)0*(\d+)(?::?00)*(?!\d|:)", lambda m: ("-" if m[1] == "-" else "") + m[2], bare)
    return bare + comma + rules


def actual_of(one: Wanted, values: Mapping[str, Any]) -> Any:
    """What a camera's values say about a setting, in the template's own unit; None where they say nothing."""
    value = values.get(one.key, "absent" if one.group == "users" else None)
    if one.setting.endswith(".gop_s") and value is not None:
        fps = values.get("fps")
        return round(value / fps, 3) if fps else None
    if one.key == "offset_s" and value is not None:
        return round(value, 1)
    return value


def satisfied(one: Wanted, actual: Any) -> bool:
    """Whether what a camera has is what is wanted, or within the limits that will do."""
    want, low, high = one.want, one.low, one.high
    if one.key == "timezone":
        return isinstance(actual, str) and _zone_key(actual) == _zone_key(want)
    if one.key == "size":
        least, most = want if low is None else low, want if high is None else high
        return isinstance(actual, list) and all(a <= b <= c for a, b, c in zip(least, actual, most, strict=True))
    if isinstance(want, bool) or not isinstance(want, (int, float)):
        return bool(actual == want)
    if isinstance(actual, bool) or not isinstance(actual, (int, float)):
        return False
    # A hair's breadth for a GOP that is no whole number of pictures.
    margin = 0.05 * abs(want) if one.setting.endswith(".gop_s") else 1e-6
    return (want if low is None else low) - margin <= actual <= (want if high is None else high) + margin


@dataclass(frozen=True, slots=True)
class Choice:
    """What to tell a camera.

    Args:
        value: the value, in the camera's words; None where it cannot.
        planned: the same in the template's unit.
        note: how and why it differs from what is wanted; empty where it does not.
    """

    value: Any
    planned: Any
    note: str = ""


def choose_value(one: Wanted, offer: Offer | None, fps: float | None) -> Choice:
    """The value that a camera can be told which comes nearest to what is wanted.

    Args:
        one: what is wanted.
        offer: what the camera offers; None where it does not tell.
        fps: pictures a second that it will have; for the GOP.
    """
    want = one.want
    if one.key == "gop":
        if not fps:
            return Choice(None, None, "the camera does not tell its pictures a second")
        pictures = _nearest(want * fps, offer, whole=True)
        planned = round(pictures / fps, 3)
        return _told(one, int(pictures), planned, f"{int(pictures)} pictures at {fps:g} a second")
    if one.key == "size":
        size = _nearest_size(one, offer)
        return _told(one, size, size, f"it offers no {want[0]}x{want[1]}, {size[0]}x{size[1]} is nearest")
    if isinstance(want, (int, float)) and not isinstance(want, bool):
        if offer is not None and offer.values:
            # One that will do goes before one that is nearer.
            offer = replace(offer, values=tuple(v for v in offer.values if satisfied(one, v)) or offer.values)
        value = _nearest(want, offer, whole=isinstance(want, int))
        return _told(one, value, value, f"the camera offers {_words(offer)}: {want:g} becomes {value:g}")
    if offer is None or not offer.values or want in offer.values:
        return Choice(want, want)
    if one.key == "profile" and one.otherwise == "nearest":
        known = [profile for profile in _PROFILES if profile in offer.values]
        if known:
            near = min(known, key=lambda profile: abs(_PROFILES.index(profile) - _PROFILES.index(want)))
            return Choice(near, near, f"it offers no {want}, {near} is nearest")
    return Choice(None, None, f"the camera offers only {', '.join(_word(value) for value in offer.values)}")


def _word(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _told(one: Wanted, value: Any, planned: Any, note: str) -> Choice:
    if planned == one.want:
        return Choice(value, planned)
    if satisfied(one, planned) or one.otherwise == "nearest":
        return Choice(value, planned, note)
    return Choice(None, None, note)


def _nearest(want: float, offer: Offer | None, *, whole: bool) -> float:
    if offer is not None and offer.values:
        return float(min(offer.values, key=lambda value: abs(value - want)))
    value = want
    if whole or (offer is not None and offer.whole):
        value = math.floor(value + 0.5)
    if offer is not None and offer.low is not None and offer.high is not None:
        value = min(max(value, offer.low), offer.high)
    if offer is not None and offer.step > 1:
        value = max(offer.step, value // offer.step * offer.step)
    return int(value) if whole else value


def _nearest_size(one: Wanted, offer: Offer | None) -> list[int]:
    if offer is None or not offer.values or tuple(one.want) in offer.values:
        return list(one.want)
    fitting: list[tuple[int, int]] = [size for size in offer.values if satisfied(one, list(size))] or list(offer.values)
    pixels: int = one.want[0] * one.want[1]
    nearest = min(fitting, key=lambda size: abs(math.log(size[0] * size[1] / pixels)))
    return list(nearest)


def _words(offer: Offer | None) -> str:
    if offer is None:
        return "nothing"
    if offer.values:
        return f"{min(offer.values):g} to {max(offer.values):g}"
    if offer.low is not None and offer.high is not None:
        steps = f" in steps of {offer.step}" if offer.step > 1 else " in whole numbers" if offer.whole else ""
        return f"{offer.low:g} to {offer.high:g}{steps}"
    return "whole numbers"
