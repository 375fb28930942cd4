"""The page of `edusense camera aim` in a real browser: a phone on the ladder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.peers.chromium import Chromium

from edusense import Site
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


def _tap(page, x, y):
    """A tap on the picture, at shares of it."""
    left, top, width, height = page.script(
        "(() => { const box = document.querySelector('#picture').getBoundingClientRect();"
        " return [box.left, box.top, box.width, box.height]; })()"
    )
    for kind in ("mousePressed", "mouseReleased"):
        where = {"x": left + x * width, "y": top + y * height}
        page.ask("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where)


def _draw_a_zone(page, folder):
    page.script("document.querySelector('#draw').scrollIntoView()")
    page.press("Draw a zone")
    page.script("window.scrollTo(0, 0)")
    assert page.script("document.querySelector('#keep').disabled")
    for x, y in ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.9, 0.9), (0.25, 0.75)):
        _tap(page, x, y)
    assert page.script("document.querySelectorAll('#zones .corner').length") == 5
    page.press("one corner back")
    page.press("one corner back")
    _tap(page, 0.25, 0.75)
    if shots := os.environ.get("EDUSENSE_SHOTS"):
        page.picture(Path(shots) / "aim-drawing.png")
        page.script("window.scrollTo(0, 9999)")
        page.picture(Path(shots) / "aim-drawing-below.png")
    page.press("Add to the site file")
    page.until("document.querySelector('#zone-told').textContent.includes('stands in the site file')")
    assert "205-front-zone-1" in page.text("#list")
    (zone,) = Site.load(folder / "school.toml").zones
    assert (zone.id, zone.camera, zone.kind) == ("205-front-zone-1", "205-front", "forbidden")
    corners = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
    for (x, y), (right, down) in zip(zone.polygon, corners, strict=True):
        assert abs(x - right) < 0.01
        assert abs(y - down) < 0.01
    # A second one that crosses itself is refused, with the reason, and what was drawn is still there.
    page.press("Draw a zone")
    page.script("window.scrollTo(0, 0)")
    for x, y in ((0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9)):
        _tap(page, x, y)
    page.press("Add to the site file")
    page.until("document.querySelector('#zone-told').textContent.includes('cross each other')")
    assert page.script("document.querySelectorAll('#zones .corner').length") == 4
    page.press("cancel")
    assert len(Site.load(folder / "school.toml").zones) == 1


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
            _draw_a_zone(page, tmp_path)
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
