"""Commands to a PN532 and their answers: acknowledged, repeated where a check sum is wrong, waking a chip that sleeps.

Source: NXP UM0701-02, 6.2 (host link) and 7 (commands).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from edusense.errors import DeviceProtocolError, DeviceTimeoutError
from edusense_drivers.readers.frames import BadFrame, Noise
from edusense_drivers.readers.pn532_frames import (
    ACK,
    FROM_CHIP,
    NACK,
    TO_CHIP,
    Ack,
    Decoder,
    Message,
    Nack,
    encode,
)

if TYPE_CHECKING:
    from edusense.devices.tally import Tally
    from edusense_drivers.readers.pn532_frames import Event

__all__ = ["FOR_EVER", "TWICE", "Chip", "Line", "Woken"]

WAKE_UP: Final = bytes.fromhex("5555") + bytes(14)
"""Ends the chip's sleep; it needs some byte times until it listens."""
_GET_FIRMWARE: Final = b"\x02"
_SAM_NORMAL: Final = bytes.fromhex("140117")
"""SAMConfiguration: no security module; time limit 0x17 (unused then), no interrupt line. It must come after waking."""
_RETRIES: Final = bytes.fromhex("3205FF01")
"""RFConfiguration of MaxRetries, before the number of tries to find a card: FF is for ever."""
FOR_EVER: Final = 0xFF
TWICE: Final = 0x01
"""One try and one more: a card that was active answers the first request with an error, and the second one right."""
_ACK_S: Final = 0.1
"""The chip acknowledges within 15 ms; USB chips and busy machines add to that."""
_ANSWER_S: Final = 1.0
_TRIES: Final = 3
_PATIENCE_S: Final = 2.5
"""How long a chip that worked may be silent before it counts as dead: after a brown-out it needs a second."""


class Line(Protocol):
    """What is needed of a port."""

    path: str

    def read(self, timeout: float | None) -> bytes:
        """What has come."""
        ...

    def write(self, data: bytes) -> None:
        """Sends."""
        ...

    def wake(self) -> None:
        """Ends `read` in another thread."""
        ...

    def close(self) -> None:
        """Lets go."""
        ...


class Woken(Exception):  # noqa: N818 -- no error: somebody called `wake`
    """Whoever waits is wanted elsewhere."""


