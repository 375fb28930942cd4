"""`edusense reader identify`, `test` and `vectors` on virtual readers, good ones and bad ones."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edusense.cli.reader import command
from edusense.cli.reader_check import _hold
from edusense.cli.schemas import validate
from edusense.devices import Card, Vector, find_driver
from edusense.errors import DeviceNotFoundError, DriverMissingError, UsageError
from edusense.sim.reader_ironlogic import VirtualIronLogic
from edusense.sim.reader_osdp import VirtualOsdp
from edusense.sim.reader_pn532 import VirtualPn532
from edusense.sim.reader_rdm6300 import VirtualRdm6300
from edusense.sim.reader_serial import VirtualSerial

TAG, OTHER, CARD = (Card.parse(f"em4100:{number}") for number in ("010063E9AE", "3C00CE754C", "55007EE424"))


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(command, list(arguments), standalone_mode=False)


def told(result: Any, name: str) -> list[dict[str, Any]]:
    assert result.exception is None, result.exception
    found = [json.loads(line) for line in result.stdout.splitlines()]
    for line in found:
        validate(name, line)
    return found


class Hand:
    """Taps cards on a reader again and again while a command listens."""

    def __init__(self, *acts: Callable[[], object], pause_s: float = 0.4) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(acts, pause_s), daemon=True)

    def _run(self, acts: tuple[Callable[[], object], ...], pause_s: float) -> None:
        while not self._stop.wait(pause_s):
            for act in acts:
                act()
                if self._stop.wait(pause_s):
                    return

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.mark.parametrize(
    ("make", "address"),
    [
        (VirtualRdm6300, "rdm6300:{}"),
        (lambda: VirtualRdm6300(variant="id-la"), "rdm6300:{}"),
        (lambda: VirtualRdm6300(variant="em-18"), "rdm6300:{}?framing=bare"),
        (lambda: VirtualRdm6300(variant="binary"), "rdm6300:{}?framing=binary"),
        (VirtualIronLogic, "ironlogic:{}"),
        (lambda: VirtualIronLogic(network_id=19997), "ironlogic:{}"),
    ],
)
def test_the_protocol_that_speaks_is_named(make: Callable[[], VirtualSerial], address: str) -> None:
    with make() as device, Hand(lambda: device.tap(CARD, 0.15)):
        best, *_ = told(invoke("identify", str(device.path), "--json", "--timeout", "15"), "reader identify")
    assert best["address"] == address.format(device.path)
    assert best["cards"] == [str(CARD)]
    assert best["explained"] == 1.0
    assert "good frame" in best["evidence"]


def settled(device: VirtualPn532) -> int:
    """How many commands have come, once no more come: the last question may still lie in the line."""
    count, quiet_since = -1, time.monotonic()
    while time.monotonic() - quiet_since < 0.5:
        if (now := len(device.model.commands)) != count:
            count, quiet_since = now, time.monotonic()
        time.sleep(0.02)
    return count


def test_a_reader_that_speaks_when_spoken_to_is_asked() -> None:
    with VirtualPn532() as device:
        (found,) = told(invoke("identify", str(device.path), "--json"), "reader identify")
        assert found["address"] == f"pn532:{device.path}"
        before = settled(device)
        result = invoke("identify", str(device.path), "--no-ask", "--timeout", "0.5")
        assert result.return_value == 1
        assert "said nothing in 0.5 s" in result.stderr
        assert len(device.model.commands) == before


def test_a_reader_with_keys_is_asked_without_them() -> None:
    with VirtualOsdp(address=5, key=bytes(range(16))) as device:
        (found,) = told(invoke("identify", str(device.path), "--json"), "reader identify")
    assert found["address"] == f"osdp:{device.path}?address=5"


def test_a_gps_receiver_is_no_reader() -> None:
    sentence = b"$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76\r\n"
    with VirtualRdm6300() as device, Hand(lambda: device.send(sentence), pause_s=0.1):
        result = invoke("identify", str(device.path), "--timeout", "2")
    assert result.return_value == 1
    assert result.stdout == ""
    assert "GPS" in result.stderr


def test_a_port_that_is_not_there() -> None:
    assert isinstance(invoke("identify", "/dev/no-such-port").exception, DeviceNotFoundError)


def test_a_good_reader_passes() -> None:
    with VirtualRdm6300() as device, Hand(lambda: device.tap(TAG, 0.1), lambda: device.tap(OTHER, 0.1)):
        result = invoke("test", device.address, "--cards", "3", "--timeout", "30", "--latency", "5", "--json")
    (row,) = told(result, "reader test")
    assert result.return_value == 0
    assert row["passed"]
    assert (row["cards"], row["different"], row["read_rate"]) == (3, 2, 1.0)
    assert row["latency_max_s"] is not None


def test_a_worn_cable_fails() -> None:
    def tap() -> None:
        device.fault("bad-checksum")
        device.tap(TAG, 0.1)

    with VirtualRdm6300() as device, Hand(tap, pause_s=0.6):
        result = invoke("test", device.address, "--cards", "2", "--timeout", "30", "--latency", "5")
    assert result.return_value == 1
    assert "FAILED: only" in result.stdout
    assert "frames were good (check " in result.stdout


def test_a_reader_that_nobody_uses_fails() -> None:
    with VirtualRdm6300() as device:
        result = invoke("test", device.address, "--timeout", "0.3")
    assert result.return_value == 1
    assert "0 of 10 cards were read in time" in result.stdout


def test_a_reader_that_is_unplugged_meanwhile_fails() -> None:
    with VirtualRdm6300() as device:
        timer = threading.Timer(0.5, device.unplug)
        timer.start()
        started = time.monotonic()
        result = invoke("test", device.address, "--json")
        timer.join()
    (row,) = told(result, "reader test")
    assert result.return_value == 1
    assert "is gone" in row["failure"]
    assert time.monotonic() - started < 20


def test_numbers_drawn_anew_fail() -> None:
    with VirtualPn532() as device:
        device.place(Card.parse("iso14443a:0804FB0E"))
        result = invoke("test", device.address, "--cards", "1", "--latency", "5")
    assert result.return_value == 1
    assert "identify nobody" in result.stdout


def test_a_port_without_a_protocol_leads_to_identify(tmp_path: Path) -> None:
    error = invoke("test", "/dev/ttyUSB0").exception
    assert isinstance(error, UsageError)
    assert "edusense reader identify /dev/ttyUSB0" in (error.hint or "")


def test_all_published_frames_are_read_as_published() -> None:
    result = invoke("vectors", "--json")
    held = told(result, "reader vectors")
    assert result.return_value == 0
    assert {line["driver"] for line in held} >= {"rdm6300", "ironlogic", "pn532"}
    assert all(line["ok"] for line in held)
    wrong = [line for line in held if line["expected"] is None]
    assert len(wrong) >= 3
    assert all("computed" in line["problem"] or "parity" in line["problem"] for line in wrong)


def test_the_vectors_of_one_driver() -> None:
    held = told(invoke("vectors", "ironlogic", "--json"), "reader vectors")
    assert {line["driver"] for line in held} == {"ironlogic"}
    assert len(held) == 12
    assert isinstance(invoke("vectors", "ironlogik").exception, DriverMissingError)


@pytest.mark.parametrize(
    ("vector", "problem"),
    [
        (Vector("nobody", b"\x02010063E9AE25\x03", "em4100:010063E9AF"), None),
        (Vector("nobody", b"\x02010063E9AE25\x03", None), None),
        (Vector("nobody", b"\x02010063E9AE26\x03", "em4100:010063E9AE"), "check byte 0x26"),
        (Vector("nobody", b"", None, "framing=morse"), "no dialect `framing=morse`"),
    ],
)
def test_a_driver_that_reads_otherwise_is_found_out(vector: Vector, problem: str | None) -> None:
    line = _hold(find_driver("rdm6300"), vector)
    assert not line["ok"]
    assert problem is None or problem in line["problem"]
