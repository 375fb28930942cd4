"""New cameras into the site file: who they are, where they hang, which template they get; comments are kept.

Nothing is written before everything is right: the new text is checked as a whole, and put in the old one's place in one
step.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import (
    DeviceError,
    PermissionDeniedError,
    SiteError,
    SiteFileError,
    UsageError,
)
from edusense.fleet.addresses import open_camera
from edusense.fleet.camera_list import normal_mac
from edusense.fleet.pool import VISIT_S, WORKERS, visit_all
from edusense.fleet.templates import match
from edusense.site.loading import loads, read
from edusense.site.toml import edit

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Sequence

    from edusense.devices.camera import CameraInformation
    from edusense.fleet.applying import Applied
    from edusense.fleet.camera_list import ListedCamera
    from edusense.fleet.pool import Progress
    from edusense.fleet.search import Found
    from edusense.site import Credentials, Site

__all__ = ["NewCamera", "add_adopted", "add_cameras", "edit_site", "propose", "remember_addresses"]

GENERIC: Final = "generic/onvif-t"


@dataclass(frozen=True, slots=True)
class NewCamera:
    """A camera that is to come into the site file.

    Args:
        address: where it is, as the site file takes it.
        room: the room that it looks into; None where nobody has said it yet.
        id: its id; None likewise.
        mac: its MAC address.
        serial: its serial number, where it tells no MAC address of its own.
        template: its template.
        credentials: the table of [credentials] that it is asked with.
        assigned: the address that it is to have.
        kind: of its room, where that is new, too.
        make: manufacturer and model, where it has told them.
        note: what is to be known about it: why it did not say who it is, why it gets no template of its make.
        problem: why it cannot be added; None where it can.
    """

    address: str
    room: str | None = None
    id: str | None = None
    mac: str | None = None
    serial: str | None = None
    template: str | None = None
    credentials: str | None = None
    assigned: str | None = None
    kind: str | None = None
    make: str | None = None
    note: str | None = None
    problem: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As `edusense camera discover --add --json` prints it."""
        return {name: getattr(self, name) for name in self.__slots__}


def propose(
    site: Site,
    found: Sequence[Found],
    listed: Sequence[ListedCamera] = (),
    *,
    credentials: str | None = None,
    room: str | None = None,
    ask: Callable[[NewCamera], str | None] | None = None,
    workers: int = WORKERS,
    visit_s: float = VISIT_S,
    progress: Progress | None = None,
) -> tuple[list[NewCamera], list[ListedCamera]]:
    """What would be added: each camera that was found and that the site file does not have.

    Args:
        site: the site file.
        found: from `fleet.discover`.
        listed: lines of a list: a camera that fits one by MAC, serial number or address takes what stands there.
        credentials: the table of [credentials] to ask with; None: the site's only one, where there is one.
        room: of all that no line says a room of.
        ask: called for a camera whose room nobody has said; None leaves it out.
        workers: cameras asked at once.
        visit_s: longest visit to one camera.
        progress: called with how many are done and how many there are.

    Returns:
        The new cameras, and the lines of the list that no camera fits.

    Raises:
        UsageError: there is no such table of credentials, or no such room.
    """
    table = _table(site, credentials)
    if room is not None:
        site.room(room)
    fresh = [one for one in found if one.site_id is None]
    lines = list(listed)

    def work(one: Found, _: threading.Event) -> NewCamera:
        return _who(one, site, table, lines, visit_s)

    done = dict(visit_all(fresh, work, workers, progress))
    told = [done[index] for index in range(len(fresh))]
    macs = Counter(one.mac for one in told if one.mac)
    taken = {camera.mac for camera in site.cameras if camera.mac}
    used: set[int] = set()
    new: list[NewCamera] = []
    for one in told:
        made = one
        if made.mac is not None and (macs[made.mac] > 1 or made.mac in taken):
            others = "another camera of the site" if made.mac in taken else "another one that was found"
            note = f"its MAC address {made.mac} is also that of {others}: it is known by its serial number"
            made = replace(made, mac=None, note=_both(made.note, note))
            if made.serial is None:
                made = replace(made, problem=f"{others} has the same MAC address, and it tells no serial number")
        line = _line_of(one, lines)
        if line is not None:
            used.add(line.line)
            made = replace(
                made,
                room=line.room,
                id=line.id,
                kind=line.kind,
                assigned=line.assigned,
                template=line.template or made.template,
                credentials=line.credentials or made.credentials,
            )
        made = replace(made, room=made.room or room)
        if made.room is None and ask is not None and made.problem is None:
            made = replace(made, room=ask(made))
        new.append(made)
    known = _known_lines(site, lines)
    left = [line for line in lines if line.line not in used and line.line not in known]
    return _named(site, new), left


