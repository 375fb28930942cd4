"""The timeline: what moved before which camera when, as a drawing of cameras by time."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw, ImageFont

from edusense.video.pages import page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Bar", "Timeline"]

WIDTH = 1280
_LEFT, _RIGHT, _TOP = 150, 60, 62
_ROW, _BAR = 20, 14
_PAPER = (28, 30, 34)
_INK = (236, 236, 236)
_FAINT = (165, 168, 174)
_LINE = (62, 66, 73)
_HOLE = (42, 45, 51)
_CLEAR = (110, 160, 245)
_STEPS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)
_MOST_TICKS = 12
_LEAST_PX = 2.0


@dataclass(frozen=True)
class Bar:
    """Something that moved.

    Attributes:
        row: before which camera, or in which file.
        start_s: when it began.
        end_s: when it ended.
        score: how clear it was, 0 to 1.
        id: the event's id, where it has one.
    """

    row: str
    start_s: float
    end_s: float
    score: float
    id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The bar as `edusense video timeline --json` prints it."""
        told: dict[str, Any] = {"row": self.row, "start_s": round(self.start_s, 3), "end_s": round(self.end_s, 3)}
        return told | {"score": round(self.score, 3)} | ({} if self.id is None else {"id": self.id})


@dataclass(frozen=True)
class Timeline:
    """Events of cameras, or files, over a span of time.

    Attributes:
        title: what stands above.
        rows: cameras or files, in their order; those without an event too.
        bars: what moved.
        start_s: where the drawing begins: Unix seconds, or a file's.
        end_s: where it ends.
        zone: the time zone of Unix seconds; None: seconds are a file's own.
    """

    title: str
    rows: Sequence[str]
    bars: Sequence[Bar]
    start_s: float
    end_s: float
    zone: datetime.tzinfo | None = None

    def draw(self) -> Image.Image:
        """The drawing as one picture."""
        height = _TOP + max(1, len(self.rows)) * _ROW + 12
        drawn = Image.new("RGB", (WIDTH, height), _PAPER)
        draw = ImageDraw.Draw(drawn)
        small = ImageFont.load_default(12)
        draw.text((12, 10), self.title, _INK, ImageFont.load_default(18))
        bottom = _TOP + len(self.rows) * _ROW
        for index, name in enumerate(self.rows):
            y = _TOP + index * _ROW
            draw.rectangle((_LEFT, y, WIDTH - _RIGHT, y + _BAR), fill=_HOLE)
            shown = _end(name, lambda text: draw.textlength(text, small) <= _LEFT - 20)
            draw.text((_LEFT - 8, y + _BAR / 2), shown, _INK, small, anchor="rm")
            count = self._count(name)
            draw.text((WIDTH - _RIGHT + 8, y + _BAR / 2), str(count), _INK if count else _FAINT, small, anchor="lm")
        for at_s, text in self._ticks():
            x = self._x(at_s)
            draw.line((x, _TOP - 5, x, bottom), fill=_LINE)
            draw.text((x, _TOP - 8), text, _FAINT, small, anchor="ms")
        for left, y, width, bar in self._placed():
            share = 0.45 + 0.55 * min(max(bar.score, 0.0), 1.0)
            colour = tuple(round(hole + (clear - hole) * share) for hole, clear in zip(_HOLE, _CLEAR, strict=True))
            draw.rectangle((left, y, left + width - 1, y + _BAR), fill=colour)
        return drawn

    def page(self) -> str:
        """The drawing as a page of its own: one file, without network."""
        rows = [
            {
                "name": _end(name, lambda text: len(text) <= 20),
                "y": _TOP - 24 + index * _ROW,
                "count": self._count(name),
            }
            for index, name in enumerate(self.rows)
        ]
        bars = []
        for left, y, width, bar in self._placed():
            title = f"{bar.row}: {self._moment(bar.start_s)} to {self._moment(bar.end_s)}, score {bar.score:.2f}"
            bars.append(
                {
                    "x": round(left, 2),
                    "y": y - 24,
                    "width": round(width, 2),
                    "height": _BAR,
                    "opacity": round(0.45 + 0.55 * min(max(bar.score, 0.0), 1.0), 2),
                    "title": title + ("" if bar.id is None else f", {bar.id}"),
                }
            )
        return page(
            "timeline.html.j2",
            title=self.title,
            rows=rows,
            bars=bars,
            ticks=[{"x": round(self._x(at_s), 2), "text": text} for at_s, text in self._ticks()],
            count=len(bars),
            span=_span(self.end_s - self.start_s),
            width=WIDTH,
            height=_TOP - 24 + max(1, len(self.rows)) * _ROW + 12,
            left=_LEFT,
            right=WIDTH - _RIGHT,
            top=_TOP - 24,
            bar=_BAR,
        )

    def _count(self, name: str) -> int:
        return sum(bar.row == name for bar in self._seen())

    def _seen(self) -> list[Bar]:
        return [bar for bar in self.bars if bar.end_s >= self.start_s and bar.start_s <= self.end_s]

    def _x(self, at_s: float) -> float:
        share = (at_s - self.start_s) / max(self.end_s - self.start_s, 1e-9)
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * min(max(share, 0.0), 1.0)

    def _placed(self) -> list[tuple[float, int, float, Bar]]:
        places = {name: _TOP + index * _ROW for index, name in enumerate(self.rows)}
        placed = []
        for bar in self._seen():
            if bar.row in places:
                left = min(self._x(bar.start_s), WIDTH - _RIGHT - _LEAST_PX)
                placed.append((left, places[bar.row], max(_LEAST_PX, self._x(bar.end_s) - left), bar))
        return placed

    def _ticks(self) -> list[tuple[float, str]]:
        span_s = self.end_s - self.start_s
        step = next((step for step in _STEPS_S if span_s / step <= _MOST_TICKS), _STEPS_S[-1])
        offset = 0.0
        if self.zone is not None:
            away = datetime.datetime.fromtimestamp(self.start_s, self.zone).utcoffset()
            offset = 0.0 if away is None else away.total_seconds()  # ticks at full hours of the school's clock
        first = -(-(self.start_s + offset) // step) * step - offset
        count = int((self.end_s - first) // step) + 1 if first <= self.end_s else 0
        return [(first + index * step, self._tick(first + index * step, step)) for index in range(count)]

    def _tick(self, at_s: float, step: float) -> str:
        if self.zone is None:
            return _clock(at_s)
        local = datetime.datetime.fromtimestamp(at_s, self.zone)
        if step >= 86_400 or (step >= 21_600 and local.hour == 0):
            return local.strftime("%d %b")
        return local.strftime("%H:%M" if step >= 60 else "%H:%M:%S")

    def _moment(self, at_s: float) -> str:
        if self.zone is None:
            return f"{at_s:.1f} s"
        return datetime.datetime.fromtimestamp(at_s, self.zone).strftime("%Y-%m-%d %H:%M:%S")


def _clock(at_s: float) -> str:
    """A file's seconds as `1:02:03`.

    >>> _clock(5), _clock(3723)
    ('0:05', '1:02:03')
    """
    minutes, seconds = divmod(round(at_s), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 60 else f"{minutes}:{seconds:02}"


def _end(name: str, fits: Callable[[str], bool]) -> str:
    """The name, or as much of its end as there is room for.

    >>> _end("a-very-long-name.mp4", lambda text: len(text) <= 12)
    '...-name.mp4'
    """
    if fits(name):
        return name
    while name and not fits("..." + name):
        name = name[1:]
    return "..." + name


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
