"""Cameras whose pictures are drawn and encoded while they play, a few seconds ahead, in background threads."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edusense.sim.encode import NAL_PPS, NAL_SPS, Encoder, Encoding, Picture
from edusense.sim.scenes import Scene
from edusense.sim.script import Script
from edusense.sim.stage import Disturbance, Stage
from edusense.sim.timing import Timing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edusense.sim.rtp import Wire
    from edusense.sim.stage import Staged

__all__ = ["LiveSource", "Reel", "Shot", "Studio"]

CHUNK_S = 60.0
"""Scripts are drawn so many seconds at a time: a day's would take longer than anybody waits."""


class LiveSource:
    """Pictures that are being drawn. One thread adds, another asks."""

    loops = False

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.ssrc = secrets.randbits(32)
        self.wires: dict[int, Wire] = {}
        self._pictures: dict[int, Picture] = {}
        self._sets: tuple[bytes, bytes] | None = None

    @property
    def parameter_sets(self) -> tuple[bytes, bytes]:
        """SPS and PPS; known once the first picture is drawn."""
        assert self._sets is not None, "the first GOP is drawn before anybody may ask"
        return self._sets

    @property
    def oldest(self) -> int:
        """Index of the oldest picture that is kept; 0 while none is."""
        try:
            return next(iter(self._pictures), 0)
        except RuntimeError:  # the drawing thread added one at this moment: asked again at the next tick
            return 0

    def picture(self, index: int) -> Picture | None:
        """The picture of that index, None when it is not drawn yet or long gone."""
        return self._pictures.get(index)

    def add(self, picture: Picture) -> None:
        """Takes the next picture."""
        if self._sets is None:
            by_kind = {nal[0] & 31: nal for nal in picture.nals}
            self._sets = by_kind[NAL_SPS], by_kind[NAL_PPS]
        self._pictures[picture.number] = picture

    def forget(self, before: int) -> None:
        """Lets pictures go that were played."""
        # From the oldest on: a dict keeps the order in which pictures were added.
        while self._pictures and (oldest := next(iter(self._pictures))) < before:
            del self._pictures[oldest]


@dataclass(frozen=True)
class Shot:
    """How one live camera is drawn.

    Attributes:
        id: the camera's.
        scene: one of `edusense.sim.scenes.KINDS`.
        seed: of scene, script and noise.
        encodings: name (`main`, `sub`) → settings, the largest first; all with the same pictures a second.
        begin_s: nothing happens before, in seconds after the epoch.
        end_s: nothing happens after; infinite for a camera that never rests.
        pause_s: mean of what is added to the least quiet between two events.
    """

    id: str
    scene: str
    seed: int
    encodings: dict[str, Encoding]
    begin_s: float
    end_s: float
    pause_s: float = 4.0


class Reel:
    """One live camera: its scene, its encoders, and what it has staged.

    Args:
        shot: what to draw.
        epoch: Unix time of its first picture.
    """

    def __init__(self, shot: Shot, epoch: float) -> None:
        self.shot, self.epoch = shot, epoch
        first = next(iter(shot.encodings.values()))
        self.fps = first.fps
        self.timing = Timing(first.fps)
        """When its pictures are sent; what plays its sources shares it."""
        self.size = (first.width, first.height)
        self._gop = first.gop
        self.scene = Scene.draw(shot.scene, width=first.width, height=first.height, seed=shot.seed)
        script = Script.draw(self.scene, seed=shot.seed, fps=self.fps, end_s=0.0)
        self._stage = Stage(self.scene, script, disturbance=Disturbance.draw(shot.seed), seed=shot.seed, epoch=epoch)
        self._encoders = {name: Encoder(encoding) for name, encoding in shot.encodings.items()}
        self.sources = {name: LiveSource(encoding) for name, encoding in shot.encodings.items()}
        self._scripted_s = shot.begin_s
        self._dark = False
        self._told = self._paused = 0

    @property
    def drawn_s(self) -> float:
        """Unix time up to which it is drawn."""
        return self.epoch + self.timing.due_s(self._stage.next)

    def work(self) -> list[Staged]:
        """Draws and encodes one GOP.

        Returns:
            What came to its end in it, by picture numbers.
        """
        self._write_script()
        main, *others = self._encoders.items()
        for _ in range(self._gop):
            picture = main[1].encode(self._stage.paint)
            self.sources[main[0]].add(picture)
            for name, encoder in others:
                self.sources[name].add(encoder.encode_scaled(main[1].frame))
        due = int((time.time() - 2.0 - self.epoch - self.timing.delay_s) * self.fps)
        played = self.timing.played
        for source in self.sources.values():
            source.forget(due if played is None else min(due, played))
        fresh = self._stage.staged[self._told :]
        self._told = len(self._stage.staged)
        return fresh

    def shown(self, one: Staged, now: float) -> bool:
        """Whether the last picture of something staged was sent by `now` (Unix time)."""
        played = self.timing.played
        return self._unix(one.last) <= now and (played is None or played > one.last)

    def row(self, one: Staged) -> dict[str, Any]:
        """Something staged as a row of `staged.jsonl`, with the times at which it was shown."""
        return {
            "kind": "lure" if one.lure else "motion",
            "camera": self.shot.id,
            "start_s": round(self._unix(one.first), 3),
            "end_s": round(self._unix(one.last), 3),
            "share": round(one.share, 5),
            "what": one.what,
            "box": one.box.as_list(),
            "picture": list(self.size),
        }

    def pauses(self) -> list[dict[str, Any]]:
        """Pauses that were not told yet, as rows of `staged.jsonl`."""
        fresh = self.timing.pauses[self._paused :]
        self._paused += len(fresh)
        return [
            {
                "kind": "pause",
                "camera": self.shot.id,
                "start_s": round(self.epoch + pause.due_s, 3),
                "end_s": round(self.epoch + pause.due_s + pause.seconds, 3),
            }
            for pause in fresh
        ]

    def _unix(self, index: int) -> float:
        return self.epoch + self.timing.due_s(index)

    def _write_script(self) -> None:
        """Draws the next part of the script when the stage comes near its end."""
        ahead = self._stage.next / self.fps + 2 * self._gop / self.fps
        if self._scripted_s > ahead or self._scripted_s >= self.shot.end_s or self._stage.busy:
            return
        end = min(self.shot.end_s, max(self._scripted_s, self._stage.next / self.fps) + CHUNK_S)
        script = Script.draw(
            self.scene,
            seed=self.shot.seed * 1009 + int(self._scripted_s),
            fps=self.fps,
            begin_s=max(self._scripted_s, self._stage.next / self.fps),
            end_s=end,
            pause_s=self.shot.pause_s,
            seated=self._stage.seated,
            dark=self._dark,
        )
        lamps = [cue.what for cue in script.cues if cue.is_lure]
        self._dark = lamps[-1] == "light-off" if lamps else self._dark
        self._stage.extend(script)
        # The next part begins after a whole pause: the last event of this one may lie at its very end.
        self._scripted_s = end + 5.0


