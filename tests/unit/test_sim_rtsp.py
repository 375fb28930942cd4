"""The virtual camera's protocols without sockets: RTP packets, RTSP messages however they are cut, who may watch."""

from __future__ import annotations

import base64
import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.errors import UsageError
from edusense.sim.encode import Picture, split_nals
from edusense.sim.faults import FAULTS, Fault
from edusense.sim.rtp import MTU, Wire, depacketise, packetise, sender_report
from edusense.sim.rtsp import Guard, MalformedError, Parser, Request, describe, interleaved_channels, respond

NAL = st.builds(
    lambda kind, ref, body: bytes([ref << 5 | kind]) + body,
    st.sampled_from([1, 5, 6, 7, 8]),
    st.integers(0, 3),
    st.one_of(
        st.binary(min_size=1, max_size=64),
        st.integers(1300, 6000).map(lambda size: bytes(range(256)) * (size // 256 + 1)),
    ),
)


@given(st.lists(NAL, min_size=1, max_size=6), st.integers(64, 1500))
def test_nal_units_survive_the_packets(nals: list[bytes], mtu: int) -> None:
    packets = packetise(nals, mtu)
    assert all(len(payload) <= mtu for payload, _ in packets)
    assert [marker for _, marker in packets] == [False] * (len(packets) - 1) + [True]
    assert depacketise(payload for payload, _ in packets) == nals


@pytest.mark.parametrize("size", [MTU - 1, MTU, MTU + 1, 2 * MTU - 4, 2 * MTU - 3, 2 * MTU - 2, 10 * MTU])
def test_sizes_around_the_packets_limit(size: int) -> None:
    nal = b"\x65" + b"\xaa" * (size - 1)
    assert depacketise(payload for payload, _ in packetise([nal])) == [nal]


@given(st.lists(NAL, min_size=1, max_size=4), st.integers(0, 2**16 - 1), st.integers(0, 2**33), st.integers(0, 254))
def test_a_stamped_picture_is_whole_interleaved_packets(
    nals: list[bytes], sequence: int, timestamp: int, channel: int
) -> None:
    wire = Wire(Picture(0, True, tuple(nals)), 0xCAFE)
    data = wire.stamp(channel, sequence, timestamp)
    payloads, at, number = [], 0, sequence
    while at < len(data):
        dollar, told, length = struct.unpack_from(">cBH", data, at)
        first, marker_and_type, seq, stamp, ssrc = struct.unpack_from(">BBHII", data, at + 4)
        assert (dollar, told, first, marker_and_type & 127, ssrc) == (b"$", channel, 0x80, 96, 0xCAFE)
        assert (seq, stamp) == (number & 0xFFFF, timestamp & 0xFFFFFFFF)
        payloads.append(data[at + 16 : at + 4 + length])
        at += 4 + length
        assert bool(marker_and_type & 128) == (at == len(data))
        number += 1
    assert depacketise(payloads) == nals
    assert (wire.packets, wire.octets) == (len(payloads), sum(map(len, payloads)))


def test_depacketising_refuses_fragments_without_an_end() -> None:
    packets = [payload for payload, _ in packetise([b"\x65" + bytes(4000)])]
    for damaged in (packets[1:], packets[:-1], [packets[0], b"\x41abc"]):
        with pytest.raises(ValueError, match="fragment"):
            depacketise(damaged)


def test_a_sender_report_carries_both_clocks() -> None:
    data = sender_report(channel=1, ssrc=7, unix_s=1_700_000_000.5, timestamp=90_000, packets=3, octets=4)
    assert data[:2] == b"$\x01"
    assert int.from_bytes(data[2:4]) == len(data) - 4
    fields = struct.unpack_from(">BBHIIIIII", data, 4)
    assert fields == (0x80, 200, 6, 7, 1_700_000_000 + 2_208_988_800, 2**31, 90_000, 3, 4)
    assert struct.unpack_from(">BB", data, 4 + 28) == (0x81, 202)
    assert (len(data) - 4) % 4 == 0


def test_units_are_found_whatever_the_start_code() -> None:
    assert split_nals(b"\x00\x00\x00\x01\x67a\x00\x00\x01\x68b\x00\x00\x01\x65c") == [b"\x67a", b"\x68b", b"\x65c"]
    assert split_nals(b"") == []


REQUESTS = (
    b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    b"$\x01\x00\x04abcd"
    b"SET_PARAMETER rtsp://h/main RTSP/1.0\r\ncseq:2\r\nContent-Length: 5\r\nSession: ab;timeout=60\r\n\r\nhello"
    b"\r\n"
    b"TEARDOWN rtsp://h:8554/main/?a=1 RTSP/1.0\r\nCSeq:   3  \r\n\r\n"
)


@pytest.mark.parametrize("cut", range(0, len(REQUESTS) + 1, 3))
def test_requests_survive_every_split(cut: int) -> None:
    parser, found = Parser(), []
    for part in (REQUESTS[:cut], REQUESTS[cut:]):
        parser.push(part)
        found += list(parser.pull())
    assert [(one.method, one.cseq, one.body, one.path) for one in found] == [
        ("OPTIONS", "1", b"", "*"),
        ("SET_PARAMETER", "2", b"hello", "main"),
        ("TEARDOWN", "3", b"", "main"),
    ]
    assert found[1].session == "ab"
    assert parser.frames == 1


@pytest.mark.parametrize(
    ("data", "status", "cseq"),
    [
        (b"hello there\r\n\r\n", 400, None),
        (b"\xff\xfe\xfd", 400, None),
        (b"GET / HTTP/1.1\r\n", 400, None),
        (b"OPTIONS * RTSP/2.0\r\nCSeq: 4\r\n\r\n", 505, "4"),
        (b"OPTIONS * RTSP/1.0\r\n\r\n", 400, None),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: x\r\n\r\n", 400, None),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 5\r\nno header\r\n\r\n", 400, "5"),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 6\r\nContent-Length: -1\r\n\r\n", 400, "6"),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 6\r\nContent-Length: 99999999\r\n\r\n", 400, "6"),
        (b"OPTIONS rtsp://[::1 RTSP/1.0\r\nCSeq: 7\r\n\r\n", 400, "7"),
        (b"OPTIONS * RTSP/1.0\r\nX: " + b"a" * 20_000, 400, None),
        (b"A" * 5000, 400, None),
    ],
)
def test_what_is_not_rtsp_is_refused(data: bytes, status: int, cseq: str | None) -> None:
    parser = Parser()
    parser.push(data)
    with pytest.raises(MalformedError) as refusal:
        list(parser.pull())
    assert (refusal.value.status, refusal.value.cseq) == (status, cseq)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_parser(data: bytes) -> None:
    parser = Parser()
    parser.push(data)
    try:
        for request in parser.pull():
            assert request.path is not None
    except MalformedError:
        pass


