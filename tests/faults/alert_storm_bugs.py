"""Deliberate bugs of the way of an alert, one for each promise: the harness must find every one.

They are planted into a process of the storm, never into the product.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from edusense.alerts import outbox as outbox_module
from edusense.alerts.courier import Courier
from edusense.alerts.database import Database
from edusense.alerts.desk import Desk
from edusense.alerts.outbox import Outbox
from edusense.errors import AlertStorageError
from edusense.sim.ops_centre.store import CentreStore

__all__ = ["BUGS", "plant"]


def _settles_before_sending() -> None:
    """Written down as delivered before the centre has it."""
    bring = Courier._bring

    def wrong(self: Courier, destination: Any, item: Any, stopping: Any) -> None:
        with contextlib.suppress(AlertStorageError):
            self._desk.delivered(item)
        bring(self, destination, item, stopping)

    Courier._bring = wrong  # type: ignore[method-assign]


def _new_key_on_resend() -> None:
    """What is sent again is another message to the centre."""
    bring = Courier._bring

    def wrong(self: Courier, destination: Any, item: Any, stopping: Any) -> None:
        if item.message is not None and item.attempts:
            case = f"{item.message['case']}-{item.attempts}"
            key = f"{case}/{item.message['sequence']}"
            item = replace(item, message={**item.message, "case": case, "key": key})
        bring(self, destination, item, stopping)

    Courier._bring = wrong  # type: ignore[method-assign]


def _later_message_first() -> None:
    """A message does not wait for the one before it, and the newest goes first."""
    start, end = outbox_module._NEXT.index("  AND NOT EXISTS"), outbox_module._NEXT.index("ORDER BY")
    statement = outbox_module._NEXT[:start] + outbox_module._NEXT[end:]
    outbox_module._NEXT = statement.replace("o.severity DESC, o.id", "o.id DESC")  # type: ignore[misc]


def _oldest_first() -> None:
    """How grave a case is does not matter."""
    outbox_module._NEXT = outbox_module._NEXT.replace("o.severity DESC, ", "")  # type: ignore[misc]


def _outbox_outside_the_transaction() -> None:
    """The case is on the disk before what is to be sent of it."""
    put, durably = Outbox.put_message, Database.durably
    mine = threading.local()

    def later(self: Outbox, body: Mapping[str, Any], destinations: Iterable[str], **told: Any) -> None:
        mine.put = [*getattr(mine, "put", []), lambda: put(self, body, destinations, **told)]

    def wrong(self: Database, work: Callable[[], Any]) -> Any:
        mine.put = []
        done = durably(self, work)
        for one in mine.put:
            time.sleep(0.002)
            durably(self, one)
        return done

    Outbox.put_message, Database.durably = later, wrong  # type: ignore[method-assign]


def _answer_taken_twice() -> None:
    """Which answers were heard is not kept together with what they did."""
    hear = Desk.hear

    def wrong(self: Desk, destination: str, answers: Iterable[Any], cursor: str | None) -> None:
        self.database.durably(lambda: self.database.run("DELETE FROM answers"))
        hear(self, destination, answers, None)
        if random.random() < 0.5:  # the other times it dies before
            hear(self, destination, (), cursor)

    Desk.hear = wrong  # type: ignore[method-assign]


def _acknowledges_before_commit() -> None:
    """The centre says that it has a message which is on its disk a moment later."""
    take = CentreStore.take

    def wrong(self: CentreStore, message: Mapping[str, Any]) -> bool:
        threading.Timer(0.1, lambda: take(self, message)).start()
        return True

    CentreStore.take = wrong  # type: ignore[method-assign]


def _counts_resent_as_new() -> None:
    """The centre does not know a message by its key."""
    take = CentreStore.take

    def wrong(self: CentreStore, message: Mapping[str, Any]) -> bool:
        fresh = take(self, message)
        if not fresh:
            take(self, {**message, "key": f"{message['key']}/{time.monotonic_ns()}"})
        return fresh

    CentreStore.take = wrong  # type: ignore[method-assign]


def _appends_wherever() -> None:
    """The centre puts a piece behind what it has, wherever it belongs."""
    append = CentreStore.append

    def wrong(self: CentreStore, case: str, name: str, piece: bytes, *, offset: int, **told: Any) -> tuple[int, bool]:
        have = self.offset(case, name)
        if have is not None and offset != have[0]:
            path = self.folder / "files" / f"{case}.{name}"
            path.write_bytes(path.read_bytes() + piece)
            return have[0], have[0] == have[1]
        return append(self, case, name, piece, offset=offset, **told)

    CentreStore.append = wrong  # type: ignore[method-assign]


_PLANTED: dict[str, Callable[[], None]] = {
    "settles-before-sending": _settles_before_sending,
    "new-key-on-resend": _new_key_on_resend,
    "later-message-first": _later_message_first,
    "oldest-first": _oldest_first,
    "outbox-outside-the-transaction": _outbox_outside_the_transaction,
    "answer-taken-twice": _answer_taken_twice,
    "acknowledges-before-commit": _acknowledges_before_commit,
    "counts-resent-as-new": _counts_resent_as_new,
    "appends-wherever": _appends_wherever,
}
BUGS = (*_PLANTED, "promise-before-commit")
"""The last one stands in the process of the box itself: it is the harness that is promised something."""


def plant(bug: str | None) -> None:
    """Puts a bug into this process."""
    if bug in _PLANTED:
        _PLANTED[bug]()
