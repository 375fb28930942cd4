"""Mutated frames for every parser of a reader's bytes: nothing undocumented is raised, memory stays bounded, and the
parser is back in step within one good frame. Two thousand of them each time, a million with `make test-long`.
"""

from __future__ import annotations

import contextlib
import pickle
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest

from edusense.devices import FAULT_HINTS, Card, readings
from edusense.devices.wiegand import pack
from edusense.errors import CardError, DeviceProtocolError
from edusense.sim.osdp_pd import OsdpReader, packet
from edusense.sim.pn532_model import Pn532Model
from edusense_drivers.readers import (
    ccid_messages,
    em4100_bare,
    em4100_binary,
    em4100_frames,
    external_numbers,
    ironlogic_lines,
    keyboard_keys,
    keyboard_text,
    osdp_frames,
    pn532_frames,
    scanner_lines,
    wiegand_lines,
)
from edusense_drivers.readers.frames import BadFrame, Frame
from edusense_drivers.readers.keyboard_typing import EVENT, KEYS

TAGS: Final = ("010063E9AE", "3C00CE754C", "0C000621A5", "4500C5D1E9", "307E4DE5C2", "62E3086CED")
TAIL: Final = 3
"""Good frames after each batch: the first may be lost, the others not."""
BATCH: Final = 12
"""Mutated frames between two looks at whether the parser is in step."""
BY_CHANCE: Final = 1 / 200
"""Share of those looks at which a garbled frame has passed its check: one in 256 fits a check sum of a byte."""
STATE: Final = 8192
"""Bytes that a parser's whole state may take, pickled: some hundred beside the frame that it holds."""


@dataclass(frozen=True)
class Parser:
    """One parser, and what it should make of good bytes.

    Args:
        make: a fresh one.
        good: frames that hold together.
        told: what an event says was in a frame; None for events that are no frames.
        quiet: what happens on the line between a garbled time and the next frame.
        after: bytes behind the good frames, so that a garbled head of a long frame is over.
        unit: mutations take away and put in so many bytes at a time.
        long: how long a held frame may be.
        timed: whether the bytes say when they came: input events.
        share: how many parsers the million is divided among, where one has several dialects.
    """

    make: Callable[[], Any]
    good: Sequence[bytes]
    told: Callable[[Any], bytes | None]
    quiet: Callable[[Any], None] = lambda decoder: None
    after: bytes = b""
    unit: int = 1
    long: int = 4096
    timed: bool = False
    share: int = 1


def frame_told(event: Any) -> bytes | None:
    """The number in a frame; making a card of it raises nothing but CardError."""
    if not isinstance(event, Frame):
        return None
    with contextlib.suppress(CardError):
        Card(event.technology, event.uid, raw=event.raw)
    return event.uid


def em4100(tag: str, before: bytes, behind: bytes) -> bytes:
    uid = bytes.fromhex(tag)
    return before + f"{tag}{em4100_frames.check_byte(uid):02X}".encode() + behind


def binary(number: str) -> bytes:
    uid = bytes.fromhex(number)
    body = bytes([len(uid) + 5, 2 if len(uid) == 5 else 1]) + uid
    return b"\x02" + body + bytes([em4100_frames.check_byte(body), 3])


KEY_OF: Final = {letter: code for code, letter in reversed(KEYS["us"][0].items())} | {"\n": 28}


def keys(text: str, at: float = 0.0) -> bytes:
    """The events of a typed text, 5 ms from key to key."""
    told = b""
    for letter in text:
        for value in (1, 0):
            seconds, rest = divmod(round(at * 1e6), 1_000_000)
            told += EVENT.pack(seconds, rest, 1, KEY_OF[letter], value) + EVENT.pack(seconds, rest, 0, 0, 0)
            at += 0.0025
    return told


def later(wire: bytes, seconds: int) -> bytes:
    """The same events at another time."""
    return b"".join(
        EVENT.pack(seconds + at, rest, kind, code, value) for at, rest, kind, code, value in EVENT.iter_unpack(wire)
    )


def line_of(form: str, number: int, width: int) -> bytes:
    data, frame = number & ((1 << width - 2) - 1), pack(number & ((1 << width - 2) - 1), width)
    told = {
        "hex": f"{data:0{(width - 2 + 3) // 4}X}",
        "frame": f"{frame:0{(width + 3) // 4}X}",
        "bits": f"{frame:0{width}b}",
        "decimal": f"{data:010d}",
    }
    return told[form].encode() + b"\r\n"


