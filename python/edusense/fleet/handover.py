"""The hand-over report: what an inspector checks a school's cameras against. One page, a table, a contact sheet.

It tells what the last `camera health` has seen, and nothing else: a camera that was never watched is not counted as
working, whatever it says of itself. All of it shows children: mode 0640.
"""

from __future__ import annotations

import base64
import csv
import io
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import PermissionDeniedError, UsageError
from edusense.fleet.health import OUTCOMES, CameraHealth
from edusense.fleet.tasks import chosen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from edusense.fleet.health_store import HealthStore
    from edusense.site import Room, Site

__all__ = ["COLUMNS", "Handover", "handover"]

COLUMNS: Final = (
    *("camera", "room", "kind", "manufacturer", "model", "firmware", "serial", "mac", "address"),
    *("template", "settings", "outcome", "checked", "picture"),
    *("codec", "size", "fps", "gop", "kbit", "first_picture_s", "clock_offset_s"),
    *("lost", "jitter_ms", "reconnects", "speed_mbit", "duplex", "findings"),
)
"""Columns of `cameras.csv`."""
OLD_S: Final = 86_400.0
"""What was seen longer ago than this is told to be old."""
THUMBNAIL: Final = 320
_MODE: Final = 0o640


@dataclass(frozen=True, slots=True)
class RoomWithout:
    """A room without a camera that was seen to work.

    Args:
        room: the room.
        cameras: what was found of its cameras; none where it has none.
    """

    room: Room
    cameras: list[CameraHealth]


@dataclass(slots=True)
class Handover:
    """Everything that the report tells.

    Args:
        site: the site file.
        made_s: when, Unix seconds.
        cameras: what was found of each, in the site file's order; `not-checked` where it never was.
        rooms: how many rooms are told of.
        without: rooms without a camera that was seen to work.
        twice: a serial number or MAC address → ids of the cameras that both tell it.
    """

    site: Site
    made_s: float
    cameras: list[CameraHealth]
    rooms: int
    without: list[RoomWithout]
    twice: dict[str, list[str]] = field(default_factory=dict)

    @property
    def outcomes(self) -> dict[str, int]:
        """How many cameras there are of each outcome, the best first."""
        counted = Counter(one.outcome for one in self.cameras)
        return {name: counted[name] for name in OUTCOMES if counted[name]}

    @property
    def working(self) -> int:
        """How many were seen to work."""
        return sum(one.seen for one in self.cameras)

    @property
    def old(self) -> list[CameraHealth]:
        """Those that were checked more than a day ago."""
        return [one for one in self.cameras if one.at_s and self.made_s - one.at_s > OLD_S]

    def write(self, folder: Path) -> list[str]:
        """Writes `report.html`, `cameras.csv`, `contact-sheet.pdf` and `pictures/CAMERA.jpg`; returns their names.

        Raises:
            PermissionDeniedError: the folder may not be written.
            UsageError: it cannot be for another reason.
        """
        from edusense.fleet.contact_sheet import contact_sheet
        from edusense.fleet.handover_page import render

        try:
            (folder / "pictures").mkdir(parents=True, exist_ok=True, mode=0o750)
            for one in self.cameras:
                path = folder / "pictures" / f"{one.camera}.jpg"
                if one.picture is not None:
                    _write(path, one.picture)
                else:
                    path.unlink(missing_ok=True)
            _write(folder / "cameras.csv", self.table().encode("utf-8-sig"))
            _write(folder / "contact-sheet.pdf", contact_sheet(self))
            _write(folder / "report.html", render(self).encode())
        except PermissionError:
            raise PermissionDeniedError(f"`{folder}` may not be written by this user", hint="--out DIR") from None
        except OSError as error:
            raise UsageError(f"`{folder}` cannot be written: {error.strerror}", hint="--out DIR") from None
        return ["report.html", "cameras.csv", "contact-sheet.pdf"]

    def table(self) -> str:
        """`cameras.csv`: a line a camera."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        kinds = {room.id: room.kind for room in self.site.rooms}
        templates = {camera.id: camera.template for camera in self.site.cameras}
        for one in self.cameras:
            seen = one.watched or {}
            values: dict[str, Any] = {
                **{name: getattr(one, name, None) for name in COLUMNS},
                "kind": kinds.get(one.room),
                "template": templates.get(one.camera),
                "settings": settings_words(one),
                "checked": self.when(one.at_s),
                "picture": f"pictures/{one.camera}.jpg" if one.picture is not None else None,
                "size": f"{seen['width']}x{seen['height']}" if seen.get("width") else None,
                **{name: seen.get(name) for name in ("codec", "fps", "gop", "kbit", "first_picture_s")},
                **{name: seen.get(name) for name in ("lost", "jitter_ms", "reconnects")},
                "findings": "; ".join(finding.words for finding in one.findings),
            }
            writer.writerow([_plain(values[name]) for name in COLUMNS])
        return out.getvalue()

    def when(self, at_s: float) -> str:
        """A moment in the school's own time; empty for never."""
        if not at_s:
            return ""
        return f"{datetime.fromtimestamp(at_s, self.zone):%Y-%m-%d %H:%M}"

    @property
    def zone(self) -> ZoneInfo | Any:
        """The school's time zone."""
        from zoneinfo import ZoneInfo

        return ZoneInfo(self.site.site.timezone) if self.site.site.timezone else UTC


