"""The PN532's frames as published, in every split of their bytes, and the driver on a chip that misbehaves."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.devices import Card, Reader, open_reader
from edusense.errors import CardError, DeviceTimeoutError
from edusense.sim.pn532_model import Pn532Model
from edusense.sim.pn532_model import _frame as virtual_frame
from edusense.sim.reader_pn532 import VirtualPn532
from edusense.sim.reader_rdm6300 import VirtualRdm6300
from edusense_drivers.readers.frames import BadFrame, Noise
from edusense_drivers.readers.pn532_frames import (
    ACK,
    LONGEST,
    NACK,
    Ack,
    Decoder,
    Event,
    Message,
    Nack,
    encode,
    targets_106a,
)

# NXP UM0701-02; jinmi8.com; raspberrypi.stackexchange 133944.
FIRMWARE = bytes.fromhex("00 00 FF 06 FA D5 03 32 01 06 07 E8 00")
SAM = bytes.fromhex("00 00 FF 02 FE D5 15 16 00")
LISTED = bytes.fromhex("00 00 FF 0C F4 D5 4B 01 01 00 04 08 04 FB 0E E2 0B D8 00")
ERROR = bytes.fromhex("00 00 FF 01 FF 7F 81 00")
FIRST, SECOND = Card.parse("iso14443a:04A1B2C3D4E5F6"), Card.parse("iso14443a:9DCB4340")


def messages(events: list[Event]) -> list[bytes]:
    return [event.data for event in events if isinstance(event, Message)]


@pytest.mark.parametrize(
    ("wire", "data"),
    [(FIRMWARE, "D503 32010607"), (SAM, "D515"), (LISTED, "D54B 01 01 0004 08 04 FB0EE20B"), (ERROR, "7F")],
)
def test_published_answers_in_every_split(wire: bytes, data: str) -> None:
    for cut in range(len(wire) + 1):
        decoder = Decoder()
        assert messages(decoder.push(wire[:cut]) + decoder.push(wire[cut:])) == [bytes.fromhex(data)]
        assert decoder.pending <= 1  # a postamble may be the next preamble
    assert encode(bytes.fromhex(data)) == virtual_frame(bytes.fromhex(data)) == wire


@pytest.mark.parametrize(
    ("data", "wire"),
    [
        ("D4 02", "00 00 FF 02 FE D4 02 2A 00"),
        ("D4 4A 01 00", "00 00 FF 04 FC D4 4A 01 00 E1 00"),
        ("D4 14 01 17", "00 00 FF 04 FC D4 14 01 17 00 00"),
        # nfcpy's init() sends this one with a time limit of zero.
        ("D4 14 01 00 00", "00 00 FF 05 FB D4 14 01 00 00 17 00"),
    ],
)
def test_published_commands(data: str, wire: str) -> None:
    assert encode(bytes.fromhex(data)) == bytes.fromhex(wire)


def test_the_published_card() -> None:
    (target,) = targets_106a(bytes.fromhex("01 01 00 04 08 04 FB 0E E2 0B"))
    assert (target.uid.hex(), target.sens_res.hex(), target.sel_res) == ("fb0ee20b", "0004", 0x08)


def test_a_card_with_an_answer_to_select_and_another_behind_it() -> None:
    both = bytes.fromhex("02 01 0344 20 07 04A1B2C3D4E5F6 06 757781028000"[:-2] + "02 0004 08 04 9DCB4340")
    one, other = targets_106a(both)
    assert one.ats.hex() == "067577810280"
    assert other.uid.hex() == "9dcb4340"


@pytest.mark.parametrize(
    "data", ["", "01", "01 01 0004 08", "01 01 0004 08 04 FB0E", "01 01 0344 20 04 01020304 09 75"]
)
def test_an_answer_that_is_cut_short(data: str) -> None:
    with pytest.raises(ValueError, match=r"card|select"):
        targets_106a(bytes.fromhex(data))


def test_ack_nack_and_extended_frames_are_not_taken_for_each_other() -> None:
    long = bytes([0xD5, 0x01, *range(254)]) + bytes(6)
    assert encode(long)[:5] == b"\x00\x00\xff\xff\xff"
    assert encode(long) == virtual_frame(long)
    events = Decoder().push(ACK + NACK + encode(long) + ACK + FIRMWARE)
    assert [type(event) for event in events] == [Ack, Nack, Message, Ack, Message]
    assert messages(events)[0] == long
    assert Decoder().push(encode(bytes(255))) == [Message(bytes(255), encode(bytes(255))[1:-1], 260)]


@pytest.mark.parametrize(
    ("wire", "reason", "message"),
    [
        ("00 00 FF 06 FA D5 03 32 01 06 07 E9 00", "check", "frame ending at byte 11: check sum 0xE9, computed 0xE8"),
        ("00 00 FF 06 FB D5 03 32 01 06 07 E8 00", "length", "frame ending at byte 4: the length's check sum is wrong"),
        ("00 00 FF FF FF 01 00 FE D5", "length", "frame ending at byte 7: the length's check sum is wrong"),
        ("00 00 FF FF FF 7F FF 82 D5", "length", "a length of 32767 bytes"),
        ("00 00 FF 00 00 00", "length", "a length of 0 bytes"),
    ],
)
def test_a_fault_has_coordinates(wire: str, reason: str, message: str) -> None:
    bad = next(event for event in Decoder().push(bytes.fromhex(wire)) if isinstance(event, BadFrame))
    assert bad.reason == reason
    assert message in bad.message


mutated = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.binary(min_size=1, max_size=40).map(encode),
        st.sampled_from([ACK, NACK, ERROR, LISTED, b"\x00\xff", b"\x00\x00\xff\xff\xff", bytes(5)]),
        st.sampled_from([LISTED, FIRMWARE]).flatmap(lambda wire: st.integers(0, len(wire)).map(lambda cut: wire[:cut])),
    ),
    max_size=8,
).map(b"".join)


@given(mutated, st.lists(st.integers(0, 300), max_size=6))
def test_any_bytes_in_any_pieces_give_the_same_events(wire: bytes, cuts: list[int]) -> None:
    def told(pieces: list[bytes]) -> list[Event]:
        decoder = Decoder()
        events = []
        for piece in pieces:
            events += decoder.push(piece)
            assert decoder.pending <= LONGEST + 8
        return [event for event in events if not isinstance(event, Noise)]

    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    pieces = [wire[start:end] for start, end in itertools.pairwise(places)]
    assert told(pieces) == told([wire]) == told([bytes([byte]) for byte in wire])


@given(st.binary(max_size=100), st.binary(min_size=1, max_size=60))
def test_a_good_frame_is_found_after_garbage(garbage: bytes, data: bytes) -> None:
    # Garbage that ends like the head of a long frame holds on until that is over.
    events = Decoder().push(garbage + bytes(LONGEST + 8) + encode(data))
    assert messages(events)[-1] == data


def test_frames_that_were_held_for_a_longer_one_are_all_found() -> None:
    # A head that announces 15 bytes swallows a frame and the beginning of the next; neither may be lost.
    wire = bytes.fromhex("00FF0FF1") + encode(b"\xd5A\x00\x04\x90\x00") + encode(b"\xd5\x032\x01\x06\x07") + bytes(20)
    assert messages(Decoder().push(wire)) == [b"\xd5A\x00\x04\x90\x00", b"\xd5\x032\x01\x06\x07"]


@given(st.lists(st.binary(max_size=30), max_size=10))
def test_the_virtual_chip_survives_anything(pieces: list[bytes]) -> None:
    model = Pn532Model()
    model.receive(b"\x55\x55" + bytes(14))
    for piece in pieces:
        model.receive(piece)
    model.receive(bytes(400))
    assert model.receive(encode(b"\xd4\x02"))[-1] == FIRMWARE


def read(reader: Reader) -> Card | None:
    return reader.read(5)


@pytest.mark.parametrize("fault", ["bad-checksum", "noise", "split", "silence", "reset", "half-frame"])
def test_a_fault_costs_no_card_and_makes_none(fault: str) -> None:
    with VirtualPn532() as device, open_reader(device.address) as reader:
        device.place(FIRST)
        assert read(reader) == FIRST
        device.fault(fault)
        # Also a chip that was silent for longer than the debounce does not tell of the card that still lies there.
        assert reader.read(1.5) is None
        device.remove()
        time.sleep(0.5)
        device.place(SECOND)
        assert read(reader) == SECOND
        assert ("check" in reader.stats().faults) == (fault == "bad-checksum")
        assert (reader.stats().noise_bytes > 0) == (fault == "noise")


def test_a_chip_that_lost_power_while_nobody_came_is_set_up_again() -> None:
    from edusense.devices.pump import PumpedReader
    from edusense_drivers.readers.pn532 import Pn532Source
    from edusense_drivers.readers.serial_port import SerialPort

    with VirtualPn532() as device:
        source = Pn532Source(SerialPort(str(device.path), 115200), alive_s=0.2)
        source.start()
        assert source.firmware == "PN532 1.6"
        with PumpedReader(device.address, source) as reader:
            assert reader.read(0.1) is None
            device.fault("reset")
            assert reader.read(0.8) is None
            device.place(FIRST)
            assert read(reader) == FIRST


def test_two_cards_in_the_field_are_two_taps() -> None:
    with VirtualPn532() as device, open_reader(device.address) as reader:
        device.place(FIRST)
        device.place(SECOND)
        assert {read(reader), read(reader)} == {FIRST, SECOND}
        assert reader.read(0.5) is None


def test_while_nobody_comes_the_chip_waits_and_nobody_asks() -> None:
    with VirtualPn532() as device, open_reader(device.address) as reader:
        assert reader.read(0.2) is None
        before = len(device.model.commands)
        assert reader.read(1.0) is None
        assert len(device.model.commands) == before
        device.place(FIRST)
        started = time.monotonic()
        assert read(reader) == FIRST
        assert time.monotonic() - started < 1.0


def test_a_telephone_that_changes_its_number_is_one_tap_and_known_as_such() -> None:
    with VirtualPn532() as device, open_reader(device.address) as reader:
        found = []
        for number in ("0804FB0E", "08112233", "08445566"):
            device.place(Card.parse(f"iso14443a:{number}"))
            found.append(reader.read(0.3))
            device.remove()
        assert found[0] is not None
        assert found[0].random_id
        assert found[1:] == [None, None]


def test_what_is_no_pn532_is_said_at_once() -> None:
    with VirtualRdm6300() as device:
        device.place(Card.parse("em4100:010063E9AE"))
        with pytest.raises(DeviceTimeoutError, match="as a PN532 does") as caught:
            open_reader(f"pn532:{device.path}")
        assert "HSU" in (caught.value.hint or "")
        open_reader(device.address).close()


def test_the_virtual_chip_sees_no_other_kind_of_card() -> None:
    with VirtualPn532() as device, pytest.raises(CardError):
        device.place(Card.parse("em4100:010063E9AE"))
