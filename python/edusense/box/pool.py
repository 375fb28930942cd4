"""A bounded pool of threads that never keeps the process alive.

`concurrent.futures.ThreadPoolExecutor` joins its threads when the interpreter ends, so one camera that does not answer
would hold up the box's clean stop for the whole of its deadline. These threads are daemons.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DaemonPool"]

T = TypeVar("T")


class DaemonPool(Executor):
    """Runs at most `threads` calls at a time; threads are begun as they are needed.

    Args:
        threads: the most threads.
        name: what they are called in a stack dump.

    >>> with DaemonPool(2, "example") as pool:
    ...     pool.submit(sum, [1, 2]).result(5)
    3
    """

    def __init__(self, threads: int, name: str) -> None:
        self._most = threads
        self._name = name
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)
        self._closed = False

    def submit(self, function: Callable[..., T], /, *arguments: Any, **keywords: Any) -> Future[T]:
        """As `concurrent.futures.Executor.submit`."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is closed")
            self._work.put((future, lambda: function(*arguments, **keywords)))
            if not self._idle.acquire(blocking=False) and len(self._threads) < self._most:
                thread = threading.Thread(target=self._serve, name=f"{self._name}-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the threads when they are free; with `wait`, returns when they have ended. Twice is harmless."""
        with self._lock:
            if not self._closed:
                self._closed = True
                if cancel_futures:
                    self._cancel_waiting()
                for _ in self._threads:
                    self._work.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _cancel_waiting(self) -> None:
        while True:
            try:
                item = self._work.get_nowait()
            except queue.Empty:
                return
            if item is not None:
                item[0].cancel()

    def _serve(self) -> None:
        while (item := self._work.get()) is not None:
            future, call = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # noqa: BLE001 (it is the caller's, whatever it is)
                    future.set_exception(error)
            # Neither may keep what it holds (a clip, an exception's frames) alive until the next piece of work.
            del item, future, call
            self._idle.release()
