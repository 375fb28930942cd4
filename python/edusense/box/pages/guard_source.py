"""Alerts as the guard's page sees them: open cases and the last closed ones, where each went, and how the line is."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import EdusenseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from edusense.alerts import Attachment, Case, Desk
    from edusense.site import Site

__all__ = ["GuardSource"]

_MOST_OPEN: Final = 60
_CLOSED: Final = 6
"""So many closed cases stay in sight: whoever pressed the wrong button sees what became of it."""


class GuardSource:
    """What the guard's page asks the box. May be used from several threads; waits for the database.

    Args:
        desk: the cases.
        site: the site file, as it is at each moment.
        outlets: the rows of the destinations, as `status` has them.
    """

    def __init__(
        self, desk: Desk, site: Callable[[], Site], outlets: Callable[[], Iterable[Mapping[str, Any]]]
    ) -> None:
        self._desk, self._site, self._outlets = desk, site, outlets
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []

    def changed(self) -> None:
        """Something is new; called by the box, from any thread."""
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls `listener` whenever something is new.

        Returns:
            What ends that.
        """
        with self._lock:
            self._listeners.append(listener)

        def stop() -> None:
            with self._lock:
                self._listeners.remove(listener)

        return stop

    def shown(self) -> dict[str, Any]:
        """All that the page shows."""
        cases = self._desk.cases(open_only=True, most=_MOST_OPEN)
        closed = [case for case in self._desk.cases(most=_MOST_OPEN) if not case.is_open][:_CLOSED]
        rooms = {room.id: room.name or room.id for room in self._site().rooms}
        return {
            "cases": [self._case(case, rooms) for case in [*sorted(cases, key=_first), *closed]],
            "open": self._desk.counts()["open"],
            "destinations": [
                {"id": row["id"], "state": row["state"], "since_s": row["since_s"], "waiting": row["waiting"]}
                for row in self._outlets()
            ],
            "silences": [silence.to_json() for silence in self._desk.silences()],
        }

    def file(self, case: str, part: str) -> Attachment | None:
        """A case's still or clip; None where there is none (any more)."""
        try:
            found = self._desk.outbox.attachment(self._desk.case(case).case, part)
        except EdusenseError:
            return None
        return found if found is not None and found.path.exists() else None

    def answer(self, case: str, answer: str, by: str, note: str | None) -> None:
        """Somebody at the page answers; it is on the disk on return.

        Raises:
            UsageError: no such answer, or nobody's name.
            CaseUnknownError: there is no such case.
            CaseClosedError: it takes no answers any more.
            AlertStorageError: the disk did not take it.
        """
        self._desk.answer(case, answer, by=by, via="page", note=note)

    def _case(self, case: Case, rooms: Mapping[str, str]) -> dict[str, Any]:
        told = case.to_json()
        row = {name: told[name] for name in _SHOWN}
        return row | {
            "room": rooms.get(case.room or "", case.room),
            "parts": sorted(case.attachments),
            "way": _way(self._desk.outbox.hops(case.case)),
        }


_SHOWN: Final = (
    "case", "number", "state", "severity", "finding", "camera", "zone", "start_s", "last_s", "clock_error_s", "count",
    "text", "test", "escalated", "answered_by", "answered_s", "seen_s", "taken_s", "closed_s",
)  # fmt: skip
_GRAVEST_FIRST: Final = {"extreme": 0, "severe": 1, "moderate": 2, "minor": 3}


def _first(case: Case) -> tuple[bool, int, int]:
    """What is to be looked at first: what nobody has answered, the gravest, the newest."""
    return (case.answered_s is not None, _GRAVEST_FIRST[case.severity], -case.number)


def _way(hops: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """How far the alert is at each destination: its first message, and what of it still waits."""
    way: dict[str, dict[str, Any]] = {}
    for hop in hops:
        told = way.setdefault(hop["destination"], {"state": "waiting", "at_s": None, "waiting": 0})
        if hop["part"] == "1":
            told["state"], told["at_s"] = hop["state"], hop["settled_s"]
        told["waiting"] += hop["state"] == "waiting"
    return way
