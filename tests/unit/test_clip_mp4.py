"""Clips and pictures out of compressed pictures."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
from PIL import Image

from edusense.errors import PictureDamagedError, VideoSourceError
from edusense.sim.clips import library_clip
from edusense.sim.encode import Encoding
from edusense.video.clip import TICKS, colour_jpeg, marked_jpeg, mp4_of

ENCODING = Encoding(width=320, height=240, fps=10.0, gop_s=1.0)


def units(count: int = 40) -> list[tuple[bytes, int, bool, float]]:
    clip = library_clip("room", ENCODING, seconds=20.0)
    step = TICKS // 10
    return [
        (picture.annex_b(), 7_000_000 + index * step, picture.key, 1.7e9 + index / 10)
        for index, picture in enumerate(clip.pictures[:count])
    ]


def test_a_clip_holds_the_same_pictures_at_the_same_times() -> None:
    data = mp4_of("h264", units())
    with av.open(io.BytesIO(data)) as container:
        assert container.metadata["creation_time"].startswith("2023-11-14T22:13:20")
        stream = container.streams.video[0]
        assert (stream.codec_context.width, stream.codec_context.height) == (320, 240)
        times = [float(frame.pts * frame.time_base) for frame in container.decode(stream)]
    assert len(times) == 40
    assert times[0] == 0
    assert all(abs(time - index / 10) < 0.001 for index, time in enumerate(times))


def test_pictures_sent_in_another_order_than_shown_keep_their_times() -> None:
    """Encoded with B-frames, the presentation times go back and forth."""
    packets: list[tuple[bytes, int, bool, float]] = []
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 64, 64, "yuv420p"
    encoder.framerate = 25
    # Pictures of our own: a new frame holds whatever stood in its memory. No scene cuts: they replace B-frames.
    encoder.options = {"bf": "2", "b-adapt": "0", "x264-params": "keyint=10:scenecut=0:open-gop=0"}
    ramp = np.arange(96 * 64, dtype=np.uint32).reshape(96, 64)
    frames: list[av.VideoFrame | None] = [
        av.VideoFrame.from_ndarray(((ramp + 3 * index) % 251).astype(np.uint8), "yuv420p") for index in range(20)
    ]
    for index, frame in enumerate([*frames, None]):
        if frame is not None:
            frame.pts = index
        for packet in encoder.encode(frame):
            assert packet.pts is not None
            packets.append((bytes(packet), packet.pts * 3600, packet.is_keyframe, 1.7e9))
    shown = [unit[1] for unit in packets]
    assert shown != sorted(shown), "the encoder made no B-frames"
    with av.open(io.BytesIO(mp4_of("h264", packets))) as container:
        times = [round(float(frame.pts * frame.time_base) * 25) for frame in container.decode(video=0)]
    assert len(times) == 20
    assert [time - times[0] for time in times] == list(range(20))


def test_a_clip_without_pictures_or_of_noise_is_an_error() -> None:
    with pytest.raises(VideoSourceError):
        mp4_of("h264", [])
    with pytest.raises(VideoSourceError):
        mp4_of("h264", [(b"\0\0\0\1" + bytes(range(200)), 0, True, 0.0)])


def test_boxes_are_drawn_where_something_moved() -> None:
    data = marked_jpeg(bytes([128]) * (320 * 180), (320, 180), [(400, 200, 200, 100)], (1280, 720))
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    assert picture.size == (320, 180)
    red, _, blue = picture.getpixel((101, 60))
    assert red - blue > 60, "the left edge of the box is amber"
    assert max(picture.getpixel((200, 150))) - min(picture.getpixel((200, 150))) < 16


def test_a_key_picture_becomes_a_jpeg_in_colour() -> None:
    data = colour_jpeg("h264", units(1)[0][0], 160)
    picture = Image.open(io.BytesIO(data))
    assert picture.size == (160, 120)
    assert picture.mode == "RGB"
    with pytest.raises(PictureDamagedError):
        colour_jpeg("h264", b"\0\0\0\1\x65" + bytes(500), 160)
