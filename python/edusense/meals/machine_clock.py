"""Whether this machine's clock can be believed, for a `MealClock`: what keeps it right, what it lost with the power.

A machine without a battery clock that was started again since its clock was last known to be right has lost the time,
until the network or a person sets it.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from edusense.devices.system_clock import boot_id, has_battery_clock, synchronised
from edusense.meals.clock import MealClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["MachineTrust", "machine_clock"]


class MachineTrust:
    """Says True (kept right), False (lost) or None (nothing is known), as `MealClock` asks.

    Args:
        state: file that keeps in which run of the machine the clock was last known to be right.
        kept_right: whether something keeps it right.
        battery: whether it goes on without power.
        boot: what names this run of the machine.
    """

    def __init__(
        self,
        state: Path,
        *,
        kept_right: Callable[[], bool] = synchronised,
        battery: bool | None = None,
        boot: str | None = None,
    ) -> None:
        self._state = state
        self._kept_right = kept_right
        self._battery = has_battery_clock() if battery is None else battery
        self._boot = boot_id() if boot is None else boot
        self._kept: str | None = None
        with contextlib.suppress(OSError):
            self._kept = state.read_text().strip()
        if self._kept is None:
            self.vouch()  # the first start: whoever installed it looked at the clock

    def __call__(self) -> bool | None:
        """What is known of the clock at this moment."""
        if self._kept_right():
            if self._kept != self._boot:
                self.vouch()
            return True
        if self._battery or self._boot is None or self._kept == self._boot:
            return None
        return False

    def vouch(self) -> None:
        """Notes that the clock is right in this run of the machine."""
        self._kept = self._boot
        if self._boot is None:
            return
        making = self._state.with_name(f".{self._state.name}.new")
        # Where the disk refuses, the worst is that somebody is asked for the date after the next power cut.
        with contextlib.suppress(OSError):
            self._state.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            making.write_text(f"{self._boot}\n")
            making.replace(self._state)


def machine_clock(folder: Path) -> MealClock:
    """The clock of this machine's terminals.

    Args:
        folder: the site's data folder.
    """
    return MealClock(time.time, _since_boot, trusted=MachineTrust(folder / "clock-known"))


def _since_boot() -> float:
    """Monotonic seconds that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
