"""Virtual readers: what they do, when, and how they misbehave."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import serial

from edusense.devices import Card
from edusense.errors import CardError, UsageError
from edusense.sim.ccid_model import FAULTS, CcidModel
from edusense.sim.reader_ccid import VirtualCcid
from edusense.sim.reader_rdm6300 import VirtualRdm6300, frame
from edusense.sim.reader_script import Step, load_script, play
from edusense.sim.reader_serve import Misbehaving, serve

TAG, CARD = Card.parse("em4100:010063E9AE"), Card.parse("iso14443a:04A1B2C3D4E5F6")


def read(port: serial.Serial, seconds: float) -> bytes:
    port.timeout = seconds
    return bytes(port.read(100_000))


def test_a_strangers_serial_program_reads_a_frame_every_50_ms() -> None:
    with VirtualRdm6300() as device, serial.Serial(str(device.path), 9600) as port:
        device.tap(TAG, 0.45)
        got = read(port, 0.8)
    assert got == frame(TAG) * (len(got) // 14)
    assert 6 <= len(got) // 14 <= 11


def test_id_la_speaks_once_for_a_card() -> None:
    with VirtualRdm6300(variant="id-la") as device, serial.Serial(str(device.path), 9600) as port:
        device.tap(TAG, 0.3)
        got = read(port, 0.5)
        device.tap(TAG, 0.1)
        assert got == frame(TAG, "id-la") == read(port, 0.3)


def test_even_the_shortest_tap_is_one_frame() -> None:
    with VirtualRdm6300() as device, serial.Serial(str(device.path), 9600) as port:
        device.tap(TAG, 0)
        assert read(port, 0.2) == frame(TAG)


def test_bytes_that_nobody_listens_to_are_lost() -> None:
    with VirtualRdm6300() as device:
        device.tap(TAG, 0)
        assert device.send(b"lost") is False
        time.sleep(0.1)
        assert device.frames_sent == 0
        with serial.Serial(str(device.path), 9600) as port:
            assert device.wait_open(1)
            assert device.send(b"heard") is True
            assert read(port, 0.1) == b"heard"


def test_a_listener_that_sleeps_loses_bytes_and_blocks_nobody() -> None:
    with VirtualRdm6300() as device, serial.Serial(str(device.path), 9600):
        outcomes = {device.send(frame(TAG)) for _ in range(2000)}
        assert outcomes == {True, False}


@pytest.mark.parametrize("fault", ["bad-checksum", "noise", "half-frame"])
def test_a_fault_spoils_one_frame(fault: str) -> None:
    with VirtualRdm6300() as device, serial.Serial(str(device.path), 9600) as port:
        device.fault(fault)
        device.tap(TAG, 0.12)
        got = read(port, 0.3)
        assert not got.startswith(frame(TAG))
        assert got.endswith(frame(TAG))


def test_unplugging_takes_the_port_away_and_replugging_brings_it_back(tmp_path: Path) -> None:
    path = tmp_path / "reader"
    with VirtualRdm6300(path) as device:
        assert path.is_symlink()
        device.unplug()
        device.unplug()
        assert not path.is_symlink()
        device.replug()
        device.replug()
        assert path.exists()
        device.fault("unplug")
        assert not path.is_symlink()
        deadline = time.monotonic() + 5
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert path.exists()
    assert not path.is_symlink()


def test_what_is_already_there_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "important"
    path.write_text("data")
    with pytest.raises(UsageError):
        VirtualRdm6300(path)
    with pytest.raises(UsageError):
        VirtualCcid(path)
    with pytest.raises(UsageError, match="too long"):
        VirtualCcid(tmp_path / ("x" * 120))
    assert path.read_text() == "data"


def test_a_reader_sees_only_its_own_kind_of_card() -> None:
    with VirtualRdm6300() as serial_reader, VirtualCcid() as usb_reader:
        with pytest.raises(CardError):
            serial_reader.tap(CARD)
        with pytest.raises(CardError):
            serial_reader.tap(Card.parse("099,59822"))
        with pytest.raises(CardError):
            usb_reader.tap(TAG)
        for reader in (serial_reader, usb_reader):
            with pytest.raises(UsageError):
                reader.fault("no-such-fault")


def test_the_model_answers_as_an_acr122u() -> None:
    model = CcidModel()

    def exchange(apdu: str) -> str:
        data = bytes.fromhex(apdu)
        model.bulk_out(b"\x6f" + len(data).to_bytes(4, "little") + b"\0\7\0\0\0" + data)
        answer = model.bulk_in()
        assert answer is not None
        assert answer[6] == 7
        return answer[10:].hex().upper()

    assert exchange("FFCA000000") == ""  # no card
    model.place(CARD.uid)
    assert exchange("FFCA000000") == "04A1B2C3D4E5F69000"
    assert exchange("FFCA000004") == "6C07"
    assert exchange("FFCA010000") == "6A81"
    assert bytes.fromhex(exchange("FF00480000")) == b"ACR122U214"
    assert exchange("FF0000000 2D402".replace(" ", "")) == "D503320106079000"
    assert exchange("FF00000004D44A0100") == "D54B010100440007" + "04A1B2C3D4E5F6" + "9000"
    assert exchange("FF00400004") == "9000"
    assert exchange("00A4040000") == "6A81"


def test_no_message_to_the_model_is_fatal() -> None:
    model = CcidModel()
    model.place(CARD.uid)
    for message in (b"", b"\x65", bytes(10), b"\x6f" + b"\xff" * 30, b"\x61" + bytes(9), b"\x6b" + bytes(9)):
        model.bulk_out(message)
    for fault in FAULTS:
        model.fault(fault)
    for kind in range(256):
        model.bulk_out(bytes([kind]) + bytes(9))
    with pytest.raises(ValueError, match="nothing"):
        model.fault("nothing")


def test_no_request_to_the_socket_is_fatal() -> None:
    with VirtualCcid() as device, socket.socket(socket.AF_UNIX) as client:
        assert oct(device.path.stat().st_mode & 0o777) == "0o600"
        client.connect(str(device.path))
        with client.makefile("rwb") as lines:
            for request in (
                b"not json",
                b"[]",
                b"{}",
                b'{"op":"claim"}',
                b'{"op":"in","endpoint":9,"size":1,"timeout_ms":1}',
                b'{"op":"out","endpoint":2,"data":"zz"}',
                b'{"op":"in","endpoint":130,"size":"x","timeout_ms":1}',
                b'{"op":"in","endpoint":130,"size":64,"timeout_ms":1}',
                b'{"op":"out","endpoint":2,"data":"00"}',
                b'{"op":"control","type":1,"request":1,"value":1,"index":0,"size":1}',
            ):
                lines.write(request + b"\n")
                lines.flush()
                answer = json.loads(lines.readline())
                assert set(answer) & {"error", "written", "ticket"} or answer == {}
            lines.write(b'{"op":"describe"}\n')
            lines.flush()
            assert json.loads(lines.readline())["device"].startswith("1201")


class Recorder:
    faults = ("noise",)

    def __init__(self) -> None:
        self.done: list[object] = []

    def tap(self, card: Card, hold_s: float = 0.2) -> None:
        self.done.append((card, hold_s))

    def fault(self, name: str) -> None:
        self.done.append(name)


class JumpingClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.seconds += max(0.0, seconds)
        return event.is_set()


def test_a_script_is_played_in_the_order_of_time(tmp_path: Path) -> None:
    path = tmp_path / "lunch.toml"
    path.write_text(
        '[[at]]\nseconds = 60\ncard = "em4100:010063E9AE"\nhold = 1.5\n[[at]]\nseconds = 2.5\nfault = "noise"\n'
    )
    steps = load_script(path, Recorder.faults)
    assert steps == [Step(2.5, fault="noise"), Step(60.0, TAG, 1.5)]
    reader, clock = Recorder(), JumpingClock()
    assert play(reader, steps, threading.Event(), clock)
    assert reader.done == ["noise", (TAG, 1.5)]
    assert clock.seconds == 60.0
    stopped = threading.Event()
    stopped.set()
    assert not play(reader, steps, stopped, clock)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("not toml", "is no TOML"),
        ("at = 3", "no script"),
        ("[other]\nx = 1", "no script"),
        ("[[at]]\nseconds = 1", "number 1 needs either"),
        ('[[at]]\ncard = "010063E9AE"\nfault = "noise"', "needs either"),
        ('[[at]]\ncard = "010063E9AE"\ncolour = 1', "unknown `colour`"),
        ('[[at]]\nseconds = -1\nfault = "noise"', "`seconds` is `-1`"),
        ('[[at]]\nseconds = true\nfault = "noise"', "`seconds`"),
        ('[[at]]\nfault = "explode"', "no fault `explode`"),
        ('[[at]]\ncard = "hello"', "no card's number"),
        ('[[at]]\ncard = "0006547886"', "only a part"),
    ],
)
def test_a_script_that_makes_no_sense(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "script.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=what) as caught:
        load_script(path, Recorder.faults)
    assert caught.value.hint
    with pytest.raises(UsageError):
        load_script(tmp_path / "absent.toml", ())


def test_a_reader_that_always_misbehaves() -> None:
    reader = Recorder()
    Misbehaving(reader, ["noise"]).tap(TAG, 1.0)
    assert reader.done == ["noise", (TAG, 1.0)]


def test_cards_are_typed_and_the_end_is_clean() -> None:
    reader, said = Recorder(), []
    typed, keyboard = os.pipe()
    os.write(keyboard, b"em4100:010063E9AE\nnonsense\n\nnoi")
    os.write(keyboard, b"se\n")
    os.close(keyboard)
    before = signal.getsignal(signal.SIGTERM)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    serve(reader, [], say=said.append, typed=typed)
    timer.join()
    os.close(typed)
    assert reader.done == [(TAG, 0.2), "noise"]
    assert said[0] == "tap em4100:010063E9AE"
    assert "no card's number" in said[1]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_reader_may_end_with_its_script() -> None:
    reader = Recorder()
    serve(reader, [Step(0.0, TAG)], say=print, typed=None, stay=False)
    assert reader.done == [(TAG, 0.2)]


def test_the_emulator_for_other_programs_needs_nothing_but_the_model() -> None:
    # It runs under the system's Python, which has none of our dependencies.
    code = (
        "import sys, edusense.sim.ccid_umockdev;"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in "
        "{'click', 'numpy', 'serial', 'usb', 'pydantic', 'edusense_drivers'} or name.startswith('edusense.devices')))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
