"""`edusense camera aim`: its page over HTTP, and what a reference is good for; in a browser in tests/peers."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

from edusense.cli import camera_aim
from edusense.errors import UsageError
from edusense.fleet.comparing import aim_findings
from edusense.fleet.references import References, displaced, luma_of_jpeg, outline
from edusense.sim.camera import VirtualCamera
from edusense.sim.encode import Encoding

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


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    folder = tmp_path_factory.mktemp("aim")
    encoding = Encoding(320, 180, 10.0, gop_s=1.0)
    with VirtualCamera("205-front", password="a1m-S3cret", encoding=encoding, seconds=4.0, events=False) as camera:
        (folder / "cameras.secret").touch(mode=0o600)
        (folder / "cameras.secret").write_text("a1m-S3cret\n")
        (folder / "school.toml").write_text(SITE.format(port=camera.onvif_port))
        yield folder


class Aiming:
    """The command as a process; `url` is its page."""

    def __init__(self, folder, *words):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edusense", "camera", "aim", "205-front", *words],
            cwd=folder,
            env={**os.environ, "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url, _, self.token = self.process.stdout.readline().strip().partition("token#token=")

    def get(self, path, method="GET", data=None, **headers):
        context = ssl._create_unverified_context() if self.url.startswith("https") else None
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            return answer.read()

    def shown(self, wanted):
        known = 0
        for _ in range(400):
            found = json.loads(self.get(f"state?after={known}"))
            known = found["number"]
            if wanted(found):
                return found
        raise AssertionError(found)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.out, self.err = self.process.communicate(timeout=30)


def test_the_page_shows_what_the_camera_sees_and_keeps_a_reference(school):
    with Aiming(school, "--listen", "127.0.0.1:0") as page:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", page.url), page.url
        assert b"205-front" in page.get("")
        assert b"follow()" in page.get("static/aim.js")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            page.get("outline.png")
        found = page.shown(lambda one: one["number"] and not one["problem"])
        assert (found["width"], found["height"], found["right"], found["fault"]) == (320, 180, None, None)
        assert 0.3 < found["sharpness"] <= found["best"] <= 1
        assert Image.open(io.BytesIO(page.get("picture.jpg"))).size == (320, 180)
        # Another page may not press the button.
        with pytest.raises(urllib.error.HTTPError, match="403"):
            page.get("reference", "POST", b"", Origin="http://elsewhere")
        page.get("reference", "POST", b"")
        beside = page.shown(lambda one: one["right"] is not None)
        assert (beside["right"], beside["down"], beside["same"]) == (0.0, 0.0, True)
        assert page.get("outline.png")[:4] == b"\x89PNG"
        kept = school / "data" / "fleet" / "references" / "205-front.jpg"
        assert kept.stat().st_mode & 0o777 == 0o640
        page.get("best", "POST", b"")
    assert page.process.returncode == 0, page.err
    assert "a1m-S3cret" not in page.out + page.err


def test_zones_are_shown_and_drawn_into_the_site_file(school):
    site = school / "school.toml"
    before = site.read_text()
    drawn = {"id": "door", "kind": "forbidden", "polygon": [[0, 0], [0.5, 0], [0.5, 1]]}
    with Aiming(school, "--listen", "127.0.0.1:0") as page:
        assert json.loads(page.get("zones")) == []
        told = json.loads(page.get("zones", "POST", json.dumps(drawn).encode()))
        assert told == json.loads(page.get("zones")) == [{**drawn, "line": None}]
        for body, said in (
            (json.dumps(drawn), "there is a zone `door` already"),
            (json.dumps({**drawn, "id": "two", "polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}), "cross each other"),
            (json.dumps({**drawn, "id": "two", "polygon": [[0, 0], [1, 1], [1, float("inf")]]}), "no number"),
            (json.dumps({**drawn, "id": "two", "polygon": 3}), "this is no zone"),
            ("[" * 20_000, "this is no zone"),
            ("{}", "this is no zone"),
            ("x" * 100_000, "so many corners"),
        ):
            with pytest.raises(urllib.error.HTTPError, match="409") as refused:
                page.get("zones", "POST", body.encode())
            assert said in refused.value.read().decode()
        with pytest.raises(urllib.error.HTTPError, match="403"):
            page.get("zones", "POST", json.dumps({**drawn, "id": "two"}).encode(), Origin="http://elsewhere")
    assert "zone door added" in page.err
    assert site.read_text().startswith(before.rstrip())
    site.write_text(before)


def test_others_need_the_token_and_get_https(school):
    with Aiming(school, "--listen", "127.0.0.1:0", "--https") as page:
        assert page.url.startswith("https://")
        assert len(page.token) >= 16
        with pytest.raises(urllib.error.HTTPError, match="401"):
            page.get("picture.jpg")
        assert page.get("state?after=0", Authorization=f"Bearer {page.token}")
    assert re.search(r"SHA-256 is ([0-9A-F]{2}:){31}[0-9A-F]{2}", page.err)
    for wrong in ("10.20.0.5", "0.0.0.0:8490", "box:8490", "127.0.0.1:99999"):
        with pytest.raises(UsageError):
            camera_aim._address(wrong)
    assert camera_aim._address("localhost:8490") == ("127.0.0.1", 8490, True)
    assert camera_aim._address("[::1]:8490") == ("::1", 8490, True)
    assert camera_aim._address("10.20.0.5:8490") == ("10.20.0.5", 8490, False)


def picture(seed, right=0, down=0):
    """A room as seen by a camera that was turned by so many pixels."""
    rng = np.random.default_rng(seed)
    room = np.full((560, 960), 120.0)
    for _ in range(120):
        x, y, w, h = rng.integers(0, 880), rng.integers(0, 500), rng.integers(20, 80), rng.integers(10, 60)
        room[y : y + h, x : x + w] = rng.integers(30, 220)
    seen = room[100 - down : 460 - down, 160 - right : 800 - right]
    noise = np.random.default_rng(seed + abs(right)).normal(0, 3, seen.shape)
    return np.clip(seen + noise, 0, 255).astype(np.uint8)


def test_a_reference_says_how_far_a_camera_was_turned(tmp_path):
    reference = picture(1)
    for right, down in ((0, 0), (32, 0), (-64, 25), (100, -50)):
        found = displaced(np.clip(picture(1, right, down) * 0.7, 0, 255).astype(np.uint8), reference)
        assert found.same
        assert found.right == pytest.approx(right / 640, abs=0.012)
        assert found.down == pytest.approx(down / 360, abs=0.02)
        said = [one.words for one in aim_findings(found)]
        assert ("turned" in "".join(said)) == bool(right or down)
    assert "5% right" in aim_findings(displaced(picture(1, 32, 0), reference))[0].words
    assert "another room" in aim_findings(displaced(picture(7), reference))[0].words
    assert not displaced(picture(7), reference).same
    assert not displaced(np.full((360, 640), 90, np.uint8), reference).same
    drawn = np.asarray(Image.open(io.BytesIO(outline(reference))))
    assert drawn.shape == (360, 640, 4)
    assert 0.01 < (drawn[..., 3] > 0).mean() < 0.15
    store = References(tmp_path)
    assert store.get("a") is None
    with pytest.raises(ValueError, match="cannot identify"):
        luma_of_jpeg(b"none")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        References(tmp_path / "file" / "x").put("a", b"")
