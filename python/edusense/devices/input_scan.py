"""Input devices of the kernel that may be readers: those that pose as keyboards, told from those that people type on.

Read from /sys/class/input and /dev/input; nothing is opened.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["InputNode", "input_nodes", "node_of", "typed_on_by_people"]

_INPUT: Final = Path("/sys/class/input")
_DEVICES: Final = Path("/dev/input")
_PS2: Final = "0011"
"""Bus of the keyboard port of the board itself (linux/input.h, BUS_I8042)."""
_MAKERS: Final[dict[str, str]] = {
    "03f0": "HP",
    "0458": "KYE (Genius)",
    "045e": "Microsoft",
    "046a": "Cherry",
    "046d": "Logitech",
    "04d9": "Holtek, in keyboards of many names",
    "04f2": "Chicony",
    "05ac": "Apple",
    "09da": "A4Tech",
    "0b05": "Asus",
    "1532": "Razer",
    "17ef": "Lenovo",
    "1bcf": "SiGe, in cheap keyboards",
    "258a": "SINO WEALTH, in cheap keyboards",
    "413c": "Dell",
}
"""USB vendors whose keyboards people type on, and who make no card readers that type."""
_KEY_1: Final = 1 << 2
_KEY_ENTER: Final = 1 << 28


@dataclass(frozen=True, slots=True)
class InputNode:
    """An event node of a device that can type digits.

    Args:
        path: the device node.
        usb_id: `vvvv:pppp`; None for one that is not on USB.
        name: what the device calls itself.
        people: what kind of keyboard it is that people type on; None where it may be a reader.
    """

    path: str
    usb_id: str | None
    name: str | None
    people: str | None


def input_nodes(sys: Path = _INPUT, dev: Path = _DEVICES) -> list[InputNode]:
    """Every node that can type digits and Enter, by number.

    Args:
        sys: where sysfs lists input devices.
        dev: where their nodes are.
    """
    found = []
    for entry in sorted(sys.glob("event*"), key=lambda entry: int(re.sub(r"\D", "", entry.name) or 0)):
        device = entry / "device"
        try:
            keys = int(_text(device / "capabilities/key").split()[-1], 16)
        except (ValueError, IndexError):
            continue
        # Of a reader's several nodes the one that has digits; others have only volume keys.
        if not keys & _KEY_1 or not keys & _KEY_ENTER:
            continue
        bus, vendor, product = (_text(device / "id" / part) for part in ("bustype", "vendor", "product"))
        usb_id = f"{vendor}:{product}".lower() if vendor and product and bus != _PS2 else None
        found.append(InputNode(str(dev / entry.name), usb_id, _text(device / "name") or None, _people(bus, vendor)))
    return found


def node_of(usb_id: str, sys: Path = _INPUT, dev: Path = _DEVICES) -> str | None:
    """The node of the device with a USB identity; None where none is plugged in."""
    return next((node.path for node in input_nodes(sys, dev) if node.usb_id == usb_id.lower()), None)


def typed_on_by_people(path: str, sys: Path = _INPUT) -> str | None:
    """What keeps a node from being taken for a reader: it is a keyboard that people type on; None where it may be one.

    Args:
        path: the node, or a link to it.
        sys: where sysfs lists input devices.
    """
    device = sys / Path(path).resolve().name / "device"
    return _people(_text(device / "id/bustype"), _text(device / "id/vendor"))


def _people(bus: str, vendor: str) -> str | None:
    if bus == _PS2:
        return "the keyboard of this computer"
    maker = _MAKERS.get(vendor.lower())
    return None if maker is None else f"a keyboard of {maker}"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
