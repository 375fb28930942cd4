"""Ours and its peers by turns, in small blocks: whatever the machine does meets all of them alike."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["by_turns"]


def by_turns(
    works: Mapping[str, Callable[[], object]], *, blocks: int, repeat: int = 1
) -> dict[str, tuple[float, ...]]:
    """Microseconds of CPU time that each work takes, one value a block.

    Args:
        works: name and work; called once before anything is measured.
        blocks: how many blocks of each.
        repeat: how often a work is called in a block.

    >>> taken = by_turns({"sum": lambda: sum(range(100)), "max": lambda: max(range(100))}, blocks=3)
    >>> sorted(taken), len(taken["sum"])
    (['max', 'sum'], 3)
    """
    taken: dict[str, list[float]] = {name: [] for name in works}
    names = list(works)
    for work in works.values():
        work()
    for block in range(blocks):
        # None is always first; forwards and backwards in turn, none always comes after the same one.
        step = 1 if block % 2 else -1
        for place in range(len(names)):
            name = names[(block + step * place) % len(names)]
            work = works[name]
            began = time.thread_time_ns()
            for _ in range(repeat):
                work()
            taken[name].append((time.thread_time_ns() - began) / 1000 / repeat)
    return {name: tuple(values) for name, values in taken.items()}
