"""The wire of CCID readers: messages and their rules. No USB here: bytes in, bytes out.

Sources: USB Chip/Smart Card Interface Devices rev. 1.1 (messages 6.1 and 6.2, descriptor 5.1, notification 6.3), PC/SC
part 3 (answer to reset of contactless cards 3.1.3.2.3, Get Data 3.2.2.1.3), ACR122U API v2.04.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from edusense.errors import DeviceProtocolError

__all__ = [
    "GET_UID",
    "HEADER",
    "Answer",
    "Descriptor",
    "Dialogue",
    "Failure",
    "IccState",
    "Request",
    "SlotChange",
    "card_kind",
    "check_byte_wrong",
    "decode",
    "encode",
    "split_apdu",
]

HEADER: Final = 10
"""Bytes before a message's data, in both directions."""
GET_UID: Final = bytes.fromhex("FFCA000000")
"""PC/SC's Get Data: the identifier of the card in the field, all of it."""
_MAX_DATA: Final = 65_544
"""The most that CCID rev. 1.1 allows in `dwLength` (extended APDUs)."""
_MAX_STALE: Final = 16
"""Answers to earlier requests that are passed over before the reader counts as confused."""


class Request(enum.IntEnum):
    """Messages to the reader that we send."""

    ICC_POWER_ON = 0x62
    ICC_POWER_OFF = 0x63
    GET_SLOT_STATUS = 0x65
    ESCAPE = 0x6B
    XFR_BLOCK = 0x6F


_ANSWERED_BY: Final = {
    Request.ICC_POWER_ON: 0x80,
    Request.ICC_POWER_OFF: 0x81,
    Request.GET_SLOT_STATUS: 0x81,
    Request.ESCAPE: 0x83,
    Request.XFR_BLOCK: 0x80,
}
_ANSWERS: Final = frozenset({0x80, 0x81, 0x82, 0x83, 0x84})


class IccState(enum.IntEnum):
    """What a slot's status says of the card (bStatus bits 0 and 1)."""

    ACTIVE = 0
    INACTIVE = 1
    ABSENT = 2


