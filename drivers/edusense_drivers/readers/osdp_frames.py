"""Packets on an OSDP line, as far as they can be seen without a key: bytes in, events out. No port, no clock.

```text
[FF] 53 ADDR LEN_L LEN_H CTRL [SCB: length type data] CODE DATA [MAC×4] CRC_L CRC_H, or one byte of check sum
```

Talking is the library's work; this watches, so that a damaged packet has coordinates and a refusal a name. Source: SIA
OSDP v2.1.7 (IEC 60839-11-5), 5.7 to 5.9; CRC-16 with polynomial 1021 and initial value 1D0F.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from edusense_drivers.readers.frames import BadFrame, Noise

__all__ = ["LONGEST", "NAK_REASONS", "Decoder", "Event", "Packet", "crc16", "encode", "identity"]

_SOM: Final = 0x53
_MARK: Final = 0xFF
_REPLY: Final = 0x80
_CRC, _SECURE = 0x04, 0x08
_UNUSED: Final = 0xF0
"""Bits of CTRL that no packet has set."""
LONGEST: Final = 1440
"""Bytes in a packet at most."""
ACK, NAK, PDID, RAW, CCRYPT, RMAC_I = 0x40, 0x41, 0x45, 0x50, 0x76, 0x78
NAK_REASONS: Final = {
    1: "the check sum of what it heard was wrong",
    2: "a length that it does not know",
    3: "a command that it does not know",
    4: "another sequence number than it waits for",
    5: "no secure channel with this key, or none at all",
    6: "it speaks only through a secure channel",
}
_TABLE: Final = []
for _byte in range(256):
    _value = _byte << 8
    for _ in range(8):
        _value = (_value << 1 ^ 0x1021 if _value & 0x8000 else _value << 1) & 0xFFFF
    _TABLE.append(_value)


def crc16(data: bytes) -> int:
    """The CRC of a packet.

    >>> f"{crc16(bytes.fromhex('530009000461 00')):04X}"  # on the wire C0 66
    '66C0'
    """
    value = 0x1D0F
    for byte in data:
        value = (value << 8 & 0xFFFF) ^ _TABLE[value >> 8 ^ byte]
    return value


def encode(address: int, control: int, body: bytes) -> bytes:
    """A packet without a security block, as a controller sends it.

    Args:
        address: whose packet it is; 7F for everybody.
        control: sequence number, and 4 for a CRC.
        body: code and data.

    >>> encode(0x7F, 4, bytes.fromhex("6E0080250000")).hex(" ")
    'ff 53 7f 0d 00 04 6e 00 80 25 00 00 6e 38'
    """
    size = 5 + len(body) + (2 if control & _CRC else 1)
    told = bytes([_SOM, address]) + size.to_bytes(2, "little") + bytes([control]) + body
    check = crc16(told).to_bytes(2, "little") if control & _CRC else bytes([-sum(told) & 0xFF])
    return bytes([_MARK]) + told + check


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet whose check sum is right.

    Args:
        address: of the reader.
        reply: whether the reader sent it.
        secure: type of its security block; 0 without one.
        code: what it is: a command, or a reply.
        data: what follows the code; encrypted where `secure` is 17 or 18 (hex).
        raw: the packet as it came.
        end: position of its last byte, counted from the first byte of the session.
    """

    address: int
    reply: bool
    secure: int
    code: int
    data: bytes
    raw: bytes
    end: int


Event: TypeAlias = Packet | BadFrame | Noise


def identity(packet: Packet) -> str:
    """What a reader says of itself in its reply to an ID command.

    >>> (found,) = Decoder().push(bytes.fromhex("53E514000445BEBAFE0101AFBEADDEADDEAD07FD"))
    >>> identity(found)
    'vendor BEBAFE, model 1, version 1, serial number DEADBEAF, firmware 173.222.173'
    """
    data = packet.data
    if packet.code != PDID or len(data) != 12:
        return "an answer that says nothing of the reader"
    serial = int.from_bytes(data[5:9], "little")
    return (
        f"vendor {data[:3].hex().upper()}, model {data[3]}, version {data[4]}, serial number {serial:08X}, "
        f"firmware {data[9]}.{data[10]}.{data[11]}"
    )


class Decoder:
    """Turns bytes into events, whatever pieces they come in; keeps one packet at most."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._noise = bytearray()
        self._before = -1

    @property
    def pending(self) -> int:
        """How many bytes of a begun packet are held."""
        return len(self._held)

    def push(self, data: bytes) -> list[Event]:
        """Takes the next bytes; marks (`FF`) before a packet are no noise."""
        events: list[Event] = []
        for byte in data:
            self._held.append(byte)
            while self._held and self._step(events):
                pass
        self._tell_noise(events)
        return events

    def _step(self, events: list[Event]) -> bool:
        """Decides about the first bytes held; False while more are needed."""
        held = self._held
        if held[0] != _SOM:
            if held[0] != _MARK:
                self._noise.append(held[0])
            self._drop(1)
            return True
        if len(held) < 5:
            return False
        size = int.from_bytes(held[2:4], "little")
        if not 7 <= size <= LONGEST:
            return self._bad("length", f"a length of {size} bytes at byte {self._before + 3}", 1, events)
        if held[4] & _UNUSED:
            return self._bad("control", f"control byte 0x{held[4]:02X} at byte {self._before + 5}", 1, events)
        if len(held) < size:
            return False
        raw = bytes(held[:size])
        if raw[4] & _CRC:
            told, check = int.from_bytes(raw[-2:], "little"), crc16(raw[:-2])
            what = f"CRC 0x{told:04X}, computed 0x{check:04X}"
        else:
            told, check = raw[-1], -sum(raw[:-1]) & 0xFF
            what = f"check sum 0x{told:02X}, computed 0x{check:02X}"
        if told != check:
            return self._bad("check", what, size, events)
        self._tell_noise(events)
        self._drop(size)
        events.append(self._packet(raw))
        return True

    def _packet(self, raw: bytes) -> Event:
        tail = 2 if raw[4] & _CRC else 1
        block = raw[5 : 5 + raw[5]] if raw[4] & _SECURE else b""
        secure = block[1] if len(block) >= 2 else 0
        mac = 4 if 0x15 <= secure <= 0x18 else 0
        body = raw[5 + len(block) : len(raw) - tail - mac]
        if not body or (raw[4] & _SECURE and len(block) < 2):
            what = f"frame ending at byte {self._before}: a packet without a code"
            return BadFrame("cut-short", what, raw, self._before)
        return Packet(raw[1] & 0x7F, raw[1] & _REPLY != 0, secure, body[0], body[1:], raw, self._before)

    def _bad(self, reason: str, what: str, size: int, events: list[Event]) -> bool:
        """Drops a start, and what follows up to where another packet may begin."""
        self._tell_noise(events)
        end = self._before + min(size, len(self._held))
        following = self._held.find(_SOM, 1)
        count = following if following > 0 else len(self._held)
        raw = bytes(self._held[:count])
        self._drop(count)
        events.append(BadFrame(reason, f"frame ending at byte {end}: {what}", raw, end))
        return True

    def _drop(self, count: int) -> None:
        del self._held[:count]
        self._before += count

    def _tell_noise(self, events: list[Event]) -> None:
        if self._noise:
            events.append(Noise(bytes(self._noise), self._before))
            self._noise.clear()
