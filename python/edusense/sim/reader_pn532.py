"""A virtual PN532 board: the chip's model on a pseudo-terminal, with cards that come and go."""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING, Final

from edusense.devices.line_quality import misheard
from edusense.errors import CardError
from edusense.sim.pn532_model import ACK, Pn532Model
from edusense.sim.reader_serial import VirtualSerial, beside

if TYPE_CHECKING:
    from pathlib import Path

    from edusense.devices.card import Card

__all__ = ["Pn532Model", "VirtualPn532"]

_SEEN: Final = frozenset({"iso14443a", "iso14443b", "felica"})


class VirtualPn532(VirtualSerial):
    """A PN532 module on a pseudo-terminal, alive until closed. Every method may be called from any thread.

    Args:
        path: where a link to the pseudo-terminal is kept, the same after replugging; default: in a temporary folder.

    Raises:
        UsageError: at `path` is something else already.
    """

    driver = "pn532"
    baud = 115200
    noise = b"\x55\xaa\x13"

    def __init__(self, path: str | Path | None = None) -> None:
        self.model = Pn532Model()
        self._until: dict[Card, float | None] = {}
        self._stuck: set[Card] = set()
        super().__init__(path)

    def place(self, card: Card) -> None:
        """Lays a card down; it stays until `remove`. Two may lie there."""
        self._lay(card, None)

    def remove(self, card: Card | None = None) -> None:
        """Takes a card away, or all."""
        with self._changed:
            for gone in [card] if card is not None else list(self._until):
                self._lift(gone)

    def tap(self, card: Card, hold_s: float = 0.4) -> None:
        """Lays a card down for `hold_s` seconds; returns at once."""
        self._lay(card, time.monotonic() + hold_s)

    def unplug(self) -> None:
        """Pulls the plug; a card that was stuck is free."""
        with self._changed:
            self._let_go_of_stuck()
        super().unplug()

    def replug(self) -> None:
        """Plugs it in again, at the same path; the chip begins anew."""
        with self._changed:
            if self._master < 0:
                self.model.reset()
            super().replug()

    def _restart(self) -> None:
        self.model.reset()
        self._let_go_of_stuck()

    def _let_go_of_stuck(self) -> None:
        self.model.lift(self._stuck)
        self._stuck.clear()

    def _lay(self, card: Card, until: float | None) -> None:
        if card.technology not in _SEEN:
            raise CardError(
                f"a 13.56 MHz reader like this does not see `{card}`",
                hint="give an ISO 14443-A card (8, 14 or 20 digits), or `iso14443b:…`, `felica:…`",
            )
        with self._changed:
            there = [card]
            while self._of_cards:
                match self._of_cards.popleft():
                    case "stuck":
                        self._stuck.add(card)
                    case "two-cards":
                        there.append(beside(card))
                    case "too-long":
                        self.model.too_long += 1
            for one in there:
                self._until[one] = until
                self.model.place(one)
            self._changed.notify_all()

    def _lift(self, card: Card) -> None:
        self._until.pop(card, None)
        if card not in self._stuck:
            self.model.lift([card])

    def _run(self) -> None:
        listening = select.poll()
        while True:
            with self._changed:
                if self._closed:
                    return
                now = time.monotonic()
                if self._replug_at is not None and now >= self._replug_at:
                    self.replug()
                for card, until in list(self._until.items()):
                    if until is not None and now >= until:
                        self._lift(card)
                self._say(self.model.look())
                master = self._master
                if master < 0 or not self._listened_to():
                    # What was said before the port was closed still arrives; the answer is lost.
                    self._hear()
                    # A terminal that nobody has open is always ready: there is nothing to wait for but time.
                    self._changed.wait(0.02)
                    continue
            listening.register(master, select.POLLIN)
            listening.poll(10)
            listening.unregister(master)
            with self._changed:
                if self._master == master and self._listened_to():
                    self._hear()

    def _hear(self) -> None:
        if self._master < 0:
            return
        try:
            data = os.read(self._master, 4096)
        except (BlockingIOError, OSError):
            return
        if time.monotonic() < self._mute_until:
            return
        if self._line_baud != self.baud:
            data = misheard(data, self._host_baud(), self._line_baud)
        self._say(self.model.receive(data))

    def _say(self, frames: list[bytes]) -> None:
        for frame in frames:
            if frame == ACK:
                self._send(frame)
            else:
                self._transmit(frame, _spoil)


def _spoil(frame: bytes) -> bytes:
    return frame[:-2] + bytes([frame[-2] ^ 0x01]) + frame[-1:]
