"""The virtual CCID reader as other programs see it: a USB device, through the real libusb, by umockdev.

Needs Debian's umockdev, gir1.2-umockdev-1.0 and python3-gi.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EDUSENSE = str(Path(sys.executable).with_name("edusense"))

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(
        shutil.which("umockdev-wrapper") is None,
        reason="sudo apt-get install umockdev gir1.2-umockdev-1.0 python3-gi",
    ),
]

PYUSB = """
import usb.core, usb.util, libusb_package
device = libusb_package.find(idVendor=0x072F, idProduct=0x2200)
print(usb.util.get_string(device, device.iProduct), f"{device.bcdDevice:04x}")
usb.util.claim_interface(device, 0)
def exchange(message):
    device.write(0x02, bytes.fromhex(message))
    return bytes(device.read(0x82, 300, 1000)).hex().upper()
print(exchange("62000000000001010000"))
print(exchange("6F050000000002000000FFCA000000"))
try:
    device.read(0x82, 300, 100)
except usb.core.USBTimeoutError:
    print("timeout")
"""

LISTENER = """
import sys
from edusense.devices import open_reader, ports
print([port.address for port in ports() if port.kind == "usb"])
with open_reader("ccid:") as reader:
    for _ in range(int(sys.argv[1])):
        print(reader.read(10))
    print(reader.stats().faults)
"""

NFCPY = """
import nfc
frontend = nfc.ContactlessFrontend("usb:072f:2200")
print(frontend.sense(nfc.clf.RemoteTarget("106A")))
frontend.close()
"""


def run(*arguments: str, code: str, options: tuple[str, ...] = ()) -> list[str]:
    ended = subprocess.run(
        [EDUSENSE, "sim", "reader", "ccid", *options, "--", sys.executable, "-W", "error", "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    ready, *lines = ended.stdout.splitlines()
    assert json.loads(ready)["url"] == "ccid:072f:2200"
    return lines


def test_pyusb_talks_to_it_as_to_an_acr122u() -> None:
    assert run(code=PYUSB) == [
        "ACR122U PICC Interface 0214",
        "801400000000010000003B8F8001804F0CA0000003060300030000000068",
        "8009000000000200000004A1B2C3D4E5F69000",
        "timeout",
    ]


def test_our_driver_finds_it_and_reads_its_card() -> None:
    addresses, card, faults = run("1", code=LISTENER, options=("--card", "9DCB4340"))
    assert "'ccid:072f:2200'" in addresses
    assert card == "iso14443a:9DCB4340"
    assert faults == "{}"


def test_cards_come_and_go_by_a_script_with_faults(tmp_path: Path) -> None:
    script = tmp_path / "lunch.toml"
    script.write_text(
        '[[at]]\nseconds = 1.0\ncard = "04A1B2C3D4E5F6"\nhold = 0.8\n'
        '[[at]]\nseconds = 2.5\ncard = "9DCB4340"\nhold = 1.0\n'
    )
    lines = run("2", code=LISTENER, options=("--script", str(script), "--fault", "mute"))
    assert lines[1:3] == ["iso14443a:04A1B2C3D4E5F6", "iso14443a:9DCB4340"]
    assert lines[3] == "{'card': 2}"


def test_the_commands_exit_status_is_ours() -> None:
    ended = subprocess.run([EDUSENSE, "sim", "reader", "ccid", "--", "sh", "-c", "exit 5"], check=False, timeout=60)
    assert ended.returncode == 5


def test_nfcpy_drives_the_chip_inside(nfcpy: str) -> None:
    ended = subprocess.run(
        [EDUSENSE, "sim", "reader", "ccid", "--", nfcpy, "-c", NFCPY],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "106A sdd_res=04A1B2C3D4E5F6" in ended.stdout, ended.stdout + ended.stderr
