"""The courier of one destination: takes from its queue, delivers, and says what became of it.

Several lanes work at once, so that a clip delays no alert, and waiting for answers delays neither. They share what is
known of the destination's health: when one finds it dead, all wait, and one tries it again.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from edusense.alerts.outbox import CLIP, MESSAGE, STILL
from edusense.errors import (
    AlertStorageError,
    DestinationRefusedError,
    DestinationUnavailableError,
    EdusenseError,
    MessageRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edusense.alerts.desk import Desk
    from edusense.alerts.destination import Destination
    from edusense.alerts.outbox import Attachment, Item

__all__ = ["Courier", "Health"]

logger = logging.getLogger(__name__)

FIRST_S: Final = 1.0
LIMIT_S: Final = 60.0
REFUSED_S: Final = 30.0
"""First pause after a refusal: somebody has to mend something, which takes longer than a cable."""
REFUSED_LIMIT_S: Final = 300.0
LOOK_S: Final = 30.0
"""The outbox is looked at so often also where nobody said that something new is in it."""
LISTEN_S: Final = 25.0
"""How long a question for answers may wait at the destination: proxies cut what is silent for longer."""
BEAT_S: Final = 1.0
MOST_FAILURES: Final = 10
"""A message on which a driver has failed so often is set aside."""


@dataclass
class Health:
    """How it is with a destination.

    Attributes:
        state: `starting`, `working`, `unavailable` or `refused`.
        reason: why it does not work.
        since_s: since when it is so, Unix seconds.
        delivered: messages delivered since the start; `attachments` likewise.
        failures: attempts in a row that came to nothing.
        last_s: when something was delivered last, Unix seconds.
    """

    state: str = "starting"
    reason: str | None = None
    hint: str | None = None
    since_s: float = 0.0
    delivered: int = 0
    attachments: int = 0
    failures: int = 0
    last_s: float | None = None
    due: float = 0.0
    """Monotonic seconds before which it is left alone."""
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def to_json(self) -> dict[str, Any]:
        """What `status` shows."""
        return {
            "state": self.state,
            "reason": self.reason,
            "hint": self.hint,
            "since_s": round(self.since_s, 3),
            "delivered": self.delivered,
            "attachments": self.attachments,
            "failures": self.failures,
            "last_s": self.last_s,
        }


class Courier:
    """Brings what waits for one destination there.

    Args:
        name: the destination's id.
        desk: where what became of it is written down.
        make: makes an object of the destination; called once for each lane, with the rank of what it carries.
        heartbeat: makes the message of the box's state.
        clock: Unix seconds.
        changed: called when its health has changed, with the row for the event log.
    """

    def __init__(
        self,
        name: str,
        desk: Desk,
        make: Callable[[int], Destination],
        *,
        heartbeat: Callable[[str], Mapping[str, Any]] | None = None,
        heartbeat_s: float = 60.0,
        clock: Callable[[], float] = time.time,
        changed: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.health = Health(since_s=clock())
        self._desk, self._make, self._clock = desk, make, clock
        self._heartbeat, self._heartbeat_s = heartbeat, heartbeat_s
        self._changed = changed
        self._turn = threading.Condition()
        self._busy: set[tuple[str, bool]] = set()
        self._news = 0
        self._probing = False
        self._alive: set[Destination] = set()

    def wake(self) -> None:
        """Something new waits in the outbox."""
        with self._turn:
            self._news += 1
            self._turn.notify_all()

    def interrupt(self) -> None:
        """The box stops: what waits for an answer is ended."""
        with self._turn:
            alive = list(self._alive)
            self._turn.notify_all()
        for destination in alive:
            destination.interrupt()

    # The lanes; each runs in a thread of its own until `stopping` is set.

    def deliver(self, stopping: threading.Event, beat: Callable[[], None]) -> None:
        """Messages and stills."""
        self._carry(stopping, beat, STILL)

    def deliver_clips(self, stopping: threading.Event, beat: Callable[[], None]) -> None:
        """Clips."""
        self._carry(stopping, beat, CLIP, only=CLIP)

    def listen(self, stopping: threading.Event, beat: Callable[[], None]) -> None:
        """Answers."""
        with _Open(self, MESSAGE) as destination:
            while not stopping.is_set():
                beat()
                if not self._may_try():
                    continue
                # A first word after trouble is not waited for: whether it works is known the sooner.
                wait_s = 0.0 if self.health.failures else LISTEN_S
                try:
                    heard = destination.answers(self._desk.cursor(self.name), wait_s)
                    # Before it is written down: a disk that is full is not the destination's fault.
                    self._worked()
                    self._desk.hear(self.name, heard.given, heard.cursor)
                except AlertStorageError as error:
                    # The cursor stays where it was, so they are heard again.
                    self._not_kept(error, stopping)
                except EdusenseError as error:
                    self._failed(error, stopping)
                except Exception as error:
                    logger.exception("alerts: destination=%s: its answers cannot be heard", self.name)
                    told = f"its answers cannot be heard: {type(error).__name__}: {error}"
                    self._failed(DestinationUnavailableError(told), stopping)
                else:
                    if not heard.given and wait_s:
                        # A centre that answers at once, having nothing to say, must not make this a busy loop.
                        stopping.wait(0.2)

    def pulse(self, stopping: threading.Event, beat: Callable[[], None]) -> None:
        """Heartbeats: sent when due, whatever else waits; one that does not arrive is not sent again."""
        assert self._heartbeat is not None
        with _Open(self, MESSAGE) as destination:
            due, refused = time.monotonic(), ""
            while not stopping.is_set():
                beat()
                if time.monotonic() < due:
                    stopping.wait(min(BEAT_S, due - time.monotonic()))
                    continue
                due = time.monotonic() + self._heartbeat_s
                try:
                    destination.heartbeat(self._heartbeat(self.name))
                except DestinationUnavailableError as error:
                    self._failed(error, stopping)
                except EdusenseError as error:
                    # Who wants no heartbeats may well take alerts: they must not wait for somebody to mend this.
                    if refused != str(error):
                        refused = str(error)
                        logger.warning("alerts: destination=%s: its heartbeat is refused: %s", self.name, error)
                else:
                    refused = ""
                    self._worked()

    def _carry(self, stopping: threading.Event, beat: Callable[[], None], most: int, only: int | None = None) -> None:
        with _Open(self, MESSAGE if only is None else only) as destination:
            while not stopping.is_set():
                beat()
                if not self._may_try():
                    continue
                seen = self._news
                item = self._claim(most, only)
                if item is None:
                    self._rest(stopping, beat, seen)
                    continue
                try:
                    self._bring(destination, item, stopping, beat)
                finally:
                    self._release(item)

    def _rest(self, stopping: threading.Event, beat: Callable[[], None], seen: int) -> None:
        """Waits until something new may be there: the database is not asked while nothing happens."""
        until = time.monotonic() + LOOK_S
        with self._turn:
            while self._news == seen and not stopping.is_set() and time.monotonic() < until:
                self._turn.wait(BEAT_S)
                beat()

    def _claim(self, most: int, only: int | None) -> Item | None:
        with self._turn:
            item = self._desk.outbox.next(self.name, most_rank=most, least_rank=only or MESSAGE, busy=self._busy)
            if item is not None:
                self._busy.add((item.stream, item.rank == MESSAGE))
            else:
                self._probing = False
            return item

    def _release(self, item: Item) -> None:
        with self._turn:
            self._busy.discard((item.stream, item.rank == MESSAGE))
            self._probing = False
            self._news += 1
            self._turn.notify_all()

    def _bring(self, destination: Destination, item: Item, stopping: threading.Event, beat: Callable[[], None]) -> None:
        try:
            if item.message is not None:
                destination.send(item.message, self._still(destination, item, stopping, beat))
            elif item.attachment is not None and item.attachment.name in destination.ATTACHMENTS:
                destination.attach(item.attachment, stopping)
            # Counted before it is written down: a disk that is full is not the destination's fault.
            self._worked(item)
            self._desk.delivered(item)
        except MessageRefusedError as error:
            self._worked()
            self._set_aside(item, str(error), stopping)
        except AlertStorageError as error:
            # It has arrived; it will be sent again, and is known there by its key.
            self._not_kept(error, stopping)
        except EdusenseError as error:
            self._failed(error, stopping, item)
        except Exception as error:
            logger.exception("alerts: destination=%s: its driver failed", self.name)
            told = f"its driver failed: {type(error).__name__}: {error}"
            if item.attempts >= MOST_FAILURES:
                # One message that makes a driver fail must not hold up all others.
                self._set_aside(item, told, stopping)
            self._failed(DestinationUnavailableError(told), stopping, item)

    def _still(
        self, destination: Destination, item: Item, stopping: threading.Event, beat: Callable[[], None]
    ) -> Attachment | None:
        """The still that an alert must carry with it, if there is one by the time that it may wait for it."""
        if destination.STILL_WITHIN_S <= 0 or item.message is None or item.message["type"] != "alert":
            return None
        until = time.monotonic() + destination.STILL_WITHIN_S - max(0.0, self._clock() - item.created_s)
        while (still := self._desk.outbox.attachment(item.stream, "still")) is None:
            beat()
            left = until - time.monotonic()
            if left <= 0 or stopping.wait(min(0.1, left)):
                return None
        return still

    def _set_aside(self, item: Item, reason: str, stopping: threading.Event) -> None:
        try:
            self._desk.refused(item, reason)
        except AlertStorageError as error:
            self._not_kept(error, stopping)

    def _not_kept(self, error: AlertStorageError, stopping: threading.Event) -> None:
        """The box's own disk did not take what became of something: it is done once more."""
        logger.error("alerts: destination=%s: %s", self.name, error)
        with self._turn:
            self._probing = False
        stopping.wait(FIRST_S)

    # What is known of the destination.

    def _may_try(self) -> bool:
        """Whether the destination may be asked now; of several lanes one tries first after trouble."""
        left = self.health.due - time.monotonic()
        with self._turn:
            if left > 0:
                self._turn.wait(min(left, BEAT_S))
                return False
            if self.health.failures and self._probing:
                self._turn.wait(BEAT_S)
                return False
            self._probing = self.health.failures > 0
            return True

    def _worked(self, item: Item | None = None) -> None:
        health = self.health
        with health.lock:
            before = health.state
            health.state, health.reason, health.hint, health.failures, health.due = "working", None, None, 0, 0.0
            if before != "working":
                health.since_s = self._clock()
            if item is not None:
                health.delivered += item.attachment is None
                health.attachments += item.attachment is not None
                health.last_s = round(self._clock(), 3)
        with self._turn:
            self._probing = False
            if before != "working":
                self._turn.notify_all()
        if before != "working":
            self._tell(before)

    def _failed(self, error: EdusenseError, stopping: threading.Event, item: Item | None = None) -> None:
        if stopping.is_set():
            return
        health = self.health
        refused = isinstance(error, DestinationRefusedError) or not isinstance(error, DestinationUnavailableError)
        with health.lock:
            before, reason = health.state, health.reason
            health.failures += 1
            first, most = (REFUSED_S, REFUSED_LIMIT_S) if refused else (FIRST_S, LIMIT_S)
            pause = min(most, first * 2 ** min(health.failures - 1, 10)) * random.uniform(0.75, 1.0)
            asked = getattr(error, "retry_after_s", None)
            if asked is not None:
                pause = max(asked, FIRST_S)
            health.due = max(health.due, time.monotonic() + pause)
            health.state, health.reason, health.hint = "refused" if refused else "unavailable", str(error), error.hint
            if before != health.state:
                health.since_s = self._clock()
            same = before == health.state and reason == health.reason
        if item is not None:
            try:
                self._desk.outbox.tried(item)
            except AlertStorageError:
                logger.debug("alerts: destination=%s: an attempt was not counted: the disk is full", self.name)
        with self._turn:
            self._probing = False
        if not same:
            self._tell(before)

    def _tell(self, before: str) -> None:
        health = self.health
        level = logging.INFO if health.state == "working" else logging.WARNING
        because = f": {health.reason}" if health.reason else ""
        logger.log(level, "alerts: destination=%s: %s%s", self.name, health.state, because)
        if before != health.state:
            self._changed({"destination": self.name, "state": health.state, "reason": health.reason})

    def open(self, rank: int) -> Destination:
        """An object of the destination for one lane."""
        made = self._make(rank)
        with self._turn:
            self._alive.add(made)
        return made

    def shut(self, destination: Destination) -> None:
        """Lets go of one."""
        with self._turn:
            self._alive.discard(destination)
        destination.close()


class _Open:
    """A lane's own object of the destination."""

    def __init__(self, courier: Courier, rank: int) -> None:
        self._courier, self._rank = courier, rank

    def __enter__(self) -> Destination:
        self._destination = self._courier.open(self._rank)
        return self._destination

    def __exit__(self, *_: object) -> None:
        self._courier.shut(self._destination)
