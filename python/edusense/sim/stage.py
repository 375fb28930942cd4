"""Draws a script in a scene, picture by picture, and measures what it staged while drawing it."""

from __future__ import annotations

import functools
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from edusense.sim.acts import CHANGED_LEVELS, Act, Placed, Staged, fit, static
from edusense.sim.scenes import Rect

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from edusense.sim.scenes import Scene
    from edusense.sim.script import Script
    from edusense.sim.sprites import Look, Plane

__all__ = ["CHANGED_LEVELS", "Disturbance", "Stage", "Staged"]


@dataclass(frozen=True)
class Disturbance:
    """What moves in every picture and must not be found.

    Attributes:
        noise: standard deviation of the sensor's noise, in levels of luma.
        drift: amplitude of a slow change of brightness, in levels.
        drift_s: its period in seconds.
        flicker: amplitude of a lamp's rolling bands, in levels.
        clock: whether the time is burned in.
    """

    noise: float = 1.8
    drift: float = 5.0
    drift_s: float = 60.0
    flicker: float = 0.0
    clock: bool = True

    @classmethod
    def draw(cls, seed: int) -> Disturbance:
        """A camera's own mixture."""
        rng = np.random.default_rng([seed, 0xD157])
        return cls(
            noise=float(rng.choice([1.2, 1.8, 2.4])),
            drift=float(rng.uniform(2, 8)),
            drift_s=float(rng.uniform(45, 90)),
            flicker=float(rng.choice([0.0, 0.0, 0.0, 1.0, 1.0, 2.0])),
        )


