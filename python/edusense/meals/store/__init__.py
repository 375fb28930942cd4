"""The roster's database: who may eat from when to when and who approved it, cards, calendar, operators, people.

`RosterStore` is one school's. Terminals do not ask it: they decide by the `Roster` of the day that it makes for them,
so that a tap waits for no database.
"""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edusense.errors import RosterError
from edusense.meals.roster import Roster
from edusense.meals.store.cards import CARD_CHANGES, CardChange, Cards
from edusense.meals.store.days import Attendance, Days, StoredClosure
from edusense.meals.store.lists import Listed, Lists, month_of
from edusense.meals.store.operators import REASON_CODES, Note, Operator, Operators
from edusense.meals.store.people import People, PhotoImport, read_photo
from edusense.meals.store.schema import Database

if TYPE_CHECKING:
    import datetime
    import os
    from collections.abc import Callable
    from types import TracebackType

    from edusense.meals.calendar import Calendar

__all__ = [
    "CARD_CHANGES",
    "REASON_CODES",
    "Attendance",
    "CardChange",
    "Listed",
    "Note",
    "Operator",
    "PhotoImport",
    "RosterBook",
    "RosterStore",
    "StoredClosure",
    "month_of",
    "read_photo",
]

STORE_NAME: Final = "roster.db"
"""Name of the database in the site's data folder."""

_SEEN: Final = "file-seen"


class RosterStore:
    """The roster's database of one school. Close it, or use it as a context manager.

    Args:
        path: the file; made where it is missing.
        read_only: do not write, and do not make it.
        clock: Unix seconds.

    Raises:
        RosterStorageError: it is damaged, no roster, or of a newer edusense; or the disk refuses.
        PermissionDeniedError: this user may not open it.

    >>> import datetime, pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder, RosterStore(pathlib.Path(folder, "roster.db")) as store:
    ...     october = month_of("2026-10")
    ...     listed = store.lists.propose(Roster(()), first=october[0], last=october[1], source="-", by="A", at=0.0)
    ...     _ = store.lists.take(listed.id, at=1.0, approved_by="the director")
    ...     store.book().on(datetime.date(2026, 11, 2)).over
    True
    """

    def __init__(
        self, path: str | os.PathLike[str], *, read_only: bool = False, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = Database(path, read_only=read_only)
        self.clock = clock
        self.path = Path(path)
        self.lists = Lists(self._database)
        self.cards = Cards(self._database)
        self.days = Days(self._database)
        self.operators = Operators(self._database)
        self.people = People(self._database)

    def close(self) -> None:
        """Lets go of the file; calling it twice is harmless."""
        self._database.close()

    def __enter__(self) -> RosterStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def book(self, days: str | None = None) -> RosterBook:
        """What terminals decide by, from now on.

        Args:
            days: the days of the week with meals, such as `mon-fri`; None: all.
        """
        return RosterBook(self, self.days.calendar(days))

    def changes(self) -> tuple[int, int]:
        """A value that differs when somebody has written to the database."""
        return self._database.changes()

    def take_file(
        self, path: Path, *, today: datetime.date, approval_required: bool = False, by: str = "the file itself"
    ) -> Listed | None:
        """Takes over the site's CSV file where it was written by hand since it was last looked at.

        Args:
            path: the file that `meals.roster` names.
            today: from this day on it is in force.
            approval_required: only propose it.
            by: who is noted for it.

        Returns:
            The list that was made of it; None where it has not changed.

        Raises:
            RosterError: it cannot be read, or a line is wrong; nothing of it is taken.
        """
        mark = _mark(path)
        if mark == self._database.meta(_SEEN):
            return None
        roster = Roster.load(path)
        with self._database.transaction():
            before = self.lists.in_force(today)
            listed = None
            if before is None or roster.version != self.lists.roster(before.id).version:
                last = None if before is None or before.last is None or before.last < today else before.last
                listed = self.lists.propose(
                    roster, first=today, last=last, source=path.name, by=by, at=float(self.clock())
                )
                if not approval_required:
                    listed = self.lists.take(listed.id, at=float(self.clock()))
            self._database.set_meta(_SEEN, mark)
        return listed

    def saw_file(self, path: Path) -> None:
        """Notes that the CSV file says what this database says: it was written from it."""
        self._database.set_meta(_SEEN, _mark(path))


class RosterBook:
    """The rosters of a school, by day; made again when the database has changed.

    Args:
        store: the database.
        calendar: the school's calendar.
    """

    def __init__(self, store: RosterStore, calendar: Calendar) -> None:
        self.calendar = calendar
        self._store = store
        self._lock = threading.Lock()
        self._days: dict[datetime.date, Roster | None] = {}

    def on(self, day: datetime.date) -> Roster | None:
        """Everybody as they are on a day; None where no list has begun by then.

        Args:
            day: the day.
        """
        with self._lock:
            if day not in self._days:
                while len(self._days) >= 3:  # yesterday's night slot, today, and a clock that steps
                    self._days.pop(next(iter(self._days)))
                self._days[day] = self._store.lists.roster_on(day)
            return self._days[day]


def _mark(path: Path) -> str:
    """What differs when a file says something else."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise RosterError(
            f"the roster `{path}` cannot be read: {error.strerror}",
            hint="is the name right? `edusense roster import FILE` puts a list where the site file names it",
        ) from None
