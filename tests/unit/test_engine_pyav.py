"""The decoder behind the engine's door, as Python sees it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from edusense.sim.clips import library_clip
from edusense.sim.encode import Encoding
from edusense.video import pyav_decoder
from edusense.video.pyav_decoder import DamagedError, DeclinedError, RunDecoder

ENCODING = Encoding(width=320, height=240, fps=10.0, gop_s=1.0)


def units(count: int) -> list[bytes]:
    return [picture.annex_b() for picture in library_clip("room", ENCODING, seconds=20.0).pictures[:count]]


def test_only_wanted_pictures_come_out_cropped_and_in_order() -> None:
    decoder = RunDecoder("h264")
    wanted = bytes(int(index % 3 == 0) for index in range(10))
    pictures = dict(decoder.run(units(10), 0, wanted))
    assert list(pictures) == [0, 3, 6, 9]
    assert all(luma.shape == (240, 320) and luma.dtype == np.uint8 for luma in pictures.values())
    assert not decoder.drained


def test_a_run_goes_on_in_slices_as_if_it_were_one() -> None:
    every = bytes([1]) * 30
    whole = {index: luma.copy() for index, luma in RunDecoder("h264").run(units(30), 0, every)}
    decoder = RunDecoder("h264")
    for begin in range(0, 30, 10):
        for index, luma in decoder.run(units(30)[begin : begin + 10], begin, every[begin : begin + 10]):
            assert np.array_equal(luma, whole[index]), index


def test_after_another_run_a_decoder_is_as_new() -> None:
    decoder = RunDecoder("h264")
    first = {index: luma.copy() for index, luma in decoder.run(units(5), 0, bytes([1]) * 5)}
    with pytest.raises(DamagedError) as caught:
        list(decoder.run([b"\0\0\0\1\x65" + bytes(range(200))], 5, b"\1"))
    assert caught.value.index == 5
    decoder.reset()
    again = dict(decoder.run(units(5), 0, bytes([1]) * 5))
    assert all(np.array_equal(again[index], first[index]) for index in range(5))


def test_a_jpeg_that_is_not_whole_is_damaged_although_ffmpeg_shows_it() -> None:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (96, 128), np.uint8)).save(out, "JPEG")
    whole = out.getvalue()
    decoder = RunDecoder("jpeg")
    assert [luma.shape for _, luma in decoder.run([whole], 0, b"\1")] == [(96, 128)]
    for damaged in (whole[: len(whole) // 2], whole[:40]):
        with pytest.raises(DamagedError) as caught:
            list(RunDecoder("jpeg").run([whole, damaged], 0, b"\1\1"))
        assert caught.value.index == 1


def test_a_codec_that_ffmpeg_does_not_know_is_declined() -> None:
    with pytest.raises(DeclinedError, match="no decoder"):
        RunDecoder("vp8-or-so")


def test_pictures_that_are_too_large_are_declined_by_their_parameter_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyav_decoder, "MAX_PIXELS", 320 * 240 - 1)
    with pytest.raises(DeclinedError, match="pictures of 320×240; the limit is"):
        list(RunDecoder("h264").run(units(2), 0, b"\x01\x01"))


def test_ffmpeg_refuses_large_pictures_of_any_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyav_decoder, "MAX_PIXELS", 320 * 240 - 1)
    monkeypatch.setattr(pyav_decoder, "_check_size", lambda codec, head: None)
    with pytest.raises(DamagedError):
        list(RunDecoder("h264").run(units(2), 0, b"\x01\x01"))
