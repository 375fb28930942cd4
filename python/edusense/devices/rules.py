"""The udev rules that the installed drivers need, written from their declarations: nobody lists a device twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edusense.devices.port_scan import input_rule, udev_rule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edusense.devices.registry import Driver

__all__ = ["NAME", "rules_text"]

NAME: Final = "70-edusense.rules"
"""Between 50, where ID_USB_INTERFACES is set, and 73, where the tag uaccess is acted upon."""
_HEAD: Final = f"""\
# Card readers for the group dialout, so that the box reads them without root. Written from what the drivers declare
# (`edusense reader rules`, which also knows drivers of other packages); install:
#   sudo install -m 0644 {NAME} /etc/udev/rules.d/ && sudo udevadm control --reload && sudo udevadm trigger
# The number stays between 50 (where ID_USB_INTERFACES is set) and 73 (where the tag uaccess is acted upon).
"""


def rules_text(declared: Iterable[Driver]) -> str:
    """The rules as a file.

    Args:
        declared: the drivers; those of readers count.
    """
    readers = [driver for driver in declared if driver.kind == "reader"]
    parts = [_HEAD, *_classes(readers), *_usb(readers), *_inputs(readers), *_serial(readers)]
    return "\n".join(parts).rstrip() + "\n"


def _classes(readers: list[Driver]) -> list[str]:
    lines = []
    for number in sorted({driver.usb_class for driver in readers if driver.usb_class is not None}):
        names = ", ".join(driver.name for driver in readers if driver.usb_class == number)
        lines += [
            f"# Every USB device with an interface of class 0x{number:02X}, whoever made it: {names}.",
            f'SUBSYSTEM=="usb", ENV{{DEVTYPE}}=="usb_device", ENV{{ID_USB_INTERFACES}}=="*:{number:02x}*", '
            'MODE="0660", GROUP="dialout", TAG+="uaccess"',
            "",
        ]
    return lines


def _usb(readers: list[Driver]) -> list[str]:
    lines = []
    for driver in readers:
        if driver.serial or driver.input:
            continue
        for usb_id in driver.usb_ids:
            lines += [f"# {_called(driver, usb_id)}", udev_rule(usb_id)]
    return [*lines, ""] if lines else []


def _inputs(readers: list[Driver]) -> list[str]:
    lines = []
    for usb_id, driver in _first((driver for driver in readers if driver.input), chips=_chips(readers)).items():
        lines += [f"# {_called(driver, usb_id)}", input_rule(usb_id)]
    return ["# Devices that pose as keyboards: the box takes them from the desktop.", *lines, ""] if lines else []


def _serial(readers: list[Driver]) -> list[str]:
    lines = [
        'SUBSYSTEM=="tty", SUBSYSTEMS=="usb", '
        f'ATTRS{{idVendor}}=="{usb_id[:4]}", ATTRS{{idProduct}}=="{usb_id[5:]}", ENV{{ID_MM_PORT_IGNORE}}="1"'
        for usb_id in _first((driver for driver in readers if driver.serial), chips=set())
    ]
    if not lines:
        return []
    return [
        "# Serial readers belong to dialout already. ModemManager opens every new serial port and speaks to it as to a",
        "# modem: not to these chips.",
        *lines,
        "",
    ]


def _chips(readers: list[Driver]) -> set[str]:
    """What makes a serial port and nothing else: what drivers declare that take no input devices."""
    return {usb_id for driver in readers if driver.serial and not driver.input for usb_id in driver.usb_ids}


def _first(readers: Iterable[Driver], *, chips: set[str]) -> dict[str, Driver]:
    """Each USB identity once, with the first driver that declares it."""
    found: dict[str, Driver] = {}
    for driver in readers:
        for usb_id in driver.usb_ids:
            if usb_id not in chips:
                found.setdefault(usb_id, driver)
    return found


def _called(driver: Driver, usb_id: str) -> str:
    return next((model.name for model in driver.described_models if model.usb_id == usb_id), f"driver {driver.name}")