def _table(site: Site, name: str | None) -> str | None:
    if name is None:
        return next(iter(site.credentials)) if len(site.credentials) == 1 else None
    if name not in site.credentials:
        known = ", ".join(site.credentials) or "none"
        raise UsageError(f"the site file has no [credentials.{name}]", hint=f"it has: {known}")
    return name


def _who(one: Found, site: Site, table: str | None, lines: Sequence[ListedCamera], visit_s: float) -> NewCamera:
    camera = one.camera
    made = NewCamera(address=short_address(camera.address), mac=normal_mac(camera.mac), credentials=table)
    line = _line_of(made, lines)
    name = (line.credentials if line is not None else None) or table
    login: Credentials | None = None if name is None else site.credentials[name]
    speaks = "T" if any(scope.endswith("/Profile/T") for scope in camera.scopes) else None
    who: CameraInformation | None = None
    note = None
    try:
        own = site.folder / "firmware_configs"
        more: dict[str, Any] = {"configs": [own]} if own.is_dir() else {}
        with open_camera(camera.address, login, visit_s, make=("", camera.hardware or ""), **more) as opened:
            who = opened.information()
            opened.prove_login()
    except (DeviceError, SiteError) as error:
        note = error.message + (f"; {error.hint}" if error.hint else "")
        if who is not None:
            note = f"whether its password is right cannot be told: {error.message}"
    if who is None:
        template, why = match("", camera.hardware or "", "T" if speaks else None, site.folder)
        return replace(made, template=template or GENERIC, note=note)
    template, why = match(who.manufacturer, who.model, "T" if speaks else None, site.folder)
    if template is None:
        note = _both(note, f"{why}: `{GENERIC}` until `template` says another")
    mac = normal_mac(who.mac) or made.mac
    return replace(
        made,
        mac=mac,
        serial=who.serial or None,
        template=template or GENERIC,
        make=" ".join(part for part in (who.manufacturer, who.model) if part) or None,
        note=note,
    )


def _both(one: str | None, other: str | None) -> str | None:
    return "; ".join(part for part in (one, other) if part) or None


def short_address(address: str) -> str:
    """A driver's address as the site file takes it: without what is usual.

    >>> short_address("onvif:http://10.20.0.51/onvif/device_service")
    '10.20.0.51'
    """
    bare = address.removeprefix("onvif:").removesuffix("/onvif/device_service")
    return bare.removeprefix("http://") if "/" not in bare.removeprefix("http://") else bare


def _line_of(one: NewCamera, lines: Iterable[ListedCamera]) -> ListedCamera | None:
    for line in lines:
        if line.mac is not None and line.mac == one.mac:
            return line
        if line.serial is not None and one.serial is not None and line.serial.casefold() == one.serial.casefold():
            return line
        if line.address is not None and line.mac is None and line.serial is None and line.address == one.address:
            return line
    return None


def _known_lines(site: Site, lines: Iterable[ListedCamera]) -> set[int]:
    """Lines of cameras that the site file has already."""
    ids = {camera.id for camera in site.cameras}
    macs = {camera.mac for camera in site.cameras if camera.mac}
    serials = {camera.serial for camera in site.cameras if camera.serial}
    return {
        line.line
        for line in lines
        if line.id in ids or (line.mac and line.mac in macs) or (line.serial and line.serial in serials)
    }


