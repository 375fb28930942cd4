"""What pictures of a canteen show: a day by the minute, a month by class and day. Counted from records alone."""

from __future__ import annotations

import calendar
import datetime
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from edusense.meals.record import Kind, day_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from edusense.meals.slots import SlotLike

__all__ = ["ClassDay", "DayFigures", "MonthFigures", "Refused"]

IN_LINE_S: Final = 15.0
"""Who taps so soon after the one before was in a line with them."""
DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True)
class Refused:
    """A tap that was answered red.

    Attributes:
        at_s: when, Unix seconds.
        reason: in kebab-case.
    """

    at_s: float
    reason: str


@dataclass(frozen=True)
class DayFigures:
    """A day of a canteen.

    Attributes:
        day: the day.
        slots: name, first and last minute of each, counted from midnight; the last one is outside.
        meals: meals that stand, by minute.
        line: how many stood in the longest line, by minute: taps of one terminal that followed one another at once.
        refused: minute and reason of each tap that was answered red; None where nobody knows.
        reversed: meals that were taken back.
    """

    day: datetime.date
    slots: tuple[tuple[str, int, int], ...]
    meals: Counter[int]
    line: dict[int, int]
    refused: tuple[tuple[int, str], ...] | None
    reversed: int = 0

    @classmethod
    def of(
        cls,
        records: NDArray[Any],
        day: datetime.date,
        *,
        zone: datetime.tzinfo,
        slots: Iterable[SlotLike] = (),
        refused: Iterable[Refused] | None = None,
    ) -> DayFigures:
        """Counts a day.

        Args:
            records: of a ledger; others than the day's do no harm.
            day: the day.
            zone: the school's.
            slots: the school's.
            refused: taps that were answered red; None where nobody knows.
        """
        own = records[records["day"] == day_number(day)]
        back = own[own["kind"] == Kind.REVERSAL]
        gone = {(int(one["terminal"]), int(one["ref_epoch"]), int(one["ref_sequence"])) for one in back}
        meals: Counter[int] = Counter()
        line: dict[int, int] = {}
        last: dict[int, tuple[float, int]] = {}
        for record in own[own["kind"] == Kind.MEAL]:
            at_s, terminal = int(record["time"]) / 1e6, int(record["terminal"])
            minute = _minute(at_s, day, zone)
            before, length = last.get(terminal, (float("-inf"), 0))
            length = length + 1 if 0 <= at_s - before <= IN_LINE_S else 1
            last[terminal] = (at_s, length)
            line[minute] = max(line.get(minute, 0), length)
            if (terminal, int(record["epoch"]), int(record["sequence"])) not in gone:
                meals[minute] += 1
        red = None
        if refused is not None:
            red = tuple((_minute(one.at_s, day, zone), one.reason) for one in refused)
        listed = tuple((slot.id, _of_clock(slot.from_), _of_clock(slot.to)) for slot in slots)
        return cls(day, listed, meals, line, red, len(gone))

    def span(self) -> tuple[int, int]:
        """First and last minute that there is something to show of, to the full hour."""
        minutes = [*self.meals, *self.line, *(minute for minute, _ in self.refused or ())]
        for _, start, stop in self.slots:
            minutes += [start, stop if stop > start else DAY_MINUTES]
        if not minutes:
            return 8 * 60, 16 * 60
        return min(minutes) // 60 * 60, -(-(max(minutes) + 1) // 60) * 60


State = Literal["given", "missing", "closed", "coming"]


@dataclass(frozen=True)
class ClassDay:
    """A class on a day.

    Attributes:
        state: meals were given; none were, though they should have been; closed; not yet.
        meals: that stand.
        enrolled: children of the class that the list knows.
        reason: why it is closed.
    """

    state: State
    meals: int
    enrolled: int
    reason: str | None = None

    @property
    def share(self) -> float:
        """Meals of a child that is enrolled; may be above 1 where there are several slots."""
        return self.meals / self.enrolled if self.enrolled else 0.0


@dataclass(frozen=True)
class MonthFigures:
    """A month of a canteen, by class and day.

    Attributes:
        first: the month's first day.
        days: all of its days.
        classes: in the school's order; `–` for children whom no list knows.
        cells: by class and day.
    """

    first: datetime.date
    days: tuple[datetime.date, ...]
    classes: tuple[str, ...]
    cells: Mapping[tuple[str, datetime.date], ClassDay] = field(repr=False)

    @classmethod
    def of(
        cls,
        records: NDArray[Any],
        first: datetime.date,
        *,
        classes: Mapping[int, str],
        today: datetime.date,
        closed: Callable[[datetime.date, str], str | None] = lambda _day, _form: None,
        order: Callable[[str], Any] = str,
    ) -> MonthFigures:
        """Counts a month.

        Args:
            records: of a ledger; others than the month's do no harm.
            first: a day of the month.
            classes: class of each pupil, by number.
            today: days after it are still to come.
            closed: why a class has no meals on a day; None: it has.
            order: how classes are sorted.
        """
        first = first.replace(day=1)
        days = [first.replace(day=number + 1) for number in range(calendar.monthrange(first.year, first.month)[1])]
        low, high = day_number(days[0]), day_number(days[-1])
        own = records[(records["day"] >= low) & (records["day"] <= high)]
        counts: Counter[tuple[str, int]] = Counter()
        for kind, sign in ((Kind.MEAL, 1), (Kind.REVERSAL, -1)):
            part = own[own["kind"] == kind]
            for pupil, day in zip(part["pupil"].tolist(), part["day"].tolist(), strict=True):
                counts[classes.get(pupil, "–"), day] += sign
        enrolled = Counter(classes.values())
        names = sorted({*enrolled, *(form for form, _ in counts)}, key=lambda form: (form == "–", order(form)))
        cells = {
            (form, day): _cell(counts[form, day_number(day)], enrolled[form], closed(day, form), day > today)
            for form in names
            for day in days
        }
        return cls(first, tuple(days), tuple(names), cells)

    def missing(self) -> Sequence[datetime.date]:
        """Days on which some class should have eaten, and nobody in the school did."""
        found = []
        for day in self.days:
            cells = [self.cells[form, day] for form in self.classes]
            if any(cell.state == "missing" for cell in cells) and not any(cell.meals for cell in cells):
                found.append(day)
        return found


def _cell(meals: int, enrolled: int, reason: str | None, coming: bool) -> ClassDay:
    if meals > 0:
        return ClassDay("given", meals, enrolled, reason)
    if reason is not None:
        return ClassDay("closed", 0, enrolled, reason)
    if coming or not enrolled:
        return ClassDay("coming", 0, enrolled)
    return ClassDay("missing", 0, enrolled)


def _minute(at_s: float, day: datetime.date, zone: datetime.tzinfo) -> int:
    """The minute of a day; what a slot across midnight brings belongs to its end."""
    local = datetime.datetime.fromtimestamp(at_s, zone)
    minute = local.hour * 60 + local.minute
    return minute if local.date() <= day else DAY_MINUTES - 1


def _of_clock(at: datetime.time) -> int:
    return at.hour * 60 + at.minute + (at.second > 0)
