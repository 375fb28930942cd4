"""What all terminals of a school share: the ledger, opened once, the roster, read again when it changes, and the clock.

None of them has to be well for the box to run. While the ledger cannot be opened for writing, every tap is answered
red, `cannot-record`, with the reason; it is tried again, because a disk comes back or a lock is let go.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from edusense.errors import EdusenseError, LedgerError, LedgerStorageError, RosterStorageError

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable
    from pathlib import Path

    from edusense.meals import Ledger, MealClock, RosterBook, RosterStore
    from edusense.meals.by_hand import ByHand
    from edusense.meals.presence import Presence
    from edusense.site import Site

__all__ = ["Canteen"]

logger = logging.getLogger(__name__)

FIRST_S = 2.0
"""Pause before the ledger is tried again, in seconds; doubles, because opening reads all of it."""

LIMIT_S = 60.0
"""Longest pause between two tries."""


class Canteen:
    """Ledger and roster of one school.

    Args:
        site: the site file.
        clock: monotonic seconds.
        meal_clock: the clock of the terminals; None for this machine's.
    """

    def __init__(
        self, site: Site, *, clock: Callable[[], float] = time.monotonic, meal_clock: MealClock | None = None
    ) -> None:
        self.folder: Path = site.data_folder() / "ledger"
        self._site = site
        self._clock = clock
        self._meal_clock = meal_clock
        self._lock = threading.RLock()
        self._ledger: Ledger | None = None
        self._ledger_error: EdusenseError | None = None
        self._ledger_due = 0.0
        self._ledger_pause = FIRST_S
        self._store: RosterStore | None = None
        self._book: RosterBook | None = None
        self._roster_error: EdusenseError | None = None
        self._roster_due = 0.0
        self._roster_mark: object = None
        self._presence: tuple[Ledger, Presence] | None = None
        self._told: int | None = None
        self._waiting = 0
        self._closed = False

    def update(self, site: Site) -> None:
        """Takes a site file that was read again; the ledger stays where it is."""
        with self._lock:
            self._site = site
            self._book = None
            self._roster_mark = None

    @property
    def clock(self) -> MealClock:
        """The clock of all terminals."""
        with self._lock:
            if self._meal_clock is None:
                from edusense.meals.machine_clock import machine_clock

                self._meal_clock = machine_clock(self._site.data_folder())
            return self._meal_clock

    def ledger(self) -> Ledger:
        """The ledger, open for writing.

        Raises:
            EdusenseError: why it is not; it is tried again after a pause.
        """
        with self._lock:
            if self._ledger is not None:
                return self._ledger
            if self._ledger_error is not None and self._clock() < self._ledger_due:
                raise self._ledger_error
            if self._closed:
                raise LedgerError("the box is stopping")
            try:
                from edusense.meals import Ledger

                self.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
                self._hear()
                self._ledger = Ledger.open(
                    self.folder, school=self._site.site.number, clock=lambda: self.clock.now().time
                )
            except (EdusenseError, OSError) as error:
                told = error if isinstance(error, EdusenseError) else LedgerStorageError(f"`{self.folder}`: {error}")
                if str(self._ledger_error) != str(told):
                    logger.error("ledger: cannot be opened for writing: %s; every tap is refused", told)
                self._ledger_error = told
                self._ledger_due = self._clock() + self._ledger_pause
                self._ledger_pause = min(2 * self._ledger_pause, LIMIT_S)
                raise told from error
            if self._ledger_error is not None:
                logger.info("ledger: open for writing again")
            if (torn := self._ledger.recovered) is not None:
                logger.warning(
                    "ledger: a write that was cut off in %s at byte %d was removed", torn.segment, torn.offset
                )
            self._ledger_error = None
            self._ledger_pause = FIRST_S
            return self._ledger

    def presence(self) -> Presence:
        """Who went through which door last, of all entrance terminals.

        Raises:
            EdusenseError: the ledger is not open.
        """
        with self._lock:
            ledger = self.ledger()
            if self._presence is None or self._presence[0] is not ledger:
                from edusense.meals.presence import Presence
                from edusense.meals.terminal import time_zone

                zone = time_zone(self._site.site.timezone)
                self._presence = (ledger, Presence.of(ledger, zone, self.clock.now().time))
            return self._presence[1]

    def store(self) -> RosterStore:
        """The roster's database.

        Raises:
            EdusenseError: it cannot be opened.
        """
        with self._lock:
            if self._store is None:
                from edusense.meals.of_site import open_store

                self._store = open_store(self._site)
            return self._store

    def by_hand(self) -> ByHand:
        """What may be done by hand; raises as `store`."""
        from edusense.meals.of_site import by_hand

        return by_hand(self._site, self.store(), self.clock)

    def doubt(self) -> None:
        """A tap could not be recorded. Where the disk failed to confirm a write, what is on it has to be found anew."""
        with self._lock:
            if self._ledger is not None and (broken := self._ledger.broken) is not None:
                logger.error("ledger: broken: %s; it is opened anew", broken)
                self._let_go()
                self._ledger_pause, self._ledger_due = FIRST_S, 0.0

    def roster(self) -> RosterBook | None:
        """Who may eat; None for a school without `[meals]`.

        A list that has become wrong leaves the last good one in force.

        Raises:
            EdusenseError: there never was a good one.
        """
        with self._lock:
            path = self._site.roster_path()
            if path is None:
                return None
            mark = self._mark(path)
            fresh = mark == self._roster_mark and (self._roster_error is None or self._clock() < self._roster_due)
            if not fresh:
                self._read_roster(path)
            if self._book is None:
                assert self._roster_error is not None
                raise self._roster_error
            return self._book

    def look(self) -> None:
        """Opens what is not open yet and reads what has changed, so that it need not be done while a child waits.

        The marks that lights were on, which waited for the next meal's write, go to the disk: whoever reads the ledger
        beside the box sees them, and a power cut between two rushes loses none.
        """
        try:
            self.ledger().sync()
        except EdusenseError:
            self.doubt()
        with contextlib.suppress(EdusenseError):
            if (book := self.roster()) is not None:
                book.on(self._today())

    @property
    def trouble(self) -> EdusenseError | None:
        """Why no tap can be recorded at the moment; never waits."""
        if self._ledger_error is not None:
            return self._ledger_error
        return self._roster_error if self._book is None else None

    def state(self) -> dict[str, Any]:
        """The row of the ledger for `status`."""
        with self._lock:
            row: dict[str, Any] = {"kind": "ledger", "path": str(self.folder), "state": "open", "reason": None}
            ledger, error = self._ledger, self._ledger_error
            row["roster"] = None if self._roster_error is None else str(self._roster_error)
        if ledger is not None:
            with contextlib.suppress(EdusenseError):
                row |= ledger.stats()
        elif error is not None:
            row |= {"state": "cannot-record", "reason": str(error), "hint": error.hint}
        else:
            row["state"] = "closed"
        return {"records": 0, "synced": 0, "segments": 0} | row

    def close(self) -> None:
        """Writes the ledger through and closes it; calling it twice is harmless."""
        with self._lock:
            self._closed = True
            self._let_go()
            self._forget_store()

    def _let_go(self) -> None:
        if self._ledger is not None:
            try:
                self._ledger.close()
            except EdusenseError as error:
                logger.error("ledger: closing: %s", error)
            self._ledger = None
            self._presence = None

    def _hear(self) -> None:
        """Tells the clock when the last record was written: it is not earlier now."""
        from edusense.meals import Ledger
        from edusense.meals.lookup import last_time

        # Where there is no ledger yet, or a damaged one, opening it for writing says so.
        with contextlib.suppress(EdusenseError):
            last = last_time(Ledger.open(self.folder, read_only=True))
            if last is not None:
                self.clock.heard(last)

    def _today(self) -> datetime.date:
        from edusense.meals.of_site import today

        return today(self._site, self.clock.now().time)

    def _read_roster(self, path: Path) -> None:
        from edusense.meals.of_site import current_book

        wrong: Exception | None = None
        try:
            self._book, wrong = current_book(self._site, self.store(), self._today())
            self._tell()
        except (EdusenseError, OSError) as error:
            wrong = error
        if wrong is not None:
            told = wrong if isinstance(wrong, EdusenseError) else EdusenseError(f"`{path}`: {wrong}")
            if str(self._roster_error) != str(told):
                kept = "the one before stays in force" if self._book is not None else "nobody can be served"
                logger.error("roster: %s; %s", told, kept)
            self._roster_error = told
            self._roster_due = self._clock() + LIMIT_S
            if isinstance(wrong, RosterStorageError):
                self._forget_store()
        else:
            self._roster_error = None
        self._roster_mark = self._mark(path)

    def _tell(self) -> None:
        """Says in the log which list is in force and which one waits, when that has changed."""
        assert self._store is not None
        listed = self._store.lists.in_force(self._today())
        if listed is not None and listed.id != self._told:
            approved = "nobody's approval is recorded" if listed.approved_by is None else "approved"
            told = "roster: list %d is in force: %s, %d pupils, %s"
            logger.info(told, listed.id, listed.period, listed.pupils, approved)
            self._told = listed.id
        for waiting in self._store.lists.waiting():
            if waiting.id > self._waiting:
                logger.warning("roster: list %d (%s) waits for approval", waiting.id, waiting.period)
                self._waiting = waiting.id

    def _forget_store(self) -> None:
        if self._store is not None:
            with contextlib.suppress(EdusenseError):
                self._store.close()
            self._store = None

    def _mark(self, path: Path) -> object:
        """What differs when the file or the database says something else, or another day has begun."""
        stored: object = None
        if self._store is not None:
            with contextlib.suppress(EdusenseError):
                stored = self._store.changes()
        return _mark(path), stored, self._today()


def _mark(path: Path) -> object:
    """What differs when a file was written again, by whatever editor."""
    try:
        status = path.stat()
    except OSError as error:
        return error.errno
    return status.st_mtime_ns, status.st_size, status.st_ino