def _named(site: Site, new: list[NewCamera]) -> list[NewCamera]:
    """Each with an id of its own: the one that was given, or the room's with a number."""
    taken = {camera.id for camera in site.cameras} | {one.id for one in new if one.id}
    found = []
    for one in new:
        if one.id is None and one.room is not None:
            number = next(n for n in range(1, 10_000) if f"{one.room}-{n}" not in taken)
            one = replace(one, id=f"{one.room}-{number}")
            taken.add(one.id or "")
        if one.room is None and one.problem is None:
            one = replace(one, problem="nobody has said which room it looks into")
        found.append(one)
    return found


def add_cameras(site: Site, cameras: Iterable[NewCamera]) -> Site:
    """Writes new cameras into the site file.

    Args:
        site: a site that was loaded from a file.
        cameras: those without a `problem`, each with id and room.

    Returns:
        The site as it is now.

    Raises:
        UsageError: the file has changed since it was loaded, or the site came from no file.
        SiteError: with them it would no longer be right; nothing was written.
        PermissionDeniedError: it may not be written.
    """
    changes: list[tuple[str, tuple[str | int, ...], Any]] = []
    rooms = {room.id for room in site.rooms}
    for one in cameras:
        if one.problem is not None or one.id is None or one.room is None:
            continue
        if one.room not in rooms and one.kind is not None:
            rooms.add(one.room)
            changes.append(("append", ("rooms",), {"id": one.room, "kind": one.kind}))
        table = {
            "id": one.id,
            "room": one.room,
            "address": one.address,
            "mac": one.mac,
            "serial": one.serial if one.mac is None else None,
            "assigned": one.assigned,
            "template": one.template,
            "credentials": one.credentials,
        }
        changes.append(("append", ("cameras",), {key: value for key, value in table.items() if value is not None}))
    return edit_site(site, changes) if changes else site


def add_adopted(site: Site, camera: NewCamera) -> Site:
    """Writes one camera that was adopted into the site file, with an id where it has none.

    Args:
        site: a site that was loaded from a file.
        camera: with its room.

    Returns:
        The site as it is now.

    Raises:
        SiteError: with it the file would no longer be right.
    """
    known = {one.mac: index for index, one in enumerate(site.cameras) if one.mac}
    if camera.mac is not None and camera.mac in known:
        return edit_site(site, [("set", ("cameras", known[camera.mac], "address"), camera.address)])
    return add_cameras(site, _named(site, [camera]))


def edit_site(site: Site, changes: Sequence[tuple[str, tuple[str | int, ...], Any]]) -> Site:
    """Changes the site file, comments kept; checked before it is written, written whole or not at all.

    Args:
        site: a site that was loaded from a file.
        changes: as `edusense.site.toml.edit` takes them.

    Returns:
        The site as it is now.

    Raises:
        UsageError: the site came from no file.
        SiteError: with the changes it would no longer be right; nothing was written.
        PermissionDeniedError: it may not be written.
    """
    if site.path is None:
        raise UsageError("this site came from no file, so that nothing can be written into it")
    text = read(site.path)
    if loads(text, path=site.path).model_dump() != site.model_dump():
        raise UsageError(
            f"`{site.path}` has changed since it was read",
            hint="run the command again: it begins with what stands there now",
        )
    edited = edit(text, list(changes))
    changed = loads(edited, path=site.path)
    _replace(site.path, edited)
    return changed


def _replace(path: Path, text: str) -> None:
    temporary: str | None = None
    try:
        real = path.resolve()
        mode = real.stat().st_mode & 0o777
        descriptor, temporary = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(real)
        temporary = None
    except PermissionError:
        raise PermissionDeniedError(f"`{path}` may not be written by this user", hint=f"ls -l {path}") from None
    except OSError as error:
        raise SiteFileError(f"it cannot be written: {error.strerror}", path=str(path)) from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def remember_addresses(site: Site, applied: Iterable[Applied]) -> Site:
    """Writes into the site file where cameras are now that have changed their address.

    Args:
        site: a site that was loaded from a file.
        applied: from `fleet.apply`.

    Returns:
        The site as it is now.

    Raises:
        SiteError: it cannot be read or written any more, as `edit_site`.
    """
    now = {one.camera: one.address for one in applied if one.address is not None}
    places = {camera.id: index for index, camera in enumerate(site.cameras)}
    changes = [("set", ("cameras", places[name], "address"), address) for name, address in now.items()]
    return edit_site(site, changes) if changes else site
