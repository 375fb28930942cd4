"""A virtual reader in the foreground: its script, cards typed at it, and a clean end on SIGTERM or Ctrl-C."""

from __future__ import annotations

import os
import select
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

from edusense.devices.card import Card
from edusense.errors import EdusenseError
from edusense.sim.reader_faults import LASTING
from edusense.sim.reader_script import play

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edusense.sim.reader_script import Step, VirtualReader

__all__ = ["Misbehaving", "serve"]

_AT_ONCE: Final = frozenset({"unplug", "silence", "reset"})
_LOOK_S: Final = 0.1


class Misbehaving:
    """A virtual reader that shows the same faults at every tap.

    Args:
        reader: the reader.
        always: the faults; those that happen at once (`unplug`, `silence`, `reset`) come half a second after the card.
    """

    def __init__(self, reader: VirtualReader, always: Sequence[str]) -> None:
        self.faults = reader.faults
        self._reader = reader
        self._always = tuple(always)
        self._began = False

    def tap(self, card: Card, hold_s: float = 0.2) -> None:
        """Lays a card down, with the faults."""
        later = [name for name in self._always if name in _AT_ONCE]
        for name in self._always:
            if name in later or (name in LASTING and self._began):
                continue
            self._reader.fault(name)
        self._began = True
        self._reader.tap(card, hold_s)
        for name in later:
            threading.Timer(0.5, self._reader.fault, (name,)).start()

    def shown(self) -> list[bool]:
        """The verdicts that it has shown, where it can show any."""
        shown = getattr(self._reader, "shown", None)
        return [] if shown is None else list(shown())

    def fault(self, name: str) -> None:
        """Misbehaves once."""
        self._reader.fault(name)


def serve(
    reader: VirtualReader, steps: Sequence[Step], *, say: Callable[[str], Any], typed: int | None, stay: bool = True
) -> None:
    """Lets a virtual reader live until SIGTERM or Ctrl-C.

    Args:
        reader: the reader; its owner closes it.
        steps: what it does by itself.
        say: tells the person what happened with what was typed.
        typed: a file descriptor from which cards and faults are read, one a line; None for none.
        stay: whether to stay when the script is over.
    """
    stop = threading.Event()
    previous = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    wake_in, wake_out = os.pipe()
    os.set_blocking(wake_out, False)
    # Without this, `select` below would begin again after a signal and never look at `stop`.
    before = signal.set_wakeup_fd(wake_out, warn_on_full_buffer=False)

    def script() -> None:
        if play(reader, steps, stop) and not stay:
            stop.set()
            os.write(wake_out, b"!")

    def lights() -> None:
        seen = 0
        while not stop.wait(_LOOK_S):
            shown: list[bool] = getattr(reader, "shown", list)()
            for granted in shown[seen:]:
                say("light green" if granted else "light red")
            seen = len(shown)

    player = threading.Thread(target=script, name="virtual-reader-script", daemon=True)
    player.start()
    threading.Thread(target=lights, name="virtual-reader-lights", daemon=True).start()
    try:
        _listen(reader, stop, wake_in, typed, say)
    finally:
        stop.set()
        player.join()
        signal.set_wakeup_fd(before)
        for number, handler in previous.items():
            signal.signal(number, handler)
        os.close(wake_in)
        os.close(wake_out)


def _listen(
    reader: VirtualReader, stop: threading.Event, wake: int, typed: int | None, say: Callable[[str], Any]
) -> None:
    pending = b""
    while not stop.is_set():
        ready, _, _ = select.select([wake] if typed is None else [wake, typed], [], [])
        if wake in ready:
            os.read(wake, 64)
        if typed is not None and typed in ready:
            data = os.read(typed, 4096)
            if not data:
                typed = None
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                _do(reader, line.decode(errors="replace").strip(), say)


def _do(reader: VirtualReader, line: str, say: Callable[[str], Any]) -> None:
    if not line:
        return
    try:
        if line in reader.faults:
            reader.fault(line)
            say(f"fault {line}")
        else:
            reader.tap(Card.parse(line))
            say(f"tap {line}")
    except EdusenseError as error:
        say(f"{error}; {error.hint}" if error.hint else str(error))
