"""Many cameras at once: a bounded number of visits, one deadline for all, and an end when somebody breaks off."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Progress = Callable[[int, int], None]

__all__ = ["VISIT_S", "WORKERS", "visit_all"]

WORKERS: Final = 32
"""Cameras visited at once; one call in flight for each."""
VISIT_S: Final = 60.0
"""Longest visit to one camera, in seconds."""

T = TypeVar("T")
R = TypeVar("R")


def visit_all(
    items: Iterable[T],
    work: Callable[[T, threading.Event], R],
    workers: int,
    progress: Progress | None = None,
    *,
    deadline_s: float | None = None,
    late: Callable[[T], R] | None = None,
    stop: threading.Event | None = None,
) -> Iterator[tuple[int, R]]:
    """Does `work` for every item, `workers` at once; yields index and result as they come.

    When it is broken off, or the deadline is over, what has not begun does not begin, and what has is told by the
    event.

    Args:
        items: what to work on.
        work: does it; is told by the event that it should come to an end.
        workers: how many at once.
        progress: called with how many are done and how many there are.
        deadline_s: for all of it together; what is not done by then gets `late`.
        late: what stands for an item that was not done in time.
        stop: set it, and what has not begun does not begin; `late` stands for it.
    """
    todo = list(items)
    stop = stop or threading.Event()
    end = None if deadline_s is None else time.monotonic() + deadline_s
    pool = ThreadPoolExecutor(max(1, min(workers, len(todo) or 1)), "edusense-fleet")
    running = {pool.submit(_unless(stop, work), item, stop): index for index, item in enumerate(todo)}
    count = 0
    try:
        left = set(running)
        while left:
            done, left = wait(left, None if end is None else max(0.0, end - time.monotonic()), "FIRST_COMPLETED")
            if not done and late is not None:
                break
            for future in done:
                result = future.result()
                count += 1
                if progress is not None:
                    progress(count, len(todo))
                index = running[future]
                yield index, (late(todo[index]) if isinstance(result, _NotBegun) and late is not None else result)
        if left and late is not None:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for future in sorted(left, key=lambda one: running[one]):
                count += 1
                if progress is not None:
                    progress(count, len(todo))
                yield running[future], late(todo[running[future]])
    except BaseException:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown(wait=False)


class _NotBegun:
    """What stands for an item whose turn never came."""


def _unless(stop: threading.Event, work: Callable[[T, threading.Event], R]) -> Callable[[T, threading.Event], R]:
    def run(item: T, told: threading.Event) -> R:
        if stop.is_set():
            return _NotBegun()  # type: ignore[return-value] # taken out again by `visit_all`
        return work(item, told)

    return run
