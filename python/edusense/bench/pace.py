"""How fast this processor is just now: a fixed piece of work, timed before and after each run.

A clock that was lowered, a neighbour on the same silicon or a hot chassis slow everything down alike; this says by how
much, without a counter that virtual machines do not have.
"""

from __future__ import annotations

import hashlib
import time
from typing import Final

__all__ = ["pace"]

_TURNS: Final = 9
_BLOCK: Final = bytes(range(256)) * 256


def pace() -> float:
    """Microseconds of CPU time for the piece of work: the least of several, some milliseconds each.

    >>> 10 < pace() < 1e6
    True
    """
    best = float("inf")
    for _ in range(_TURNS):
        began = time.thread_time_ns()
        digest = hashlib.sha256()
        total = 0
        for turn in range(16):
            digest.update(_BLOCK)
            total += sum(value * turn for value in range(600))
        best = min(best, (time.thread_time_ns() - began) / 1000)
    return best
