"""EM-18's bare digits and binary desk readers: published numbers, right and wrong, in every split of their bytes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.devices import Card, open_reader
from edusense.errors import UsageError
from edusense.sim.reader_rdm6300 import frame
from edusense_drivers.readers import em4100_bare, em4100_binary
from edusense_drivers.readers.em4100_frames import check_byte
from edusense_drivers.readers.frames import BadFrame, Event, Frame, Noise, StreamDecoder

BINARY = bytes.fromhex("02 0A 02 06 00 8E 6D 5D B0 03")
"""A seller's page (newegg): the card has 0009334109 printed on it."""
EM18 = b"4500C5D1E9B8"
"""The EM-18 sheet of cparkb2c.in: the tag has 0012964329 printed on it."""


def told(decoder: StreamDecoder, pieces: list[bytes]) -> list[Event]:
    events = []
    for piece in pieces:
        events += decoder.push(piece)
        assert decoder.pending <= 16
    return events


def without_noise(events: list[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, Noise)]


def test_the_published_packet_in_every_split() -> None:
    assert frame(Card.parse("em4100:06008E6D5D"), "binary") == BINARY
    for cut in range(len(BINARY) + 1):
        (event,) = told(em4100_binary.Decoder(), [BINARY[:cut], BINARY[cut:]])
        assert event == Frame(bytes.fromhex("06008E6D5D"), BINARY, 9)
    card = Card.parse("em4100:06008E6D5D")
    assert (card.dec10, card.facility) == ("0009334109", "142,27997")


def test_the_published_digits_in_every_split() -> None:
    for cut in range(len(EM18) + 1):
        (event,) = told(em4100_bare.Decoder(), [EM18[:cut], EM18[cut:]])
        assert event == Frame(bytes.fromhex("4500C5D1E9"), EM18, 11)
    assert Card.parse("em4100:4500C5D1E9").dec10 == "0012964329"


def test_a_packet_that_was_held_for_a_longer_one_is_not_lost() -> None:
    # A head that announces twelve bytes, cut off, before packets of nine.
    packet = frame(Card.parse("iso14443a:9DCB4340"), "binary")
    events = em4100_binary.Decoder().push(bytes.fromhex("020C01") + packet + packet)
    assert [event.raw for event in events if isinstance(event, Frame)] == [packet, packet]


@pytest.mark.parametrize(
    ("digits", "computed"),
    [(b"0C000621A56E", "0x8E"), (b"100026F44426", f"0x{check_byte(bytes.fromhex('100026F444')):02X}")],
)
def test_digits_published_with_a_wrong_check_byte_are_refused(digits: bytes, computed: str) -> None:
    (event,) = em4100_bare.Decoder().push(digits)
    assert isinstance(event, BadFrame)
    assert event.reason == "check"
    assert f"computed {computed}" in event.message


@pytest.mark.parametrize(
    ("wire", "reason", "message"),
    [
        ("02 0A 02 06 00 8E 6D 5D B1 03", "check", "frame ending at byte 9: check byte 0xB1, computed 0xB0"),
        ("02 0A 02 06 00 8E 6D 5D B0 04", "check", "frame ending at byte 9: byte 0x04 where 0x03 ends the packet"),
        ("02 0A 02 00 00 00 00 00 08 03", "empty", "a card number of zeros"),
    ],
)
def test_a_binary_fault_has_coordinates(wire: str, reason: str, message: str) -> None:
    (event,) = without_noise(em4100_binary.Decoder().push(bytes.fromhex(wire)))
    assert isinstance(event, BadFrame)
    assert event.reason == reason
    assert message in event.message


def test_a_mifare_number_may_hold_start_and_end_bytes() -> None:
    for number in ("02020202", "0203020A", "030A0203", "02090102030405"):
        card = Card.parse(f"iso14443a:{number}")
        wire = frame(card, "binary")
        (event,) = without_noise(em4100_binary.Decoder().push(wire[:4] + wire[:1] + wire)[-1:])
        assert isinstance(event, Frame)
        assert (event.technology, event.uid) == (card.technology, card.uid)


