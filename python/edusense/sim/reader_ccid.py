"""A virtual CCID reader like the ACR122U, on a Unix socket that the driver `ccid` opens as a USB bus."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from edusense.errors import CardError, UsageError
from edusense.sim.ccid_model import CcidModel
from edusense.sim.ccid_socket import CcidServer
from edusense.sim.reader_faults import KINDS
from edusense.sim.reader_serial import beside

if TYPE_CHECKING:
    from edusense.devices.card import Card

__all__ = ["VirtualCcid"]

_SECOND_S: Final = 0.3
"""Seconds after which the second of two cards is the one that the reader sees: it shows one at a time."""


class VirtualCcid:
    """A reader on a socket, alive until closed. Every method may be called from any thread.

    One card at a time lies in its field, as the ACR122U shows one.

    Args:
        socket_path: where the socket is; the same after replugging. Default: in a temporary folder.

    Raises:
        UsageError: at `socket_path` is something else already, or the path is longer than a socket's may be.
    """

    faults: Final = KINDS["ccid"]

    def __init__(self, socket_path: str | Path | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="edusense-reader-") if socket_path is None else None
        self.path = Path(self._folder.name) / "ccid" if self._folder else Path(socket_path or "")
        """The socket."""
        if self.path.exists() and not self.path.is_socket():
            raise UsageError(f"`{self.path}` exists and is no socket", hint="give another path for the virtual reader")
        if len(str(self.path).encode()) > 107:
            raise UsageError(
                f"`{self.path}` is too long for a socket's path", hint="the most is 107 bytes; use a shorter folder"
            )
        self.model = CcidModel()
        """What it is; hold `changed` while touching it."""
        self.changed = threading.Condition()
        self._server: CcidServer | None = None
        self._lift_at: float | None = None
        self._replug_at: float | None = None
        self._second: tuple[float, Card] | None = None
        self._two_cards = False
        self._closed = False
        self.replug()
        self._thread = threading.Thread(target=self._run, name="virtual-ccid-field", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """What `open_reader` takes."""
        return f"ccid:sim:{self.path}"

    def place(self, card: Card) -> None:
        """Lays a card down; it stays until `remove` or until another is laid there."""
        self._lay(card, None)

    def remove(self, card: Card | None = None) -> None:
        """Takes the card away.

        Args:
            card: only if it is this one.
        """
        with self.changed:
            if card is None or self.model.uid == card.uid:
                self._lift_at = None
                self.model.remove()
                self.changed.notify_all()

    def tap(self, card: Card, hold_s: float = 0.4) -> None:
        """Lays a card down for `hold_s` seconds; returns at once. A reader that is polled may miss less than 0.3 s."""
        self._lay(card, time.monotonic() + hold_s)

    def shown(self) -> list[bool]:
        """The verdicts that its light has shown, in order: True is green."""
        with self.changed:
            return [light == "green" for light, _ in self.model.lights]

    def fault(self, name: str) -> None:
        """Misbehaves once: with the next request it is about, or (`unplug`) for one second from now.

        Raises:
            UsageError: it has no such fault.
        """
        if name not in self.faults:
            raise UsageError(f"no fault `{name}`", hint=f"faults are {', '.join(self.faults)}")
        if name == "unplug":
            self.unplug()
            with self.changed:
                self._replug_at = time.monotonic() + 1.0
                self.changed.notify_all()
        elif name == "two-cards":
            with self.changed:
                self._two_cards = True
        else:
            with self.changed:
                self.model.fault(name)
                self.changed.notify_all()

    def unplug(self) -> None:
        """Pulls the plug: whoever has it open loses it."""
        with self.changed:
            server, self._server = self._server, None
            self._replug_at = None
        if server is not None:
            server.close()

    def replug(self) -> None:
        """Plugs it in again, at the same path."""
        with self.changed:
            self._replug_at = None
            if self._server is None and not self._closed:
                self.model.reset()
                self._server = CcidServer(self.model, self.changed, self.path)

    def close(self) -> None:
        """Unplugs it for good. Closing twice is harmless."""
        with self.changed:
            if self._closed:
                return
            self._closed = True
            self.changed.notify_all()
        self._thread.join()
        self.unplug()
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lay(self, card: Card, lift_at: float | None) -> None:
        if card.technology != "iso14443a":
            raise CardError(
                f"a 13.56 MHz reader like this does not see `{card}`",
                hint="give an ISO 14443-A card: 8, 14 or 20 digits",
            )
        with self.changed:
            self._lift_at = lift_at
            self._second = (time.monotonic() + _SECOND_S, beside(card)) if self._two_cards else None
            self._two_cards = False
            # A card laid on itself was never away.
            if self.model.uid != card.uid:
                self.model.place(card.uid, smart=card.product == "type-4-tag")
            self.changed.notify_all()

    def _run(self) -> None:
        """Takes cards away and plugs in again when it is time."""
        while True:
            with self.changed:
                if self._closed:
                    return
                now = time.monotonic()
                if self._lift_at is not None and now >= self._lift_at:
                    self._lift_at = None
                    self.model.remove()
                    self.changed.notify_all()
                if self._replug_at is not None and now >= self._replug_at:
                    self.replug()
                if self._second is not None and now >= self._second[0]:
                    if self.model.uid is not None:
                        self.model.place(self._second[1].uid)
                    self._second = None
                    self.changed.notify_all()
                due = [moment for moment in (self._lift_at, self._replug_at) if moment is not None]
                due += [self._second[0]] if self._second is not None else []
                self.changed.wait(max(0.0, min(due) - now) if due else None)