def handover(site: Site, store: HealthStore, cameras: Sequence[str] = ("*",)) -> Handover:
    """Gathers what is known of a site's cameras. Asks none of them.

    Args:
        site: the site file.
        store: what the last health check found.
        cameras: ids or patterns; rooms are told of where one of these looks into them, and all where these are all.

    Raises:
        UsageError: a pattern that no camera fits.
    """
    todo = chosen(site, cameras) if site.cameras else []
    known = {one.camera: one for one in store.read([one.id for one in todo])}
    found = []
    for camera in todo:
        one = known.get(camera.id) or CameraHealth(camera.id, camera.room, address=camera.address or camera.url)
        one.room = camera.room  # it may hang elsewhere by now
        one.mac = one.mac or camera.mac
        one.serial = one.serial or camera.serial
        found.append(one)
    whole = len(todo) == len(site.cameras)
    rooms = [room for room in site.rooms if whole or any(one.room == room.id for one in found)]
    without = [
        RoomWithout(room, [one for one in found if one.room == room.id])
        for room in rooms
        if not any(one.seen for one in found if one.room == room.id)
    ]
    return Handover(site, time.time(), found, len(rooms), without, _twice(found))


def settings_words(one: CameraHealth) -> str:
    """A camera's settings in a few words."""
    if one.settings is None:
        return one.unchecked.get("template", "not compared")
    differ = len(one.settings["differ"])
    said = f"{one.settings['as_wanted']} as wanted"
    said += f", {differ} not" if differ else ""
    return said + (f", {one.settings['unknown']} cannot be read" if one.settings["unknown"] else "")


def thumbnail(picture: bytes, width: int = THUMBNAIL) -> bytes:
    """A picture made smaller, JPEG.

    Args:
        picture: JPEG.
        width: at most so wide, in pixels.
    """
    from PIL import Image

    with Image.open(io.BytesIO(picture), formats=["JPEG"]) as image:
        image.draft("RGB", (2 * width, 2 * width))
        image.thumbnail((width, 4 * width))
        out = io.BytesIO()
        image.convert("RGB").save(out, "JPEG", quality=72)
    return out.getvalue()


def data_url(picture: bytes) -> str:
    """A JPEG as part of a page."""
    return "data:image/jpeg;base64," + base64.b64encode(picture).decode()


def _twice(found: list[CameraHealth]) -> dict[str, list[str]]:
    by: dict[str, list[str]] = {}
    for one in found:
        for name in ("mac", "serial"):
            if value := getattr(one, name):
                by.setdefault(f"{name} {value}", []).append(one.camera)
    return {said: cameras for said, cameras in by.items() if len(cameras) > 1}


def _plain(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: cameras choose their own words."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return "" if value is None else value


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), _MODE)
        file.write(content)
    partial.replace(path)
