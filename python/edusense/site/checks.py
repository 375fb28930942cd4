"""What must hold between the tables of a site file: names that exist, ids given once, slots that do not overlap.

These read the plain data, not the models: a typing error in one table must not hide a wrong name in another.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from edusense.nearest import nearest
from edusense.site.fields import clock_of, is_loopback
from edusense.site.problems import Loc, Problem, who
from edusense.site.secrets import in_url
from edusense.week import days_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic import BaseModel

    from edusense.site.models import Site

__all__ = ["problems_between", "warnings_of"]

_UNIQUE: Final = (
    (("rooms",), "id"),
    (("cameras",), "id"),
    (("cameras",), "mac"),
    (("cameras",), "assigned"),
    (("readers",), "id"),
    (("terminals",), "id"),
    (("terminals",), "number"),
    (("terminals",), "reader"),
    (("meals", "slots"), "id"),
    (("zones",), "id"),
    (("destinations",), "id"),
)
"""Tables and the key in which no two of them may agree."""

_REFERENCES: Final = (
    ("cameras", "room", "rooms", "room"),
    ("cameras", "credentials", "credentials", "credentials"),
    ("terminals", "room", "rooms", "room"),
    ("terminals", "reader", "readers", "reader"),
    ("terminals", "readers", "readers", "reader"),
    ("zones", "camera", "cameras", "camera"),
    ("zones", "alert", "destinations", "destination"),
    ("zones", "escalate", "destinations", "destination"),
    ("destinations", "credentials", "credentials", "credentials"),
)
"""Table, key, and the table whose ids the key names."""


def problems_between(data: Mapping[str, Any], line_of: Callable[[Loc], int | None]) -> list[Problem]:
    """Everything that is wrong between tables.

    Args:
        data: the parsed file.
        line_of: the line of a path, for hints.
    """
    return [
        *_duplicates(data, line_of),
        *_same_reader_port(data, line_of),
        *_same_stream(data, line_of),
        *_shared_readers(data, line_of),
        *_doors(data),
        *_lines(data),
        *_open_to_others(data),
        *_hub_in_clear(data),
        *_dangling(data),
        *_overlapping_slots(data, line_of),
        *_meals_missing(data),
        *_ways_in(data),
        *_slot_times(data),
    ]


def _tables(data: Mapping[str, Any], *path: str) -> list[tuple[Loc, dict[str, Any]]]:
    """The tables of an array of tables with their paths; nothing where something else stands."""
    value: Any = data
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    if not isinstance(value, list):
        return []
    return [((*path, index), table) for index, table in enumerate(value) if isinstance(table, dict)]


def _duplicates(data: Mapping[str, Any], line_of: Callable[[Loc], int | None]) -> Iterator[Problem]:
    for path, key in _UNIQUE:
        first: dict[Any, Loc] = {}
        for loc, table in _tables(data, *path):
            value = table.get(key)
            if not isinstance(value, (str, int)) or isinstance(value, bool):
                continue
            same = re.sub("-", ":", value.casefold()) if key == "mac" and isinstance(value, str) else value
            if same not in first:
                first[same] = loc
                continue
            what = path[-1].removesuffix("s")
            said = f"`{value[:80]}`" if isinstance(value, str) else f"{value}"
            line = line_of((*first[same], key))
            message = f"two {path[-1]} have the {key} {said}"
            if key in ("mac", "reader"):
                ids = [data_id(other, data) for other in (first[same], loc)]
                message = f"{path[-1]} {' and '.join(ids)} have one {key}: {said}"
            hint = f"the first {what} with it is on line {line}; each needs its own"
            yield Problem("site-duplicate", (*loc, key), message, hint)


def data_id(loc: Loc, data: Mapping[str, Any]) -> str:
    """What to call the table at `loc`: its id, or its number in the list."""
    return who(loc, data).partition(" ")[2].removesuffix(": ") or str(loc[-1])


def _same_reader_port(data: Mapping[str, Any], line_of: Callable[[Loc], int | None]) -> Iterator[Problem]:
    first: dict[tuple[str, str], Loc] = {}
    for loc, table in _tables(data, "readers"):
        driver, port = table.get("driver"), table.get("port")
        if not isinstance(driver, str) or not isinstance(port, str) or not port:
            continue
        # Two drivers cannot share a serial port either, but only a path is surely the same thing for both.
        same = ("", port) if port.startswith("/") else (driver, port)
        if same in first:
            hint = f"the first reader on it is on line {line_of((*first[same], 'port'))}; each needs its own port"
            yield Problem("site-duplicate", (*loc, "port"), f"two readers are on the port `{port[:120]}`", hint)
        first.setdefault(same, loc)


def _same_stream(data: Mapping[str, Any], line_of: Callable[[Loc], int | None]) -> Iterator[Problem]:
    """Two cameras that are one: an encoder's channels share an address, but not the profile that is watched."""
    first: dict[tuple[str, str], Loc] = {}
    for loc, table in _tables(data, "cameras"):
        for key in ("address", "url"):
            value, watch = table.get(key), table.get("watch", "sub") if key == "address" else ""
            if not isinstance(value, str) or not isinstance(watch, str) or in_url(value):
                continue
            if (value, watch) in first:
                line = line_of((*first[value, watch], key))
                message = (
                    f"{who(loc, data)}`{value[:80]}` is already camera {data_id(first[value, watch], data)}'s {key}"
                )
                hint = f"that one is on line {line}; channels of one encoder differ in `watch`"
                yield Problem("site-duplicate", (*loc, key), message, hint)
            first.setdefault((value, watch), loc)


