"""Scanners: texts of codes, in every split of their bytes, over a line and as a keyboard."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.devices import Card, open_reader
from edusense.sim.reader_keyboard import VirtualKeyboard, keys
from edusense.sim.reader_scanner import VirtualScanner
from edusense_drivers.readers.frames import BadFrame, Event, Frame, Noise
from edusense_drivers.readers.keyboard_text import TextDecoder
from edusense_drivers.readers.scanner_lines import LONGEST, Decoder

TEXTS = ["EW-2026-000017", "1017", "https://example.org/?v=1&s=%20", 'a "quoted" {text}', "x" * LONGEST]


def texts(events: list[Event]) -> list[str]:
    return [event.uid.decode() for event in events if isinstance(event, Frame)]


@pytest.mark.parametrize("text", TEXTS[:4])
@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r", b"\t"])
def test_a_text_in_every_split(text: str, end: bytes) -> None:
    wire = text.encode() + end
    for cut in range(len(wire) + 1):
        decoder = Decoder()
        assert texts(decoder.push(wire[:cut]) + decoder.push(wire[cut:])) == [text]


def test_the_longest_text_and_one_that_is_longer() -> None:
    assert texts(Decoder().push(b"x" * LONGEST + b"\n")) == ["x" * LONGEST]
    bad, noise, good = Decoder().push(b"x" * (LONGEST + 9) + b"\n1017\n")
    assert isinstance(bad, BadFrame)
    assert bad.reason == "too-long"
    assert isinstance(noise, Noise)
    assert isinstance(good, Frame)


def test_the_kind_that_a_scanner_tells_is_no_part_of_the_text() -> None:
    assert texts(Decoder().push(b"]Q11017\n]C0EW-1\n]Q1\n")) == ["1017", "EW-1", "]Q1"]


def test_text_that_is_no_ascii_is_told() -> None:
    (bad,) = Decoder().push("Айгерім\n".encode())
    assert isinstance(bad, BadFrame)
    assert bad.reason == "not-text"


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_any_bytes_in_any_pieces_give_the_same_events(wire: bytes, cuts: list[int]) -> None:
    def told(pieces: list[bytes]) -> list[Event]:
        decoder = Decoder()
        return [event for piece in pieces for event in decoder.push(piece) if not isinstance(event, Noise)]

    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    assert told([wire[start:end] for start, end in itertools.pairwise(places)]) == told([wire])


@pytest.mark.parametrize("text", TEXTS[:4])
def test_a_scanner_that_types_types_the_same(text: str) -> None:
    assert texts(TextDecoder().push(keys(text + "\n"))) == [text]


def test_a_person_who_types_is_no_scanner() -> None:
    (bad,) = TextDecoder().push(keys("ab", gap_s=0.3) + keys("c\n", at=0.6))[:1]
    assert isinstance(bad, BadFrame)
    assert bad.reason == "slow"


def test_both_ways_of_plugging_one_in_give_the_same_card() -> None:
    card = Card.parse("token:EW-2026-000017")
    for device in (VirtualScanner(), VirtualKeyboard(driver="scanner")):
        with device, open_reader(device.address) as reader:
            device.tap(card)
            found = reader.read(5)
            assert found == card
            assert found is not None
            assert found.assurance == "printed"
            assert str(found) == "token:EW-2026-000017"
