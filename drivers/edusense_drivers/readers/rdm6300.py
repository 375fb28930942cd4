"""125 kHz readers over a serial line that only ever speaks, 9600 baud: RDM6300, ID-LA, EM-18, and binary desk readers.

Address: `rdm6300:PORT?framing=stx&baud=9600&silence=0.3`. PORT may be a pseudo-terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edusense.devices.pump import PumpedReader
from edusense.devices.registry import Driver, Model
from edusense.devices.wire import Vector
from edusense.errors import UsageError
from edusense_drivers.readers import em4100_bare, em4100_binary, em4100_frames
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
    from edusense_drivers.readers.frames import StreamDecoder

__all__ = ["DRIVER"]

FRAMINGS: Final = ("stx", "bare", "binary")


def _decoder(address: Address) -> StreamDecoder:
    framing = address.options.get("framing", "stx")
    if "gap" in address.options and framing != "bare":
        raise UsageError(f"`{address}`: `gap` goes with framing=bare", hint="other framings have a start byte")
    match framing:
        case "stx":
            return em4100_frames.Decoder()
        case "bare":
            return em4100_bare.Decoder(address.number("gap", em4100_bare.GAP_S, low=0.02, high=2.0))
        case "binary":
            return em4100_binary.Decoder()
    raise UsageError(f"`{address}`: no framing `{framing}`", hint=f"one of {', '.join(FRAMINGS)}")


def _open(address: Address) -> PumpedReader:
    path, baud, silence_s = port_settings(address)
    decoder = _decoder(address)
    return PumpedReader(address, StreamSource(SerialPort(path, baud), decoder, silence_s=silence_s, baud=baud))


_TAGS: Final = ("em4100",)
_WHOLE: Final = "whole numbers of EM4100 tags"
_VIRTUAL: Final = "virtual reader on a pseudo-terminal"

DRIVER = Driver(
    name="rdm6300",
    kind="reader",
    summary="125 kHz EM4100 tags over a serial line: RDM6300, ID-LA, EM-18, binary desk readers",
    address="rdm6300:PORT?framing=stx&baud=9600&silence=0.3",
    open=_open,
    usb_ids=USB_SERIAL_CHIPS,
    serial=True,
    baud=9600,
    carrier="serial port",
    cards=("em4100", "iso14443a"),
    options={
        "framing": "`stx` (RDM6300, ID-LA), `bare` (EM-18: digits alone), `binary` (desk readers: 02 length … 03)",
        "gap": "with framing=bare: seconds of silence between two numbers (0.02 to 2); usually 0.03",
        "baud": BAUD_HELP.format("every module", 9600),
        "silence": SILENCE_HELP,
    },
    dialects={
        "": hearing(em4100_frames.Decoder),
        "framing=bare": hearing(em4100_bare.Decoder),
        "framing=binary": hearing(em4100_binary.Decoder),
    },
    vectors=(
        Vector("forum.arduino.cc t/251993, number printed on the tag", b"\x02010063E9AE25\x03", "em4100:010063E9AE"),
        Vector("StackOverflow 11848921, number printed on the tag", b"\x023C00CE754CCB\x03", "em4100:3C00CE754C"),
        Vector("ID-LA series data sheet p. 4", b"\x020C000621A58E\r\n\x03", "em4100:0C000621A5"),
        Vector("electrothing.co.za", b"\x02307E4DE5C224\x03", "em4100:307E4DE5C2"),
        Vector("Seeed 113020002 data sheet p. 3", b"\x0262E3086CED08\x03", "em4100:62E3086CED"),
        Vector(
            "EM-18 sheet of cparkb2c.in, number printed on the tag",
            b"4500C5D1E9B8",
            "em4100:4500C5D1E9",
            "framing=bare",
        ),
        Vector(
            "newegg, binary reader, number printed on the card",
            bytes.fromhex("020A0206008E6D5DB003"),
            "em4100:06008E6D5D",
            "framing=binary",
        ),
        Vector("ID-LA data sheet's text, which names a wrong check byte", b"\x020C000621A56E\r\n\x03", None),
        Vector("hobbycomponents.com: digits changed, check byte not", b"\x02100026F44426\x03", None),
    ),
    models=(
        Model("RDM6300", works=_WHOLE, checked=f"published frames of tags whose print agrees; {_VIRTUAL}", cards=_TAGS),
        Model("Seeed 113020002", works=_WHOLE, checked=f"frame of the data sheet; {_VIRTUAL}", cards=_TAGS),
        *(
            Model(name, works=_WHOLE, checked=f"frame of the data sheet; {_VIRTUAL}", cards=_TAGS)
            for name in ("ID-2LA", "ID-12LA", "ID-20LA")
        ),
        Model(
            "EM-18",
            works=_WHOLE,
            checked=f"number of a seller's sheet and of the tag's print; {_VIRTUAL}",
            options="framing=bare",
            cards=_TAGS,
        ),
        Model(
            "125 kHz desk reader, binary",
            works="whole numbers of EM4100 tags, and UIDs of MIFARE cards where it reads them",
            checked=f"packet of a seller's page and of the card's print; {_VIRTUAL}",
            options="framing=binary",
        ),
    ),
)
