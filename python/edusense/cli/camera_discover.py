"""`edusense camera discover`: find cameras, write new ones into the site file, adopt factory-new ones."""

from __future__ import annotations

import ipaddress
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.output import json_option, progress, row, rows, site_option, talk
from edusense.errors import PermissionDeniedError, SiteFileError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.fleet import Found, ListedCamera, NewCamera
    from edusense.site import Site

__all__ = ["discover"]


@click.command()
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0.1, 120), default=3.0, show_default=True, help="Seconds."
)
@click.option(
    "--interface", "interfaces", multiple=True, metavar="NAME", help="Only this one; may be given several times."
)
@click.option(
    "--sweep", multiple=True, metavar="CIDR", help="Ask every address of this network, too; may be given several times."
)
@click.option("--sweep-port", "sweep_ports", multiple=True, type=click.IntRange(1, 65535), help="Instead of the usual.")
@click.option("--add", is_flag=True, help="Write those that the site file does not have into it.")
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Which hangs where: columns room and mac, serial or address; id, assigned, template, credentials, kind.",
)
@click.option("--room", help="The room of all new ones that no list says a room of.")
@click.option("--credentials", help="The table of [credentials] to ask new ones with; the site's only one by default.")
@click.option(
    "--adopt",
    metavar="ADDRESS",
    help="Factory-new cameras that all have this address: give each an address of its own.",
)
@click.option(
    "--addresses", metavar="FIRST-LAST/PREFIX", help="With --adopt: addresses for those that the list assigns none."
)
@click.option(
    "--dhcp",
    "dhcp_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write reservations for the DHCP server (dnsmasq) into this file.",
)
@click.option("--yes", is_flag=True, help="Do not ask before the site file is written.")
@click.option("--port", type=click.IntRange(1, 65535), default=None, hidden=True)
@site_option
@json_option
def discover(
    timeout_s: float,
    interfaces: tuple[str, ...],
    sweep: tuple[str, ...],
    sweep_ports: tuple[int, ...],
    add: bool,
    csv_path: Path | None,
    room: str | None,
    credentials: str | None,
    adopt: str | None,
    addresses: str | None,
    dhcp_path: Path | None,
    yes: bool,
    port: int | None,
    site_path: str,
    as_json: bool,
) -> int:
    """Search the network for cameras that speak ONVIF.

    Three probes go out on every interface; --sweep asks address by address, where multicast does not reach. Cameras
    that the site file has are marked with their id there. Nothing is logged in to, except with --add: then each new
    camera is asked once who it is, and gets the template of its make. Comments in the site file stay.

    Factory-new cameras all have one address. --adopt asks whoever answers there who it is, gives it an address of its
    own, and goes on with the next, until nobody is left. What needs its maker's activation first is named with what to
    do.

    Exit status 1: a camera of the list was not found, or one could not be added or adopted.

    \b
    Examples:
      edusense camera discover
      edusense camera discover --timeout 10 --interface eth0
      edusense camera discover --json | jq -r 'select(.site_id == null).address'
      edusense camera discover --add --sweep 10.20.0.0/22 --csv cameras.csv
      edusense camera discover --adopt 192.168.1.64 --csv cameras.csv --dhcp reservations.conf
    """
    from edusense import fleet

    given = csv_path is not None or room is not None or credentials is not None
    if given and not add and adopt is None:
        raise UsageError("--csv, --room and --credentials go with --add or --adopt", hint="add `--add`")
    if addresses is not None and adopt is None:
        raise UsageError("--addresses goes with --adopt", hint="--adopt 192.168.1.64")
    site = _site_of(site_path, needed=add or adopt is not None)
    listed = fleet.read_list(csv_path, site) if csv_path is not None and site is not None else []
    status = 0
    if adopt is not None:
        assert site is not None
        site, status = _adopt(site, adopt, listed, addresses, credentials, room, as_json=as_json)
    else:
        found = _search(site, timeout_s, interfaces, sweep, sweep_ports, port, quiet=add)
        if not add:
            _print_found(found, site, site_path, as_json=as_json)
        else:
            assert site is not None
            site, status = _add(site, found, listed, credentials, room, yes=yes, as_json=as_json)
    if dhcp_path is not None and site is not None:
        _write_dhcp(dhcp_path, site)
    return status


def _site_of(path: str, *, needed: bool) -> Site | None:
    """The site, where there is one: a search must work before there is."""
    from edusense.site import Site

    try:
        return Site.load(path)
    except SiteFileError as error:
        if path == "school.toml" and not needed:
            return None
        if needed and error.hint is None:
            error.hint = "`edusense site new` writes one to start from"
        raise


