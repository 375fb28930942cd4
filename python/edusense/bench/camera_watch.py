"""A camera's stream, picture by picture as it arrives: sizes, kinds, times; and what follows from them in figures."""

from __future__ import annotations

import itertools
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from edusense.bench.figure import quantile
from edusense.errors import PictureDamagedError
from edusense.video.parts import Inspector
from edusense.video.source import Damage, open_source

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Drift", "Seen", "Watched", "watch"]

_GATE_EVERY_S: Final = 5.0
_SETTLE_S: Final = 1.0
"""What a camera and FFmpeg sent at once when the session began says nothing of its rhythm."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture.

    Args:
        at_s: when it was here, by the monotonic clock, from the moment at which the camera was called.
        pts_s: when the camera says that it was taken.
        bits: without filler.
        filler: bits that only fill.
        key: whether it is a key picture.
        kinds: of its slices: `I`, `P`, `B`.
        qp: of its slices; None where it is not read.
    """

    at_s: float
    pts_s: float
    bits: int
    filler: int
    key: bool
    kinds: str
    qp: float | None


@dataclass(frozen=True, slots=True)
class Drift:
    """The camera's clock beside ours, over the time that it was watched.

    Args:
        ppm: millionths by which it runs fast (positive) or slow.
        interval_ppm: half of the 95 % interval.
    """

    ppm: float
    interval_ppm: float


@dataclass
class Watched:
    """What was seen of a stream.

    Attributes:
        codec: `h264`, `h265`, `jpeg`, or FFmpeg's word.
        pictures: each picture.
        noise: seconds and N, as the gate's measure settled.
        first_key_s: from the call to the first key picture.
        damage: damaged parts, in words.
        faults: pictures whose headers could not be read.
        gate: state and words at the end.
    """

    codec: str = ""
    pictures: list[Seen] = field(default_factory=list)
    noise: list[tuple[float, float]] = field(default_factory=list)
    first_key_s: float | None = None
    damage: list[str] = field(default_factory=list)
    faults: int = 0
    gate: tuple[str, str] = ("off", "")

    @property
    def settled(self) -> list[Seen]:
        """The pictures after the burst with which a session begins."""
        if not self.pictures:
            return []
        begin = self.pictures[0].at_s + _SETTLE_S
        return [one for one in self.pictures if one.at_s >= begin]

    @property
    def span_s(self) -> float:
        """From the first to the last settled picture, by the camera's clock."""
        settled = self.settled
        return settled[-1].pts_s - settled[0].pts_s if len(settled) > 1 else 0.0

    @property
    def step_s(self) -> float:
        """The middle time between two pictures, by the camera's clock."""
        times = sorted(one.pts_s for one in self.settled)
        steps = [later - earlier for earlier, later in itertools.pairwise(times) if later > earlier]
        return statistics.median(steps) if steps else 0.0

    def missing(self) -> int:
        """Pictures that the camera's own times say are not there."""
        times = sorted(one.pts_s for one in self.settled)
        step = self.step_s
        if not step:
            return 0
        return sum(max(0, round((later - earlier) / step) - 1) for earlier, later in itertools.pairwise(times))

    def jitter_ms(self) -> list[float]:
        """How much later than the earliest possible each picture came, in ms: its time here less its own time.

        What the clocks drift apart meanwhile is taken out.
        """
        late = [one.at_s - one.pts_s for one in self.settled]
        drift = self.drift()
        slope = drift.ppm * -1e-6 if drift is not None else 0.0
        straight = [value - slope * one.pts_s for value, one in zip(late, self.settled, strict=True)]
        earliest = min(straight, default=0.0)
        return [1000 * (value - earliest) for value in straight]

    def drift(self) -> Drift | None:
        """The camera's clock beside ours; None where it was watched too briefly.

        Of each second the picture that came earliest counts: what is above it was queueing. A line is laid through
        these by least squares.
        """
        earliest: dict[int, tuple[float, float]] = {}
        for one in self.settled:
            second = int(one.pts_s)
            late = one.at_s - one.pts_s
            if second not in earliest or late < earliest[second][1]:
                earliest[second] = (one.pts_s, late)
        points = list(earliest.values())
        if len(points) < 10:
            return None
        mean_x, mean_y = (statistics.fmean(part) for part in zip(*points, strict=True))
        spread = sum((x - mean_x) ** 2 for x, _ in points)
        slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
        residual = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in points) / (len(points) - 2)
        return Drift(-1e6 * slope, 1e6 * 1.96 * (residual / spread) ** 0.5)

    def groups(self) -> list[tuple[int, float]]:
        """Pictures and seconds of each whole group of pictures."""
        keys = [index for index, one in enumerate(self.pictures) if one.key]
        return [
            (last - first, self.pictures[last].pts_s - self.pictures[first].pts_s)
            for first, last in itertools.pairwise(keys)
        ]

    def by_second(self) -> list[tuple[float, float, float, float | None]]:
        """Each whole second: when, kbit of all pictures, kbit of key pictures, middle QP of the others."""
        seconds: dict[int, list[Seen]] = {}
        for one in self.settled:
            seconds.setdefault(int(one.at_s), []).append(one)
        found = []
        for second in sorted(seconds)[1:-1]:
            here = seconds[second]
            qps = [one.qp for one in here if one.qp is not None and not one.key]
            found.append(
                (
                    float(second),
                    sum(one.bits for one in here) / 1000,
                    sum(one.bits for one in here if one.key) / 1000,
                    statistics.median(qps) if qps else None,
                )
            )
        return found

    def qp(self) -> tuple[float, float, float] | None:
        """Lowest, middle and highest QP of pictures that are no key pictures."""
        found = [one.qp for one in self.settled if one.qp is not None and not one.key]
        return (min(found), quantile(found, 0.5), max(found)) if found else None


