"""A measured figure: its runs, their median and spread, and the peer that it stands beside."""

from __future__ import annotations

import math
import re
import statistics
from dataclasses import dataclass
from typing import Any, Final, Literal

__all__ = ["Better", "Figure", "Statistic", "quantile", "slug"]

Better = Literal["less", "more", "neither"]
"""Which way a figure is better."""
Statistic = Literal["median", "least", "most", "mean", "p90", "p95", "p99", "sum"]
"""How the values of one run become the run's one value."""

_QUANTILES: Final = {"least": 0.0, "median": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "most": 1.0}


def quantile(values: tuple[float, ...] | list[float], share: float) -> float:
    """The value below which `share` of the values lie, between neighbours by proportion.

    Args:
        values: at least one.
        share: 0 to 1.

    >>> quantile([1.0, 2.0, 4.0], 0.5), quantile([1.0, 2.0, 4.0], 0.75)
    (2.0, 3.0)
    """
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def slug(text: str) -> str:
    """A text as an id: small letters, digits and hyphens.

    >>> slug("Memory without the pictures kept")
    'memory-without-the-pictures-kept'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


@dataclass(frozen=True)
class Figure:
    """One thing that was measured.

    Args:
        what: what was measured, as a person says it: "one durable meal".
        unit: unit of the runs: "µs", "ms CPU per camera-second", "MB".
        runs: the measured values, in the order in which they were taken.
        peer: what it is measured beside: "raw fdatasync of 128 bytes".
        peer_runs: the peer's values, taken in the same run, interleaved.
        limit: what the ratio must reach (`more_is_better`) or must not exceed.
        more_is_better: whether the ratio is a speed (ours is fast when it is large) or a cost.
            For durations in `runs` the ratio of speeds is peer over ours.
        id: its name in plans and reports; made of `what` by default. Figures of one case that share it are one figure
            beside several peers.
        better: which way the values themselves are better: a duration or a cost is better when it is "less".
        statistic: how the values become one.

    >>> figure = Figure("one meal", "µs", (50.0, 52.0, 90.0), peer="SQLite", peer_runs=(130.0, 156.0, 140.0), limit=1.5)
    >>> round(figure.ratio, 2), figure.good, figure.id
    (2.69, True, 'one-meal')
    """

    what: str
    unit: str
    runs: tuple[float, ...]
    peer: str | None = None
    peer_runs: tuple[float, ...] = ()
    limit: float | None = None
    more_is_better: bool = True
    id: str = ""
    better: Better = "less"
    statistic: Statistic = "median"

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", slug(self.what))

    @property
    def median(self) -> float:
        """The middle run."""
        return statistics.median(self.runs)

    @property
    def value(self) -> float:
        """The runs as one value, by `statistic`."""
        return self._one(self.runs)

    @property
    def peer_value(self) -> float | None:
        """The peer's runs as one value, by the same `statistic`."""
        return self._one(self.peer_runs) if self.peer_runs else None

    def _one(self, runs: tuple[float, ...]) -> float:
        if self.statistic == "mean":
            return statistics.fmean(runs)
        if self.statistic == "sum":
            return math.fsum(runs)
        return quantile(runs, _QUANTILES[self.statistic])

    @property
    def ratio(self) -> float | None:
        """Peer's value over ours (a speed), or ours over the peer's where less is better; None without a peer."""
        peer = self.peer_value
        if peer is None:
            return None
        speed = self.more_is_better == (self.better != "more")
        above, below = (peer, self.value) if speed else (self.value, peer)
        return above / below if below else None

    @property
    def good(self) -> bool | None:
        """Whether the limit is kept; None where there is none or no peer."""
        if self.limit is None or self.ratio is None:
            return None
        return self.ratio >= self.limit if self.more_is_better else self.ratio <= self.limit

    def to_json(self) -> dict[str, Any]:
        """The figure as a row."""
        return {
            "what": self.what,
            "unit": self.unit,
            "median": self.median,
            "least": min(self.runs),
            "most": max(self.runs),
            "runs": len(self.runs),
            "peer": self.peer,
            "peer_median": statistics.median(self.peer_runs) if self.peer_runs else None,
            "ratio": self.ratio,
            "limit": self.limit,
            "good": self.good,
        }
