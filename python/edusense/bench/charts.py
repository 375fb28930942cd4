"""Charts of a report as inline SVG: runs and their spread beside peers, curves, and what else the machine did.

Everything is drawn here, so that a page opens and prints without a network and without a plotting package.
"""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edusense.bench.report_models import CaseResult, FigureResult

__all__ = ["curve", "noise", "number", "runs"]

_WIDTH: Final = 720
_LEFT: Final = 170
_RIGHT: Final = 24
_ROW: Final = 30
_LETTER: Final = 7
"""Width of a letter, generously."""
_DASHES: Final = ("", "7 4", "2 3", "10 3 2 3")


def number(value: float | None) -> str:
    """A number as a person reads it: three significant digits, no exponent.

    >>> number(57.123), number(0.012345), number(1234567.0), number(None), number(0.0)
    ('57.1', '0.0123', '1,234,567', '–', '0')
    """
    if value is None:
        return "–"
    if value == 0:
        return "0"
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class _Axis:
    """Values to places along one direction, linear from zero or by powers of ten."""

    def __init__(self, values: Sequence[float], start: float, stop: float) -> None:
        finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
        least, most = min(finite), max(finite)
        positive = [value for value in finite if value > 0]
        self.log = len(positive) == len(finite) and most / least > 30
        self.start, self.stop = start, stop
        if self.log:
            self.low, self.high = math.log10(least) - 0.05, math.log10(most) + 0.08
        else:
            self.low, self.high = min(0.0, least), (most * 1.06 if most > 0 else 1.0)

    def at(self, value: float) -> float:
        place = math.log10(max(value, 10**self.low)) if self.log else value
        return self.start + (self.stop - self.start) * (place - self.low) / (self.high - self.low)

    def ticks(self, count: int = 6) -> list[float]:
        if self.log:
            return self._log_ticks(count)
        step = _nice((self.high - self.low) / count)
        first = math.ceil(self.low / step)
        return [step * turn for turn in range(first, math.floor(self.high / step) + 1)]

    def _log_ticks(self, count: int) -> list[float]:
        decades = range(math.floor(self.low), math.ceil(self.high) + 1)
        for steps in ((1, 2, 5), (1, 3), (1,)):
            found = [step * 10.0**decade for decade in decades for step in steps]
            found = [value for value in found if self.low <= math.log10(value) <= self.high]
            if len(found) <= count + 2:
                return found
        return found[:: max(1, len(found) // count)]


def _nice(step: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step)) if step > 0 else 1.0
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)


def _svg(height: float, label: str, parts: Sequence[str], width: float = _WIDTH) -> str:
    inner = "\n".join(parts)
    return f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{html.escape(label)}">\n{inner}\n</svg>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def runs(figure: FigureResult, limit: Mapping[str, Any] | None = None) -> str:
    """Each run as a dot, its median as a bar, the spread of values within runs behind it; peers below, on one axis.

    Args:
        figure: with its peers.
        limit: `word` and `bound`, in the figure's unit.
    """
    rows: list[tuple[str, Sequence[float], Sequence[bool], float, Sequence[float] | None]] = [
        ("edusense", figure.values, figure.busy, figure.median, figure.quantiles)
    ]
    rows += [(peer.peer, peer.values, (), peer.median, peer.quantiles) for peer in figure.peers]
    every = [
        value for _, values, _, _, spread in rows for value in [*values, *((spread[2], spread[9]) if spread else ())]
    ]
    if limit is not None:
        every.append(limit["bound"])
    axis = _Axis(every, _LEFT, _WIDTH - _RIGHT)
    bottom = _ROW * len(rows) + 6
    parts = _across(axis, bottom, figure.unit)
    for index, (name, values, busy, median, spread) in enumerate(rows):
        y = _ROW * index + _ROW / 2 + 4
        kind = "ours" if index == 0 else "peer"
        parts.append(_text(0, y + 4, name if len(name) < 27 else f"{name[:25]}…", "name"))
        if spread is not None:
            parts.append(
                _bar(axis, spread[2], spread[8], y, 3, f"{kind} faint", "5 to 95 % of the values within a run")
            )
            parts.append(
                _bar(axis, spread[4], spread[6], y, 9, f"{kind} faint", "middle half of the values within a run")
            )
            parts.append(_line(axis.at(spread[9]), y - 5, axis.at(spread[9]), y + 5, f"{kind}-stroke"))
        for turn, value in enumerate(values):
            loud = turn < len(busy) and busy[turn]
            told = f"run {turn + 1}: {number(value)} {figure.unit}{', on a busy machine' if loud else ''}"
            parts.append(
                f'<circle cx="{axis.at(value):.1f}" cy="{y:.1f}" r="3.4" class="{"busy" if loud else kind}">'
                f"<title>{html.escape(told)}</title></circle>"
            )
        parts.append(_line(axis.at(median), y - 11, axis.at(median), y + 11, f"{kind}-stroke median"))
    if limit is not None:
        x = axis.at(limit["bound"])
        told = f"{limit['word']} {number(limit['bound'])}"
        # Under its line where there is room for it, else up to the edge.
        at_edge = x + _LETTER * len(told) / 2 > _WIDTH
        place = (_WIDTH, "end") if at_edge else (x, "middle")
        parts += [_line(x, 0, x, bottom, "limit"), _text(place[0], bottom + 30, told, "limit-text", place[1])]
    return _svg(bottom + (36 if limit is not None else 22), f"runs of {figure.what}", parts)


