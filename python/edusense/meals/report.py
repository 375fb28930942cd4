"""What does not add up in the meals of some days, each finding with its records; and how many portions to cook.

The checks are those of a school meals authority (7 CFR 210.8(a)(3): no more meals than enrolled times attendance), and
of prosecutors who found meals paid on days without school.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edusense.meals.pupil import STAFF
from edusense.meals.record import Flag, Kind, RecordKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from edusense.meals.calendar import Calendar
    from edusense.meals.roster import Roster

__all__ = ["BURST_MEALS", "BURST_S", "FINDINGS", "Finding", "Portion", "findings", "portions"]

FINDINGS: Final = ("closed-day", "above-attendance", "no-arrival", "not-on-list", "burst")
"""What is looked for."""
BURST_MEALS: Final = 10
"""Meals entered by one operator by hand, from which on they are a burst."""
BURST_S: Final = 600.0
"""Within so many seconds."""


@dataclass(frozen=True)
class Finding:
    """Meals that do not add up. Somebody has to look; it is no proof of anything."""

    finding: str
    """One of `FINDINGS`."""
    day: datetime.date
    form: str | None
    """The class, where it is about one."""
    slot: str | None
    operator: int | None
    """Who entered them, where it is about an operator."""
    limit: int | None
    """How many there could have been, where that is known."""
    why: str
    """One sentence."""
    records: tuple[RecordKey, ...]
    """The meals that it is about."""
    sum_tiyn: int
    """Their prices."""

    def to_json(self) -> dict[str, Any]:
        """As `edusense meals report --json` prints it."""
        return {
            "finding": self.finding,
            "day": self.day.isoformat(),
            "class": self.form,
            "slot": self.slot,
            "operator": self.operator,
            "meals": len(self.records),
            "limit": self.limit,
            "sum_tiyn": self.sum_tiyn,
            "why": self.why,
            "records": [str(key) for key in self.records],
        }


@dataclass(frozen=True)
class Portion:
    """How many children of a class eat on a day."""

    day: datetime.date
    form: str
    listed: int
    """On the list."""
    entitled: int
    """Of them, those with consent and voucher."""
    portions: int
    """To be cooked."""
    source: str
    """What that rests on: `arrivals` by card, the class's `attendance`, the `list` alone, or a `closed` day."""

    def to_json(self) -> dict[str, Any]:
        """As `edusense meals report --portions --json` prints it."""
        return {
            "day": self.day.isoformat(),
            "class": self.form,
            "listed": self.listed,
            "entitled": self.entitled,
            "portions": self.portions,
            "source": self.source,
        }


def findings(
    records: NDArray[Any],
    rosters: Callable[[datetime.date], Roster | None],
    calendar: Calendar,
    attendance: Mapping[tuple[datetime.date, str], int],
    *,
    first_day: int = 0,
    last_day: int = 99_991_231,
    burst_meals: int = BURST_MEALS,
    burst_s: float = BURST_S,
) -> list[Finding]:
    """What does not add up, day by day.

    Args:
        records: all records of a ledger, of `Ledger.DTYPE`.
        rosters: who was listed on a day.
        calendar: days without meals.
        attendance: how many children of a class were there on a day.
        first_day: yyyymmdd.
        last_day: yyyymmdd.
        burst_meals: meals entered by one operator from which on they are a burst.
        burst_s: within so many seconds.
    """
    found: list[Finding] = []
    arrived = _arrivals(records)
    meals = _standing(records, first_day, last_day)
    for number in sorted({int(day) for day in meals["day"]}):
        day = _date(number)
        if day is None:
            continue
        of_day = meals[meals["day"] == number]
        roster = rosters(day)
        by_class: dict[str, list[Any]] = defaultdict(list)
        strangers, absent = [], []
        for meal in of_day:
            pupil = None if roster is None else roster.anyone(int(meal["pupil"]))
            if pupil is None or roster is None or pupil.number not in roster:
                strangers.append(meal)
            if pupil is not None:
                by_class[pupil.form].append(meal)
            if day in arrived and int(meal["pupil"]) not in arrived[day]:
                absent.append(meal)
        for form, own in sorted(by_class.items()):
            closure = calendar.closed(day, form)
            if closure is not None:
                why = f"class {form} had no meals on {day}: {closure.note or closure.reason}"
                found.append(_finding("closed-day", day, own, why, form=form, limit=0))
            else:
                found += _above(day, form, own, roster, arrived.get(day), attendance.get((day, form)))
        if strangers:
            why = "not on the list in force that day"
            found.append(_finding("not-on-list", day, strangers, why))
        if absent:
            found.append(_finding("no-arrival", day, absent, "ate, and did not come in by card that day"))
        found += _bursts(day, of_day, burst_meals, burst_s)
    return found


