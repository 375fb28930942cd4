"""A terminal's lamps and sounder: what they do for green and for red, and that they never hold up a tap.

Green is one short tone, red two long ones: the cook hears which without looking. They are the same for every child,
whatever the meal is free for.
"""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING, Final

from edusense.errors import EdusenseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.devices.gpio import OutputLines
    from edusense.site import Light

__all__ = ["Lights"]

logger = logging.getLogger(__name__)

SHOWN_S: Final = 1.6
"""How long a lamp is on, in seconds."""

_SOUNDS: Final = {True: ((0.12, 0.0),), False: ((0.35, 0.15), (0.35, 0.0))}
"""Tones for green and for red: seconds on, seconds of silence behind it."""

AGAIN_S: Final = 10.0
"""Pause before lines are asked for again that could not be had, in seconds."""


class Lights:
    """The lamps and the sounder of one terminal. A thread of its own drives them.

    Args:
        light: the terminal's table in the site file.
        name: of the terminal, for log lines.
        open_lines: how the lines are had, for tests.
    """

    def __init__(self, light: Light, name: str, *, open_lines: Callable[[Light], OutputLines] | None = None) -> None:
        self.trouble: str | None = None
        """Why they are dark; None while they work."""
        self._light, self._name = light, name
        self._open = _open_lines if open_lines is None else open_lines
        self._wanted: queue.Queue[bool | None] = queue.Queue(8)
        self._fresh = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"lights {name}", daemon=True)
        self._thread.start()

    def show(self, granted: bool) -> None:
        """Shows green or red, now; what was shown before ends. Does not wait."""
        try:
            self._wanted.put_nowait(granted)
        except queue.Full:
            logger.warning("terminal=%s: lights: too many at once, one is left out", self._name)
        self._fresh.set()

    def close(self) -> None:
        """All dark, and the lines given back; calling it twice is harmless."""
        self._stopping.set()
        self._fresh.set()
        self._thread.join(3.0)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._open(self._light) as lines:
                    self.trouble = None
                    self._serve(lines)
            except EdusenseError as error:
                if self.trouble != str(error):
                    logger.error("terminal=%s: lights: %s", self._name, error)
                self.trouble = str(error)
                self._stopping.wait(AGAIN_S)

    def _serve(self, lines: OutputLines) -> None:
        light = self._light
        dark = {line: False for line in (light.green, light.red, light.sound) if line is not None}
        while not self._stopping.is_set():
            self._fresh.clear()
            granted = self._newest()
            if granted is None:
                self._fresh.wait()
                continue
            lamp = light.green if granted else light.red
            lines.set(dark | ({} if lamp is None else {lamp: True}))
            left = SHOWN_S
            for tone_s, silence_s in _SOUNDS[granted] if light.sound is not None else ():
                lines.set({light.sound: True})  # type: ignore[dict-item] # it is there, or there is no tone
                interrupted = self._fresh.wait(tone_s)
                lines.set({light.sound: False})  # type: ignore[dict-item]
                if interrupted or self._fresh.wait(silence_s):
                    left = 0.0
                    break
                left -= tone_s + silence_s
            self._fresh.wait(max(0.0, left))
            lines.set(dark)

    def _newest(self) -> bool | None:
        """The last thing that was wanted; two children within a blink are answered by the second one's light."""
        found = None
        while True:
            try:
                found = self._wanted.get_nowait()
            except queue.Empty:
                return found


def _open_lines(light: Light) -> OutputLines:
    from edusense.devices.gpio import OutputLines

    wanted = [line for line in (light.green, light.red, light.sound) if line is not None]
    return OutputLines(light.chip, wanted, active_low=light.active_low)
