"""The virtual CCID reader as pcscd sees it, and pyscard through that; then our driver `pcsc` on the same service.

Needs root, and Debian's pcscd, libccid, python3-pyscard, umockdev, gir1.2-umockdev-1.0 and python3-gi.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EDUSENSE = str(Path(sys.executable).with_name("edusense"))
PYSCARD = Path("/usr/lib/python3/dist-packages/smartcard")

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(
        shutil.which("umockdev-wrapper") is None or shutil.which("pcscd") is None or not PYSCARD.is_dir(),
        reason="sudo apt-get install pcscd libccid python3-pyscard umockdev gir1.2-umockdev-1.0 python3-gi",
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="pcscd wants to be root"),
    pytest.mark.skipif(
        Path("/run/pcscd/pcscd.comm").exists(), reason="a pcscd runs here: sudo systemctl stop pcscd.socket"
    ),
]

# Runs where the virtual device is plugged in; `argv` is a program in Python that is run while the service does.
SERVICE = """
import os, subprocess, sys, time
os.makedirs("/run/pcscd", exist_ok=True)
service = subprocess.Popen(["pcscd", "--foreground", "--error"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    deadline = time.monotonic() + 30
    while not os.path.exists("/run/pcscd/pcscd.comm") and time.monotonic() < deadline:
        time.sleep(0.05)
    status = subprocess.run(sys.argv[1:]).returncode
finally:
    service.terminate()
    service.wait()
sys.exit(status)
"""

STRANGER = """
import time
from smartcard.System import readers
from smartcard.CardConnection import CardConnection
deadline = time.monotonic() + 30
while not (found := readers()) and time.monotonic() < deadline:
    time.sleep(0.05)
print(found[0])
connection = found[0].createConnection()
connection.connect()
print(bytes(connection.getATR()).hex().upper())
for apdu in ("FFCA000000", "FF00480000"):
    data, *status = connection.transmit(list(bytes.fromhex(apdu)))
    print(bytes(data).hex().upper(), bytes(status).hex().upper())
connection.disconnect()
"""

OURS = """
import time
from edusense.devices import open_reader
from edusense.errors import DeviceNotFoundError
deadline = time.monotonic() + 30
while True:
    try:
        reader = open_reader("pcsc:ACR122U")
        break
    except DeviceNotFoundError:
        assert time.monotonic() < deadline
        time.sleep(0.05)
with reader:
    print(reader.read(10))
    print(reader.exchange(bytes.fromhex("FFCA000000")).hex().upper())
    print(reader.stats().faults)
"""


def run(*program: str, card: str, path: str = "") -> list[str]:
    ended = subprocess.run(
        [EDUSENSE, "sim", "reader", "ccid", "--card", card, "--", "/usr/bin/python3", "-c", SERVICE, *program],
        capture_output=True,
        text=True,
        timeout=80,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout.splitlines()[1:]


@pytest.mark.parametrize("card", ["04A1B2C3D4E5F6", "9DCB4340"])
def test_pyscard_reads_the_card_through_pcscd(card: str) -> None:
    reader, atr, uid, firmware = run("/usr/bin/python3", "-c", STRANGER, card=card)
    assert reader.startswith("ACS ACR122U PICC Interface")
    assert atr.startswith("3B8F8001804F0CA000000306")
    assert uid == f"{card} 9000"
    assert bytes.fromhex(firmware.split()[0] + firmware.split()[1]).startswith(b"ACR122U")


def test_our_driver_reads_the_card_through_pcscd(tmp_path: Path) -> None:
    # Debian's pyscard, and nothing else of Debian's Python.
    (tmp_path / "smartcard").symlink_to(PYSCARD)
    card, answer, faults = run(sys.executable, "-c", OURS, card="04A1B2C3D4E5F6", path=str(tmp_path))
    assert card == "iso14443a:04A1B2C3D4E5F6"
    assert answer == "04A1B2C3D4E5F69000"
    assert faults == "{}"
