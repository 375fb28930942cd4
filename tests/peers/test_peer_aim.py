"""The page of `edusense camera aim` in a real browser: a phone on the ladder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from tests.peers.chromium import Chromium

from edusense.sim.camera import VirtualCamera
from edusense.sim.encode import Encoding

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

SITE = """[site]
id = "school"
number = 1
data = "data"
[credentials.cameras]
user = "edusense"
password = "file:cameras.secret"
[[rooms]]
id = "205"
kind = "classroom"
[[cameras]]
id = "205-front"
room = "205"
address = "127.0.0.1:{port}"
credentials = "cameras"
"""


def test_a_phone_sees_picture_figure_and_outline_and_saves_a_reference(tmp_path):
    encoding = Encoding(640, 360, 10.0, gop_s=1.0)
    with VirtualCamera(password="a1m-S3cret", encoding=encoding, seconds=4.0, events=False) as camera:
        (tmp_path / "cameras.secret").touch(mode=0o600)
        (tmp_path / "cameras.secret").write_text("a1m-S3cret\n")
        (tmp_path / "school.toml").write_text(SITE.format(port=camera.onvif_port))
        process = subprocess.Popen(
            [sys.executable, "-m", "edusense", "camera", "aim", "205-front", "--listen", "127.0.0.1:0"],
            cwd=tmp_path,
            env={**os.environ, "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        page = Chromium(tmp_path / "profile", width=400, height=800)
        try:
            url = process.stdout.readline().strip()
            page.open(url)
            page.until("document.querySelector('#sharpness').textContent > 30", 60)
            assert page.script("document.querySelector('#picture').naturalWidth") == 640
            assert "no reference yet" in page.text("#beside")
            assert page.script("document.querySelector('#outline').hidden")
            page.press("Save as reference")
            page.until("document.querySelector('#told').textContent === 'saved'")
            page.until("!document.querySelector('#outline').hidden")
            page.until("document.querySelector('#beside').textContent === 'aimed as the reference'")
            # The outline lies exactly on the picture.
            boxes = "['#picture', '#outline'].map((one) => JSON.stringify(document.querySelector(one)"
            first, second = page.script(f"{boxes}.getBoundingClientRect()))")
            assert first == second
            # A thumb in a glove presses it: 48 pixels high.
            assert page.script("document.querySelector('#save').getBoundingClientRect().height") >= 48
            before = int(page.script("document.body.dataset.number"))
            page.until(f"document.body.dataset.number > {before + 3}")
            assert page.complaints() == []
            assert [one for one in page.requests() if not one.startswith((url, "about:", "data:"))] == []
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
            page.until("document.querySelector('#problem').textContent.includes('does not answer')")
        finally:
            page.close()
            process.kill()
            process.wait(10)
            process.stdout.close()
