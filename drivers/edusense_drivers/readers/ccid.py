"""CCID readers over USB: ACR122U and every reader that the PC/SC world knows, without its daemon.

Addresses: `ccid:` (the first reader), `ccid:072f:2200` (that model), `ccid:072f:2200?serial=…` (that one),
`ccid:sim:SOCKET` (a virtual one).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Final

import usb.core

from edusense.devices.card import Card
from edusense.devices.pump import PumpedReader
from edusense.devices.registry import Driver, Model
from edusense.devices.tally import Tally
from edusense.errors import CardError, CardGoneError, DeviceError, DeviceTimeoutError, UsageError
from edusense_drivers.readers import acr122u
from edusense_drivers.readers.ccid_messages import (
    GET_UID,
    HEADER,
    Answer,
    Dialogue,
    Failure,
    IccState,
    Request,
    SlotChange,
    card_kind,
    check_byte_wrong,
    split_apdu,
)
from edusense_drivers.readers.stream_source import SILENCE_HELP
from edusense_drivers.readers.usb_pipes import CCID_CLASS, UsbPipes, find_device, usb_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from edusense.devices.address import Address
    from edusense.devices.clock import Clock
    from edusense.devices.reader import ReaderStats, Trace

    class Pipes(Protocol):
        """What is needed of a USB device."""

        name: str
        usb_id: str
        has_interrupt: bool

        def write(self, data: bytes, timeout: float) -> None: ...
        def read(self, timeout: float) -> bytes: ...
        def interrupt(self, timeout: float) -> bytes: ...
        def wake(self) -> None: ...
        def close(self) -> None: ...


__all__ = ["DRIVER", "CcidSource"]

_DEADLINE_S: Final = 5.0
"""Seconds for one request; a reader that asks for more time gets as much again, but not without end."""
_LONGEST_S: Final = 30.0
_POLL_S: Final = 0.2
"""Seconds between two looks at the slot of a reader that reports nothing by itself."""
_REPORTS_S: Final = 1.0
"""The same for one that reports changes: not every change is reported by every firmware."""


class CcidSource:
    """Cards out of a CCID reader's slot.

    Args:
        pipes: the device.
        poll_s: seconds between two looks at the slot; between them the reader may report a change by itself. Default:
            0.2, and 1 where it reports.
        silence_s: seconds without the card after which it may tap again.
        clock: for the cards' times and the silence.
        deadline_s: seconds for one request.
        feedback: whether to use the light and the sound of a model that is known to have them.
    """

    def __init__(
        self,
        pipes: Pipes,
        *,
        poll_s: float | None = None,
        silence_s: float = 0.3,
        clock: Clock | None = None,
        deadline_s: float = _DEADLINE_S,
        feedback: bool = True,
    ) -> None:
        self._pipes = pipes
        self._poll_s = (_REPORTS_S if pipes.has_interrupt else _POLL_S) if poll_s is None else poll_s
        self._deadline_s = deadline_s
        self._tally = Tally(silence_s=silence_s, clock=clock)
        self._dialogue = Dialogue(os.urandom(1)[0])
        self._uid: bytes | None = None
        self._looked = False
        self._came = False
        """Whether the reader has said by itself that a card has come into an empty slot."""
        self._unread = False
        self._woken = threading.Event()
        self._outstanding = False
        self._has_light = feedback and pipes.usb_id in acr122u.USB_IDS

    def start(self) -> None:
        """Sets the reader up: where the verdict sounds, the reader must not sound by itself for each card.

        Raises:
            DeviceError: it does not answer.
        """
        if self._has_light:
            with contextlib.suppress(Failure):
                self._ask(Request.ESCAPE, acr122u.sound_for_cards(on=False))

    def wait(self) -> list[Card]:
        """Waits for the slot to change and gives the card that was laid down, if one was."""
        if self._looked and self._pause():
            return []
        self._looked = True
        # A reader that says that a card has come is not asked whether one has: a third of the time until its number.
        came, self._came = self._came and self._uid is None, False
        status = None if came else self._status()
        if self._uid is not None:
            # Until a moment ago the card lay there, and nobody asked meanwhile.
            self._tally.still_there([self._uid])
        self._unread = False
        if status is IccState.ABSENT:
            self._uid = None
            return []
        if self._uid is not None and status is IccState.ACTIVE:
            return []
        # Present but not powered: it has just come, or took the place of another between two looks.
        self._uid = None
        self._unread = True
        try:
            card = self._identify()
        except Failure as failure:
            if came and failure.answer.icc is IccState.ABSENT:
                self._unread = False  # it was taken away again at once
                return []
            self._tally.fault("card", f"card not read: {failure}", failure.answer.data)
            return []
        if card is None:
            return []
        self._uid, self._unread = card.uid, False
        return [card] if self._tally.tap(card.uid) else []

    def wake(self) -> None:
        """Makes `wait` return soon."""
        self._woken.set()
        self._pipes.wake()

    def signal(self, granted: bool) -> bool:
        """Green and a tone, or red and two; returns when the reader has been told, not when it has shown it."""
        if not self._has_light:
            return False
        deadline = time.monotonic() + self._deadline_s
        self._settle(deadline)
        self._send(Request.ESCAPE, acr122u.verdict(granted), deadline)
        self._outstanding = True
        return True

    def exchange(self, apdu: bytes, timeout: float) -> bytes:
        """Exchanges an APDU with the card in the slot."""
        gone = CardGoneError(f"no card lies on `{self._pipes.name}`", hint="lay it down and leave it there")
        if self._uid is None:
            raise gone
        most = self._pipes_most()
        if len(apdu) > most:
            raise UsageError(
                f"`{self._pipes.name}` takes commands of {most} bytes at most; this one has {len(apdu)}",
                hint="send the data in several commands (bit 5 of the class chains them)",
            )
        try:
            answer = self._ask(Request.XFR_BLOCK, apdu, deadline_s=timeout)
        except Failure as failure:
            if failure.answer.icc is not IccState.ABSENT:
                self._tally.fault("card", f"the card did not answer: {failure}", failure.answer.data)
            self._uid = None
            raise gone from failure
        return answer.data

    def close(self) -> None:
        """Powers the card down and lets go of the reader."""
        with contextlib.suppress(DeviceError, Failure):
            if self._uid is not None:
                self._ask(Request.ICC_POWER_OFF, deadline_s=0.5)
            if self._has_light and self._looked:
                self._ask(Request.ESCAPE, acr122u.sound_for_cards(on=True), deadline_s=0.5)
        self._pipes.close()

    def stats(self) -> ReaderStats:
        """Counters since the reader was opened."""
        return self._tally.stats()

    def watch(self, trace: Callable[[Trace], None] | None) -> None:
        """Tells bytes and faults to `trace` from now on."""
        self._tally.watch(trace)

    def _status(self) -> IccState:
        """Whether there is a card in the slot, and whether it is powered."""
        try:
            return self._ask(Request.GET_SLOT_STATUS, routine=True).icc
        except Failure as failure:
            return failure.answer.icc  # readers may call an empty slot a failure; what they say of the slot holds

    def _pause(self) -> bool:
        """Waits for a change or the time of the next look; whether to leave instead."""
        # A card that lies there and was not read is tried again before anything changes.
        seconds = min(self._poll_s, _POLL_S) if self._unread else self._poll_s
        if self._pipes.has_interrupt:
            data = b"" if self._woken.is_set() else self._pipes.interrupt(seconds)
            if data:
                self._tally.heard(data)
                change = SlotChange.decode(data)
                self._came = change is not None and change.present
                if change is None:
                    self._tally.fault("interrupt", f"interrupt message of kind 0x{data[0]:02X}", data)
        else:
            self._tally.clock.wait(self._woken, seconds)
        woken = self._woken.is_set()
        self._woken.clear()
        return woken

    def _identify(self) -> Card | None:
        """Powers the card up and asks for its number; None where it has none that can be used."""
        atr = self._ask(Request.ICC_POWER_ON).data
        if check_byte_wrong(atr):
            self._tally.fault("check", f"answer to reset ending at byte {len(atr) - 1}: its check byte is wrong", atr)
            return None
        block = self._ask(Request.XFR_BLOCK, GET_UID).data
        uid, status = split_apdu(block)
        if status != 0x9000:
            told = f"the reader answered {status:04X} to Get Data: the card told no number"
            self._tally.fault("no-uid", told, block)
            return None
        try:
            return Card(card_kind(atr, uid), uid, raw=block, at=self._tally.clock.now())
        except CardError as error:
            self._tally.fault("no-uid", str(error), block)
            return None

    def _ask(
        self, request: Request, data: bytes = b"", *, deadline_s: float | None = None, routine: bool = False
    ) -> Answer:
        within_s = self._deadline_s if deadline_s is None else deadline_s
        deadline = time.monotonic() + within_s
        self._settle(deadline)
        self._send(request, data, deadline, routine=routine)
        answer = self._receive(deadline, routine=routine)
        if answer is None:
            raise DeviceTimeoutError(
                f"`{self._pipes.name}` did not answer {request.name} within {within_s:g} seconds",
                hint="plug the reader in again",
            )
        return answer

    def _send(self, request: Request, data: bytes, deadline: float, *, routine: bool = False) -> None:
        message = self._dialogue.request(request, data)
        self._tally.sent(message, routine=routine)
        self._pipes.write(message, deadline - time.monotonic())

    def _receive(self, deadline: float, *, routine: bool = False) -> Answer | None:
        """The answer to the last request; None when it did not come in time."""
        latest = deadline + _LONGEST_S
        while (left := deadline - time.monotonic()) > 0:
            raw = self._pipes.read(left)
            self._tally.heard(raw, routine=routine)
            answer = self._dialogue.answer(raw)
            if answer is not None:
                return answer
            if len(raw) > 7 and raw[7] >> 6 == 2:  # the reader asks for more time
                deadline = min(latest, max(deadline, time.monotonic() + self._deadline_s))
        return None

    def _settle(self, deadline: float) -> None:
        """Takes the answer to a verdict that was shown: a reader has one request at a time."""
        if self._outstanding:
            self._outstanding = False
            with contextlib.suppress(Failure):
                self._receive(deadline)

    def _pipes_most(self) -> int:
        descriptor = getattr(self._pipes, "descriptor", None)
        return (descriptor.max_message if descriptor is not None else 271) - HEADER


def _open(address: Address) -> PumpedReader:
    poll_s = address.number("poll", 0.0, low=0.02, high=5.0) if "poll" in address.options else None
    silence_s = address.number("silence", 0.3, low=0.3, high=60.0)
    feedback = address.options.get("feedback", "on")
    if feedback not in ("on", "off"):
        raise UsageError(
            f"`{address}`: `feedback` is `{feedback}`", hint="`on`, or `off` to leave light and sound alone"
        )
    device = find_device(address)
    try:
        pipes = UsbPipes(device, str(address))
    except usb.core.USBError as error:
        raise usb_error(error, str(address), device) from error
    source = CcidSource(pipes, poll_s=poll_s, silence_s=silence_s, feedback=feedback == "on")
    try:
        source.start()
    except BaseException:
        source.close()
        raise
    return PumpedReader(address, source)


_VIRTUAL: Final = "published exchange; virtual reader through pyusb and, by umockdev, through libusb"

DRIVER = Driver(
    name="ccid",
    kind="reader",
    summary="13.56 MHz cards over USB: ACR122U and other CCID readers, without pcscd",
    address="ccid: · ccid:VVVV:PPPP?serial=… · ccid:sim:SOCKET",
    open=_open,
    usb_ids=("072f:2200", "072f:223b", "076b:5427", "076b:5022"),
    usb_class=CCID_CLASS,
    options={
        "serial": "serial number, where several readers of one model are plugged in",
        "poll": "seconds between two looks at the slot (0.02 to 5); usually 0.2, or 1 where it reports changes",
        "silence": SILENCE_HELP,
        "feedback": "`off` leaves the reader's light and sound alone",
    },
    can=("light", "sound", "apdu"),
    carrier="USB",
    cards=("iso14443a", "iso14443b", "felica", "iso15693"),
    models=(
        Model(
            "ACS ACR122U",
            works="UIDs of ISO 14443-A, APDUs, light and sound",
            checked=f"{_VIRTUAL}; nfcpy and pcscd drive the same virtual reader",
            usb_id="072f:2200",
            cards=("iso14443a",),
        ),
        Model("ACS ACR1252U", works="UIDs, APDUs", checked="not seen: the class's common commands", usb_id="072f:223b"),
        Model(
            "HID Omnikey 5427", works="UIDs, APDUs", checked="not seen: the class's common commands", usb_id="076b:5427"
        ),
        Model(
            "HID Omnikey 5022", works="UIDs, APDUs", checked="not seen: the class's common commands", usb_id="076b:5022"
        ),
        Model(
            "every other reader of class CCID",
            works="UIDs where it answers PC/SC's Get Data; APDUs",
            checked="not seen: the class's common commands",
        ),
    ),
)
