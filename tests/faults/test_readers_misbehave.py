"""Every fault of every virtual reader: no card is made up, and the next one is read."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edusense.devices import Card, ReaderChange, reconnecting
from edusense.errors import DeviceError
from edusense.sim.external_terminal import VirtualTerminal
from edusense.sim.reader_ccid import VirtualCcid
from edusense.sim.reader_faults import COMMON, FAULTS, KINDS
from edusense.sim.reader_ironlogic import VirtualIronLogic
from edusense.sim.reader_keyboard import VirtualKeyboard
from edusense.sim.reader_osdp import VirtualOsdp
from edusense.sim.reader_pn532 import VirtualPn532
from edusense.sim.reader_rdm6300 import VARIANTS, VirtualRdm6300
from edusense.sim.reader_scanner import VirtualScanner
from edusense.sim.reader_serial import beside
from edusense.sim.reader_wiegand import VirtualWiegand

TAGS = tuple(Card.parse(f"em4100:{number}") for number in ("010063E9AE", "3C00CE754C", "4500C5D1E9"))
UIDS = tuple(Card.parse(f"iso14443a:{number}") for number in ("04A1B2C3D4E5F6", "9DCB4340", "0456463AAC2280"))

LINES = tuple(Card.parse(f"wiegand26:{number}") for number in ("013,13067", "126,58404", "099,59822"))
CODES = tuple(Card.parse(f"token:{text}") for text in ("EW-1", "EW-2026-000017", "1017"))
PEOPLE = tuple(Card.parse(f"person:{number}") for number in ("1017", "42", "1018"))
KEY = Path(tempfile.mkdtemp(prefix="edusense-keys-")) / "key"
KEY.touch(mode=0o600)
KEY.write_text("000102030405060708090a0b0c0d0e0f")


def osdp_reader() -> Any:
    pytest.importorskip("osdp")

    class Reader(VirtualOsdp):
        @property
        def address(self) -> str:
            return f"{super().address}&key=file:{KEY}"

    return Reader(key=bytes(range(16)))


def http_terminal() -> Any:
    class Terminal(VirtualTerminal):
        @property
        def address(self) -> str:
            return f"{super().address}?key=file:{KEY}"

    return Terminal("http", key=KEY.read_text())


READERS: dict[str, tuple[Callable[[], Any], tuple[Card, Card, Card]]] = {
    **{f"rdm6300-{variant}": (lambda variant=variant: VirtualRdm6300(variant=variant), TAGS) for variant in VARIANTS},
    "ironlogic": (VirtualIronLogic, UIDS),
    "pn532": (VirtualPn532, UIDS),
    "wiegand": (VirtualWiegand, LINES),
    "scanner": (VirtualScanner, CODES),
    "osdp": (osdp_reader, LINES),
    "external-tcp": (lambda: VirtualTerminal("tcp"), PEOPLE),
    "external-http": (http_terminal, PEOPLE),
    "keyboard": (lambda: VirtualKeyboard(layout="hex"), TAGS),
    "ccid": (VirtualCcid, UIDS),
}
QUICK = {"stuck", "reset", "two-cards", "silence"}
"""Faults that no test of a single driver has."""
CASES = [
    pytest.param(
        name,
        fault,
        id=f"{name}-{fault}",
        marks=[] if fault in QUICK and name in ("rdm6300-rdm6300", "pn532", "ccid") else pytest.mark.long,
    )
    for name in READERS
    for fault in KINDS[name.partition("-")[0]]
]


def test_every_kind_is_here_and_every_fault_is_described() -> None:
    assert {name.partition("-")[0] for name in READERS} == set(KINDS)
    for faults in KINDS.values():
        assert set(faults) <= set(FAULTS)
    # What is missing anywhere is missing for a reason: no check sum in keys, no speed on USB.
    missing = {(kind, name) for kind, faults in KINDS.items() for name in COMMON if name not in faults}
    assert missing <= {
        *((kind, "bad-checksum") for kind in ("keyboard", "wiegand", "scanner", "external")),
        *((kind, "wrong-baud") for kind in ("keyboard", "ccid", "external")),
    }


@pytest.mark.parametrize(("name", "fault"), CASES)
def test_no_card_is_made_up_and_the_next_is_read(name: str, fault: str) -> None:
    make, (first, second, third) = READERS[name]
    allowed = {first, second, third, beside(second)}
    if name == "scanner":
        # A code has no check sum: half of one joins with the next, and a token check refuses it by name.
        allowed |= {Card("token", (second.uid + b"\r\n")[: (len(second.uid) + 2) // 2] + third.uid)}
    with make() as device, reconnecting(device.address, first_s=0.05, limit_s=0.2) as reader:
        found: list[Card] = []

        def hear(seconds: float, until: Card | None = None) -> bool:
            deadline = time.monotonic() + seconds
            while (left := deadline - time.monotonic()) > 0:
                event = reader.read(left)
                if isinstance(event, Card):
                    assert event in allowed, f"{event} was never laid down"
                    found.append(event)
                    with contextlib.suppress(DeviceError):
                        reader.signal(granted=True)
                    if event == until:
                        return True
                elif isinstance(event, ReaderChange) and event.state == "waiting":
                    assert event.hint, event
            return False

        hear(0.2)
        device.tap(first, 0.3)
        assert hear(5, first)
        hear(0.5)
        device.fault(fault)
        device.tap(second, 0.4)
        hear(1.5)
        if fault in ("wrong-baud", "wrong-key") and not name.startswith("external"):
            deadline = time.monotonic() + 15
            while time.monotonic() < deadline:
                device.tap(second, 0.2)
                hear(0.5)
                stats, change = reader.stats(), reader.change
                # A device that is spoken to at another speed does not answer at all: the session ends with that.
                if (stats is not None and stats.suspicion) or (change is not None and change.state == "waiting"):
                    break
            else:
                pytest.fail(f"nothing was suspected: {stats}")
            assert second not in found
            return
        if fault == "two-cards":
            assert {second, beside(second)} <= set(found)
        if fault == "stuck":
            assert found.count(second) == 1, "a card that stays is one tap"
            device.fault("reset")
        deadline = time.monotonic() + 20
        # Laid down again and again, as a child does where nothing happens.
        while third not in found and time.monotonic() < deadline:
            device.tap(third, 0.4)
            hear(1.0, third)
        assert third in found
