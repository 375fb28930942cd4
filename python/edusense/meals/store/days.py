"""The calendar and the attendance of a roster's database: closed days, and how many children of a class came."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edusense.errors import UsageError
from edusense.meals.calendar import CLOSURE_REASONS, Calendar, Closure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edusense.meals.store.schema import Database

__all__ = ["Attendance", "Days", "StoredClosure"]


@dataclass(frozen=True)
class StoredClosure:
    """A closure with who entered it."""

    id: int
    closure: Closure
    made_at: float
    made_by: str

    def to_json(self) -> dict[str, Any]:
        """The closure as `edusense roster calendar --json` prints it."""
        return {"closure": self.id, **self.closure.to_json(), "made_by": self.made_by, "made_s": self.made_at}


@dataclass(frozen=True)
class Attendance:
    """How many children of a class came on a day."""

    day: datetime.date
    form: str
    present: int

    def to_json(self) -> dict[str, Any]:
        """The count as `edusense roster attendance --json` prints it."""
        return {"day": self.day.isoformat(), "class": self.form, "present": self.present}


class Days:
    """Closed days and attendance.

    Args:
        database: the roster's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def close(self, closure: Closure, *, by: str, at: float) -> StoredClosure:
        """Keeps that some days are closed.

        Args:
            closure: the days, and for whom.
            by: who says so.
            at: when, Unix seconds.

        Raises:
            UsageError: the last day is before the first, or the reason is not one of `CLOSURE_REASONS`.
        """
        if closure.last < closure.first:
            raise UsageError(
                f"from {closure.first} to {closure.last} there is no day", hint="the last one is not before"
            )
        if closure.reason not in CLOSURE_REASONS:
            raise UsageError(f"`{closure.reason}` is no reason", hint=f"one of {', '.join(CLOSURE_REASONS)}")
        number = self._database.write(
            "INSERT INTO closures (first, last, reason, classes, note, made_at, made_by) VALUES (?, ?, ?, ?, ?, ?, ?)",
            closure.first.isoformat(),
            closure.last.isoformat(),
            closure.reason,
            json.dumps(closure.forms, ensure_ascii=False),
            closure.note,
            at,
            by,
        )
        return StoredClosure(number, closure, at, by)

    def reopen(self, number: int, *, by: str, at: float) -> None:
        """Takes a closure back; it stays in the database with who took it back.

        Raises:
            UsageError: there is no such closure, or it was taken back before.
        """
        with self._database.transaction():
            row = self._database.row("SELECT reopened_by FROM closures WHERE id = ?", number)
            if row is None or row[0] is not None:
                raise UsageError(f"there is no closure {number}", hint="`edusense roster calendar` shows them")
            self._database.write("UPDATE closures SET reopened_at = ?, reopened_by = ? WHERE id = ?", at, by, number)

    def closures(self) -> tuple[StoredClosure, ...]:
        """All closures that hold, by their first day."""
        rows = self._database.rows(
            "SELECT id, first, last, reason, classes, note, made_at, made_by FROM closures "
            "WHERE reopened_at IS NULL ORDER BY first, id"
        )
        return tuple(
            StoredClosure(
                number,
                Closure(
                    datetime.date.fromisoformat(first),
                    datetime.date.fromisoformat(last),
                    reason,
                    tuple(json.loads(forms)),
                    note,
                ),
                at,
                by,
            )
            for number, first, last, reason, forms, note, at, by in rows
        )

    def calendar(self, days: str | None = None) -> Calendar:
        """The school's calendar.

        Args:
            days: the days of the week with meals, such as `mon-fri`; None: all.
        """
        return Calendar((stored.closure for stored in self.closures()), days=days)

    def attend(self, counts: Iterable[Attendance], *, by: str, at: float) -> None:
        """Keeps how many children of classes came; a later word replaces an earlier one.

        Args:
            counts: a count for each class and day.
            by: who says so.
            at: when, Unix seconds.
        """
        with self._database.transaction():
            self._database.write_many(
                "INSERT OR REPLACE INTO attendance VALUES (?, ?, ?, ?, ?)",
                [(count.day.isoformat(), count.form, count.present, at, by) for count in counts],
            )

    def attendance(self, first: datetime.date, last: datetime.date) -> dict[tuple[datetime.date, str], int]:
        """How many children came, by day and class.

        Args:
            first: first day.
            last: last day.
        """
        rows = self._database.rows(
            "SELECT day, class, present FROM attendance WHERE day BETWEEN ? AND ?", first.isoformat(), last.isoformat()
        )
        return {(datetime.date.fromisoformat(day), form): present for day, form, present in rows}
