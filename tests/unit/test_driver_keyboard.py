"""Readers that pose as a keyboard: what they type, told from a person by the times of the keys."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.devices import Card, open_reader
from edusense.devices.input_scan import input_nodes, node_of, typed_on_by_people
from edusense.errors import CardError, DeviceNotFoundError, DevicePermissionError, UsageError
from edusense.sim.reader_keyboard import LAYOUTS, VirtualKeyboard, keys, typed
from edusense_drivers.readers.frames import BadFrame, Event, Frame
from edusense_drivers.readers.keyboard_device import find_node
from edusense_drivers.readers.keyboard_keys import EVENT, Decoder, number

CARD = Card.parse("em4100:010063E9AE")


@pytest.mark.parametrize(
    ("text", "layout", "card"),
    [
        ("0006547886", "digits", "em4100:0063E9AE"),
        ("09959822", "facility", "em4100:63E9AE"),
        ("099,59822", "facility", "em4100:63E9AE"),
        ("010063E9AE", "hex", "em4100:010063E9AE"),
        ("AEE9630001", "hex-reversed", "em4100:010063E9AE"),
        ("9DCB4340", "hex", "iso14443a:9DCB4340"),
        ("F6E5D4C3B2A104", "hex-reversed", "iso14443a:04A1B2C3D4E5F6"),
    ],
)
def test_what_readers_type(text: str, layout: str, card: str) -> None:
    assert number(text, layout) == Card.parse(card)
    assert number(text, layout).assurance == "printed"


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("006547886", "digits"),
        ("4294967296", "digits"),
        ("010063E9AE", "digits"),
        ("", "digits"),
        ("25659822", "facility"),
        ("0995982", "facility"),
        ("0006547886X", "hex"),
        ("01006", "hex"),
        ("0100,3E9AE", "hex"),
        ("0006547886", "morse"),
    ],
)
def test_what_is_no_number(text: str, layout: str) -> None:
    with pytest.raises(CardError) as caught:
        number(text, layout)
    assert caught.value.hint


def told(data: bytes, layout: str = "digits") -> list[Event]:
    decoder = Decoder(layout)
    events = decoder.push(data)
    assert decoder.pending <= EVENT.size + 32
    return events


@pytest.mark.parametrize("layout", LAYOUTS)
def test_typed_events_in_every_split(layout: str) -> None:
    data = keys(typed(CARD, layout), at=1_800_000_000.999)  # type: ignore[arg-type]
    expected = number(typed(CARD, layout).strip(), layout)  # type: ignore[arg-type]
    for cut in range(len(data) + 1):
        decoder = Decoder(layout)
        (event,) = decoder.push(data[:cut]) + decoder.push(data[cut:])
        assert isinstance(event, Frame)
        assert Card(event.technology, event.uid) == expected


@pytest.mark.parametrize(
    ("data", "reason", "message"),
    [
        (keys("X0006547886\n"), "not-number", "`X0006547886` is no number in the layout `digits`"),
        (keys("12345\n"), "not-number", "`12345` is no number in the layout `digits`"),
        (keys("0000000000\n"), "empty", "a card number of zeros"),
        (keys("1" * 40 + "\n"), "too-long", "more than 32 keys without Enter"),
        (keys("0006547886") + EVENT.pack(0, 90_000, 0, 3, 0) + keys("\n", at=0.1), "lost", "the kernel dropped events"),
        (keys("0006547886") + EVENT.pack(0, 90_000, 1, 7, 2) + keys("\n", at=0.1), "held", "key 7 was held down"),
        (keys("0006547886") + keys("\n", at=2.0), "slow", "Enter came 1.93 s after the last key: typed by a person?"),
    ],
)
def test_a_fault_says_what_it_was(data: bytes, reason: str, message: str) -> None:
    (event,) = told(data)
    assert isinstance(event, BadFrame)
    assert event.reason == reason
    assert message in event.message


def test_a_person_who_types_a_number_is_not_read() -> None:
    events = told(keys("0006547886\n", gap_s=0.12))
    assert events
    assert {event.reason for event in events if isinstance(event, BadFrame)} == {"slow"}
    assert not any(isinstance(event, Frame) for event in events)


def test_a_number_that_never_got_its_enter_does_not_join_the_next() -> None:
    bad, good = told(keys("00065") + keys("0006547886\n", at=5.0))
    assert isinstance(bad, BadFrame)
    assert isinstance(good, Frame)
    assert good.uid.hex() == "0063e9ae"


def test_enter_alone_and_shift_are_nothing() -> None:
    shift = EVENT.pack(0, 0, 1, 42, 1) + EVENT.pack(0, 0, 1, 42, 0)
    (event,) = told(keys("\n") + shift + keys("\n", at=0.02) + keys("0006547886\n", at=0.04))
    assert isinstance(event, Frame)


def test_a_shift_whose_release_was_lost_does_not_hold_for_ever() -> None:
    (event,) = told(EVENT.pack(0, 0, 1, 42, 1) + keys("0006547886\n", at=1.0))
    assert isinstance(event, Frame)


pieces = st.lists(
    st.one_of(
        st.text("0123456789ABCDEF,X\n", max_size=40).flatmap(
            lambda text: st.floats(0, 100).map(lambda at: keys(text, at=at))
        ),
        st.builds(
            EVENT.pack,
            st.integers(0, 2**40),
            st.integers(0, 999_999),
            st.integers(0, 3),
            st.integers(0, 300),
            st.integers(-2, 3),
        ),
        st.binary(max_size=30),
    ),
    max_size=6,
).map(b"".join)


@given(pieces, st.lists(st.integers(0, 3000), max_size=6), st.sampled_from(LAYOUTS))
def test_any_events_in_any_pieces_give_the_same(data: bytes, cuts: list[int], layout: str) -> None:
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    decoder = Decoder(layout)
    events = []
    for start, end in itertools.pairwise(places):
        events += decoder.push(data[start:end])
    assert events == told(data, layout)


@pytest.mark.parametrize("fault", ["half-number", "slow", "letters"])
def test_a_fault_costs_only_its_card(fault: str) -> None:
    with VirtualKeyboard() as device, open_reader(device.address) as reader:
        device.fault(fault)
        device.place(CARD)
        assert reader.read(0.2) is None
        if fault != "slow":  # its keys say that they come for the next three seconds
            device.place(CARD)
            found = reader.read(5)
            assert found is not None
            assert found.matches(CARD)


def test_the_node_is_found_by_usb_identity(tmp_path: Path) -> None:
    for name, vendor, product, bits in [
        ("event3", "08ff", "0009", "1000 0"),  # the reader's second node: volume keys
        ("event10", "08ff", "0009", "10000 7 ff800000 7ff febeffdf fffffffe"),
        ("event2", "046d", "c31c", "fffffffe"),
        ("mouse0", "08ff", "0009", "fffffffe"),
    ]:
        (tmp_path / name / "device/id").mkdir(parents=True)
        (tmp_path / name / "device/capabilities").mkdir()
        (tmp_path / name / "device/id/vendor").write_text(f"{vendor}\n")
        (tmp_path / name / "device/id/product").write_text(f"{product}\n")
        (tmp_path / name / "device/capabilities/key").write_text(f"{bits}\n")
    assert node_of("08FF:0009", tmp_path) == "/dev/input/event10"
    assert node_of("ffff:0035", tmp_path) is None
    found = {node.path: node for node in input_nodes(tmp_path)}
    assert set(found) == {"/dev/input/event2", "/dev/input/event10"}
    assert found["/dev/input/event10"].people is None
    assert found["/dev/input/event2"].people == "a keyboard of Logitech"
    assert typed_on_by_people("/dev/input/event2", tmp_path) == "a keyboard of Logitech"
    (tmp_path / "event10/device/id/bustype").write_text("0011\n")
    assert typed_on_by_people("/dev/input/event10", tmp_path) == "the keyboard of this computer"
    with pytest.raises(DeviceNotFoundError) as caught:
        find_node("ffff:0035")
    assert caught.value.hint


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_that_is_typed_is_read(layout: str) -> None:
    told = typed(CARD, layout)  # type: ignore[arg-type]  # one of them
    (frame,) = [event for event in Decoder(layout).push(keys(told)) if isinstance(event, Frame)]
    assert Card(frame.technology, frame.uid).matches(CARD)


def test_digits_of_a_uid_are_told_apart_by_the_option() -> None:
    for cards, card in (("iso14443a", "9DCB4340"), ("iso14443a-reversed", "4043CB9D")):
        (frame,) = Decoder("digits", cards=cards).push(keys("2647343936\n"))
        assert isinstance(frame, Frame)
        assert str(Card(frame.technology, frame.uid)) == f"iso14443a:{card}"


def test_what_stands_before_and_behind_a_number_is_taken_off() -> None:
    decoder = Decoder("hex", prefix="id=", suffix=";")
    good, lacking = decoder.push(keys("id=010063E9AE;\n") + keys("010063E9AE\n", at=5.0))
    assert isinstance(good, Frame)
    assert good.uid == CARD.uid
    assert isinstance(lacking, BadFrame)
    assert "id=" in lacking.message


def test_another_countrys_keys() -> None:
    # A reader that was set to France types digits with Shift, and `a` where the United States have `q`.
    french = {"A": (16, True), "1": (2, True), "0": (11, True), "3": (4, True)}
    wire = b""
    for place, letter in enumerate("0100A30001"):
        code, shift = french[letter]
        at = place * 0.01
        wire += (keys("")) + _key(42, 1, at) * shift + _key(code, 1, at) + _key(code, 0, at) + _key(42, 0, at) * shift
    wire += _key(28, 1, 0.1)
    (frame,) = Decoder("hex", keys="fr").push(wire)
    assert isinstance(frame, Frame)
    assert frame.uid.hex() == "0100a30001"


def _key(code: int, value: int, at: float) -> bytes:
    return EVENT.pack(0, round(at * 1e6), 1, code, value)


@pytest.mark.parametrize(
    ("address", "match"),
    [
        ("keyboard:", "names no keyboard"),
        ("keyboard:event3", "names no keyboard"),
        ("keyboard:sim:", "names no keyboard"),
        ("keyboard:sim:/x?layout=morse", "no layout `morse`"),
        ("keyboard:sim:/x?gap=9", "`gap` is `9`"),
    ],
)
def test_addresses_that_make_no_sense(address: str, match: str) -> None:
    with pytest.raises(UsageError, match=match) as caught:
        open_reader(address)
    assert caught.value.hint


@pytest.mark.parametrize("path", ["/dev/no-such-node", "/dev/null", "/etc/hostname/x", "sim:/tmp/nobody"])
def test_what_is_no_keyboard_is_not_found(path: str) -> None:
    with pytest.raises((DeviceNotFoundError, DevicePermissionError)) as caught:
        open_reader(f"keyboard:{path}")
    assert caught.value.hint


def test_no_descriptor_is_left_behind() -> None:
    with VirtualKeyboard() as device:
        open_reader(device.address).close()
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(5):
            open_reader(device.address).close()
            with pytest.raises(DeviceNotFoundError):
                open_reader("keyboard:/dev/null")
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
