"""A virtual OSDP reader on a pseudo-terminal: cards that are told with the next poll, a light and a sound.

Written from the standard; the controller's half is libosdp's, in our driver or in anybody's program.
"""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING, Final

from edusense.devices.line_quality import misheard
from edusense.devices.wiegand import pack
from edusense.errors import CardError
from edusense.sim.osdp_pd import OsdpReader
from edusense.sim.reader_serial import VirtualSerial, beside

if TYPE_CHECKING:
    from pathlib import Path

    from edusense.devices.card import Card

__all__ = ["VirtualOsdp", "raw_bits"]

_AGAIN_S: Final = 0.15
"""Seconds after which a reader that is stuck tells of its card again."""


def raw_bits(card: Card) -> tuple[int, bytes, int]:
    """How many bits the reader tells for a card, the bits, and the format code.

    Raises:
        CardError: it does not see this kind of card.

    >>> from edusense.devices.card import Card
    >>> raw_bits(Card.parse("wiegand26:14B938"))
    (26, b'\\x8a\\\\\\x9c\\x00', 1)
    """
    if card.technology.startswith("wiegand"):
        width = int(card.technology.removeprefix("wiegand"))
        frame = pack(int.from_bytes(card.uid, "big") & (1 << width - 2) - 1, width)
        size = (width + 7) // 8
        return width, (frame << 8 * size - width).to_bytes(size, "big"), 1
    if card.technology in ("iso14443a", "iso15693") or (card.technology == "em4100" and not card.partial):
        return 8 * len(card.uid), card.uid, 0
    raise CardError(f"this reader does not see `{card}`", hint="give `wiegand26:…`, an ISO 14443-A or an EM4100 card")


class VirtualOsdp(VirtualSerial):
    """A reader on a line, alive until closed. Every method may be called from any thread.

    Args:
        path: where a link to the pseudo-terminal is kept, the same after replugging; default: in a temporary folder.
        address: its address on the line.
        key: the key of its secure channel; None as it leaves the factory.
        secure: whether it can make a secure channel at all.

    Raises:
        UsageError: at `path` is something else already.
    """

    driver = "osdp"
    noise = bytes.fromhex("00AA1380FF")

    def __init__(
        self, path: str | Path | None = None, *, address: int = 0, key: bytes | None = None, secure: bool = True
    ) -> None:
        self.device = OsdpReader(address, key, secure=secure)
        self._field: dict[Card, float | None] = {}
        self._stuck: Card | None = None
        self._again_at = 0.0
        super().__init__(path)

    @property
    def address(self) -> str:
        """What `open_reader` takes, without the key: that stands in a file."""
        return f"{super().address}?address={self.device.address}" + ("" if self.device.secure else "&secure=off")

    def place(self, card: Card) -> None:
        """Lays a card down: it is told once."""
        bits = raw_bits(card)
        with self._changed:
            self._tell(bits)
            while self._of_cards:
                match self._of_cards.popleft():
                    case "stuck":
                        self._stuck, self._again_at = card, time.monotonic() + _AGAIN_S
                    case "two-cards":
                        self._tell(raw_bits(beside(card)))

    def remove(self, card: Card | None = None) -> None:
        """Takes a card away: such readers say nothing of that."""

    def tap(self, card: Card, hold_s: float = 0.2) -> None:
        """Lays a card down and takes it away."""
        self.place(card)

    def shown(self) -> list[bool]:
        """The verdicts that its light has shown, in order: True is green."""
        with self._changed:
            return [colour == "green" for colour in self.device.lights]

    def fault(self, name: str) -> None:
        """As `VirtualSerial.fault`; `wrong-key` gives it another key at once."""
        if name == "wrong-key":
            with self._changed:
                self.device.key = bytes(byte ^ 0x5A for byte in self.device.key or bytes(16))
                self.device.restart()
            return
        super().fault(name)

    def unplug(self) -> None:
        """Pulls the plug; a card that was stuck is free, and what was not told is lost."""
        with self._changed:
            self._stuck = None
            self.device.restart()
        super().unplug()

    def _restart(self) -> None:
        self._stuck = None
        self.device.restart()

    def _tell(self, bits: tuple[int, bytes, int]) -> None:
        count, data, form = bits
        self.device.card(count, data, form=form)

    def _run(self) -> None:
        listening = select.poll()
        while True:
            with self._changed:
                if self._closed:
                    return
                now = time.monotonic()
                if self._replug_at is not None and now >= self._replug_at:
                    self.replug()
                if self._stuck is not None and now >= self._again_at:
                    self._again_at = now + _AGAIN_S
                    self._tell(raw_bits(self._stuck))
                master = self._master
                if master < 0 or not self._listened_to():
                    self._hear()
                    # A terminal that nobody has open is always ready: there is nothing to wait for but time.
                    self._changed.wait(0.02)
                    continue
            listening.register(master, select.POLLIN)
            listening.poll(20)
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
        for packet in self.device.receive(data):
            self._transmit(packet, _spoil)


def _spoil(packet: bytes) -> bytes:
    return packet[:-1] + bytes([packet[-1] ^ 0x01])
