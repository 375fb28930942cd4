"""Players that are not ours play a virtual camera: GStreamer's rtspsrc and FFmpeg's command line."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from edusense.sim.camera import VirtualCamera
from edusense.sim.clips import Clip
from edusense.sim.encode import Encoding
from edusense.sim.player import ClipSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.peers


def needs(program: str, package: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"`{program}` is not installed: apt-get install {package}")
    return found


@pytest.fixture(scope="module")
def clip() -> Clip:
    return Clip.draw("corridor", Encoding(640, 360, 25.0, gop_s=1.0), seconds=6, seed=3)


@pytest.fixture(params=["digest", "basic"])
def camera(clip: Clip, request: pytest.FixtureRequest) -> Iterator[VirtualCamera]:
    with VirtualCamera(streams={"main": ClipSource(clip)}, onvif_port=None, schemes=(request.param,)) as camera:
        yield camera


def test_gstreamer_plays_it(camera: VirtualCamera, tmp_path: Path) -> None:
    launch = needs(
        "gst-launch-1.0", "gstreamer1.0-tools gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-libav"
    )
    out = tmp_path / "played.h264"
    done = subprocess.run(
        [
            launch,
            "-q",
            "rtspsrc",
            f"location={camera.rtsp}",
            "protocols=tcp",
            f"user-id={camera.user}",
            f"user-pw={camera.password}",
            "!",
            "rtph264depay",
            "!",
            "h264parse",
            "!",
            "video/x-h264,stream-format=byte-stream,alignment=au",
            "!",
            "identity",
            "eos-after=51",
            "!",
            "filesink",
            f"location={out}",
        ],
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert done.returncode == 0, done.stderr
    played = Clip.read(out.read_bytes(), Encoding(640, 360, 25.0))
    assert 48 <= len(played.pictures) <= 52
    assert camera.counts.malformed == 0


def test_gstreamer_decodes_it(camera: VirtualCamera) -> None:
    launch = needs("gst-launch-1.0", "gstreamer1.0-tools gstreamer1.0-plugins-good gstreamer1.0-libav")
    done = subprocess.run(
        [
            launch,
            "-q",
            "rtspsrc",
            f"location={camera.rtsp}",
            "protocols=tcp",
            f"user-id={camera.user}",
            f"user-pw={camera.password}",
            "!",
            "rtph264depay",
            "!",
            "avdec_h264",
            "!",
            "identity",
            "eos-after=30",
            "!",
            "fakesink",
            "sync=false",
        ],
        capture_output=True,
        text=True,
        timeout=40,
    )
    if "no element" in done.stderr:
        pytest.skip("GStreamer has no avdec_h264: apt-get install gstreamer1.0-libav")
    assert done.returncode == 0, done.stderr


def test_gstreamer_is_refused_with_a_wrong_password(camera: VirtualCamera) -> None:
    launch = needs("gst-launch-1.0", "gstreamer1.0-tools gstreamer1.0-plugins-good")
    done = subprocess.run(
        [
            launch,
            "-q",
            "rtspsrc",
            f"location={camera.rtsp}",
            "protocols=tcp",
            "user-id=x",
            "user-pw=y",
            "!",
            "fakesink",
        ],
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert done.returncode != 0
    assert "401" in done.stderr or "nauthorized" in done.stderr
    assert camera.counts.refused >= 1


def test_ffmpeg_plays_it(camera: VirtualCamera) -> None:
    ffmpeg, ffprobe = needs("ffmpeg", "ffmpeg"), needs("ffprobe", "ffmpeg")
    url = camera.rtsp.replace("//", f"//{camera.user}:{quote(camera.password)}@")
    done = subprocess.run(
        [ffmpeg, "-v", "error", "-rtsp_transport", "tcp", "-i", url, "-frames:v", "50", "-f", "null", "-"],
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr.strip()
    done = subprocess.run(
        [ffprobe, "-v", "error", "-rtsp_transport", "tcp", "-of", "json", "-show_streams", url],
        capture_output=True,
        text=True,
        timeout=40,
    )
    (stream,) = json.loads(done.stdout)["streams"]
    assert (stream["codec_name"], stream["width"], stream["height"], stream["has_b_frames"]) == ("h264", 640, 360, 0)
    assert stream["profile"] == "High"
    assert stream["avg_frame_rate"] == "25/1"
