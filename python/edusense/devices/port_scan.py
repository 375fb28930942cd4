"""Where a reader may be plugged in, who holds it, and which right is missing: read from /sys, /dev and /proc,
nothing is opened.

`ports()` feeds `edusense reader ports` and `edusense doctor`; `port_error()` turns the system's refusal to open a
port into an error that says what to do, for every driver alike.
"""

from __future__ import annotations

import errno
import getpass
import grp
import os
import re
import shlex
import stat
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from edusense.devices.input_scan import input_nodes
from edusense.errors import (
    DeviceBusyError,
    DeviceDisconnectedError,
    DeviceError,
    DeviceNotFoundError,
    DevicePermissionError,
)
from edusense.nearest import near

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edusense.devices.registry import Driver

__all__ = [
    "Holder",
    "Machine",
    "Port",
    "holders",
    "input_rule",
    "missing_right",
    "name_owner",
    "named_holders",
    "port_error",
    "port_owner",
    "ports",
    "udev_rule",
]

_SERIAL_NAME: Final = re.compile(r"(tty[A-Z]+|rfcomm|ttymxc)\d+")


@dataclass(frozen=True, slots=True)
class Machine:
    """The folders that tell of this machine's devices; tests give others.

    Args:
        sys: where sysfs is.
        dev: where device nodes are.
        proc: where procfs is.
    """

    sys: Path = Path("/sys")
    dev: Path = Path("/dev")
    proc: Path = Path("/proc")


HERE: Final = Machine()


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a device open.

    Args:
        pid: its number.
        program: its name, as `ps` shows it.
    """

    pid: int
    program: str

    def __str__(self) -> str:
        return f"{self.program} (pid {self.pid})"


@dataclass(frozen=True, slots=True)
class Port:
    """One place where a reader may be plugged in.

    Args:
        path: the device node.
        kind: `serial`; `usb` for a device that is spoken to without a serial port; `input` for one that poses as a
            keyboard.
        by_id: the path that stays the same after replugging; None where there is none.
        usb_id: `vvvv:pppp`; None for a port on the board.
        product: what the device calls itself.
        drivers: names of the drivers that may match: a USB chip shared by many things is no proof.
        address: what to write into the site file if the first of them fits; None without a driver.
        holders: who has it open.
        problem: what keeps this user from opening it; None where nothing does.
        hint: what to do about the problem.
        rule: the udev rule that gives the right for good; None where none is needed.
    """

    path: str
    kind: Literal["serial", "usb", "input"]
    by_id: str | None = None
    usb_id: str | None = None
    product: str | None = None
    drivers: tuple[str, ...] = ()
    address: str | None = None
    holders: tuple[Holder, ...] = ()
    problem: str | None = None
    hint: str | None = None
    rule: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The row as `reader ports --json` prints it."""
        return asdict(self)


def ports(machine: Machine = HERE, *, declared: Iterable[Driver] | None = None) -> list[Port]:
    """Every serial port, USB device and keyboard that may be a reader.

    Args:
        machine: where to look.
        declared: the drivers to match; default: the installed ones.

    Returns:
        Serial ports first, then USB devices, then those that pose as keyboards, by path.
    """
    if declared is None:
        from edusense.devices.registry import drivers

        declared = [row.driver for row in drivers("reader") if row.driver is not None]
    known = list(declared)
    return [*_serial_ports(machine, known), *_usb_ports(machine, known), *_input_ports(machine, known)]


def _serial_ports(machine: Machine, known: Sequence[Driver]) -> list[Port]:
    stable = {}
    for link in _entries(machine.dev / "serial/by-id"):
        stable[_node_of(link)] = str(link)
    found = []
    for entry in _entries(machine.sys / "class/tty"):
        node = machine.dev / entry.name
        if not _SERIAL_NAME.fullmatch(entry.name) or not (entry / "device").exists() or not node.exists():
            continue
        # The kernel keeps names for serial chips that the board does not have; their type is 0.
        if entry.name.startswith("ttyS") and _text(entry / "type") == "0":
            continue
        usb = _usb_parent((entry / "device").resolve(), machine)
        usb_id = _usb_id(usb)
        names = tuple(driver.name for driver in _fitting(known, usb_id, _called(usb)))
        by_id = stable.get(str(node))
        found.append(
            _port(machine, node, "serial", names, by_id=by_id, usb_id=usb_id, usb=usb, target=by_id or str(node))
        )
    return found


