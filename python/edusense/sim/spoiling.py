"""Pictures as cameras make them that hang wrong or are broken: black, frozen, out of focus, covered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.sim.sprites import Plane

    Paint = Callable[[Plane, Plane, Plane], None]

__all__ = ["SPOILS", "spoiled"]

SPOILS: Final = {
    "black-picture": "shows black, as with a cap on the lens or a dead sensor",
    "frozen-picture": "shows one picture again and again",
    "blurred-picture": "is out of focus",
    "covered-picture": "shows nothing but a grey surface right before the lens",
}
"""What can be wrong with a virtual camera's pictures."""

BLUR: Final = 0.016
"""Radius of the blur, of the picture's width: text of 5 % of the height can no longer be read."""


def spoiled(paint: Paint, spoil: str) -> Paint:
    """A painter whose pictures are spoiled.

    Args:
        paint: paints a picture into three planes.
        spoil: a name out of `SPOILS`.
    """
    first: list[tuple[Plane, ...]] = []
    rng = np.random.default_rng(0)

    def flat(luma: Plane, blue: Plane, red: Plane, level: float, noise: float) -> None:
        luma[:] = np.clip(rng.normal(level, noise, luma.shape), 16, 235).astype(np.uint8)
        blue[:], red[:] = 128, 128

    def painted(luma: Plane, blue: Plane, red: Plane) -> None:
        paint(luma, blue, red)
        if spoil == "black-picture":
            flat(luma, blue, red, 16.0, 0.6)
        elif spoil == "covered-picture":
            flat(luma, blue, red, 92.0, 1.5)
        elif spoil == "blurred-picture":
            soft = ImageFilter.GaussianBlur(BLUR * luma.shape[1])
            luma[:] = np.asarray(Image.fromarray(np.ascontiguousarray(luma)).filter(soft))
        elif not first:
            first.append((luma.copy(), blue.copy(), red.copy()))
        else:
            for plane, kept in zip((luma, blue, red), first[0], strict=True):
                plane[:] = kept

    return painted
