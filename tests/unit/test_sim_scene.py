"""What virtual cameras stage is what they say they stage: measured here a second time, on the pictures."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edusense.errors import UsageError
from edusense.sim.clips import Clip, library_clip
from edusense.sim.encode import Encoding
from edusense.sim.scenes import KINDS, Scene
from edusense.sim.script import LONGEST_S, MAX_SHARE, MIN_SHARE, QUIET_S, SHORTEST_S, Script
from edusense.sim.sprites import DARKEST, LIGHTEST
from edusense.sim.stage import CHANGED_LEVELS, Disturbance, Stage

FPS = 12.5
STILL = Disturbance(noise=0, drift=0, flicker=0, clock=False)


def stage_of(kind: str, seed: int, seconds: float, disturbance: Disturbance = STILL, lights: bool = True) -> Stage:
    scene = Scene.draw(kind, seed=seed)
    script = Script.draw(scene, seed=seed, fps=FPS, begin_s=1, end_s=seconds - 1, lights=lights, pause_s=1.5)
    return Stage(scene, script, seed=seed, disturbance=disturbance)


@pytest.mark.parametrize("seed", range(10))
def test_truth_is_what_the_pictures_show(seed: int) -> None:
    stage = stage_of(list(KINDS)[seed % len(KINDS)], seed, 40)
    pictures = np.stack(list(stage.pictures(int(40 * FPS))))
    moves = np.flatnonzero((pictures[1:] != pictures[:-1]).any(axis=(1, 2))) + 1
    told = np.zeros(len(pictures), bool)
    for one in stage.staged:
        # Back to the quiet scene: the picture after the last that shows an event may differ from it.
        told[one.first : one.last + 2] = True
        quiet = pictures[one.first - 1].astype(np.int16)
        assert one.first in moves
        if one.lure:
            assert one.share == 0
            continue
        changed = np.abs(pictures[one.first : one.last + 1] - quiet) > CHANGED_LEVELS
        assert changed.mean(axis=(1, 2)).max() == pytest.approx(one.share, abs=1e-6)
        assert MIN_SHARE <= one.share <= MAX_SHARE
        rows, columns = np.flatnonzero(changed.any(axis=(0, 2))), np.flatnonzero(changed.any(axis=(0, 1)))
        assert one.box.as_list() == [columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert SHORTEST_S <= (one.last - one.first + 1) / FPS <= LONGEST_S + 0.1
    assert told[moves].all(), "something moved that nobody was told of"
    assert len(stage.staged) == len(stage.script.cues) >= 2


def test_every_kind_of_event_is_within_its_limits() -> None:
    seen: dict[str, int] = {}
    for seed in range(20, 45):
        stage = stage_of(list(KINDS)[seed % len(KINDS)], seed, 40)
        for _ in stage.pictures(int(40 * FPS)):
            pass
        for before, after in zip(stage.staged, stage.staged[1:], strict=False):
            assert (after.first - before.last) / FPS >= QUIET_S - 2 / FPS
        for one in stage.staged:
            seen[one.what] = seen.get(one.what, 0) + 1
            assert one.lure or MIN_SHARE <= one.share <= MAX_SHARE, one
    assert set(seen) >= {"crosses", "looks-in", "passes", "door", "sits-down", "leaves", "stands-up", "light-off"}


def test_one_seed_one_school() -> None:
    first, again, other = (stage_of("room", seed, 20, Disturbance()) for seed in (3, 3, 4))
    pictures = [np.stack(list(stage.pictures(100))) for stage in (first, again, other)]
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_disturbances_stay_below_what_counts_as_changed() -> None:
    stage = stage_of("corridor", 5, 2, Disturbance(noise=2.4, drift=8, flicker=2, clock=False))
    quiet = stage.lit[0].astype(np.int16)
    assert quiet.min() >= DARKEST
    assert quiet.max() <= LIGHTEST
    for picture in stage.pictures(12):
        assert 0 < np.abs(picture - quiet).max() <= 9 + 8 + 2 + 1


def test_the_clock_changes_less_than_the_smallest_event() -> None:
    scene = Scene.draw("hall", seed=2)
    quiet = Script.draw(scene, seed=2, fps=1.0, end_s=0)
    stage = Stage(scene, quiet, disturbance=Disturbance(noise=0, drift=0, clock=True))
    pictures = [picture.astype(np.int16) for picture in stage.pictures(12)]
    shares = [float((np.abs(b - a) > CHANGED_LEVELS).mean()) for a, b in itertools.pairwise(pictures)]
    assert 0 < max(shares) < MIN_SHARE


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize(("width", "height"), [(320, 180), (704, 576), (1920, 1080)])
def test_scenes_at_other_sizes(kind: str, width: int, height: int) -> None:
    scene = Scene.draw(kind, width=width, height=height, seed=1)
    assert scene.planes[0].shape == (height, width)
    assert scene.planes[1].shape == (height // 2, width // 2)
    assert not scene.planes[0].flags.writeable


def test_impossible_scenes_are_refused() -> None:
    with pytest.raises(UsageError, match="no scene `moon`"):
        Scene.draw("moon")
    with pytest.raises(UsageError, match="641x360"):
        Scene.draw("room", width=641)


@pytest.mark.parametrize("seed", range(4))
def test_a_looped_clip_ends_as_it_began(seed: int) -> None:
    scene = Scene.draw("room", seed=seed)
    script = Script.draw(scene, seed=seed, fps=FPS, begin_s=1, end_s=58, loops=True, pause_s=1.0)
    stage = Stage(scene, script, disturbance=STILL, seed=seed)
    pictures = list(stage.pictures(int(60 * FPS)))
    assert np.array_equal(pictures[0], pictures[-1])
    assert stage.staged


def test_the_cache_gives_back_what_was_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    encoding = Encoding(320, 180, 10)
    drawn = library_clip("gym", encoding, seconds=6, seed=3)
    monkeypatch.setattr(Clip, "draw", None)
    assert library_clip("gym", encoding, seconds=6, seed=3) == drawn
    (file,) = tmp_path.rglob("*.clip")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(TypeError):
        library_clip("gym", encoding, seconds=6, seed=3)  # a damaged file is drawn anew


def test_clips_are_encoded_as_cameras_do() -> None:
    import av

    clip = Clip.draw("hall", Encoding(320, 180, 10, slices=2), seconds=4, seed=3)
    assert [picture.number for picture in clip.pictures if picture.key] == [0, 20]
    kinds = [[nal[0] & 31 for nal in picture.nals] for picture in clip.pictures]
    assert kinds[0] == [7, 8, 5, 5]
    assert kinds[1] == [1, 1]
    context = av.CodecContext.create("h264", "r")
    packets = context.parse(clip.annex_b()) + context.parse(None)
    frames = [frame for packet in (*packets, None) for frame in context.decode(packet)]
    assert len(frames) == 40
    assert {(frame.width, frame.height) for frame in frames} == {(320, 180)}
    assert not any(frame.pict_type == av.video.frame.PictureType.B for frame in frames)
    again = Clip.read(clip.annex_b(), clip.encoding)
    assert again.pictures == clip.pictures
