"""Boards with NXP's PN532 over a serial port (HSU, 115200 baud): cards of ISO 14443 types A and B, and FeliCa.

Address: `pn532:PORT?baud=115200&types=a&poll=0.1&silence=0.3`.

The chip itself waits for a card of type A, so that nobody asks it while the field is empty; only while a card lies
there it is asked again and again, because it does not say when a card leaves. Where several types are wanted it is
asked all the time: it waits for one at a time only.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

from edusense.devices.card import Card
from edusense.devices.pump import PumpedReader
from edusense.devices.registry import Driver, Model
from edusense.devices.tally import Tally
from edusense.devices.wire import Heard, Vector
from edusense.errors import CardError, CardGoneError, DeviceError, DeviceRefusedError, DeviceTimeoutError, UsageError
from edusense_drivers.readers.frames import BadFrame
from edusense_drivers.readers.pn532_chip import FOR_EVER, TWICE, Chip, Woken
from edusense_drivers.readers.pn532_frames import FROM_CHIP, Decoder, Message, Target, targets, targets_106a
from edusense_drivers.readers.serial_port import SerialPort
from edusense_drivers.readers.stream_source import BAUD_HELP, SILENCE_HELP, USB_SERIAL_CHIPS, port_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.devices.address import Address
    from edusense.devices.clock import Clock
    from edusense.devices.reader import ReaderStats, Trace
    from edusense_drivers.readers.pn532_chip import Line

__all__ = ["DRIVER", "Pn532Source"]

_LIST: Final = 0x4A
_EXCHANGE: Final = 0x40
_MORE: Final = 0x40
"""In a target's number: more of the command follows; in a status: more of the answer does."""
_RELEASE_ALL: Final = bytes.fromhex("5200")
_GET_UID: Final = bytes.fromhex("FFCA000000")
"""PC/SC's Get Data, which readers answer and not cards: the same program then runs on every reader."""
_CHUNK: Final = 240
"""Bytes of a command to a card in one frame: the chip takes 262."""
_TYPES: Final = {
    "a": (0x00, 2, b""),
    "b": (0x03, 1, b"\x00"),  # AFI 0: every application
    "f": (0x01, 2, bytes.fromhex("00FFFF0000")),  # polling for every system code
}
"""Modulation (BrTy), how many cards at most, and what is sent to find them (UM0701-02, 7.3.5)."""
_ALIVE_S: Final = 5.0
"""How long the chip may wait for a card before it is asked whether it still lives: one that lost power says nothing."""
_CONVERSATION_S: Final = 0.3
"""Seconds after an APDU in which the next may follow: a look at the field would begin the card anew."""
_TIME_OVER: Final = 0x01


