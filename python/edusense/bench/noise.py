"""What else the machine does while something is measured: steal, other programs' CPU, the disk; in figures.

Linux only, from /proc and /sys: proc_stat(5), proc_diskstats(5).
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["BUSY_CORES", "BUSY_DISK", "BUSY_STEAL", "Before", "Noise", "Sample", "watch"]

BUSY_CORES: Final = 0.25
"""CPU that other programs may take, in cores. A desktop's clock and shell take a hundredth."""
BUSY_STEAL: Final = 0.02
"""Share of the time that the hypervisor may take away."""
BUSY_DISK: Final = 0.2
"""Share of the time that the disk may be busy for others just before a run."""

_TICK: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Sample:
    """The machine's counters at one moment.

    Args:
        at_s: when, by the monotonic clock.
        work_s: CPU seconds of all processes so far, all processors; without interrupts, which belong to nobody.
        steal_s: CPU seconds taken away by the hypervisor.
        disk_s: seconds during which the disk had something to do; None where there is no such disk.
    """

    at_s: float
    work_s: float
    steal_s: float
    disk_s: float | None

    @classmethod
    def take(cls, disk: str | None = None) -> Sample:
        """Reads the counters.

        Args:
            disk: the kernel's name of the disk that matters: `sda`.
        """
        first = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0].split()[1:]
        user, nice, system, _, _, _, _, steal = (int(field) / _TICK for field in first[:8])
        return cls(time.monotonic(), user + nice + system, steal, _disk_seconds(disk) if disk else None)


def _disk_seconds(disk: str) -> float | None:
    try:
        fields = Path(f"/sys/class/block/{disk}/stat").read_text(encoding="ascii").split()
        return int(fields[9]) / 1000
    except (OSError, IndexError, ValueError):
        return None


@dataclass(frozen=True)
class Before:
    """What the machine did just before a run, while nothing of ours ran.

    Args:
        cores: CPU of other programs, in cores.
        disk: share of the time during which the disk was busy; None where that is not known.
        load: the system's load average of one minute.
        programs: names of those that took most.
    """

    cores: float
    disk: float | None
    load: float
    programs: tuple[str, ...] = ()

    @property
    def busy(self) -> bool:
        """Whether it was too busy to begin."""
        return self.cores > BUSY_CORES or (self.disk or 0.0) > BUSY_DISK


def watch(seconds: float, disk: str | None = None) -> Before:
    """Watches the machine while we do nothing.

    Args:
        seconds: how long; a tick is a hundredth of a second, so a quarter of a second tells to 0.04 cores.
        disk: as in `Sample.take`.
    """
    programs = _by_program()
    first = Sample.take(disk)
    time.sleep(seconds)
    last = Sample.take(disk)
    passed = last.at_s - first.at_s
    cores = (last.work_s - first.work_s) / passed
    disk_share = None
    if first.disk_s is not None and last.disk_s is not None:
        disk_share = round(min(1.0, (last.disk_s - first.disk_s) / passed), 4)
    took: dict[str, float] = {}
    if cores > BUSY_CORES:
        for pid, (name, ticks) in _by_program().items():
            spent = ticks - programs.get(pid, (name, 0))[1]
            took[name] = took.get(name, 0) + spent
    most = sorted((name for name in took if took[name] > 0), key=lambda name: -took[name])[:3]
    return Before(round(cores, 4), disk_share, round(os.getloadavg()[0], 2), tuple(most))


def _by_program() -> dict[int, tuple[str, int]]:
    """Name and CPU ticks of each process but ourselves: the program's name alone, arguments may hold anything."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        head, _, rest = text.rpartition(")")
        pid, _, name = head.partition(" (")
        fields = rest.split()
        if int(pid) != os.getpid() and len(fields) > 12:
            found[int(pid)] = (name, int(fields[11]) + int(fields[12]))
    return found


@dataclass(frozen=True)
class Noise:
    """What else the machine did during a run, and just before it.

    Args:
        others: CPU of other programs during the run, in cores.
        steal: share of all processors' time that the hypervisor took away.
        before: what it did just before the run.
    """

    others: float
    steal: float
    before: Before

    @classmethod
    def between(cls, first: Sample, last: Sample, own_s: float, before: Before) -> Noise:
        """From counters before and after a run.

        Args:
            first: before.
            last: after.
            own_s: CPU seconds that the run and the harness took themselves.
            before: what `watch` said.
        """
        seconds = max(last.at_s - first.at_s, 1e-6)
        others = max(0.0, last.work_s - first.work_s - own_s) / seconds
        steal = max(0.0, last.steal_s - first.steal_s) / seconds / (os.cpu_count() or 1)
        return cls(round(others, 4), round(steal, 5), before)

    def reasons(self) -> list[str]:
        """Why a run beside this noise is marked as one on a busy machine; empty where it was quiet.

        >>> Noise(0.02, 0.0, Before(0.01, 0.0, 0.3)).reasons()
        []
        >>> Noise(0.9, 0.05, Before(0.8, 0.0, 2.1, ("rustc",))).reasons()
        ['other programs took 0.90 cores (rustc)', 'the hypervisor took 5.0 % of the time']
        """
        found = []
        named = f" ({', '.join(self.before.programs)})" if self.before.programs else ""
        if self.others > BUSY_CORES:
            found.append(f"other programs took {self.others:.2f} cores{named}")
        elif self.before.cores > BUSY_CORES:
            found.append(f"other programs took {self.before.cores:.2f} cores just before{named}")
        if self.steal > BUSY_STEAL:
            found.append(f"the hypervisor took {100 * self.steal:.1f} % of the time")
        if (self.before.disk or 0.0) > BUSY_DISK:
            found.append(f"the disk was busy {100 * (self.before.disk or 0):.0f} % of the time just before")
        return found

    def to_json(self) -> dict[str, Any]:
        """The noise as it stands in a report, with the reasons."""
        return {**asdict(self), "busy": self.reasons()}
