"""Readers that the PC/SC service (pcscd) owns, through pyscard: where other programs need the reader as well.

Addresses: `pcsc:` (the first reader), `pcsc:ACR122U` (the first whose name has that in it), `pcsc:ACR122U?index=1` (the
second). Without pcscd the driver `ccid` does the same, and needs nothing installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Final

from edusense.devices.card import Card
from edusense.devices.port_scan import name_owner
from edusense.devices.pump import PumpedReader
from edusense.devices.registry import Driver, Model
from edusense.devices.tally import Tally
from edusense.errors import (
    CardError,
    CardGoneError,
    DeviceBusyError,
    DeviceDisconnectedError,
    DeviceError,
    DeviceNotFoundError,
)
from edusense_drivers.readers.ccid_messages import GET_UID, card_kind, split_apdu
from edusense_drivers.readers.pcsc_service import PcscService
from edusense_drivers.readers.stream_source import SILENCE_HELP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edusense.devices.address import Address
    from edusense.devices.clock import Clock
    from edusense.devices.reader import ReaderStats, Trace
    from edusense_drivers.readers.pcsc_service import Connection, Service

__all__ = ["DRIVER", "PcscSource", "choose"]

_ROUND_S: Final = 60.0
"""How long one wait lasts: the service tells of changes by itself."""


class PcscSource:
    """Cards out of a reader of the service.

    Args:
        service: pcscd.
        reader: the reader's name there.
        silence_s: seconds without the card after which it may tap again.
        clock: for the cards' times and the silence.
    """

    def __init__(self, service: Service, reader: str, *, silence_s: float = 0.3, clock: Clock | None = None) -> None:
        self._service = service
        self._reader = reader
        self._tally = Tally(silence_s=silence_s, clock=clock)
        self._woken = threading.Event()
        self._waiting = False
        self._state = 0
        self._uid: bytes | None = None
        self._connection: Connection | None = None
        self._lock = _lock(reader)

    def wait(self) -> list[Card]:
        """Waits for the slot to change and gives the card that was laid down, if one was."""
        self._waiting = True
        try:
            change = None
            if not self._woken.is_set():
                change = self._service.change(self._reader, self._state, _ROUND_S)
        finally:
            self._waiting = False
        if self._woken.is_set():
            self._woken.clear()
        if change is None:
            return []
        if change.gone:
            raise DeviceDisconnectedError(
                f"`{self._reader}` is gone", hint="plug the reader in again; the box opens it by itself"
            )
        self._state = change.state
        if self._uid is not None:
            # Until this change the card lay there, and nobody was told anything.
            self._tally.still_there([self._uid])
        self._let_go()
        if not change.present:
            return []
        try:
            return self._identify(change.atr)
        except CardGoneError as error:
            self._tally.fault("card", f"card not read: {error}", change.atr)
            return []

    def wake(self) -> None:
        """Makes `wait` return soon."""
        self._woken.set()
        # The service forgets a cancellation that comes just before the wait it is meant for.
        for _ in range(100):
            self._service.cancel()
            if not self._waiting or not self._woken.is_set():
                return
            time.sleep(0.005)

    def exchange(self, apdu: bytes, timeout: float) -> bytes:
        """Exchanges an APDU with the card in the slot; how long the card may take, the service decides."""
        if self._connection is None:
            raise CardGoneError(f"no card lies on `{self._reader}`", hint="lay it down and leave it there")
        self._tally.sent(apdu)
        try:
            answer = self._connection.transmit(apdu)
        except CardGoneError:
            self._let_go()
            raise
        self._tally.heard(answer)
        return answer

    def close(self) -> None:
        """Lets go of card and service."""
        with contextlib.suppress(DeviceError):
            self._let_go()
        with contextlib.suppress(DeviceError):
            self._service.close()
        self._lock.close()

    def stats(self) -> ReaderStats:
        """Counters since the session began."""
        return self._tally.stats()

    def watch(self, trace: Callable[[Trace], None] | None) -> None:
        """Tells bytes and faults to `trace` from now on."""
        self._tally.watch(trace)

    def _identify(self, atr: bytes) -> list[Card]:
        self._connection = self._service.connect(self._reader)
        self._tally.heard(atr)
        self._tally.sent(GET_UID)
        block = self._connection.transmit(GET_UID)
        self._tally.heard(block)
        uid, status = split_apdu(block)
        if status != 0x9000:
            told = f"the reader answered {status:04X} to Get Data: the card told no number"
            self._tally.fault("no-uid", told, block)
            return []
        try:
            card = Card(card_kind(atr, uid), uid, raw=block, at=self._tally.clock.now())
        except CardError as error:
            self._tally.fault("no-uid", str(error), block)
            return []
        self._uid = uid
        return [card] if self._tally.tap(uid) else []

    def _let_go(self) -> None:
        self._uid = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()


def _lock(reader: str) -> socket.socket:
    """Holds a reader against other sessions of ours: the service lends it to everybody, and a tap must be one tap.

    Raises:
        DeviceBusyError: another session has it; the message says whose.
    """
    name = f"edusense-pcsc-{hashlib.sha256(reader.encode()).hexdigest()[:16]}"
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # An abstract name is gone with its process, and leaves no file behind.
        lock.bind(f"\0{name}")
    except OSError:
        lock.close()
        raise DeviceBusyError(
            f"`{reader}` is held by {name_owner(name)}", hint="stop that program, or read through the box"
        ) from None
    return lock


def choose(names: Sequence[str], wanted: str, index: int) -> str:
    """The reader that an address means, among those that the service has.

    Raises:
        DeviceNotFoundError: it has none of that name; the hint says which it has.

    >>> choose(["ACS ACR122U 00 00", "Omnikey 5427 01 00"], "omnikey", 0)
    'Omnikey 5427 01 00'
    """
    fitting = [name for name in names if wanted.lower() in name.lower()]
    if index < len(fitting):
        return fitting[index]
    there = f"it has: {', '.join(names)}" if names else "it has none: plug one in, or use the driver ccid without pcscd"
    what = f"no reader `{wanted}`" if wanted else "no reader"
    raise DeviceNotFoundError(f"the PC/SC service has {what}" + (f" number {index + 1}" if index else ""), hint=there)


def _open(address: Address) -> PumpedReader:
    index = int(address.number("index", 0, low=0, high=15))
    silence_s = address.number("silence", 0.3, low=0.3, high=60.0)
    service = PcscService()
    try:
        source = PcscSource(service, choose(service.readers(), address.target, index), silence_s=silence_s)
    except BaseException:
        service.close()
        raise
    return PumpedReader(address, source)


DRIVER = Driver(
    name="pcsc",
    kind="reader",
    summary="readers that the PC/SC service owns, where other programs need them as well",
    address="pcsc: · pcsc:NAME?index=0",
    open=_open,
    carrier="USB, through pcscd",
    cards=("iso14443a", "iso14443b", "felica", "iso15693"),
    can=("apdu",),
    extra="pcsc",
    options={
        "index": "which of several readers whose name fits, from 0",
        "silence": SILENCE_HELP,
    },
    models=(
        Model(
            "every reader that pcscd has",
            works="UIDs where it answers PC/SC's Get Data; APDUs",
            checked="pcscd and pyscard on a virtual reader, by umockdev",
        ),
    ),
)
