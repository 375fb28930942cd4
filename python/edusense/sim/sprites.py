"""People and things that move through a virtual camera's picture: drawn once per pose and height."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    import numpy.typing as npt

    Plane = npt.NDArray[np.uint8]
    Mask = npt.NDArray[np.bool_]

__all__ = ["DARKEST", "LIGHTEST", "Look", "Sprite", "ball", "person", "to_planes"]

DARKEST, LIGHTEST = 30, 222
"""Luma of everything drawn stays between these, so that noise, drift and flicker can be added without wrapping."""

WALK_POSES = 8
SEATED = -1
STANDING = -2

_Colour = tuple[int, int, int]
_SKIN: tuple[_Colour, ...] = ((224, 178, 142), (206, 154, 118), (236, 196, 164), (186, 134, 98))
_HAIR: tuple[_Colour, ...] = ((30, 24, 22), (52, 38, 28), (84, 58, 36), (24, 24, 30))
_TOPS: tuple[_Colour, ...] = (
    (28, 34, 64), (236, 236, 230), (150, 32, 38), (44, 92, 60), (66, 66, 74), (214, 190, 70),
    (36, 96, 160), (120, 64, 128), (226, 226, 240), (24, 24, 26), (170, 110, 60), (90, 150, 150),
)  # fmt: skip
_LEGS: tuple[_Colour, ...] = ((22, 22, 28), (34, 42, 78), (72, 62, 54), (58, 58, 62), (24, 40, 44))


@dataclass(frozen=True)
class Sprite:
    """A figure as the encoder wants it: Y, U and V planes with masks of the pixels that belong to it."""

    y: Plane
    u: Plane
    v: Plane
    mask: Mask
    mask_c: Mask

    @property
    def width(self) -> int:
        """Width in luma pixels."""
        return int(self.y.shape[1])

    @property
    def height(self) -> int:
        """Height in luma pixels."""
        return int(self.y.shape[0])


@dataclass(frozen=True)
class Look:
    """What a person wears: enough to draw the same person again."""

    skin: _Colour
    hair: _Colour
    top: _Colour
    legs: _Colour
    pattern: str
    skirt: bool
    bag: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Look:
        """A person drawn from a generator."""

        def pick(table: tuple[_Colour, ...]) -> _Colour:
            return table[int(rng.integers(len(table)))]

        return cls(
            skin=pick(_SKIN),
            hair=pick(_HAIR),
            top=pick(_TOPS),
            legs=pick(_LEGS),
            pattern=("plain", "stripes", "checks", "vest")[int(rng.integers(4))],
            skirt=bool(rng.random() < 0.3),
            bag=bool(rng.random() < 0.4),
        )


def to_planes(rgb: npt.NDArray[np.uint8]) -> tuple[Plane, Plane, Plane]:
    """RGB to Y, U, V of 4:2:0 with BT.601 in limited range, luma kept between `DARKEST` and `LIGHTEST`.

    Args:
        rgb: `uint8[height, width, 3]`, both even.
    """
    red, green, blue = (rgb[..., index].astype(np.float32) for index in range(3))
    y = 16 + 0.257 * red + 0.504 * green + 0.098 * blue
    u = 128 - 0.148 * red - 0.291 * green + 0.439 * blue
    v = 128 + 0.439 * red - 0.368 * green - 0.071 * blue

    def half(plane: npt.NDArray[np.float32]) -> Plane:
        mean = (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) / 4
        return np.clip(mean + 0.5, 16, 240).astype(np.uint8)

    return np.clip(y + 0.5, DARKEST, LIGHTEST).astype(np.uint8), half(u), half(v)


def _sprite(image: Image.Image, texture_seed: int) -> Sprite:
    pixels = np.asarray(image)
    mask = pixels[..., 3] > 127
    rng = np.random.default_rng(texture_seed)
    # Cloth is never one flat value: without texture an encoder spends fewer bits on a person than on a real one.
    grain = rng.normal(0, 5, (pixels.shape[0] // 2, pixels.shape[1] // 2)).repeat(2, 0).repeat(2, 1)
    rgb = np.clip(pixels[..., :3].astype(np.float32) + grain[..., None], 0, 255).astype(np.uint8)
    y, u, v = to_planes(rgb)
    return Sprite(y, u, v, mask, mask[::2, ::2] & mask[1::2, 1::2])


def _even(value: float) -> int:
    return max(2, round(value / 2) * 2)


@functools.lru_cache(maxsize=2048)
def person(look: Look, height: int, pose: int, right: bool = True) -> Sprite:
    """A person of a standing height of `height` pixels.

    Args:
        look: what the person wears.
        height: standing height in pixels; a seated person's sprite is lower.
        pose: 0 to `WALK_POSES - 1` for a step's phases, `SEATED` or `STANDING`.
        right: walking to the right.

    Returns:
        The sprite; its lower edge is the ground, its middle the person's.
    """
    seated = pose == SEATED
    tall = _even(height * (0.74 if seated else 1.0))
    wide = _even(height * 0.46)
    image = Image.new("RGBA", (wide, tall), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    middle = wide / 2

    def at(x: float, y: float) -> tuple[float, float]:
        """Body coordinates (heights; x from the middle, y up from the ground) to pixels."""
        return (middle + x * height, tall - y * height)

    def limb(points: list[tuple[float, float]], width: float, colour: _Colour) -> None:
        pen.line(
            [at(*point) for point in points], fill=(*colour, 255), width=max(2, round(width * height)), joint="curve"
        )

    def disc(x: float, y: float, rx: float, ry: float, colour: _Colour) -> None:
        (left, top), (right_, bottom) = at(x - rx, y + ry), at(x + rx, y - ry)
        pen.ellipse([left, top, right_, bottom], fill=(*colour, 255))

    shoe = (20, 18, 18)
    if seated:
        hip, shoulder, head = 0.26, 0.56, 0.655
        limb([(-0.07, hip), (-0.10, 0.22), (-0.10, 0.02)], 0.10, look.legs)
        limb([(0.07, hip), (0.10, 0.22), (0.10, 0.02)], 0.10, look.legs)
        for x in (-0.11, 0.11):
            disc(x, 0.02, 0.06, 0.025, shoe)
        arms = [
            [(-0.12, shoulder - 0.02), (-0.17, 0.40), (-0.06, 0.30)],
            [(0.12, shoulder - 0.02), (0.17, 0.40), (0.06, 0.30)],
        ]
    else:
        hip, shoulder, head = 0.48, 0.82, 0.915
        swing = 0.0 if pose == STANDING else math.sin(2 * math.pi * pose / WALK_POSES)
        lift = 0.0 if pose == STANDING else abs(math.cos(2 * math.pi * pose / WALK_POSES)) * 0.03
        spread = 0.05 if pose == STANDING else 0.02
        for side in (-1, 1):
            foot = side * (spread + 0.15 * swing)
            knee = foot * 0.6 + 0.02 * side
            limb([(side * 0.05, hip), (knee, 0.25), (foot, 0.03 + (lift if side * swing > 0 else 0))], 0.095, look.legs)
            disc(foot + (0.02 if right else -0.02), 0.03, 0.065, 0.028, shoe)
        arms = [
            [(-0.10, shoulder - 0.02), (-0.15 - 0.08 * swing, 0.62), (-0.14 - 0.14 * swing, 0.47)],
            [(0.10, shoulder - 0.02), (0.15 - 0.08 * swing, 0.62), (0.14 - 0.14 * swing, 0.47)],
        ]
    limb(arms[0], 0.065, look.top)
    torso = [at(-0.13, shoulder), at(0.13, shoulder), at(0.115, hip), at(-0.115, hip)]
    pen.polygon(torso, fill=(*look.top, 255))
    _pattern(pen, look, at, hip, shoulder, height)
    if look.skirt and not seated:
        pen.polygon(
            [at(-0.11, hip + 0.02), at(0.11, hip + 0.02), at(0.17, hip - 0.18), at(-0.17, hip - 0.18)],
            fill=(*look.legs, 255),
        )
    limb(arms[1], 0.065, look.top)
    for arm in arms:
        disc(*arm[-1], 0.03, 0.03, look.skin)
    if look.bag and not seated:
        side = -1 if right else 1
        (left, top), (right_, bottom) = at(side * 0.15 - 0.06, 0.78), at(side * 0.15 + 0.06, 0.54)
        pen.rounded_rectangle([left, top, right_, bottom], radius=height * 0.03, fill=(78, 60, 40, 255))
    limb([(0, shoulder - 0.01), (0, head - 0.05)], 0.06, look.skin)
    disc(0, head, 0.062, 0.08, look.skin)
    disc(0, head + 0.03, 0.066, 0.055, look.hair)
    return _sprite(image, height * 31 + pose + 2)


def _pattern(pen: ImageDraw.ImageDraw, look: Look, at: Any, hip: float, shoulder: float, height: int) -> None:
    """What is on the torso: stripes, checks or an open vest over a white shirt."""
    lighter = (
        tuple(min(255, part + 60) for part in look.top)
        if sum(look.top) < 450
        else tuple(part - 70 for part in look.top)
    )
    thick = max(1, round(0.02 * height))
    if look.pattern in {"stripes", "checks"}:
        for step in range(1, 6):
            level = hip + (shoulder - hip) * step / 6
            pen.line([at(-0.12, level), at(0.12, level)], fill=(*lighter, 255), width=thick)
    if look.pattern == "checks":
        for side in (-0.07, 0.0, 0.07):
            pen.line([at(side, hip), at(side, shoulder)], fill=(*lighter, 255), width=thick)
    if look.pattern == "vest":
        pen.polygon([at(-0.035, shoulder), at(0.035, shoulder), at(0.0, hip + 0.06)], fill=(238, 238, 238, 255))


@functools.lru_cache(maxsize=512)
def ball(diameter: int, turn: int, colour: tuple[int, int, int]) -> Sprite:
    """A ball with two bright panels, turned by `turn` eighths."""
    size = _even(diameter)
    image = Image.new("RGBA", (size, size), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    pen.ellipse([0, 0, size - 1, size - 1], fill=(*colour, 255))
    for start in (0, 180):
        pen.pieslice([0, 0, size - 1, size - 1], start + turn * 45, start + turn * 45 + 70, fill=(240, 240, 235, 255))
    return _sprite(image, size + turn)
