"""Hours of a box at work: memory, descriptors, threads and latency as curves, and leaks called by their slope.

A leak is a slope that is above zero with its whole 95 % interval, and that is large enough to matter: at that rate the
box would have to be started again within a month. Slopes are those of medians of pairs (Theil and Sen), which a single
large moment does not move, and begin after a warm-up, in which caches and buffers fill.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
import math
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import edusense
from edusense.bench.case import Curve
from edusense.bench.process import cpu_seconds, resident_mb, threads
from edusense.bench.virtual import serving, started, until, wait_for_end
from edusense.errors import BenchError, EdusenseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Sample", "Slope", "curves", "page", "sampled", "school", "slope_of", "verdict", "verdicts"]

MONTH_H: Final = 30 * 24.0
LIMITS: Final = {"memory_mb": 500.0, "descriptors": 2000.0, "threads": 500.0, "status_ms": 1000.0}
"""What a box may grow by until somebody must start it again."""
WHAT: Final = {
    "memory_mb": ("resident memory", "MB"),
    "descriptors": ("open descriptors", "descriptors"),
    "threads": ("threads", "threads"),
    "status_ms": ("an answer to `status`", "ms"),
}
WARM_UP: Final = 0.2
"""Share of the samples that are left out at the beginning."""
WARM_UP_S: Final = 120.0
"""And so much time in any case: buffers and caches fill in it."""
LEAST_S: Final = 600.0
"""Time behind the warm-up from which a leak is called one: before that, growth may be the rest of it."""
LEAST: Final = 10
"""Samples behind the warm-up from which a slope is told."""
_PAIRS: Final = 600
"""Samples of which pairs are made; more are thinned out."""


@dataclass(frozen=True)
class Sample:
    """The box at one moment.

    Args:
        at_s: seconds since the beginning.
        memory_mb: resident.
        descriptors: open ones.
        threads: of the process.
        cpu_s: seconds that it has taken so far.
        status_ms: how long it took to answer `status`.
        cameras: how many play.
    """

    at_s: float
    memory_mb: float
    descriptors: int
    threads: int
    cpu_s: float
    status_ms: float
    cameras: int

    def to_json(self) -> dict[str, Any]:
        """The sample as a row."""
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}

    @classmethod
    def of(cls, row: dict[str, Any]) -> Sample:
        """A sample of a row; what else stands there is left."""
        return cls(**{one.name: row[one.name] for one in fields(cls)})


@dataclass(frozen=True)
class Slope:
    """How something grows.

    Args:
        id: `memory_mb`, `descriptors`, `threads`, `status_ms`.
        what: in words.
        unit: of what grows.
        per_hour: median of the slopes of all pairs; None where there were too few samples.
        low: lower end of its 95 % interval.
        high: upper end.
        leak: it grows for certain, and by too much for a month.
        short: whether it is one, a longer soak would tell.
        words: the same in a sentence.
    """

    id: str
    what: str
    unit: str
    per_hour: float | None
    low: float | None
    high: float | None
    leak: bool
    short: bool
    words: str

    def to_json(self) -> dict[str, Any]:
        """The slope as a row."""
        return asdict(self)


def slope_of(points: Sequence[tuple[float, float]]) -> tuple[float, float, float] | None:
    """Slope of a row of points by Theil and Sen, with its 95 % interval by Kendall's tau.

    Args:
        points: x and y, at least ten; of more than 600, every so-manieth.

    Returns:
        Median of the slopes of all pairs, lower and upper end of the interval; None where there are too few.

    >>> slope_of([(float(x), 2.0 * x + (x * 7 % 3)) for x in range(30)])[0]
    2.0
    """
    thinned = points[:: max(1, math.ceil(len(points) / _PAIRS))]
    count = len(thinned)
    if count < LEAST:
        return None
    slopes = sorted(
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for index, earlier in enumerate(thinned)
        for later in thinned[index + 1 :]
        if later[0] > earlier[0]
    )
    if not slopes:
        return None
    # Ranks of the interval's ends: normal approximation of Kendall's S (Sen 1968); ties are not corrected for, which
    # makes it wider.
    spread = 1.96 * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(0, math.floor((len(slopes) - spread) / 2))
    high = min(len(slopes) - 1, math.ceil((len(slopes) + spread) / 2))
    return statistics.median(slopes), slopes[low], slopes[high]


def verdicts(samples: Sequence[Sample]) -> list[Slope]:
    """How memory, descriptors, threads and latency grow, and whether that is a leak."""
    steady = [one for one in samples[math.floor(len(samples) * WARM_UP) :] if one.at_s >= WARM_UP_S]
    span_s = steady[-1].at_s - steady[0].at_s if steady else 0.0
    found = []
    for name, (what, unit) in WHAT.items():
        slope = slope_of([(sample.at_s / 3600, float(getattr(sample, name))) for sample in steady])
        if slope is None:
            words = f"too short: {len(steady)} samples after {WARM_UP_S:.0f} s of warm-up, {LEAST} are needed"
            found.append(Slope(name, what, unit, None, None, None, False, True, words))
            continue
        middle, low, high = slope
        large = low > 0 and middle * MONTH_H > LIMITS[name]
        leak = large and span_s >= LEAST_S
        words = f"{middle:+.3g} {unit} an hour (95 %: {low:+.3g} to {high:+.3g})"
        if large and not leak:
            words += f": it grows; whether it goes on growing, {LEAST_S / 60:.0f} minutes would tell"
        elif leak:
            words += f": a leak; {LIMITS[name]:g} {unit} more in {LIMITS[name] / middle:.0f} h"
        elif low > 0:
            words += ": it grows, and not by enough to matter in a month"
        elif high * MONTH_H > LIMITS[name]:
            words += ": no leak is seen; a small one would not be seen in so short a time"
        else:
            words += ": no leak"
        found.append(Slope(name, what, unit, middle, low, high, leak, large and not leak, words))
    return found


def curves(samples: Sequence[Sample]) -> list[Curve]:
    """The course of each."""
    hours = [sample.at_s / 3600 for sample in samples]
    found = [
        Curve(
            name,
            what[0].upper() + what[1:],
            "hours",
            unit,
            {what: [(at, float(getattr(one, name))) for at, one in zip(hours, samples, strict=True)]},
        )
        for name, (what, unit) in WHAT.items()
    ]
    cores = [
        (later.at_s / 3600, (later.cpu_s - earlier.cpu_s) / (later.at_s - earlier.at_s))
        for earlier, later in itertools.pairwise(samples)
        if later.at_s > earlier.at_s
    ]
    return [*found, Curve("cores", "CPU", "hours", "cores", {"the box": cores})]


def page(title: str, machine: str, samples: Sequence[Sample], slopes: Sequence[Slope]) -> str:
    """The soak as one file that opens and prints anywhere.

    Args:
        title: what was soaked.
        machine: what it ran on.
        samples: in their order.
        slopes: of `verdicts`.
    """
    import jinja2
    from markupsafe import Markup

    from edusense.bench import charts

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edusense.bench", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["chart"] = lambda found: Markup(charts.curve(found))  # noqa: S704 - our own SVG, its texts are escaped
    return environment.get_template("soak.html.j2").render(
        title=title,
        machine=machine,
        version=edusense.__version__,
        samples=samples,
        hours=f"{(samples[-1].at_s if samples else 0.0) / 3600:.2f}",
        when=datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        verdict=verdict(slopes),
        leaks=[slope for slope in slopes if slope.leak],
        told=any(slope.per_hour is not None for slope in slopes),
        slopes=slopes,
        curves=[curve.to_json() for curve in curves(samples)],
    )


def verdict(slopes: Sequence[Slope]) -> str:
    """All slopes in a sentence."""
    leaks = [slope.what for slope in slopes if slope.leak]
    if leaks:
        return f"Leaks: {', '.join(leaks)}"
    if any(slope.short for slope in slopes):
        return "Too short to tell"
    return "No leak"


@contextlib.contextmanager
def school(cameras: int, seed: int) -> Iterator[str]:
    """A virtual school and a box of its own, both as processes; gives the site file."""
    with tempfile.TemporaryDirectory(prefix="edusense-soak-") as made:
        folder = Path(made)
        asked = ("sim", "school", str(folder / "school"), "--cameras", str(cameras), "--seconds", "0")
        with serving(
            *asked,
            "--seed",
            str(seed),
            log=folder / "school.log",
            last=lambda found: bool(found) and found[-1]["kind"] == "school",
        ):
            site = str(folder / "school" / "school.toml")
            box = started("run", "--site", site, log=folder / "box.log")
            try:
                until(lambda: _answers(site), 60.0, "the box did not answer")
                yield site
            finally:
                wait_for_end(box)


def _answers(site: str) -> bool:
    try:
        edusense.connect(site).status()
    except EdusenseError:
        return False
    return True


def sampled(
    site: str, seconds: float, every_s: float, keep: Path, told: Callable[[Sample], None] | None = None
) -> list[Sample]:
    """Watches the box of a site file; what was measured is on the disk at any moment.

    Args:
        site: the site file of a box that runs.
        seconds: for how long.
        every_s: a sample so often.
        keep: the file that samples are written to, a line each; those that stand there already are gone on from.
        told: called with each sample.

    Returns:
        All samples, also after Ctrl-C.

    Raises:
        BenchError: the box ended, or is another process than before.
        BoxNotRunningError: none runs.
    """
    found = [Sample.of(json.loads(line)) for line in keep.read_text().splitlines()] if keep.exists() else []
    before = found[-1].at_s + every_s if found else 0.0
    began = time.monotonic()
    process: int | None = None
    with keep.open("a", encoding="utf-8") as file, contextlib.suppress(KeyboardInterrupt):
        while (passed := time.monotonic() - began) <= seconds:
            asked = time.monotonic()
            rows = edusense.connect(site).status()
            took = time.monotonic() - asked
            box = next(row for row in rows if row["kind"] == "box")
            if process is not None and box["pid"] != process:
                raise BenchError(
                    "the box was started anew meanwhile", hint="its log says why: `journalctl -u edusense`"
                )
            process = int(box["pid"])
            playing = sum(row["kind"] == "camera" and row["state"] == "playing" for row in rows)
            sample = _taken(process, before + passed, 1000 * took, playing)
            file.write(json.dumps(sample.to_json()) + "\n")
            file.flush()
            found.append(sample)
            if told is not None:
                told(sample)
            time.sleep(max(0.0, every_s - (time.monotonic() - asked)))
    return found


def _taken(process: int, at_s: float, status_ms: float, cameras: int) -> Sample:
    try:
        return Sample(
            at_s=at_s,
            memory_mb=resident_mb(process),
            descriptors=len(list(Path(f"/proc/{process}/fd").iterdir())),
            threads=threads(process),
            cpu_s=cpu_seconds(process),
            status_ms=status_ms,
            cameras=cameras,
        )
    except PermissionError as error:
        raise BenchError(
            f"process {process} belongs to somebody else: its memory may not be read",
            hint="run this as the user who runs the box, or as root",
        ) from error
    except FileNotFoundError as error:
        raise BenchError("the box ended meanwhile", hint="its log says why: `journalctl -u edusense`") from error
