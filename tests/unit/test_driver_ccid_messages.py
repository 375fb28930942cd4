"""The wire of CCID readers: the exchange of a real ACR122U's kind, and answers that break the rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.errors import DeviceProtocolError
from edusense.sim.ccid_model import CcidModel
from edusense_drivers.readers.ccid_messages import (
    GET_UID,
    Answer,
    Descriptor,
    Dialogue,
    Failure,
    IccState,
    Request,
    SlotChange,
    card_kind,
    decode,
    encode,
    expected_length,
    split_apdu,
)

ATR = bytes.fromhex("3B8F8001804F0CA000000306030001000000006A")
EXCHANGE = [
    (Request.GET_SLOT_STATUS, b"", "65 00000000 00 00 000000", "81 00000000 00 00 01 00 00"),
    (Request.ICC_POWER_ON, b"", "62 00000000 00 01 000000", "80 14000000 00 01 00 00 00" + ATR.hex()),
    (
        Request.XFR_BLOCK,
        GET_UID,
        "6F 05000000 00 02 000000 FFCA000000",
        "80 09000000 00 02 00 00 00 04A1B2C3D4E5F6 9000",
    ),
]


@pytest.mark.parametrize(("request_", "data", "sent", "received"), EXCHANGE)
def test_a_published_exchange(request_: Request, data: bytes, sent: str, received: str) -> None:
    wire = bytes.fromhex(sent)
    dialogue = Dialogue(wire[6] - 1)
    assert dialogue.request(request_, data) == wire == encode(request_, wire[6], data)
    answer = dialogue.answer(bytes.fromhex(received))
    assert answer is not None
    assert answer.data == bytes.fromhex(received)[10:]


def test_the_uid_and_the_kind_of_the_card() -> None:
    assert split_apdu(bytes.fromhex("04A1B2C3D4E5F69000")) == (bytes.fromhex("04A1B2C3D4E5F6"), 0x9000)
    check = 0
    for byte in ATR[1:-1]:
        check ^= byte
    assert check == ATR[-1] == 0x6A
    assert card_kind(ATR, bytes(4)) == "mifare-classic"


@pytest.mark.parametrize(
    ("atr", "uid", "technology"),
    [
        ("3B8F8001804F0CA00000030605000100000000", 4, "iso14443b"),
        ("3B8F8001804F0CA0000003060B001200000000", 8, "iso15693"),
        ("3B8F8001804F0CA00000030611003B00000000", 8, "felica"),
        ("3B8180018080", 7, "iso14443a"),
        ("3B8180018080", 8, "contactless"),
        ("3B8F8001804F0CA000000306", 4, "iso14443a"),
        ("", 10, "iso14443a"),
        ("", 1, "contactless"),
    ],
)
def test_kinds_of_cards(atr: str, uid: int, technology: str) -> None:
    assert card_kind(bytes.fromhex(atr), bytes(uid)) == technology


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        ("", "0 bytes where a header"),
        ("8000000000", "5 bytes where a header"),
        ("FF000000000000000000", "message type 0xFF"),
        ("80FFFFFFFF0000000000", "length of 4294967295"),
        ("80020000000000000000", "10 bytes where bytes 1 to 4 announce 12"),
        ("8000000000000000000090", "11 bytes where bytes 1 to 4 announce 10"),
        ("81000000000000030000", "status 0x03 at byte 7"),
        ("81000000000000C00000", "status 0xC0 at byte 7"),
    ],
)
def test_messages_that_break_the_rules(raw: str, what: str) -> None:
    with pytest.raises(DeviceProtocolError, match=what) as caught:
        decode(bytes.fromhex(raw))
    assert caught.value.hint


def answer(kind: int, sequence: int, status: int = 0, error: int = 0, data: bytes = b"") -> bytes:
    return bytes([kind]) + len(data).to_bytes(4, "little") + bytes([0, sequence, status, error, 0]) + data


def test_wait_longer_is_no_answer() -> None:
    dialogue = Dialogue(6)
    dialogue.request(Request.ICC_POWER_ON)
    assert dialogue.answer(answer(0x80, 7, 0x80, error=4)) is None
    assert dialogue.answer(answer(0x80, 7, 0x80, error=4)) is None
    assert dialogue.answer(answer(0x80, 7, 0x00, data=ATR)) == Answer(0x80, 7, IccState.ACTIVE, 0, 0, ATR)


def test_an_answer_to_somebody_before_us_is_passed_over_but_not_for_ever() -> None:
    dialogue = Dialogue(255)
    assert dialogue.request(Request.GET_SLOT_STATUS)[6] == 0
    for _ in range(16):
        assert dialogue.answer(answer(0x80, 9, data=b"\x90\x00")) is None
    with pytest.raises(DeviceProtocolError, match="sequence 0x09 at byte 6; asked was 0x00"):
        dialogue.answer(answer(0x80, 9))


def test_an_answer_of_another_kind_and_one_that_nobody_asked_for() -> None:
    dialogue = Dialogue(0)
    dialogue.request(Request.XFR_BLOCK, GET_UID)
    with pytest.raises(DeviceProtocolError, match="type 0x81 at byte 0 in answer to XFR_BLOCK"):
        dialogue.answer(answer(0x81, 1))
    with pytest.raises(DeviceProtocolError, match="nobody asked"):
        dialogue.answer(answer(0x80, 1))


@pytest.mark.parametrize(("error", "word"), [(0xFE, "mute"), (0xFB, "hardware"), (0xE0, "busy"), (0x7F, "error 0x7F")])
def test_failures_are_told_in_words(error: int, word: str) -> None:
    dialogue = Dialogue(0)
    dialogue.request(Request.ICC_POWER_ON)
    with pytest.raises(Failure, match=word) as caught:
        dialogue.answer(answer(0x80, 1, 0x42, error))
    assert caught.value.answer.icc is IccState.ABSENT


def test_slot_changes() -> None:
    assert SlotChange.decode(b"\x50\x03") == SlotChange(present=True, changed=True)
    assert SlotChange.decode(b"\x50\x02") == SlotChange(present=False, changed=True)
    assert SlotChange.decode(b"\x51\x00") is None
    assert SlotChange.decode(b"\x50") is None


def test_what_a_reader_says_of_itself() -> None:
    configuration = CcidModel.configuration_descriptor()
    assert configuration[2:4] == len(configuration).to_bytes(2, "little")
    found = Descriptor.decode(configuration[18 : 18 + 54])
    assert found == Descriptor("1.10", 1, 0x000204BA, 271)
    assert Descriptor.decode(b"\x05\x24\x00\x00\x00" + configuration[18 : 18 + 54]) == found
    for damaged in (b"", b"\x36", b"\x36\x21", b"\x00\x21" * 27, configuration[18:60]):
        assert Descriptor.decode(damaged) is None


@given(st.binary(max_size=80))
def test_any_bytes_are_an_answer_or_a_protocol_error(raw: bytes) -> None:
    for parse in (decode, expected_length, split_apdu):
        try:
            parse(raw)
        except DeviceProtocolError as error:
            assert error.hint  # noqa: PT017 -- both outcomes are right
    SlotChange.decode(raw)
    Descriptor.decode(raw)
    card_kind(raw, raw)


@given(
    st.sampled_from([0x80, 0x81, 0x83]),
    st.integers(0, 255),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(0, 255),
    st.binary(max_size=300),
)
def test_every_message_within_the_rules_is_read(
    kind: int, sequence: int, icc: int, outcome: int, error: int, data: bytes
) -> None:
    found = decode(answer(kind, sequence, outcome << 6 | icc, error, data))
    assert found == Answer(kind, sequence, IccState(icc), outcome, error, data)
