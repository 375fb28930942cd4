"""What another process takes, by what the system says of it (proc(5))."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cpu_seconds", "resident_mb", "threads"]


def cpu_seconds(pid: int) -> float:
    """CPU seconds that a process has taken so far, in user and kernel, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Memory that is resident, in MB."""
    return _status(pid, "VmRSS") * 1024 / 1e6


def threads(pid: int) -> int:
    """Threads that there are."""
    return _status(pid, "Threads")


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])