def _fitting(known: Sequence[Driver], usb_id: str | None, called: str) -> list[Driver]:
    """Drivers whose serial devices may be behind a port, those that know its name first, then those that know its
    chip.
    """

    def rank(driver: Driver) -> int:
        if driver.product is not None and re.search(driver.product, called, re.IGNORECASE):
            return 0
        return 1 if usb_id in driver.usb_ids else 2

    fitting = [driver for driver in known if driver.serial]
    if usb_id is not None:
        fitting = [driver for driver in fitting if rank(driver) < 2 or not driver.usb_ids]
    return sorted(fitting, key=rank)


def _called(usb: Path | None) -> str:
    """What a USB device calls itself."""
    if usb is None:
        return ""
    return " ".join(part for part in (_text(usb / "manufacturer"), _text(usb / "product")) if part)


def _usb_ports(machine: Machine, known: Sequence[Driver]) -> list[Port]:
    found = []
    for entry in _entries(machine.sys / "bus/usb/devices"):
        usb_id = _usb_id(entry)
        if usb_id is None:
            continue
        classes = {_text(interface / "bInterfaceClass") for interface in _entries(entry) if ":" in interface.name}
        names = tuple(
            driver.name
            for driver in known
            if not (driver.serial or driver.input)
            and (usb_id in driver.usb_ids or (driver.usb_class is not None and f"{driver.usb_class:02x}" in classes))
        )
        bus, number = _text(entry / "busnum"), _text(entry / "devnum")
        if not names or not bus.isdigit() or not number.isdigit():
            continue
        node = machine.dev / f"bus/usb/{int(bus):03d}/{int(number):03d}"
        found.append(_port(machine, node, "usb", names, by_id=None, usb_id=usb_id, usb=entry, target=usb_id))
    return found


def _input_ports(machine: Machine, known: Sequence[Driver]) -> list[Port]:
    stable: dict[str, str] = {}
    for link in _entries(machine.dev / "input/by-id"):
        stable.setdefault(_node_of(link), str(link))
    found = []
    for node in input_nodes(machine.sys / "class/input", machine.dev / "input"):
        if not Path(node.path).exists():
            continue
        names = tuple(
            driver.name
            for driver in sorted(known, key=lambda driver: node.usb_id not in driver.usb_ids)
            if driver.input and node.people is None
        )
        by_id = stable.get(node.path)
        port = _port(
            machine, Path(node.path), "input", names, by_id=by_id, usb_id=node.usb_id, usb=None,
            target=by_id or node.path,
        )  # fmt: skip
        found.append(replace(port, product=node.people or node.name, rule=port.rule and input_rule(node.usb_id or "")))
    return found


def _port(
    machine: Machine,
    node: Path,
    kind: Literal["serial", "usb", "input"],
    names: tuple[str, ...],
    *,
    by_id: str | None,
    usb_id: str | None,
    usb: Path | None,
    target: str,
) -> Port:
    product = _called(usb)
    problem, hint = missing_right(str(node), usb_id=usb_id) or (None, None)
    return Port(
        path=str(node),
        kind=kind,
        by_id=by_id,
        usb_id=usb_id,
        product=product or None,
        drivers=names,
        address=f"{names[0]}:{target}" if names else None,
        holders=tuple(holders(str(node), machine)),
        problem=problem,
        hint=hint,
        rule=udev_rule(usb_id) if problem and usb_id else None,
    )