def _bar(axis: _Axis, low: float, high: float, y: float, half: float, kind: str, title: str) -> str:
    left, right = axis.at(low), axis.at(high)
    return (
        f'<rect x="{left:.1f}" y="{y - half:.1f}" width="{max(1.0, right - left):.1f}" height="{2 * half:.1f}" '
        f'rx="2" class="{kind}"><title>{html.escape(title)}: {number(low)} to {number(high)}</title></rect>'
    )


def _across(axis: _Axis, bottom: float, unit: str) -> list[str]:
    parts = []
    for tick in axis.ticks():
        x = axis.at(tick)
        parts += [_line(x, 0, x, bottom, "grid"), _text(x, bottom + 14, number(tick), "axis", "middle")]
    parts.append(_text(0, bottom + 14, unit if len(unit) < 28 else f"{unit[:26]}…", "axis"))
    return parts


def curve(found: Mapping[str, Any]) -> str:
    """Lines of points, with a legend.

    Args:
        found: a curve as it stands in a report.
    """
    lines = [line for line in found["lines"] if line["points"]]
    xs = [point[0] for line in lines for point in line["points"]]
    ys = [point[1] for line in lines for point in line["points"]]
    if not xs:
        return ""
    height, left = 250.0, 64.0
    across, up = _Axis(xs, left, _WIDTH - _RIGHT), _Axis(ys, height - 40, 22)
    parts = []
    for tick in across.ticks(8):
        parts += [
            _line(across.at(tick), 22, across.at(tick), height - 40, "grid"),
            _text(across.at(tick), height - 26, number(tick), "axis", "middle"),
        ]
    for tick in up.ticks(5):
        parts += [
            _line(left, up.at(tick), _WIDTH - _RIGHT, up.at(tick), "grid"),
            _text(left - 8, up.at(tick) + 4, number(tick), "axis", "end"),
        ]
    parts += [_text(0, 13, found["y"], "axis"), _text(_WIDTH - _RIGHT, height - 8, found["x"], "axis", "end")]
    for index, line in enumerate(lines):
        kind = f"line-{index % 4}"
        points = " ".join(f"{across.at(x):.1f},{up.at(y):.1f}" for x, y in line["points"])
        dashes = f' stroke-dasharray="{_DASHES[index % 4]}"' if index % 4 else ""
        parts.append(f'<polyline points="{points}" class="{kind}"{dashes}/>')
        if len(line["points"]) <= 60:
            parts += [
                f'<circle cx="{across.at(x):.1f}" cy="{up.at(y):.1f}" r="2.6" class="{kind} dot">'
                f"<title>{html.escape(line['name'])}: {number(x)} {html.escape(found['x'])}, {number(y)} "
                f"{html.escape(found['y'])}</title></circle>"
                for x, y in line["points"]
            ]
    parts += _legend([line["name"] for line in lines], left, height - 8)
    return _svg(height, found["title"], parts)


def _legend(names: Sequence[str], left: float, y: float) -> list[str]:
    if len(names) < 2:
        return []
    parts, x = [], left
    for index, name in enumerate(names):
        dashes = f' stroke-dasharray="{_DASHES[index % 4]}"' if index % 4 else ""
        parts.append(
            f'<line x1="{x:.0f}" y1="{y - 4:.0f}" x2="{x + 26:.0f}" y2="{y - 4:.0f}" class="line-{index % 4}"{dashes}/>'
        )
        parts.append(_text(x + 32, y, name, "axis"))
        x += 48 + 6.6 * len(name)
    return parts


def noise(cases: Sequence[CaseResult], began_s: float, at_s: Mapping[str, float]) -> str:
    """CPU of other programs and steal beside every run, in the order of time.

    Args:
        cases: with their runs.
        began_s: when the first run began, Unix seconds.
        at_s: Unix seconds of each `began` in the runs.
    """
    found = sorted(
        ((at_s[run.began], case.key, run) for case in cases for run in case.runs), key=lambda one: (one[0], one[1])
    )
    if not found:
        return ""
    height, left = 130.0, 64.0
    last = max(at - began_s + run.wall_s for at, _, run in found)
    across = _Axis([0.0, max(last / 60, 0.1)], left, _WIDTH - _RIGHT)
    across.log = False
    up = _Axis([0.0, 0.5, *(run.others_cores for _, _, run in found)], height - 36, 16)
    parts = [_text(0, 11, "cores taken by other programs", "axis")]
    for tick in across.ticks(8):
        parts += [
            _line(across.at(tick), 16, across.at(tick), height - 36, "grid"),
            _text(across.at(tick), height - 22, number(tick), "axis", "middle"),
        ]
    for tick in up.ticks(4):
        parts += [
            _line(left, up.at(tick), _WIDTH - _RIGHT, up.at(tick), "grid"),
            _text(left - 8, up.at(tick) + 4, number(tick), "axis", "end"),
        ]
    for at, key, run in found:
        x = across.at((at - began_s) / 60)
        width = max(1.5, across.at((at - began_s + run.wall_s) / 60) - x - 0.6)
        y = min(up.at(run.others_cores), height - 37.5)
        told = f"{key}, run {run.number + 1}: others {run.others_cores:.2f} cores, steal {100 * run.steal:.1f} %"
        if run.busy:
            told += f"; busy: {'; '.join(run.busy)}"
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height - 36 - y:.1f}" '
            f'class="{"busy-bar" if run.busy else "quiet-bar"}"><title>{html.escape(told)}</title></rect>'
        )
    parts.append(_text(_WIDTH - _RIGHT, height - 6, "minutes since the first run", "axis", "end"))
    return _svg(height, "what other programs took beside each run", parts)
