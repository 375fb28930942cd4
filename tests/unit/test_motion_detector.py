"""The detector by itself: pictures in, what moves out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from edusense import _native

Picture = npt.NDArray[np.uint8]


def room(width: int = 640, height: int = 360, seed: int = 1) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 25, (height // 40 + 2, width // 40 + 2)).repeat(40, 0).repeat(40, 1)[:height, :width]
    return np.asarray(np.clip(120 + coarse + np.linspace(-20, 20, width), 30, 220))


class World:
    """A room, somebody in it, and light; looked at with a cadence."""

    def __init__(self, size: tuple[int, int] = (640, 360), noise: float = 1.5) -> None:
        self.room = room(*size)
        self.rng = np.random.default_rng(3)
        self.noise = noise
        self.detector = _native.Detector()
        self.tracker = _native.EventTracker()
        self.events: list[_native.MotionEvent] = []
        self.looks: list[_native.Look] = []

    def picture(self, at: tuple[float, float] | None, side: int = 60, light: float = 1.0) -> Picture:
        clean = self.room.copy()
        if at is not None:
            x, y = round(at[0]), round(at[1])
            pattern = np.indices((side, side)).sum(0) // 9 % 2 * 50 + 60
            clean[y : y + side, x : x + side] = pattern[: clean.shape[0] - y, : clean.shape[1] - x]
        clean = 16 + (clean - 16) * light
        return np.clip(clean + self.rng.normal(0, self.noise, clean.shape), 0, 255).astype(np.uint8)

    def look(self, t_s: float, picture: Picture) -> _native.Look:
        look = self.detector.look(t_s, picture)
        self.looks.append(look)
        event = self.tracker.push(look)
        if event is not None:
            self.events.append(event)
        return look

    def finish(self) -> list[_native.MotionEvent]:
        event = self.tracker.finish()
        return self.events + ([] if event is None else [event])


def walk(
    world: World, cadence: float, start: float = 5.0, end: float = 8.0, until: float = 14.0, speed: float = 80
) -> None:
    """Somebody appears at `start`, walks, and stops at `end` for good."""
    for t_s in np.arange(0, until, cadence):
        gone = min(max(t_s - start, 0), end - start)
        world.look(float(t_s), world.picture(None if t_s < start else (100 + speed * gone, 150)))


@pytest.mark.parametrize("cadence", [0.04, 0.1, 0.16, 0.2])
def test_who_walks_and_stops_is_one_event(cadence: float):
    world = World()
    walk(world, cadence)
    (event,) = world.finish()
    assert event.start_s == pytest.approx(5, abs=0.4)
    assert event.end_s == pytest.approx(8, abs=0.4)
    assert 0.5 < event.score <= 1
    (region,) = event.regions
    assert region[0] == pytest.approx(100, abs=16)
    assert region[0] + region[2] == pytest.approx(400, abs=16)
    assert region[1] == pytest.approx(150, abs=16)


def test_key_pictures_alone_are_enough_for_somebody_who_stays_a_while():
    world = World()
    walk(world, 2.0, start=5, end=13, until=30, speed=40)
    (event,) = world.finish()
    assert event.start_s == pytest.approx(5, abs=2)
    assert event.end_s == pytest.approx(13, abs=2.1)


def test_what_changes_once_does_not_move():
    world = World()
    for t_s in np.arange(0, 20, 0.16):
        # Something is put there at 5 s, and taken away again at 12 s.
        world.look(float(t_s), world.picture((300, 100) if 5 <= t_s < 12 else None))
    assert world.finish() == []


@pytest.mark.parametrize("ramp_s", [0.01, 0.3])
def test_light_is_no_motion_and_does_not_blind(ramp_s: float):
    world = World()
    for t_s in np.arange(0, 20, 0.16):
        light = 1 - 0.4 * min(max((t_s - 5) / ramp_s, 0), 1)
        somebody = (100 + 60 * (t_s - 10), 200) if 10 <= t_s < 13 else None
        look = world.look(float(t_s), world.picture(somebody, light=light))
        if look.light:
            assert 5 <= t_s < 6
    (event,) = world.finish()
    assert event.start_s == pytest.approx(10, abs=0.4)
    assert event.end_s == pytest.approx(13, abs=0.4)


def test_half_of_the_picture_becomes_bright():
    world = World()
    for t_s in np.arange(0, 12, 0.16):
        picture = world.picture(None).astype(np.float64)
        if t_s >= 5:
            picture[:, 320:] = np.minimum(picture[:, 320:] * 1.4, 255)
        world.look(float(t_s), picture.astype(np.uint8))
    assert world.finish() == []


def test_a_clock_that_ticks_and_rows_that_flicker():
    world = World()
    rng = np.random.default_rng(9)
    digits = rng.integers(0, 2, (40, 24, 120)) * 180 + 30
    for t_s in np.arange(0, 30, 0.16):
        picture = world.picture(None).astype(np.float64)
        picture += np.round(2 * np.sin(np.arange(360) / 40 + 10 * t_s))[:, None]
        picture[8:32, 8:128] = digits[int(t_s)]
        world.look(float(t_s), np.clip(picture, 0, 255).astype(np.uint8))
    assert world.finish() == []


def test_a_small_faint_figure_is_seen():
    world = World(noise=1.0)
    for t_s in np.arange(0, 10, 0.16):
        picture = world.picture(None).astype(np.float64)
        if 4 <= t_s < 6:
            x = 200 + int(90 * (t_s - 4))
            picture[150:190, x : x + 24] += 18
        world.look(float(t_s), np.clip(picture, 0, 255).astype(np.uint8))
    (event,) = world.finish()
    assert event.start_s == pytest.approx(4, abs=0.5)
    assert event.end_s == pytest.approx(6, abs=0.5)


def test_a_pause_a_jump_and_another_size_start_anew():
    world = World()
    assert not world.look(0, world.picture(None)).pending
    assert not world.look(100, world.picture((100, 100))).pending
    assert not world.look(50, world.picture(None)).pending
    assert not world.detector.look(50.2, np.full((1080, 1920), 9, np.uint8)).pending
    assert not world.detector.look(50.2, np.full((1080, 1920), 90, np.uint8)).moved
    for shape in [(1, 1), (1, 4000), (4000, 1), (3, 2), (17, 333)]:
        detector = _native.Detector()
        for index in range(6):
            detector.look(index * 0.2, np.full(shape, 40 * index, np.uint8))


def test_arrays_as_they_come():
    detector = _native.Detector()
    plane = np.zeros((100, 256), np.uint8)
    detector.look(0, plane[:, :200])
    detector.look(1, plane[::2])
    detector.look(2, np.asfortranarray(np.zeros((1, 1), np.uint8)))
    with pytest.raises(ValueError, match="contiguous rows"):
        detector.look(3, plane.T)
    with pytest.raises(ValueError, match="contiguous rows"):
        detector.look(3, plane[::-1])
    with pytest.raises(ValueError, match="empty"):
        detector.look(3, plane[:0])
    with pytest.raises(TypeError):
        detector.look(3, plane.astype(np.int16))  # type: ignore[arg-type]


def test_settings_have_names():
    _native.Detector(contrast=5.0, area=0.01)
    with pytest.raises(TypeError, match="no setting `colour`"):
        _native.Detector(colour=1.0)
    with pytest.raises(TypeError, match="contrast"):
        _native.EventTracker(contrast=-1.0)


LEFT = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]
RIGHT = [[0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 1.0]]


@pytest.mark.parametrize(
    ("watch", "ignore", "seen"),
    [([], [LEFT], False), ([RIGHT], [], False), ([], [RIGHT], True), ([LEFT], [], True), ([LEFT], [LEFT], False)],
)
def test_zones_decide_whether_who_walks_on_the_left_is_seen(watch: list[object], ignore: list[object], seen: bool):
    world = World()
    world.detector.set_zones(watch, ignore)  # type: ignore[arg-type] # lists are what callers write
    walk(world, 0.2, end=6.5)  # from 100 to 220 of 640
    assert len(world.finish()) == seen


def test_who_walks_out_of_an_ignored_part_is_seen_from_there_on_and_boxes_stay_outside_it():
    world = World()
    world.detector.set_zones([], [LEFT])
    walk(world, 0.1, start=5, end=9, speed=100)  # reaches x = 320 with the right side at 7
    (event,) = world.finish()
    assert 6.3 < event.start_s < 7.9
    assert all(x >= 320 - 4 for x, _, _, _ in event.regions)


def test_zones_can_change_while_it_looks_and_heat_tells_where_it_was():
    world = World()
    for t_s in np.arange(0, 20, 0.2):
        if t_s > 9.9:
            world.detector.set_zones([], [RIGHT] if t_s < 10.1 else [])
        gone = t_s % 5 * 30
        world.look(float(t_s), world.picture((400 + gone, 150)))
    heat = world.detector.heat()
    assert heat is not None
    width, height, moved_s, masked, closed = heat
    assert (width, height, moved_s.size, masked.size, closed.size) == (160, 90, 14400, 14400, 0)
    moved = moved_s.reshape(height, width)
    assert moved[:, 100:].sum() > 0
    assert moved[:, :90].sum() == 0


def test_what_changes_for_ever_masks_itself_and_shows_in_the_heat():
    world = World(noise=0.5)
    for index in range(300):
        picture = world.picture(None)
        picture[8:24, 8:120] = (40, 120, 200)[index % 3]
        world.look(index * 0.2, picture)
    heat = world.detector.heat()
    assert heat is not None
    masked = heat[3].reshape(90, 160)
    assert masked[2:6, 2:30].mean() > 0.9
    assert masked[20:].sum() == 0