def _shared_readers(data: Mapping[str, Any], line_of: Callable[[Loc], int | None]) -> Iterator[Problem]:
    """A reader that two terminals name, or one twice; that two have it as their only one is told already."""
    first: dict[str, Loc] = {}
    for loc, table in _tables(data, "terminals"):
        more = table.get("readers")
        named = [((*loc, "reader"), table.get("reader"))]
        named += [((*loc, "readers", index), name) for index, name in enumerate(more if isinstance(more, list) else ())]
        for place, name in named:
            if not isinstance(name, str):
                continue
            other = first.setdefault(name, place)
            if other is not place and not (other[-1] == place[-1] == "reader"):
                message = f"{who(loc, data)}the reader `{name[:80]}` belongs to a terminal already"
                yield Problem("site-duplicate", place, message, f"it is named on line {line_of(other)}")


def _doors(data: Mapping[str, Any]) -> Iterator[Problem]:
    for loc, table in _tables(data, "terminals"):
        if table.get("kind", "meals") == "meals" and table.get("direction", "both") != "both":
            message = f"{who(loc, data)}`direction` belongs to an entrance"
            yield Problem("site-value", (*loc, "direction"), message, 'kind = "entrance"', at_key=True)
        light = table.get("light")
        if isinstance(light, dict):
            lines = [light[name] for name in ("green", "red", "sound") if isinstance(light.get(name), int)]
            if len(set(lines)) < max(1, len(lines)):
                what = "two of green, red and sound are one line" if lines else "none of green, red and sound is given"
                hint = 'light = { chip = "/dev/gpiochip0", green = 17, red = 27, sound = 22 }'
                yield Problem("site-value", (*loc, "light"), f"{who(loc, data)}{what}", hint)


def _lines(data: Mapping[str, Any]) -> Iterator[Problem]:
    """What makes no sense of a zone with a line, or without one."""
    from edusense.site.models import Zone  # which imports this file

    for loc, table in _tables(data, "zones"):
        name = who(loc, data)
        if "line" not in table:
            if "polygon" not in table and not _misspelt(table, Zone, {"polygon"}):
                yield Problem("site-value", loc, f"{name}a `polygon` is missing", "its corners in order around it")
            if "direction" in table:
                hint = "line = [[0.2, 0.5], [0.8, 0.5]]"
                yield Problem("site-value", (*loc, "direction"), f"{name}`direction` is of a `line`", hint, at_key=True)
        elif table.get("kind") == "ignore":
            hint = 'kind = "forbidden", or "watch" with an `alert`'
            yield Problem("site-value", (*loc, "line"), f"{name}an `ignore` zone has no `line`", hint, at_key=True)
        elif "min_s" in table:
            what = "`min_s` does not go with a `line`: crossing it takes no time"
            yield Problem("site-value", (*loc, "min_s"), f"{name}{what}", "leave one of them out", at_key=True)


