"""The motion case with a deliberate slowdown: each look takes a share longer, in CPU time of its own thread.

Beside `compare_proof.py`, whose runs import it: what a comparison must find.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import edusense.bench.motion as motion
from edusense.bench.case import Measured

SHARE = 0.10


def look(blocks: int = 40, repeat: int = 4, seed: int = 1) -> Measured:
    """As the case, a tenth slower."""
    real: Callable[[Any], Callable[[], object]] = motion._ours  # noqa: SLF001 - a change to its insides is what is played

    def slowed(pictures: Any) -> Callable[[], object]:
        work = real(pictures)

        def longer() -> None:
            began = time.thread_time_ns()
            work()
            until = began + (time.thread_time_ns() - began) * (1 + SHARE)
            while time.thread_time_ns() < until:
                pass

        return longer

    motion._ours = slowed  # noqa: SLF001
    try:
        return motion.look(blocks, repeat, seed)
    finally:
        motion._ours = real  # noqa: SLF001
