"""The scripts of docs/examples, each run as its docstring says, and pages of the guide, beside a real box."""

from __future__ import annotations

import contextlib
import csv
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from tests.pages import GUIDE, ROOT, walk

EXAMPLES = Path(__file__).parents[2] / "docs/examples"
SCRIPTS = sorted(path for path in EXAMPLES.glob("*.py") if path.name != "plain_verifier.py")
"""An integrator's first hour; the auditor's own verifier is tested beside the batches."""


@contextlib.contextmanager
def begin(name: str, *words: object, cwd: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A script that runs inside the block; nothing that fails in it leaves the script behind."""
    with subprocess.Popen(
        [sys.executable, str(EXAMPLES / name), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONWARNINGS": "error"} | environment,
    ) as script:
        try:
            yield script
        finally:
            script.kill()


def run(name: str, *words: object, cwd: Path, **environment: str) -> str:
    with begin(name, *words, cwd=cwd, **environment) as script:
        out, err = script.communicate(timeout=60)
    assert script.returncode == 0, err
    return out


def test_there_are_eight_and_each_is_short_and_says_how_it_is_run():
    assert len(SCRIPTS) == 8
    for path in SCRIPTS:
        text = path.read_text("utf-8")
        assert len(text.splitlines()) < 30, path.name
        assert f"python docs/examples/{path.name}" in text.split('"""')[1]


def test_cards_to_csv(running_school, tmp_path):
    school = running_school
    taps = [school.connect().tap("left", card) for card in school.cards[:2]]
    words = ("--site", school.site, "--once", "cards.csv")
    run("cards_to_csv.py", *words, cwd=tmp_path)
    taps.append(school.connect().tap("left", school.cards[0]))
    run("cards_to_csv.py", *words, cwd=tmp_path)
    rows = list(csv.DictReader((tmp_path / "cards.csv").read_text().splitlines()))
    assert [int(row["cursor"]) for row in rows] == [tap["cursor"] for tap in school.events("tap")]
    assert rows[-1]["pupil"] == "1001"
    assert rows[-1]["reason"] == "already-served"


def test_motion_to_webhook(running_school, tmp_path):
    got: list[dict] = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            # The first answer is a refusal: the script has to come again.
            self.send_response(503 if len(got) == 1 else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/motion"
        with begin("motion_to_webhook.py", "--site", running_school.site, url, cwd=tmp_path) as script:
            running_school.until(lambda: len(got) >= 2 or script.poll() is not None)
            running_school.until((tmp_path / "webhook.cursor").exists)
        server.shutdown()
        thread.join()
    assert got[0] == got[1] == running_school.events("motion")[0]


def test_meals_as_numpy(running_school, tmp_path):
    school = running_school
    school.connect().tap("left", school.cards[2])
    out = run("meals_as_numpy.py", school.folder / "data/ledger", cwd=tmp_path)
    meals = sum(row["granted"] for row in school.events("tap"))
    assert out.startswith(f"{meals} meals for {meals} pupils, {meals * 450}.00 tenge\n")
    day, count = out.splitlines()[1].split(": ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", day)
    assert int(count) == meals
    assert abs(np.datetime64(day) - np.datetime64("today")) <= np.timedelta64(1, "D")


def test_snapshots(running_school, tmp_path):
    out = run("snapshots.py", "--site", running_school.site, "--reason", "a test", "pictures", cwd=tmp_path)
    assert out == "205-0: saved\n205-1: saved\n"
    for number in range(2):
        with Image.open(tmp_path / f"pictures/205-{number}.jpg") as picture:
            assert picture.size == (320, 240)


def test_live_table(running_school, tmp_path):
    out = run("live_table.py", "--site", running_school.site, "--seconds", "0.5", cwd=tmp_path)
    assert "205-1" in out
    assert "playing" in out


def test_save_clips(running_school, tmp_path):
    (tmp_path / "clips").mkdir()
    words = ("--site", running_school.site, "--since", 0, "--reason", "a test", "clips")
    with begin("save_clips.py", *words, cwd=tmp_path) as script:
        assert script.stdout is not None
        name = script.stdout.readline().strip()
    assert name == running_school.events("motion")[0]["id"]
    with av.open(str(tmp_path / f"clips/{name}.mp4")) as container:
        assert next(container.decode(video=0)).width == 320
    with Image.open(tmp_path / f"clips/{name}.jpg") as picture:
        picture.verify()


def test_events_in_a_file(running_school, tmp_path):
    school = running_school
    event = school.events("motion")[0]
    (tmp_path / "clip.mp4").write_bytes(school.connect().clip(event["id"], reason="a test"))
    out = run("events_in_a_file.py", "clip.mp4", cwd=tmp_path)
    assert re.search(r"^ +[\d.]+ to +[\d.]+ s  score \d\.\d\d  \d+x\d+ at \d+,\d+", out, re.MULTILINE)


def test_discover_cameras(running_school, tmp_path):
    camera = running_school.camera
    words = ("--user", camera.user, camera.onvif)
    out = run("discover_cameras.py", *words, cwd=tmp_path, CAMERA_PASSWORD=camera.password)
    assert out.splitlines()[:2] == [camera.onvif, f"  analysed: {camera.rtsp}"]
    out = run("discover_cameras.py", "--user", "nobody", camera.onvif, cwd=tmp_path, CAMERA_PASSWORD="wrong")
    assert "refuse" in out


@pytest.mark.parametrize(
    "page", [GUIDE / "running-the-box.md", GUIDE / "alerts.md", ROOT / "README.md"], ids=lambda page: page.name
)
def test_pages_about_the_running_box(running_school, tmp_path, page):
    """Their own names stand for those of the school that runs here."""
    school = running_school

    def change(text: str) -> str:
        return text.replace("/tmp/school", str(school.folder)).replace("205-front", school.camera.id)

    assert walk(page, tmp_path, change, EDUSENSE_SITE=str(school.site))