def portions(
    records: NDArray[Any],
    roster: Roster,
    calendar: Calendar,
    attendance: Mapping[tuple[datetime.date, str], int],
    day: datetime.date,
) -> list[Portion]:
    """How many portions to cook for each class on a day: for those who came, not for those who are enrolled.

    Args:
        records: of a ledger.
        roster: who is listed on that day.
        calendar: days without meals.
        attendance: how many children of a class are there on a day.
        day: the day.
    """
    arrived = _arrivals(records).get(day)
    by_class: dict[str, list[Any]] = defaultdict(list)
    for pupil in roster:
        if pupil.category != STAFF:
            by_class[pupil.form].append(pupil)
    found = []
    for form, pupils in sorted(by_class.items()):
        entitled = {pupil.number for pupil in pupils if pupil.entitled(day)}
        if calendar.closed(day, form) is not None:
            count, source = 0, "closed"
        elif arrived is not None:
            count, source = len(entitled & arrived), "arrivals"
        elif (day, form) in attendance:
            count, source = min(len(entitled), attendance[day, form]), "attendance"
        else:
            count, source = len(entitled), "list"
        found.append(Portion(day, form, len(pupils), len(entitled), count, source))
    return found


def _above(
    day: datetime.date,
    form: str,
    meals: list[Any],
    roster: Roster | None,
    arrived: set[int] | None,
    present: int | None,
) -> Iterable[Finding]:
    """More meals of a class in a slot than there were children."""
    members = {pupil.number for pupil in roster or () if pupil.form == form}
    limit, what = len(members), f"{len(members)} children are listed in {form}"
    if present is not None and present < limit:
        limit, what = present, f"{present} of {len(members)} children of {form} were there"
    elif present is None and arrived is not None and len(members & arrived) < limit:
        limit = len(members & arrived)
        what = f"{limit} of {len(members)} children of {form} came in by card"
    by_slot: dict[str, list[Any]] = defaultdict(list)
    for meal in meals:
        by_slot[bytes(meal["slot"]).decode("ascii", "replace")].append(meal)
    for slot, own in sorted(by_slot.items()):
        if len(own) > limit:
            why = f"{len(own)} meals, and {what}"
            yield _finding("above-attendance", day, own, why, form=form, slot=slot, limit=limit)


def _bursts(day: datetime.date, meals: NDArray[Any], most: int, within_s: float) -> Iterable[Finding]:
    """Many meals that one operator entered by hand in a short time."""
    by_hand = meals[(meals["flags"] & Flag.MANUAL) != 0]
    operators = (by_hand["card"] & np.uint64(0xFFFF_FFFF)).astype(np.int64)
    for operator in sorted(set(operators.tolist())):
        own = by_hand[operators == operator]
        own = own[np.argsort(own["time"], kind="stable")]
        times = own["time"].astype(np.int64) / 1e6
        begin = 0
        while begin < len(own):
            end = int(np.searchsorted(times, times[begin] + within_s, side="right"))
            if end - begin >= most:
                why = f"operator {operator} entered {end - begin} meals within {within_s / 60:.0f} minutes"
                yield _finding("burst", day, list(own[begin:end]), why, operator=operator, limit=most - 1)
                begin = end
            else:
                begin += 1


def _standing(records: NDArray[Any], first_day: int, last_day: int) -> NDArray[Any]:
    """The meals of some days that were not taken back."""
    back = records[records["kind"] == Kind.REVERSAL]
    gone = {
        (int(one["terminal"]), int(one["ref_epoch"]), int(one["ref_sequence"]))
        for one in back[(back["day"] >= first_day) & (back["day"] <= last_day)]
    }
    meals = records[(records["kind"] == Kind.MEAL) & (records["day"] >= first_day) & (records["day"] <= last_day)]
    keep = [(int(one["terminal"]), int(one["epoch"]), int(one["sequence"])) not in gone for one in meals]
    standing: NDArray[Any] = meals[np.array(keep, bool)]
    return standing


def _arrivals(records: NDArray[Any]) -> dict[datetime.date, set[int]]:
    """Who came in by card, on the days on which anybody did."""
    found: dict[datetime.date, set[int]] = defaultdict(set)
    came = records[records["kind"] == Kind.ARRIVAL]
    for one in came:
        day = _date(int(one["day"]))
        if day is not None:
            found[day].add(int(one["pupil"]))
    return dict(found)


def _finding(
    name: str,
    day: datetime.date,
    meals: list[Any],
    why: str,
    *,
    form: str | None = None,
    slot: str | None = None,
    operator: int | None = None,
    limit: int | None = None,
) -> Finding:
    keys = tuple(RecordKey.of(meal) for meal in meals)
    total = sum(int(meal["price"]) for meal in meals)
    return Finding(name, day, form, slot, operator, limit, why, keys, total)


def _date(number: int) -> datetime.date | None:
    """A record's day; None for one that no calendar has."""
    try:
        return datetime.date(number // 10_000, number // 100 % 100, number % 100)
    except ValueError:
        return None
