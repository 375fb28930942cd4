"""The rooms that virtual cameras look at: background, doors and seats, drawn from a seed.

A scene is what never moves. What moves in it is a `Script` (`edusense.sim.script`), and a `Stage`
(`edusense.sim.stage`) draws both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from edusense.errors import UsageError
from edusense.sim.sprites import to_planes

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.sim.sprites import Plane

__all__ = ["KINDS", "Rect", "Scene", "Seat"]

_Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Rect:
    """A rectangle in pixels: left, top, width, height."""

    x: int
    y: int
    w: int
    h: int

    def union(self, other: Rect) -> Rect:
        """The smallest rectangle around both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        return Rect(x, y, max(self.x + self.w, other.x + other.w) - x, max(self.y + self.h, other.y + other.h) - y)

    def within(self, width: int, height: int) -> Rect:
        """The part of it that lies in a picture of this size; empty (w or h 0) where none does."""
        x, y = min(max(self.x, 0), width), min(max(self.y, 0), height)
        return Rect(x, y, max(0, min(self.x + self.w, width) - x), max(0, min(self.y + self.h, height) - y))

    def as_list(self) -> list[int]:
        """`[x, y, w, h]`."""
        return [self.x, self.y, self.w, self.h]


@dataclass(frozen=True)
class Seat:
    """A place where somebody may sit: where the feet are, in pixels, and how tall a person standing there would be."""

    x: int
    y: int
    height: int


@dataclass(frozen=True)
class Scene:
    """A world without people: three planes and the places in it.

    Attributes:
        kind: one of `KINDS`.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        seed: what it was drawn from.
        planes: Y, U, V of 4:2:0; luma within `sprites.DARKEST` to `LIGHTEST`.
        seats: where people may sit, far ones first.
        doorway: an open door through which passers-by are seen; None where there is none.
        door: a closed door that may open; None where there is none.
        horizon: the height of the picture, as a share from the top, where the ground begins.
    """

    kind: str
    width: int
    height: int
    seed: int
    planes: tuple[Plane, Plane, Plane]
    seats: tuple[Seat, ...]
    doorway: Rect | None
    door: Rect | None
    horizon: float

    @classmethod
    def draw(cls, kind: str = "room", *, width: int = 640, height: int = 360, seed: int = 0) -> Scene:
        """Draws a scene.

        Args:
            kind: one of `KINDS`.
            width: pixels, even.
            height: pixels, even.
            seed: the same seed draws the same scene.

        Raises:
            UsageError: an unknown kind, or an impossible size.
        """
        if kind not in KINDS:
            raise UsageError(f"there is no scene `{kind}`", hint=f"scenes are: {', '.join(KINDS)}")
        if width % 2 or height % 2 or not 128 <= width <= 4096 or not 96 <= height <= 2304:
            raise UsageError(
                f"a picture of `{width}x{height}` cannot be drawn", hint="even numbers between 128x96 and 4096x2304"
            )
        rng = np.random.default_rng([seed, KINDS_INDEX[kind]])
        canvas = _Canvas(width, height, rng)
        KINDS[kind](canvas)
        return canvas.finish(kind, seed)

    def ground(self, tall: float) -> int:
        """Where the feet of somebody `tall` pixels high touch the ground: nearer people are larger and lower."""
        share = min(1.0, tall / self.height)
        return min(self.height + round(0.05 * tall), round(self.height * (self.horizon + 0.12 + 0.62 * share)))