def _search(
    site: Site | None,
    timeout_s: float,
    interfaces: tuple[str, ...],
    sweep: tuple[str, ...],
    sweep_ports: tuple[int, ...],
    port: int | None,
    *,
    quiet: bool,
) -> list[Found]:
    from edusense import fleet

    settings: dict[str, Any] = {} if port is None else {"port": port}
    if sweep_ports:
        settings["sweep_ports"] = list(sweep_ports)
    cameras = site.cameras if site else ()

    def work(told: Callable[[int, int], None] | None) -> list[Found]:
        return fleet.discover(
            timeout_s, list(interfaces) or None, site_cameras=cameras, sweep=sweep, progress=told, **settings
        )

    if sweep:
        with progress(1000, "sweeping") as bar:
            reached = 0

            def told(done: int, of: int) -> None:
                nonlocal reached
                step = round(1000 * done / of) - reached
                if step > 0:
                    bar.update(step)
                    reached += step

            return work(told)
    found: list[Found] = beside_a_bar(lambda: work(None), timeout_s, "searching")
    return found


def beside_a_bar(work: Callable[[], Any], seconds: float, label: str) -> Any:
    """Runs `work` beside a bar that fills in `seconds`."""
    from concurrent.futures import Future, ThreadPoolExecutor, wait

    steps = 20
    with ThreadPoolExecutor(1) as pool, progress(steps, label) as bar:
        running: Future[Any] = pool.submit(work)
        for _ in range(steps):
            if wait([running], timeout=seconds / steps).done:
                break
            bar.update(1)
        return running.result()


def _print_found(found: list[Found], site: Site | None, site_path: str, *, as_json: bool) -> None:
    rows(
        [one.to_json() for one in found] if as_json else [_found_row(one) for one in found],
        ["address", "name", "hardware", "mac", "endpoint", "in_site"],
        as_json=as_json,
        empty="no camera answered: are they on the same network and powered, is ONVIF switched on in their web pages, "
        "does a firewall drop UDP 3702? `--sweep 10.20.0.0/22` asks address by address",
    )
    if found and not as_json:
        known = sum(one.site_id is not None for one in found)
        new = len(found) - known
        more = f", {known} of them in {site_path}" if site else ""
        hint = f"; `--add` writes the other {new} into it" if site and new else ""
        talk(f"{len(found)} found{more}{hint}")


def _found_row(one: Found) -> dict[str, Any]:
    camera = one.camera
    address = camera.address.removeprefix("onvif:").removesuffix("/onvif/device_service")
    return {
        "address": address,
        "name": camera.name,
        "hardware": camera.hardware,
        "mac": camera.mac,
        "endpoint": camera.endpoint.removeprefix("urn:uuid:"),
        "in_site": one.site_id,
    }


# ---- --add


def _add(
    site: Site,
    found: list[Found],
    listed: list[ListedCamera],
    credentials: str | None,
    room: str | None,
    *,
    yes: bool,
    as_json: bool,
) -> tuple[Site, int]:
    from edusense import fleet

    fresh = sum(one.site_id is None for one in found)
    with progress(fresh, "asking who they are") as bar:
        new, left = fleet.propose(
            site,
            found,
            listed,
            credentials=credentials,
            room=room,
            progress=lambda _done, _of: bar.update(1),
        )
    if sys.stdin.isatty() and not yes:
        new = _ask_rooms(site, new)
    if not found:
        talk("no camera answered; nothing was added")
    rows(
        [one.to_json() for one in new] if as_json else [_new_row(one) for one in new],
        ["id", "room", "address", "mac", "make", "template", "note"],
        as_json=as_json,
        empty=f"nothing new: all {len(found)} that answered are in the site file",
    )
    for line in left:
        who = line.mac or line.serial or line.address
        talk(f"line {line.line} of the list, {who} for room {line.room}: no camera that answered fits it")
    good = [one for one in new if one.problem is None]
    roomless = sum(one.problem is not None and one.room is None for one in new)
    if roomless:
        talk(f"{roomless} without a room: --room ROOM, or --csv FILE with the columns room and mac")
    if others := [one.id or one.address for one in new if one.problem is not None and one.room is not None]:
        talk(f"{len(others)} not added, `note` says why: {', '.join(others[:8])}{' …' if len(others) > 8 else ''}")
    if good:
        _confirm(f"write {len(good)} cameras into {site.path}?", yes=yes)
        site = fleet.add_cameras(site, good)
        talk(f"{len(good)} added to {site.path}; `edusense camera plan` shows what each should be")
    return site, 1 if left or len(good) < len(new) else 0


