"""The wire of RDM6300 and ID-LA readers: published frames, right and wrong, in every split of their bytes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.devices import Card
from edusense.sim.reader_rdm6300 import NOISE, frame
from edusense_drivers.readers.em4100_frames import BadFrame, Decoder, Frame, Noise, check_byte

# Source, tag, check byte.
VECTORS = [
    ("forum.arduino.cc t/251993, number printed on the tag", "010063E9AE", 0x25),
    ("StackOverflow 11848921, number printed on the tag", "3C00CE754C", 0xCB),
    ("ID-LA series data sheet p. 4", "0C000621A5", 0x8E),
    ("EM-18 sheet of cparkb2c.in, number printed on the tag", "4500C5D1E9", 0xB8),
    ("electrothing.co.za", "307E4DE5C2", 0x24),
    ("Seeed 113020002 data sheet p. 3", "62E3086CED", 0x08),
]


def ascii_frame(digits: str, *, ending: bytes = b"") -> bytes:
    return b"\x02" + digits.encode() + ending + b"\x03"


@pytest.mark.parametrize(("source", "tag", "check"), VECTORS)
def test_published_frames_in_every_split(source: str, tag: str, check: int) -> None:
    uid = bytes.fromhex(tag)
    assert check_byte(uid) == check
    for ending in (b"", b"\r\n"):
        wire = ascii_frame(f"{tag}{check:02X}", ending=ending)
        for cut in range(len(wire) + 1):
            decoder = Decoder()
            events = decoder.push(wire[:cut]) + decoder.push(wire[cut:])
            assert events == [Frame(uid, wire, len(wire) - 1)]
            assert decoder.pending == 0


def test_the_published_bytes_of_a_real_module() -> None:
    wire = bytes.fromhex("02 30 31 30 30 36 33 45 39 41 45 32 35 03")
    assert wire == frame(Card.parse("em4100:010063E9AE"))
    (event,) = Decoder().push(wire)
    assert isinstance(event, Frame)
    assert Card("em4100", event.uid).dec10 == "0006547886"


@pytest.mark.parametrize(
    ("source", "tag", "published"),
    [
        ("ID-LA series data sheet, text: 'checksum is 6E'", "0C000621A5", 0x6E),
        ("hobbycomponents.com: digits were changed for publication, the check byte was not", "100026F444", 0x26),
    ],
)
def test_frames_published_with_a_wrong_check_byte_are_refused(source: str, tag: str, published: int) -> None:
    (event,) = Decoder().push(ascii_frame(f"{tag}{published:02X}"))
    assert isinstance(event, BadFrame)
    assert event.reason == "check"
    assert f"computed 0x{check_byte(bytes.fromhex(tag)):02X}" in event.message


@pytest.mark.parametrize(
    ("wire", "reason", "message"),
    [
        (ascii_frame("010063E9AE00"), "check", "frame ending at byte 13: check byte 0x00, computed 0x25"),
        (ascii_frame("010063G9AE25"), "not-hex", "frame ending at byte 7: byte 0x47 where a hex digit stands"),
        (ascii_frame("010063E9AE"), "cut-short", "frame ending at byte 11: 10 bytes where 12 hex digits stand"),
        (ascii_frame("010063E9AE2500"), "too-long", "frame ending at byte 13: byte 0x30 where the frame ends"),
        (ascii_frame("010063E9AE25", ending=b"\r"), "cut-short", "frame ending at byte 14"),
        (ascii_frame("000000000000"), "empty", "a tag number of zeros"),
        (b"\x02\x03", "cut-short", "frame ending at byte 1: 0 bytes"),
    ],
)
def test_a_fault_has_coordinates(wire: bytes, reason: str, message: str) -> None:
    event = next(event for event in Decoder().push(wire) if isinstance(event, BadFrame))
    assert event.reason == reason
    assert message in event.message
    assert wire.startswith(event.raw)


def test_a_start_byte_costs_the_frame_before_and_not_the_next() -> None:
    wire = frame(Card.parse("em4100:010063E9AE"))
    short, good = Decoder().push(wire[:7] + wire)
    assert isinstance(short, BadFrame)
    assert short.reason == "cut-short"
    assert isinstance(good, Frame)
    assert good.end == 7 + 13


def test_noise_is_counted_and_harmless() -> None:
    wire = frame(Card.parse("em4100:010063E9AE"))
    events = Decoder().push(NOISE + wire + NOISE)
    assert [type(event) for event in events] == [Noise, Frame, Noise]
    assert [event.raw for event in events] == [NOISE, wire, NOISE]


def test_lower_case_digits_are_digits() -> None:
    (event,) = Decoder().push(ascii_frame("010063e9ae25"))
    assert isinstance(event, Frame)


mutated = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.binary(min_size=5, max_size=5).filter(any).map(lambda uid: frame(Card("em4100", uid))),
        st.binary(min_size=5, max_size=5).filter(any).map(lambda uid: frame(Card("em4100", uid), "id-la")),
        st.text("0123456789ABCDEF\r\n\x02\x03", max_size=20).map(str.encode),
    ),
    max_size=8,
).map(b"".join)


@given(mutated, st.lists(st.integers(0, 300), max_size=6))
def test_any_bytes_in_any_pieces_give_the_same_frames(wire: bytes, cuts: list[int]) -> None:
    def told(pieces: list[bytes]) -> list[object]:
        decoder = Decoder()
        events = []
        for piece in pieces:
            events += decoder.push(piece)
            assert decoder.pending <= 16
        return [event for event in events if not isinstance(event, Noise)]

    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    pieces = [wire[start:end] for start, end in itertools.pairwise(places)]
    assert told(pieces) == told([wire]) == told([bytes([byte]) for byte in wire])


@given(mutated)
def test_every_byte_is_accounted_for(wire: bytes) -> None:
    decoder = Decoder()
    events = decoder.push(wire)
    # A frame that was cut short by a start byte does not own that byte; one dropped at a bad byte does.
    assert sum(len(event.raw) for event in events) + decoder.pending == len(wire)


@given(st.binary(max_size=200), st.binary(min_size=5, max_size=5).filter(any))
def test_one_good_frame_is_enough_to_be_in_step_again(garbage: bytes, uid: bytes) -> None:
    wire = frame(Card("em4100", uid))
    events = Decoder().push(garbage + wire)
    assert isinstance(events[-1], Frame)
    assert events[-1].uid == uid