IRONLOGIC: Final = (
    "Em-Marine[5500] 126,58404",
    "Em-Marine[1700] 009,22847",
    "Mifare[77242CF0]  (0004,88) 044,09335",
    "Mifare[3AAC2280045646]  (0142,20) 004,22086",
    "19997 Mifare[62D22F80041B4B]  (0144,08) 004,06987",
)
TEXTS: Final = ("EW-2026-000017", "]Q1EW-2026-000018", "https://example.org/?v=1")
TYPED: Final = {
    "digits": ("0006547886\n", "0013530444\n", "0012964329\n"),
    "facility": ("099,59822\n", "20630028\n", "142,27997\n"),
    "8h10d": ("0063e9ae0006547886\n", "00ce754c0013530444\n"),
    "hex": ("010063e9ae\n", "04a1b2c3d4e5f6\n", "9dcb4340\n"),
}
PN532: Final = tuple(
    bytes.fromhex(data)
    for data in ("D54B010100040804FB0EE20B", "D50332010607", "D54B0101004400070404A1B2C3D4E5", "D54100049000")
)
OSDP: Final = tuple(
    packet(address | 0x80, control, bytes.fromhex(body))
    for address, control, body in (
        (101, 4, "45BEBAFE0101AFBEADDEADDEAD"), (101, 6, "5000011A008A5C9C00"), (5, 0, "40"), (0, 7, "4105"),
    )
)  # fmt: skip


def pn532_told(event: Any) -> bytes | None:
    if not isinstance(event, pn532_frames.Message):
        return None
    for modulation in (0, 1, 3):
        with contextlib.suppress(ValueError):
            pn532_frames.targets(event.data[2:], modulation)
    return event.data


def osdp_told(event: Any) -> bytes | None:
    return event.raw if isinstance(event, osdp_frames.Packet) else None


def line_told(event: Any) -> bytes | None:
    if event is None:
        return None
    found = external_numbers.number_in_line(event)
    for media in ("application/json", "application/x-www-form-urlencoded", "text/plain", "image/png"):
        external_numbers.number_in_body(event, media)
    return None if found.number is None else found.number.encode()


def silence(decoder: Any) -> None:
    decoder.pause(0.05)


PARSERS: Final[dict[str, Parser]] = {
    "rdm6300": Parser(
        em4100_frames.Decoder, [em4100(tag, b"\x02", b"\x03") for tag in TAGS], frame_told, long=17, share=2
    ),
    "id-la": Parser(
        em4100_frames.Decoder, [em4100(tag, b"\x02", b"\r\n\x03") for tag in TAGS], frame_told, long=17, share=2
    ),
    "em-18": Parser(em4100_bare.Decoder, [em4100(tag, b"", b"") for tag in TAGS], frame_told, silence, long=12),
    "binary": Parser(
        em4100_binary.Decoder,
        [binary(tag) for tag in (*TAGS, "9DCB4340", "04A1B2C3D4E5F6")],
        frame_told,
        after=bytes(12),
        long=12,
    ),
    "ironlogic": Parser(
        ironlogic_lines.Decoder,
        [line.encode() + b"\r\n" for line in IRONLOGIC],
        frame_told,
        long=ironlogic_lines.LONGEST,
    ),
    **{
        f"wiegand-{form}-{width}": Parser(
            lambda form=form, width=width: wiegand_lines.Decoder(width, form),
            [line_of(form, int(tag, 16), width) for tag in TAGS],
            frame_told,
            long=wiegand_lines.LONGEST,
            share=4,
        )
        for form, width in (("hex", 26), ("frame", 34), ("bits", 37), ("decimal", 34))
    },
    "scanner": Parser(
        scanner_lines.Decoder, [text.encode() + b"\r\n" for text in TEXTS], frame_told, long=scanner_lines.LONGEST
    ),
    **{
        f"keyboard-{layout}": Parser(
            lambda layout=layout: keyboard_keys.Decoder(layout),
            [keys(text) for text in texts],
            frame_told,
            unit=EVENT.size,
            timed=True,
            share=5,
        )
        for layout, texts in TYPED.items()
    },
    "keyboard-scanner": Parser(
        keyboard_text.TextDecoder,
        [keys("ew-2026-000017\n"), keys("1017\n")],
        frame_told,
        unit=EVENT.size,
        timed=True,
        share=5,
    ),
    "pn532": Parser(
        pn532_frames.Decoder,
        [pn532_frames.encode(data) for data in PN532],
        pn532_told,
        after=bytes(pn532_frames.LONGEST + 8),
        long=pn532_frames.LONGEST + 10,
    ),
    "osdp": Parser(osdp_frames.Decoder, OSDP, osdp_told, after=b"\xff" * osdp_frames.LONGEST, long=osdp_frames.LONGEST),
    "external": Parser(
        external_numbers.LineCutter, [b"1017\r\n", b'{"person": 42, "face": "AAEC"}\n', b"palm-0042\n"], line_told
    ),
}


