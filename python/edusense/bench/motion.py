"""What one looked-at picture and one gated picture cost, beside what one would write instead."""

from __future__ import annotations

import importlib.util
import itertools
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from edusense.bench.alternating import by_turns
from edusense.bench.case import Measured
from edusense.bench.figure import Figure
from edusense.bench.pictures import encoded, luma
from edusense.video.parts import Detector, Inspector

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RunningMean", "gate", "look"]

MEAN: Final = "Pillow's reduce and a running mean in NumPy"
MOG2: Final = "OpenCV's MOG2"
CRC: Final = "CRC-32 of the same bytes by zlib"
_SIZES: Final = {"d1": (704, 576), "1080p": (1920, 1080)}


class RunningMean:
    """The few lines that one writes first: the picture made small, a running mean, a threshold."""

    def __init__(self) -> None:
        self._mean: npt.NDArray[np.float32] | None = None

    def look(self, picture: npt.NDArray[np.uint8]) -> float:
        """The share of the picture that differs from what was there before."""
        small = np.asarray(Image.fromarray(picture).reduce(max(1, picture.shape[1] // 160)), np.float32)
        if self._mean is None:
            self._mean = small
        apart = np.abs(small - self._mean)
        self._mean += 0.05 * (small - self._mean)
        return float((apart > 25).mean())


def look(blocks: int = 40, repeat: int = 4, seed: int = 1) -> Measured:
    """The motion step on one picture: from luma to regions.

    Args:
        blocks: how often ours and each peer have their turn.
        repeat: pictures in a turn.
        seed: of the scene.
    """
    figures, notes = [], []
    for name, (width, height) in _SIZES.items():
        pictures = luma(width, height, 8, seed=seed)
        works = {"ours": _ours(pictures), MEAN: _of(RunningMean().look, pictures)}
        pairs = {MEAN: by_turns(works, blocks=blocks, repeat=repeat)}
        if (mog2 := _mog2()) is not None:
            # It takes ten times as long: a few turns are enough to say so.
            pairs[MOG2] = by_turns({"ours": _ours(pictures), MOG2: _of(mog2, pictures)}, blocks=6)
        figures += [
            Figure(
                f"a look at {width}×{height}",
                "µs CPU",
                taken["ours"],
                peer,
                taken[peer],
                id=f"look-{name}",
                statistic="least",
            )
            for peer, taken in pairs.items()
        ]
    if _mog2() is None:
        notes.append("OpenCV is not installed here: `edusense bench peers install` brings it to be measured beside.")
    return Measured(figures, notes=notes)


def _ours(pictures: list[npt.NDArray[np.uint8]]) -> Callable[[], object]:
    detector, times = Detector(), itertools.count()
    turn = itertools.cycle(pictures)
    return lambda: detector.look(next(times) * 0.16, next(turn))


def _of(work: Callable[[npt.NDArray[np.uint8]], object], pictures: list[npt.NDArray[np.uint8]]) -> Callable[[], object]:
    turn = itertools.cycle(pictures)
    return lambda: work(next(turn))


def _mog2() -> Callable[[Any], object] | None:
    if importlib.util.find_spec("cv2") is None:
        return None
    cv2 = importlib.import_module("cv2")
    cv2.setNumThreads(1)
    subtractor = cv2.createBackgroundSubtractorMOG2()
    return lambda picture: subtractor.apply(picture)


def gate(blocks: int = 60, repeat: int = 50, seed: int = 1) -> Measured:
    """What deciding without decoding costs: an access unit of 1080p read and held against earlier ones.

    Args:
        blocks: how often ours and the peer have their turn.
        repeat: access units in a turn.
        seed: of the scene.
    """
    units = encoded("libx264", luma(1920, 1080, 12, seed=seed, noise=2.0), {"crf": "27"}, key_every=12)
    inspector = Inspector("h264")
    ours, theirs = itertools.cycle(units), itertools.cycle(units)
    taken = by_turns(
        {"ours": lambda: inspector.push(*next(ours)), CRC: lambda: zlib.crc32(next(theirs)[0])},
        blocks=blocks,
        repeat=repeat // len(units) * len(units) or len(units),
    )
    size = sum(len(unit) for unit, _ in units) / len(units) / 1000
    figure = Figure(
        "an access unit through the gate", "µs CPU", taken["ours"], CRC, taken[CRC], id="gate", statistic="least"
    )
    return Measured([figure], notes=[f"An access unit has {size:.0f} kB here, one in twelve is a key picture."])
