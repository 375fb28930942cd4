"""Terminals that are there already and know people by themselves, a palm reader for instance: they hand a number over.

Addresses: `external:tcp:HOST:PORT`, `external:http:HOST:PORT`, `external:wiegand:PORT?form=hex&width=26`;
`?numbers=person&allow=10.20.0.0/24&key=file:PATH`.

Only the number is taken. A template, a picture, a score: nothing biometric is ever kept, traced or logged.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edusense.devices.card import Card
from edusense.devices.pump import PumpedReader
from edusense.devices.registry import Driver, Model
from edusense.errors import UsageError
from edusense.site.secrets import resolve
from edusense_drivers.readers.external_net import HttpLine, TcpLine
from edusense_drivers.readers.external_numbers import FIELDS
from edusense_drivers.readers.external_source import ExternalSource
from edusense_drivers.readers.serial_port import SerialPort
from edusense_drivers.readers.stream_source import StreamSource, port_settings
from edusense_drivers.readers.wiegand import decoder_settings
from edusense_drivers.readers.wiegand_lines import Decoder

if TYPE_CHECKING:
    from edusense.devices.address import Address
    from edusense_drivers.readers.external_net import Network
    from edusense_drivers.readers.frames import Frame

__all__ = ["DRIVER"]

_NUMBERS: Final = ("person", "pupil")
_LOOPBACK: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


class _NumbersOfAWire(StreamSource):
    """Numbers of people out of a Wiegand line."""

    assurance = "printed"
    kind = "person"

    def _card(self, event: Frame) -> Card:
        number = str(int.from_bytes(event.uid, "big")).encode()
        return Card(self.kind, number, assurance=self.assurance, raw=event.raw, at=self._tally.clock.now())


def _open(address: Address) -> PumpedReader:
    scheme, _, rest = address.target.partition(":")
    numbers = address.options.get("numbers", "person")
    if numbers not in _NUMBERS:
        raise UsageError(f"`{address}`: `numbers` is `{numbers}`", hint=f"one of {', '.join(_NUMBERS)}")
    silence_s = address.number("silence", 1.0, low=0.3, high=60.0)
    if scheme == "wiegand":
        path, baud, _ = port_settings(address.with_target(rest))
        width, form = decoder_settings(address)
        source = _NumbersOfAWire(SerialPort(path, baud), Decoder(width, form), silence_s=silence_s, baud=baud)
        source.kind = numbers
        return PumpedReader(address, source)
    host, colon, text = rest.rpartition(":")
    if scheme not in ("tcp", "http") or not colon or not host or not text.isdecimal() or int(text) > 65_535:
        raise UsageError(
            f"`{address}` says not how numbers are handed over",
            hint="`external:tcp:127.0.0.1:4001`, `external:http:10.20.0.5:4001?allow=10.20.0.0/24&key=file:PATH`, or "
            "`external:wiegand:/dev/ttyUSB0`",
        )
    allowed = _allowed(address, host)
    fields = (address.options["field"],) if "field" in address.options else FIELDS
    key = resolve(address.options["key"], Path.cwd()) if "key" in address.options else None
    if key is not None and scheme == "tcp":
        raise UsageError(f"`{address}`: lines over TCP carry no key", hint="use http, or name networks with `allow`")
    line = (
        TcpLine(host.strip("[]"), int(text), allowed, fields)
        if scheme == "tcp"
        else HttpLine(host.strip("[]"), int(text), allowed, key, fields)
    )
    assurance = "printed" if key is None else "uid"
    return PumpedReader(address, ExternalSource(line, kind=numbers, assurance=assurance, silence_s=silence_s))


def _allowed(address: Address, host: str) -> list[Network]:
    """The networks whose terminals may connect: loopback, and those that are named."""
    networks: list[Network] = list(_LOOPBACK)
    for text in filter(None, address.options.get("allow", "").split(",")):
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise UsageError(f"`{address}`: `{text}` is no network: {error}", hint="such as `10.20.0.80/32`") from None
    try:
        outside = not ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        raise UsageError(
            f"`{address}`: `{host}` is no IP address", hint="the address of this machine to listen on"
        ) from None
    if outside and len(networks) == len(_LOOPBACK):
        raise UsageError(
            f"`{address}` would listen beyond this machine, and names nobody who may connect",
            hint="name the terminals: `allow=10.20.0.80/32`",
        )
    return networks


_WHAT: Final = "a person's number, and the verdict back; nothing biometric is kept"

DRIVER = Driver(
    name="external",
    kind="reader",
    summary="terminals that are there already, palm readers for instance: they hand a person's number over",
    address="external:tcp:HOST:PORT · external:http:HOST:PORT · external:wiegand:PORT",
    open=_open,
    carrier="network, or a Wiegand converter",
    cards=("person",),
    options={
        "numbers": "what the numbers are: `person` (the terminal's own; the roster has `person:1017` among the cards) "
        "or `pupil` (our number of the pupil)",
        "allow": "networks whose terminals may connect, separated by commas; without it only this machine",
        "key": "http: where the key is that terminals must show, `env:NAME` or `file:PATH`",
        "field": f"name of the number's field in JSON or a form; without it {', '.join(FIELDS)}",
        "form": "wiegand: how the converter writes, as in the driver `wiegand`",
        "width": "wiegand: bits of a frame, as in the driver `wiegand`",
        "baud": "wiegand: bits a second of the converter",
        "silence": "seconds after which the same person counts again (0.3 to 60); usually 1",
    },
    models=(
        Model("terminals that send lines over TCP", works=_WHAT, checked="virtual terminal over a real socket"),
        Model("terminals that send HTTP requests", works=_WHAT, checked="virtual terminal, curl, over a real socket"),
        Model(
            "terminals with a Wiegand output",
            works="a person's number of 24, 32 or 35 bits",
            checked="virtual converter on a pseudo-terminal",
        ),
    ),
)
