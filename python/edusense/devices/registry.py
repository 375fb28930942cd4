"""Which drivers are installed, and opening a device by its address.

Drivers enter by the entry points `edusense.drivers`, ours like a stranger's. Each names a `Driver`: a declaration
that says what the driver talks to before any of its code runs. A driver that cannot be loaded is a row that says
why, never a traceback.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, Literal

from edusense.devices.address import Address
from edusense.devices.camera import Camera
from edusense.devices.reader import Reader
from edusense.errors import DriverBrokenError, DriverMissingError, EdusenseError, UsageError
from edusense.nearest import nearest, perhaps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edusense.devices.camera import CameraFound
    from edusense.devices.wire import Heard, Vector

__all__ = ["CAPABILITIES", "Driver", "DriverRow", "Model", "drivers", "find_driver", "open_camera", "open_reader"]

GROUP: Final = "edusense.drivers"
"""The group of entry points by which drivers enter."""
CAPABILITIES: Final = ("light", "sound", "apdu")
"""What a reader can have beyond reading numbers."""
_OURS: Final = "edusense-drivers"
_OUR_DRIVERS: Final = (
    "rdm6300", "ironlogic", "pn532", "keyboard", "ccid", "pcsc", "wiegand", "osdp", "scanner", "external", "onvif",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Model:
    """A device that a driver was made for: a line of the documentation's table.

    Args:
        name: maker and model, as on its label.
        works: what of it works, for people.
        checked: how that was checked: seen on the device, on published bytes, on a virtual one; what was not seen is
            said to be so.
        options: options of the address that it needs: `framing=bare`.
        usb_id: `vvvv:pppp` where the model has its own; None where a chip of many things carries it.
        cards: the technologies that this model reads; empty for all of its driver's.
    """

    name: str
    works: str = "what its driver does"
    checked: str = "not said"
    options: str = ""
    usb_id: str | None = None
    cards: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver's declaration. One of them feeds the registry, `reader ports`, `reader identify`, `edusense doctor`, the
    udev rules and the documentation's table.

    Args:
        name: what stands before the colon in an address; also the name of the entry point.
        kind: what `open` gives: a `Reader`, or a camera.
        summary: one line for people: which devices, by what protocol.
        address: how addresses look, for people: `rdm6300:PORT?baud=9600`.
        usb_ids: `vvvv:pppp` in lower-case hex of USB devices it may be behind; a chip shared by many things is
            allowed here.
        usb_class: class of the USB interfaces it talks to (0x0B for CCID), or None.
        serial: whether its target is a serial port.
        baud: bits a second that its serial devices leave the factory with; None without a serial port.
        input: whether its target is an input device of the kernel: it poses as a keyboard.
        product: a regular expression that a USB device's own name fits, where chip and number tell nothing.
        carrier: how it is plugged in, for people: `serial port`, `USB`, `RS-485`.
        cards: the technologies that it reads, as in `TECHNOLOGIES`.
        can: what it can beyond reading numbers: `light`, `sound`, `apdu`.
        extra: the extra of the distribution that it needs (`pip install 'edusense-drivers[osdp]'`); empty for none.
        options: options in addresses, each with a line of help; others are refused by name.
        models: devices it was made for, for the table in the documentation; a text is a `Model` of that name.
        open: takes the Address and what the caller gives by keyword, returns the open device, raises `DeviceError`s.
        discover: takes `timeout_s` and `interfaces` by keyword, returns a `CameraFound` for each device that answers a
            search of the network; None where there is nothing to search by.
        dialects: what it makes of bytes that a device said by itself, by the options of the address that choose this
            dialect (`framing=bare`; none: the usual one).
        asks: whether its serial device answers when it is opened, and says nothing by itself before.
        probe: takes the path of a serial port and asks whether its device is there; the options of the address by which
            it answers (`address=5`; empty: the usual ones), None where nobody does. Without it, opening is asking.
        give_key: takes the Address of a device that has its maker's key and gives it the one that the address names;
            None where there are no keys.
        vectors: frames that others published, to hold the driver against.
    """

    name: str
    kind: Literal["reader", "camera"]
    summary: str
    address: str
    open: Callable[..., Any]
    usb_ids: tuple[str, ...] = ()
    usb_class: int | None = None
    serial: bool = False
    baud: int | None = None
    input: bool = False
    product: str | None = None
    carrier: str = ""
    cards: tuple[str, ...] = ()
    can: tuple[str, ...] = ()
    extra: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str | Model, ...] = ()
    discover: Callable[..., list[CameraFound]] | None = None
    dialects: Mapping[str, Callable[[bytes], Heard]] = field(default_factory=dict)
    asks: bool = False
    probe: Callable[[str], str | None] | None = None
    give_key: Callable[[Address], None] | None = None
    vectors: tuple[Vector, ...] = ()

    def __post_init__(self) -> None:
        if unknown := set(self.can) - set(CAPABILITIES):
            raise ValueError(f"a driver cannot `{min(unknown)}`; it can {', '.join(CAPABILITIES)}")

    @property
    def described_models(self) -> tuple[Model, ...]:
        """Its models, each with what works and how that was checked."""
        return tuple(Model(model) if isinstance(model, str) else model for model in self.models)


