"""Readers on a Wiegand line, through a converter that makes a serial line of it: turnstiles and readers of old systems.

Address: `wiegand:PORT?form=hex&width=26&cards=any&baud=9600&silence=0.3`.

A line of 26 bits carries 24 bits of a card's number. That is no key of its own: facility codes are not unique, and
several cards may end so. Cards from here are found by the end of an EM4100 number, where only one pupil's ends so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edusense.devices.card import Card
from edusense.devices.pump import PumpedReader
from edusense.devices.registry import Driver, Model
from edusense.devices.wiegand import WIDTHS
from edusense.devices.wire import Vector
from edusense.errors import UsageError
from edusense_drivers.readers.serial_port import SerialPort
from edusense_drivers.readers.stream_source import (
    BAUD_HELP,
    SILENCE_HELP,
    USB_SERIAL_CHIPS,
    StreamSource,
    hearing,
    port_settings,
)
from edusense_drivers.readers.wiegand_cards import CARDS_HELP, ORDER_HELP, check_options, identity
from edusense_drivers.readers.wiegand_lines import FORMS, Decoder

if TYPE_CHECKING:
    from edusense.devices.address import Address
    from edusense_drivers.readers.frames import Frame
    from edusense_drivers.readers.stream_source import Port

__all__ = ["DRIVER", "decoder_settings"]


class _WiegandSource(StreamSource):
    """Cards out of a converter's lines.

    Args:
        port: where the bytes come from.
        decoder: what cuts them into frames.
        cards: what the reader at the other end reads.
        order: of the bytes of a UID.
        silence_s: as in `StreamSource`.
        baud: as in `StreamSource`.
    """

    def __init__(self, port: Port, decoder: Decoder, cards: str, order: str, *, silence_s: float, baud: int) -> None:
        super().__init__(port, decoder, silence_s=silence_s, baud=baud)
        self._cards, self._order = cards, order

    def _card(self, event: Frame) -> Card:
        technology, uid = identity(event.technology, event.uid, self._cards, self._order)
        return Card(technology, uid, assurance=self.assurance, raw=event.raw, at=self._tally.clock.now())


def decoder_settings(address: Address) -> tuple[int | None, str]:
    """Width and form of a converter's lines, as an address tells them.

    Raises:
        UsageError: there is no such form or width.
    """
    form = address.options.get("form", "hex")
    if form not in FORMS:
        raise UsageError(f"`{address}`: `form` is `{form}`", hint=f"one of {', '.join(FORMS)}")
    text = address.options.get("width", "26" if form == "decimal" else "")
    if text and (not text.isdecimal() or int(text) not in WIDTHS):
        raise UsageError(f"`{address}`: `width` is `{text}`", hint=f"one of {', '.join(map(str, WIDTHS))}")
    return int(text) if text else None, form


def _open(address: Address) -> PumpedReader:
    path, baud, silence_s = port_settings(address)
    width, form = decoder_settings(address)
    cards, order = check_options(address)
    if cards == "iso14443a" and width not in (None, 34):
        raise UsageError(f"`{address}`: {width} bits are no UID", hint="cards=iso14443a goes with width=34")
    source = _WiegandSource(SerialPort(path, baud), Decoder(width, form), cards, order, silence_s=silence_s, baud=baud)
    return PumpedReader(address, source)


_VIRTUAL: Final = "virtual reader on a pseudo-terminal"

DRIVER = Driver(
    name="wiegand",
    kind="reader",
    summary="readers on a Wiegand line of 26, 34 or 37 bits, through a converter to a serial port",
    address="wiegand:PORT?form=hex&width=26&cards=any&baud=9600",
    open=_open,
    usb_ids=USB_SERIAL_CHIPS,
    serial=True,
    baud=9600,
    carrier="serial port of a converter",
    cards=("wiegand26", "wiegand34", "wiegand37"),
    options={
        "form": "how the converter writes: `hex` (the data), `frame` (with parity), `bits` (ones and zeros), `decimal`",
        "width": "bits of a frame: 26, 34 or 37; what the length of a line tells where it is not given",
        "cards": CARDS_HELP,
        "order": ORDER_HELP,
        "baud": BAUD_HELP.format("most converters", 9600),
        "silence": SILENCE_HELP,
    },
    dialects={
        "form=bits": hearing(lambda: Decoder(form="bits")),
        "form=frame": hearing(lambda: Decoder(form="frame")),
        "": hearing(Decoder),
    },
    vectors=(
        Vector("r/AskElectronics: facility 13, card 13067", b"21A6616\r\n", "wiegand26:013,13067", "form=frame"),
        Vector("the same as it stands there", b"10000110100110011000010110\r\n", "wiegand26:013,13067", "form=bits"),
        Vector("the same with its last bit turned", b"10000110100110011000010111\r\n", None, "form=bits"),
        Vector("126,58404 of 26 bits", b"2FDC848\r\n", "wiegand26:126,58404", "form=frame"),
        Vector("0063E9AE of 34 bits", b"000C7D35D\r\n", "wiegand34:0063E9AE", "form=frame"),
        Vector("Priority 1 Design WIE232-A: six digits and CR", b"63E9AE\r", "wiegand26:63E9AE"),
    ),
    models=(
        Model(
            "Priority 1 Design WIE232-A, WG2RS232",
            works="24, 32 or 35 data bits; the converter looks at the parity",
            checked=f"its data sheet; {_VIRTUAL}",
        ),
        Model(
            "S4A Wiegand converters",
            works="24 data bits as a decimal number (width=34: 32 bits)",
            checked=f"its manual; {_VIRTUAL}",
            options="form=decimal",
        ),
        Model(
            "microcontrollers that print ones and zeros",
            works="frames of 26, 34 and 37 bits, their parity looked at",
            checked=f"published frames; {_VIRTUAL}",
            options="form=bits",
        ),
    ),
)
