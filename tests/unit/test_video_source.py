"""Files as people bring them: whole, cut, damaged, without times, or no video at all."""

from __future__ import annotations

import io
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edusense import video
from edusense.errors import PermissionDeniedError, UsageError, VideoSourceError
from edusense.video.source import Damage, is_url, open_source, redacted, with_credentials

RATE = 10


def make(
    path: Path | io.BytesIO,
    *,
    seconds: float = 4,
    size: tuple[int, int] = (160, 96),
    codec: str = "libx264",
    file_format: str = "mp4",
    pixels: str = "yuv420p",
    times: Any = None,
    **options: str,
) -> None:
    """A clip of a bar that wanders; `times` turns a picture's number into ticks of a millisecond."""
    width, height = size
    with av.open(str(path) if isinstance(path, Path) else path, "w", format=file_format) as container:
        stream = container.add_stream(codec, rate=RATE)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        ticks = RATE if times is None else 1000
        stream.time_base = stream.codec_context.time_base = Fraction(1, ticks)
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "x264-params": "bframes=0:keyint=10:scenecut=0", **options}
        for index in range(round(seconds * RATE)):
            picture = np.full((height, width), 90, np.uint8)
            picture[:, (index * 3) % width : (index * 3) % width + 8] = 200
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format=pixels)
            frame.pts = index if times is None else times(index)
            frame.time_base = Fraction(1, ticks)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    make(path)
    return path


def test_key_pictures_are_given_with_their_times(clip: Path):
    found = list(video.keyframes(clip))
    assert [round(at_s, 3) for at_s, _ in found] == [0, 1, 2, 3]
    for _, luma in found:
        assert (luma.shape, luma.dtype, luma.strides[1]) == ((96, 160), np.uint8, 1)
    # They are different pictures, all still there: none has been overwritten by a later one.
    assert len({luma.tobytes() for _, luma in found}) == 4


def test_luma_is_where_ffmpeg_put_it(clip: Path):
    _, luma = next(iter(video.keyframes(clip)))
    assert not luma.flags.owndata


@pytest.mark.parametrize(
    ("codec", "file_format", "pixels"),
    [
        ("libx264", "h264", "yuv420p"),
        ("libx264", "mpegts", "yuv420p"),
        ("libx264", "matroska", "yuv444p"),
        ("mjpeg", "avi", "yuvj420p"),
        ("ffv1", "matroska", "yuv420p10le"),
        ("rawvideo", "avi", "bgr24"),
    ],
)
def test_whatever_ffmpeg_reads(tmp_path: Path, codec: str, file_format: str, pixels: str):
    path = tmp_path / "clip"
    make(path, seconds=2, codec=codec, file_format=file_format, pixels=pixels)
    with open_source(path) as opened:
        pictures = list(opened.pictures())
    assert len(pictures) == 20
    assert [picture.pts_s for picture in pictures] == pytest.approx([index / RATE for index in range(20)], abs=0.03)
    assert pictures[0].luma.shape == (96, 160)
    bar, wall = int(pictures[10].luma[50, 33]), int(pictures[10].luma[50, 100])
    assert bar > wall + 60


def test_size_that_is_no_multiple_of_16_is_cropped(tmp_path: Path):
    make(tmp_path / "odd.mp4", size=(150, 90), seconds=1)
    assert {luma.shape for _, luma in video.keyframes(tmp_path / "odd.mp4")} == {(90, 150)}


def test_times_as_they_come(tmp_path: Path):
    path = tmp_path / "vfr.mkv"
    make(path, file_format="matroska", seconds=1, times=lambda index: index * index * 20)
    with open_source(path) as opened:
        assert [round(picture.pts_s, 2) for picture in opened.pictures()] == [
            round(index * index * 0.02, 2) for index in range(10)
        ]


