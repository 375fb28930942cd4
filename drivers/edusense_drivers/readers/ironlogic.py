"""IronLogic's readers: lines of text over a USB serial port, 9600 baud; a card when it comes, "No card" when it goes.

Address: `ironlogic:PORT?baud=9600&silence=0.3&uid=rotated`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edusense.devices.pump import PumpedReader
from edusense.devices.registry import Driver, Model
from edusense.devices.wire import Vector
from edusense.errors import UsageError
from edusense_drivers.readers.ironlogic_lines import Decoder
from edusense_drivers.readers.serial_port import SerialPort
from edusense_drivers.readers.stream_source import (
    BAUD_HELP,
    SILENCE_HELP,
    USB_SERIAL_CHIPS,
    StreamSource,
    hearing,
    port_settings,
)

if TYPE_CHECKING:
    from edusense.devices.address import Address

__all__ = ["DRIVER"]

_ORDERS: Final = ("rotated", "wire")


def _open(address: Address) -> PumpedReader:
    path, baud, silence_s = port_settings(address)
    order = address.options.get("uid", "rotated")
    if order not in _ORDERS:
        raise UsageError(f"`{address}`: `uid` is `{order}`", hint="`rotated` as all known firmware has it, or `wire`")
    decoder = Decoder(rotated=order == "rotated")
    return PumpedReader(address, StreamSource(SerialPort(path, baud), decoder, silence_s=silence_s, baud=baud))


_CAPTURED: Final = (
    ("Em-Marine[5500] 126,58404", "em4100:55007EE424"),
    ("Em-Marine[1700] 009,22847", "em4100:170009593F"),
    ("Em-Marine[2C00] 082,12941", "em4100:2C0052328D"),
    ("Mifare[77242CF0]  (0004,88) 044,09335", "iso14443a:77242CF0"),
    ("Mifare[BCD14264] 1K (0004,08) 066,53692", "iso14443a:BCD14264"),
    ("Mifare[24548AAC] 1K (0004,08) 138,21540", "iso14443a:24548AAC"),
    ("Mifare[9DCB4340] 1K (0004,08) 067,52125", "iso14443a:9DCB4340"),
    ("Mifare[3AAC2280045646]  (0142,20) 004,22086", "iso14443a:0456463AAC2280"),
    ("Mifare[FA592F830412E6] UL (0144,00) 004,04838", "iso14443a:0412E6FA592F83"),
    ("Mifare[124A2D80042C27] DF (0144,20) 004,11303", "iso14443a:042C27124A2D80"),
    ("Mifare[81895266340051] UL (0144,00) 052,00081", "iso14443a:34005181895266"),
    ("19997 Mifare[62D22F80041B4B]  (0144,08) 004,06987", "iso14443a:041B4B62D22F80"),
)

DRIVER = Driver(
    name="ironlogic",
    kind="reader",
    summary="125 kHz and 13.56 MHz cards as lines of text: IronLogic Z-2 and Matrix-III",
    address="ironlogic:PORT?baud=9600&silence=0.3&uid=rotated",
    open=_open,
    usb_ids=USB_SERIAL_CHIPS,
    serial=True,
    baud=9600,
    product=r"Iron ?Logic|Z-2|Matrix-III",
    carrier="USB, which makes a serial port",
    cards=("em4100", "iso14443a"),
    options={
        "baud": BAUD_HELP.format("every model", 9600),
        "silence": SILENCE_HELP,
        "uid": "order of 7-byte UIDs in the brackets: `rotated` (first three bytes last), or `wire`",
    },
    dialects={"": hearing(Decoder)},
    vectors=tuple(Vector("a public program's capture", f"{line}\r\n".encode(), card) for line, card in _CAPTURED),
    models=tuple(
        Model(
            name,
            works="whole numbers of EM4100 tags and UIDs of MIFARE cards; HID and Temic under kinds of their own",
            checked="lines that two public programs captured; virtual reader on a pseudo-terminal",
        )
        for name in ("IronLogic Z-2 USB", "IronLogic Z-2 Base", "IronLogic Matrix-III RD-ALL")
    ),
)