def watch(
    url: str,
    user: str | None,
    password: str | None,
    seconds: float,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> Watched:
    """Watches a stream for a while.

    Args:
        url: of the stream.
        user: on the camera.
        password: of that user.
        seconds: how long, from the first picture.
        stop: asked at each picture.

    Raises:
        StreamError: it cannot be opened, or was lost before anything came.
    """
    found = Watched()
    damage: list[Damage] = []
    began = time.monotonic()
    with open_source(url, user=user, password=password, on_damage=damage.append) as opened:
        found.codec = opened.codec or opened.stream.codec_context.name
        inspector = Inspector(opened.codec) if opened.codec is not None else None
        gate_at = 0.0
        for data, pts_s, key in opened.units():
            at_s = time.monotonic() - began
            seen = _seen(inspector, data, at_s, pts_s, key)
            if seen is None:
                found.faults += 1
                continue
            found.pictures.append(seen)
            if seen.key and found.first_key_s is None:
                found.first_key_s = at_s
            if inspector is not None and at_s >= gate_at:
                gate_at = at_s + _GATE_EVERY_S
                if (noise := inspector.gate()[2]) is not None:
                    found.noise.append((at_s, noise))
            if at_s - found.pictures[0].at_s >= seconds or stop():
                break
        if inspector is not None:
            state, words, noise = inspector.gate()
            found.gate = (state, words)
            if noise is not None and found.pictures:
                found.noise.append((found.pictures[-1].at_s, noise))
    found.damage = [str(part) for part in damage]
    return found


def _seen(inspector: Inspector | None, data: bytes, at_s: float, pts_s: float, key: bool) -> Seen | None:
    if inspector is None:
        return Seen(at_s, pts_s, 8 * len(data), 0, key, "", None)
    try:
        facts = inspector.push(data, key)
    except PictureDamagedError:
        return None
    bits = 8 * len(data) - facts.filler_bits
    return Seen(at_s, pts_s, bits, facts.filler_bits, facts.key, facts.kinds, facts.qp)