class Chip:
    """One chip on one line.

    Args:
        line: the port.
        tally: is told of bytes and faults.
    """

    def __init__(self, line: Line, tally: Tally) -> None:
        self.name = line.path
        self.firmware = ""
        """The chip and its firmware, as `PN532 1.6`."""
        self._line = line
        self._tally = tally
        self._decoder = Decoder()
        self._events: deque[Event] = deque()
        self._retries: int | None = None
        self._woken = threading.Event()
        self._may_be_woken = False
        self._routine = False
        self._patience_s = 0.0

    def start(self) -> None:
        """Wakes the chip and sets it up.

        Raises:
            DeviceTimeoutError: nobody answers as a PN532 does.
            DeviceProtocolError: another chip of the family answers.
        """
        self._set_up()
        told = self.command(_GET_FIRMWARE)
        if len(told) != 4 or told[0] != 0x32:
            raise DeviceProtocolError(
                f"`{self.name}` answers as another chip: {told.hex(' ')}", hint="a PN532 answers `32` first"
            )
        self.firmware = f"PN532 {told[1]}.{told[2]}"
        self._tally.note(self.firmware, told)
        self._patience_s = _PATIENCE_S

    def set_retries(self, number: int) -> None:
        """How often the chip looks for a card before it says that there is none: `TWICE` or `FOR_EVER`."""
        if self._retries != number:
            self.command(_RETRIES + bytes([number]), routine=True)
            self._retries = number

    def sleep(self, seconds: float) -> bool:
        """Lets time pass, hearing what the chip says meanwhile; whether `wake` was called."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._woken.is_set():
            self._receive(left)
            self._events.clear()
        woken = self._woken.is_set()
        self._woken.clear()
        return woken

    def wake(self) -> None:
        """Ends `sleep`, and a command that may be woken, from another thread."""
        self._woken.set()
        self._line.wake()

    def abort(self) -> None:
        """Ends what the chip is doing: an ACK from us does (UM0701-02, 6.2.1.3)."""
        self._write(ACK)

    def close(self) -> None:
        """Lets go of the port."""
        self._line.close()

    def command(
        self,
        command: bytes,
        *,
        answer_s: float = _ANSWER_S,
        patient: bool = False,
        routine: bool = False,
        repeat: bool = True,
    ) -> bytes:
        """Sends a command and gives its answer without `D5` and code.

        Args:
            command: code and parameters.
            answer_s: seconds that the chip may take after acknowledging.
            patient: no answer in that time is an answer too: nothing. The command is broken off, and so it is by
                `wake`.
            routine: whether it is asked all the time, for traces.
            repeat: whether it may be sent again where the answer was lost: what a card does may not be done twice.

        Raises:
            Woken: `wake` was called, and `patient`.
            DeviceTimeoutError: the chip is dead, or none.
            DeviceProtocolError: the chip refused the command.
        """
        self._routine, self._may_be_woken = routine, patient
        deadline = time.monotonic() + self._patience_s
        try:
            while True:
                try:
                    return self._command(command, answer_s, patient=patient, repeat=repeat)
                except DeviceTimeoutError:
                    if not repeat or time.monotonic() >= deadline:
                        raise
        except Woken:
            self.abort()
            raise
        finally:
            self._routine = self._may_be_woken = False

    def _set_up(self) -> None:
        """Wakes the chip and gives it what it forgets with its power."""
        self._write(WAKE_UP)
        self._command(_SAM_NORMAL, wakes=False)
        if self._retries is not None:
            self._command(_RETRIES + bytes([self._retries]), wakes=False)

    def _command(
        self,
        command: bytes,
        answer_s: float = _ANSWER_S,
        *,
        patient: bool = False,
        wakes: bool = True,
        repeat: bool = True,
    ) -> bytes:
        """As `command`; `wakes`: whether to wake and set up a chip that does not answer, and to try again."""
        frame = encode(bytes([TO_CHIP]) + command)
        for attempt in range(_TRIES):
            self._events.clear()
            self._write(frame)
            if not self._acknowledged():
                if wakes and attempt:
                    self._set_up()
                elif not wakes:
                    self._write(WAKE_UP)
                continue
            answer = self._answer(command[0] + 1, answer_s)
            if answer is not None:
                return answer
            self.abort()
            if patient:
                return b""
            if not repeat:
                break
        told = self._tally.stats().suspicion
        raise DeviceTimeoutError(
            f"`{self.name}` does not answer as a PN532 does" + (f"; {told}" if told else ""),
            hint="set its switches to HSU (both 0), cross TX and RX, and look at its power supply; "
            "`edusense reader listen -v` shows what comes",
        )

    def _acknowledged(self) -> bool:
        deadline = time.monotonic() + _ACK_S
        while (event := self._next(deadline)) is not None:
            match event:
                case Ack():
                    return True
                case Nack():
                    return False
        return False

    def _answer(self, code: int, seconds: float) -> bytes | None:
        deadline = time.monotonic() + seconds
        asked_again = 0
        while (event := self._next(deadline)) is not None:
            match event:
                case Message() if event.refused:
                    self._tally.fault("refused", f"the chip refused command 0x{code - 1:02X}", event.raw)
                    raise DeviceProtocolError(
                        f"`{self.name}` refused the command 0x{code - 1:02X}", hint="plug the reader in again"
                    )
                case Message() if event.data[:2] == bytes([FROM_CHIP, code]):
                    return event.data[2:]
                case BadFrame() if asked_again < _TRIES:
                    asked_again += 1
                    self._write(NACK)
        return None

    def _next(self, deadline: float) -> Event | None:
        """The next event; None when the time has passed."""
        while not self._events:
            if self._may_be_woken and self._woken.is_set():
                self._woken.clear()
                raise Woken
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._receive(left)
        return self._events.popleft()

    def _receive(self, seconds: float) -> None:
        data = self._line.read(seconds)
        if not data:
            return
        self._tally.heard(data, routine=self._routine)
        for event in self._decoder.push(data):
            match event:
                case BadFrame():
                    self._tally.fault(event.reason, event.message, event.raw)
                case Noise():
                    self._tally.noise(event.raw)
            self._events.append(event)

    def _write(self, data: bytes) -> None:
        self._tally.sent(data, routine=self._routine)
        self._line.write(data)
