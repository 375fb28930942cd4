"""How each cue is acted: who stands where in which picture, fitted so that the wanted share of the picture changes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edusense.sim.scenes import Rect
from edusense.sim.script import MAX_SHARE, MIN_SHARE
from edusense.sim.sprites import SEATED, STANDING, WALK_POSES, Look, Sprite, ball, person

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.sim.scenes import Scene
    from edusense.sim.script import Cue
    from edusense.sim.sprites import Plane

    Planes = tuple[Plane, Plane, Plane]

__all__ = ["CHANGED_LEVELS", "Act", "Placed", "Staged", "fit", "static"]

CHANGED_LEVELS = 15
"""A pixel has changed when its luma differs by more than this from the quiet scene."""


@dataclass(frozen=True)
class Staged:
    """One thing that happened, as measured while drawing it.

    Attributes:
        what: the cue's name.
        first: picture in which something first moved, counted from the script's start.
        last: last picture that differed from the one before.
        share: peak share of pixels that differed by more than `CHANGED_LEVELS` from the scene before; 0 for a lure.
        box: rectangle around all that changed, in pixels.
        lure: whether it must not be found.
    """

    what: str
    first: int
    last: int
    share: float
    box: Rect
    lure: bool


@dataclass(frozen=True)
class Placed:
    """A sprite in the picture: its left upper corner, and the rectangle outside which it is hidden."""

    sprite: Sprite
    x: int
    y: int
    clip: Rect | None = None

    @property
    def rect(self) -> Rect:
        """What it covers at most, even when a part lies outside of the picture."""
        return Rect(self.x, self.y, self.sprite.width, self.sprite.height)

    def blit(self, planes: Planes, shade: Callable[[Plane], Plane] | None = None) -> Rect:
        """Draws it into planes and returns the rectangle it touched."""
        height, width = planes[0].shape
        x, y = self.x & ~1, self.y & ~1
        seen = Rect(x, y, self.sprite.width, self.sprite.height).within(width, height)
        if self.clip is not None:
            left, top = max(seen.x, self.clip.x), max(seen.y, self.clip.y)
            right = min(seen.x + seen.w, self.clip.x + self.clip.w)
            bottom = min(seen.y + seen.h, self.clip.y + self.clip.h)
            seen = Rect(left, top, max(0, right - left), max(0, bottom - top))
        if not seen.w or not seen.h:
            return Rect(seen.x, seen.y, 0, 0)
        for plane, own, mask, step in (
            (planes[0], self.sprite.y, self.sprite.mask, 1),
            (planes[1], self.sprite.u, self.sprite.mask_c, 2),
            (planes[2], self.sprite.v, self.sprite.mask_c, 2),
        ):
            top, left = seen.y // step, seen.x // step
            bottom, right = (seen.y + seen.h) // step, (seen.x + seen.w) // step
            inner = np.s_[top - y // step : bottom - y // step, left - x // step : right - x // step]
            pixels = own[inner] if shade is None or step == 2 else shade(own[inner])
            np.copyto(plane[top:bottom, left:right], pixels, where=mask[inner])
        return seen


def static(scene: Scene, seat: int, look: Look) -> Placed:
    """Somebody who sits and does not move."""
    place = scene.seats[seat]
    sprite = person(look, place.height, SEATED)
    return Placed(sprite, place.x - sprite.width // 2, place.y - sprite.height)


class Act:
    """Something that goes on from picture `at` to before picture `end`.

    Args:
        at: first picture.
        end: first picture after it.
        after: who sits where when it is over, where that has changed.
    """

    def __init__(self, at: int, end: int, after: dict[int, Placed] | None = None) -> None:
        self.at, self.end, self.after = at, end, after

    def draw(self, index: int) -> Planes:
        """The clean planes of this picture."""
        raise NotImplementedError

    def staged(self) -> Staged | None:
        """What was staged; asked for when it is over."""
        raise NotImplementedError


class _Moving(Act):
    """Figures over a resting scene, measured against the quiet one."""

    def __init__(
        self,
        cue: Cue,
        at: int,
        pictures: int,
        figures: Callable[[int], list[Placed]],
        *,
        quiet: Planes,
        rest: Planes,
        touched: Rect | None,
        nearer: Callable[[int], list[Placed]],
        shade: Callable[[Plane], Plane],
        after: dict[int, Placed] | None,
    ) -> None:
        super().__init__(at, at + pictures, after)
        self._cue, self._figures, self._quiet, self._rest = cue, figures, quiet, rest
        self._touched, self._nearer, self._shade = touched, nearer, shade
        self._before = quiet[0]
        self._before_area: Rect | None = None
        self._first: int | None = None
        self._last = at
        self._share = 0.0
        self._box: Rect | None = None

    def draw(self, index: int) -> Planes:
        planes, area = self._paint(index - self.at)
        changed = self._count(planes[0], area)
        self._share = max(self._share, changed)
        whole = area if self._before_area is None else area.union(self._before_area)
        cut = np.s_[whole.y : whole.y + whole.h, whole.x : whole.x + whole.w]
        if not np.array_equal(planes[0][cut], self._before[cut]):
            self._first = index if self._first is None else self._first
            self._last = index
        self._before, self._before_area = planes[0], area
        return planes

    def peak(self, samples: int = 9) -> float:
        """The share that would change at most, judged by some of its pictures."""
        count = self.end - self.at
        steps = {round(step) for step in np.linspace(0, count - 1, min(samples, count))}
        return max(self._count(planes[0], area) for planes, area in (self._paint(step) for step in sorted(steps)))

    def staged(self) -> Staged | None:
        if self._first is None or self._box is None:
            return None
        return Staged(self._cue.what, self._first, self._last, self._share, self._box, lure=False)

    def _paint(self, step: int) -> tuple[Planes, Rect]:
        y, u, v = self._rest
        planes = (y.copy(), u.copy(), v.copy())
        area = self._touched
        for figure in self._figures(step):
            seen = figure.blit(planes, self._shade)
            for other in self._nearer(figure.y + figure.sprite.height):
                other.blit(planes, self._shade)
            if seen.w and seen.h:
                area = seen if area is None else area.union(seen)
        height, width = y.shape
        return planes, (area or Rect(0, 0, 0, 0)).within(width, height)

    def _count(self, luma: Plane, area: Rect) -> float:
        if not area.w or not area.h:
            return 0.0
        cut = np.s_[area.y : area.y + area.h, area.x : area.x + area.w]
        changed = np.abs(luma[cut].astype(np.int16) - self._quiet[0][cut]) > CHANGED_LEVELS
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        if rows.size:
            box = Rect(
                area.x + int(columns[0]),
                area.y + int(rows[0]),
                int(columns[-1] - columns[0]) + 1,
                int(rows[-1] - rows[0]) + 1,
            )
            self._box = box if self._box is None else self._box.union(box)
        return float(np.count_nonzero(changed)) / luma.size


def fit(
    scene: Scene,
    cue: Cue,
    at: int,
    *,
    quiet: Planes,
    rest: Planes,
    people: dict[int, Placed],
    shade: Callable[[Plane], Plane],
    tries: int = 4,
) -> Act:
    """Finds how a cue is acted so that its peak share comes near the wanted one and stays within the limits.

    Args:
        scene: where.
        cue: what.
        at: picture at which it begins.
        quiet: the scene before, with everybody in it.
        rest: the scene without whoever is about to move.
        people: who sits in `rest`.
        shade: how the light changes luma now.
        tries: how often somebody else may take the part where nobody can be told from the wall.
    """
    seats = scene.seats

    def nearer(ground: int) -> list[Placed]:
        return [placed for index, placed in people.items() if seats[index].y > ground + 4]

    def build(cue: Cue, size: float) -> _Moving:
        figures, touched, after = _ACTS[cue.what](scene, cue, size, rest)
        seated = None if after is None else dict(people) | after
        return _Moving(
            cue,
            at,
            cue.pictures,
            figures,
            quiet=quiet,
            rest=rest,
            touched=touched,
            nearer=nearer,
            shade=shade,
            after=seated,
        )

    least, most = _SIZES[cue.what]
    wanted = float(np.clip(cue.share, MIN_SHARE * 1.08, MAX_SHARE * 0.94))
    size = least + (most - least) * min(1.0, math.sqrt(wanted / MAX_SHARE))
    best: tuple[float, float] | None = None
    for _ in range(7):
        share = build(cue, size).peak()
        if best is None or abs(math.log(max(share, 1e-6) / wanted)) < abs(math.log(max(best[1], 1e-6) / wanted)):
            best = (size, share)
        if least == most or 0.93 < share / wanted < 1.06:
            break
        grown = size * float(np.clip(math.sqrt(wanted / max(share, 1e-5)), 0.5, 2.0))
        size = min(most, max(least, grown))
        if size == best[0]:
            break
    assert best is not None
    if (
        MIN_SHARE * 1.03 <= best[1] <= MAX_SHARE * 0.98
        or cue.what in {"sits-down", "leaves", "stands-up"}
        or tries == 0
    ):
        return build(cue, best[0])
    # Clothes as bright as the wall, or a door too small for what is wanted: somebody else looks in.
    other = replace(cue, what="looks-in", look=Look.draw(np.random.default_rng(cue.seed)), seed=cue.seed + 1)
    return fit(scene, other, at, quiet=quiet, rest=rest, people=people, shade=shade, tries=tries - 1)


# ---- the acts: each gives a picture's figures, what of the scene it touches from the first on, and who sits then


def _walker(
    scene: Scene, look: Look, tall: float, middle: float, ground: float, travelled: float, right: bool
) -> Placed:
    """Somebody in the phase of a step that belongs to the way gone so far."""
    height = max(16, round(tall / 2) * 2)
    pose = int(travelled / (0.085 * height)) % WALK_POSES
    sprite = person(look, height, pose, right)
    bob = round(0.012 * height * abs(math.sin(math.pi * travelled / (0.34 * height))))
    return Placed(sprite, round(middle - sprite.width / 2), round(ground) - sprite.height - bob)


def _rng(cue: Cue) -> np.random.Generator:
    return np.random.default_rng([cue.seed, 0xAC7])


def _look(cue: Cue) -> Look:
    return cue.look if cue.look is not None else Look.draw(_rng(cue))


def _crosses(scene: Scene, cue: Cue, size: float, rest: Planes) -> Any:
    """From one edge of the picture to the other."""
    tall = size * scene.height
    right = bool(_rng(cue).random() < 0.5)
    ground, wide = scene.ground(tall), 0.46 * tall
    way = scene.width + wide

    def figures(step: int) -> list[Placed]:
        gone = way * (step + 1) / (cue.pictures + 1)
        middle = gone - wide / 2 if right else scene.width + wide / 2 - gone
        return [_walker(scene, _look(cue), tall, middle, ground, gone, right)]

    return figures, None, None


def _looks_in(scene: Scene, cue: Cue, size: float, rest: Planes) -> Any:
    """In from an edge, and out again by the same."""
    tall = size * scene.height
    left = bool(_rng(cue).random() < 0.5)
    ground, wide = scene.ground(tall), 0.46 * tall
    depth = wide * 1.15

    def figures(step: int) -> list[Placed]:
        share = 2 * (step + 1) / (cue.pictures + 1)
        gone = depth * min(share, 2 - share)
        middle = gone - wide / 2 if left else scene.width + wide / 2 - gone
        return [_walker(scene, _look(cue), tall, middle, ground, depth * share, left == (share < 1))]

    return figures, None, None


def _passes(scene: Scene, cue: Cue, size: float, rest: Planes) -> Any:
    """Behind the open doorway."""
    door = scene.doorway
    assert door is not None
    tall = size * door.h
    right = bool(_rng(cue).random() < 0.5)
    wide = 0.42 * tall
    way = door.w + wide

    def figures(step: int) -> list[Placed]:
        gone = way * (step + 1) / (cue.pictures + 1)
        middle = door.x - wide / 2 + gone if right else door.x + door.w + wide / 2 - gone
        return [replace(_walker(scene, _look(cue), tall, middle, door.y + door.h - 4, gone, right), clip=door)]

    return figures, None, None


def _door(scene: Scene, cue: Cue, size: float, rest: Planes) -> Any:
    """A door swings open by `size` of its width and shut again; behind it is darker or brighter than its leaf."""
    door = scene.door
    assert door is not None
    leaf = [plane[door.y // step : (door.y + door.h) // step, door.x // step : (door.x + door.w) // step]
            for plane, step in zip(scene.planes, (1, 2, 2), strict=True)]  # fmt: skip
    grain = _rng(cue).integers(-3, 4, leaf[0].shape)
    inside = np.where(float(leaf[0].mean()) > 100, 46, 196) + grain
    solid = np.ones(leaf[0].shape, bool)

    def figures(step: int) -> list[Placed]:
        share = 2 * (step + 1) / (cue.pictures + 1)
        kept = max(2, round(door.w * (1 - size * min(share, 2 - share)) / 2) * 2)
        parts: list[Plane] = []
        for plane, behind, scale in zip(leaf, (inside, 128, 128), (1, 2, 2), strict=True):
            width = kept // scale
            drawn = np.array(np.broadcast_to(np.asarray(behind, np.uint8), plane.shape))
            drawn[:, :width] = plane[:, np.arange(width) * plane.shape[1] // width]
            parts.append(drawn)
        return [Placed(Sprite(parts[0], parts[1], parts[2], solid, solid[::2, ::2]), door.x, door.y)]

    return figures, None, None


def _ball(scene: Scene, cue: Cue, size: float, rest: Planes) -> Any:
    """A ball rolls through the picture."""
    across = max(8, round(size * scene.height / 2) * 2)
    rng = _rng(cue)
    right = bool(rng.random() < 0.5)
    ground = scene.height * float(rng.uniform(0.80, 0.98))
    red, green, blue = ((190, 40, 36), (30, 34, 40), (236, 226, 120))[int(rng.integers(3))]
    way = scene.width + across

    def figures(step: int) -> list[Placed]:
        gone = way * (step + 1) / (cue.pictures + 1)
        middle = gone - across / 2 if right else scene.width + across / 2 - gone
        turn = int(gone / (0.4 * across)) % 8
        return [
            Placed(
                ball(across, turn if right else 7 - turn, (red, green, blue)),
                round(middle - across / 2),
                round(ground) - across,
            )
        ]

    return figures, None, None


def _way_to_seat(scene: Scene, cue: Cue) -> Callable[[float], list[Placed]]:
    """The figure on its way from an edge (0) into the seat (1)."""
    assert cue.seat is not None
    seat = scene.seats[cue.seat]
    look, tall = _look(cue), seat.height
    right = seat.x < scene.width / 2
    start = -0.16 * tall if right else scene.width + 0.16 * tall
    sat = static(scene, cue.seat, look)

    def figure(share: float) -> list[Placed]:
        walking = min(1.0, share / 0.82)
        gone = (seat.x - start) * walking
        if walking < 1.0:
            return [_walker(scene, look, tall, start + gone, seat.y, abs(gone), right)]
        # The last part: the body lowers itself onto the chair, feet on the ground.
        lowered = (share - 0.82) / 0.18
        return _raised(scene, look, tall, sat, 1.0 - lowered)

    return figure


def _raised(scene: Scene, look: Look, tall: int, sat: Placed, rise: float) -> list[Placed]:
    """Between sitting (0) and standing (1), on the spot."""
    ground = sat.y + sat.sprite.height
    if rise > 0.8:
        sprite = person(look, tall, STANDING)
        return [Placed(sprite, sat.x + sat.sprite.width // 2 - sprite.width // 2, ground - sprite.height)]
    lift = round(0.26 * tall * rise)
    return [replace(sat, y=sat.y - lift, clip=Rect(sat.x - 2, 0, sat.sprite.width + 4, ground))]


def _sits_down(scene: Scene, cue: Cue, size: float, rest: Planes) -> Any:
    way = _way_to_seat(scene, cue)
    assert cue.seat is not None
    return (lambda step: way((step + 1) / cue.pictures)), None, {cue.seat: static(scene, cue.seat, _look(cue))}


def _leaves(scene: Scene, cue: Cue, size: float, rest: Planes) -> Any:
    way = _way_to_seat(scene, cue)
    assert cue.seat is not None
    return (lambda step: way(1 - (step + 1) / cue.pictures)), static(scene, cue.seat, _look(cue)).rect, {}


def _stands_up(scene: Scene, cue: Cue, size: float, rest: Planes) -> Any:
    """Somebody stands up and sits down again."""
    assert cue.seat is not None
    sat = static(scene, cue.seat, _look(cue))
    tall = scene.seats[cue.seat].height

    def figures(step: int) -> list[Placed]:
        share = 2 * (step + 1) / cue.pictures
        return _raised(scene, _look(cue), tall, sat, max(0.0, min(share, 2 - share)))

    return figures, sat.rect, None


_ACTS: dict[str, Any] = {
    "crosses": _crosses, "looks-in": _looks_in, "passes": _passes, "door": _door, "ball": _ball,
    "sits-down": _sits_down, "leaves": _leaves, "stands-up": _stands_up,
}  # fmt: skip

_SIZES: dict[str, tuple[float, float]] = {
    "crosses": (0.10, 0.92), "looks-in": (0.10, 0.95), "passes": (0.2, 0.94), "door": (0.1, 0.95), "ball": (0.06, 0.34),
    "sits-down": (1, 1), "leaves": (1, 1), "stands-up": (1, 1),
}  # fmt: skip
"""Least and largest size of each: a share of the picture's height, of the doorway's, or of the door's width."""
