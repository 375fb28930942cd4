"""A drawing of boxes, lines and words that becomes SVG for a page and PNG for everything else, the same in both.

Drawn here, so that nothing is needed but Pillow: no plotting package, no network, no fonts of a page's own.
"""

from __future__ import annotations

import html
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.ImageFont import FreeTypeFont, ImageFont

__all__ = ["Drawing"]

Anchor = Literal["start", "middle", "end"]
_SCALE: Final = 2
"""Pixels of the PNG for each unit: sharp on paper, too."""
_FONTS: Final = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf")
"""Looked for in the machine's folders: Kazakh letters stand in names of classes. Pillow's own has Latin ones alone."""
_PILLOW: Final[dict[Anchor, str]] = {"start": "ls", "middle": "ms", "end": "rs"}


@dataclass(frozen=True)
class _Box:
    x: float
    y: float
    width: float
    height: float
    fill: str
    title: str | None
    hatched: str | None


@dataclass(frozen=True)
class _Line:
    points: tuple[tuple[float, float], ...]
    stroke: str
    width: float


@dataclass(frozen=True)
class _Words:
    x: float
    y: float
    text: str
    size: float
    anchor: Anchor
    fill: str


class Drawing:
    """A drawing, made from back to front.

    Args:
        width: in units, one pixel of a page each.
        height: likewise.
        title: what it shows, for who cannot see it.

    >>> drawing = Drawing(100, 40, "an example")
    >>> drawing.box(0, 0, 50, 40, "#0b5cad", title="half of it")
    >>> drawing.words(50, 20, "1А & 1Б", anchor="middle")
    >>> drawing.to_svg().count("<rect"), drawing.to_png()[:4]
    (2, b'\\x89PNG')
    """

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self._parts: list[_Box | _Line | _Words] = []

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        *,
        title: str | None = None,
        hatched: str | None = None,
    ) -> None:
        """A filled box.

        Args:
            x: its left.
            y: its top.
            width: to the right.
            height: downwards.
            fill: `#rrggbb`.
            title: what it stands for; a page shows it below the pointer.
            hatched: colour of strokes across it: what must be seen without colours, too.
        """
        self._parts.append(_Box(x, y, max(0.0, width), max(0.0, height), fill, title, hatched))

    def line(self, points: Sequence[tuple[float, float]], stroke: str = "#1b1f27", width: float = 1.5) -> None:
        """A line through points."""
        if len(points) > 1:
            self._parts.append(_Line(tuple(points), stroke, width))

    def words(
        self, x: float, y: float, text: str, *, size: float = 12, anchor: Anchor = "start", fill: str = "#1b1f27"
    ) -> None:
        """A line of text that stands on `y`."""
        self._parts.append(_Words(x, y, text, size, anchor, fill))

    def to_svg(self) -> str:
        """As SVG that stands in a page of its own accord: no style sheet, no script."""
        told = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(self.width)} {_n(self.height)}" '
            f'width="{_n(self.width)}" height="{_n(self.height)}" role="img" '
            f'font-family="Noto Sans, DejaVu Sans, sans-serif">',
            f"<title>{html.escape(self.title)}</title>",
            f'<rect width="{_n(self.width)}" height="{_n(self.height)}" fill="#ffffff"/>',
        ]
        told += [line for part in self._parts for line in _svg(part)]
        return "\n".join([*told, "</svg>"])

    def to_png(self) -> bytes:
        """As PNG, twice as many pixels in each direction as units."""
        from PIL import Image, ImageDraw

        picture = Image.new("RGB", (round(self.width * _SCALE), round(self.height * _SCALE)), "#ffffff")
        pen = ImageDraw.Draw(picture)
        fonts: dict[float, FreeTypeFont | ImageFont] = {}
        for part in self._parts:
            match part:
                case _Box():
                    left, top = part.x * _SCALE, part.y * _SCALE
                    right, bottom = left + part.width * _SCALE, top + part.height * _SCALE
                    if right - left >= 1 and bottom - top >= 1:
                        pen.rectangle((left, top, right - 1, bottom - 1), fill=part.fill)
                    for start, stop in _strokes(part):
                        pen.line([(x * _SCALE, y * _SCALE) for x, y in (start, stop)], fill=part.hatched, width=_SCALE)
                case _Line():
                    pen.line(
                        [(x * _SCALE, y * _SCALE) for x, y in part.points],
                        fill=part.stroke,
                        width=max(1, round(part.width * _SCALE)),
                    )
                case _Words():
                    font = fonts.setdefault(part.size, _font(part.size * _SCALE))
                    at = (part.x * _SCALE, part.y * _SCALE)
                    pen.text(at, part.text, fill=part.fill, font=font, anchor=_PILLOW[part.anchor])
        written = io.BytesIO()
        picture.save(written, "PNG", optimize=True)
        return written.getvalue()


def _strokes(box: _Box) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Strokes from below on the left to above on the right, cut to a box."""
    if box.hatched is None:
        return []
    found = []
    step, at = 5.0, 5.0
    while at < box.width + box.height:
        start = (box.x + max(0.0, at - box.height), box.y + min(at, box.height))
        stop = (box.x + min(at, box.width), box.y + max(0.0, at - box.width))
        found.append((start, stop))
        at += step
    return found


def _svg(part: _Box | _Line | _Words) -> list[str]:
    match part:
        case _Box():
            place = f'x="{_n(part.x)}" y="{_n(part.y)}" width="{_n(part.width)}" height="{_n(part.height)}"'
            inside = "/>" if part.title is None else f"><title>{html.escape(part.title)}</title></rect>"
            strokes = [
                f'<path d="M{_n(x)} {_n(y)}L{_n(right)} {_n(top)}" stroke="{part.hatched}"/>'
                for (x, y), (right, top) in _strokes(part)
            ]
            return [f'<rect {place} fill="{part.fill}"{inside}', *strokes]
        case _Line():
            points = " ".join(f"{_n(x)},{_n(y)}" for x, y in part.points)
            return [f'<polyline points="{points}" fill="none" stroke="{part.stroke}" stroke-width="{_n(part.width)}"/>']
        case _Words():
            how = f'font-size="{_n(part.size)}" text-anchor="{part.anchor}" fill="{part.fill}"'
            return [f'<text x="{_n(part.x)}" y="{_n(part.y)}" {how}>{html.escape(part.text)}</text>']


def _n(value: float) -> str:
    """A number as short as it can be written.

    >>> _n(3.0), _n(2.345)
    ('3', '2.35')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _font(size: float) -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    for name in _FONTS:
        try:
            return ImageFont.truetype(name, round(size))
        except OSError:
            continue
    return ImageFont.load_default(round(size))