class Stage:
    """Draws the pictures of one camera, in order.

    Args:
        scene: where.
        script: what happens.
        disturbance: what never stands still.
        seed: of noise and details.
        epoch: Unix time of picture 0, for the burned-in clock.
    """

    def __init__(
        self,
        scene: Scene,
        script: Script,
        *,
        disturbance: Disturbance | None = None,
        seed: int = 0,
        epoch: float = 1_790_000_000.0,
    ) -> None:
        self.scene, self.script, self.epoch = scene, script, epoch
        self.disturbance = Disturbance() if disturbance is None else disturbance
        self.next = 0
        self.staged: list[Staged] = []
        self._rng = np.random.default_rng([seed, 0x57A6E])
        self._phase = float(self._rng.uniform(0, 2 * math.pi))
        self._seated = {
            index: static(scene, index, look)
            for index, look in sorted(script.seated.items(), key=lambda item: scene.seats[item[0]].y)
        }
        self._looks = dict(script.seated)
        self._cues = list(reversed(script.cues))
        self._act: Act | None = None
        self._light = 1.0
        self._base = self._compose()
        self._lit = self._base
        self._tables: dict[float, Plane] = {}

    def pictures(self, count: int) -> Iterator[Plane]:
        """The next `count` pictures' luma, for looking at without an encoder."""
        shape = self.scene.planes[0].shape
        chroma = self.scene.planes[1].shape
        for _ in range(count):
            y, u, v = np.empty(shape, np.uint8), np.empty(chroma, np.uint8), np.empty(chroma, np.uint8)
            self.paint(y, u, v)
            yield y

    def paint(self, y: Plane, u: Plane, v: Plane) -> None:
        """Draws the next picture into these planes (which may be an encoder's own memory)."""
        index = self.next
        self.next += 1
        self._begin(index)
        planes = self._lit
        if self._act is not None:
            planes = self._act.draw(index)
        self._disturb(index, planes[0], y)
        np.copyto(u, planes[1])
        np.copyto(v, planes[2])
        if self.disturbance.clock:
            self._stamp(index, y)
        if self._act is not None and index + 1 >= self._act.end:
            self._finish()

    # ---- acts

    def extend(self, script: Script) -> None:
        """Goes on with another script's cues after those that are left."""
        self._cues = [*reversed(script.cues), *self._cues]

    @property
    def busy(self) -> bool:
        """Whether cues are left, or somebody is on the way: who will sit where is not known yet."""
        return self._act is not None or bool(self._cues)

    @property
    def seated(self) -> dict[int, Look]:
        """Who sits where now."""
        return dict(self._looks)

    def _begin(self, index: int) -> None:
        while self._act is None and self._cues and self._cues[-1].at <= index:
            cue = self._cues.pop()
            if cue.is_lure:
                self._act = _Lamp(
                    self, index, cue.pictures, self.script.darkness if cue.what == "light-off" else 1.0, cue.what
                )
                return
            people = dict(self._seated)
            if cue.seat is not None and cue.look is not None:
                if cue.what == "sits-down":
                    self._looks[cue.seat] = cue.look
                elif cue.what == "leaves":
                    self._looks.pop(cue.seat)
            if cue.what in {"leaves", "stands-up"} and cue.seat is not None:
                people.pop(cue.seat)
            rest = self._light_up(self._compose(people)) if people != self._seated else self._lit
            self._act = fit(self.scene, cue, index, quiet=self._lit, rest=rest, people=people, shade=self._shade)

    def _finish(self) -> None:
        act = self._act
        assert act is not None
        self._act = None
        staged = act.staged()
        if staged is not None:
            self.staged.append(staged)
        if act.after is not None:
            self._seated = dict(sorted(act.after.items(), key=lambda item: self.scene.seats[item[0]].y))
            self._base = self._compose()
            self._lit = self._light_up(self._base)

    def _compose(self, people: dict[int, Placed] | None = None) -> tuple[Plane, Plane, Plane]:
        y, u, v = (plane.copy() for plane in self.scene.planes)
        for placed in (self._seated if people is None else people).values():
            placed.blit((y, u, v))
        return y, u, v

    # ---- light

    def set_light(self, level: float) -> None:
        """Changes how bright the room's lamps are, 0 to 1."""
        self._light = level
        self._lit = self._light_up(self._base)

    @property
    def light(self) -> float:
        """How bright the room's lamps are."""
        return self._light

    @property
    def lit(self) -> tuple[Plane, Plane, Plane]:
        """The scene as it stands, with the light as it is."""
        return self._lit

    def _shade(self, luma: Plane) -> Plane:
        if self._light >= 1.0:
            return luma
        table = self._tables.get(self._light)
        if table is None:
            levels = np.arange(256, dtype=np.float32)
            table = np.clip(16 + (levels - 16) * self._light, 28, 222).astype(np.uint8)
            self._tables[self._light] = table
        return table[luma]

    def _light_up(self, planes: tuple[Plane, Plane, Plane]) -> tuple[Plane, Plane, Plane]:
        return self._shade(planes[0]), planes[1], planes[2]

    # ---- what never stands still

    def _disturb(self, index: int, clean: Plane, out: Plane) -> None:
        kind = self.disturbance
        height, width = clean.shape
        seconds = index / self.script.fps
        bank = _noise(kind.noise, max(1_500_000, 2 * clean.size))
        offset = int(self._rng.integers(0, bank.size - clean.size))
        np.add(clean, bank[offset : offset + clean.size].reshape(height, width), out=out)
        level = round(kind.drift * math.sin(2 * math.pi * seconds / kind.drift_s + self._phase))
        if kind.flicker:
            rows = np.sin(2 * math.pi * (np.arange(height) / height * 1.5 + 1.7 * seconds)) * kind.flicker + level
            np.add(out, np.round(rows).astype(np.int8).view(np.uint8)[:, None], out=out)
        elif level:
            np.add(out, np.int8(level).view(np.uint8), out=out)

    def _stamp(self, index: int, y: Plane) -> None:
        mask = _clock_text(math.floor(self.epoch + index / self.script.fps), max(10, self.scene.height // 24))
        height, width = mask.shape
        corner = y[8 : 8 + height, 8 : 8 + width]
        np.copyto(corner, np.uint8(40))
        np.copyto(corner, mask, where=mask > 40)


class _Lamp(Act):
    """The light is switched: the whole picture changes, and nothing moves."""

    def __init__(self, stage: Stage, at: int, pictures: int, level: float, what: str) -> None:
        super().__init__(at, at + pictures)
        self._stage, self._from, self._to, self._what = stage, stage.light, level, what

    def draw(self, index: int) -> tuple[Plane, Plane, Plane]:
        share = (index - self.at + 1) / (self.end - self.at)
        self._stage.set_light(self._from + (self._to - self._from) * share)
        return self._stage.lit

    def staged(self) -> Staged | None:
        height, width = self._stage.lit[0].shape
        return Staged(self._what, self.at, self.end - 1, 0.0, Rect(0, 0, width, height), lure=True)


@functools.lru_cache(maxsize=8)
def _noise(sigma: float, size: int) -> npt.NDArray[np.uint8]:
    """A bank of noise, to be added modulo 256; each picture begins somewhere else in it."""
    rng = np.random.default_rng(int(sigma * 1000))
    bank = rng.standard_normal(size, dtype=np.float32)
    np.multiply(bank, sigma, out=bank)
    np.clip(bank, -9, 9, out=bank)
    return np.rint(bank).astype(np.int8).view(np.uint8)


@functools.lru_cache(maxsize=64)
def _clock_text(second: int, size: int) -> Plane:
    text = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
    font = ImageFont.load_default(size)
    # One cell a character, whatever its width: a clock whose edges moved each second would be more than a clock.
    cell, tall = math.ceil(font.getlength("0")), math.ceil(size * 1.2)
    image = Image.new("L", (cell * len(text) + 8 & ~1, tall + 4 & ~1), 0)
    pen = ImageDraw.Draw(image)
    for index, letter in enumerate(text):
        pen.text((4 + cell * (index + 0.5), 2), letter, fill=220, font=font, anchor="ma")
    return np.asarray(image).astype(np.uint8)
