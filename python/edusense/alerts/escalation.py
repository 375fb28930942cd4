"""Escalation: a grave case that nobody has answered in time becomes graver, and more people are told."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.alerts.case import Case
    from edusense.alerts.database import Database

__all__ = ["MOST", "Escalation", "escalates_after_s"]

AFTER_S: Final = 300.0
"""A severe case waits so long for an answer where its zone says nothing."""
MOST: Final = 3
"""A case escalates at most so often, each time after twice as long: who has not answered then will not be found so."""
LONGEST_S: Final = 86_400.0


def escalates_after_s(case: Case, zone: Any | None) -> float | None:
    """How long a case waits for an answer before it escalates the next time, in seconds; None where it does not.

    Args:
        case: the case.
        zone: its zone of the site file, where it has one.
    """
    if case.test or not case.is_open or case.answered_s is not None or case.escalated >= MOST:
        return None
    given = None if zone is None else zone.escalate_s
    if given is None:
        given = AFTER_S if case.severity in ("severe", "extreme") else 0.0
    return float(given) * 2**case.escalated if given > 0 else None


class Escalation:
    """When which case is due. In a run of the box the clock that never jumps counts; the database keeps Unix time.

    Args:
        database: where the cases are.
        clock: Unix seconds.
        monotonic: seconds that never jump.
    """

    def __init__(self, database: Database, clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._database, self._clock, self._monotonic = database, clock, monotonic
        self._lock = threading.Lock()
        now_s, now = clock(), monotonic()
        self._due = {
            # A clock that jumped while the box was off must neither fire all nor put all off for years.
            row["id"]: now + min(max(0.0, row["due_s"] - now_s), LONGEST_S)
            for row in database.rows("SELECT id, due_s FROM cases WHERE open AND due_s IS NOT NULL")
        }

    def keep(self, case: str, after_s: float | None) -> None:
        """Writes down when a case is due; inside `Database.durably`."""
        due_s = None if after_s is None else self._clock() + after_s
        self._database.run("UPDATE cases SET due_s = ? WHERE id = ?", (due_s, case))

    def set(self, case: str, after_s: float | None) -> None:
        """Begins to wait, or waits no more; when it is on the disk."""
        with self._lock:
            if after_s is None:
                self._due.pop(case, None)
            else:
                self._due[case] = self._monotonic() + after_s

    def due(self) -> list[str]:
        """The cases whose time has come."""
        with self._lock:
            if not self._due:
                return []
            now = self._monotonic()
            return [case for case, at in self._due.items() if at <= now]