def _open_to_others(data: Mapping[str, Any]) -> Iterator[Problem]:
    """What listens to other machines has TLS and a token, or it does not listen to them."""
    for name in ("pages",):
        table = data.get(name)
        if not isinstance(table, dict):
            continue
        given = {key for key in ("certificate", "key", "token") if key in table}
        listen = table.get("listen", "127.0.0.1:0")
        if not isinstance(listen, str):
            continue
        if not is_loopback(listen.rpartition(":")[0].strip("[]")) and len(given) < 3:
            missing = ", ".join(sorted({"certificate", "key", "token"} - given))
            message = f"`{listen[:80]}` can be reached from other machines, and there is no {missing}"
            hint = f"[{name}] needs certificate, key and token for that; or listen on 127.0.0.1"
            yield Problem("site-value", (name, "listen"), message, hint)
        elif ("certificate" in given) != ("key" in given):
            lacking = "key" if "certificate" in given else "certificate"
            yield Problem("site-value", (name,), f"[{name}] has no `{lacking}`", "certificate and key belong together")


def _hub_in_clear(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Records of children go over TLS, or they do not leave this machine."""
    table = data.get("hub")
    url = table.get("url") if isinstance(table, dict) else None
    if isinstance(url, str) and url.startswith("http://"):
        host = urlsplit(url).hostname or ""
        if not is_loopback(host):
            message = f"`{url[:80]}` is not encrypted, and not on this machine"
            yield Problem(
                "site-value", ("hub", "url"), message, "https://…; a certificate of your own is named by `ca`"
            )


def _misspelt(table: Mapping[str, Any], model: type[BaseModel], keys: set[str]) -> bool:
    """Whether one of these keys stands there misspelt: that is told already."""
    known = {field.alias or name for name, field in model.model_fields.items()}
    return any(nearest(str(key), known) in keys for key in table if key not in known)


def _ways_in(data: Mapping[str, Any]) -> Iterator[Problem]:
    from edusense.site.models import Camera  # which imports this file

    for loc, table in _tables(data, "cameras"):
        name = who(loc, data)
        if "address" not in table and "url" not in table and not _misspelt(table, Camera, {"address", "url"}):
            message = f"{name}neither `address` nor `url` says how to reach it"
            yield Problem("site-value", loc, message, 'address = "10.20.0.51"')
        if "address" in table and "url" in table:
            hint = "`address` is for a camera with ONVIF, `url` for one without: keep one of them"
            yield Problem("site-value", (*loc, "url"), f"{name}both `address` and `url` are given", hint, at_key=True)
        if "keep_url" in table and "url" not in table:
            hint = 'with `address`, name the profile instead: keep = "main"'
            yield Problem("site-value", (*loc, "keep_url"), f"{name}`keep_url` goes with `url`", hint, at_key=True)


def _slot_times(data: Mapping[str, Any]) -> Iterator[Problem]:
    for loc, table in _tables(data, "meals", "slots"):
        start, stop = clock_of(table.get("from")), clock_of(table.get("to"))
        if start is None or stop is None or start < stop:
            continue
        name = who(loc, data)
        if start == stop:
            yield Problem("site-value", (*loc, "to"), f"{name}`from` and `to` are one time, so it would never be open")
        else:
            hint = "a slot ends on the day that it begins on: write two of them"
            yield Problem("site-value", (*loc, "to"), f"{name}`to` is earlier than `from`", hint)


def _dangling(data: Mapping[str, Any]) -> Iterator[Problem]:
    for table_name, key, target, what in _REFERENCES:
        if target == "credentials":
            named = data.get("credentials")
            known = list(named) if isinstance(named, dict) else []
        else:
            known = [table["id"] for _, table in _tables(data, target) if isinstance(table.get("id"), str)]
        for loc, table in _tables(data, table_name):
            value = table.get(key)
            wanted = [((*loc, key), value)]
            if isinstance(value, list):
                wanted = [((*loc, key, index), element) for index, element in enumerate(value)]
            for place, name in wanted:
                if isinstance(name, str) and name not in known:
                    shown = f"[credentials.{name[:80]}]" if target == "credentials" else f"{what} `{name[:80]}`"
                    message = f"{who(loc, data)}there is no {shown}"
                    yield Problem("site-reference", place, message, _known(name, known, target))


def _known(name: str, known: list[str], target: str) -> str:
    if (guess := nearest(name, known)) is not None:
        return f"perhaps `{guess}`"
    if known:
        return f"there are {', '.join(f'`{word[:64]}`' for word in known[:10])}{' …' if len(known) > 10 else ''}"
    table = "[credentials.NAME]" if target == "credentials" else f"[[{target}]]"
    return f"add it: the file has no {table} yet"


def _overlapping_slots(data: Mapping[str, Any], line_of: Callable[[Loc], int | None]) -> Iterator[Problem]:
    spans = []
    for loc, table in _tables(data, "meals", "slots"):
        start, stop = clock_of(table.get("from")), clock_of(table.get("to"))
        if start is not None and stop is not None and start < stop:
            spans.append((start, stop, loc, table))
    spans.sort(key=lambda span: span[:2])
    for index, (start, _, loc, table) in enumerate(spans):
        # The one that ends last: of several that overlap, one is told.
        before = [span for span in spans[:index] if start < span[1] and _both_on(span[3], table)]
        if not before:
            continue
        other = max(before, key=lambda span: span[1])[2]
        later, earlier = max(loc, other), min(loc, other)
        message = f"{who(later, data)}it overlaps slot {data_id(earlier, data)}"
        line = line_of((*earlier, "from"))
        hint = f"that one is on line {line}; a tap must belong to one slot (`to` itself is outside)"
        yield Problem("site-value", (*later, "from"), message, hint)


def _both_on(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether one pupil on one day could be meant by both slots."""
    shifts = [table["shift"] for table in (one, other) if isinstance(table.get("shift"), int)]
    if len(shifts) == 2 and shifts[0] != shifts[1]:
        return False
    days = [days_of(table.get("days")) for table in (one, other)]
    return not (days[0] and days[1] and days[0].isdisjoint(days[1]))


def _meals_missing(data: Mapping[str, Any]) -> Iterator[Problem]:
    if "meals" in data:
        return
    for loc, table in _tables(data, "terminals"):
        if table.get("kind", "meals") == "meals":
            message = f"{who(loc, data)}it serves meals, and there is no [meals]"
            yield Problem("site-reference", loc, message, 'add [meals] with roster = "roster.csv" and [[meals.slots]]')
            return


def warnings_of(site: Site) -> Iterator[Problem]:
    """What is allowed and probably not meant: missing files, secrets that cannot be read, rooms that nobody sees."""
    from edusense.errors import SiteSecretError

    if site.meals is not None:
        roster = site.roster_path()
        if roster is not None and not roster.is_file():
            yield Problem(
                "warning",
                ("meals", "roster"),
                f"the roster `{roster}` does not exist",
                "`edusense roster check` tells its columns",
            )
        if not site.meals.slots:
            yield Problem(
                "warning", ("meals",), "[meals] has no slots: every tap will be refused", "add [[meals.slots]]"
            )
    for name, credentials in site.credentials.items():
        try:
            credentials.secret()
        except SiteSecretError as error:
            yield Problem("warning", ("credentials", name, "password"), error.message, error.hint)
    for index, camera in enumerate(site.cameras):
        if camera.address is not None and camera.credentials is None:
            yield Problem(
                "warning",
                ("cameras", index),
                f"camera `{camera.id}` has no credentials: ONVIF cameras ask for them",
                'credentials = "cameras"',
            )
    seen = {camera.room for camera in site.cameras}
    for index, room in enumerate(site.rooms):
        if room.id not in seen:
            yield Problem("warning", ("rooms", index), f"room `{room.id}` has no camera", None)
    used = {reader for terminal in site.terminals for reader in terminal.all_readers}
    for index, reader in enumerate(site.readers):
        if reader.id not in used:
            yield Problem(
                "warning",
                ("readers", index),
                f"reader `{reader.id}` belongs to no terminal",
                "add [[terminals]] that names it",
            )
