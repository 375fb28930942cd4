"""Parts of files, cut without encoding anything again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from edusense.errors import VideoSourceError
from edusense.video import cut

if TYPE_CHECKING:
    from pathlib import Path


def encoded(path: Path, codec: str = "libx264", **options: str) -> Path:
    """Six seconds at 10 pictures a second, a key picture each second; each picture has its own grey."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=10, options={"g": "10", "preset": "ultrafast", **options})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for index in range(60):
            picture = np.full((96, 64), 40 + 3 * index, np.uint8)
            file.mux(
                stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p").reformat(format=stream.pix_fmt))
            )
        file.mux(stream.encode())
    return path


def shown(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path), "r") as file:
        return [
            (round(float(frame.pts * frame.time_base), 2), frame.to_ndarray().tobytes())
            for frame in file.decode(video=0)
            if frame.pts is not None and frame.time_base is not None
        ]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("plain.mp4", "libx264", {"bf": "0"}),
        ("b-pictures.mp4", "libx264", {"bf": "2", "b-adapt": "0"}),
        ("b-pictures.mkv", "libx264", {"bf": "2", "b-adapt": "0"}),
        ("b-pictures.ts", "libx264", {"bf": "2", "b-adapt": "0"}),
        ("newer.mp4", "libx265", {"x265-params": "log-level=none:bframes=2"}),
    ],
)
def test_a_part_shows_the_same_pictures_at_the_same_distances(
    name: str, codec: str, options: dict[str, str], tmp_path: Path
) -> None:
    source = encoded(tmp_path / name, codec, **options)
    found = cut(source, tmp_path / "part.mp4", 2.45, 4.0)
    whole, part = shown(source), shown(tmp_path / "part.mp4")
    assert found.start_s == pytest.approx(2.0, abs=0.01)
    wanted = [data for _, data in whole[20:40]]
    assert [data for _, data in part][: len(wanted)] == wanted
    assert len(part) == found.pictures < len(wanted) + 4
    assert [round(at_s - part[0][0], 2) for at_s, _ in part[:20]] == [round(index / 10, 2) for index in range(20)]


def test_jpegs_are_carried_over(tmp_path: Path) -> None:
    source = encoded(tmp_path / "jpegs.mkv", "mjpeg")
    assert cut(source, tmp_path / "part.mp4", 1.0, 2.0).pictures == 10
    assert len(shown(tmp_path / "part.mp4")) == 10


def test_a_stream_without_times_and_in_another_order_is_declined(tmp_path: Path) -> None:
    source = encoded(tmp_path / "raw.h264", bf="2", **{"b-adapt": "0"})
    with pytest.raises(VideoSourceError, match="has no times"):
        cut(source, tmp_path / "part.mp4", 1.0, 2.0)


def test_a_codec_that_is_not_carried_is_declined(tmp_path: Path) -> None:
    source = encoded(tmp_path / "old.mkv", "mpeg4")
    with pytest.raises(VideoSourceError, match="holds mpeg4"):
        cut(source, tmp_path / "part.mp4")
