"""Whether a child is given a meal: small pure functions from a case to a refusal or None, asked in their order.

To add a rule, write a function and give the terminal the longer list:

>>> def no_soup_on_fridays(case):
...     if case.day.weekday() == 4:
...         return Refusal("no-soup", Sentence.own(en="no soup on Fridays", ru="по пятницам супа нет"))
>>> rules = (*RULES, no_soup_on_fridays)  # Terminal(…, rules=rules)

For the box it is published as an entry point of the group `edusense.meal_rules` and named in the site file,
`meals.rules = ["no-soup-on-fridays"]`.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

from edusense.errors import UsageError
from edusense.meals.calendar import Calendar
from edusense.meals.clock import EDGE_S, GAP_S, Moment
from edusense.meals.pupil import STAFF
from edusense.meals.slots import describe, of_shift
from edusense.meals.words import Sentence
from edusense.nearest import perhaps

if TYPE_CHECKING:
    from edusense.meals.pupil import Pupil
    from edusense.meals.record import RecordKey
    from edusense.meals.slots import SlotLike

__all__ = [
    "ENTRY_POINTS",
    "RULES",
    "Case",
    "Refusal",
    "Rule",
    "Served",
    "clock_trusted",
    "consent",
    "decide",
    "installed_rules",
    "not_served",
    "of_this_school",
    "on_list",
    "open_day",
    "within_slot",
]

ENTRY_POINTS: Final = "edusense.meal_rules"
"""Group of entry points under which somebody else's rules are found."""


@dataclass(frozen=True)
class Served:
    """An earlier meal of the child on the same day."""

    slot: str
    time: float
    """Unix seconds."""
    terminal: int
    record: RecordKey
    shown: bool = True
    """Whether it is known that the light was green: after a power cut it may not be."""


@dataclass(frozen=True)
class Case:
    """What is known when a child's card is held to a terminal."""

    pupil: Pupil
    day: datetime.date
    """The day that a meal would count for."""
    local: datetime.datetime
    """The time at the school."""
    slot: SlotLike | None
    """The slot that is on for this child; None outside of all."""
    slots: tuple[SlotLike, ...] = ()
    """All slots of the school."""
    school: int = 0
    """National number of the school."""
    terminal: int = 0
    """Number of the terminal."""
    calendar: Calendar = field(default_factory=Calendar)
    period: str | None = None
    """What the list in force is for, such as `2026-10`; None for one without a period."""
    listed: bool = True
    """Whether the child stands on the list in force."""
    list_over: bool = False
    """Whether that list has ended and there is no new one."""
    moment: Moment = field(default_factory=lambda: Moment(0.0))
    """How sure the time is."""
    history: tuple[Served, ...] = ()
    """The child's meals of the day so far."""


@dataclass(frozen=True)
class Refusal:
    """Why a light is red."""

    reason: str
    """In kebab-case."""
    sentence: Sentence
    record: RecordKey | None = None
    """The record that it rests on."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.reason):
            raise UsageError(f"`{self.reason}` is no reason", hint="in kebab-case, such as `two-hours-apart`")


Rule = Callable[[Case], Refusal | None]


def of_this_school(case: Case) -> Refusal | None:
    """Children of another school eat there."""
    if case.pupil.school in (None, case.school):
        return None
    return Refusal("other-school", Sentence("other-school", {"school": case.pupil.school}))


def clock_trusted(case: Case) -> Refusal | None:
    """Without a sure clock meals go on, as long as day and slot can be told all the same."""
    moment = case.moment
    if moment.sure:
        return None
    if moment.gap_s > GAP_S:
        hours = "?" if moment.gap_s == float("inf") else round(moment.gap_s / 3600)
        return Refusal("clock-not-trusted", Sentence("clock-gap", {"hours": hours}))
    for slot in case.slots:
        if min(_apart(case.local, slot.from_), _apart(case.local, slot.to)) < EDGE_S:
            told = {"now": f"{case.local:%H:%M}", "slot": slot.id}
            return Refusal("clock-not-trusted", Sentence("clock-edge", told))
    return None


def consent(case: Case) -> Refusal | None:
    """A voucher exists only with the parents' consent to data processing."""
    given = case.pupil.consent_date
    if case.pupil.category == STAFF or (given is not None and given <= case.day):
        return None
    if given is None:
        return Refusal("no-consent", Sentence("consent-none"))
    return Refusal("no-consent", Sentence("consent-later", {"day": given}))


