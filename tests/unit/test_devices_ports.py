"""Ports on a machine that the test lays out: candidates, who holds them, which right is missing."""

from __future__ import annotations

import errno
import getpass
import os
from pathlib import Path

import pytest

from edusense.devices import Driver, ports
from edusense.devices.port_scan import Machine, holders, missing_right, port_error, udev_rule
from edusense.errors import (
    DeviceBusyError,
    DeviceDisconnectedError,
    DeviceError,
    DeviceNotFoundError,
    DevicePermissionError,
)

SERIAL = Driver("serial", "reader", "", "serial:PORT", lambda address: None, usb_ids=("1a86:7523",), serial=True)
USB = Driver("usb", "reader", "", "usb:", lambda address: None, usb_ids=("1234:5678",), usb_class=0x0B)


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def usb_device(machine: Machine, name: str, usb_id: str, number: int, product: str, *, interface: str) -> Path:
    folder = machine.sys / "devices/usb1" / name
    vendor, product_id = usb_id.split(":")
    for key, value in {
        "idVendor": vendor,
        "idProduct": product_id,
        "busnum": "1",
        "devnum": str(number),
        "manufacturer": "Maker",
        "product": product,
        f"{name}:1.0/bInterfaceClass": interface,
    }.items():
        write(folder / key, value)
    listed = machine.sys / "bus/usb/devices"
    listed.mkdir(parents=True, exist_ok=True)
    (listed / name).symlink_to(folder)
    write(machine.dev / f"bus/usb/001/{number:03d}")
    return folder


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A board with a serial chip and an empty place for one, a USB serial adapter, two USB readers, a mouse."""
    machine = Machine(tmp_path / "sys", tmp_path / "dev", tmp_path / "proc")
    adapter = usb_device(machine, "1-1", "1a86:7523", 3, "USB Serial", interface="ff")
    usb_device(machine, "1-2", "072f:2200", 4, "ACR122U", interface="0b")
    usb_device(machine, "1-3", "1234:5678", 5, "Own reader", interface="ff")
    usb_device(machine, "1-4", "046d:c077", 6, "Mouse", interface="03")
    for name, kind, device in (
        ("ttyUSB0", None, adapter / "1-1:1.0"),
        ("ttyS0", "4", machine.sys / "devices/board"),
        ("ttyS1", "0", machine.sys / "devices/board"),
        ("tty0", None, machine.sys / "devices/board"),
    ):
        device.mkdir(parents=True, exist_ok=True)
        folder = machine.sys / "class/tty" / name
        folder.mkdir(parents=True)
        (folder / "device").symlink_to(device)
        if kind is not None:
            write(folder / "type", kind)
        write(machine.dev / name)
    by_id = machine.dev / "serial/by-id"
    by_id.mkdir(parents=True)
    (by_id / "usb-1a86_USB_Serial-if00-port0").symlink_to(machine.dev / "ttyUSB0")
    for pid, program, opened in ((11, "minicom", "ttyUSB0"), (12, "getty", "ttyS1")):
        write(machine.proc / str(pid) / "comm", program)
        (machine.proc / str(pid) / "fd").mkdir()
        (machine.proc / str(pid) / "fd/3").symlink_to(machine.dev / opened)
    return machine


def test_every_candidate_with_the_driver_that_may_fit(machine: Machine) -> None:
    found = {Path(port.path).name: port for port in ports(machine, declared=[USB, SERIAL])}
    assert set(found) == {"ttyUSB0", "ttyS0", "004", "005"}
    adapter = found["ttyUSB0"]
    assert adapter.kind == "serial"
    assert adapter.usb_id == "1a86:7523"
    assert adapter.product == "Maker USB Serial"
    assert adapter.drivers == ("serial",)
    assert adapter.by_id is not None
    assert adapter.address == f"serial:{adapter.by_id}"
    assert found["ttyS0"].usb_id is None
    assert found["ttyS0"].drivers == ("serial",)
    assert found["004"].address == "usb:072f:2200"
    assert found["005"].drivers == ("usb",)


def test_a_chip_that_no_driver_names_has_no_driver(machine: Machine) -> None:
    other = Driver("other", "reader", "", "other:PORT", lambda address: None, usb_ids=("ffff:0000",), serial=True)
    found = next(port for port in ports(machine, declared=[other]) if port.path.endswith("ttyUSB0"))
    assert found.drivers == ()
    assert found.address is None


def test_who_holds_a_port_is_named(machine: Machine) -> None:
    found = {Path(port.path).name: port for port in ports(machine, declared=[SERIAL])}
    assert [str(holder) for holder in found["ttyUSB0"].holders] == ["minicom (pid 11)"]
    assert found["ttyS0"].holders == ()
    assert found["ttyUSB0"].to_json()["holders"] == [{"pid": 11, "program": "minicom"}] or found["ttyUSB0"].to_json()[
        "holders"
    ] == ({"pid": 11, "program": "minicom"},)


def test_a_link_is_held_by_who_holds_its_port(machine: Machine) -> None:
    link = machine.dev / "serial/by-id/usb-1a86_USB_Serial-if00-port0"
    assert [holder.pid for holder in holders(str(link), machine)] == [11]
    assert holders(str(machine.dev / "gone"), machine) == []


def test_an_empty_machine_has_no_ports(tmp_path: Path) -> None:
    assert ports(Machine(tmp_path / "a", tmp_path / "b", tmp_path / "c"), declared=[SERIAL, USB]) == []


@pytest.fixture
def forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_, **__: False)


def test_a_missing_right_names_the_rule(forbidden: None, machine: Machine) -> None:
    port = next(port for port in ports(machine, declared=[USB]) if port.usb_id == "072f:2200")
    assert port.problem is not None
    assert port.path in port.problem
    assert port.rule == udev_rule("072f:2200")
    assert port.hint is not None
    assert port.rule in port.hint


def test_a_missing_right_names_the_group(forbidden: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = tmp_path / "ttyUSB0"
    write(node)
    node.chmod(0o660)
    monkeypatch.setattr(getpass, "getuser", lambda: "cook")
    problem, hint = missing_right(str(node)) or ("", "")
    assert "user `cook` may not open" in problem
    if node.stat().st_gid == 0:
        assert "dialout" in hint  # nobody is told to join the group root
    else:
        assert "usermod -aG" in hint


def test_no_right_is_missing_where_none_is(tmp_path: Path) -> None:
    write(tmp_path / "port")
    assert missing_right(str(tmp_path / "port")) is None
    assert missing_right(str(tmp_path / "gone")) is None


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOENT, DeviceNotFoundError),
        (errno.ENODEV, DeviceNotFoundError),
        (errno.ENOTTY, DeviceNotFoundError),
        (errno.EACCES, DevicePermissionError),
        (errno.EPERM, DevicePermissionError),
        (errno.EBUSY, DeviceBusyError),
        (errno.EAGAIN, DeviceBusyError),
        (errno.EIO, DeviceDisconnectedError),
        (errno.ENXIO, DeviceDisconnectedError),
        (errno.ENOMEM, DeviceError),
    ],
)
def test_each_refusal_of_the_system_has_its_error(machine: Machine, number: int, error: type[DeviceError]) -> None:
    path = str(machine.dev / "ttyUSB0")
    found = port_error(path, OSError(number, os.strerror(number)), machine)
    assert type(found) is error
    assert path in found.message
    assert found.hint


def test_a_missing_port_names_its_neighbours(machine: Machine) -> None:
    found = port_error(str(machine.dev / "ttyUSB1"), OSError(errno.ENOENT, ""), machine)
    assert "usb-1a86_USB_Serial" in str(found.hint) or "ttyS0" in str(found.hint)


def test_a_busy_port_names_the_program(machine: Machine) -> None:
    found = port_error(str(machine.dev / "ttyUSB0"), OSError(errno.EBUSY, ""), machine)
    assert "minicom (pid 11)" in found.message


def test_this_machine_can_be_looked_at() -> None:
    for port in ports():
        assert Path(port.path).exists()