@pytest.mark.parametrize(
    ("transport", "channels"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=0-1", (0, 1)),
        ("RTP/AVP/TCP;unicast", (0, 1)),
        ("RTP/AVP/TCP;unicast;interleaved=6", (6, 7)),
        ("RTP/AVP;unicast;client_port=1-2", None),
        ("RTP/AVP/UDP;unicast;client_port=1-2,RTP/AVP/TCP;interleaved=4-5", (4, 5)),
        ("RTP/AVP/TCP;interleaved=255-256", None),
        ("RTP/AVP/TCP;interleaved=3-3", None),
        ("RTP/AVP/TCP;multicast", None),
        ("", None),
    ],
)
def test_transports(transport: str, channels: tuple[int, int] | None) -> None:
    assert interleaved_channels(transport) == channels


def h(algorithm: str, text: str) -> str:
    return hashlib.new(algorithm, text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("scheme", "name", "algorithm"), [("digest", "MD5", "md5"), ("digest-sha256", "SHA-256", "sha256")]
)
@pytest.mark.parametrize("qop", [False, True])
def test_digest(scheme: str, name: str, algorithm: str, qop: bool) -> None:
    guard = Guard("edusense", "pä:ss", (scheme,))
    nonce = guard.nonce()

    def header(password: str, user: str = "edusense", challenge: str = nonce, method: str = "PLAY") -> dict[str, str]:
        secret, what = h(algorithm, f"{user}:{guard.realm}:{password}"), h(algorithm, f"{method}:rtsp://h/main")
        middle = f"{challenge}:00000001:cc:auth:" if qop else f"{challenge}:"
        text = (
            f'Digest username="{user}", realm="{guard.realm}", nonce="{challenge}", uri="rtsp://h/main", '
            f'algorithm={name}, response="{h(algorithm, f"{secret}:{middle}{what}")}"'
        )
        return {"authorization": text + (', qop=auth, nc=00000001, cnonce="cc"' if qop else "")}

    def admits(headers: dict[str, str]) -> bool:
        return guard.admits(Request("PLAY", "rtsp://h/main", headers), nonce)

    assert admits(header("pä:ss"))
    assert not admits(header("other"))
    assert not admits(header("pä:ss", user="admin"))
    assert not admits(header("pä:ss", challenge="0" * 32))
    assert not admits(header("pä:ss", method="SETUP"))
    assert not admits({})
    assert not admits({"authorization": "Digest"})
    assert not admits({"authorization": "Basic " + base64.b64encode("edusense:pä:ss".encode()).decode()})


def test_basic_and_nobody() -> None:
    guard = Guard("u", "p", ("digest", "basic"))
    right = {"authorization": "Basic " + base64.b64encode(b"u:p").decode()}
    assert guard.admits(Request("PLAY", "*", right), "n")
    for wrong in ("Basic", "Basic ???", "Basic " + base64.b64encode(b"u:q").decode(), "Bearer x"):
        assert not guard.admits(Request("PLAY", "*", {"authorization": wrong}), "n")
    assert [value.split()[0] for _, value in guard.challenges("n")] == ["Digest", "Basic"]
    assert Guard("u", None).admits(Request("PLAY", "*"), "n")


def test_the_description_names_the_parameter_sets() -> None:
    sdp = describe(
        "rtsp://h/main", (b"\x67\x64\x00\x1f\xac", b"\x68\xee"), fps=12.5, kbit=512, name="hall", address="10.0.0.2"
    )
    text = sdp.decode()
    assert "profile-level-id=64001F" in text
    first, second = (base64.b64encode(part).decode() for part in (b"\x67\x64\x00\x1f\xac", b"\x68\xee"))
    assert f"sprop-parameter-sets={first},{second}" in text
    assert "a=framerate:12.5\r\n" in text
    assert text.endswith("\r\n")


def test_an_answer_repeats_the_number() -> None:
    answer = respond(200, "17", [("Public", "OPTIONS")], b"body")
    assert answer.startswith(b"RTSP/1.0 200 OK\r\nCSeq: 17\r\n")
    assert answer.endswith(b"Content-Length: 4\r\n\r\nbody")


def test_faults_are_read_and_misspellings_named() -> None:
    assert Fault.parse("stall") == Fault("stall", 0.0)
    assert Fault.parse("drop@2.5") == Fault("drop", 2.5)
    assert {Fault.parse(name).kind for name in FAULTS} == set(FAULTS)
    for text in ("stal", "stall@", "stall@-1", "stall@soon", "stall@nan"):
        with pytest.raises(UsageError) as refusal:
            Fault.parse(text)
        assert refusal.value.hint
