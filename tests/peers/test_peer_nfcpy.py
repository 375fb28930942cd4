"""The virtual PN532 as nfcpy sees it, and our frames beside nfcpy's own."""

from __future__ import annotations

import subprocess

import pytest

from edusense.devices import Card
from edusense.sim.reader_pn532 import VirtualPn532

pytestmark = pytest.mark.peers

# `ContactlessFrontend` takes only names below /dev: its parts take any port, without root.
SENSE = """
import sys
import nfc.clf, nfc.clf.pn532, nfc.clf.transport
device = nfc.clf.pn532.init(nfc.clf.transport.TTY(sys.argv[1]))
print(device.chipset_name)
print(device.sense_tta(nfc.clf.RemoteTarget("106A")))
device.close()
"""


@pytest.mark.parametrize("number", ["04A1B2C3D4E5F6", "9DCB4340"])
def test_nfcpy_reads_the_card_of_the_virtual_chip(nfcpy: str, number: str) -> None:
    with VirtualPn532() as device:
        device.place(Card.parse(f"iso14443a:{number}"))
        ended = subprocess.run(
            [nfcpy, "-c", SENSE, str(device.path)], capture_output=True, text=True, timeout=60, check=False
        )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"sdd_res={number}" in ended.stdout, ended.stdout + ended.stderr
    # Its line test is a frame of the extended form.
    assert any(command[0] == 0x00 and len(command) > 255 for command in device.model.commands)