class Pn532Source:
    """Cards out of a PN532's field.

    Args:
        line: the port.
        types: which cards are looked for: letters of `_TYPES`.
        poll_s: seconds between two looks while a card lies there, or where several types are wanted.
        silence_s: seconds without a card after which it may tap again; at least three looks.
        clock: for the cards' times and the silence.
        alive_s: seconds of waiting after which the chip is asked whether it still lives.
    """

    def __init__(
        self,
        line: Line,
        *,
        types: str = "a",
        poll_s: float = 0.1,
        silence_s: float = 0.3,
        clock: Clock | None = None,
        alive_s: float = _ALIVE_S,
        baud: int | None = None,
    ) -> None:
        self._types = types
        self._poll_s = poll_s
        self._alive_s = alive_s
        self._silence_s = max(silence_s, 3 * poll_s)
        self._tally = Tally(silence_s=self._silence_s, clock=clock, baud=baud)
        self._chip = Chip(line, self._tally)
        self._seen_at: float | None = None
        self._keys: list[object] = []
        self._targets: dict[str, list[Target]] = {}
        self._selected: Target | None = None
        self._busy_until = 0.0

    @property
    def firmware(self) -> str:
        """The chip and its firmware, as `PN532 1.6`."""
        return self._chip.firmware

    def start(self) -> None:
        """Wakes the chip and sets it up.

        Raises:
            DeviceTimeoutError: nobody answers as a PN532 does.
            DeviceProtocolError: another chip of the family answers.
        """
        self._chip.start()

    def wait(self) -> list[Card]:
        """Waits for a card, or looks whether it still lies there."""
        try:
            if self._seen_at is None and len(self._types) == 1:
                return self._look({self._types: self._await_card()})
            if self._chip.sleep(max(self._poll_s, self._busy_until - time.monotonic())):
                return []
            self._let_go()
            return self._look({letter: self._list(letter) for letter in self._types})
        except Woken:
            return []

    def wake(self) -> None:
        """Makes `wait` return soon."""
        self._chip.wake()

    def exchange(self, apdu: bytes, timeout: float) -> bytes:
        """Exchanges an APDU with the card in the field; in pieces, where it is longer than the chip's frames."""
        deadline = time.monotonic() + timeout
        target = self._select()
        self._busy_until = time.monotonic() + _CONVERSATION_S
        if apdu == _GET_UID:
            return target.uid + b"\x90\x00"
        if not target.takes_apdus:
            raise DeviceRefusedError(
                f"the card on `{self._chip.name}` takes no APDUs: it is a {target.kind}",
                hint="only cards of ISO 14443-4 have a processor: DESFire, NTAG 424, bank and identity cards",
            )
        answer = bytearray()
        pieces = [apdu[at : at + _CHUNK] for at in range(0, len(apdu), _CHUNK)]
        more = False
        while pieces or more:
            piece = pieces.pop(0) if pieces else b""
            number = target.number | (_MORE if pieces else 0)
            left = max(0.05, deadline - time.monotonic())
            told = self._chip.command(bytes([_EXCHANGE, number]) + piece, answer_s=left, repeat=False)
            status = told[0] if told else 0xFF
            if status & 0x3F:
                raise self._failed(status)
            answer += told[1:]
            more = status & _MORE != 0
        self._busy_until = time.monotonic() + _CONVERSATION_S
        return bytes(answer)

    def close(self) -> None:
        """Ends what the chip is doing and lets go of the port."""
        with contextlib.suppress(DeviceError):  # a port that is gone is closed all the same
            self._chip.abort()
        self._chip.close()

    def stats(self) -> ReaderStats:
        """Counters since the port was opened."""
        return self._tally.stats()

    def watch(self, trace: Callable[[Trace], None] | None) -> None:
        """Tells bytes and faults to `trace` from now on."""
        self._tally.watch(trace)

    def _await_card(self) -> bytes:
        """Lets the chip wait for a card; its answer, or an empty list when it was only asked whether it lives."""
        self._chip.set_retries(FOR_EVER)
        modulation, _, sent = _TYPES[self._types]
        command = bytes([_LIST, 1, modulation]) + sent
        return self._chip.command(command, answer_s=self._alive_s, patient=True, routine=True) or b"\x00"

    def _list(self, letter: str) -> bytes:
        self._chip.set_retries(TWICE)
        modulation, most, sent = _TYPES[letter]
        return self._chip.command(bytes([_LIST, most, modulation]) + sent, routine=True)

    def _look(self, told: dict[str, bytes]) -> list[Card]:
        now = self._tally.clock.monotonic()
        # What lay there at the last look that the chip answered has not left since, as far as anybody knows: also where
        # the chip was silent for longer than a card may be.
        self._tally.still_there(self._keys)
        found: list[tuple[Target, bytes]] = []
        for letter, data in told.items():
            try:
                self._targets[letter] = targets(data, _TYPES[letter][0])
            except ValueError as error:
                self._tally.fault("answer", f"InListPassiveTarget: {error}", data)
                self._targets[letter] = []
            found += [(target, data) for target in self._targets[letter]]
        self._keys = []
        cards = [card for target, data in found if (card := self._judge(target, data, now)) is not None]
        if found:
            self._seen_at = now
            self._chip.command(_RELEASE_ALL, routine=True)
        elif self._seen_at is not None and now - self._seen_at >= self._silence_s:
            self._seen_at = None
        return cards

    def _judge(self, target: Target, data: bytes, now: float) -> Card | None:
        try:
            card = Card(target.kind, target.uid, raw=data, at=self._tally.clock.now())
        except CardError as error:
            self._tally.fault("number", str(error), data)
            return None
        # A telephone draws a number at each look: that is one tap all the same.
        key: object = "random" if card.random_id else (card.technology, card.uid)
        self._keys.append(key)
        if not self._tally.tap(key, now):
            return None
        self._tally.note(f"found {card}", data)
        return card

    def _select(self) -> Target:
        """The card in the field, ready for commands."""
        if self._selected is not None and time.monotonic() < self._busy_until:
            return self._selected
        gone = CardGoneError(f"no card lies on `{self._chip.name}`", hint="lay it down and leave it there")
        letter = next((letter for letter, found in self._targets.items() if found), None)
        if letter is None:
            raise gone
        before = self._targets[letter][0]
        try:
            there = targets(self._list(letter), _TYPES[letter][0])
        except ValueError as error:
            self._tally.fault("answer", f"InListPassiveTarget: {error}")
            there = []
        # A number that is drawn anew at each activation cannot be held against the one before.
        random = len(before.uid) == 4 and before.uid[0] == 0x08
        target = next((found for found in there if random or found.uid == before.uid), None)
        if target is None:
            raise gone
        self._selected = target
        return target

    def _let_go(self) -> None:
        if self._selected is not None:
            self._selected = None
            self._chip.command(_RELEASE_ALL, routine=True)

    def _failed(self, status: int) -> DeviceError:
        """What a status other than 0 means (UM0701-02, 7.1)."""
        self._selected = None
        self._tally.fault("card", f"the chip answered status 0x{status & 0x3F:02X} to an exchange with the card")
        if status & 0x3F == _TIME_OVER:
            return CardGoneError(
                f"the card on `{self._chip.name}` does not answer any more", hint="lay it down and leave it there"
            )
        return DeviceTimeoutError(
            f"the card on `{self._chip.name}` was not understood (status 0x{status & 0x3F:02X})",
            hint="lay it flat on the middle of the antenna, alone",
        )