def holders(path: str, machine: Machine = HERE) -> list[Holder]:
    """The processes that have a device open, as far as this user may see them (root sees all).

    Args:
        path: a device node or a link to one.
        machine: where /proc is.

    Returns:
        The processes by number, without this one.
    """
    try:
        wanted = Path(path).stat()
    except OSError:
        return []
    found = []
    for process in _entries(machine.proc):
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        if any(_is_same(descriptor, wanted) for descriptor in _entries(process / "fd")):
            found.append(Holder(int(process.name), _text(process / "comm") or "?"))
    return sorted(found, key=lambda holder: holder.pid)


def named_holders(path: str, machine: Machine = HERE) -> str:
    """Who holds a device, as the end of a sentence: `minicom (pid 4711)`."""
    found = holders(path, machine)
    if found:
        return ", ".join(str(holder) for holder in found)
    if _open_here(path, machine):
        return "this program itself"
    return "a process of another user" if os.geteuid() else "a process that cannot be seen from here"


def _open_here(path: str, machine: Machine) -> bool:
    try:
        wanted = Path(path).stat()
    except OSError:
        return False
    return any(_is_same(descriptor, wanted) for descriptor in _entries(machine.proc / str(os.getpid()) / "fd"))


def _is_same(descriptor: Path, wanted: os.stat_result) -> bool:
    try:
        found = descriptor.stat()
    except OSError:
        return False
    if stat.S_ISCHR(wanted.st_mode):
        return stat.S_ISCHR(found.st_mode) and found.st_rdev == wanted.st_rdev
    return (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino)


def missing_right(path: str, *, usb_id: str | None = None) -> tuple[str, str] | None:
    """What keeps this user from opening a device node, and what to do; None where nothing does.

    Args:
        path: the node.
        usb_id: `vvvv:pppp` of the USB device, if it is one: its udev rule is named.
    """
    try:
        status = Path(path).stat()
    except OSError:
        return None
    if os.access(path, os.R_OK | os.W_OK):
        return None
    user = getpass.getuser()
    group = _group_name(status.st_gid)
    problem = f"user `{user}` may not open `{path}` (mode {stat.S_IMODE(status.st_mode):04o}, group {group})"
    if status.st_gid != 0 and status.st_mode & 0o060 == 0o060:
        if user in _members(status.st_gid):
            return problem, f"`{user}` was added to group `{group}`, but not in this session: log out and in again"
        return problem, f"sudo usermod -aG {group} {user}, then log out and in again"
    if usb_id is not None:
        return problem, (
            f"give the right by udev: echo {shlex.quote(udev_rule(usb_id))} | sudo tee -a "
            "/etc/udev/rules.d/70-edusense.rules && sudo udevadm control --reload, then plug the device in again"
        )
    return problem, f"give group `dialout` the right: sudo chgrp dialout {path} && sudo chmod 0660 {path}"


def udev_rule(usb_id: str) -> str:
    """The udev rule that lets group `dialout`, and who sits at the machine, open a USB device.

    >>> udev_rule("072f:2200")
    'SUBSYSTEM=="usb", ATTR{idVendor}=="072f", ATTR{idProduct}=="2200", MODE="0660", GROUP="dialout", TAG+="uaccess"'
    """
    vendor, _, product = usb_id.partition(":")
    return (
        f'SUBSYSTEM=="usb", ATTR{{idVendor}}=="{vendor}", ATTR{{idProduct}}=="{product}", '
        'MODE="0660", GROUP="dialout", TAG+="uaccess"'
    )


def input_rule(usb_id: str) -> str:
    """The udev rule that lets group `dialout` take a reader that poses as a keyboard.

    >>> input_rule("08ff:0009")[:60]
    'SUBSYSTEM=="input", KERNEL=="event*", ATTRS{idVendor}=="08ff'
    """
    vendor, _, product = usb_id.partition(":")
    return (
        f'SUBSYSTEM=="input", KERNEL=="event*", ATTRS{{idVendor}}=="{vendor}", ATTRS{{idProduct}}=="{product}", '
        'MODE="0660", GROUP="dialout"'
    )


