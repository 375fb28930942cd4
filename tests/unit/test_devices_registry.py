"""Drivers enter by entry points; a stranger's broken one is a row and an error with a hint, never a traceback."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

import pytest

from edusense.devices import drivers, find_driver, open_camera, open_reader, registry
from edusense.errors import DriverBrokenError, DriverMissingError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

STRANGERS = """
from edusense.devices import Driver

def fail(address, **settings):
    raise ZeroDivisionError("in open")

GOOD = Driver("good", "reader", "opens the wrong thing", "good:", lambda address: object(), options={"speed": "m/s"})
BUGGY = Driver("buggy", "reader", "fails", "buggy:", fail)
CAMERA = Driver("camera", "camera", "opens text", "camera:URL", lambda address, **settings: (address, settings))
MISNAMED = Driver("other", "reader", "", "other:", fail)
NOT_A_DRIVER = {"name": "dict"}
"""
POINTS = """[edusense.drivers]
good = strangers_drivers:GOOD
buggy = strangers_drivers:BUGGY
camera = strangers_drivers:CAMERA
misnamed = strangers_drivers:MISNAMED
dict = strangers_drivers:NOT_A_DRIVER
absent = strangers_drivers:NOWHERE
gone = no_such_module_anywhere:DRIVER
quits = quitting_driver:DRIVER
broken = broken_driver:DRIVER
rdm6300 = strangers_drivers:GOOD
"""


@pytest.fixture
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "strangers_drivers.py").write_text(STRANGERS)
    (tmp_path / "quitting_driver.py").write_text("raise SystemExit(3)")
    (tmp_path / "broken_driver.py").write_text("this is no Python")
    folder = tmp_path / "strangers-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.metadata, "entry_points", lambda **_: metadata.EntryPoints())


def test_our_drivers_are_installed_and_declared() -> None:
    ours = {row.name: row.driver for row in drivers() if row.distribution == "edusense-drivers"}
    assert {"rdm6300", "ccid"} <= set(ours)
    for name in ("rdm6300", "ccid"):
        driver = ours[name]
        assert driver is not None
        assert driver.kind == "reader"
        assert driver.address.startswith(f"{name}:")
        assert driver.summary
        assert driver.models
        assert all(len(usb) == 9 and usb == usb.lower() and usb[4] == ":" for usb in driver.usb_ids)


def test_a_strangers_broken_driver_is_a_row(strangers: None) -> None:
    rows = {row.name: row for row in drivers() if row.distribution == "strangers"}
    assert rows["good"].problem is None
    assert "ZeroDivisionError" not in str(rows["buggy"].problem)
    assert "ModuleNotFoundError" in str(rows["gone"].problem)
    assert "AttributeError" in str(rows["absent"].problem)
    assert "SystemExit" in str(rows["quits"].problem)
    assert "SyntaxError" in str(rows["broken"].problem)
    assert "dict" in str(rows["dict"].problem)
    assert "`other`" in str(rows["misnamed"].problem)
    assert rows["broken"].to_json()["problem"] == rows["broken"].problem


def test_a_name_that_is_taken_is_a_row(strangers: None) -> None:
    rows = [row for row in drivers("reader") if row.name == "rdm6300"]
    assert len(rows) == 2
    assert sum(row.problem is not None for row in rows) == 1


@pytest.mark.parametrize("name", ["gone", "absent", "quits", "broken", "dict", "misnamed"])
def test_opening_by_a_broken_driver_names_the_package(strangers: None, name: str) -> None:
    with pytest.raises(DriverBrokenError, match="strangers") as caught:
        open_reader(f"{name}:x")
    assert caught.value.hint


def test_a_bug_inside_a_driver_is_its_own_fault(strangers: None) -> None:
    with pytest.raises(DriverBrokenError, match="ZeroDivisionError: in open"):
        open_reader("buggy:x")
    with pytest.raises(DriverBrokenError, match="opened a object"):
        open_reader("good:x")
    with pytest.raises(DriverBrokenError, match="opened a tuple"):
        open_camera("camera:http://x", user="me")


def test_options_are_those_that_were_declared(strangers: None) -> None:
    with pytest.raises(UsageError, match="no option `sped`") as caught:
        open_reader("good:x?sped=1")
    assert caught.value.hint == "perhaps `speed`"


def test_a_camera_is_no_reader(strangers: None) -> None:
    with pytest.raises(UsageError) as caught:
        open_reader("camera:http://x")
    assert "open_camera" in str(caught.value.hint)
    with pytest.raises(UsageError):
        open_camera("rdm6300:/dev/ttyUSB0")


def test_an_unknown_driver_names_the_nearest() -> None:
    with pytest.raises(DriverMissingError) as caught:
        find_driver("rdm630")
    assert "perhaps `rdm6300`; " in str(caught.value.hint)


@pytest.mark.parametrize("address", ["rdm6300:/dev/ttyUSB0", "ccid:", "cid:"])
def test_without_the_drivers_package_it_is_told(nothing_installed: None, address: str) -> None:
    assert drivers() == []
    with pytest.raises(DriverMissingError) as caught:
        open_reader(address)
    assert "pip install edusense-drivers" in str(caught.value.hint)
