"""Readers that pose as a keyboard and type the card's number, held so that nothing of it reaches the screen.

Addresses: `keyboard:/dev/input/by-id/…-event-kbd`, `keyboard:08ff:0009` (by USB identity), `keyboard:sim:SOCKET` (a
virtual one); `?layout=digits&gap=0.05&silence=0.3`.

A keyboard proves nothing: anybody can plug in another and type a number. Cards from here are of assurance `printed`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edusense.devices.pump import PumpedReader
from edusense.devices.registry import Driver, Model
from edusense.errors import UsageError
from edusense_drivers.readers.keyboard_device import open_keyboard
from edusense_drivers.readers.keyboard_keys import CARDS, KEY_GAP_S, LAYOUTS, Decoder
from edusense_drivers.readers.keyboard_typing import KEYS
from edusense_drivers.readers.stream_source import SILENCE_HELP, StreamSource, hearing

if TYPE_CHECKING:
    from edusense.devices.address import Address

__all__ = ["DRIVER"]

_CHOICES: Final = {"layout": tuple(LAYOUTS), "keys": tuple(KEYS), "cards": CARDS, "sure": ("no", "yes")}


class _Typed(StreamSource):
    """Numbers that were typed: their cards prove no more than print does."""

    assurance = "printed"


def _open(address: Address) -> PumpedReader:
    told = {name: address.options.get(name, choices[0]) for name, choices in _CHOICES.items()}
    for name, value in told.items():
        if value not in _CHOICES[name]:
            raise UsageError(f"`{address}`: no {name} `{value}`", hint=f"one of {', '.join(_CHOICES[name])}")
    gap_s = address.number("gap", KEY_GAP_S, low=0.01, high=0.5)
    silence_s = address.number("silence", 0.3, low=0.3, high=60.0)
    decoder = Decoder(
        told["layout"],
        gap_s=gap_s,
        keys=told["keys"],
        cards=told["cards"],
        prefix=address.options.get("prefix", ""),
        suffix=address.options.get("suffix", ""),
    )
    return PumpedReader(address, _Typed(open_keyboard(address), decoder, silence_s=silence_s))


_CHECKED: Final = (
    "its way of typing as published; virtual keyboard by a socket, and as an event node that evtest and python-evdev "
    "read as well"
)

DRIVER = Driver(
    name="keyboard",
    kind="reader",
    summary="readers that pose as a keyboard and type the card's number",
    address="keyboard:NODE · keyboard:VVVV:PPPP · keyboard:sim:SOCKET",
    open=_open,
    usb_ids=("08ff:0009", "ffff:0035"),
    input=True,
    carrier="USB, as a keyboard",
    cards=("em4100", "iso14443a"),
    options={
        "layout": "; ".join(f"`{name}`: {told}" for name, told in LAYOUTS.items()),
        "cards": "what the digits are: `em4100`, or the UID of four bytes as `iso14443a` or `iso14443a-reversed`",
        "prefix": "what the reader types before each number",
        "suffix": "what it types behind each number, before Enter",
        "keys": f"which country's keys it was set to type: {', '.join(KEYS)}",
        "gap": "seconds between two keys of one number at most (0.01 to 0.5); usually 0.05",
        "silence": SILENCE_HELP,
        "sure": "`yes` takes a keyboard that looks like one that people type on",
    },
    dialects={
        "layout=8h10d": hearing(lambda: Decoder("8h10d")),
        "": hearing(Decoder),
        "layout=facility": hearing(lambda: Decoder("facility")),
        "layout=hex": hearing(lambda: Decoder("hex")),
    },
    models=(
        Model("Sycreader USB", works="what it is set to type", checked=_CHECKED, usb_id="08ff:0009"),
        Model("Sycreader ID&IC USB", works="what it is set to type", checked=_CHECKED, usb_id="ffff:0035"),
        Model("other readers that type", works="ten digits, 8H, 8H10D, 3D5D, hex in both orders", checked=_CHECKED),
    ),
)
