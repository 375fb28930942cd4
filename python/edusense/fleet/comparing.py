"""Findings of a health check: what a camera sends beside what it says, and what its picture is like.

Pure: from figures to words, so that every threshold stands in one place.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from edusense.devices.camera import CameraClock, CameraEvent, CameraProfile
    from edusense.fleet.measuring import Measured
    from edusense.fleet.references import Displaced

__all__ = ["Finding", "aim_findings", "clock_findings", "event_findings", "merged", "stream_findings"]

CLOCK_S: Final = 5.0
"""Seconds by which a camera's clock may be off: less is refused by no camera at the next login (quirk 1)."""
SLOW_S: Final = 5.0
"""Seconds until a first picture beyond which a person has walked past."""
RATE: Final = 0.1
KBIT: Final = 1.25
"""Times the limit that a stream may send: a cap holds over seconds, not over each group."""
SPEED: Final = 0.1
JITTER_MS: Final = 150.0
"""A busy box receives late by itself; the engine's times bear a fifth of a second."""
BROKEN: Final = 2
"""Reconnects within some seconds of which nobody can say any more that it works."""
TURNED: Final = 0.04
"""Share of the picture by which it may lie beside its reference: a door that was slammed does that much."""
RESTART_S: Final = 86_400.0
_COORDINATES: Final = re.compile(r" \((?:byte|TCP|UDP)[^)]*\([^)]*\)[^)]*\)| \((?:byte|TCP|UDP)[^)]*\)")
_CODECS: Final = {"h264": "H264", "h265": "H265", "jpeg": "JPEG"}
_PICTURES: Final = {
    "black": ("the picture is black", "a cap on the lens, no light at all, or a dead sensor"),
    "covered": ("there is nothing to see but one grey", "something hangs or sticks right before the lens"),
    "blurred": ("the picture is out of focus", "`edusense camera aim` shows the sharpness while you turn the ring"),
    "frozen": ("one picture comes again and again", "walk past it; if it stays so, restart it"),
}
_TOLD: Final = {
    "storage-failure": ("storage", "says that its storage fails", "a memory card lasts two to four years; replace it"),
    "tamper": ("tamper", "says that somebody covers or turns it", "look at its picture"),
    "signal-lost": ("signal", "says that its sensor gives no signal", "restart it; then its vendor"),
    "blurred": ("blurred", "says that its picture is out of focus", None),
    "too-dark": ("too-dark", "says that its picture is too dark", None),
    "too-bright": ("too-bright", "says that its picture is too bright", "it looks into a lamp or the sun"),
    "hardware-failure": ("hardware", "says that a part of it fails", None),
}
"""Kind of event → check, words, what to do: what says how a camera fares (quirk 25)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be.

    Args:
        check: what was looked at: `clock`, `size`, `frozen` …
        grave: the camera cannot be counted as seen to work.
        words: what was found, with both figures.
        hint: what to do about it.
    """

    check: str
    grave: bool
    words: str
    hint: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As it stands in a row."""
        return {name: getattr(self, name) for name in self.__slots__}


def clock_findings(clock: CameraClock) -> list[Finding]:
    """What is wrong with a camera's clock."""
    if clock.offset_s is None:
        return [Finding("clock", False, "its clock shows no date", "`edusense camera set-time` sets it")]
    if abs(clock.offset_s) <= CLOCK_S:
        return []
    said = f"its clock is {_span(abs(clock.offset_s))} {'ahead of' if clock.offset_s > 0 else 'behind'} ours"
    hint = "its NTP server does not answer it" if clock.ntp else "`edusense camera set-time` sets it"
    return [Finding("clock", False, said, hint)]


def aim_findings(beside: Displaced) -> list[Finding]:
    """What is wrong with where a camera looks.

    Args:
        beside: its picture beside its reference.
    """
    hint = "`edusense camera aim` shows the outline of its reference, and saves another"
    if not beside.same:
        return [Finding("aim", False, "it does not show what its reference shows: turned away, or another room", hint)]
    if max(abs(beside.right), abs(beside.down)) <= TURNED:
        return []
    sides = [
        f"{abs(share):.0%} {word}"
        for share, word in (
            (beside.right, "right" if beside.right > 0 else "left"),
            (beside.down, "down" if beside.down > 0 else "up"),
        )
        if abs(share) > TURNED / 2
    ]
    return [Finding("aim", False, f"it was turned: everything lies {' and '.join(sides)} of its reference", hint)]


def event_findings(events: list[CameraEvent], now: datetime) -> list[Finding]:
    """What a camera tells about itself that somebody should know.

    Args:
        events: what it told.
        now: by the camera's own clock, UTC.
    """
    latest = {(one.topic, *one.source.items()): one for one in events}
    found = []
    for one in latest.values():
        if one.active and one.kind in _TOLD:
            check, words, hint = _TOLD[one.kind]
            found.append(Finding(check, False, f"it {words}", hint))
        at = _restarted(one) if one.kind == "restart" else None
        if at is not None and 0 <= (now - at).total_seconds() < RESTART_S:
            found.append(Finding("restart", False, f"it restarted at {at:%Y-%m-%d %H:%M} UTC", "power, or itself?"))
    return found