def mutate(wire: bytes, others: Sequence[bytes], unit: int, dice: random.Random) -> bytes:
    """A frame with one to three things wrong with it, or no frame at all."""
    found = bytearray(wire)
    for _ in range(dice.randint(1, 3)):
        places = len(found) // unit
        at = dice.randrange(places + 1) * unit
        match dice.randrange(8):
            case 0 if found:  # a bit turned over
                found[dice.randrange(len(found))] ^= 1 << dice.randrange(8)
            case 1 if found:  # another byte
                found[dice.randrange(len(found))] = dice.randrange(256)
            case 2:  # something lost
                del found[at : at + unit * dice.randint(1, 4)]
            case 3:  # something too much
                found[at:at] = dice.randbytes(unit * dice.randint(1, 4))
            case 4:  # cut short
                del found[at:]
            case 5:  # the beginning lost
                del found[:at]
            case 6:  # two in one
                found += dice.choice(others)[: at + unit]
            case _:  # nothing of it left
                found = bytearray(dice.randbytes(unit * dice.randint(0, 2 * places + 2)))
    return bytes(found)


def fed(decoder: Any, wire: bytes, unit: int, dice: random.Random) -> list[Any]:
    """The events of some bytes, which come in random pieces."""
    events, at = [], 0
    while at < len(wire):
        size = unit * dice.randint(1, 40)
        events += decoder.push(wire[at : at + size])
        at += size
    return events


def million(quick: int) -> list[Any]:
    return [pytest.param(quick, id="some"), pytest.param(1_000_000, id="million", marks=pytest.mark.long)]


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("count", million(1_000))
@pytest.mark.parametrize("name", PARSERS)
def test_mutated_frames_cost_one_good_frame_at_most(name: str, count: int) -> None:
    parser = PARSERS[name]
    dice = random.Random(f"{name} {count}")
    decoder = parser.make()
    expected = {wire: told[0] for wire in parser.good if (told := heard(parser, parser.make(), wire))}
    assert len(expected) == len(parser.good), "a frame that is called good is none"
    garbled_of = [later(wire, at) for wire in expected for at in range(9)] if parser.timed else list(expected)
    tail_of = [
        {wire: later(wire, 1000 + 2 * place) if parser.timed else wire for wire in expected} for place in range(TAIL)
    ]
    most = by_chance = 0
    batches = count // BATCH // parser.share + 1
    for batch in range(batches):
        garbled = b"".join(mutate(dice.choice(garbled_of), garbled_of, parser.unit, dice) for _ in range(BATCH))
        for event in fed(decoder, garbled, parser.unit, dice):
            parser.told(event)
            assert not isinstance(event, BadFrame) or event.reason in FAULT_HINTS, event
        most = max(most, getattr(decoder, "pending", 0))
        parser.quiet(decoder)
        tail = [dice.choice(parser.good) for _ in range(TAIL)]
        sent = b"".join(later_of[wire] for later_of, wire in zip(tail_of, tail, strict=True))
        events = fed(decoder, sent, parser.unit, dice)
        if getattr(decoder, "pending", 0):
            events += decoder.push(parser.after)
        found = [told for event in events if (told := parser.told(event)) is not None]
        wanted = [expected[wire] for wire in tail[1:]]
        if found[-len(wanted) :] != wanted:
            assert not set(found) <= set(expected.values()), f"batch {batch}: {garbled.hex()} then {sent.hex()}"
            by_chance += 1
    assert by_chance <= 1 + batches * BY_CHANCE
    assert most <= parser.long
    assert len(pickle.dumps(decoder)) <= STATE + parser.long


