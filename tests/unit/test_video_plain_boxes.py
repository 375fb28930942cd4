"""What a scene's texture would hide: a plain box that crosses a plain wall is motion, whatever size and contrast."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from edusense import video


@pytest.mark.parametrize(
    ("wall", "box", "height", "width", "step", "noise"),
    [
        (90, 230, 70, 50, 8, 0),
        (90, 230, 70, 50, 8, 2),
        (200, 20, 70, 50, 8, 0),
        (90, 120, 70, 50, 8, 0),
        (90, 230, 20, 15, 8, 0),
        (90, 230, 100, 120, 8, 0),
        (90, 230, 70, 50, 2, 0),
        (0, 255, 70, 50, 4, 1),
    ],
)
def test_it_is_found_once(
    tmp_path: Path, wall: int, box: int, height: int, width: int, step: int, noise: float
) -> None:
    path = tmp_path / "boxes.mp4"
    rng = np.random.default_rng(1)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=10, options={"g": "10", "bf": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 192, "yuv420p"
        for index in range(60):
            picture = np.full((192, 320, 3), float(wall))
            if 20 <= index < 40:
                x = step * (index - 20)
                picture[60 : 60 + height, x : x + width] = box
            picture += rng.normal(0, noise, (192, 320, 1))
            frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    (event,) = video.find_events(path)
    assert abs(event.start_s - 2.0) < 0.6
    assert abs(event.end_s - 3.9) < 0.6
