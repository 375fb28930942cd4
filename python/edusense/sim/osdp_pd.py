"""A reader on an OSDP line as software: bytes from the controller in, bytes to it out. No port, no clock.

```text
[FF] 53 ADDR LEN_L LEN_H CTRL [SCB: length type data] CODE DATA [MAC×4] CRC_L CRC_H
```

Written from the standard apart from the driver and its library, so that each tests the other. Source: SIA OSDP v2.1.7
(IEC 60839-11-5): 5.7 to 5.9 (packets), 6 (commands), 7 (replies), annex D (secure channel).
"""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edusense.sim.osdp_secure import DEFAULT_KEY, SecureSession

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OsdpReader", "crc16", "packet"]

SOM: Final = 0x53
_REPLY: Final = 0x80
_BROADCAST: Final = 0x7F
_SEQUENCE, _CRC, _SECURE = 0x03, 0x04, 0x08
_LONGEST: Final = 1440
_ACK, _NAK, _PDID, _PDCAP, _LSTATR, _COM, _RAW, _CCRYPT, _RMAC_I = (
    0x40, 0x41, 0x45, 0x46, 0x48, 0x54, 0x50, 0x76, 0x78,
)  # fmt: skip
_WRONG_CHECK, _WRONG_LENGTH, _UNKNOWN, _WRONG_SEQUENCE, _NO_SUCH_SECURITY, _SECURITY_NEEDED = 1, 2, 3, 4, 5, 6
_CLIENT_ID: Final = bytes.fromhex("BEBAFE01AFBEADDE")
_IDENTITY: Final = bytes.fromhex("BEBAFE 01 01 AFBEADDE 010000")
"""Vendor code, model, version, serial number, firmware: of no real maker."""
_CAPABILITIES: Final = bytes.fromhex(
    "01 01 00"  # contacts: none
    "03 01 01"  # cards as bits
    "04 04 01"  # one light, in colours
    "05 02 01"  # a sound, timed
    "08 01 00"  # CRC
    "09 01 00"  # AES-128
    "0A 00 01"  # takes packets of 256 bytes
    "0D 01 01"  # one reader
)
_COLOURS: Final = {0: "off", 1: "red", 2: "green", 3: "amber", 4: "blue"}


def crc16(data: bytes) -> int:
    """CRC-16 with polynomial 1021 and initial value 1D0F, not reflected.

    >>> f"{crc16(bytes.fromhex('53 7F 0D 00 04 6E 00 80 25 00 00')):04X}"  # on the wire 6E 38
    '386E'
    """
    value = 0x1D0F
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return value


def packet(
    address: int, control: int, body: bytes, *, block: bytes = b"", mac: Callable[[bytes], bytes] | None = None
) -> bytes:
    """A whole packet.

    Args:
        address: with its top bit set in a reply.
        control: sequence number; whether a CRC follows (else a check sum), and a security block.
        body: code and data.
        block: the security block, with its length.
        mac: gives the four bytes behind the body, where there are any.

    >>> packet(0, 4, bytes.fromhex("6100")).hex(" ")
    '53 00 09 00 04 61 00 c0 66'
    """
    tail = (4 if mac else 0) + (2 if control & _CRC else 1)
    size = 5 + len(block) + len(body) + tail
    told = bytes([SOM, address]) + size.to_bytes(2, "little") + bytes([control]) + block + body
    if mac is not None:
        told += mac(told)
    return told + (crc16(told).to_bytes(2, "little") if control & _CRC else bytes([-sum(told) & 0xFF]))


@dataclass(frozen=True, slots=True)
class _Command:
    """A packet from the controller, taken apart."""

    raw: bytes
    address: int
    control: int
    block: bytes
    code: int
    data: bytes
    mac: bytes

    @property
    def signed(self) -> bytes:
        """What the MAC covers."""
        return self.raw[: -4 - (2 if self.control & _CRC else 1)]


