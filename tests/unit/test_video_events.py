"""Every event that the simulator stages is found once, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from edusense import video
from edusense.errors import UsageError
from edusense.sim.encode import Encoder, Encoding
from edusense.sim.scenes import KINDS, Scene
from edusense.sim.script import Script
from edusense.sim.stage import Disturbance, Stage, Staged

SECONDS = 30


def staged(path: Path, seed: int, kind: str, fps: float = 12.5) -> list[Staged]:
    """Draws and encodes half a minute, and tells what happened in it."""
    encoding = Encoding(fps=fps)
    scene = Scene.draw(kind, seed=seed)
    script = Script.draw(scene, seed=seed, fps=fps, begin_s=1.0, end_s=SECONDS - 1, pause_s=1.0)
    stage = Stage(scene, script, disturbance=Disturbance.draw(seed), seed=seed)
    encoder = Encoder(encoding)
    path.write_bytes(b"".join(encoder.encode(stage.paint).annex_b() for _ in range(round(SECONDS * fps))))
    return [one for one in stage.staged if not one.lure]


@pytest.mark.parametrize(("seed", "kind"), list(enumerate(KINDS, start=20)))
def test_nothing_is_missed_and_nothing_invented(seed: int, kind: str, tmp_path: Path):
    fps = 12.5
    truth = staged(tmp_path / "scene.h264", seed, kind, fps)
    found = list(video.find_events(tmp_path / "scene.h264"))
    assert [(one.what, one.first / fps) for one in truth if one]
    assert len(found) == len(truth), (truth, found)
    for one, event in zip(truth, found, strict=True):
        assert event.start_s == pytest.approx(one.first / fps, abs=0.7)
        assert event.end_s == pytest.approx((one.last + 1) / fps, abs=0.7)
        box = one.box
        assert any(
            x < box.x + box.w and box.x < x + w and y < box.y + box.h and box.y < y + h for x, y, w, h in event.regions
        )


def test_an_event_as_a_row(tmp_path: Path):
    staged(tmp_path / "scene.h264", 21, "corridor")
    event = next(video.find_events(tmp_path / "scene.h264"))
    row = event.to_json()
    assert set(row) == {"source", "start_s", "end_s", "score", "regions"}
    assert row["source"] == str(tmp_path / "scene.h264")
    assert all(len(region) == 4 for region in row["regions"])


def test_the_box_sees_what_full_looks_see(tmp_path: Path):
    fps = 12.5
    truth = staged(tmp_path / "scene.h264", 22, "canteen", fps)
    found = list(video.find_events(tmp_path / "scene.h264", look="box"))
    assert len(found) == len(truth)


def test_arguments_that_make_no_sense(tmp_path: Path):
    staged(tmp_path / "scene.h264", 20, "room")
    with pytest.raises(UsageError, match="no setting `colour`"):
        next(video.find_events(tmp_path / "scene.h264", colour=3.0))
    with pytest.raises(UsageError, match="look"):
        next(video.find_events(tmp_path / "scene.h264", look="hard"))  # type: ignore[arg-type]


def test_a_live_streams_clock_is_laid_onto_the_wall_clock():
    from edusense.video.finding import _Clock

    now = [1_000.0]
    clock = _Clock(live=True, clock=lambda: now[0])
    # Pictures arrive 0.1 to 0.4 s after they were sent; the first one late.
    for index, delay_s in enumerate([0.4, 0.1, 0.3, 0.2, 0.1]):
        now[0] = 1_000.0 + index * 0.2 + delay_s
        at_s = clock.at(50.0 + index * 0.2)
    assert at_s == pytest.approx(1_000.9)
    error_s = clock.error_s()
    assert error_s is not None
    assert 0.5 < error_s < 0.8
    assert _Clock(live=False).at(7.0) == 7.0
    assert _Clock(live=False).error_s() is None