_ERRORS: Final = {
    0xFF: "command aborted",
    0xFE: "the card is mute",
    0xFD: "parity error",
    0xFC: "overrun",
    0xFB: "hardware error",
    0xF8: "bad answer to reset (TS)",
    0xF7: "bad answer to reset (TCK)",
    0xF6: "protocol not supported",
    0xF5: "class not supported",
    0xF4: "procedure byte conflict",
    0xF3: "deactivated protocol",
    0xF2: "busy with an automatic sequence",
    0xF0: "PIN timeout",
    0xEF: "PIN cancelled",
    0xE0: "slot busy",
    0x00: "command not supported",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A message from the reader that follows the rules.

    Args:
        kind: bMessageType.
        sequence: bSeq: that of the request.
        icc: whether there is a card, and whether it is powered.
        outcome: bStatus bits 6 and 7: 0 well, 1 failed, 2 wait longer.
        error: bError; when it waits: how much longer, in multiples of the usual.
        data: the data.
    """

    kind: int
    sequence: int
    icc: IccState
    outcome: int
    error: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SlotChange:
    """An interrupt message: something moved in a slot.

    Args:
        present: whether slot 0 has a card now.
        changed: whether that changed since the last message.
    """

    present: bool
    changed: bool

    @classmethod
    def decode(cls, data: bytes) -> SlotChange | None:
        """Reads an interrupt message; None for one of another kind, or none at all.

        >>> SlotChange.decode(bytes.fromhex("5003"))
        SlotChange(present=True, changed=True)
        """
        if len(data) < 2 or data[0] != 0x50:
            return None
        return cls(present=bool(data[1] & 1), changed=bool(data[1] & 2))


class Failure(Exception):  # noqa: N818 -- the reader's word, not a fault of the program
    """The reader answered that a request failed: often only a card that was taken away. Never leaves the driver.

    Args:
        answer: what it said.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(_ERRORS.get(answer.error, f"error 0x{answer.error:02X}"))
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a reader says of itself: the functional descriptor of its interface.

    Args:
        version: of CCID, as `1.10`.
        slots: how many cards it holds at once.
        features: dwFeatures.
        max_message: longest message in bytes, with header.
    """

    version: str
    slots: int
    features: int
    max_message: int

    @classmethod
    def decode(cls, extra: bytes) -> Descriptor | None:
        """Finds it among the extra descriptors of an interface; None where it is missing or damaged."""
        at = 0
        while at + 2 <= len(extra):
            length, kind = extra[at], extra[at + 1]
            if length < 2 or at + length > len(extra):
                return None
            # Some readers of before 2001 use 0xFF; class 0x0B gives it the number 0x21.
            if length == 54 and kind in (0x21, 0xFF):
                body = extra[at : at + length]
                bcd = int.from_bytes(body[2:4], "little")
                return cls(
                    version=f"{bcd >> 8:x}.{bcd & 0xFF:02x}",
                    slots=body[4] + 1,
                    features=int.from_bytes(body[40:44], "little"),
                    max_message=int.from_bytes(body[44:48], "little"),
                )
            at += length
        return None


def encode(request: Request, sequence: int, data: bytes = b"", *, specific: bytes = b"\x00\x00\x00") -> bytes:
    """A message to slot 0.

    Args:
        request: which.
        sequence: bSeq, 0 to 255.
        data: its data.
        specific: the three bytes whose meaning depends on the message.

    >>> encode(Request.XFR_BLOCK, 2, GET_UID).hex(" ", -4)
    '6f050000 00000200 0000ffca 000000'
    """
    return bytes([request]) + len(data).to_bytes(4, "little") + bytes([0, sequence & 0xFF]) + specific + data


def expected_length(head: bytes) -> int:
    """How long the message is that begins with `head`, header and all.

    Raises:
        DeviceProtocolError: it is no message, or longer than any message.
    """
    if len(head) < HEADER:
        raise _wrong(f"{len(head)} bytes where a header of {HEADER} stands", head)
    if head[0] not in _ANSWERS:
        raise _wrong(f"message type 0x{head[0]:02X}, which no reader sends", head)
    length = int.from_bytes(head[1:5], "little")
    if length > _MAX_DATA:
        raise _wrong(f"a length of {length} bytes; the most is {_MAX_DATA}", head)
    return HEADER + length


def decode(raw: bytes) -> Answer:
    """Reads one whole message from the reader.

    Raises:
        DeviceProtocolError: it breaks the rules; the message names bytes and positions.

    >>> decode(bytes.fromhex("80020000000002000000" "9000")).data.hex()
    '9000'
    """
    length = expected_length(raw)
    if len(raw) != length:
        raise _wrong(f"{len(raw)} bytes where bytes 1 to 4 announce {length}", raw)
    status = raw[7]
    if status & 0x03 == 3 or status >> 6 == 3:
        raise _wrong(f"status 0x{status:02X} at byte 7, which means nothing", raw)
    return Answer(raw[0], raw[6], IccState(status & 0x03), status >> 6, raw[8], raw[HEADER:])


class Dialogue:
    """Requests and their answers: numbers each request, and tells its answer from stale ones and from "wait longer".

    Args:
        first: the first sequence number. A random one keeps an answer to the program before us from looking like ours.
    """

    def __init__(self, first: int = 0) -> None:
        self._sequence = first & 0xFF
        self._request: Request | None = None
        self._stale = 0

    def request(self, request: Request, data: bytes = b"") -> bytes:
        """The bytes of the next request; it replaces one that was not answered."""
        self._sequence = (self._sequence + 1) & 0xFF
        self._request = request
        self._stale = 0
        return encode(request, self._sequence, data)

    def answer(self, raw: bytes) -> Answer | None:
        """Takes a message from the reader.

        Returns:
            The answer; None when the reader wants more time or the message answers an earlier request: read again.

        Raises:
            Failure: the reader says that the request failed.
            DeviceProtocolError: the message breaks the rules, or answers something that was not asked.
        """
        found = decode(raw)
        if self._request is None:
            raise _wrong("an answer that nobody asked for", raw)
        if found.sequence != self._sequence:
            self._stale += 1
            if self._stale > _MAX_STALE:
                raise _wrong(f"sequence 0x{found.sequence:02X} at byte 6; asked was 0x{self._sequence:02X}", raw)
            return None
        if found.outcome == 2:
            return None
        expected = _ANSWERED_BY[self._request]
        asked, self._request = self._request, None
        if found.outcome == 1:
            raise Failure(found)
        if found.kind != expected:
            raise _wrong(f"message type 0x{found.kind:02X} at byte 0 in answer to {asked.name}", raw)
        return found


def split_apdu(data: bytes) -> tuple[bytes, int]:
    """An APDU's answer as its data and its status word.

    Raises:
        DeviceProtocolError: it is shorter than a status word.

    >>> split_apdu(bytes.fromhex("04A1B2C3D4E5F69000"))[1] == 0x9000
    True
    """
    if len(data) < 2:
        raise _wrong(f"{len(data)} bytes where at least a status word stands", data)
    return data[:-2], int.from_bytes(data[-2:], "big")


_STANDARDS: Final = {
    range(0x01, 0x04): "iso14443a",
    range(0x05, 0x08): "iso14443b",
    range(0x09, 0x0D): "iso15693",
    range(0x11, 0x12): "felica",
}
_CONTACTLESS_RID: Final = bytes.fromhex("A000000306")
_PRODUCTS: Final = {
    0x0001: "mifare-classic",
    0x0002: "mifare-classic",
    0x0003: "mifare-ultralight",
    0x0026: "mifare-classic",
    0x003A: "mifare-ultralight",
}


def card_kind(atr: bytes, uid: bytes) -> str:
    """What kind of card it is, by its answer to reset; by the UID's length where that does not tell.

    Storage cards carry `80 4F 0C A000000306 SS NNNN`, SS being the standard (PC/SC part 3). Cards with a processor
    carry their own historical bytes: those with a UID of 4, 7 or 10 bytes are taken as ISO 14443-A.

    Args:
        atr: the answer to reset.
        uid: the card's identifier.

    >>> card_kind(bytes.fromhex("3B8F8001804F0CA000000306030001000000006A"), bytes(4))
    'mifare-classic'
    """
    at = atr.find(_CONTACTLESS_RID)
    if at >= 0 and at + len(_CONTACTLESS_RID) < len(atr):
        standard, *name = atr[at + len(_CONTACTLESS_RID) :][:3]
        for numbers, technology in _STANDARDS.items():
            if standard in numbers:
                product = _PRODUCTS.get(int.from_bytes(bytes(name), "big")) if technology == "iso14443a" else None
                return product or technology
    return "iso14443a" if len(uid) in (4, 7, 10) else "contactless"


def check_byte_wrong(atr: bytes) -> bool:
    """Whether the answer to reset of a contactless card (`3B 8n 80 01 …`) has a wrong check byte (TCK).

    Source: ISO/IEC 7816-3, 8.2.5: the exclusive or of all bytes from T0 to TCK is 0; PC/SC part 3, 3.1.3.2.3.

    >>> check_byte_wrong(bytes.fromhex("3B8F8001804F0CA000000306030001000000006A"))
    False
    """
    if len(atr) < 5 or atr[0] != 0x3B or atr[1] & 0xF0 != 0x80 or atr[2:4] != b"\x80\x01":
        return False
    value = 0
    for byte in atr[1:]:
        value ^= byte
    return value != 0


def _wrong(what: str, raw: bytes) -> DeviceProtocolError:
    shown = raw[:24].hex(" ") + (" …" if len(raw) > 24 else "")
    return DeviceProtocolError(
        f"the reader sent {what} [{shown}]", hint="plug the reader in again; if it stays so, it is no CCID reader"
    )