class OsdpReader:
    """One reader on a line.

    Args:
        address: 0 to 126.
        key: the key that it shares with the controller; None for a reader as it leaves the factory, which takes the
            default key and then the one that it is given.
        secure: whether it can do without a secure channel (`False`), as old readers do.
    """

    def __init__(self, address: int = 0, key: bytes | None = None, *, secure: bool = True) -> None:
        self.address = address
        self.key = key
        self.secure = secure
        self.lights: list[str] = []
        """Colours that it was told to show for a while, in order."""
        self.tones: list[int] = []
        """How many tones it was told to make, in order."""
        self.commands: list[int] = []
        """Codes of the commands that it understood."""
        self._events: deque[bytes] = deque()
        self._held = b""
        self.restart()

    def restart(self) -> None:
        """Power was lost: the session is, and what waited to be told."""
        self._session: SecureSession | None = None
        self._sequence = -1
        self._last = b""
        self._events.clear()

    @property
    def online(self) -> bool:
        """Whether a controller speaks to it."""
        return self._sequence >= 0

    def card(self, bits: int, data: bytes, *, form: int = 0) -> None:
        """A card was read: told with the next poll.

        Args:
            bits: how many.
            data: the bits, left-aligned.
            form: 0 unspecified, 1 Wiegand.
        """
        self._events.append(bytes([_RAW, 0, form]) + bits.to_bytes(2, "little") + data[: (bits + 7) // 8])

    def receive(self, data: bytes) -> list[bytes]:
        """Takes bytes of the line; packets to answer with."""
        self._held += data
        told = []
        while (command := self._cut()) is not None:
            answer = self._answer(command) if isinstance(command, _Command) else command
            if answer:
                told.append(answer)
        return told

    def _cut(self) -> _Command | bytes | None:
        """The next packet for this reader; bytes for one that was damaged (its answer, or none); None while more are
        needed.
        """
        at = self._held.find(SOM)
        if at < 0:
            self._held = b""
            return None
        held = self._held[at:]
        self._held = held
        if len(held) < 5:
            return None
        size = int.from_bytes(held[2:4], "little")
        if not 7 <= size <= _LONGEST:
            self._held = held[1:]
            return b""
        if len(held) < size:
            return None
        raw, rest = held[:size], held[size:]
        tail = 2 if raw[4] & _CRC else 1
        check = crc16(raw[:-2]).to_bytes(2, "little") if tail == 2 else bytes([-sum(raw[:-1]) & 0xFF])
        if raw[1] & _REPLY or raw[1] not in (self.address, _BROADCAST):
            self._held = rest if raw[-tail:] == check else held[1:]
            return b""
        if raw[-tail:] != check:
            self._held = held[1:]
            return packet(self.address | _REPLY, raw[4] & (_SEQUENCE | _CRC), bytes([_NAK, _WRONG_CHECK]))
        self._held = rest
        block = raw[5 : 5 + raw[5]] if raw[4] & _SECURE else b""
        start = 5 + len(block)
        mac = raw[-tail - 4 : -tail] if len(block) >= 2 and block[1] in (0x15, 0x17) else b""
        body = raw[start : len(raw) - tail - len(mac)]
        if not body or (raw[4] & _SECURE and len(block) < 2):
            return packet(self.address | _REPLY, raw[4] & (_SEQUENCE | _CRC), bytes([_NAK, _WRONG_LENGTH]))
        return _Command(raw, raw[1], raw[4], block, body[0], body[1:], mac)

    def _answer(self, command: _Command) -> bytes:
        sequence = command.control & _SEQUENCE
        if sequence == 0:
            self._session = None
        elif sequence == self._sequence and self._last:
            return self._last  # the controller did not hear the answer
        elif self._sequence >= 0 and sequence != self._sequence % 3 + 1:
            return self._plain(command, bytes([_NAK, _WRONG_SEQUENCE]))
        self._sequence = sequence
        kind = command.block[1] if command.block else 0
        if kind == 0x11:
            self._last = self._challenged(command)
        elif kind == 0x13:
            self._last = self._proved(command)
        elif kind in (0x15, 0x17):
            self._last = self._secured(command, encrypted=kind == 0x17)
        elif kind:
            self._last = self._plain(command, bytes([_NAK, _NO_SUCH_SECURITY]))
        elif self._session is not None and self._session.established:
            self._last = self._plain(command, bytes([_NAK, _SECURITY_NEEDED]))
        else:
            body = self._do(command.code, command.data)
            # Whoever holds the key says nothing of cards without it.
            if body[0] == _RAW and self.key is not None:
                self._events.appendleft(body)
                body = bytes([_ACK])
            self._last = self._plain(command, body)
        return self._last

    def _challenged(self, command: _Command) -> bytes:
        default = command.block[2:3] == b"\x00"
        key = DEFAULT_KEY if default else self.key
        if not self.secure or key is None or (default and self.key is not None) or len(command.data) != 8:
            return self._plain(command, bytes([_NAK, _NO_SUCH_SECURITY]))
        own = secrets.token_bytes(8)
        self._session = SecureSession(key, command.data, own)
        body = bytes([_CCRYPT]) + _CLIENT_ID + own + self._session.client_cryptogram
        return self._plain(command, body, block=bytes([3, 0x12, 0 if default else 1]))

    def _proved(self, command: _Command) -> bytes:
        first = self._session.establish(command.data) if self._session is not None else None
        block = bytes([3, 0x14, 1 if first is not None else 0xFF])
        if first is None:
            self._session = None
        return self._plain(command, bytes([_RMAC_I]) + (first or bytes(16)), block=block)

    def _secured(self, command: _Command, *, encrypted: bool) -> bytes:
        session = self._session
        if session is None or not session.established:
            return self._plain(command, bytes([_NAK, _SECURITY_NEEDED]))
        # The data are encrypted against the last reply's MAC, which the command's own does not replace.
        data: bytes | None = session.decrypted(command.data) if encrypted else command.data
        if data is None or not session.command_mac_fits(command.signed, command.mac):
            self._session = None
            return self._plain(command, bytes([_NAK, _NO_SUCH_SECURITY]))
        body = self._do(command.code, data)
        kind = 0x16
        if len(body) > 1:
            kind, body = 0x18, body[:1] + session.encrypted(body[1:])
        control = command.control & (_SEQUENCE | _CRC) | _SECURE
        return packet(self.address | _REPLY, control, body, block=bytes([2, kind]), mac=session.reply_mac)

    def _plain(self, command: _Command, body: bytes, *, block: bytes = b"") -> bytes:
        control = command.control & (_SEQUENCE | _CRC) | (_SECURE if block else 0)
        return packet(self.address | _REPLY, control, body, block=block)

    def _do(self, code: int, data: bytes) -> bytes:
        """What a command does; code and data of the reply."""
        self.commands.append(code)
        match code:
            case 0x60:
                return self._events.popleft() if self._events else bytes([_ACK])
            case 0x61:
                return bytes([_PDID]) + _IDENTITY
            case 0x62:
                capabilities = _CAPABILITIES if self.secure else _CAPABILITIES.replace(b"\x09\x01\x00", b"")
                return bytes([_PDCAP]) + capabilities
            case 0x64:
                return bytes([_LSTATR, 0, 0])
            case 0x69 if data and len(data) % 14 == 0:
                for at in range(0, len(data), 14):
                    if data[at + 2] == 2:  # temporary: shown for a while
                        self.lights.append(_COLOURS.get(data[at + 5], "other"))
                return bytes([_ACK])
            case 0x6A if len(data) == 5:
                if data[1] > 1:
                    self.tones.append(data[4])
                return bytes([_ACK])
            case 0x6B:
                return bytes([_ACK])
            case 0x6E if len(data) == 5:
                return bytes([_COM]) + data
            case 0x75 if len(data) == 18 and data[:2] == b"\x01\x10" and self._session is not None:
                self.key = data[2:]
                return bytes([_ACK])
            case 0x69 | 0x6A | 0x6E | 0x75:
                return bytes([_NAK, _WRONG_LENGTH])
        return bytes([_NAK, _UNKNOWN])
