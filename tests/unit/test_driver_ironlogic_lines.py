"""IronLogic's lines: those that two public programs captured, in every split of their bytes, and damaged ones."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.devices import Card, open_reader
from edusense.errors import UsageError
from edusense.sim.reader_ironlogic import line
from edusense_drivers.readers.frames import BadFrame, Event, Frame, Left, Noise
from edusense_drivers.readers.ironlogic_lines import LONGEST, Decoder

CAPTURED = [
    ("Em-Marine[5500] 126,58404", "em4100:55007EE424"),
    ("Em-Marine[1700] 009,22847", "em4100:170009593F"),
    ("Em-Marine[2C00] 082,12941", "em4100:2C0052328D"),
    ("Mifare[77242CF0]  (0004,88) 044,09335", "iso14443a:77242CF0"),
    ("Mifare[BCD14264] 1K (0004,08) 066,53692", "iso14443a:BCD14264"),
    ("Mifare[24548AAC] 1K (0004,08) 138,21540", "iso14443a:24548AAC"),
    ("Mifare[9DCB4340] 1K (0004,08) 067,52125", "iso14443a:9DCB4340"),
    ("Mifare[3AAC2280045646]  (0142,20) 004,22086", "iso14443a:0456463AAC2280"),
    ("Mifare[FA592F830412E6] UL (0144,00) 004,04838", "iso14443a:0412E6FA592F83"),
    ("Mifare[124A2D80042C27] DF (0144,20) 004,11303", "iso14443a:042C27124A2D80"),
    # The byte before last is not 04: the rotation goes by position.
    ("Mifare[81895266340051] UL (0144,00) 052,00081", "iso14443a:34005181895266"),
    ("19997 Mifare[62D22F80041B4B]  (0144,08) 004,06987", "iso14443a:041B4B62D22F80"),
]


def cards(events: list[Event]) -> list[Card]:
    return [Card(event.technology, event.uid) for event in events if isinstance(event, Frame)]


@pytest.mark.parametrize(("text", "card"), CAPTURED)
def test_captured_lines_in_every_split(text: str, card: str) -> None:
    wire = f"{text}\r\n".encode()
    for cut in range(len(wire) + 1):
        decoder = Decoder()
        (event,) = decoder.push(wire[:cut]) + decoder.push(wire[cut:])
        assert isinstance(event, Frame)
        assert (event.raw, event.end) == (wire, len(wire) - 1)
        assert cards([event]) == [Card.parse(card)]
        assert decoder.pending == 0


def test_the_same_tag_on_three_makes_of_readers() -> None:
    # A public program reads one tag as this line, as `:170009593F48` and as `830017009593F01`.
    (card,) = cards(Decoder().push(b"Em-Marine[1700] 009,22847\r\n"))
    assert card.id == "170009593F"
    assert card.facility == "009,22847"


def test_the_brackets_are_part_of_the_number() -> None:
    one, other = cards(Decoder().push(b"Em-Marine[1700] 009,22847\r\nEm-Marine[1800] 009,22847\r\n"))
    assert one != other


def test_the_three_bytes_are_shifted_and_not_multiplied() -> None:
    # The program that captured the lines computes fff * 255 + nnnnn, which makes these two one card.
    one, other = cards(Decoder().push(b"Em-Marine[5500] 126,58404\r\nEm-Marine[5500] 127,58149\r\n"))
    assert 126 * 255 + 58404 == 127 * 255 + 58149
    assert one.uid[2:] == bytes.fromhex("7EE424")
    assert one != other


@pytest.mark.parametrize("text", ["No card", "No Card", "19997 No card"])
def test_a_card_that_left(text: str) -> None:
    (event,) = Decoder().push(f"{text}\r\n".encode())
    assert isinstance(event, Left)


def test_short_decimals_are_read_where_the_firmware_does_not_pad() -> None:
    (card,) = cards(Decoder().push(b"Em-Marine[A100] 7,42\r\n"))
    assert card.id == "A10007002A"


def test_digits_lost_at_the_end_are_seen_once_the_firmware_was_seen_to_pad() -> None:
    decoder = Decoder()
    decoder.push(b"Em-Marine[1700] 009,22847\r\n")
    (event,) = decoder.push(b"Em-Marine[5500] 126,584\r\n")
    assert isinstance(event, BadFrame)
    assert event.reason == "cut-short"


@pytest.mark.parametrize(
    ("text", "reason", "message"),
    [
        ("Mifare[BCD14264] 1K (0004,08) 066,53693", "check", "decimals are 066,53693, computed 066,53692"),
        ("Mifare[3AAC2280045646]  (0142,20) 004,22087", "check", "decimals are 004,22087, computed 004,22086"),
        ("Mifare[0456463AAC2280]  (0142,20) 004,22086", "order", "set uid=wire"),
        ("Mifare[BCD142] 066,53692", "length", "a UID of 3 bytes where 4 or 7 stand"),
        ("Mifare[BCD1426] 066,53692", "not-hex", "half a byte"),
        ("Em-Marine[55] 126,58404", "cut-short", "1 bytes in the brackets where 2 stand"),
        ("Em-Marine[5500] 256,58404", "check", "decimals above 255,65535"),
        ("Em-Marine[5500] 126,65536", "check", "decimals above 255,65535"),
        ("Em-Marine[0000] 000,00000", "empty", "a card number of zeros"),
        ("Em-Marine[5500]126,58404", "grammar", "is no line of a card"),
        ("Em-Marine[5500] 126", "grammar", "is no line of a card"),
        ("Palm[5500] 126,58404", "grammar", "`Palm[5500] 126,58404` is no line of a card"),
    ],
)
def test_a_fault_has_coordinates(text: str, reason: str, message: str) -> None:
    wire = f"{text}\r\n".encode()
    (event,) = Decoder().push(wire)
    assert isinstance(event, BadFrame)
    assert event.reason == reason
    assert event.message.startswith(f"frame ending at byte {len(wire) - 1}: ")
    assert message in event.message


def test_a_profile_says_that_uids_are_in_wire_order() -> None:
    (card,) = cards(Decoder(rotated=False).push(b"Mifare[0456463AAC2280]  (0142,20) 004,22086\r\n"))
    assert card.id == "0456463AAC2280"
    (event,) = Decoder(rotated=False).push(b"Mifare[3AAC2280045646]  (0142,20) 004,22086\r\n")
    assert isinstance(event, BadFrame)
    assert "set uid=rotated" in event.message


def test_hid_and_temic_keep_every_byte_under_their_own_kind() -> None:
    found = cards(Decoder().push(b"HID[0C0D] 013,13067\r\nTemic[5500] 126,58404\r\n"))
    assert [str(card) for card in found] == ["hid:0C0D0D330B", "temic:55007EE424"]


def test_a_line_that_was_cut_short_costs_only_itself() -> None:
    first, second = (f"{text}\r\n".encode() for text, _ in (CAPTURED[0], CAPTURED[4]))
    for cut in range(10, len(first) - 1):
        bad, good = Decoder().push(first[:cut] + second)
        assert isinstance(bad, BadFrame)
        assert isinstance(good, Frame)
        assert good.raw == second


def test_garbage_without_a_line_end_costs_no_memory_and_not_the_next_card() -> None:
    decoder = Decoder()
    events = []
    for _ in range(1000):
        events += decoder.push(b"\xffgarbage[" * 10)
        assert decoder.pending <= LONGEST
    events += decoder.push(b"Em-Marine[5500] 126,58404\r\n")
    assert [event.reason for event in events if isinstance(event, BadFrame)] == ["too-long"]
    assert isinstance(events[-1], Frame)


number = st.one_of(
    st.binary(min_size=5, max_size=5).filter(any).map(lambda uid: Card("em4100", uid)),
    st.binary(min_size=4, max_size=4).filter(any).map(lambda uid: Card("iso14443a", uid)),
    st.binary(min_size=7, max_size=7).filter(any).map(lambda uid: Card("iso14443a", uid)),
)
mutated = st.lists(
    st.one_of(
        st.binary(max_size=40),
        number.map(line),
        number.map(lambda card: line(card, network_id=19997)),
        number.flatmap(lambda card: st.integers(0, len(line(card))).map(lambda cut: line(card)[:cut])),
        st.sampled_from([b"No card\r\n", b"\r\n", b"\n", b"[", b"Mifare[", b" 12345 "]),
    ),
    max_size=10,
).map(b"".join)


@given(mutated, st.lists(st.integers(0, 400), max_size=6))
def test_any_bytes_in_any_pieces_give_the_same_events(wire: bytes, cuts: list[int]) -> None:
    def told(pieces: list[bytes]) -> list[Event]:
        decoder = Decoder()
        events = []
        for piece in pieces:
            events += decoder.push(piece)
            assert decoder.pending <= LONGEST
        return events

    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    pieces = [wire[start:end] for start, end in itertools.pairwise(places)]
    assert told(pieces) == told([wire]) == told([bytes([byte]) for byte in wire])


@given(number)
def test_what_the_device_says_is_understood(card: Card) -> None:
    assert cards(Decoder().push(line(card))) == [card]
    assert cards(Decoder().push(line(card, network_id=123456))) == [card]


@given(st.binary(max_size=300), number)
def test_one_line_is_enough_to_be_in_step_again(garbage: bytes, card: Card) -> None:
    events = Decoder().push(garbage + line(card))
    assert cards(events[-1:]) == [card]


def test_noise_is_counted() -> None:
    noise = b"\x00\xff hello\r\n"
    events = Decoder().push(noise + line(Card.parse("em4100:55007EE424")))
    assert isinstance(events[0], Noise)
    assert events[0].raw == noise


def test_an_order_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="`uid` is `backwards`") as caught:
        open_reader("ironlogic:/dev/ttyS0?uid=backwards")
    assert caught.value.hint
