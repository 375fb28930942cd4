"""What Wiegand converters print, in every split of its bytes, and what their bits are."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.devices import Card, open_reader
from edusense.errors import UsageError
from edusense.sim.reader_wiegand import FORMS, VirtualWiegand, line
from edusense_drivers.readers.frames import BadFrame, Event, Frame, Noise
from edusense_drivers.readers.osdp_cards import number
from edusense_drivers.readers.wiegand_lines import LONGEST, Decoder

CARDS = {
    26: Card.parse("wiegand26:013,13067"),
    34: Card.parse("wiegand34:0063E9AE"),
    37: Card.parse("wiegand37:00123456AB"),
}


def frames(events: list[Event]) -> list[Card]:
    return [Card(event.technology, event.uid) for event in events if isinstance(event, Frame)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("width", [26, 34, 37])
def test_every_form_and_width_in_every_split(form: str, width: int) -> None:
    card = CARDS[width]
    wire = line(card, width=width, form=form)  # type: ignore[arg-type]  # one of them
    for cut in range(len(wire) + 1):
        decoder = Decoder(width, form)
        assert frames(decoder.push(wire[:cut]) + decoder.push(wire[cut:])) == [card]
        assert decoder.pending == 0


@pytest.mark.parametrize(
    ("wire", "form", "reason"),
    [
        (b"10000110100110011000010111\n", "bits", "parity"),
        (b"1000011010011001100001011\n", "bits", "length"),
        (b"10000110100110011000010112\n", "bits", "not-bits"),
        (b"63E9A\r", "hex", "length"),
        (b"63E9AG\r", "hex", "not-hex"),
        (b"FFFFFFFFFF\r", "hex", "length"),  # ten digits of 40 bits: 35 fit
        (b"000000\r", "hex", "empty"),
        (b"21A6617\r", "frame", "parity"),
        (b"FFFFFFF\r", "frame", "length"),
        (b"16777216\r", "decimal", "length"),
        (b"12a\r", "decimal", "not-decimal"),
    ],
)
def test_lines_that_are_no_number_say_why(wire: bytes, form: str, reason: str) -> None:
    (bad,) = Decoder(26 if form in ("decimal", "frame") else None, form).push(wire)
    assert isinstance(bad, BadFrame)
    assert bad.reason == reason
    assert f"ending at byte {len(wire) - 1}" in bad.message


def test_the_key_of_a_keypad_and_a_loose_cable_are_noise() -> None:
    assert all(isinstance(event, Noise) for event in Decoder().push(b"\x05\r\x00\xff\x80\r\n"))


@given(st.binary(max_size=300), st.sampled_from(FORMS), st.lists(st.integers(0, 300), max_size=5))
def test_any_bytes_in_any_pieces_give_the_same_events(wire: bytes, form: str, cuts: list[int]) -> None:
    def told(pieces: list[bytes]) -> list[Event]:
        decoder = Decoder(form=form)
        events = []
        for piece in pieces:
            events += decoder.push(piece)
            assert decoder.pending <= LONGEST
        return [event for event in events if not isinstance(event, Noise)]

    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    pieces = [wire[start:end] for start, end in itertools.pairwise(places)]
    assert told(pieces) == told([wire]) == told([bytes([byte]) for byte in wire])


@given(st.binary(max_size=200))
def test_a_good_line_is_found_after_garbage(garbage: bytes) -> None:
    decoder = Decoder(26, "bits")
    decoder.push(garbage + b"\r\n")
    assert frames(decoder.push(line(CARDS[26], form="bits"))) == [CARDS[26]]


@pytest.mark.parametrize(
    ("options", "card"),
    [
        ("", "wiegand34:4043CB9D"),
        ("&cards=em4100", "em4100:4043CB9D"),
        ("&cards=iso14443a", "iso14443a:4043CB9D"),
        ("&cards=iso14443a&order=reversed", "iso14443a:9DCB4340"),
    ],
)
def test_what_the_bits_are_people_tell(options: str, card: str) -> None:
    with VirtualWiegand(width=34) as device, open_reader(device.address + options) as reader:
        device.tap(Card.parse("wiegand34:4043CB9D"))
        assert reader.read(5) == Card.parse(card)


@pytest.mark.parametrize(
    "options",
    ["form=morse", "width=27", "width=x", "cards=hid", "order=up", "order=reversed", "cards=iso14443a&width=26"],
)
def test_addresses_that_make_no_sense(options: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_reader(f"wiegand:/dev/null?{options}")
    assert caught.value.hint


class TestOsdpNumbers:
    """The same bits, as OSDP readers tell them: left-aligned."""

    @pytest.mark.parametrize(
        ("bits", "data", "card"),
        [
            (26, "8A5C9C00", "wiegand26:14B938"),
            (34, f"{0x0C7D35D << 6:010X}", "wiegand34:0063E9AE"),
            (32, "9DCB4340", "iso14443a:9DCB4340"),
            (56, "04A1B2C3D4E5F6", "iso14443a:04A1B2C3D4E5F6"),
            (80, "00112233445566778899", "iso14443a:00112233445566778899"),
            (40, "010063E9AE", "em4100:010063E9AE"),
            (64, "E004010012345678", "iso15693:E004010012345678"),
            (35, "FFFFFFFFE0", "raw35:07FFFFFFFF"),
        ],
    )
    def test_widths(self, bits: int, data: str, card: str) -> None:
        assert Card(*number(bits, bytes.fromhex(data))) == Card.parse(card)

    def test_a_wrong_parity_and_missing_bits(self) -> None:
        with pytest.raises(ValueError, match="parity"):
            number(26, bytes.fromhex("8A5C9C40"))  # as captured from a library that looks at no parity
        for bits, data in ((0, b""), (26, b"\x00\x00"), (4096, bytes(512))):
            with pytest.raises(ValueError, match="bits"):
                number(bits, data)
