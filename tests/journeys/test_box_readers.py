"""Readers of a running box: verdicts shown on the reader itself, and damaged frames that `status` tells of."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edusense.devices import Card
from edusense.sim.reader_ccid import VirtualCcid

if TYPE_CHECKING:
    from tests.conftest import TinySchool

CARDS = ("em4100:010063E9AE", "iso14443a:04A1B2C3D4E5F6")


def test_a_worn_cable_shows_in_the_status_before_a_card_is_lost(tiny_school: TinySchool) -> None:
    tiny_school.start()
    tiny_school.until(lambda: tiny_school.row("terminal", "left")["reader_state"] == "connected")
    for fault in ("bad-checksum", "noise"):
        tiny_school.reader.fault(fault)
    tiny_school.tap(0)
    tiny_school.until(lambda: tiny_school.events("tap"))
    row = tiny_school.until(
        lambda: row if (row := tiny_school.row("terminal", "left"))["reader_stats"]["noise_bytes"] else None
    )
    stats = row["reader_stats"]
    assert stats["cards"] == 1
    assert stats["bad_frames"] == 1
    assert "check byte" in stats["last_fault"]
    tiny_school.reader.fault("wrong-baud")
    for _ in range(6):
        tiny_school.tap(1)
        time.sleep(0.3)
    told = tiny_school.until(lambda: [row for row in tiny_school.events("reader") if row["state"] == "suspect"])
    assert "9600 baud" in told[0]["reason"]
    assert tiny_school.row("terminal", "left")["reader_stats"]["suspicion"]


def test_the_verdict_is_shown_on_the_reader(tiny_school: TinySchool) -> None:
    with VirtualCcid(tiny_school.folder / "usb") as device:
        (tiny_school.folder / "roster.csv").write_text(
            (tiny_school.folder / "roster.csv").read_text("utf-8").replace(*CARDS), "utf-8"
        )
        port = f'driver = "rdm6300"\nport = "{tiny_school.reader.path}"'
        tiny_school.write_site(lambda text: text.replace(port, f'driver = "ccid"\nport = "sim:{device.path}"'))
        tiny_school.start()
        tiny_school.until(lambda: tiny_school.row("terminal", "left")["reader_state"] == "connected")
        for number in ("04A1B2C3D4E5F6", "9DCB4340"):
            device.tap(Card.parse(number))
            tiny_school.until(lambda number=number: any(number in row["card"] for row in tiny_school.events("tap")))
        tiny_school.until(lambda: len(device.model.lights) == 2)
        assert device.model.lights == [("green", 1), ("red", 2)]
        for row in tiny_school.events("tap"):
            assert row["shown"] is True
            assert row["shown_ms"] >= 0
