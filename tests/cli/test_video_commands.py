"""`edusense video`, as it is typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import IO

import av
import pytest
from PIL import Image

from edusense.cli.schemas import validate
from edusense.sim.encode import Encoder, Encoding
from edusense.sim.scenes import Scene
from edusense.sim.script import Script
from edusense.sim.stage import Stage


def edusense(*arguments: str | float | Path, stdin: str | Path = "/dev/null") -> subprocess.CompletedProcess[str]:
    with Path(stdin).open("rb") as fed:
        return ran(*arguments, stdin=fed)


def ran(*arguments: str | float | Path, stdin: IO[bytes]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edusense", *map(str, arguments)],
        stdin=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "scene.h264"
    drawn = Scene.draw("hall", seed=5)
    stage = Stage(drawn, Script.draw(drawn, seed=5, fps=12.5, begin_s=1, end_s=18, pause_s=1, lights=False), seed=5)
    encoder = Encoder(Encoding())
    path.write_bytes(b"".join(encoder.encode(stage.paint).annex_b() for _ in range(250)))
    assert stage.staged
    return path


@pytest.mark.parametrize("look", ["full", "box"])
def test_events_are_rows(scene: Path, look: str):
    told = edusense("video", "events", scene, "--look", look, "--json")
    assert told.returncode == 0, told.stderr
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    assert rows
    for row in rows:
        validate("video events", row)
        assert list(row) == ["source", "start_s", "end_s", "score", "regions"]
        assert 0 <= row["start_s"] < row["end_s"] <= 20


def test_what_can_be_read_is_done_and_what_cannot_is_named(scene: Path, tmp_path: Path):
    (tmp_path / "letter.mp4").write_text("Dear headmaster\n" * 50)
    (tmp_path / "empty.mp4").touch()
    told = edusense("video", "events", tmp_path / "letter.mp4", tmp_path / "empty.mp4", scene)
    assert told.returncode == 6
    assert str(scene) in told.stdout
    assert "letter.mp4` is not video" in told.stderr
    assert "empty.mp4` is empty" in told.stderr


def test_inspect(scene: Path):
    told = edusense("video", "inspect", scene, "--json")
    assert told.returncode == 0, told.stderr
    row = json.loads(told.stdout)
    validate("video inspect", row)
    assert (row["codec"], row["gop_pictures"]) == ("h264", [25, 25, 25])
    plain = edusense("video", "inspect", scene).stdout
    assert "640x360" in plain
    assert "pyav" in plain


def test_luma_becomes_a_picture_that_not_everybody_may_see(scene: Path, tmp_path: Path):
    out = tmp_path / "picture.png"
    told = edusense("video", "luma", scene, "--at", "7.3", "--out", out, "--json")
    assert told.returncode == 0, told.stderr
    row = json.loads(told.stdout)
    validate("video luma", row)
    assert row["at_s"] == pytest.approx(7.28)
    with Image.open(out) as image:
        assert (image.size, image.mode, image.format) == ((640, 360), "L", "PNG")
    assert out.stat().st_mode & 0o777 == 0o640
    assert edusense("video", "luma", scene, "--out", tmp_path / "no" / "where.png").returncode == 7
    told = edusense("video", "luma", scene, "--frame", "3", "--out", out, "--json")
    assert json.loads(told.stdout)["at_s"] == pytest.approx(0.24), told.stderr
    assert edusense("video", "luma", scene, "--frame", "9999", "--out", out).returncode == 6
    assert edusense("video", "luma", scene, "--frame", "1", "--at", "1", "--out", out).returncode == 2


def test_standard_input_is_a_source(scene: Path, tmp_path: Path):
    told = edusense("video", "inspect", "-", "--json", stdin=scene)
    row = json.loads(told.stdout)
    assert (row["codec"], row["width"], row["height"]) == ("h264", 640, 360)
    letter = tmp_path / "letter.mp4"
    letter.write_text("Dear headmaster\n" * 50)
    assert edusense("video", "inspect", "-", stdin=letter).returncode == 6


@pytest.mark.parametrize("command", ["inspect", "events", "luma"])
def test_a_password_never_stands_in_a_url(command: str):
    more = ["--out", "/dev/null"] if command == "luma" else []
    told = edusense("video", command, "rtsp://admin:hunter2@127.0.0.1:9/sub", *more)
    assert told.returncode == 2
    assert "--password-from" in told.stderr
    assert "hunter2" not in told.stderr


def test_nobody_there():
    told = edusense("video", "events", "rtsp://127.0.0.1:9/sub")
    assert told.returncode == 4
    assert "127.0.0.1:9" in told.stderr
    assert "hint:" in told.stderr
    assert edusense("video", "events", "http://127.0.0.1:9/page").returncode == 2
    assert edusense("video", "events").returncode == 2


def test_a_clip_is_what_the_file_holds(scene: Path, tmp_path: Path):
    out = tmp_path / "clip.mp4"
    told = edusense("video", "clip", scene, "--from", 7.3, "--to", 9.5, "--out", out)
    assert told.returncode == 0, told.stderr
    assert told.stdout == f"{out}: 44 pictures from 6.00 to 9.44 s\n"
    assert out.stat().st_mode & 0o777 == 0o640
    assert pictures(out) == pictures(scene)[75:119]


def test_no_clip_of_nothing(scene: Path, tmp_path: Path):
    out = tmp_path / "clip.mp4"
    for more, status, said in (
        (("--from", 100), 6, "has no picture between 100 s and its end"),
        (("--from", 3, "--to", 3), 2, "from 3 s to 3 s holds nothing"),
    ):
        told = edusense("video", "clip", scene, *more, "--out", out)
        assert (told.returncode, said in told.stderr) == (status, True), told.stderr
    assert edusense("video", "clip", tmp_path / "none.mp4", "--out", out).returncode == 6
    told = edusense("video", "clip", "rtsp://admin:hunter2@127.0.0.1:9/sub", "--out", out)
    assert (told.returncode, "is a live stream" in told.stderr, "hunter2" in told.stderr) == (2, True, False)
    assert edusense("video", "clip", "hall-1795443259781-4", "--from", "1", "--out", out).returncode == 2
    assert not list(tmp_path.iterdir())


def pictures(path: Path) -> list[bytes]:
    """Every picture as it is shown, as bytes of luma."""
    with av.open(str(path), "r") as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]


def test_heat_map_and_timeline_of_files(scene: Path, tmp_path: Path):
    told = edusense("video", "heatmap", scene, "--out", tmp_path / "heat.png", "--json")
    assert told.returncode == 0, told.stderr
    row = json.loads(told.stdout)
    validate("video heatmap", row)
    assert row["moved_share"] > 0
    with Image.open(tmp_path / "heat.png") as picture:
        assert picture.width == 960
    assert (tmp_path / "heat.png").stat().st_mode & 0o777 == 0o640
    told = edusense("video", "heatmap", scene, "--out", tmp_path / "heat.html", "--width", 320)
    assert "of the picture moved" in told.stdout
    assert "data:image/png;base64," in (tmp_path / "heat.html").read_text()

    told = edusense("video", "timeline", scene, "--out", tmp_path / "line.html", "--json")
    assert told.returncode == 0, told.stderr
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    assert rows
    for row in rows:
        validate("video timeline", row)
        assert row["row"] == "scene.h264"
    assert (tmp_path / "line.html").read_text().count('class="event"') == len(rows)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["heatmap", "{scene}", "--out", "heat.gif"], 2, "is to end with .png or .html"),
        (["heatmap", "none.mp4", "--out", "{tmp}/heat.png"], 6, "does not exist"),
        (["heatmap", "gate-1", "--out", "{tmp}/heat.png"], 2, "only with a reason"),
        (["contact-sheet", "--out", "{tmp}/sheet.png"], 2, "only with a reason"),
        (["timeline", "{scene}", "--camera", "x", "--out", "{tmp}/x.png"], 2, "`--camera` is for cameras of the box"),
        (["timeline", "rtsp://10.0.0.1/x", "--out", "{tmp}/x.png"], 2, "live stream"),
    ],
)
def test_wrong_calls_for_pictures(arguments: list[str], status: int, said: str, scene: Path, tmp_path: Path):
    told = edusense("video", *(part.format(scene=scene, tmp=tmp_path) for part in arguments))
    assert told.returncode == status
    assert said in told.stderr
    assert not list(tmp_path.iterdir())