@dataclass(frozen=True, slots=True)
class DriverRow:
    """One installed driver, or what keeps it from working.

    Args:
        name: name of the entry point.
        distribution: the package that brings it.
        driver: its declaration; None where it is broken.
        problem: why it is broken; None where it is not.
    """

    name: str
    distribution: str
    driver: Driver | None = None
    problem: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The row as `reader list --json` prints it."""
        found = self.driver
        return {
            "driver": self.name,
            "kind": found.kind if found else None,
            "summary": found.summary if found else None,
            "address": found.address if found else None,
            "usb_ids": list(found.usb_ids) if found else [],
            "options": dict(found.options) if found else {},
            "distribution": self.distribution,
            "problem": self.problem,
        }


def drivers(kind: Literal["reader", "camera"] | None = None) -> list[DriverRow]:
    """Every installed driver, by name; broken ones with their problem.

    Args:
        kind: only these (broken ones are always there: nobody knows their kind).
    """
    # Of several with one name the first that works is used: a broken package must not hide a good one.
    loaded = sorted(
        _loaded(),
        key=lambda row: (row.name, row.problem is not None),
    )
    found: list[DriverRow] = []
    for row in loaded:
        used = next((other for other in found if other.name == row.name), None)
        if used is not None and row.problem is None:
            found.append(DriverRow(row.name, row.distribution, problem=f"the name is taken by {used.distribution}"))
        else:
            found.append(row)
    return [row for row in found if kind is None or row.driver is None or row.driver.kind == kind]


_read: tuple[Any, tuple[DriverRow, ...]] = (None, ())


def _loaded() -> tuple[DriverRow, ...]:
    """What the entry points of drivers declare; read again only where something was installed or taken away since.

    A fleet opens thousands of cameras, and reading what every installed package declares costs as much as four of a
    camera's answers.
    """
    global _read  # one assignment, of a whole: threads see the old or the new
    now = (metadata.entry_points, tuple((path, _changed_at(path)) for path in sys.path))
    known, rows = _read
    if known != now:
        rows = tuple(_load(point) for point in metadata.entry_points(group=GROUP))
        _read = (now, rows)
    return rows


def _changed_at(path: str) -> int:
    try:
        return os.stat(path or ".").st_mtime_ns  # noqa: PTH116 - a path object would cost more than the question
    except OSError:
        return 0


def _load(point: metadata.EntryPoint) -> DriverRow:
    distribution = point.dist.name if point.dist is not None else "?"
    try:
        declared = point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- a stranger's package: anything may happen
        return DriverRow(point.name, distribution, problem=f"{type(error).__name__}: {error}")
    if not isinstance(declared, Driver):
        problem = f"`{point.value}` is a {type(declared).__name__}, not an `edusense.devices.Driver`"
        return DriverRow(point.name, distribution, problem=problem)
    if declared.name != point.name:
        return DriverRow(point.name, distribution, problem=f"it declares the name `{declared.name}`")
    return DriverRow(point.name, distribution, driver=declared)


def find_driver(name: str) -> Driver:
    """The driver of that name.

    Raises:
        DriverMissingError: none has it; the hint says which to install or what was meant.
        DriverBrokenError: it is there and cannot be loaded.
    """
    rows = drivers()
    for row in rows:
        if row.name == name:
            if row.driver is None:
                raise DriverBrokenError(
                    f"the driver `{name}` of the package `{row.distribution}` cannot be loaded: {row.problem}",
                    hint=f"reinstall or update `{row.distribution}`, or report this to its author",
                )
            return row.driver
    names = [row.name for row in rows]
    if not any(row.distribution == _OURS for row in rows) and (nearest(name, _OUR_DRIVERS) or not names):
        raise DriverMissingError(
            f"no driver `{name}` is installed",
            hint="the drivers are a package of their own: pip install edusense-drivers",
        )
    guess = perhaps(name, names)
    meant = "" if guess is None else f"{guess}; "
    raise DriverMissingError(f"no driver `{name}` is installed", hint=f"{meant}installed: {', '.join(names) or 'none'}")


def open_reader(address: str, **settings: Any) -> Reader:
    """Opens a card reader.

    Args:
        address: `driver:target?key=value`, such as `rdm6300:/dev/serial/by-id/usb-…`, `ccid:` or `ccid:072f:2200`.
        settings: what the driver takes by keyword beyond its address.

    Returns:
        The open session; close it, or use it in a `with`.

    Raises:
        UsageError: the address cannot be read, or is a camera's.
        DriverMissingError: there is no such driver.
        DeviceNotFoundError: there is no such port or device.
        DevicePermissionError: this user may not open it; the hint says which group or rule is missing.
        DeviceBusyError: another process holds it; the message says which.
    """
    opened = _open("reader", address, settings)
    if not isinstance(opened, Reader):
        raise DriverBrokenError(
            f"the driver of `{address}` opened a {type(opened).__name__}, not an `edusense.devices.Reader`",
            hint="report this to the driver's author",
        )
    return opened


def open_camera(address: str, **settings: Any) -> Camera:
    """Opens a camera.

    Args:
        address: `driver:target`, such as `onvif:http://10.20.0.51/onvif/device_service`.
        settings: what the driver takes by keyword: `user`, `password`, `timeout_s`.

    Returns:
        The camera; close it, or use it in a `with`.

    Raises:
        UsageError: the address cannot be read, or is a reader's.
        DriverMissingError: there is no such driver.
        DeviceError: the camera cannot be reached or refused.
    """
    opened = _open("camera", address, settings)
    if not isinstance(opened, Camera):
        raise DriverBrokenError(
            f"the driver of `{address}` opened a {type(opened).__name__}, not an `edusense.devices.camera.Camera`",
            hint="report this to the driver's author",
        )
    return opened


def _open(kind: Literal["reader", "camera"], text: str, settings: dict[str, Any]) -> Any:
    address = Address(text)
    driver = find_driver(address.driver)
    if driver.kind != kind:
        raise UsageError(f"`{address}` is a {driver.kind}, not a {kind}", hint=f"open it with `open_{driver.kind}`")
    for key in address.options:
        if key not in driver.options:
            known = ", ".join(sorted(driver.options)) or "none"
            raise UsageError(
                f"`{address}`: the driver `{driver.name}` has no option `{key}`",
                hint=perhaps(key, driver.options) or f"its options: {known}",
            )
    try:
        return driver.open(address, **settings)
    except EdusenseError:
        raise
    except Exception as error:
        raise DriverBrokenError(
            f"the driver `{driver.name}` failed to open `{address}`: {type(error).__name__}: {error}",
            hint="a bug of the driver: report it to its author",
        ) from error