def on_list(case: Case) -> Refusal | None:
    """The child stands on the list in force, and its voucher holds on the day."""
    pupil = case.pupil
    if pupil.category == STAFF:
        return Refusal("not-on-list", Sentence("staff"))
    if not case.listed:
        return Refusal("not-on-list", Sentence("not-listed", {"period": case.period or case.day.isoformat()}))
    if case.list_over:
        return Refusal("not-on-list", Sentence("list-over", {"period": case.period}))
    if pupil.may_eat(case.day):
        return None
    if pupil.voucher_from is None:
        return Refusal("not-on-list", Sentence("voucher-none"))
    if pupil.voucher_to is None:
        return Refusal("not-on-list", Sentence("voucher-from", {"begin": pupil.voucher_from}))
    span = {"begin": pupil.voucher_from, "end": pupil.voucher_to}
    return Refusal("not-on-list", Sentence("voucher-span", span))


def open_day(case: Case) -> Refusal | None:
    """No meal on a day on which the school, or the child's class, has none."""
    closure = case.calendar.closed(case.day, case.pupil.form)
    if closure is None:
        return None
    return Refusal("closed-day", Sentence("closed", {"day": case.day, "why": (closure.reason, closure.note)}))


def within_slot(case: Case) -> Refusal | None:
    """A meal is on, and it is one of the child's shift."""
    if case.slot is not None:
        return None
    own = of_shift(case.slots, case.pupil.shift)
    told = {"now": f"{case.local:%H:%M}", "slots": describe(own), "shift": case.pupil.shift}
    restricted = case.pupil.shift is not None and len(own) < len(case.slots)
    return Refusal("outside-slot", Sentence("shift" if restricted else "slots", told))


def not_served(case: Case) -> Refusal | None:
    """One meal a child, day and slot. The ledger holds this too, against two terminals at one moment."""
    for served in case.history:
        if case.slot is None or served.slot != case.slot.id:
            continue
        at = datetime.datetime.fromtimestamp(served.time, case.local.tzinfo)
        told = {"at": f"{at:%H:%M:%S}", "terminal": served.terminal}
        if not served.shown:
            key = "served-unsure"
        else:
            key = "served" if served.terminal == case.terminal else "served-elsewhere"
        return Refusal("already-served", Sentence(key, told), served.record)
    return None


RULES: Final[tuple[Rule, ...]] = (
    of_this_school,
    clock_trusted,
    consent,
    on_list,
    open_day,
    within_slot,
    not_served,
)
"""What is looked at, in this order; the first refusal is the answer."""


def decide(case: Case, rules: tuple[Rule, ...] = RULES) -> Refusal | None:
    """The first refusal of some rules; None where the light may be green.

    Args:
        case: what is known.
        rules: the rules, in their order.
    """
    for rule in rules:
        if (refusal := rule(case)) is not None:
            return refusal
    return None


def installed_rules(names: tuple[str, ...] | list[str]) -> tuple[Rule, ...]:
    """Our rules, and behind them those of other packages that a site file names.

    Args:
        names: names of entry points of the group `edusense.meal_rules`.

    Raises:
        UsageError: there is no such rule, or it cannot be loaded.
    """
    found = {point.name: point for point in entry_points(group=ENTRY_POINTS)} if names else {}
    rules: list[Rule] = [*RULES]
    for name in names:
        if name not in found:
            listed = f"installed are: {', '.join(sorted(found)) or 'none'}"
            guess = perhaps(name, found)
            raise UsageError(f"there is no meal rule `{name}`", hint=f"{guess}; {listed}" if guess else listed)
        try:
            rules.append(found[name].load())
        except Exception as error:
            raise UsageError(
                f"the meal rule `{name}` cannot be loaded: {type(error).__name__}: {error}",
                hint="mend or remove its package, or take it out of `meals.rules` in the site file",
            ) from error
    return tuple(rules)


def _apart(local: datetime.datetime, edge: datetime.time) -> float:
    """Seconds between a time of day and an edge, the shorter way around the clock."""
    now = local.hour * 3600 + local.minute * 60 + local.second
    other = edge.hour * 3600 + edge.minute * 60 + edge.second
    apart = abs(now - other)
    return float(min(apart, 86_400 - apart))
