"""Luma out of FFmpeg's frames, without a copy and without a colour conversion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import av
    import numpy.typing as npt

    Luma = npt.NDArray[np.uint8]

__all__ = ["luma_of"]

_PLANAR_8_BIT = frozenset(
    f"{prefix}{name}" for prefix in ("yuv", "yuvj") for name in ("410p", "411p", "420p", "422p", "440p", "444p")
) | {"gray", "nv12", "nv21", "nv16", "nv24", "yuva420p", "yuva422p", "yuva444p"}
"""Pixel formats whose first plane is luma, a byte a pixel."""


def luma_of(frame: av.VideoFrame) -> Luma:
    """The luma of a decoded frame, cropped as the stream says.

    Args:
        frame: any frame of FFmpeg's. Planar YUV of 8 bits is given as it lies in memory (range as in the stream);
            anything else (10 bits, RGB, palettes) is converted to 8 bits of grey first.

    Returns:
        `uint8[height, width]`; rows may be further apart than `width`. The array keeps the frame's memory alive.
    """
    plane = frame.planes[0]
    # A negative line size (some AVI files are stored upside down) is not worth an own path.
    if frame.format.name not in _PLANAR_8_BIT or plane.line_size < frame.width:
        frame = frame.reformat(format="gray")
        plane = frame.planes[0]
    rows: Luma = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: frame.height, : frame.width]
