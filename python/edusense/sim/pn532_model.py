"""A PN532 as software: bytes from the host in, frames to the host out. No port, no clock; good enough for nfcpy.

Written from NXP UM0701-02 apart from the driver, so that each tests the other. It sleeps until it is woken, like the
chip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edusense.sim.iso_dep import IsoDep
from edusense.sim.smart_card import ANSWER_TO_SELECT, SmartCard, uri_message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edusense.devices.card import Card

__all__ = ["ACK", "Field", "Pn532Model"]

ACK: Final = bytes.fromhex("0000FF00FF00")
_SYNTAX_ERROR: Final = bytes.fromhex("0000FF01FF7F8100")
_FIRMWARE: Final = bytes.fromhex("32010607")
_LONGEST: Final = 300
_FOR_EVER: Final = 0xFF
_AUTOMATIC_RATS: Final = 0x10
_TYPE_A, _FELICA_212, _TYPE_B = 0x00, 0x01, 0x03
_TIME_OVER, _NOT_SO = b"\x01", b"\x27"
_ATQB_REST: Final = bytes.fromhex("00000000008171")
"""Application data; protocol information: 106 kbit/s only, frames of 256 bytes, ISO 14443-4, CID."""
_PMM: Final = bytes.fromhex("0120220427674EFF")


class Field:
    """A card in the chip's field.

    Args:
        card: which card; a `type-4-tag`, and every card of type B, answers APDUs.
    """

    def __init__(self, card: Card) -> None:
        self.card = card
        smart = card.product == "type-4-tag" or card.technology == "iso14443b"
        self.chip = SmartCard(uri_message("https://example.org/canteen")) if smart else None
        self.dep: IsoDep | None = None

    @property
    def modulation(self) -> int:
        """By which command it is found (BrTy)."""
        return {"iso14443a": _TYPE_A, "felica": _FELICA_212, "iso14443b": _TYPE_B}[self.card.technology]

    def described(self, number: int, *, with_ats: bool) -> bytes:
        """What InListPassiveTarget says of it."""
        uid = self.card.uid
        if self.modulation == _TYPE_B:
            return bytes([number, 0x50]) + uid + _ATQB_REST + b"\x01\x00"
        if self.modulation == _FELICA_212:
            return bytes([number, 18, 0x01]) + uid + _PMM
        sens_res = b"\x00\x04" if len(uid) == 4 else b"\x00\x44"
        if self.chip is not None:
            sens_res, sel_res = b"\x03\x44", b"\x20"
        else:
            sel_res = b"\x08" if len(uid) == 4 else b"\x00"
        ats = ANSWER_TO_SELECT if self.chip is not None and with_ats else b""
        return bytes([number]) + sens_res + sel_res + bytes([len(uid)]) + uid + ats

    def select(self) -> None:
        """It was activated: nothing is chosen on it."""
        if self.chip is not None:
            self.chip.reset()
            self.dep = IsoDep(self.chip)

    def through(self, data: bytes) -> bytes:
        """What it says to bytes that the chip passes on as they are; nothing where it keeps silent."""
        if self.chip is None:
            return b""
        if data[:1] == b"\xe0" and len(data) == 2:  # RATS
            self.select()
            return ANSWER_TO_SELECT
        if data[:1] == b"\x05" and self.modulation == _TYPE_B:  # WUPB
            return b"\x50" + self.card.uid + _ATQB_REST
        if data[:1] == b"\x1d" and self.modulation == _TYPE_B:  # ATTRIB
            self.select()
            return b"\x00"
        return self.dep.block(data) if self.dep is not None else b""


def _frame(data: bytes) -> bytes:
    if len(data) > 255:
        high, low = divmod(len(data), 256)
        head = bytes([0, 0, 0xFF, 0xFF, 0xFF, high, low, (-high - low) % 256])
    else:
        head = bytes([0, 0, 0xFF, len(data), -len(data) % 256])
    return head + data + bytes([-sum(data) % 256, 0])


class Pn532Model:
    """The chip. `place` and `lift` change its field; several cards may lie there."""

    def __init__(self) -> None:
        self.field: list[Field] = []
        """What lies there, in the order in which the chip finds it."""
        self.commands: list[bytes] = []
        """Commands so far, without TFI."""
        self.too_long = 0
        """How many answers to APDUs shall have more bytes than were asked for."""
        self.reset()

    def reset(self) -> None:
        """Power was lost: all settings are gone, and the chip sleeps."""
        self._awake = False
        self._retries = _FOR_EVER
        self._rats = True
        self._waiting: tuple[int, int] | None = None
        self._last = b""
        self._held = b""
        self._chain = b""
        self._rest = b""
        self._targets: list[Field] = []

    def place(self, card: Card) -> None:
        """Lays a card down; one that lies there already stays as it is."""
        if all(field.card != card for field in self.field):
            self.field.append(Field(card))

    def lift(self, cards: Iterable[Card]) -> None:
        """Takes cards away."""
        gone = set(cards)
        self.field = [field for field in self.field if field.card not in gone]
        self._targets = [field for field in self._targets if field.card not in gone]

    def receive(self, data: bytes) -> list[bytes]:
        """Takes bytes from the host; frames to send, the acknowledgement apart from the answer."""
        if not self._awake:
            # Any edges on the line end the sleep: 55 55 or a long row of zeros before the first frame.
            if b"\x55" not in data and b"\x00" * 10 not in data:
                return []
            self._awake = True
        self._held += data
        told: list[bytes] = []
        while (found := self._cut()) is not None:
            told += found
        return told

    def look(self) -> list[bytes]:
        """What the chip says by itself: a card came for which it was waiting."""
        if self._waiting is None:
            return []
        most, modulation = self._waiting
        if not any(field.modulation == modulation for field in self.field):
            return []
        self._waiting = None
        return [self._answer(self._list(most, modulation))]

    def _cut(self) -> list[bytes] | None:
        at = self._held.find(b"\x00\xff")
        if at < 0:
            self._held = self._held[-1:]
            return None
        rest = self._held[at + 2 :]
        if len(rest) < 2:
            return None
        if rest[:2] == b"\x00\xff":  # ACK: whatever is being done ends
            self._held, self._waiting = rest[2:], None
            return []
        if rest[:2] == b"\xff\x00":  # NACK: the last answer again
            self._held = rest[2:]
            return [self._last] if self._last else []
        size, start, right = rest[0], 2, (rest[0] + rest[1]) % 256 == 0
        if rest[:2] == b"\xff\xff":
            if len(rest) < 5:
                return None
            size, start, right = rest[2] * 256 + rest[3], 5, sum(rest[2:5]) % 256 == 0
        if not right or not 0 < size <= _LONGEST:
            self._held = rest
            return []
        if len(rest) < start + size + 1:
            return None
        data = rest[start : start + size]
        if sum(rest[start : start + size + 1]) % 256 or data[0] != 0xD4:
            self._held = rest
            return []
        self._held = rest[start + size + 1 :]
        return self._command(data[1:])

    def _command(self, command: bytes) -> list[bytes]:
        self.commands.append(command)
        self._waiting = None
        code, rest = command[:1], command[1:]
        match code[0] if code else 0xFF:
            case 0x00:  # Diagnose: a line test sends everything back
                answer = b"\x01" + rest if rest[:1] == b"\x00" else b"\x01\x00"
            case 0x02:
                answer = b"\x03" + _FIRMWARE
            case 0x06:
                answer = b"\x07" + bytes(len(rest) // 2)
            case 0x12:
                self._rats = bool(rest) and rest[0] & _AUTOMATIC_RATS != 0
                answer = b"\x13"
            case 0x08 | 0x14 | 0x10:
                answer = bytes([code[0] + 1])
            case 0x16:  # PowerDown: it acknowledges, answers, and sleeps
                self._awake = False
                answer = b"\x17\x00"
            case 0x32:
                if rest[:1] == b"\x05" and len(rest) == 4:
                    self._retries = rest[3]
                answer = b"\x33"
            case 0x4A if len(rest) >= 2:
                there = any(field.modulation == rest[1] for field in self.field)
                if there or self._retries != _FOR_EVER:
                    answer = self._list(rest[0], rest[1])
                else:
                    self._waiting = (rest[0], rest[1])
                    return [ACK]
            case 0x44 | 0x52 | 0x54:
                if code[0] == 0x52:
                    self._targets = []
                answer = bytes([code[0] + 1, 0x00])
            case 0x40:
                answer = b"\x41" + self._exchange(rest)
            case 0x42:
                said = self._targets[0].through(rest) if self._targets else b""
                answer = b"\x43" + (b"\x00" + said if said else _TIME_OVER)
            case _:
                self._last = _SYNTAX_ERROR
                return [ACK, _SYNTAX_ERROR]
        return [ACK, self._answer(answer)]

    def _answer(self, answer: bytes) -> bytes:
        self._last = _frame(b"\xd5" + answer)
        return self._last

    def _list(self, most: int, modulation: int) -> bytes:
        self._targets = [field for field in self.field if field.modulation == modulation][: min(most, 2)]
        told = b""
        for number, field in enumerate(self._targets, 1):
            if self._rats:
                field.select()
            told += field.described(number, with_ats=self._rats)
        return bytes([0x4B, len(self._targets)]) + told

    def _exchange(self, rest: bytes) -> bytes:
        """InDataExchange: a command to a card, in pieces where bit 6 of the number says so; the answer likewise."""
        number = rest[0] & 0x3F if rest else 0
        if not 0 < number <= len(self._targets):
            return _NOT_SO
        field = self._targets[number - 1]
        if field.chip is None:
            return _TIME_OVER
        if not self._rest:
            self._chain += rest[1:]
            if rest[0] & 0x40:
                return b"\x00"
            command, self._chain = self._chain, b""
            self._rest = field.chip.exchange(command)
            if self.too_long:
                self.too_long -= 1
                self._rest = bytes(64) + self._rest
        piece, self._rest = self._rest[:252], self._rest[252:]
        return bytes([0x40 if self._rest else 0x00]) + piece
