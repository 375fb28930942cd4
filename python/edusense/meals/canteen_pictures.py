"""Pictures of a canteen: its day (meals a minute, the line, refusals, slots) and its month (classes by days)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from edusense.meals.drawing import Drawing
from edusense.meals.words import title

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.meals.canteen_figures import ClassDay, DayFigures, MonthFigures

__all__ = ["draw_day", "draw_month"]

LEFT: Final = 150.0
RIGHT: Final = 60.0
WIDTH: Final = 960.0
GREY, INK, BLUE, AMBER, RED = "#5a6270", "#1b1f27", "#0b5cad", "#b26a00", "#b3261e"
PAPER, SHADE, GRID = "#ffffff", "#e8f0f8", "#d5d9e0"
MEALS_HIGH: Final = 180.0
LINE_HIGH: Final = 70.0
ROW_HIGH: Final = 22.0


def draw_day(figures: DayFigures, school: str) -> Drawing:
    """The day: from above, meals a minute over the slots, the longest line, and what was refused and why.

    Args:
        figures: of the day.
        school: its name.
    """
    reasons = Counter(reason for _, reason in figures.refused or ())
    height = 60 + MEALS_HIGH + 50 + LINE_HIGH + 50 + ROW_HIGH * max(1, len(reasons)) + 30
    drawing = Drawing(WIDTH, height, f"{school}, {figures.day}: the canteen's day")
    start, stop = figures.span()

    def x(minute: float) -> float:
        return LEFT + (minute - start) / (stop - start) * (WIDTH - LEFT - RIGHT)

    total = sum(figures.meals.values())
    taken = f", {figures.reversed} taken back" if figures.reversed else ""
    drawing.words(20, 26, f"{school}, {figures.day:%d.%m.%Y}", size=16)
    drawing.words(20, 46, f"{total} meals{taken}", fill=GREY)
    top, bottom = 60.0, 60.0 + MEALS_HIGH
    _slots(drawing, figures, x, top, height - 30)
    step = 60 if stop - start <= 960 else 120
    for minute in range(start, stop + 1, step):
        drawing.line([(x(minute), top), (x(minute), height - 30)], GRID, 0.5)
        drawing.words(x(minute), height - 14, f"{minute // 60:02d}:00", size=11, anchor="middle", fill=GREY)
    most = max(figures.meals.values(), default=0)
    _scale(drawing, "meals a minute", most, top, bottom)
    wide = max(0.8, (WIDTH - LEFT - RIGHT) / (stop - start) - 0.2)
    for minute, count in sorted(figures.meals.items()):
        high = MEALS_HIGH * count / max(most, 1)
        drawing.box(x(minute), bottom - high, wide, high, BLUE, title=f"{_clock(minute)}: {count} meals")
    top, bottom = bottom + 50, bottom + 50 + LINE_HIGH
    longest = max(figures.line.values(), default=0)
    _scale(drawing, "longest line", longest, top, bottom)
    points = [(x(m), bottom - LINE_HIGH * figures.line.get(m, 0) / max(longest, 1)) for m in range(start, stop)]
    drawing.line(points, AMBER, 1.5)
    _refusals(drawing, figures, reasons, x, bottom + 50)
    return drawing


def _slots(drawing: Drawing, figures: DayFigures, x: Callable[[float], float], top: float, bottom: float) -> None:
    for name, first, last in figures.slots:
        last = last if last > first else 24 * 60
        drawing.box(
            x(first), top, x(last) - x(first), bottom - top, SHADE, title=f"{name} {_clock(first)}–{_clock(last)}"
        )
        drawing.words(x(first) + 4, top + 13, name, size=11, fill=GREY)


def _scale(drawing: Drawing, name: str, most: int, top: float, bottom: float) -> None:
    drawing.words(20, top + 12, name, size=12)
    drawing.words(LEFT - 8, top + 10, str(most), size=11, anchor="end", fill=GREY)
    drawing.words(LEFT - 8, bottom, "0", size=11, anchor="end", fill=GREY)
    drawing.line([(LEFT, bottom), (WIDTH - RIGHT, bottom)], GREY, 1)


def _refusals(
    drawing: Drawing, figures: DayFigures, reasons: Counter[str], x: Callable[[float], float], top: float
) -> None:
    if figures.refused is None:
        drawing.words(20, top + 14, "refusals: not known without the box's log", fill=GREY)
    elif not reasons:
        drawing.words(20, top + 14, "nobody was refused", fill=GREY)
    for row, (reason, count) in enumerate(reasons.most_common()):
        middle = top + ROW_HIGH * row
        drawing.words(20, middle + 14, title(reason, "en"), size=12, fill=RED)
        drawing.words(WIDTH - RIGHT + 10, middle + 14, str(count), size=12, fill=RED)
        for minute, why in figures.refused or ():
            if why == reason:
                drawing.box(x(minute), middle + 4, 2, 12, RED, title=f"{_clock(minute)}: {reason}")


CELL: Final = 24.0
"""Side of the field of a class and a day."""
_FILLS: Final = ("#dbe9f6", "#a9cbe9", "#6ea6d8", "#3780c0", "#0b5cad")
"""Few meals to many, of those who are enrolled."""


def draw_month(figures: MonthFigures, school: str) -> Drawing:
    """The month: a row a class, a column a day; the darker, the more of a class ate. Missing days are hatched red.

    Args:
        figures: of the month.
        school: its name.
    """
    width = LEFT + CELL * len(figures.days) + 90
    height = 100 + CELL * max(1, len(figures.classes)) + 70
    drawing = Drawing(width, height, f"{school}, {figures.first:%Y-%m}: the canteen's month")
    total = sum(cell.meals for cell in figures.cells.values())
    missing = figures.missing()
    told = f"; no meal at all on {', '.join(f'{day:%d.%m.}' for day in missing)}" if missing else ""
    drawing.words(20, 26, f"{school}, {figures.first:%m.%Y}", size=16)
    drawing.words(20, 46, f"{total} meals{told}", fill=RED if missing else GREY)
    for column, day in enumerate(figures.days):
        middle = LEFT + CELL * (column + 0.5)
        drawing.words(middle, 76, str(day.day), size=11, anchor="middle", fill=RED if day in missing else INK)
        drawing.words(middle, 90, "MTWTFSS"[day.weekday()], size=9, anchor="middle", fill=GREY)
    for row, form in enumerate(figures.classes):
        top = 96 + CELL * row
        drawing.words(LEFT - 10, top + 16, form, anchor="end")
        for column, day in enumerate(figures.days):
            _field(drawing, LEFT + CELL * column, top, figures.cells[form, day], f"{form}, {day:%d.%m.}")
        drawing.words(
            LEFT + CELL * len(figures.days) + 10,
            top + 16,
            str(sum(figures.cells[form, day].meals for day in figures.days)),
        )
    _legend(drawing, 96 + CELL * max(1, len(figures.classes)) + 20)
    return drawing


def _field(drawing: Drawing, x: float, y: float, cell: ClassDay, name: str) -> None:
    side = CELL - 2
    match cell.state:
        case "given":
            step = min(len(_FILLS) - 1, int(min(cell.share, 1.0) * len(_FILLS)))
            # More meals than children, or meals on a closed day: ringed, since somebody will ask.
            ring = 0 if cell.reason is None and cell.enrolled else 2
            if ring:
                drawing.box(x, y, side, side, AMBER)
            of = f" of {cell.enrolled}" if cell.enrolled else ""
            told = f"{name}: {cell.meals} meals{of}" + (f", though closed: {cell.reason}" if cell.reason else "")
            drawing.box(x + ring, y + ring, side - 2 * ring, side - 2 * ring, _FILLS[step], title=told)
            fill = PAPER if step > 2 else INK
            drawing.words(x + side / 2, y + 15, str(cell.meals), size=9, anchor="middle", fill=fill)
        case "missing":
            drawing.box(x, y, side, side, "#fbe9e7", title=f"{name}: no meal was recorded", hatched=RED)
        case "closed":
            drawing.box(x, y, side, side, "#eceff2", title=f"{name}: closed, {cell.reason}")
        case _:
            drawing.box(x, y, side, side, "#f8f9fa")


def _legend(drawing: Drawing, y: float) -> None:
    at = LEFT
    for step, fill in enumerate(_FILLS):
        drawing.box(at + 18 * step, y, 16, 14, fill)
    drawing.words(at + 96, y + 12, "few to all of a class", size=11, fill=GREY)
    drawing.box(at + 240, y, 16, 14, "#fbe9e7", hatched=RED)
    drawing.words(at + 262, y + 12, "no meal recorded", size=11, fill=GREY)
    drawing.box(at + 380, y, 16, 14, "#eceff2")
    drawing.words(at + 402, y + 12, "closed", size=11, fill=GREY)
    drawing.box(at + 460, y, 16, 14, AMBER)
    drawing.box(at + 462, y + 2, 12, 10, _FILLS[2])
    drawing.words(at + 482, y + 12, "on a closed day, or of nobody on the list", size=11, fill=GREY)


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
