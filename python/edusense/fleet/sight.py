"""How a camera's picture looks: black, covered, out of focus. Figures of one or two pictures, nothing learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Luma = npt.NDArray[np.uint8]
    Plane = npt.NDArray[np.float32]

__all__ = ["Sight", "changed", "looked_at", "sharpness"]

BLACK: Final = 26.0
"""Mean luma (16 is black in video range) below which a picture without contrast is black."""
FLAT: Final = 6.0
"""Grey levels between parts of a picture below which there is nothing to be seen in it."""
SOFT: Final = 0.15
"""Sharpness below which a picture is out of focus: edges are five pixels wide and more, of 640."""
REACH: Final = 4
EDGES: Final = 0.01
"""Share of a picture that is taken for edges."""
WIDTH: Final = 640
"""Pictures are brought down to about this width first: that takes the noise out, which is as sharp as any edge."""
BLOCK: Final = 16


@dataclass(frozen=True, slots=True)
class Sight:
    """What a picture is like.

    Args:
        brightness: mean luma, 0 to 255.
        contrast: spread of the means of its parts, in grey levels.
        sharpness: 0 (nothing but blur) to 1.
    """

    brightness: float
    contrast: float
    sharpness: float

    @property
    def fault(self) -> str | None:
        """`black`, `covered`, `blurred`; None where there is a picture to see."""
        if self.contrast < FLAT:
            return "black" if self.brightness < BLACK else "covered"
        return "blurred" if self.sharpness < SOFT else None


def looked_at(luma: Luma) -> Sight:
    """Looks at one picture.

    Args:
        luma: `uint8[height, width]`.
    """
    small = _small(luma)
    parts = _parts(small)
    return Sight(round(float(small.mean()), 1), round(float(parts.std()), 2), round(sharpness(luma), 3))


def sharpness(luma: Luma) -> float:
    """How sharp a picture is, 0 to 1: how steep its strongest edges are, whatever their height.

    An edge is found where the picture is steep after averaging over nine pixels, and its greatest step between two
    neighbours is held against its height: all of it for a perfect edge, a ninth for one that is nine pixels wide. Along
    the edge nine pixels are averaged, so that the noise of a sensor does not pass for sharpness; what is left of it is
    taken off by what the flat parts of the picture have. It asks neither for a reference nor for contrast.

    Args:
        luma: `uint8[height, width]`.
    """
    small = _small(luma)
    if min(small.shape) < 4 * REACH + 4:
        return 0.0
    return float(np.mean([_steepness(small), _steepness(np.ascontiguousarray(small.T))]))


def changed(one: Luma, other: Luma) -> float:
    """By how much two pictures of a stream differ: grey levels of the part that differs most.

    Args:
        one: `uint8[height, width]`.
        other: of the same size; of another, they differ entirely.
    """
    if one.shape != other.shape:
        return 255.0
    # Parts of the differences, not differences of the parts: noise has no mean.
    return float(_parts(np.abs(one.astype(np.float32) - other.astype(np.float32))).max())


def _small(luma: Luma) -> Plane:
    step = max(1, round(luma.shape[1] / WIDTH))
    height, width = (size // step * step for size in luma.shape)
    cut = luma[:height, :width].reshape(height // step, step, width // step, step)
    small: Plane = cut.mean(axis=(1, 3), dtype=np.float32)
    return small


def _parts(plane: Plane) -> Plane:
    height, width = (max(size // BLOCK * BLOCK, min(size, BLOCK)) for size in plane.shape)
    block = (min(BLOCK, height), min(BLOCK, width))
    cut = plane[:height, :width].reshape(height // block[0], block[0], width // block[1], block[1])
    parts: Plane = cut.mean(axis=(1, 3), dtype=np.float32)
    return parts


def _steepness(plane: Plane) -> float:
    """Sharpness from row to row."""
    taps = 2 * REACH + 1
    along = _averaged(plane.T).T
    fine = np.abs(np.diff(along, axis=0))
    coarse = np.abs(np.diff(_averaged(along), axis=0))
    peak = fine[: len(coarse)].copy()
    for shift in range(1, taps):
        np.maximum(peak, fine[shift : len(coarse) + shift], out=peak)
    count = max(1, int(coarse.size * EDGES))
    edges = coarse >= max(np.partition(coarse.ravel(), -count)[-count], 1e-3)
    if not edges.any():
        return 0.0
    noise = 3.0 * float(np.median(fine))
    steps = np.sqrt(np.maximum(0.0, peak[edges] ** 2 - noise**2))
    share = float(np.median(steps / (taps * coarse[edges])))
    return min(1.0, max(0.0, (share - 1 / taps) / (1 - 1 / taps)))


def _averaged(plane: Plane) -> Plane:
    """Each row with its neighbours; so many rows fewer."""
    taps = 2 * REACH + 1
    total = np.zeros((len(plane) + 1, plane.shape[1]), np.float64)
    np.cumsum(plane, axis=0, out=total[1:])
    averaged: Plane = ((total[taps:] - total[:-taps]) / taps).astype(np.float32)
    return averaged