def test_a_picture_at_a_time(clip: Path):
    assert video.luma_at(clip, 0)[0] == 0
    assert video.luma_at(clip, 2.56)[0] == pytest.approx(2.5)
    assert video.luma_at(clip, 3.95)[0] == pytest.approx(3.9)
    with pytest.raises(VideoSourceError, match=r"ends at 3\.90 s"):
        video.luma_at(clip, 60)


def test_cut_files_give_what_is_whole(clip: Path, tmp_path: Path):
    whole = clip.read_bytes()
    path = tmp_path / "cut.mkv"
    make(path, file_format="matroska")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    damage: list[Damage] = []
    with open_source(path, on_damage=damage.append) as opened:
        count = sum(1 for _ in opened.pictures())
    assert 5 < count < 40
    assert damage
    assert damage[-1].end_s is None
    # An MP4 whose index was never written.
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(VideoSourceError) as caught:
        list(video.keyframes(tmp_path / "cut.mp4"))
    assert caught.value.hint


def test_damage_in_the_middle_is_named_and_left_out(tmp_path: Path):
    path = tmp_path / "clip.h264"
    make(path, file_format="h264", seconds=6)
    data = bytearray(path.read_bytes())
    starts = [at for at in range(len(data) - 4) if data[at : at + 3] == b"\0\0\1" and data[at + 3] & 31 == 5]
    begin, end = starts[2], starts[3]
    random = np.random.default_rng(5)
    data[begin + 40 : end] = random.integers(1, 256, end - begin - 40, dtype=np.uint8).tobytes()
    path.write_bytes(data)
    damage: list[Damage] = []
    with open_source(path, on_damage=damage.append) as opened:
        times = [picture.pts_s for picture in opened.pictures()]
    assert damage
    assert len(times) >= 30
    assert str(damage[0])


def test_every_cut_is_an_error_of_ours_or_pictures(clip: Path, tmp_path: Path):
    whole = clip.read_bytes()
    path = tmp_path / "cut"
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:length])
        try:
            assert all(luma.size for _, luma in video.keyframes(path, on_damage=lambda _: None))
        except VideoSourceError as error:
            assert str(path) in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty"), (b"Dear headmaster, please find enclosed\n" * 40, "not video"), (bytes(5000), "not video")],
)
def test_what_is_no_video(tmp_path: Path, content: bytes, said: str):
    path = tmp_path / "letter.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoSourceError, match=said):
        list(video.find_events(path))


def test_sound_only(tmp_path: Path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(VideoSourceError, match=r"no video stream.*audio"):
        list(video.keyframes(path))


def test_what_is_no_file(tmp_path: Path):
    with pytest.raises(VideoSourceError, match="does not exist"):
        list(video.keyframes(tmp_path / "nothing.mp4"))
    with pytest.raises(VideoSourceError, match="folder"):
        list(video.keyframes(tmp_path))
    with pytest.raises(UsageError, match="http"):
        list(video.keyframes("http://127.0.0.1/x.mp4"))
    with pytest.raises(VideoSourceError):
        list(video.keyframes("a\0b"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(clip: Path, tmp_path: Path):
    path = tmp_path / "secret.mp4"
    path.write_bytes(clip.read_bytes())
    path.chmod(0)
    with pytest.raises(PermissionDeniedError):
        list(video.keyframes(path))


def test_urls():
    assert is_url("rtsp://10.0.0.1/sub")
    assert is_url("RTSPS://10.0.0.1/sub")
    assert not is_url("rtsp")
    assert not is_url("/tmp/rtsp://x")
    assert redacted("rtsp://user:pa@ss@10.0.0.1:554/sub?x=1") == "rtsp://10.0.0.1:554/sub?x=1"
    assert with_credentials("rtsp://10.0.0.1/sub", "us/er", "p@:ss") == "rtsp://us%2Fer:p%40%3Ass@10.0.0.1/sub"
    assert with_credentials("rtsp://10.0.0.1/sub", None, None) == "rtsp://10.0.0.1/sub"
