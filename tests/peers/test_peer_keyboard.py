"""The virtual reader that types as other programs see it: an event node, by umockdev; and our driver on that node.

Needs Debian's umockdev, gir1.2-umockdev-1.0 and python3-gi; for strangers' eyes evtest and python3-evdev.
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

LISTEN = """
import sys
from edusense.devices import open_reader, ports
print([port.address for port in ports() if port.path.startswith("/dev/input/")])
with open_reader(sys.argv[1]) as reader:
    for _ in range(int(sys.argv[2])):
        card = reader.read(20)
        print(card, card.dec10, card.assurance)
    print(dict(reader.stats().faults))
"""

EVDEV = """
import evdev
device = evdev.InputDevice("/dev/input/event5")
device.grab()
print(device.name, f"{device.info.vendor:04x}:{device.info.product:04x}")
text = ""
for event in device.read_loop():
    if event.type == evdev.ecodes.EV_KEY and event.value == 1:
        if event.code == evdev.ecodes.KEY_ENTER:
            break
        text += evdev.ecodes.KEY[event.code][-1]
print(text)
"""


def run(*program: str, options: tuple[str, ...] = ()) -> list[str]:
    ended = subprocess.run(
        [EDUSENSE, "sim", "reader", "keyboard", *options, "--", *program],
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    ready, *lines = ended.stdout.splitlines()
    assert json.loads(ready)["port"] == "/dev/input/event5"
    return lines


@pytest.mark.parametrize("address", ["keyboard:/dev/input/event5", "keyboard:08ff:0009"])
def test_our_driver_finds_it_and_reads_the_number(address: str) -> None:
    found, card, faults = run(sys.executable, "-c", LISTEN, address, "1")
    assert "keyboard:/dev/input/event5" in found
    assert card == "em4100:0063E9AE 0006547886 printed"
    assert faults == "{}"


def test_cards_come_by_a_script_with_faults(tmp_path: Path) -> None:
    script = tmp_path / "lunch.toml"
    script.write_text(
        '[[at]]\nseconds = 1.0\nfault = "letters"\n[[at]]\nseconds = 1.0\ncard = "em4100:010063E9AE"\n'
        '[[at]]\nseconds = 2.0\ncard = "em4100:3C00CE754C"\n'
    )
    options = ("--script", str(script), "--layout", "hex")
    _, card, faults = run(sys.executable, "-c", LISTEN, "keyboard:08ff:0009?layout=hex", "1", options=options)
    assert card == "em4100:3C00CE754C 0013530444 printed"
    assert faults == "{'not-number': 1}"


@pytest.mark.skipif(
    not Path("/usr/lib/python3/dist-packages/evdev").is_dir(), reason="sudo apt-get install python3-evdev"
)
def test_python_evdev_takes_it_and_reads_the_number() -> None:
    assert run("/usr/bin/python3", "-c", EVDEV) == ["Sycreader USB Reader 08ff:0009", "0006547886"]


@pytest.mark.skipif(shutil.which("evtest") is None, reason="sudo apt-get install evtest")
def test_evtest_shows_its_keys() -> None:
    # evtest listens for ever: what it says in five seconds is enough.
    lines = run("sh", "-c", "timeout 5 stdbuf -oL evtest /dev/input/event5 || true")
    assert 'Input device name: "Sycreader USB Reader"' in lines
    typed = [line.split("(")[2].partition(")")[0] for line in lines if "(EV_KEY)" in line and line.endswith("value 1")]
    assert typed == [*(f"KEY_{digit}" for digit in "0006547886"), "KEY_ENTER"]
