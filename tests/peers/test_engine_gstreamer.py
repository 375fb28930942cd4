"""The engine against GStreamer's RTSP server: three codecs, none of them sent by us."""

from __future__ import annotations

import io
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from PIL import Image

from edusense.video import Engine

pytestmark = pytest.mark.peers

SYSTEM_PYTHON = Path("/usr/bin/python3")
BALL = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=15/1"
PIPELINES = {
    "h264": f"{BALL} ! x264enc tune=zerolatency key-int-max=15 ! rtph264pay name=pay0 pt=96 config-interval=-1",
    "h265": f"{BALL} ! x265enc tune=zerolatency key-int-max=15 ! h265parse ! rtph265pay name=pay0 config-interval=-1",
    "jpeg": f"{BALL} ! jpegenc ! rtpjpegpay name=pay0 pt=26",
}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    script = Path(__file__).with_name("gst_rtsp_server.py")
    needed = "import gi; gi.require_version('GstRtspServer', '1.0')"
    if not SYSTEM_PYTHON.exists() or subprocess.run([SYSTEM_PYTHON, "-c", needed], capture_output=True).returncode:
        pytest.skip("GStreamer's RTSP server is not installed: apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi")
    command = [str(SYSTEM_PYTHON), str(script), *(f"{name}={pipeline}" for name, pipeline in PIPELINES.items())]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline())
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


@pytest.mark.parametrize("codec", PIPELINES)
def test_motion_is_found_and_kept_whatever_the_codec(codec: str, port: int) -> None:
    with Engine([{"id": codec, "url": f"rtsp://127.0.0.1:{port}/{codec}"}]) as engine:
        confirmed = next(event for event in engine.events(timeout=20) if event.kind == "motion-confirmed")
        assert confirmed.decoder == ("jpeg-eighth" if codec == "jpeg" else "pyav")
        time.sleep(2)
        (row,) = engine.stats()
        assert row["state"] == "playing"
        assert row["reason"] == f"plays {codec} 320×240"
        assert row["lost"] == 0
        assert row["trouble"] is None
        assert row["pictures_looked_at"] >= 10
        assert Image.open(io.BytesIO(engine.snapshot(codec))).size == (320, 240)
        assert Image.open(io.BytesIO(engine.thumbnail(confirmed.id or ""))).size == (320, 240)
        clip = engine.clip(confirmed.id or "")
    with av.open(io.BytesIO(clip)) as container:
        assert isinstance(container, av.container.InputContainer)
        pictures = list(container.decode(video=0))
        rate = container.streams.video[0].average_rate
    assert len(pictures) > 15
    assert rate is not None
    assert 13 < rate < 17
