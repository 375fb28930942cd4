"""The doctor's look at ports: which are there, who holds them, which right is missing."""

from __future__ import annotations

import dataclasses
import getpass
import grp
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from edusense.cli.doctor.finding import Finding, fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edusense.devices import Holder, Port
    from edusense.site import Site

__all__ = ["findings", "of_site", "port", "port_finding", "serial_right", "usb_right"]

_RULES = (Path("/etc/udev/rules.d"), Path("/usr/lib/udev/rules.d"), Path("/lib/udev/rules.d"))


def findings() -> Iterator[Finding]:
    """Rights in general, then each port."""
    from edusense.devices import ports

    yield serial_right(getpass.getuser(), root=os.geteuid() == 0)
    yield usb_right(root=os.geteuid() == 0)
    there = ports()
    for found in there:
        yield port_finding(found)
    if not there:
        yield ok("ports", "no serial port and no known USB reader is plugged in")


def of_site(site: Site | None) -> Iterator[Finding]:
    """The serial port of each reader of the site.

    Args:
        site: the site, if there is one.
    """
    for reader in site.readers if site else ():
        if reader.port.startswith("/"):  # else the driver's own way to name a USB device
            yield from (dataclasses.replace(found, check=f"reader {reader.id}") for found in port(reader.address))


def serial_right(user: str, *, root: bool) -> Finding:
    """Whether this user may open serial ports: membership in the group that owns them."""
    check = "serial rights"
    if root:
        return ok(check, "root may open every port")
    try:
        group = grp.getgrnam("dialout")
    except KeyError:
        return ok(check, "there is no group `dialout` here; each port's own line tells")
    if group.gr_gid in os.getgroups():
        return ok(check, f"user `{user}` is in group `dialout`")
    if user in group.gr_mem:
        return warn(check, f"user `{user}` was added to group `dialout` after logging in", "log out and in again")
    return warn(
        check,
        f"user `{user}` is not in group `dialout`, which owns serial ports",
        f"sudo usermod -aG dialout {user}, then log out and in again",
    )


def usb_right(*, root: bool, folders: Sequence[Path] = _RULES) -> Finding:
    """Whether USB readers are given to people: our udev rules.

    Args:
        root: whether this is root, who needs no rule.
        folders: where rules may be.
    """
    check = "usb rights"
    rules = [path for folder in folders if folder.is_dir() for path in sorted(folder.glob("*edusense*.rules"))]
    if rules:
        return ok(check, f"udev rules: {', '.join(str(path) for path in rules)}")
    if root:
        return ok(check, "root may open every USB device (no udev rules of edusense are installed)")
    return warn(
        check,
        "no udev rules of edusense are installed: only root may open USB readers",
        _rules_hint(),
    )


def _rules_hint() -> str:
    """How to install the rules, from where the drivers' distribution has them."""
    from edusense.fleet.templates import template_folders

    for folder in template_folders():
        rules = folder.parent / "readers"
        if any(rules.glob("*.rules")):
            where = shlex.quote(str(rules))
            return (
                f"sudo cp {where}/*.rules /etc/udev/rules.d/ && sudo udevadm control --reload && sudo udevadm trigger"
            )
    return "pip install edusense-drivers, which brings the rules; then `edusense doctor` says where they are"


def port_finding(found: Port) -> Finding:
    """One port, as `edusense.devices.ports` sees it."""
    name = found.by_id or found.path
    what = found.product or found.usb_id or f"{found.kind} port"
    fits = f"; may be {', '.join(found.drivers)}" if found.drivers else ""
    if found.problem is not None:
        return fail(f"port {name}", f"{what}: {found.problem}", found.hint or "edusense reader ports shows more")
    return _held(f"port {name}", f"{what}{fits}", found.holders)


def port(name: str) -> Iterator[Finding]:
    """One port that was asked for: a path, or an address such as `rdm6300:/dev/ttyUSB0`.

    Args:
        name: what stands on the command line.
    """
    from edusense.devices import holders, ports
    from edusense.devices.port_scan import missing_right, port_error

    path = name.partition(":")[2].partition("?")[0] if ":" in name and not name.startswith("/") else name
    known = next((found for found in ports() if path in (found.path, found.by_id, found.usb_id)), None)
    if known is not None:
        yield port_finding(known)
        return
    check = f"port {path}"
    try:
        Path(path).stat()
    except OSError as error:
        problem = port_error(path, error)
        yield fail(check, problem.message, problem.hint or "edusense reader ports lists them")
        return
    if (missing := missing_right(path)) is not None:
        yield fail(check, *missing)
        return
    if not Path(path).is_char_device():
        yield fail(check, "it is no device", "edusense reader ports lists serial ports and USB readers")
        return
    yield _held(check, "it is there, and this user may open it", holders(path))


def _held(check: str, what: str, by: Sequence[Holder]) -> Finding:
    strangers = [holder for holder in by if not holder.program.startswith("edusense")]
    if strangers:
        names = ", ".join(str(holder) for holder in strangers)
        hint = f"stop that program: kill {' '.join(str(holder.pid) for holder in strangers)}"
        return warn(check, f"{what}; held by {names}", hint)
    if by:
        return ok(check, f"{what}; held by {', '.join(str(holder) for holder in by)}")
    return ok(check, f"{what}; nobody holds it")
