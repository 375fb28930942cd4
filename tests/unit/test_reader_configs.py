"""Readers' models and udev rules agree with what the drivers declare."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from edusense.devices import TECHNOLOGIES, drivers, find_driver
from edusense.devices.port_scan import udev_rule

ROOT = Path(__file__).parents[2] / "firmware_configs"
MODELS = sorted((ROOT / "readers").glob("*.toml"))
RULES = (ROOT / "readers/70-edusense.rules").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_each_model_has_its_driver(path: Path) -> None:
    model = tomllib.loads(path.read_text(encoding="utf-8"))
    driver = find_driver(model["driver"])
    assert any(model["model"] in declared.name for declared in driver.described_models)
    assert set(model["technologies"]) <= set(TECHNOLOGIES)
    assert driver.serial == ("serial" in model)
    if "usb" in model:
        assert model["usb"] in driver.usb_ids
    assert model["checked"]
    assert set(model.get("address_options", {})) <= set(driver.options)
    for bad in model.get("known_bad", []):
        assert bad["firmware"]
        assert bad["why"]


def test_every_declared_usb_reader_has_its_rule() -> None:
    ours = [row.driver for row in drivers("reader") if row.distribution == "edusense-drivers" and row.driver]
    for driver in ours:
        for usb_id in driver.usb_ids:
            vendor, product = usb_id.split(":")
            if driver.serial:
                assert (
                    f'ATTRS{{idVendor}}=="{vendor}", ATTRS{{idProduct}}=="{product}", ENV{{ID_MM_PORT_IGNORE}}' in RULES
                )
            elif driver.name == "keyboard":
                assert (
                    f'SUBSYSTEM=="input", KERNEL=="event*", ATTRS{{idVendor}}=="{vendor}", '
                    f'ATTRS{{idProduct}}=="{product}", MODE="0660", GROUP="dialout"'
                ) in RULES
            else:
                assert udev_rule(usb_id) in RULES


def test_rules_are_rules() -> None:
    for line in RULES.splitlines():
        assert not line or line.startswith(("#", 'SUBSYSTEM=="'))
        if line.startswith("SUBSYSTEM"):
            assert line.count('"') % 2 == 0
            assert all("=" in part for part in line.split(", "))