def _restarted(told: CameraEvent) -> datetime | None:
    """When: in the data (ONVIF Core specification, 8.8.7), since a property's own time may be that of the question."""
    for value in told.data.values():
        with contextlib.suppress(ValueError):
            at = datetime.fromisoformat(value)
            return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return told.at if told.operation == "Changed" else None


def merged(one: list[Finding], other: list[Finding]) -> list[Finding]:
    """The findings of a camera's two streams, where both have the same told once.

    Args:
        one: of one stream, each with the stream's name before it.
        other: of the other one.
    """
    known = {(each.check, each.words.partition(": ")[2]): each for each in other}
    found = []
    for each in one:
        words = each.words.partition(": ")[2]
        twin = known.pop((each.check, words), None)
        found.append(each if twin is None else Finding(each.check, each.grave, f"both streams: {words}", each.hint))
    return found + list(known.values())


def stream_findings(name: str, seen: Measured, said: CameraProfile | None) -> list[Finding]:
    """What is wrong with a stream.

    Args:
        name: `main stream`, `sub stream`: for the words.
        seen: what was measured.
        said: what the camera says about it; None where nobody was asked.
    """
    if seen.first_picture_s is None:
        # Playing it may be by its own words alone.
        why = "it plays, and nothing whole comes" if seen.state == "playing" else seen.reason or seen.state
        return [Finding("stream", True, f"{name}: no picture came: {why}", seen.hint)]
    if not seen.seen:
        return [Finding("stream", True, f"{name}: {seen.reason or 'no picture could be decoded'}", seen.hint)]
    found = []
    if seen.fault is not None:
        words, hint = _PICTURES[seen.fault]
        found.append(Finding(seen.fault, True, f"{name}: {words}", hint))
    if seen.state != "playing":
        said_why = _COORDINATES.sub("", seen.reason)
        found.append(Finding("stream", True, f"{name}: it ended after {seen.seconds:.0f} s: {said_why}", seen.hint))
    elif seen.reconnects >= BROKEN:
        words = f"{name}: it breaks off again and again: called {seen.reconnects + 1} times"
        found.append(Finding("stream", True, words, "cable, plug, switch port; too many viewers"))
    if said is not None:
        found += [Finding(check, False, f"{name}: {words}", hint) for check, words, hint in _differs(seen, said)]
    found += [Finding(check, False, f"{name}: {words}", hint) for check, words, hint in _line(seen)]
    return found


def _differs(seen: Measured, said: CameraProfile) -> list[tuple[str, str, str | None]]:
    """What it sends that is not what it says."""
    found: list[tuple[str, str, str | None]] = []
    lies = "it says one thing and sends another: set it again, restart it, look again"
    codec = _CODECS.get(seen.codec or "", seen.codec)
    if said.encoding is not None and codec != said.encoding.upper().replace(".", ""):
        found.append(("codec", f"sends {codec}, says {said.encoding}", lies))
    if said.pixels and (seen.width, seen.height) != (said.width, said.height):
        found.append(("size", f"sends {seen.width}x{seen.height}, says {said.width}x{said.height}", lies))
    if said.fps and seen.fps and abs(seen.fps - said.fps) > max(RATE * said.fps, 0.75):
        found.append(("rate", f"sends {seen.fps:g} pictures a second, says {said.fps:g}", lies))
    if said.gop and seen.gop and abs(seen.gop - said.gop) > max(RATE * said.gop, 1):
        found.append(("gop", f"a key picture every {seen.gop} pictures, says {said.gop}", lies))
    if said.kbit and seen.kbit and seen.kbit > KBIT * said.kbit:
        found.append(("bit-rate", f"sends {seen.kbit:.0f} kbit/s, says at most {said.kbit}", lies))
    return found


def _line(seen: Measured) -> list[tuple[str, str, str | None]]:
    """What is wrong on the way, or with its time."""
    found: list[tuple[str, str, str | None]] = []
    if seen.first_picture_s is not None and seen.first_picture_s > SLOW_S:
        found.append(("first-picture", f"the first picture came after {seen.first_picture_s:.1f} s", None))
    if seen.lost:
        found.append(("loss", f"{seen.lost} packets did not come in {seen.seconds:.0f} s", "cable, plug, switch port"))
    if seen.jitter_ms is not None and seen.jitter_ms > JITTER_MS:
        found.append(("jitter", f"pictures come unevenly, by {seen.jitter_ms:.0f} ms", "the network or the camera"))
    if 0 < seen.reconnects < BROKEN and seen.state == "playing":
        found.append(("reconnects", f"it had to be called {seen.reconnects + 1} times", "cable, plug, switch port"))
    if seen.changes:
        found.append(("changes", f"size or profile changed {seen.changes} times on the way", None))
    if seen.backwards or seen.gaps:
        said = f"{seen.backwards} that do not grow, {seen.gaps} pictures or more missing"
        found.append(("timestamps", f"of its timestamps there are {said}", None))
    if seen.speed is not None and abs(seen.speed - 1) > SPEED:
        said = f"its timestamps run {seen.speed:g} times as fast as our clock"
        found.append(("timestamps", said, "clips of it play too fast or too slowly; its vendor must mend that"))
    return found


def _span(seconds: float) -> str:
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"
