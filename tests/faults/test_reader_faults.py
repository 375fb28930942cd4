"""Readers that are held by another program, pulled out, forbidden: who, why, what to do; seen as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edusense.devices import Card, ReaderChange, open_reader, reconnecting
from edusense.errors import DeviceBusyError
from edusense.sim.reader_ccid import VirtualCcid
from edusense.sim.reader_rdm6300 import VirtualRdm6300

if TYPE_CHECKING:
    from collections.abc import Iterator

TAG, CARD = Card.parse("em4100:010063E9AE"), Card.parse("iso14443a:04A1B2C3D4E5F6")
HOLD = (
    "import sys; from edusense.devices import open_reader;"
    "reader = open_reader(sys.argv[1]); print('open', flush=True); reader.read()"
)
PLAIN = (
    "import os, sys, time, fcntl; f = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY);"
    "fcntl.flock(f, fcntl.LOCK_EX); print('open', flush=True); time.sleep(60)"
)


@pytest.fixture(params=["rdm6300", "ccid"])
def device(request: pytest.FixtureRequest) -> Iterator[VirtualRdm6300 | VirtualCcid]:
    with VirtualRdm6300() if request.param == "rdm6300" else VirtualCcid() as device:
        yield device


@pytest.fixture
def other() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def start(code: str, target: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, target], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_another_edusense_that_holds_a_reader_is_named(
    device: VirtualRdm6300 | VirtualCcid, other: list[subprocess.Popen[str]]
) -> None:
    other.append(start(HOLD, device.address))
    with pytest.raises(DeviceBusyError) as caught:
        open_reader(device.address)
    assert f"(pid {other[0].pid})" in caught.value.message
    assert "python" in caught.value.message
    assert caught.value.hint


def test_another_program_that_holds_a_port_is_named(other: list[subprocess.Popen[str]]) -> None:
    with VirtualRdm6300() as device:
        other.append(start(PLAIN, str(device.path)))
        with pytest.raises(DeviceBusyError, match=rf"\(pid {other[0].pid}\)"):
            open_reader(device.address)


def test_a_reader_whose_holder_was_killed_is_free_at_once(device: VirtualRdm6300 | VirtualCcid) -> None:
    holder = start(HOLD, device.address)
    holder.kill()
    holder.communicate()
    deadline = time.monotonic() + 5
    while True:
        try:
            with open_reader(device.address) as reader:
                device.place(CARD if isinstance(device, VirtualCcid) else TAG)
                assert reader.read(5) is not None
                return
        except DeviceBusyError:
            # The socket's server learns of a death a moment after the kernel does.
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_busy_reader_is_waited_for_and_then_read(device: VirtualRdm6300 | VirtualCcid) -> None:
    holder = open_reader(device.address)
    with reconnecting(device.address, first_s=0.05, limit_s=0.1) as reader:
        change = reader.read(1)
        assert isinstance(change, ReaderChange)
        assert change.code == "device-busy"
        holder.close()
        while isinstance(change, ReaderChange) and change.state != "connected":
            change = reader.read(5)
        device.place(CARD if isinstance(device, VirtualCcid) else TAG)
        assert isinstance(reader.read(5), Card)


def test_ten_times_out_and_in_again_loses_nothing(device: VirtualRdm6300 | VirtualCcid) -> None:
    card = CARD if isinstance(device, VirtualCcid) else TAG
    with reconnecting(device.address, first_s=0.02, limit_s=0.05) as reader:
        for turn in range(10):
            while not (isinstance(change := reader.read(5), ReaderChange) and change.state == "connected"):
                assert change is not None
            device.place(card)
            assert reader.read(5) == card, f"turn {turn}"
            device.remove(card)
            device.unplug()
            change = reader.read(5)
            assert isinstance(change, ReaderChange)
            assert change.code == "device-disconnected"
            device.replug()
        assert reader.reconnects == 9


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_descriptor_is_left_behind(device: VirtualRdm6300 | VirtualCcid) -> None:
    open_reader(device.address).close()
    before = open_files()
    for _ in range(5):
        open_reader(device.address).close()
        held = open_reader(device.address)
        with pytest.raises(DeviceBusyError):
            open_reader(device.address)
        held.close()
    deadline = time.monotonic() + 5
    # The far ends of the sockets belong to this process too, and are closed by their threads.
    while open_files() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert open_files() <= before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody without the right")
def test_a_port_that_is_forbidden_says_which_right_is_missing() -> None:
    # In a child, since a process cannot take its rights back.
    code = """
import grp, os, sys
from edusense.devices import find_driver, open_reader
from edusense.errors import DeviceNotFoundError, DevicePermissionError
import getpass
# Whatever is imported on use is imported now: the tree may lie where nobody else may read.
try:
    open_reader("rdm6300:/dev/no-such-port")
except DeviceNotFoundError:
    pass
import edusense.devices.registry as registry
rows = registry.drivers()
registry.drivers = lambda: rows
os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.environ["LOGNAME"] = "cook"
try:
    open_reader("rdm6300:" + sys.argv[1])
except DevicePermissionError as error:
    print(error); print(error.hint)
"""
    with VirtualRdm6300() as device:
        device.path.parent.chmod(0o755)
        terminal = device.path.resolve()
        terminal.chmod(0o660)
        dialout = _gid("dialout")
        os.chown(terminal, 0, dialout)
        ended = subprocess.run(
            [sys.executable, "-c", code, str(device.path)], capture_output=True, text=True, check=False, timeout=60
        )
        assert ended.stdout, ended.stderr
        assert "`cook` may not open" in ended.stdout
        assert "usermod -aG dialout cook" in ended.stdout


def _gid(name: str) -> int:
    import grp

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        pytest.skip(f"this machine has no group {name}")
