"""RTP for H.264: RFC 6184 packets, interleaved as RFC 2326 section 10.12 says, built once and shared by all clients."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edusense.sim.encode import Picture

__all__ = ["CLOCK_RATE", "MTU", "Wire", "packetise", "sender_report"]

CLOCK_RATE = 90_000
PAYLOAD_TYPE = 96
MTU = 1440
"""Most bytes of an RTP payload: with all headers it fits an Ethernet frame, as cameras send it."""

_FU_A = 28
_NTP_EPOCH = 2_208_988_800


def packetise(nals: Sequence[bytes], mtu: int = MTU) -> list[tuple[bytes, bool]]:
    """Splits a picture's NAL units into RTP payloads (RFC 6184: single NAL unit packets and FU-A).

    Args:
        nals: NAL units without start codes, in order.
        mtu: most bytes of a payload.

    Returns:
        Payloads with the marker bit, which is set on the last one of the picture.
    """
    payloads: list[bytes] = []
    for nal in nals:
        if len(nal) <= mtu:
            payloads.append(nal)
            continue
        header, kind = nal[0], nal[0] & 0x1F
        room = mtu - 2
        for start in range(1, len(nal), room):
            part = nal[start : start + room]
            first, last = start == 1, start + room >= len(nal)
            payloads.append(bytes(((header & 0xE0) | _FU_A, (first << 7) | (last << 6) | kind)) + part)
    return [(payload, index == len(payloads) - 1) for index, payload in enumerate(payloads)]


class Wire:
    """A picture's packets as one run of bytes, in which only numbers and times remain to be written.

    Args:
        picture: what is sent.
        ssrc: of the stream.
    """

    __slots__ = ("_offsets", "_template", "octets", "packets", "picture")

    def __init__(self, picture: Picture, ssrc: int) -> None:
        self.picture = picture
        parts: list[bytes] = []
        offsets: list[int] = []
        octets = at = 0
        for payload, marker in packetise(picture.nals):
            offsets.append(at)
            head = struct.pack(">cBHBBHII", b"$", 0, 12 + len(payload), 0x80, marker << 7 | PAYLOAD_TYPE, 0, 0, ssrc)
            parts += [head, payload]
            at += len(head) + len(payload)
            octets += len(payload)
        self._template = b"".join(parts)
        self._offsets = offsets
        self.packets = len(offsets)
        self.octets = octets

    def stamp(self, channel: int, sequence: int, timestamp: int) -> bytes:
        """The bytes to send.

        Args:
            channel: of the interleaved transport.
            sequence: of the first packet; counts modulo 2^16.
            timestamp: 90 kHz, modulo 2^32.
        """
        wire = bytearray(self._template)
        timestamp &= 0xFFFFFFFF
        pack = _SEQUENCE_AND_TIME.pack_into
        for number, offset in enumerate(self._offsets, sequence):
            pack(wire, offset + 6, number & 0xFFFF, timestamp)
        if channel:
            for offset in self._offsets:
                wire[offset + 1] = channel
        return bytes(wire)


_SEQUENCE_AND_TIME = struct.Struct(">HI")


def sender_report(
    *, channel: int, ssrc: int, unix_s: float, timestamp: int, packets: int, octets: int, name: str = "edusense"
) -> bytes:
    """An RTCP sender report with a source description (RFC 3550 6.4.1, 6.5), interleaved on `channel`.

    Args:
        channel: the RTCP channel.
        ssrc: of the stream.
        unix_s: the camera's wall clock now.
        timestamp: what RTP's clock shows now.
        packets: sent so far.
        octets: of payload sent so far.
        name: the canonical name.
    """
    seconds = int(unix_s)
    fraction = int((unix_s - seconds) * 2**32)
    report = struct.pack(
        ">BBHIIIIII",
        0x80, 200, 6, ssrc, (seconds + _NTP_EPOCH) & 0xFFFFFFFF, fraction & 0xFFFFFFFF,
        timestamp & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF,
    )  # fmt: skip
    cname = name.encode()
    item = struct.pack(">IBB", ssrc, 1, len(cname)) + cname + b"\x00"
    item += b"\x00" * (-len(item) % 4)
    body = report + struct.pack(">BBH", 0x81, 202, len(item) // 4) + item
    return struct.pack(">cBH", b"$", channel, len(body)) + body


def depacketise(payloads: Iterable[bytes]) -> list[bytes]:
    """The NAL units of one picture's payloads: the other half, by which the tests check `packetise`.

    Raises:
        ValueError: a fragment without its beginning or end.
    """
    nals: list[bytes] = []
    open_unit: bytearray | None = None
    for payload in payloads:
        if payload[0] & 0x1F != _FU_A:
            if open_unit is not None:
                raise ValueError("a unit begins before the fragmented one has ended")
            nals.append(payload)
            continue
        first, last = payload[1] >> 7, payload[1] >> 6 & 1
        if first:
            open_unit = bytearray([payload[0] & 0xE0 | payload[1] & 0x1F])
        if open_unit is None:
            raise ValueError("a fragment without its beginning")
        open_unit += payload[2:]
        if last:
            nals.append(bytes(open_unit))
            open_unit = None
    if open_unit is not None:
        raise ValueError("a fragment without its end")
    return nals
