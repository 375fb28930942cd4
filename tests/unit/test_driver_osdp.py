"""OSDP: published packets and keys, our own reader's half beside the library's panel, keys wrong or default."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.devices import Card, find_driver, open_reader
from edusense.errors import DeviceError, DeviceRefusedError, DeviceTimeoutError, SiteSecretError, UsageError
from edusense.sim.osdp_pd import OsdpReader, crc16, packet
from edusense.sim.osdp_secure import DEFAULT_KEY, SecureSession, aes
from edusense.sim.reader_osdp import VirtualOsdp
from edusense.sim.reader_rdm6300 import VirtualRdm6300
from edusense_drivers.readers.frames import BadFrame, Noise
from edusense_drivers.readers.osdp_frames import LONGEST, Decoder, Event, Packet, encode
from edusense_drivers.readers.osdp_frames import crc16 as drivers_crc16

pytest.importorskip("cryptography")

KEY = bytes(range(1, 17))
CARD = Card.parse("wiegand26:14B938")
# SIA OSDP, annex E, as published with libosdp's tests.
RND_A, RND_B = bytes.fromhex("B0B1B2B3B4B5B6B7"), bytes.fromhex("A0A1A2A3A4A5A6A7")
# Captured from libosdp 3.2.9 over a pseudo-terminal.
PDID = bytes.fromhex("53E514000445BEBAFE0101AFBEADDEADDEAD07FD")
RAW = bytes.fromhex("53E51000065000011A008A5C9C40666F")


@pytest.mark.parametrize(("body", "check"), [("537F0D00046E0080250000", "6E38"), ("53000900046100", "C066")])
def test_published_check_sums(body: str, check: str) -> None:
    data = bytes.fromhex(body)
    assert crc16(data) == drivers_crc16(data) == int.from_bytes(bytes.fromhex(check), "little")


def test_published_sums_without_a_crc() -> None:
    assert packet(0x7F, 0, bytes.fromhex("6E0080250000"))[-1] == 0x0F
    assert packet(0x00, 0, bytes.fromhex("6100"))[-1] == 0x44
    assert encode(0x7F, 0, bytes.fromhex("6E0080250000"))[1:] == packet(0x7F, 0, bytes.fromhex("6E0080250000"))
    assert encode(0x7F, 4, bytes.fromhex("6E0080250000"))[1:] == packet(0x7F, 4, bytes.fromhex("6E0080250000"))


def test_published_keys_and_cryptograms() -> None:
    session = SecureSession(DEFAULT_KEY, RND_A, RND_B)
    assert session.enc.hex().upper() == "BF8DC2A8329ACB8C67C6D0CD9A451682"
    assert session.mac1.hex().upper() == "5E86C676603BDEE2D8BEAFE178637332"
    assert session.mac2.hex().upper() == "6FDA86E857777E81132035758239172E"
    assert session.client_cryptogram.hex().upper() == "FDE5D2F428EC16312471EA3C02BD7796"
    server = bytes.fromhex("26D3356E07762D262801FC8E6665A891")
    assert aes(session.enc, RND_B + RND_A) == server
    first = session.establish(server)
    assert first is not None
    assert first.hex().upper() == "B2A30057EB98BA2229EC1F875662B524"


@pytest.mark.parametrize("at", range(16))
def test_a_wrong_cryptogram_establishes_nothing(at: int) -> None:
    session = SecureSession(DEFAULT_KEY, RND_A, RND_B)
    wrong = bytearray.fromhex("26D3356E07762D262801FC8E6665A891")
    wrong[at] ^= 1
    assert session.establish(bytes(wrong)) is None
    assert not session.established


def test_captured_packets_in_every_split() -> None:
    for wire, code in ((PDID, 0x45), (RAW, 0x50)):
        for cut in range(len(wire) + 1):
            decoder = Decoder()
            (found,) = decoder.push(wire[:cut]) + decoder.push(wire[cut:])
            assert isinstance(found, Packet)
            assert (found.address, found.reply, found.code) == (101, True, code)
            assert decoder.pending == 0


@pytest.mark.parametrize("at", [*range(1, 4), *range(5, len(RAW))])
def test_a_damaged_byte_is_seen(at: int) -> None:
    wire = bytearray(RAW)
    wire[at] ^= 0x40
    found = Decoder().push(bytes(wire) + b"\xff" * LONGEST + RAW)
    assert isinstance(next(event for event in found if not isinstance(event, Noise)), BadFrame)
    assert any(isinstance(event, Packet) and event.raw == RAW for event in found)


mutated = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.sampled_from([PDID, RAW, b"\xff", b"\x53", b"\x53\xe5\x10\x00"]),
        st.sampled_from([PDID, RAW]).flatmap(lambda wire: st.integers(0, len(wire)).map(lambda cut: wire[:cut])),
    ),
    max_size=8,
).map(b"".join)


@given(mutated, st.lists(st.integers(0, 200), max_size=6))
def test_any_bytes_in_any_pieces_give_the_same_events(wire: bytes, cuts: list[int]) -> None:
    def told(pieces: list[bytes]) -> list[Event]:
        decoder = Decoder()
        events = []
        for piece in pieces:
            events += decoder.push(piece)
            assert decoder.pending <= LONGEST
        return [event for event in events if not isinstance(event, Noise)]

    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    pieces = [wire[start:end] for start, end in itertools.pairwise(places)]
    assert told(pieces) == told([wire]) == told([bytes([byte]) for byte in wire])


@given(st.lists(st.one_of(st.binary(max_size=40), st.just(packet(0, 4, b"\x61\x00"))), max_size=12))
def test_the_virtual_reader_survives_anything(pieces: list[bytes]) -> None:
    device = OsdpReader(0, KEY)
    for piece in pieces:
        device.receive(piece)
    device.receive(bytes(LONGEST))
    device.restart()
    assert device.receive(packet(0, 4, b"\x61\x00"))[-1][5] == 0x45


def test_a_card_is_not_told_without_the_key() -> None:
    device = OsdpReader(0, KEY)
    device.receive(packet(0, 4, b"\x60"))
    device.card(26, bytes.fromhex("8A5C9C40"))
    assert device.receive(packet(0, 5, b"\x60"))[-1][5] == 0x40
    # The same sequence number again: the same answer again, and nothing is done twice.
    before = len(device.commands)
    device.receive(packet(0, 5, b"\x60"))
    assert len(device.commands) == before
    assert device.receive(packet(0, 4 | 3, b"\x60"))[-1][5:7] == b"\x41\x04"  # a number was left out


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "osdp.key"
    path.touch(mode=0o600)
    path.write_text(f"{KEY.hex()}\n")
    return path


@pytest.fixture
def library() -> None:
    pytest.importorskip("osdp")


@pytest.mark.usefixtures("library")
class TestWithTheLibrary:
    def test_another_key_is_refused_and_said(self, key_file: Path) -> None:
        with VirtualOsdp(key=bytes(16)) as device, pytest.raises(DeviceRefusedError, match="another key") as caught:
            open_reader(f"{device.address}&key=file:{key_file}")
        assert caught.value.hint
        assert KEY.hex() not in f"{caught.value} {caught.value.hint}".lower()

    def test_the_key_that_everybody_knows_is_never_used(self, key_file: Path) -> None:
        with VirtualOsdp() as device:
            with pytest.raises(DeviceRefusedError, match="default") as caught:
                open_reader(f"{device.address}&key=file:{key_file}")
            assert "edusense reader key" in (caught.value.hint or "")
            assert device.device.key is None
            key_file.write_text(DEFAULT_KEY.hex())
            with pytest.raises(UsageError, match="everybody knows"):
                open_reader(f"{device.address}&key=file:{key_file}")

    def test_a_new_reader_is_given_its_key(self, key_file: Path) -> None:
        from edusense.devices import Address

        with VirtualOsdp(address=5) as device:
            address = f"{device.address}&key=file:{key_file}"
            give_key = find_driver("osdp").give_key
            assert give_key is not None
            give_key(Address(address))
            assert device.device.key == KEY
            with open_reader(address) as reader:
                device.tap(CARD)
                assert reader.read(5) == CARD

    def test_a_reader_without_secure_channel_is_refused_unless_it_is_said(self, key_file: Path) -> None:
        with VirtualOsdp(secure=False) as device:
            plain = device.address.replace("&secure=off", "")
            with pytest.raises(DeviceError):
                open_reader(f"{plain}&key=file:{key_file}")
            with open_reader(f"{plain}&secure=off") as reader:
                device.tap(CARD)
                assert reader.read(5) == CARD

    def test_nobody_at_that_address(self, key_file: Path) -> None:
        with VirtualOsdp(address=7, key=KEY) as device, pytest.raises(DeviceTimeoutError, match="address 8") as caught:
            open_reader(f"osdp:{device.path}?address=8&key=file:{key_file}")
        assert caught.value.hint

    def test_what_is_no_osdp_reader(self, key_file: Path) -> None:
        with VirtualRdm6300() as device:
            device.place(Card.parse("em4100:010063E9AE"))
            with pytest.raises(DeviceTimeoutError, match="no OSDP reader"):
                open_reader(f"osdp:{device.path}?key=file:{key_file}")

    def test_a_verdict_goes_out_between_two_polls(self, key_file: Path) -> None:
        with VirtualOsdp(key=KEY) as device, open_reader(f"{device.address}&key=file:{key_file}") as reader:
            device.tap(CARD)
            assert reader.read(5) == CARD
            before = len(device.device.commands)
            assert reader.signal(granted=True)
            # Nothing was asked before the light: it did not wait for its turn among the polls.
            told = device.device.commands[before:]
            assert 0x69 in told[:2]
            assert device.shown() == [True]
            assert device.device.tones == [1]

    def test_a_reader_that_falls_silent_is_gone(self, key_file: Path) -> None:
        with VirtualOsdp(key=KEY) as device, open_reader(f"{device.address}&key=file:{key_file}") as reader:
            assert reader.read(0.2) is None
            device._mute_until = time.monotonic() + 60
            with pytest.raises(DeviceError, match="does not answer any more"):
                reader.read(30)

    def test_who_is_on_a_line_is_found_without_a_key(self) -> None:
        probe = find_driver("osdp").probe
        assert probe is not None
        with VirtualOsdp(address=42, key=KEY) as device:
            assert probe(str(device.path)) == "address=42"
        with VirtualRdm6300() as other:
            assert probe(str(other.path)) is None


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("", UsageError),
        ("?key=env:NO_SUCH_VARIABLE", SiteSecretError),
        ("?address=127&secure=off", UsageError),
        ("?secure=maybe", UsageError),
        ("?secure=off&key=env:X", UsageError),
    ],
)
def test_addresses_that_make_no_sense(options: str, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        open_reader(f"osdp:/dev/null{options}")
    assert getattr(caught.value, "hint", None)


def test_a_key_that_others_may_read_or_that_is_none_is_refused(key_file: Path) -> None:
    key_file.write_text("0102")
    with pytest.raises(UsageError, match="32 hex digits"):
        open_reader(f"osdp:/dev/null?key=file:{key_file}")
    key_file.chmod(0o644)
    with pytest.raises(SiteSecretError, match="read by others"):
        open_reader(f"osdp:/dev/null?key=file:{key_file}")
