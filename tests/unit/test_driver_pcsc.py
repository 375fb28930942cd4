"""The driver `pcsc` on a service of our own making that has the virtual ACR122U; pcscd is in the peer tests."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from edusense.devices import Card, open_reader
from edusense.devices.contract import ExchangingReaderContract
from edusense.errors import CardGoneError, DeviceNotFoundError, DriverMissingError
from edusense.sim.ccid_model import CcidModel
from edusense_drivers.readers import pcsc
from edusense_drivers.readers.pcsc import choose
from edusense_drivers.readers.pcsc_service import Change, PcscService

NAME = f"ACS ACR122U PICC Interface {os.getpid()} 00"
_PRESENT, _EMPTY, _GONE = 0x20, 0x10, 0x04


class Service:
    """pcscd as the driver sees it: one reader, whose events have a number that grows."""

    def __init__(self) -> None:
        self.model = CcidModel()
        self.changed = threading.Condition()
        self.events = 0
        self.plugged = True
        self._cancelled = False
        self._sequence = 0

    def readers(self) -> Sequence[str]:
        return (NAME,) if self.plugged else ()

    def state(self) -> int:
        if not self.plugged:
            return _GONE
        return self.events << 16 | (_PRESENT if self.model.uid is not None else _EMPTY)

    def change(self, reader: str, state: int, seconds: float) -> Change | None:
        deadline = time.monotonic() + seconds
        with self.changed:
            self._cancelled = False
            while self.state() == state and not self._cancelled:
                if not self.changed.wait(deadline - time.monotonic()):
                    return None
            if self._cancelled:
                return None
            present = self.model.uid is not None
            atr = self.ask(0x62) if present and self.plugged else b""
            return Change(present, atr, self.state(), not self.plugged)

    def ask(self, kind: int, data: bytes = b"") -> bytes:
        self._sequence = (self._sequence + 1) & 0xFF
        head = bytes([kind]) + len(data).to_bytes(4, "little") + bytes([0, self._sequence, 0, 0, 0])
        self.model.bulk_out(head + data)
        answer = self.model.bulk_in() or b""
        if answer[7] >> 6 == 1:
            raise CardGoneError("no card", hint="lay it down")
        return answer[10:]

    def connect(self, reader: str) -> Any:
        return self

    def transmit(self, apdu: bytes) -> bytes:
        with self.changed:
            return self.ask(0x6F, apdu)

    def disconnect(self) -> None: ...

    def cancel(self) -> None:
        with self.changed:
            self._cancelled = True
            self.changed.notify_all()

    def close(self) -> None: ...


class Rig:
    address = "pcsc:acr122u"
    cards = (Card.parse("iso14443a:04A1B2C3D4E5F6"), Card.parse("iso14443a:9DCB4340"))
    smart = Card.parse("type-4-tag:04112233445566")

    def __init__(self, service: Service) -> None:
        self._service = service

    def _do(self, action: Any) -> None:
        with self._service.changed:
            action()
            self._service.events += 1
            self._service.changed.notify_all()

    def place(self, card: Card) -> None:
        self._do(lambda: self._service.model.place(card.uid, smart=card.product == "type-4-tag"))

    def remove(self, card: Card) -> None:
        if self._service.model.uid == card.uid:
            self._do(self._service.model.remove)

    def unplug(self) -> None:
        self._do(lambda: setattr(self._service, "plugged", False))

    def replug(self) -> None:
        self._do(lambda: setattr(self._service, "plugged", True))

    def answer_too_long(self) -> None:
        self._service.model.fault("too-long")


class TestPcsc(ExchangingReaderContract):
    @pytest.fixture
    def rig(self, monkeypatch: pytest.MonkeyPatch) -> Rig:
        service = Service()
        monkeypatch.setattr(pcsc, "PcscService", lambda: service)
        return Rig(service)


def test_readers_are_chosen_by_a_part_of_their_name_and_by_number() -> None:
    names = ["ACS ACR122U PICC Interface 00 00", "ACS ACR122U PICC Interface 01 00", "Omnikey 5427 02 00"]
    assert choose(names, "", 0) == names[0]
    assert choose(names, "acr122", 1) == names[1]
    with pytest.raises(DeviceNotFoundError, match="number 3") as caught:
        choose(names, "acr122", 2)
    assert "Omnikey" in (caught.value.hint or "")
    with pytest.raises(DeviceNotFoundError, match="has no reader") as caught:
        choose([], "", 0)
    assert "ccid" in (caught.value.hint or "")


def test_without_pyscard_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard", None)
    with pytest.raises(DriverMissingError, match="pyscard") as caught:
        PcscService()
    assert "apt-get install" in (caught.value.hint or "")
    with pytest.raises(DriverMissingError):
        open_reader("pcsc:")
