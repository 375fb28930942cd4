"""What it costs to start the command line, beside an empty interpreter."""

from __future__ import annotations

import os
import subprocess
import sys

from edusense.bench.figure import Figure

__all__ = ["measure"]


def measure(runs: int = 15) -> list[Figure]:
    """CPU time of `edusense --help` beside `python -c pass`, interleaved.

    Args:
        runs: how often each is started.
    """
    ours, peer = [], []
    for _ in range(runs):
        peer.append(_cpu_ms("-c", "pass"))
        ours.append(_cpu_ms("-m", "edusense", "--help"))
    return [
        Figure(
            what="edusense --help",
            unit="ms CPU",
            runs=tuple(ours),
            peer="python -c pass",
            peer_runs=tuple(peer),
            limit=5.0,
            more_is_better=False,
            id="help",
        )
    ]


def _cpu_ms(*arguments: str) -> float:
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return 1000 * (usage.ru_utime + usage.ru_stime)
