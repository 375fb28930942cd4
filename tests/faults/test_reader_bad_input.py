"""What may be wrong with a reader, a card or a line, one after another: each has its message, its hint and its code."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edusense.cli.reader import command
from edusense.devices import Card, fault_hint, open_reader
from edusense.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceNotFoundError,
    DeviceProtocolError,
    DeviceRefusedError,
    DeviceTimeoutError,
    UsageError,
)
from edusense.sim import reader_ccid
from edusense.sim.ccid_model import CcidModel
from edusense.sim.reader_ccid import VirtualCcid
from edusense.sim.reader_keyboard import VirtualKeyboard, keys
from edusense.sim.reader_osdp import VirtualOsdp
from edusense.sim.reader_rdm6300 import VirtualRdm6300
from edusense_drivers.readers import em4100_frames, ironlogic_lines
from edusense_drivers.readers.frames import StreamDecoder
from edusense_drivers.readers.stream_source import StreamSource
from edusense_drivers.readers.usb_socket import SocketBackend

TAG, CARD = Card.parse("em4100:010063E9AE"), Card.parse("iso14443a:04A1B2C3D4E5F6")
NMEA = b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n"


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(command, list(arguments), standalone_mode=False)


def said_of(error: BaseException | None, kind: type[DeviceError], code: str, message: str, hint: str) -> None:
    assert isinstance(error, kind), repr(error)
    assert error.code == code
    assert message in error.message
    assert error.hint is not None
    assert hint in error.hint


def test_a_port_that_is_missing() -> None:
    result = invoke("listen", "rdm6300:/dev/ttyUSB77")
    said_of(
        result.exception, DeviceNotFoundError, "device-not-found", "no port `/dev/ttyUSB77`", "edusense reader ports"
    )
    assert DeviceNotFoundError.exit_status == 4


def test_a_driver_without_a_port_and_a_port_without_a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDUSENSE_SITE", raising=False)
    bare, port = invoke("listen", "rdm6300").exception, invoke("listen", "/dev/ttyUSB77").exception
    assert isinstance(bare, UsageError)
    assert isinstance(port, UsageError)
    assert "rdm6300:PORT" in str(bare.hint)
    assert "edusense reader identify /dev/ttyUSB77" in str(port.hint)


def test_a_port_that_another_program_holds() -> None:
    code = "import fcntl, os, sys, time; f = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY); "
    code += "fcntl.flock(f, fcntl.LOCK_EX); print('open', flush=True); time.sleep(60)"
    with VirtualRdm6300() as device:
        holder = subprocess.Popen([sys.executable, "-c", code, str(device.path)], stdout=subprocess.PIPE, text=True)
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "open\n"
            result = invoke("listen", device.address)
        finally:
            holder.kill()
            holder.communicate()
    said_of(result.exception, DeviceBusyError, "device-busy", f"(pid {holder.pid})", "stop that program")


@pytest.fixture
def strange_port() -> Iterator[Any]:
    """A port with another device behind it: what it says, again and again."""
    master, slave = os.openpty()
    tty.setraw(slave)
    stop = threading.Event()
    threads = []

    def port(said: bytes) -> str:
        def speak() -> None:
            while not stop.wait(0.03):
                os.write(master, said)

        os.set_blocking(master, True)
        threads.append(threading.Thread(target=speak))
        threads[0].start()
        return os.ttyname(slave)

    yield port
    stop.set()
    threads[0].join(0.2)
    os.close(slave)
    os.close(master)


@pytest.mark.parametrize(("said", "told"), [(NMEA, "a GPS receiver"), (b"\r\n+CREG: 0,1\r\nRING\r\n", "a modem")])
def test_what_is_no_reader_at_all(strange_port: Any, said: bytes, told: str) -> None:
    port = strange_port(said)
    heard = invoke("listen", f"rdm6300:{port}", "--timeout", "1")
    assert heard.return_value == 1
    assert f"it looks like {told}" in heard.stderr
    assert "edusense reader identify" in heard.stderr
    found = invoke("identify", port, "--no-ask", "--timeout", "1")
    assert found.return_value == 1
    assert f"hint: it looks like {told}" in found.stderr


def test_a_driver_that_asks_says_what_answers_instead(strange_port: Any) -> None:
    with pytest.raises(DeviceTimeoutError) as caught:
        open_reader(f"pn532:{strange_port(NMEA)}")
    said_of(caught.value, DeviceTimeoutError, "device-timeout", "it looks like a GPS receiver", "switches")


class _Shared(CcidModel):
    """A device under the vendor's number of a maker of printers, one of whose numbers a clone has taken."""

    interface_class = 0x07

    @staticmethod
    def device_descriptor() -> bytes:
        return struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0, 0, 0, 8, 0x04B8, 0x0202, 0x0214, 1, 2, 0, 1)

    @classmethod
    def configuration_descriptor(cls) -> bytes:  # type: ignore[override]
        told = bytearray(CcidModel.configuration_descriptor())
        told[9 + 5] = cls.interface_class
        return bytes(told)


