"""Scanners of bar codes and QR codes: on a serial line, or posing as a keyboard. What stands in the code is a text.

Addresses: `scanner:PORT?baud=9600&silence=1`, `scanner:/dev/input/by-id/…-event-kbd`, `scanner:sim:SOCKET`.

A text is no card and proves nothing: a terminal asks the token check what it is worth, which refuses what it does not
know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edusense.devices.pump import PumpedReader
from edusense.devices.registry import Driver, Model
from edusense.devices.wire import Vector
from edusense_drivers.readers.keyboard_device import is_keyboard, open_keyboard
from edusense_drivers.readers.keyboard_text import TextDecoder
from edusense_drivers.readers.scanner_lines import Decoder
from edusense_drivers.readers.serial_port import SerialPort
from edusense_drivers.readers.stream_source import (
    BAUD_HELP,
    USB_SERIAL_CHIPS,
    StreamSource,
    hearing,
    port_settings,
)

if TYPE_CHECKING:
    from edusense.devices.address import Address

__all__ = ["DRIVER"]

_AGAIN_S: Final = 1.0
"""Seconds after which the same code counts again: a scanner reads a sheet that is held before it many times a second.
"""


class _Scanned(StreamSource):
    """Texts that were scanned: anybody can print one."""

    assurance = "printed"


def _open(address: Address) -> PumpedReader:
    silence_s = address.number("silence", _AGAIN_S, low=0.3, high=60.0)
    if is_keyboard(address.target):
        gap_s = address.number("gap", 0.1, low=0.01, high=0.5)
        return PumpedReader(address, _Scanned(open_keyboard(address), TextDecoder(gap_s=gap_s), silence_s=silence_s))
    path, baud, _ = port_settings(address)
    return PumpedReader(address, _Scanned(SerialPort(path, baud), Decoder(), silence_s=silence_s, baud=baud))


_WORKS: Final = "codes of up to 512 printable ASCII characters"
_CHECKED: Final = "virtual scanner on a pseudo-terminal and as a keyboard"

DRIVER = Driver(
    name="scanner",
    kind="reader",
    summary="scanners of bar codes and QR codes, on a serial port or as a keyboard: the text goes to the token check",
    address="scanner:PORT?baud=9600 · scanner:/dev/input/by-id/…-event-kbd · scanner:sim:SOCKET",
    open=_open,
    usb_ids=(*USB_SERIAL_CHIPS, "0c2e:0b61", "05e0:1200"),
    serial=True,
    input=True,
    baud=9600,
    carrier="serial port, USB as a serial port, or USB as a keyboard",
    cards=("token",),
    options={
        "baud": BAUD_HELP.format("most scanners", 9600),
        "gap": "as a keyboard: seconds between two keys of one text at most (0.01 to 0.5); usually 0.1",
        "silence": "seconds after which the same code counts again (0.3 to 60); usually 1",
    },
    dialects={"": hearing(Decoder)},
    vectors=(
        Vector("a text with CR LF, as scanners leave the factory", b"EW-2026-000017\r\n", "token:EW-2026-000017"),
        Vector("ISO/IEC 15424: QR code, its kind told before it", b"]Q1EW-2026-000017\r", "token:EW-2026-000017"),
    ),
    models=(
        *(
            Model(name, works=_WORKS, checked=f"not seen; {_CHECKED}", usb_id=usb_id)
            for name, usb_id in (("Honeywell Voyager 1450g", "0c2e:0b61"), ("Zebra (Symbol) LS2208", "05e0:1200"))
        ),
        Model(
            "1D and 2D scanners that send text and a line end",
            works=_WORKS,
            checked=_CHECKED,
        ),
    ),
)
