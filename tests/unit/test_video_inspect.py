"""What `inspect` says of streams whose making is known."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from edusense import video
from edusense.errors import VideoSourceError
from edusense.sim.clips import Clip
from edusense.sim.encode import Encoding


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inspect") / "quiet.h264"
    clip = Clip.draw("room", Encoding(width=320, height=180, slices=4), seconds=24, seed=4, events=False)
    path.write_bytes(clip.annex_b())
    return path


def test_a_cameras_stream(quiet: Path):
    found = video.inspect(quiet)
    assert (found.codec, found.profile, found.entropy_coder, found.chroma) == ("h264", "High", "CABAC", "4:2:0")
    assert (found.width, found.height, found.interlaced, found.slices) == (320, 180, False, 4)
    assert found.pictures == 300
    assert found.rate == pytest.approx(12.5)
    assert found.seconds == pytest.approx(24)
    assert found.gop_pictures == (25, 25, 25)
    assert found.gop_s == pytest.approx((2, 2, 2))
    assert found.bitrate_kbit == pytest.approx(quiet.stat().st_size * 8 / 24 / 1000, rel=0.01)
    assert found.qp is not None
    assert 15 < found.qp[0] <= found.qp[1] <= found.qp[2] < 45
    assert found.gate == "trusted"
    assert found.noise is not None
    assert found.noise < 8
    assert (found.b_pictures, found.faults, found.damage, found.notes) == (False, 0, [], [])
    assert found.decoder == "pyav"
    assert found.decoder_reason


def test_the_beginning_only(quiet: Path):
    found = video.inspect(quiet, seconds=4)
    assert 4 <= found.seconds < 4.3
    assert found.gate == "learning"


def test_a_constant_rate_is_recognised(tmp_path: Path):
    encoding = Encoding(width=320, height=180, constant=True, cap_kbit=400)
    path = tmp_path / "cbr.h264"
    path.write_bytes(Clip.draw("room", encoding, seconds=20, seed=4, events=False).annex_b())
    found = video.inspect(path)
    assert found.rate_kind == "constant"


def test_long_groups_are_suspicious(tmp_path: Path):
    path = tmp_path / "smart.h264"
    path.write_bytes(
        Clip.draw("room", Encoding(width=320, height=180, gop_s=10), seconds=20, seed=4, events=False).annex_b()
    )
    assert any("smart codec" in note for note in video.inspect(path).notes)


def test_damage_costs_a_picture_its_qp_and_is_told_with_its_place(quiet: Path, tmp_path: Path):
    data = quiet.read_bytes()
    path = tmp_path / "damaged.h264"
    # The second sequence of parameter sets is gone: nothing refers to anything else, so nothing is lost.
    path.write_bytes(data.replace(b"\0\0\0\1\x68", b"\0\0\0\1\x6c"))
    found = video.inspect(path)
    assert found.faults > 0
    assert found.first_fault is not None
    assert "picture parameter set" in found.first_fault


def test_other_codecs(tmp_path: Path):
    for codec, ours, file_format in (("mjpeg", "jpeg", "avi"), ("mpeg4", "mpeg4", "mp4")):
        path = tmp_path / ours
        with av.open(str(path), "w", format=file_format) as container:
            stream = container.add_stream(codec, rate=10)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = 160, 96, "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for _ in range(20):
                frame = av.VideoFrame.from_ndarray(np.full((96, 160), 90, np.uint8), format="gray")
                container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
            container.mux(stream.encode(None))
        found = video.inspect(path)
        assert (found.codec, found.width, found.height, found.pictures) == (ours, 160, 96, 20)
        assert found.decoder == {"jpeg": "jpeg-eighth", "mpeg4": "pyav"}[ours]


def test_nothing_in_it(tmp_path: Path):
    (tmp_path / "text.mp4").write_text("Dear headmaster\n" * 100)
    with pytest.raises(VideoSourceError):
        video.inspect(tmp_path / "text.mp4")
