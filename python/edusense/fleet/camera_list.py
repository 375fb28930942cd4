"""A list of cameras as a CSV file: which hangs where. Right in every line, or nothing of it is taken.

Columns: `room`, and of `mac`, `serial`, `address` at least one; `id`, `assigned`, `template`, `credentials`, `kind` (of
a room that the site file does not have yet). Labels may be scanned into it: a MAC address in any of its notations, a
serial number as it stands there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

from edusense.errors import CameraListError, PermissionDeniedError, RosterError, SiteError
from edusense.meals.table import Fault, read_table
from edusense.site import Site
from edusense.site.models import RoomKind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from edusense.meals.table import Line

__all__ = ["COLUMNS", "ListedCamera", "normal_mac", "read_list"]

COLUMNS: Final = ("id", "mac", "serial", "address", "assigned", "template", "credentials", "kind")
"""Columns that there may be besides `room`."""
_MOST_BYTES: Final = 4 << 20
_PROBE: Final = (
    '[site]\nid = "list"\nnumber = 1\n[credentials.x]\nuser = "x"\npassword = "env:X"\n[[rooms]]\nid = "x"\n'
    'kind = "other"\n[[cameras]]\nid = "x"\nroom = "x"\n'
)


@dataclass(frozen=True, slots=True)
class ListedCamera:
    """One line of a list.

    Args:
        line: its number in the file, from 1.
        room: the room that it looks into.
        id: the id that it is to have; None: made from the room's.
        mac: its MAC address.
        serial: its serial number.
        address: where it is.
        assigned: the address that it is to have, with the network's prefix.
        template: its template.
        credentials: the table of [credentials] that it is asked with.
        kind: of its room, where the site file does not have that yet.
    """

    line: int
    room: str
    id: str | None = None
    mac: str | None = None
    serial: str | None = None
    address: str | None = None
    assigned: str | None = None
    template: str | None = None
    credentials: str | None = None
    kind: str | None = None


def normal_mac(said: str | None) -> str | None:
    """A MAC address as `00:1a:2b:3c:4d:5e`, from any of the ways to write one; None where it is none.

    >>> normal_mac("001A.2B3C.4D5E")
    '00:1a:2b:3c:4d:5e'
    """
    digits = (said or "").strip().lower()
    for mark in ":-. ":
        digits = digits.replace(mark, "")
    if len(digits) != 12 or set(digits) == {"0"} or not set(digits) <= set("0123456789abcdef"):
        return None
    return ":".join(digits[place : place + 2] for place in range(0, 12, 2))


def read_list(path: Path, site: Site) -> list[ListedCamera]:
    """Reads a list of cameras.

    Args:
        path: a CSV file with a line of headings.
        site: the site that its rooms belong to.

    Raises:
        CameraListError: a line is wrong; all of them are named, and nothing of the file is taken.
        PermissionDeniedError: it may not be read.
    """
    try:
        raw = path.read_bytes()
    except PermissionError:
        raise PermissionDeniedError(f"`{path}` may not be read by this user", hint=f"ls -l {path}") from None
    except OSError as error:
        raise CameraListError(f"`{path}` cannot be read: {error.strerror}") from None
    if len(raw) > _MOST_BYTES:
        raise CameraListError(f"`{path}` is longer than any list of cameras", hint="is it the right file?")
    try:
        table = read_table(raw, ("room",), COLUMNS)
    except RosterError as error:
        hint = "the first line names the columns: room,mac,id" if "column" in error.message else error.hint
        raise CameraListError(f"{path}: {error.message}", hint=hint) from None
    rooms = {room.id for room in site.rooms}
    found: list[ListedCamera] = []
    faults = list(table.faults)
    for line in table.lines:
        one, wrong = _listed(line, rooms, site)
        faults += wrong
        if one is not None:
            found.append(one)
    faults += _twice(found, table.lines)
    if faults:
        faults.sort(key=lambda fault: fault.line)
        errors = [CameraListError(f"{path}: {fault}", hint=fault.hint) for fault in faults]
        errors[0].others = tuple(errors[1:])
        raise errors[0]
    return found


def _listed(line: Line, rooms: set[str], site: Site) -> tuple[ListedCamera | None, list[Fault]]:
    faults: list[Fault] = []
    values: dict[str, Any] = {name: line[name] or None for name in ("room", *COLUMNS)}
    if values["mac"] is not None and (mac := normal_mac(values["mac"])) is None:
        faults.append(line.fault("mac", "a MAC address: twelve hex digits, as on the label"))
    elif values["mac"] is not None:
        values["mac"] = mac
    if not any(values[name] for name in ("mac", "serial", "address")):
        faults.append(line.fault("mac", "a MAC address, or a `serial` number or an `address` beside it"))
    if values["kind"] is not None and values["kind"] not in get_args(RoomKind):
        faults.append(line.fault("kind", f"one of {', '.join(get_args(RoomKind))}"))
    if not values["room"]:
        faults.append(line.fault("room", "the id of a room"))
    elif values["room"] not in rooms and values["kind"] is None:
        known = ", ".join(sorted(rooms)[:8]) or "none"
        faults.append(
            line.fault(
                "room", f"a room of the site file ({known} …), or a `kind` to make it one: classroom, corridor …"
            )
        )
    if values["credentials"] is not None and values["credentials"] not in site.credentials:
        faults.append(line.fault("credentials", f"one of the tables of [credentials]: {', '.join(site.credentials)}"))
    if values["template"] is not None:
        from edusense.fleet.templates import names

        known_templates = names(site.folder)
        if values["template"] not in known_templates:
            faults.append(line.fault("template", f"one of {', '.join(known_templates)}"))
    wrong = {name: _problem(name, values[name]) for name in ("id", "serial", "address", "assigned") if values[name]}
    # What stands before an @ may be a password.
    faults += [line.fault(name, problem, line[name].rpartition("@")[2]) for name, problem in wrong.items() if problem]
    if values["room"] and values["room"] not in rooms and (problem := _problem("id", values["room"])):
        faults.append(line.fault("room", problem))
    return (None if faults else ListedCamera(line.number, **values)), faults


def _problem(name: str, value: str) -> str | None:
    """What a value should be to stand in the site file, as the site file's own check says it; None where it is well."""
    text = value.replace("\\", "\\\\").replace('"', '\\"')
    more = "" if name == "id" else f'{name} = "{text}"\n'
    site = _PROBE.replace('id = "x"\nroom', f'id = "{text}"\nroom') if name == "id" else _PROBE
    try:
        Site.loads(site + ("" if name == "address" else 'address = "10.0.0.1"\n') + more)
    except SiteError as error:
        return " ".join(part for part in (error.message.partition(": ")[2] or error.message, error.hint) if part)
    return None


def _twice(found: Iterable[ListedCamera], lines: Iterable[Line]) -> list[Fault]:
    """Lines that say the same of two cameras."""
    by_number = {line.number: line for line in lines}
    first: dict[tuple[str, str], int] = {}
    faults = []
    for one in found:
        for name in ("id", "mac", "serial", "address", "assigned"):
            value = getattr(one, name)
            if value is None:
                continue
            before = first.setdefault((name, value.lower()), one.line)
            if before != one.line:
                faults.append(by_number[one.line].fault(name, f"another one than in line {before}"))
    return faults
