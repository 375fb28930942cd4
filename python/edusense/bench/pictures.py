"""Pictures for measuring: a noisy scene with edges of all directions and something that moves, drawn by a seed."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["encoded", "luma"]


def luma(width: int, height: int, count: int, *, seed: int = 1, noise: float = 3.0) -> list[npt.NDArray[np.uint8]]:
    """Pictures of a scene through which a square moves.

    Args:
        width: pixels.
        height: pixels.
        count: how many.
        seed: of the noise.
        noise: its standard deviation, in levels.
    """
    drawn = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    scene = (
        100 + 50 * np.sin(x / 37 + 3 * np.sin(y / 91)) + 40 * ((x // 160 + y // 130) % 2) + 12 * np.cos((x + 2 * y) / 5)
    )
    found = []
    for number in range(count):
        picture = scene + drawn.normal(0, noise, scene.shape)
        left, top = (number * width // 40) % (width - width // 10), height // 3
        picture[top : top + height // 8, left : left + width // 10] = 225
        found.append(np.clip(picture, 0, 255).astype(np.uint8))
    return found


def encoded(
    codec: str, pictures: list[npt.NDArray[np.uint8]], options: Mapping[str, str], *, key_every: int = 1
) -> list[tuple[bytes, bool]]:
    """The pictures as a camera would send them: access units, each with whether it is a key picture.

    Args:
        codec: FFmpeg's encoder: `libx264`, `libx265`, `mjpeg`.
        pictures: luma.
        options: of the encoder.
        key_every: pictures from one key picture to the next.
    """
    context: Any = av.CodecContext.create(codec, "w")
    height, width = pictures[0].shape
    context.width, context.height = width, height
    context.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    context.time_base, context.thread_count = Fraction(1, 25), 1
    context.options = {
        "g": str(key_every),
        **({} if codec == "mjpeg" else {"preset": "veryfast", "bf": "0"}),
        **options,
    }
    packets = []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(np.repeat(picture[..., None], 3, axis=2), "rgb24")
        frame = frame.reformat(format=context.pix_fmt)
        frame.pts = number
        packets += context.encode(frame)
    return [(bytes(packet), bool(packet.is_keyframe)) for packet in [*packets, *context.encode(None)]]
