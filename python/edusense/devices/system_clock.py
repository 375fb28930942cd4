"""What this machine knows of its own clock: whether something keeps it right, and whether it survives a power cut."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import NamedTuple

__all__ = ["KernelClock", "boot_id", "has_battery_clock", "kernel_clock", "service_says_synchronised", "synchronised"]


class KernelClock(NamedTuple):
    """What the kernel says of the clock."""

    synchronised: bool
    error_s: float
    """The largest error that it counts with."""


class _Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2), as far as it is read here."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("_rest", ctypes.c_byte * 256),
    )


def kernel_clock() -> KernelClock | None:
    """What the kernel says of the clock, or None; modes = 0 only reads, and needs no right (adjtimex(2))."""
    unsynchronised, time_error = 0x0040, 5
    state = _Timex()
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(state))
    except (OSError, AttributeError):
        return None
    if answer < 0:
        return None
    return KernelClock(answer != time_error and not state.status & unsynchronised, state.maxerror / 1e6)


def service_says_synchronised() -> bool:
    """Whether systemd-timesyncd has set the clock within the last day."""
    mark = Path("/run/systemd/timesync/synchronized")
    try:
        return time.time() - mark.stat().st_mtime < 86_400
    except OSError:
        return False


def synchronised() -> bool:
    """Whether something keeps this machine's clock right."""
    kernel = kernel_clock()
    return (kernel is not None and kernel.synchronised) or service_says_synchronised()


def has_battery_clock() -> bool:
    """Whether this machine has a clock that goes on without power; its battery may be empty all the same."""
    return any(Path("/sys/class/rtc").glob("rtc*"))


def boot_id() -> str | None:
    """What names this run of the machine, from power on to power off; None where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() or None
    except OSError:
        return None