def _hear(data: bytes) -> Heard:
    """What a chip's side of the line holds."""
    cards: list[Card] = []
    explained, faults = 0, []
    for event in Decoder().push(data):
        match event:
            case Message() if event.data[:2] == bytes([FROM_CHIP, _LIST + 1]):
                try:
                    cards += [Card(found.kind, found.uid, raw=event.raw) for found in targets_106a(event.data[2:])]
                except ValueError as error:
                    faults.append(str(error))
                explained += len(event.raw)
            case Message():
                explained += len(event.raw)
            case BadFrame():
                faults.append(event.message)
    return Heard(tuple(cards), explained, len(faults), faults[-1] if faults else None)


def _open(address: Address) -> PumpedReader:
    path, baud, silence_s = port_settings(address, baud=115200)
    poll_s = address.number("poll", 0.1, low=0.02, high=2.0)
    types = address.options.get("types", "a")
    if not types or set(types) - _TYPES.keys() or len(set(types)) != len(types):
        raise UsageError(
            f"`{address}`: `types` is `{types}`", hint="letters of `abf`, each once: type A, type B, FeliCa"
        )
    source = Pn532Source(SerialPort(path, baud), types=types, poll_s=poll_s, silence_s=silence_s, baud=baud)
    try:
        source.start()
    except BaseException:
        source.close()
        raise
    return PumpedReader(address, source)


DRIVER = Driver(
    name="pn532",
    kind="reader",
    summary="13.56 MHz cards over a serial port: PN532 modules set to HSU",
    address="pn532:PORT?types=a&baud=115200&poll=0.1&silence=0.3",
    open=_open,
    usb_ids=USB_SERIAL_CHIPS,
    serial=True,
    baud=115200,
    carrier="serial port",
    cards=("iso14443a", "iso14443b", "felica"),
    can=("apdu",),
    options={
        "baud": BAUD_HELP.format("every module", 115200),
        "types": "which cards are looked for: `a` (type A; the chip then waits by itself), `b` (type B), `f` (FeliCa)",
        "poll": "seconds between two looks while a card lies there (0.02 to 2); usually 0.1",
        "silence": SILENCE_HELP + ", and never less than three looks",
    },
    dialects={"": _hear},
    asks=True,
    vectors=(
        Vector(
            "jinmi8.com: answer to InListPassiveTarget",
            bytes.fromhex("0000FF0CF4D54B010100040804FB0EE20BD800"),
            "iso14443a:FB0EE20B",
        ),
        Vector("the same with a wrong check sum", bytes.fromhex("0000FF0CF4D54B010100040804FB0EE20BD900"), None),
    ),
    models=tuple(
        Model(
            name,
            works="UIDs of types A and B and FeliCa's IDm; APDUs to cards of ISO 14443-4",
            checked="frames of NXP's manual; virtual reader on a pseudo-terminal; nfcpy drives the same virtual reader",
        )
        for name in ("NXP PN532, HSU", "Elechouse PN532 V3", "Waveshare PN532")
    ),
)