def test_after_a_wrong_check_byte_bare_digits_wait_for_silence() -> None:
    decoder = em4100_bare.Decoder()
    # Seven digits were lost: of what follows, every twelve could be a number by chance.
    events = decoder.push(EM18[:5] + EM18 * 20)
    assert [type(event) for event in events] == [BadFrame, Noise]
    assert decoder.pause(em4100_bare.GAP_S / 2) == []
    assert without_noise(decoder.push(EM18)) == []
    assert decoder.pause(em4100_bare.GAP_S) == []
    assert isinstance(decoder.push(EM18)[0], Frame)


def test_silence_ends_half_a_number() -> None:
    decoder = em4100_bare.Decoder()
    assert decoder.push(EM18[:5]) == []
    (event,) = decoder.pause(1.0)
    assert isinstance(event, BadFrame)
    assert event.reason == "cut-short"
    assert event.message == "frame ending at byte 4: 5 digits, then silence"
    assert isinstance(decoder.push(EM18)[0], Frame)


def test_a_line_end_after_the_digits_does_no_harm() -> None:
    events = em4100_bare.Decoder().push(EM18 + b"\r\n" + EM18 + b"\r\n")
    assert [type(event) for event in events] == [Frame, Noise, Frame, Noise]


numbers = st.binary(min_size=5, max_size=5).filter(any).map(lambda uid: Card("em4100", uid))
mifare = st.binary(min_size=4, max_size=4).filter(any).map(lambda uid: Card("iso14443a", uid))
mutated = {
    em4100_bare.Decoder: st.lists(
        st.one_of(
            st.binary(max_size=20),
            numbers.map(lambda card: frame(card, "em-18")),
            st.text("0123456789ABCDEF\r\n", max_size=20).map(str.encode),
        ),
        max_size=8,
    ).map(b"".join),
    em4100_binary.Decoder: st.lists(
        st.one_of(
            st.binary(max_size=20),
            st.one_of(numbers, mifare).map(lambda card: frame(card, "binary")),
            st.lists(st.sampled_from([2, 3, 9, 10, 12, 1]), max_size=12).map(bytes),
        ),
        max_size=8,
    ).map(b"".join),
}


@pytest.mark.parametrize("decoder", mutated, ids=lambda decoder: decoder.__module__.rpartition(".")[2])
@given(data=st.data())
def test_any_bytes_in_any_pieces_give_the_same_frames(
    decoder: type[em4100_bare.Decoder | em4100_binary.Decoder], data: st.DataObject
) -> None:
    wire = data.draw(mutated[decoder])
    cuts = data.draw(st.lists(st.integers(0, 200), max_size=6))
    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    pieces = [wire[start:end] for start, end in itertools.pairwise(places)]
    whole = told(decoder(), [wire])
    assert without_noise(told(decoder(), pieces)) == without_noise(whole)
    assert without_noise(told(decoder(), [bytes([byte]) for byte in wire])) == without_noise(whole)
    last = decoder()
    assert sum(len(event.raw) for event in last.push(wire)) + last.pending == len(wire)


@given(st.binary(max_size=100), numbers)
def test_one_silence_is_enough_to_be_in_step_again(garbage: bytes, card: Card) -> None:
    decoder = em4100_bare.Decoder()
    decoder.push(garbage)
    decoder.pause(1.0)
    event = decoder.push(frame(card, "em-18"))[-1]
    assert isinstance(event, Frame)
    assert event.uid == card.uid


@given(st.binary(max_size=100), st.one_of(numbers, mifare))
def test_one_packet_is_enough_to_be_in_step_again(garbage: bytes, card: Card) -> None:
    wire = frame(card, "binary")
    # Garbage that ends like the beginning of a packet takes bytes of the next one until its length is over.
    events = em4100_binary.Decoder().push(garbage + wire + bytes(12))
    assert any(isinstance(event, Frame) and event.uid == card.uid for event in events)


@pytest.mark.parametrize(
    ("address", "match"),
    [
        ("rdm6300:/dev/ttyS0?framing=morse", "no framing `morse`"),
        ("rdm6300:/dev/ttyS0?gap=0.1", "goes with framing=bare"),
        ("rdm6300:/dev/ttyS0?framing=bare&gap=5", "`gap` is `5`"),
    ],
)
def test_framings_that_make_no_sense(address: str, match: str) -> None:
    with pytest.raises(UsageError, match=match) as caught:
        open_reader(address)
    assert caught.value.hint