def _new_row(one: NewCamera) -> dict[str, Any]:
    note = "; ".join(part for part in (one.problem, one.note) if part) or None
    return {**one.to_json(), "mac": one.mac or one.serial, "note": note}


def _ask_rooms(site: Site, new: list[NewCamera]) -> list[NewCamera]:
    """Asks for each room that nobody has said; an empty answer leaves a camera out."""
    from dataclasses import replace

    known = {room.id for room in site.rooms}
    taken = {camera.id for camera in site.cameras} | {one.id for one in new if one.id}
    found = []
    for one in new:
        made = one
        while made.room is None:
            who = " ".join(part for part in (one.make, one.mac or one.serial) if part)
            said = click.prompt(
                f"room of {one.address}{f' ({who})' if who else ''} (empty: leave it out)",
                default="",
                show_default=False,
                err=True,
            ).strip()
            if not said:
                break
            if said not in known:
                talk(f"the site file has no room `{said}`; it has {', '.join(sorted(known)[:12])}")
                continue
            number = next(n for n in range(1, 10_000) if f"{said}-{n}" not in taken)
            taken.add(f"{said}-{number}")
            made = replace(made, room=said, id=f"{said}-{number}", problem=None)
        found.append(made)
    return found


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} nobody is here to say yes", hint="--yes says so beforehand")
    if not click.confirm(question, err=True):
        raise click.Abort


# ---- --adopt


def _adopt(
    site: Site,
    at: str,
    listed: list[ListedCamera],
    addresses: str | None,
    credentials: str | None,
    room: str | None,
    *,
    as_json: bool,
) -> tuple[Site, int]:
    from edusense import fleet

    free = _free(addresses)
    if not free and not any(line.assigned for line in listed):
        raise UsageError(
            "adopted cameras need addresses", hint="--addresses 10.20.0.51-10.20.0.90/22, or a list with `assigned`"
        )
    table = credentials or (next(iter(site.credentials)) if len(site.credentials) == 1 else None)
    stop = threading.Event()
    counted = {"adopted": 0, "others": 0}
    try:
        for one in fleet.adopt(site, at, stop, listed, free=free, credentials=table, room=room, told=talk):
            text = f"{one.mac or one.serial or one.old}  {one.state}  {one.new or ''}  {one.note or ''}".rstrip()
            row(one.to_json(), as_json=as_json, text=text)
            counted["adopted" if one.state == "adopted" else "others"] += 1
            if one.camera is not None and one.camera.room is not None:
                # Each as soon as it has its address: broken off, nothing of it is lost.
                site = fleet.add_adopted(site, one.camera)
    except KeyboardInterrupt:
        stop.set()
        talk("broken off; those that were adopted are in the site file, and the same command goes on with the others")
        raise
    if counted["adopted"] == counted["others"] == 0:
        talk(f"nobody answered at {at}")
        return site, 1
    talk(f"{counted['adopted']} adopted" + (f", {counted['others']} not" if counted["others"] else ""))
    return site, 1 if counted["others"] else 0


def _free(said: str | None) -> list[str]:
    """The addresses from one to another, each with the network's prefix."""
    if said is None:
        return []
    span, slash, prefix = said.partition("/")
    first, dash, last = span.partition("-")
    try:
        one, other = ipaddress.IPv4Address(first.strip()), ipaddress.IPv4Address((last if dash else first).strip())
        if not slash or not 1 <= int(prefix) <= 30 or not 0 <= int(other) - int(one) < 4096:
            raise ValueError
    except ValueError:
        raise UsageError(f"`{said[:60]}` are no addresses", hint="--addresses 10.20.0.51-10.20.0.90/22") from None
    return [f"{ipaddress.IPv4Address(number)}/{prefix}" for number in range(int(one), int(other) + 1)]


def _write_dhcp(path: Path, site: Site) -> None:
    from edusense import fleet

    text = fleet.dhcp_plan(site)
    try:
        path.write_text(text, encoding="utf-8")
    except PermissionError:
        raise PermissionDeniedError(f"`{path}` may not be written by this user") from None
    except OSError as error:
        raise UsageError(f"`{path}` cannot be written: {error.strerror}") from None
    talk(f"{path}: {len(text.splitlines())} reservations")