class Studio:
    """Keeps reels a few seconds ahead of play, the one that is furthest behind first.

    Args:
        reels: the cameras.
        tell: called with each staged row when its end was shown, in order, and with each pause of a camera.
        ahead_s: seconds to be ahead.
        workers: threads; drawing and encoding hold no lock of Python's most of the time.
    """

    def __init__(
        self, reels: Sequence[Reel], tell: Callable[[dict[str, Any]], None], *, ahead_s: float = 5.0, workers: int = 2
    ) -> None:
        self.reels, self._tell, self._ahead_s = list(reels), tell, ahead_s
        self._lock = threading.Condition()
        self._free = list(reels)
        self._waiting: list[tuple[Reel, Staged]] = []
        self._stopped = False
        self.failure: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._work, name=f"edusense-sim-draw-{n}", daemon=True) for n in range(workers)
        ]

    def start(self) -> None:
        """Begins to draw and returns when every camera has its first GOP."""
        for thread in self._threads:
            thread.start()
        with self._lock:
            while any(reel.drawn_s <= reel.epoch for reel in self.reels) and self.failure is None:
                self._lock.wait(0.1)
        self.check()

    def check(self) -> None:
        """Raises what a drawing thread died of."""
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """Ends drawing; harmless when repeated."""
        with self._lock:
            self._stopped = True
            self._lock.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=10)

    def due(self, now: float) -> None:
        """Tells what was shown to its end by `now` (Unix time)."""
        with self._lock:
            over = [(reel, one) for reel, one in self._waiting if reel.shown(one, now)]
            for pair in over:
                self._waiting.remove(pair)
        rows = [row for reel in self.reels for row in reel.pauses()]
        rows += [reel.row(one) for reel, one in over]
        for row in sorted(rows, key=lambda row: row["end_s"]):
            self._tell(row)

    @property
    def delay_s(self) -> float:
        """Seconds by which the camera that paused most is behind its script."""
        return max((reel.timing.delay_s for reel in self.reels), default=0.0)

    def _work(self) -> None:
        while True:
            with self._lock:
                reel = None
                while reel is None:
                    if self._stopped:
                        return
                    behind = min(self._free, key=lambda one: one.drawn_s, default=None)
                    left = 1.0 if behind is None else behind.drawn_s - time.time() - self._ahead_s
                    if behind is not None and left <= 0:
                        reel = behind
                        self._free.remove(reel)
                    else:
                        self._lock.wait(min(1.0, max(0.02, left)))
            try:
                staged = reel.work()
            except BaseException as error:  # noqa: BLE001 - a thread's death must reach whoever waits
                with self._lock:
                    self.failure, self._stopped = error, True
                    self._lock.notify_all()
                return
            with self._lock:
                self._waiting += [(reel, one) for one in staged]
                self._free.append(reel)
                self._lock.notify_all()