class _Canvas:
    """Something to paint a scene on, in shares of the picture."""

    def __init__(self, width: int, height: int, rng: np.random.Generator) -> None:
        self.width, self.height, self.rng = width, height, rng
        self.image = Image.new("RGB", (width, height), (150, 148, 140))
        self.pen = ImageDraw.Draw(self.image)
        self.seats: list[Seat] = []
        self.doorway: Rect | None = None
        self.door: Rect | None = None
        self.horizon = 0.4
        self.mirrored = bool(rng.random() < 0.5)

    def colour(self, base: _Colour, spread: int = 14) -> _Colour:
        """About this colour."""
        shift = int(self.rng.integers(-spread, spread + 1))
        red, green, blue = (int(np.clip(part + shift + self.rng.integers(-5, 6), 0, 255)) for part in base)
        return red, green, blue

    def px(self, x: float, y: float) -> tuple[float, float]:
        return ((1 - x if self.mirrored else x) * self.width, y * self.height)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: _Colour, outline: _Colour | None = None) -> Rect:
        (left, top), (right, bottom) = self.px(x0, y0), self.px(x1, y1)
        left, right = sorted((left, right))
        width = max(1, self.width // 320)
        self.pen.rectangle([left, top, right, bottom], fill=fill, outline=outline, width=width)
        return Rect(int(left) & ~1, int(top) & ~1, int(right - left) & ~1, int(bottom - top) & ~1)

    def shape(self, points: list[tuple[float, float]], fill: _Colour) -> None:
        self.pen.polygon([self.px(*point) for point in points], fill=fill)

    def stroke(self, points: list[tuple[float, float]], fill: _Colour, width: float = 0.004) -> None:
        self.pen.line([self.px(*point) for point in points], fill=fill, width=max(1, round(width * self.width)))

    def seat(self, x: float, y: float, tall: float, chair: _Colour) -> None:
        """A chair with its seat; `tall` is a person's standing height as a share of the picture."""
        half = 0.17 * tall * self.height / self.width
        self.box(x - half, y - 0.62 * tall, x + half, y - 0.20 * tall, chair, self.colour((60, 50, 44)))
        for side in (-0.8, 0.8):
            self.stroke([(x + side * half, y - 0.2 * tall), (x + side * half, y)], (60, 58, 58), 0.005)
        across, down = self.px(x, y)
        self.seats.append(Seat(round(across), round(down), round(tall * self.height / 2) * 2))

    def passage(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """An open doorway: what is behind it is darker or brighter than the wall."""
        self.box(x0 - 0.012, y0 - 0.015, x1 + 0.012, y1, self.colour((92, 70, 50)))
        inside = self.colour((70, 76, 84)) if self.rng.random() < 0.6 else self.colour((196, 196, 186))
        self.doorway = self.box(x0, y0, x1, y1, inside)
        self.box(x0, y1 - 0.06, x1, y1, self.colour((104, 96, 88)))

    def closed_door(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """A door leaf that may swing open."""
        leaf = self.colour((134, 98, 62))
        self.door = self.box(x0, y0, x1, y1, leaf, self.colour((70, 50, 34)))
        self.box(x0 + 0.015, y0 + 0.05, x1 - 0.015, y0 + 0.2, self.colour((118, 86, 54)))
        self.box(x1 - 0.022, (y0 + y1) / 2, x1 - 0.008, (y0 + y1) / 2 + 0.03, (206, 196, 150))

    def finish(self, kind: str, seed: int) -> Scene:
        smooth = self.image.filter(ImageFilter.GaussianBlur(0.6))
        rgb = np.asarray(smooth).astype(np.float32)
        # Light falls off towards the corners, and surfaces have grain at two scales: without them a background costs an
        # encoder nothing.
        down, across = np.mgrid[0 : self.height, 0 : self.width].astype(np.float32)
        away = ((across / self.width - 0.5) ** 2 + (down / self.height - 0.45) ** 2) * 0.5
        coarse = self.rng.normal(0, 1, (self.height // 8 + 2, self.width // 8 + 2)).astype(np.float32)
        blot = np.asarray(Image.fromarray(coarse).resize((self.width, self.height), Image.Resampling.BICUBIC))
        fine = self.rng.normal(0, 1, (self.height, self.width)).astype(np.float32)
        rgb = rgb * (1.06 - away)[..., None] + (3.0 * blot + 1.6 * fine)[..., None]
        planes = to_planes(np.clip(rgb, 0, 255).astype(np.uint8))
        for plane in planes:
            plane.setflags(write=False)
        seats = tuple(sorted(self.seats, key=lambda seat: seat.y))
        return Scene(kind, self.width, self.height, seed, planes, seats, self.doorway, self.door, self.horizon)


def _room(c: _Canvas) -> None:
    """A classroom from its front corner: windows, board, rows of desks."""
    wall = c.colour((176, 172, 156), 24)
    c.box(0, 0, 1, 1, wall)
    c.horizon = 0.40
    c.shape([(0, 0.62), (0.3, 0.42), (1, 0.42), (1, 1), (0, 1)], c.colour((128, 106, 84), 20))
    for line in np.linspace(0.46, 0.98, 8):
        c.stroke([(0, 0.1 + line), (1, line)], c.colour((108, 90, 70)), 0.002)
    for left in (0.36, 0.52, 0.68):
        c.box(left, 0.08, left + 0.12, 0.30, c.colour((214, 220, 224), 8), (120, 116, 110))
        c.stroke([(left + 0.06, 0.08), (left + 0.06, 0.30)], (130, 126, 120))
    c.box(0.03, 0.16, 0.20, 0.44, c.colour((48, 74, 60), 10), (110, 84, 54))
    for line in range(3):
        c.stroke(
            [(0.05, 0.22 + 0.06 * line), (0.05 + float(c.rng.uniform(0.06, 0.12)), 0.22 + 0.06 * line)],
            (150, 164, 154),
            0.002,
        )
    c.passage(0.845, 0.12, 0.955, 0.60)
    c.closed_door(0.225, 0.12, 0.305, 0.52)
    top = c.colour((176, 136, 88))
    for row, (y, tall) in enumerate(((0.60, 0.30), (0.78, 0.38), (0.97, 0.46))):
        for column in range(3 if row < 2 else 2):
            x = 0.18 + 0.25 * column + 0.06 * row
            c.seat(x, y, tall, c.colour((96, 84, 72), 20))
            desk = x + 0.13 * (0.8 + 0.2 * row)
            c.box(desk - 0.045, y - 0.42 * tall, desk + 0.05, y - 0.36 * tall, top)
            c.box(desk - 0.04, y - 0.36 * tall, desk - 0.03, y, (70, 66, 62))
            c.box(desk + 0.035, y - 0.36 * tall, desk + 0.045, y, (70, 66, 62))


def _corridor(c: _Canvas) -> None:
    """A corridor in perspective with doors, lockers and a window at its end."""
    c.horizon = 0.36
    c.box(0, 0, 1, 1, c.colour((168, 170, 164), 20))
    c.shape([(0, 0), (1, 0), (0.62, 0.22), (0.38, 0.22)], c.colour((196, 196, 192)))
    c.shape([(0, 1), (1, 1), (0.62, 0.50), (0.38, 0.50)], c.colour((120, 116, 108), 24))
    c.box(0.38, 0.22, 0.62, 0.50, c.colour((182, 178, 164)))
    c.box(0.45, 0.26, 0.55, 0.40, c.colour((218, 222, 226), 6), (120, 116, 110))
    tile = c.colour((98, 94, 88))
    for x in np.linspace(0, 1, 9):
        c.stroke([(float(x), 1), (0.38 + 0.24 * float(x), 0.50)], tile, 0.002)
    for y in (0.54, 0.60, 0.69, 0.82):
        edge = (y - 0.5) / 0.5 * 0.38
        c.stroke([(0.38 - edge, y), (0.62 + edge, y)], tile, 0.002)
    for near, far, lift in ((0.04, 0.13, 0.0), (0.20, 0.26, 0.02)):
        c.shape(
            [(near, 0.22 - lift), (far, 0.27 - lift), (far, 0.83 - far), (near, 0.95 - near)], c.colour((126, 92, 60))
        )
    c.passage(0.80, 0.24, 0.92, 0.90)
    c.closed_door(0.655, 0.26, 0.735, 0.68)
    c.box(0.28, 0.30, 0.34, 0.60, c.colour((66, 96, 128)), (40, 60, 80))
    bench = c.colour((110, 84, 58))
    c.seat(0.34, 0.88, 0.44, bench)
    c.seat(0.47, 0.72, 0.32, bench)


def _canteen(c: _Canvas) -> None:
    """A canteen: counter with trays, tables, a tiled wall."""
    c.horizon = 0.38
    c.box(0, 0, 1, 1, c.colour((186, 184, 172), 20))
    for x in np.linspace(0, 1, 26):
        c.stroke([(float(x), 0), (float(x), 0.4)], c.colour((170, 168, 158)), 0.0015)
    for y in np.linspace(0.03, 0.39, 9):
        c.stroke([(0, float(y)), (1, float(y))], c.colour((170, 168, 158)), 0.0015)
    c.box(0, 0.42, 1, 1, c.colour((138, 128, 116), 20))
    c.box(0.02, 0.34, 0.44, 0.58, c.colour((150, 154, 158)), (90, 92, 96))
    for left in np.linspace(0.04, 0.36, 6):
        c.box(float(left), 0.30, float(left) + 0.04, 0.35, c.colour((190, 110, 60), 40))
    c.passage(0.83, 0.14, 0.95, 0.62)
    c.closed_door(0.62, 0.14, 0.71, 0.56)
    c.box(0.50, 0.12, 0.58, 0.30, c.colour((206, 200, 120)), (120, 110, 60))
    for x, y, tall in (
        (0.20, 0.80, 0.36),
        (0.45, 0.78, 0.36),
        (0.70, 0.82, 0.38),
        (0.32, 0.98, 0.46),
        (0.62, 0.98, 0.46),
    ):
        c.seat(x, y, tall, c.colour((84, 92, 104), 24))
        c.box(x + 0.05, y - 0.4 * tall, x + 0.15, y - 0.34 * tall, c.colour((196, 190, 176)))
        c.box(x + 0.095, y - 0.34 * tall, x + 0.105, y, (80, 80, 80))


def _hall(c: _Canvas) -> None:
    """An entrance hall: glass front, columns, notice boards."""
    c.horizon = 0.44
    c.box(0, 0, 1, 1, c.colour((160, 156, 150), 24))
    c.box(0, 0.48, 1, 1, c.colour((116, 112, 110), 20))
    for y in (0.54, 0.62, 0.73, 0.88):
        c.stroke([(0, y), (1, y)], c.colour((100, 96, 94)), 0.002)
    for x in np.linspace(0.1, 0.5, 4):
        c.box(float(x), 0.06, float(x) + 0.11, 0.44, c.colour((206, 214, 218), 10), (96, 98, 102))
    for x in (0.06, 0.56):
        c.box(x, 0, x + 0.035, 0.62, c.colour((140, 134, 126)), (110, 106, 100))
    c.passage(0.82, 0.16, 0.95, 0.70)
    c.closed_door(0.655, 0.16, 0.735, 0.62)
    c.box(0.74, 0.2, 0.80, 0.4, c.colour((184, 150, 96)), (96, 74, 44))
    bench = c.colour((104, 80, 56))
    for x in (0.16, 0.30, 0.44):
        c.seat(x, 0.86, 0.40, bench)


def _gym(c: _Canvas) -> None:
    """A gym: wooden floor with lines, wall bars, a basket."""
    c.horizon = 0.34
    c.box(0, 0, 1, 1, c.colour((190, 182, 160), 16))
    c.box(0, 0.40, 1, 1, c.colour((164, 122, 76), 16))
    for y in np.linspace(0.43, 0.99, 12):
        c.stroke([(0, float(y)), (1, float(y))], c.colour((150, 110, 68)), 0.0015)
    c.stroke([(0.1, 0.95), (0.25, 0.5), (0.75, 0.5), (0.9, 0.95)], c.colour((206, 204, 196)), 0.006)
    c.stroke([(0.5, 0.42), (0.5, 1)], c.colour((70, 90, 140)), 0.006)
    for left in (0.04, 0.16):
        for y in np.linspace(0.08, 0.38, 8):
            c.stroke([(left, float(y)), (left + 0.1, float(y))], (110, 76, 44), 0.004)
    c.box(0.44, 0.06, 0.56, 0.20, c.colour((216, 216, 212)), (150, 40, 36))
    c.passage(0.86, 0.14, 0.96, 0.56)
    c.closed_door(0.66, 0.14, 0.75, 0.52)
    bench = c.colour((120, 90, 58))
    for x in (0.14, 0.28, 0.74):
        c.seat(x, 0.74, 0.34, bench)


KINDS: dict[str, Callable[[_Canvas], None]] = {
    "room": _room, "corridor": _corridor, "canteen": _canteen, "hall": _hall, "gym": _gym,
}  # fmt: skip
"""Scenes by name: what `--scene` takes."""

KINDS_INDEX = {name: index for index, name in enumerate(KINDS)}
