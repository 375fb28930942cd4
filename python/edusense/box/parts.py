"""A part of the box: a thread that is begun again when it fails, and that proves that it lives.

Whatever happens inside a part is the part's own: it is logged with its coordinates, stands in `status`, and the rest of
the box goes on.
"""

from __future__ import annotations

import abc
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from edusense.errors import EdusenseError

if TYPE_CHECKING:
    from edusense.box.log import EventLog

__all__ = ["Part"]

logger = logging.getLogger(__name__)


class Part(abc.ABC):
    """One supervised thread.

    Args:
        name: as it stands in log lines and `status`.
        log: where its failures are told.
        hung_s: a part whose last beat is older is held to hang, and systemd's watchdog is no longer fed.
        first_s: pause before the first new start; doubles to `limit_s`.
        limit_s: longest pause.
    """

    def __init__(
        self, name: str, log: EventLog, *, hung_s: float = 30.0, first_s: float = 0.5, limit_s: float = 30.0
    ) -> None:
        self.name = name
        self.log = log
        self.state = "starting"
        self.reason: str | None = None
        self.failures = 0
        self.stopping = threading.Event()
        self._hung_s, self._first_s, self._limit_s = hung_s, first_s, limit_s
        self._beat = time.monotonic()
        self._thread = threading.Thread(target=self._supervise, name=name, daemon=True)

    @abc.abstractmethod
    def run(self) -> None:
        """The part's work: returns soon after `stopping` is set, and calls `beat` at least every few seconds."""

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Asks it to end; `join` waits for that."""
        self.stopping.set()

    def join(self, timeout_s: float) -> bool:
        """Whether it has ended within the time."""
        if self._thread.ident is not None:
            self._thread.join(max(0.0, timeout_s))
        return not self._thread.is_alive()

    def beat(self) -> None:
        """Says that the part lives; the first beat of a run also ends its bad state."""
        self._beat = time.monotonic()
        if self.state != "running" and not self.stopping.is_set():
            if self.state == "failed":
                logger.info("%s: runs again", self.name)
                self.log.append("box", state="part-recovered", part=self.name)
            self.state, self.reason = "running", None

    @property
    def alive(self) -> bool:
        """Whether its thread is there and has beaten lately."""
        return self._thread.is_alive() and time.monotonic() - self._beat < self._hung_s

    def to_json(self) -> dict[str, Any]:
        """Its line in the row of the box."""
        return {"state": self.state, "reason": self.reason, "failures": self.failures}

    def _supervise(self) -> None:
        pause = self._first_s
        while not self.stopping.is_set():
            begun = time.monotonic()
            try:
                self.run()
            except Exception as error:  # noqa: BLE001 (whatever it is, the other parts go on)
                self._failed(error)
            if time.monotonic() - begun > 2 * self._limit_s:
                pause = self._first_s
            self._wait(pause)
            pause = min(2 * pause, self._limit_s)
        self.state = "stopped"

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        told = f"{error}" if isinstance(error, EdusenseError) else f"a bug: {type(error).__name__}: {error}"
        # The same failure every half a minute is said once; `status` shows that it goes on.
        if self.reason != told:
            logger.error("%s: %s", self.name, told, exc_info=None if isinstance(error, EdusenseError) else error)
            self.log.append("box", state="part-failed", part=self.name, reason=told)
        self.state, self.reason = "failed", told

    def _wait(self, pause_s: float) -> None:
        until = time.monotonic() + pause_s
        while (left := until - time.monotonic()) > 0 and not self.stopping.wait(min(left, 1.0)):
            # Waiting for the next try is life, too.
            self._beat = time.monotonic()