def heard(parser: Parser, decoder: Any, wire: bytes) -> list[bytes]:
    events = decoder.push((later(wire, 1) if parser.timed else wire) + parser.after)
    return [told for event in events if (told := parser.told(event)) is not None]


CCID: Final = tuple(
    bytes.fromhex(message)
    for message in (
        "81000000000000010000", "80140000000001000000" "3B8F8001804F0CA000000306030001000000006A",
        "8009000000000200000004A1B2C3D4E5F69000", "83020000000003000000" "9000", "80000000000004800000",
    )
)  # fmt: skip


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("count", million(2_000))
def test_mutated_ccid_messages_raise_what_is_documented(count: int) -> None:
    dice = random.Random(count)
    requests = list(ccid_messages.Request)
    documented = (DeviceProtocolError, ccid_messages.Failure, CardError)
    dialogue = ccid_messages.Dialogue(dice.randrange(256))
    for number in range(count):
        wire = mutate(dice.choice(CCID), CCID, 1, dice)
        request = dialogue.request(dice.choice(requests), b"")
        if number % 3:  # its answer as far as the sequence number goes
            wire = wire[:6] + request[6:7] + wire[7:]
        with contextlib.suppress(*documented):
            ccid_messages.expected_length(wire)
        with contextlib.suppress(*documented):
            found = dialogue.answer(wire)
            if found is not None:
                data, _ = ccid_messages.split_apdu(found.data)
                Card(ccid_messages.card_kind(found.data, data), data or b"\x01")
        ccid_messages.SlotChange.decode(wire)
        ccid_messages.Descriptor.decode(wire)
        ccid_messages.check_byte_wrong(wire)
    good = dialogue.request(ccid_messages.Request.XFR_BLOCK)
    found = dialogue.answer(bytes.fromhex("800200000000000000009000")[:6] + good[6:7] + bytes(3) + b"\x90\x00")
    assert found is not None
    assert len(pickle.dumps(dialogue)) <= STATE


FORMS: Final = (
    "0006547886", "099,59822", "010063E9AE", "04:A1:B2:C3:D4:E5:F6", "em4100:010063E9AE", "reversed:AEE9630001",
    "Em-Marine[5500] 126,58404", "Mifare[3AAC2280045646]  (0142,20) 004,22086", "10000110100110011000010110",
    "wiegand26:013,13067", "person:1017", "token:EW-1", "mifare-classic:9DCB4340",
)  # fmt: skip


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("count", million(2_000))
def test_mutated_numbers_on_paper_are_cards_or_are_refused(count: int) -> None:
    dice = random.Random(count)
    wires = [form.encode() for form in FORMS]
    for _ in range(count):
        text = mutate(dice.choice(wires), wires, 1, dice).decode("utf-8", "replace")
        with contextlib.suppress(CardError):
            card = Card.parse(text)
            assert Card.parse(str(card)) == card
            assert card in readings(text)


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("count", million(1_000))
def test_mutated_commands_do_not_stop_a_virtual_reader(count: int) -> None:
    """What other people's software sends to the device's half: a controller of OSDP, a host of the PN532."""
    dice = random.Random(count)
    osdp, chip = OsdpReader(0, bytes(range(16))), Pn532Model()
    polls = [packet(0, control, bytes.fromhex(body)) for control, body in ((4, "60"), (5, "6100"), (6, "6200"))]
    asks = [bytes.fromhex(wire) for wire in ("0000FF02FED4022A00", "0000FF04FCD44A0100E100", "0000FF03FDD41401170000")]
    for _ in range(count):
        osdp.receive(mutate(dice.choice(polls), polls, 1, dice))
        chip.receive(mutate(dice.choice(asks), asks, 1, dice))
    osdp.receive(bytes(osdp_frames.LONGEST))
    osdp.restart()
    assert osdp.receive(polls[1])[-1][5] == 0x45
    chip.receive(b"\x55\x55" + bytes(400))
    assert chip.receive(asks[0])[-1] == bytes.fromhex("0000FF06FAD50332010607E800")
    assert struct.calcsize("@llHHi") == EVENT.size