def port_owner(port: int, machine: Machine = HERE) -> str:
    """Who listens on a TCP port, as the end of a sentence: `nginx (pid 4711)`.

    Args:
        port: its number.
        machine: where /proc is.
    """
    sockets = set()
    for table in ("tcp", "tcp6"):
        for line in _text(machine.proc / "net" / table).splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                sockets.add(f"socket:[{fields[9]}]")
    return _owners(sockets, machine)


def name_owner(name: str, machine: Machine = HERE) -> str:
    """Who has bound an abstract Unix socket, as the end of a sentence.

    Args:
        name: its name, without the zero byte before it.
        machine: where /proc is.
    """
    lines = (line.split() for line in _text(machine.proc / "net/unix").splitlines()[1:])
    sockets = {f"socket:[{fields[6]}]" for fields in lines if len(fields) > 7 and fields[7] == f"@{name}"}
    return _owners(sockets, machine)


def _owners(sockets: set[str], machine: Machine) -> str:
    found = []
    for process in _entries(machine.proc):
        if not process.name.isdigit():
            continue
        if any(_link(descriptor) in sockets for descriptor in _entries(process / "fd")):
            if int(process.name) == os.getpid():
                return "this program itself"
            found.append(Holder(int(process.name), _text(process / "comm") or "?"))
    return ", ".join(str(holder) for holder in found) or "a process of another user"


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def port_error(path: str, error: OSError, machine: Machine = HERE) -> DeviceError:
    """Why a serial port could not be opened, and what to do, from the system's own error.

    Args:
        path: what was to be opened.
        error: what the system said; its `errno` decides.
        machine: where to look for neighbours and holders.

    Returns:
        The error to raise.
    """
    number = error.errno
    if number in (errno.ENOENT, errno.ENODEV, errno.ENOTDIR, errno.ELOOP):
        return DeviceNotFoundError(f"there is no port `{path}`", hint=_neighbours(path, machine))
    if number in (errno.EACCES, errno.EPERM):
        problem, hint = missing_right(path) or (f"this user may not open `{path}`", "`edusense doctor` says more")
        return DevicePermissionError(problem, hint=hint)
    if number in (errno.EBUSY, errno.EAGAIN):
        return DeviceBusyError(
            f"`{path}` is held by {named_holders(path, machine)}",
            hint="stop that program, or read its cards through the running box (`edusense events --follow`)",
        )
    if number in (errno.ENOTTY, errno.EINVAL, errno.EISDIR):
        return DeviceNotFoundError(f"`{path}` is no serial port", hint=_neighbours(path, machine))
    if number in (errno.EIO, errno.ENXIO):
        return DeviceDisconnectedError(
            f"`{path}` is there, but the device behind it is gone", hint="plug it out and in again"
        )
    return DeviceError(f"`{path}` cannot be opened: {error}", hint="`edusense reader ports` shows what is there")


def _neighbours(path: str, machine: Machine) -> str:
    there = [port.by_id or port.path for port in _serial_ports(machine, [])]
    listed = near(path, there, 3) or there[:3]
    if not listed:
        return "no serial port is plugged in; `edusense reader ports` lists them as they come"
    return f"there are: {', '.join(f'`{name}`' for name in listed)}; `edusense reader ports` says more"


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _node_of(link: Path) -> str:
    return str(link.resolve())


def _usb_parent(device: Path, machine: Machine) -> Path | None:
    for folder in (device, *device.parents):
        if (folder / "idVendor").exists():
            return folder
        if folder == machine.sys:
            return None
    return None


def _usb_id(folder: Path | None) -> str | None:
    if folder is None:
        return None
    vendor, product = _text(folder / "idVendor"), _text(folder / "idProduct")
    return f"{vendor}:{product}".lower() if vendor and product else None


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _members(gid: int) -> list[str]:
    try:
        return grp.getgrgid(gid).gr_mem
    except KeyError:
        return []