@pytest.mark.parametrize("kind", [0x07, 0x0B])
def test_a_printers_vendor_number_that_a_clone_shares(monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    import libusb_package

    monkeypatch.setattr(reader_ccid, "CcidModel", type("Model", (_Shared,), {"interface_class": kind}))
    with VirtualCcid() as device:
        backend = SocketBackend(str(device.path))
        monkeypatch.setattr(libusb_package, "get_libusb1_backend", lambda: backend)
        if kind == 0x0B:
            device.place(CARD)
            with open_reader("ccid:04b8:0202") as reader:
                assert reader.read(10) == CARD
            return
        with pytest.raises(DeviceNotFoundError) as caught:
            open_reader("ccid:04b8:0202")
        said_of(
            caught.value, DeviceNotFoundError, "device-not-found",
            "04b8:0202 is a printer, and no reader of class CCID", "`edusense reader ports`",
        )  # fmt: skip
        with pytest.raises(DeviceNotFoundError, match="no USB reader of class CCID"):
            open_reader("ccid:")  # nobody's printer is taken for the first reader


class _Line:
    """A port whose bytes are there already."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def read(self, timeout: float | None) -> bytes:
        self._at += 4096
        return self._data[self._at - 4096 : self._at]

    def wake(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize("decoder", [em4100_frames.Decoder(), ironlogic_lines.Decoder()])
def test_an_hour_of_garbage_is_told_and_costs_no_memory(decoder: StreamDecoder) -> None:
    hour = bytes(range(0x80, 0x100)) * (9600 // 10 * 3600 // 128)
    good = b"\r\n\x02010063E9AE25\x03Em-Marine[0100] 099,59822\r\n"
    source = StreamSource(_Line(hour + good), decoder, baud=9600)
    told: list[str] = []
    source.watch(lambda trace: told.append(trace.text) if trace.weight == "urgent" else None)
    cards = []
    for _ in range(len(hour) // 4096 + 2):
        cards += source.wait()
    assert cards == [TAG]
    assert decoder.pending <= ironlogic_lines.LONGEST
    assert len(told) == 1, "said once, not for an hour"
    assert "does not speak at 9600 baud" in told[0]
    assert "edusense reader identify" in told[0]


@pytest.mark.parametrize(
    ("sent", "reason", "message"),
    [
        (b"\x02" + b"0" * 200 + b"\x03", "too-long", "where the frame ends"),
        (b"\x02000000000000\x03", "empty", "a tag number of zeros"),
        (b"\x02010063E9AE26\x03", "check", "check byte 0x26, computed 0x25"),
        (b"\x02010063E9AG25\x03", "not-hex", "byte 0x47 where a hex digit stands"),
    ],
)
def test_a_frame_that_is_none_is_told_with_its_place_its_word_and_a_hint(
    sent: bytes, reason: str, message: str
) -> None:
    with VirtualRdm6300() as device:
        # What lies in the port when it is opened is thrown away: the frame comes once it is listened to.
        def send() -> None:
            if device.wait_open(10):
                time.sleep(1.0)
                device.send(sent)
                device.tap(TAG, 0.2)

        sender = threading.Thread(target=send)
        sender.start()
        result = invoke("listen", device.address, "--count", "1", "--timeout", "20")
        sender.join()
    assert result.return_value == 0
    assert re.search(rf"frame ending at byte \d+: .*{re.escape(message)}.* \({reason}\)", result.stderr), result.stderr
    assert f"hint: {fault_hint(reason)}" in result.stderr
    assert result.stdout.startswith(f"{device.address}  em4100:010063E9AE")


def test_a_card_that_tells_no_number() -> None:
    with VirtualCcid() as device:
        device.fault("no-uid")
        device.place(CARD)
        result = invoke("listen", device.address, "--count", "1", "--timeout", "20")
    assert result.return_value == 0  # the reader is asked again
    assert "the card told no number (no-uid)" in result.stderr
    assert f"hint: {fault_hint('no-uid')}" in result.stderr


def test_typed_text_that_is_no_number() -> None:
    with VirtualKeyboard(layout="digits") as device, open_reader(device.address) as reader:
        notes: list[tuple[str, str]] = []
        reader.trace = lambda trace: notes.append((trace.reason, trace.text)) if trace.reason else None
        device.send(keys("hello\n"))
        device.tap(TAG, 0.1)
        assert reader.read(10) == Card.parse("em4100:0063E9AE")
    assert [reason for reason, _ in notes] == ["not-number"]
    assert "`HELLO` is no number in the layout `digits`" in notes[0][1]
    assert "layout" in (fault_hint("not-number") or "")


def test_a_wrong_key(tmp_path: Path) -> None:
    pytest.importorskip("osdp")
    path = tmp_path / "osdp.key"
    path.touch(mode=0o600)
    path.write_text(bytes(range(16)).hex())
    with VirtualOsdp(key=bytes(range(1, 17))) as device:
        result = invoke("listen", f"{device.address}&key=file:{path}", "--timeout", "20")
    said_of(result.exception, DeviceRefusedError, "device-refused", "another key", "factory reset")
    assert DeviceRefusedError.exit_status == 5


def test_an_apdu_that_is_answered_with_more_bytes_than_asked() -> None:
    with VirtualCcid() as device, open_reader(device.address) as reader:
        device.place(Card.parse("type-4-tag:04112233445566"))
        assert reader.read(10) is not None
        for apdu in ("00A4040007D276000085010100", "00A4000C02E103"):  # its application, its file of capabilities
            assert reader.exchange(bytes.fromhex(apdu))[-2:] == b"\x90\x00"
        device.fault("too-long")
        with pytest.raises(DeviceProtocolError) as caught:
            reader.exchange(bytes.fromhex("00B000000F"))
        said_of(caught.value, DeviceProtocolError, "device-protocol", "asked for at most 15", "")
        # The card is not at fault for ever.
        assert reader.exchange(bytes.fromhex("00B000000F"))[-2:] == b"\x90\x00"
