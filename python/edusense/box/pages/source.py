"""The box as its pages see it: terminals and their state, who is known, and what may be done by hand."""

from __future__ import annotations

import contextlib
import datetime
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import BoxUnknownError, EdusenseError
from edusense.meals.inside import Inside, by_class, named
from edusense.meals.record import Kind, RecordKey, day_number
from edusense.meals.slots import find_slot
from edusense.meals.terminal import time_zone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from edusense.box.canteen import Canteen
    from edusense.box.pages.guard_source import GuardSource
    from edusense.box.screens import Screens
    from edusense.box.terminals import TerminalPart
    from edusense.meals.day_count import DayCount
    from edusense.meals.drawing import Drawing
    from edusense.meals.store import Operator
    from edusense.site import Site

__all__ = ["PagesSource"]

_RECENT: Final = 24
"""How many meals may be looked through for one to take back at the kiosk."""


class PagesSource:
    """What pages ask the box. May be used from several threads; what may wait is said.

    Args:
        site: the site file, as it is at each moment.
        canteen: ledger, roster and clock.
        screens: the verdicts.
        terminals: the terminals' parts, by id, as they are at each moment.
        reverse: takes a meal back.
        confirm_clock: takes somebody's word for what time it is.
        taps: the taps of the event log after a cursor.
        guard: the alerts, for the guard's page.
    """

    def __init__(
        self,
        site: Callable[[], Site],
        canteen: Canteen,
        screens: Screens,
        terminals: Callable[[], Mapping[str, TerminalPart]],
        *,
        reverse: Callable[..., Mapping[str, Any]],
        confirm_clock: Callable[..., Mapping[str, Any]],
        taps: Callable[[int], Iterable[Mapping[str, Any]]] = lambda _: (),
        guard: GuardSource | None = None,
    ) -> None:
        self._site, self._canteen, self._terminals = site, canteen, terminals
        self._reverse, self._confirm_clock, self._taps = reverse, confirm_clock, taps
        self.screens, self.guard = screens, guard
        self._lock = threading.Lock()
        self._count: DayCount | None = None
        self._photos: tuple[object, frozenset[int]] = (None, frozenset())

    @property
    def school(self) -> str:
        """The school's id."""
        return self._site().site.id

    @property
    def zone(self) -> datetime.tzinfo:
        """The school's time zone."""
        return time_zone(self._site().site.timezone)

    @property
    def languages(self) -> list[str]:
        """The languages of the kiosks; the first is the largest."""
        pages = self._site().pages
        return ["kk", "ru"] if pages is None else list(pages.languages)

    def terminals(self) -> list[dict[str, Any]]:
        """The terminals, in the order of the site file."""
        return [
            {"id": part.terminal.id, "kind": part.terminal.kind, "room": part.terminal.room}
            for part in self._terminals().values()
        ]

    def terminal(self, name: str) -> TerminalPart:
        """A terminal's part.

        Raises:
            BoxUnknownError: there is no such terminal.
        """
        part = self._terminals().get(name)
        if part is None:
            listed = ", ".join(self._terminals()) or "none"
            raise BoxUnknownError(f"there is no terminal `{name}` in this site", hint=f"there are: {listed}")
        return part

    def state(self, name: str) -> dict[str, Any]:
        """How a terminal is doing, for its kiosk; may wait for the disk, and says so where something is not well.

        Args:
            name: the terminal's id.
        """
        row = self.terminal(name).state_row()
        moment = self._canteen.clock.now()
        local = datetime.datetime.fromtimestamp(moment.time, self.zone)
        told: dict[str, Any] = {
            "now_ms": round(moment.time * 1000),
            "offset_s": round((local.utcoffset() or datetime.timedelta()).total_seconds()),
            "clock_unsure": not moment.sure,
            "kind": row["serves"],
            "state": row["state"],
            "reader": row["reader_state"],
            "slot": None,
            "count": None,
        }
        meals = self._site().meals
        on = None if meals is None else find_slot(meals.slots, local)
        with contextlib.suppress(EdusenseError):
            if row["serves"] == "entrance":
                told["count"] = len(self._canteen.presence().inside(moment.time))
            elif on is not None:
                slot, day = on
                told["slot"] = {"id": slot.id, "from": f"{slot.from_:%H:%M}", "to": f"{slot.to:%H:%M}"}
                told["count"] = self._meals(day_number(day), slot.id)
        return told

    def has_photo(self, pupil: int) -> bool:
        """Whether somebody has a photo; asked for each verdict, so it waits for the database only when that changed."""
        with contextlib.suppress(EdusenseError), self._lock:
            store = self._canteen.store()
            mark = store.changes()
            if mark != self._photos[0]:
                self._photos = (mark, store.people.with_photo())
            return pupil in self._photos[1]
        return False

    def photo(self, pupil: int) -> bytes | None:
        """Somebody's photo as JPEG; waits for the database."""
        return self._canteen.store().people.photo(pupil)

    def inside(self) -> list[Inside]:
        """Who is in the building; waits for the database."""
        now = self._canteen.clock.now().time
        roster = None
        with contextlib.suppress(EdusenseError):
            book = self._canteen.roster()
            roster = None if book is None else book.on(self._day(now))
        return named(self._canteen.presence(), roster, now)

    @property
    def today(self) -> datetime.date:
        """The day at the school."""
        return self._day(self._canteen.clock.now().time)

    def canteen_day(self, day: datetime.date) -> Drawing:
        """The canteen's day; waits for the disk."""
        from edusense.meals.canteen_figures import Refused
        from edusense.meals.canteen_of_site import day_drawing

        begin = datetime.datetime.combine(day, datetime.time(), self.zone).timestamp()
        refused = [
            Refused(float(tap["time_s"]), str(tap["reason"]))
            # Cursors are milliseconds of Unix time, so that one can be made for the beginning of a day.
            for tap in self._taps(int(begin * 1000))
            if not tap["granted"] and begin <= tap["time_s"] < begin + 86_400
        ]
        return day_drawing(self._site(), self._canteen.ledger(), day, refused=refused)

    def canteen_month(self, first: datetime.date) -> Drawing:
        """The canteen's month; waits for the disk."""
        from edusense.meals.canteen_of_site import month_drawing

        return month_drawing(self._site(), self._canteen.ledger(), first, now=self._canteen.clock.now().time)

    def operators(self) -> list[dict[str, Any]]:
        """Who may act at a kiosk; waits for the database."""
        return [
            {"operator": one.number, "name": one.name} for one in self._canteen.store().operators.all() if one.has_pin
        ]

    def login(self, operator: int, pin: str) -> Operator | None:
        """The operator, if that is their PIN; takes a while on purpose."""
        return self._canteen.store().operators.with_pin(operator, pin)

    def classes(self) -> list[str]:
        """The classes of the list in force."""
        return sorted({pupil.form for pupil in self._pupils()}, key=by_class)

    def pupils(self, form: str) -> list[dict[str, Any]]:
        """The pupils of a class, by name."""
        found = [pupil for pupil in self._pupils() if pupil.form == form]
        return [{"pupil": one.number, "name": one.name} for one in sorted(found, key=lambda one: one.name)]

    def recent(self, terminal: str) -> list[dict[str, Any]]:
        """The last meals of a terminal that still stand, the newest first; waits for the disk."""
        from edusense.meals.lookup import records_backwards

        number = self.terminal(terminal).terminal.number
        names = {pupil.number: pupil for pupil in self._pupils()}
        gone: set[RecordKey] = set()
        found: list[dict[str, Any]] = []
        for part in records_backwards(self._canteen.ledger()):
            for record in part[part["terminal"] == number][::-1]:
                kind = int(record["kind"])
                if kind == Kind.REVERSAL:
                    gone.add(RecordKey(number, int(record["ref_epoch"]), int(record["ref_sequence"])))
                elif kind == Kind.MEAL and (key := RecordKey.of(record)) not in gone:
                    pupil = names.get(int(record["pupil"]))
                    local = datetime.datetime.fromtimestamp(int(record["time"]) / 1e6, self.zone)
                    found.append(
                        {
                            "record": str(key),
                            "time": f"{local:%H:%M}",
                            "name": f"№ {int(record['pupil'])}" if pupil is None else pupil.name,
                            "class": "" if pupil is None else pupil.form,
                        }
                    )
                    if len(found) == _RECENT:
                        return found
            if len(part) and time.time() - float(part["time"][0]) / 1e6 > 2 * 86_400:
                break
        return found

    def enter(self, terminal: str, pupil: int, operator: Operator, reason: str) -> Mapping[str, Any]:
        """Enters a meal by hand; waits for the disk."""
        return self.terminal(terminal).enter(pupil, operator.name, reason)

    def reverse(self, record: str, operator: Operator, reason: str) -> Mapping[str, Any]:
        """Takes a meal back; waits for the disk."""
        return self._reverse(record, operator.name, reason)

    def confirm_clock(self, operator: Operator, at: float | None) -> Mapping[str, Any]:
        """Takes somebody's word for what time it is; waits for the disk."""
        return self._confirm_clock(operator.name, at)

    def _pupils(self) -> list[Any]:
        book = self._canteen.roster()
        roster = None if book is None else book.on(self._day(self._canteen.clock.now().time))
        return [] if roster is None else list(roster)

    def _day(self, at: float) -> datetime.date:
        return datetime.datetime.fromtimestamp(at, self.zone).date()

    def _meals(self, day: int, slot: str) -> int:
        with self._lock:
            from edusense.meals.day_count import DayCount

            ledger = self._canteen.ledger()
            if self._count is None or self._count.ledger is not ledger or self._count.first_day < day - 1:
                self._count = DayCount(ledger, day)
            return self._count.meals(day, slot)
