"""What happens in front of a virtual camera, and when: drawn from a seed, none left out because it is hard to find.

A script only says *what* and *when*. How large somebody must be to cover the wanted share of the picture is fitted by
the `Stage`, which knows the scene.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edusense.sim.sprites import SEATED, Look, person

if TYPE_CHECKING:
    from edusense.sim.scenes import Scene

__all__ = ["LONGEST_S", "MAX_SHARE", "MIN_SHARE", "QUIET_S", "SHORTEST_S", "Cue", "Script"]

SHORTEST_S, LONGEST_S = 0.8, 6.0
MIN_SHARE, MAX_SHARE = 0.004, 0.08
QUIET_S = 3.6
"""Quiet between two events of one camera, so that they are two facts and not one."""
AFTER_LIGHT_S = 5.0

_LEAST_S = {
    "crosses": 2.2,
    "sits-down": 1.8,
    "leaves": 1.8,
    "stands-up": 0.8,
    "looks-in": 0.8,
    "passes": 0.8,
    "door": 0.8,
    "ball": 0.8,
}
_MOST_S = {"passes": 3.0, "door": 3.5, "ball": 3.0, "stands-up": 4.0}
LIGHTS = ("light-off", "light-on")


@dataclass(frozen=True)
class Cue:
    """One thing that is to happen.

    Attributes:
        at: picture at which it begins, counted from the script's start.
        pictures: for how many pictures something moves.
        what: `crosses`, `looks-in`, `passes`, `door`, `ball`, `sits-down`, `leaves`, `stands-up`; or the lures
            `light-off`, `light-on`.
        share: wanted peak share of the picture that changes. Who sits has the size of the seat, whatever is wanted.
        seed: for everything else about it.
        seat: index of the seat concerned.
        look: who it is.
    """

    at: int
    pictures: int
    what: str
    share: float
    seed: int
    seat: int | None = None
    look: Look | None = None

    @property
    def is_lure(self) -> bool:
        """Whether a motion detector must not report it."""
        return self.what in LIGHTS


@dataclass(frozen=True)
class Script:
    """Everything that happens in front of one camera.

    Attributes:
        fps: pictures a second.
        cues: in order of time, never overlapping.
        seated: who sits where at the beginning.
        darkness: brightness that is left when the light is off, 0 to 1.
    """

    fps: float
    cues: tuple[Cue, ...] = ()
    seated: dict[int, Look] = field(default_factory=dict)
    darkness: float = 0.6

    @classmethod
    def draw(
        cls,
        scene: Scene,
        *,
        seed: int,
        fps: float,
        begin_s: float = 0.0,
        end_s: float = 60.0,
        lights: bool = True,
        pause_s: float = 5.0,
        loops: bool = False,
        seated: dict[int, Look] | None = None,
        dark: bool = False,
    ) -> Script:
        """Draws a script for a scene.

        Args:
            scene: where it happens.
            seed: the same seed draws the same script.
            fps: pictures a second.
            begin_s: nothing happens before.
            end_s: everything is over by then.
            lights: whether the light may be switched.
            pause_s: mean of the quiet added to the least quiet between two events.
            loops: everybody is back in place at the end, so that the pictures can be shown in a loop.
            seated: who sits where at the beginning, to go on where another script ended; drawn by default.
            dark: whether the light is off at the beginning.
        """
        rng = np.random.default_rng([seed, 0x5C21])
        chance = float(rng.uniform(0.3, 0.7))
        # The light's level belongs to the room, so that a script which goes on from another fits it.
        darkness = 0.55 + 0.17 * (scene.seed % 97) / 97
        if seated is None:
            places = [index for index in range(len(scene.seats)) if rng.random() < chance]
            seated = {index: _visible(scene, index, darkness, rng) for index in places}
        cast = _Cast(scene, dict(seated), darkness, rng, loops)
        cues: list[Cue] = []
        clock = begin_s + float(rng.uniform(0.2, 1.0 + pause_s))
        while True:
            lamp = lights and (dark or rng.random() < 0.12)
            length = float(rng.uniform(0.15, 0.4)) if lamp else float(rng.uniform(SHORTEST_S, LONGEST_S))
            left = end_s - clock - 1.5 / fps
            if left < (length if lamp else SHORTEST_S):
                break
            length = min(length, left)
            at, pictures = round(clock * fps), max(1, round(length * fps))
            if lamp:
                cues.append(Cue(at, pictures, LIGHTS[dark], 0.0, int(rng.integers(2**31))))
                dark = not dark
                clock += length + AFTER_LIGHT_S
            else:
                # From the first to the last picture: one more than there are steps between them.
                pictures = max(pictures, int(np.ceil(SHORTEST_S * fps)) + 1)
                cues.append(cast.cue(at, pictures, fps))
                clock += pictures / fps + QUIET_S
            clock += float(rng.exponential(pause_s))
        if loops:
            cues = cast.close(cues)
        return cls(fps, tuple(cues), seated, darkness)

    def quiet(self) -> Script:
        """The same room with the same people in it, and nothing happens."""
        return Script(self.fps, (), self.seated, self.darkness)


def _visible(scene: Scene, seat: int, darkness: float, rng: np.random.Generator) -> Look:
    """Somebody who can be told from the background of a seat, also when the light is off.

    Whoever sits has the size that the seat gives; what remains is that shirt and wall are not of one brightness.
    """
    place, luma = scene.seats[seat], scene.planes[0]
    while True:
        look = Look.draw(rng)
        sprite = person(look, place.height, SEATED)
        left, top = max(0, place.x - sprite.width // 2), place.y - sprite.height
        wall = luma[top : place.y, left : left + sprite.width].astype(int)
        tall, wide = wall.shape
        differs = np.abs(sprite.y[:tall, :wide] - wall)[sprite.mask[:tall, :wide]] * darkness > 16
        if differs.sum() > 1.3 * MIN_SHARE * luma.size and differs.mean() > 0.5:
            return look


class _Cast:
    """Who sits where while a script is drawn."""

    def __init__(
        self, scene: Scene, seated: dict[int, Look], darkness: float, rng: np.random.Generator, loops: bool
    ) -> None:
        self.scene, self.seated, self.darkness, self.rng, self.loops = scene, seated, darkness, rng, loops
        self.first = set(seated)

    def cue(self, at: int, pictures: int, fps: float) -> Cue:
        rng, scene = self.rng, self.scene
        length = pictures / fps
        free = [index for index in range(len(scene.seats)) if index not in self.seated]
        may_leave = [index for index in self.seated if not (self.loops and index in self.first)]
        possible = [
            what
            for what, there in (
                ("crosses", True), ("looks-in", True), ("ball", True), ("passes", scene.doorway is not None),
                ("door", scene.door is not None), ("sits-down", bool(free)), ("leaves", bool(may_leave)),
                ("stands-up", bool(self.seated)),
            )
            if there and _LEAST_S[what] <= length <= _MOST_S.get(what, LONGEST_S)
        ]  # fmt: skip
        weight = np.array(
            [{"crosses": 2.0, "sits-down": 2.0, "leaves": 2.0, "ball": 0.6}.get(what, 1.0) for what in possible]
        )
        what = possible[int(rng.choice(len(possible), p=weight / weight.sum()))]
        share = float(np.exp(rng.uniform(np.log(MIN_SHARE * 1.1), np.log(MAX_SHARE * 0.95))))
        seat: int | None = None
        look = Look.draw(rng)
        if what == "sits-down":
            seat = free[int(rng.integers(len(free)))]
            look = self.seated[seat] = _visible(scene, seat, self.darkness, rng)
        elif what == "leaves":
            seat = may_leave[int(rng.integers(len(may_leave)))]
            look = self.seated.pop(seat)
        elif what == "stands-up":
            seat = list(self.seated)[int(rng.integers(len(self.seated)))]
            look = self.seated[seat]
        return Cue(at, pictures, what, share, int(rng.integers(2**31)), seat, look)

    def close(self, cues: list[Cue]) -> list[Cue]:
        """Takes back what would leave somebody in a seat, or the light off, when the loop begins again."""
        open_seats = set(self.seated) - self.first
        kept: list[Cue] = []
        for cue in reversed(cues):
            if cue.seat in open_seats and cue.what in {"sits-down", "stands-up"}:
                if cue.what == "sits-down":
                    open_seats.discard(cue.seat)
                cue = Cue(cue.at, cue.pictures, "looks-in", cue.share, cue.seed, None, cue.look)
            kept.append(cue)
        kept.reverse()
        lights = [cue for cue in kept if cue.is_lure]
        return [cue for cue in kept if not (len(lights) % 2 and cue is lights[-1])]
