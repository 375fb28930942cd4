"""`LumaDecoder`: key pictures of one stream against FFmpeg, by whichever decoder takes them."""

from __future__ import annotations

import io
import random

import av
import numpy as np
import pytest

from edusense import video
from edusense.errors import PictureDamagedError, PictureDeclinedError, UsageError

WIDTH, HEIGHT = 176, 120


def picture(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    return (40 + rows + columns // 2 + noise.integers(0, 25, (HEIGHT, WIDTH))).astype(np.uint8)


def encoded(encoder: str, container: str, **options: str) -> tuple[bytes | None, list[bytes]]:
    """Configuration record, if the container has one, and the key pictures' samples."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream(encoder, rate=25, options={"g": "5", "bf": "0", **options})
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
        for index in range(12):
            frame = av.VideoFrame.from_ndarray(picture(index), format="gray")
            file.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        file.mux(stream.encode())
    out.seek(0)
    with av.open(out) as file:
        packets = [bytes(packet) for packet in file.demux(video=0) if packet.size and packet.is_keyframe]
        return file.streams.video[0].codec_context.extradata, packets


def by_ffmpeg(codec: str, configuration: bytes | None, sample: bytes, *, loop_filter: bool) -> np.ndarray:
    context = av.CodecContext.create(codec, "r")
    if configuration is not None:
        context.extradata = configuration
    context.thread_count = 1
    if not loop_filter:
        context.skip_frame, context.options = "DEFAULT", {"skip_loop_filter": "all"}
    frames = [*context.decode(av.Packet(sample)), *context.decode(None)]
    return (
        frames[0].reformat(format="gray" if codec == "mjpeg" else frames[0].format.name).to_ndarray()[:HEIGHT, :WIDTH]
    )


@pytest.mark.parametrize(("profile", "container"), [("baseline", "mp4"), ("high", "mp4"), ("main", "h264")])
def test_h264_is_ours_and_bit_exact_whatever_the_framing(profile, container):
    configuration, samples = encoded("libx264", container, profile=profile, crf="20")
    configuration = configuration if container == "mp4" else None
    decoder = video.LumaDecoder("h264", configuration)
    assert decoder.decoder is None
    for sample in samples:
        luma = decoder.decode(sample)
        assert luma.flags.owndata or isinstance(luma.base, np.ndarray)
        assert luma.flags.c_contiguous
        np.testing.assert_array_equal(luma, by_ffmpeg("h264", configuration, sample, loop_filter=False))
    assert (decoder.decoder, decoder.declined) == ("h264-intra", ())
    assert decoder.counts == {"h264-intra": len(samples)}
    assert len(samples) >= 3


def test_what_ours_declines_goes_to_ffmpeg_with_the_reason():
    configuration, samples = encoded("libx265", "mp4", **{"x265-params": "log-level=none"})
    decoder = video.LumaDecoder("h265", configuration)
    luma = decoder.decode(samples[1])
    np.testing.assert_array_equal(luma, by_ffmpeg("hevc", configuration, samples[1], loop_filter=True))
    assert decoder.decoder == "pyav"
    assert "h264-intra" in dict(decoder.declined)
    assert all(reason for _, reason in decoder.declined)


def test_a_jpeg_comes_whole():
    _, samples = encoded("mjpeg", "matroska")
    luma = video.LumaDecoder("jpeg").decode(samples[0])
    assert luma.shape == (HEIGHT, WIDTH)
    assert np.abs(luma.astype(int) - picture(0)).mean() < 8


def test_what_is_no_picture_is_told_as_such():
    with pytest.raises(UsageError, match="no codec `vp9`"):
        video.LumaDecoder("vp9")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="bytes, not str"):
        video.LumaDecoder("h264").decode("picture")  # type: ignore[arg-type]
    with pytest.raises(PictureDamagedError, match="byte"):
        video.LumaDecoder("h264", b"\x01\x42\x00")
    configuration, samples = encoded("libx264", "mp4")
    decoder = video.LumaDecoder("h264", configuration)
    for wrong in (b"", b"\x00" * 40, b"<html>", samples[0][:3], b"\xff\xff\xff\xff" + samples[0]):
        with pytest.raises((PictureDamagedError, PictureDeclinedError)):
            decoder.decode(wrong)
    # It goes on with the next one.
    assert decoder.decode(samples[0]).shape == (HEIGHT, WIDTH)


def test_mutated_samples_give_a_picture_or_an_error_that_is_documented():
    seed = random.randrange(1 << 30)
    print("seed", seed)  # noqa: T201
    chance = random.Random(seed)
    configuration, samples = encoded("libx264", "mp4", profile="high")
    decoder = video.LumaDecoder("h264", configuration)
    shapes = set()
    for _ in range(400):
        sample = bytearray(chance.choice(samples))
        for _ in range(chance.choice((1, 1, 3, 20))):
            sample[chance.randrange(len(sample))] = chance.randrange(256)
        try:
            shapes.add(decoder.decode(bytes(sample[: chance.choice((None, chance.randrange(len(sample))))])).shape)
        except (PictureDamagedError, PictureDeclinedError):
            continue
    assert shapes <= {(HEIGHT, WIDTH)}
