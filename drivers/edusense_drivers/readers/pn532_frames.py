"""The wire of the PN532 over its serial port (HSU): bytes in, events out, in both directions. No port, no clock.

```text
normal    00 00 FF  LEN LCS             TFI PD0 … PDn  DCS 00     LEN + LCS = 0, TFI + … + PDn + DCS = 0 (mod 256)
extended  00 00 FF  FF FF LENM LENL LCS TFI PD0 … PDn  DCS 00     LENM + LENL + LCS = 0
ACK       00 00 FF  00 FF 00
NACK      00 00 FF  FF 00 00
error     00 00 FF  01 FF 7F 81 00
```

TFI is D4 to the chip and D5 from it. Source: NXP UM0701-02, section 6.2.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from edusense_drivers.readers.frames import BadFrame, Noise

__all__ = [
    "ACK",
    "FROM_CHIP",
    "LONGEST",
    "NACK",
    "TO_CHIP",
    "Ack",
    "Decoder",
    "Event",
    "Message",
    "Nack",
    "Target",
    "encode",
    "targets",
    "targets_106a",
]

ACK: Final = bytes.fromhex("0000FF00FF00")
NACK: Final = bytes.fromhex("0000FFFF0000")
TO_CHIP: Final = 0xD4
FROM_CHIP: Final = 0xD5
LONGEST: Final = 265
"""Bytes of TFI and data that the chip can send at most (UM0701-02, 6.2.1.2)."""
_ERROR: Final = b"\x7f"


@dataclass(frozen=True, slots=True)
class Message:
    """A frame whose check sums are right.

    Args:
        data: from TFI to the last byte of data; `7F` alone is the chip's complaint of a command.
        raw: the frame as it came, without preamble and postamble.
        end: position of its last byte, counted from the first byte of the session.
    """

    data: bytes
    raw: bytes
    end: int

    @property
    def refused(self) -> bool:
        """Whether this is the error frame: the chip does not know the command, or not so."""
        return self.data == _ERROR


@dataclass(frozen=True, slots=True)
class Ack:
    """The command was received whole."""

    end: int


@dataclass(frozen=True, slots=True)
class Nack:
    """Send it again."""

    end: int


Event: TypeAlias = Message | Ack | Nack | BadFrame | Noise


@dataclass(frozen=True, slots=True)
class Target:
    """A card that the chip has activated.

    Args:
        number: the chip's number for it.
        uid: what it calls itself, in wire order: the whole UID of type A, the PUPI of type B, FeliCa's IDm.
        kind: what kind of card it is, as in `Card`.
        sens_res: SENS_RES (ATQA) of type A, two bytes as the chip sends them.
        sel_res: SEL_RES (SAK) of type A.
        ats: the answer to select of an ISO 14443-4 card of type A, with its length byte; else empty.
        takes_apdus: whether it has a processor that ISO 14443-4 commands reach.
    """

    number: int
    uid: bytes
    kind: str = "iso14443a"
    sens_res: bytes = b""
    sel_res: int = 0
    ats: bytes = b""
    takes_apdus: bool = False


_KINDS_BY_SAK: Final = {
    0x08: "mifare-classic",
    0x09: "mifare-classic",
    0x18: "mifare-classic",
    0x00: "mifare-ultralight",
}
"""What SEL_RES tells of a product (NXP AN10833, 3.2); others are known by their technology alone."""


def encode(data: bytes) -> bytes:
    """The frame around a command or an answer.

    Args:
        data: TFI and data.

    >>> encode(bytes.fromhex("D402")).hex(" ")
    '00 00 ff 02 fe d4 02 2a 00'
    """
    tail = data + bytes([-sum(data) & 0xFF, 0x00])
    if len(data) <= 0xFF:
        return bytes([0x00, 0x00, 0xFF, len(data), -len(data) & 0xFF]) + tail
    size = len(data).to_bytes(2, "big")
    return b"\x00\x00\xff\xff\xff" + size + bytes([-sum(size) & 0xFF]) + tail


def targets(data: bytes, modulation: int) -> list[Target]:
    """The cards in the answer to InListPassiveTarget.

    Args:
        data: what follows `D5 4B`.
        modulation: what was asked for (BrTy): 0 type A, 1 FeliCa at 212 kbit/s, 3 type B.

    Raises:
        ValueError: it is shorter than it says.

    >>> targets(bytes.fromhex("01 01 0004 08 04 FB0EE20B"), 0)[0].uid.hex()
    'fb0ee20b'
    """
    if not data:
        raise ValueError("an answer without the number of cards")
    rest = _Rest(data[1:], f"{data[0]} cards in {len(data)} bytes")
    read = {0x00: _target_a, 0x01: _target_felica, 0x03: _target_b}[modulation]
    return [read(rest) for _ in range(data[0])]


def targets_106a(data: bytes) -> list[Target]:
    """`targets` for type A at 106 kbit/s."""
    return targets(data, 0x00)


class _Rest:
    """What is left of an answer."""

    def __init__(self, data: bytes, told: str) -> None:
        self._data = data
        self._told = told

    def take(self, size: int) -> bytes:
        if size > len(self._data):
            raise ValueError(self._told)
        found, self._data = self._data[:size], self._data[size:]
        return found


def _target_a(rest: _Rest) -> Target:
    number, high, low, sel_res, size = rest.take(5)
    uid = rest.take(size)
    ats = b""
    if sel_res & 0x20:  # ISO 14443-4: the answer to select follows, and its first byte counts itself
        (size,) = rest.take(1)
        if not size:
            raise ValueError("an answer to select without a length")
        ats = bytes([size]) + rest.take(size - 1)
    kind = _KINDS_BY_SAK.get(sel_res, "iso14443a")
    return Target(number, uid, kind, bytes([high, low]), sel_res, ats, bool(ats))


def _target_b(rest: _Rest) -> Target:
    (number,) = rest.take(1)
    atqb = rest.take(12)
    if atqb[0] != 0x50:
        raise ValueError(f"an ATQB that begins with 0x{atqb[0]:02X} instead of 0x50")
    (size,) = rest.take(1)
    rest.take(size)
    return Target(number, atqb[1:5], "iso14443b", takes_apdus=True)


def _target_felica(rest: _Rest) -> Target:
    number, size, code = rest.take(3)
    if size not in (18, 20) or code != 0x01:
        raise ValueError(f"an answer to polling of {size} bytes with code 0x{code:02X}")
    return Target(number, rest.take(size - 2)[:8], "felica")


class Decoder:
    """Turns bytes into events, whatever pieces they come in; keeps about one frame at most.

    >>> Decoder().push(bytes.fromhex("00 00 FF 00 FF 00 00 00 FF 02 FE D5 15 16 00"))[1].data.hex()
    'd515'
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._before = -1
        """Position of the last byte before those that are held."""
        self._noise = bytearray()

    @property
    def pending(self) -> int:
        """How many bytes are held."""
        return len(self._held)

    def push(self, data: bytes) -> list[Event]:
        """Takes the next bytes.

        Args:
            data: any number of bytes, split anywhere.

        Returns:
            What is now known of them, in order. Zeros between frames are no noise: they are pre- and postambles.
        """
        events: list[Event] = []
        for byte in data:
            self._held.append(byte)
            # Bytes that may begin a frame wait; each new one decides at most about a few.
            while self._held and self._step(events):
                pass
        self._tell_noise(events)
        return events

    def _step(self, events: list[Event]) -> bool:
        """Decides about the first bytes held; False while more are needed."""
        held = self._held
        if held[0] != 0x00:
            self._noise.append(held[0])
            self._drop(1)
            return True
        if len(held) < 2:
            return False
        if held[1] != 0xFF:
            self._drop(1)
            return True
        if len(held) < 4:
            return False
        if held[2:4] == b"\x00\xff":
            self._tell_noise(events)
            self._drop(4)
            events.append(Ack(self._before))
            return True
        if held[2:4] == b"\xff\x00":
            self._tell_noise(events)
            self._drop(4)
            events.append(Nack(self._before))
            return True
        return self._message(events)

    def _message(self, events: list[Event]) -> bool:
        held = self._held
        if held[2:4] == b"\xff\xff":
            if len(held) < 7:
                return False
            size, fits, start = int.from_bytes(held[4:6], "big"), not sum(held[4:7]) & 0xFF, 7
        else:
            size, fits, start = held[2], not sum(held[2:4]) & 0xFF, 4
        if not fits or not 0 < size <= LONGEST:
            what = f"a length of {size} bytes" if fits else "the length's check sum is wrong"
            return self._bad("length", what, bytes(held), events)
        if len(held) < start + size + 1:
            return False
        # What is held may go on behind this frame, where it was held for a longer one that was none.
        raw = bytes(held[: start + size + 1])
        data, check = raw[start : start + size], raw[start + size]
        if (sum(data) + check) & 0xFF:
            return self._bad("check", f"check sum 0x{check:02X}, computed 0x{-sum(data) & 0xFF:02X}", raw, events)
        self._tell_noise(events)
        self._drop(len(raw))
        events.append(Message(data, raw, self._before))
        return True

    def _bad(self, reason: str, what: str, raw: bytes, events: list[Event]) -> bool:
        """Drops a start code, and what follows up to where another frame may begin."""
        self._tell_noise(events)
        end = self._before + len(raw)
        following = raw.find(b"\x00\xff", 2)
        size = following if following >= 0 else len(raw) - (raw[-1] == 0x00)
        events.append(BadFrame(reason, f"frame ending at byte {end}: {what}", raw[:size], end))
        self._drop(size)
        return True

    def _drop(self, count: int) -> None:
        del self._held[:count]
        self._before += count

    def _tell_noise(self, events: list[Event]) -> None:
        if self._noise:
            events.append(Noise(bytes(self._noise), self._before))
            self._noise.clear()
