"""Our own half of an OSDP line, written from the standard, as libosdp's control panel sees it: none of our driver."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from edusense.devices import Card
from edusense.sim.reader_osdp import VirtualOsdp

pytestmark = pytest.mark.peers

KEY = bytes(range(1, 17))

# A program of libosdp and pyserial alone; `argv` is the port, the address and the key.
PANEL = """
import sys, time
import osdp, serial

class Line(osdp.Channel):
    def __init__(self, port):
        self.port = serial.Serial(port, 9600, timeout=0)
        self.id = 1
    def read(self, most):
        return self.port.read(most)
    def write(self, data):
        return self.port.write(data)
    def flush(self):
        self.port.reset_input_buffer()

address, key = int(sys.argv[2]), bytes.fromhex(sys.argv[3])
reader = osdp.PDInfo(address, Line(sys.argv[1]), scbk=key, flags=[osdp.LibFlag.EnforceSecure])
panel = osdp.ControlPanel([reader], log_level=osdp.LogLevel.Emergency)
panel.start()
print("online", panel.online_wait_all(timeout=10), flush=True)
print("secure", panel.sc_wait_all(timeout=10), flush=True)
event = panel.get_event(address, timeout=20)
print("card", event["length"], bytes(event["data"]).hex(), flush=True)
print("light", panel.submit_command(address, {
    "command": osdp.Command.LED, "reader": 0, "led_number": 0, "control_code": 2, "on_count": 5, "off_count": 0,
    "on_color": osdp.CommandLEDColor.Green, "off_color": osdp.CommandLEDColor.Black, "timer_count": 5,
    "temporary": True,
}), flush=True)
sys.stdin.readline()
panel.teardown()
"""


def panel(port: str, address: int, key: bytes) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PANEL, port, str(address), key.hex()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_librarys_panel_makes_a_secure_channel_and_hears_a_card() -> None:
    pytest.importorskip("osdp")
    with VirtualOsdp(address=101, key=KEY) as device, panel(str(device.path), 101, KEY) as stranger:
        assert stranger.stdout is not None
        assert stranger.stdin is not None
        assert stranger.stdout.readline() == "online True\n"
        assert stranger.stdout.readline() == "secure True\n"
        device.tap(Card.parse("wiegand26:14B938"))
        assert stranger.stdout.readline() == "card 26 8a5c9c00\n"
        assert stranger.stdout.readline() == "light True\n"
        deadline = time.monotonic() + 20
        while device.shown() != [True] and time.monotonic() < deadline:
            time.sleep(0.02)
        assert device.shown() == [True]
        stranger.stdin.write("\n")
        stranger.stdin.flush()
        assert stranger.wait(20) == 0


def test_the_librarys_panel_with_another_key_hears_nothing() -> None:
    pytest.importorskip("osdp")
    with VirtualOsdp(address=5, key=KEY) as device, panel(str(device.path), 5, bytes(16)) as stranger:
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == "online False\n"
        assert stranger.stdout.readline() == "secure False\n"
        device.tap(Card.parse("wiegand26:14B938"))
        stranger.kill()
