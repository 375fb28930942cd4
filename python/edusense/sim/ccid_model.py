"""A reader like the ACR122U as software: what goes into its bulk pipe, and what comes out. No socket, no USB, no clock.

Beside the virtual card it imports nothing but the standard library: `ccid_umockdev` runs it under the system's
Python. Sources: USB CCID rev. 1.1, PC/SC part 3, ACR122U API v2.04, NXP UM0701-02 (the PN532 inside).
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Final

from edusense.sim.smart_card import ANSWER_TO_SELECT, SmartCard, uri_message

__all__ = ["FAULTS", "CcidModel"]

VENDOR: Final = 0x072F
PRODUCT: Final = 0x2200
RELEASE: Final = 0x0214
"""Firmware 2.14: libccid refuses 2.00, and so do schools."""
BULK_OUT: Final = 0x02
BULK_IN: Final = 0x82
INTERRUPT_IN: Final = 0x81
STRINGS: Final = ("ACS", "ACR122U PICC Interface")
FAULTS: Final = (
    "time-extension",
    "stale",
    "mute",
    "no-uid",
    "garbage",
    "silence",
    "bad-checksum",
    "noise",
    "split",
    "stuck",
    "reset",
    "too-long",
)
"""Ways in which the model misbehaves, once each time it is told to."""

_OK: Final = b"\x90\x00"
_NO_SUCH: Final = b"\x6a\x81"


def _answer_to_reset(uid: bytes, *, smart: bool) -> bytes:
    """PC/SC part 3, 3.1.3.2.3: MIFARE Classic 1K for short UIDs, Ultralight for long ones; the historical bytes of a
    card with a processor.
    """
    name = 0x0001 if len(uid) == 4 else 0x0003
    body = bytes.fromhex("8F8001804F0CA00000030603") + name.to_bytes(2, "big") + bytes(4)
    if smart:
        history = ANSWER_TO_SELECT[5:]
        body = bytes([0x80 | len(history), 0x80, 0x01]) + history
    check = 0
    for byte in body:
        check ^= byte
    return b"\x3b" + body + bytes([check])


class CcidModel:
    """The reader's state. Not safe for threads: whoever serves it holds a lock.

    Attributes:
        uid: of the card in the field; None without one.
        powered: whether the card was powered up.
        requests: how many messages it was sent.
        lights: what it was told to show, as `green` or `red`, with how many tones.
    """

    def __init__(self) -> None:
        self.uid: bytes | None = None
        self.powered = False
        self.requests = 0
        self.lights: list[tuple[str, int]] = []
        self.sounds_by_itself = True
        self._smart: SmartCard | None = None
        self._stuck = self._taken = False
        self._out: deque[bytes] = deque()
        self._interrupts: deque[bytes] = deque()
        self._faults: deque[str] = deque()

    # The world around it.

    def place(self, uid: bytes, *, smart: bool = False) -> None:
        """Lays a card into the field, instead of one that may lie there.

        Args:
            uid: its identifier.
            smart: whether it has a processor that answers APDUs.
        """
        self.uid = uid
        self.powered = False
        self._smart = SmartCard(uri_message("https://example.org/canteen")) if smart else None
        if self._mishap("noise"):
            self._interrupts.append(bytes.fromhex("51FF00"))
        self._stuck = self._stuck or self._mishap("stuck")
        self._interrupts.append(b"\x50\x03")

    def remove(self) -> None:
        """Takes the card away."""
        if self._stuck:
            self._taken = True
            return
        if self.uid is not None:
            self._interrupts.append(b"\x50\x02")
        self.uid = None
        self.powered = False

    def fault(self, name: str) -> None:
        """Misbehaves with the next request or card that the fault is about; `reset` happens at once."""
        if name not in FAULTS:
            raise ValueError(name)
        if name == "reset":
            self.reset()
        else:
            self._faults.append(name)

    def reset(self) -> None:
        """As after plugging in."""
        self.powered = False
        self.sounds_by_itself = True
        if self._taken:
            self.uid = None
        self._stuck = self._taken = False
        self._out.clear()
        self._interrupts.clear()
        if self.uid is not None:
            self._interrupts.append(b"\x50\x03")

    # Its pipes.

    def bulk_out(self, message: bytes) -> None:
        """Takes one message from the host."""
        self.requests += 1
        if len(message) < 10:
            return
        kind, length, slot, sequence = message[0], int.from_bytes(message[1:5], "little"), message[5], message[6]
        data = message[10 : 10 + length]
        if self._mishap("silence"):
            return
        if self._mishap("garbage"):
            self._out.append(bytes.fromhex("FF00000000") + message[5:9])
            return
        if self._mishap("stale"):
            self._answer(0x81, slot, sequence - 1)
        if self._mishap("time-extension"):
            self._answer(0x80, slot, sequence, outcome=2, error=4)
        if kind == 0x65:
            self._answer(0x81, slot, sequence)
        elif kind == 0x62:
            self._power_on(slot, sequence)
        elif kind == 0x63:
            self.powered = False
            self._answer(0x81, slot, sequence)
        elif kind == 0x6F:
            # Commands to the reader itself and to its chip it takes without a card as well, as nfcpy needs it.
            if self.uid is None and data[:2] != b"\xff\x00":
                self._answer(0x80, slot, sequence, outcome=1, error=0xFE)
            else:
                self._answer(0x80, slot, sequence, self._apdu(data))
        elif kind == 0x6B:
            self._answer(0x83, slot, sequence, self._apdu(data))
        else:
            self._answer(0x81, slot, sequence, outcome=1, error=0x00)

    @property
    def answers_waiting(self) -> int:
        """How many messages to the host it has not fetched yet."""
        return len(self._out)

    def bulk_in(self) -> bytes | None:
        """The next message to the host, if there is one."""
        return self._out.popleft() if self._out else None

    def interrupt_in(self) -> bytes | None:
        """The next notification, if there is one."""
        return self._interrupts.popleft() if self._interrupts else None

    # Inside.

    def _mishap(self, name: str) -> bool:
        if name in self._faults:
            self._faults.remove(name)
            return True
        return False

    def _answer(
        self, kind: int, slot: int, sequence: int, data: bytes = b"", *, outcome: int = 0, error: int = 0
    ) -> None:
        icc = 2 if self.uid is None else 0 if self.powered else 1
        head = struct.pack("<BIBBBBB", kind, len(data), slot, sequence & 0xFF, outcome << 6 | icc, error, 0)
        message = head + data
        if len(message) > 10 and self._mishap("split"):
            self._out += [message[:10], message[10:]]
        else:
            self._out.append(message)

    def _power_on(self, slot: int, sequence: int) -> None:
        if self.uid is None or self._mishap("mute"):
            self._answer(0x80, slot, sequence, outcome=1, error=0xFE)
            return
        self.powered = True
        atr = _answer_to_reset(self.uid, smart=self._smart is not None)
        if self._smart is not None:
            self._smart.reset()
        if self._mishap("bad-checksum"):
            atr = atr[:-1] + bytes([atr[-1] ^ 0x01])
        self._answer(0x80, slot, sequence, atr)

    def _apdu(self, apdu: bytes) -> bytes:
        match apdu[:4]:
            case b"\xff\xca\x00\x00":
                if self.uid is None or self._mishap("no-uid"):
                    return b"\x63\x00"
                wanted = apdu[4] if len(apdu) > 4 else 0
                if wanted and wanted < len(self.uid):
                    return bytes([0x6C, len(self.uid)])
                return self.uid + _OK
            case b"\xff\xca\x01\x00" if self._smart is not None:
                return ANSWER_TO_SELECT + _OK
            case b"\xff\x00\x48\x00":
                return b"ACR122U214"
            case b"\xff\x00\x00\x00" if len(apdu) > 6 and apdu[5] == 0xD4:
                return self._pn532(apdu[5:]) + _OK
        if apdu[:2] == b"\xff\x00" and apdu[2:3] in (b"\x40", b"\x50", b"\x51", b"\x52"):
            self._own(apdu)
            return b"\x90" + apdu[3:4]
        if apdu[:1] == b"\xff" or self._smart is None:
            return _NO_SUCH
        return (bytes(64) if self._mishap("too-long") else b"") + self._smart.exchange(apdu)

    def _own(self, apdu: bytes) -> None:
        """Commands to the reader itself (ACR122U API v2.04, 6.2 and 6.7)."""
        if apdu[2] == 0x52:
            self.sounds_by_itself = apdu[3] != 0
        elif apdu[2] == 0x40 and len(apdu) >= 9 and apdu[3] & 0x0C == 0x0C:
            self.lights.append(("green" if apdu[3] & 0x02 else "red", apdu[7] if apdu[8] else 0))

    def _pn532(self, command: bytes) -> bytes:
        """What the chip inside answers to commands passed through: enough to find a card of type A."""
        code, rest = command[1], command[2:]
        match code:
            case 0x00:  # Diagnose: the line test echoes
                return b"\xd5\x01" + (rest if rest[:1] == b"\x00" else b"\x00")
            case 0x02:  # GetFirmwareVersion: PN532 1.6
                return bytes.fromhex("D50332010607")
            case 0x06:  # ReadRegister
                return b"\xd5\x07" + bytes(len(rest) // 2)
            case 0x4A if (
                len(rest) > 1 and rest[1] == 0 and self.uid is not None
            ):  # InListPassiveTarget, 106 kbit/s type A
                sens, sel = (b"\x00\x44", b"\x00") if len(self.uid) > 4 else (b"\x00\x04", b"\x08")
                return b"\xd5\x4b\x01\x01" + sens + sel + bytes([len(self.uid)]) + self.uid
            case 0x4A:
                return b"\xd5\x4b\x00"
            case _:
                return bytes([0xD5, (code + 1) & 0xFF, 0])

    # What it says of itself.

    @staticmethod
    def device_descriptor() -> bytes:
        """USB 2.0 table 9-8."""
        return struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0, 0, 0, 8, VENDOR, PRODUCT, RELEASE, 1, 2, 0, 1)

    @staticmethod
    def configuration_descriptor() -> bytes:
        """One interface of class CCID with its functional descriptor and three endpoints."""
        functional = struct.pack(
            "<BBHBBIIIBIIBIIIIIBBHBB",
            *(54, 0x21, 0x0110, 0, 0x07),  # CCID 1.10, one slot, every voltage
            *(0x03, 4000, 4000, 0),  # protocols T=0 and T=1; clock in kHz
            *(9600, 115_200, 0),  # data rates
            *(247, 0, 0),  # longest information field, no synchronous cards
            *(0x000204BA, 271),  # short APDUs, everything automatic; longest message
            *(0xFF, 0xFF, 0, 0, 1),  # class of envelopes, no display, no PIN, one slot busy at a time
        )
        interface = bytes([9, 4, 0, 0, 3, 0x0B, 0, 0, 0])
        endpoints = b"".join(
            struct.pack("<BBBBHB", 7, 5, *endpoint)
            for endpoint in ((INTERRUPT_IN, 3, 8, 16), (BULK_OUT, 2, 64, 0), (BULK_IN, 2, 64, 0))
        )
        body = interface + functional + endpoints
        return struct.pack("<BBHBBBBB", 9, 2, 9 + len(body), 1, 1, 0, 0x80, 100) + body

    @staticmethod
    def control(kind: int, request: int, value: int, size: int) -> bytes | None:
        """Answers a control transfer to the host: string descriptors and the status; None stalls."""
        if (kind, request) == (0x80, 0x06) and value >> 8 == 3:
            number = value & 0xFF
            if number == 0:
                return b"\x04\x03\x09\x04"[:size]
            if number <= len(STRINGS):
                text = STRINGS[number - 1].encode("utf-16le")
                return (bytes([len(text) + 2, 3]) + text)[:size]
        if (kind, request) == (0x80, 0x00):
            return b"\x00\x00"[:size]
        return None
