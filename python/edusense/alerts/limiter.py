"""How many findings a source may hand in: a runaway analyser must not bury the one alert that matters."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Limiter", "Refusal"]

SILENT_S: Final = 60.0
"""After so many seconds without a refusal the next one is said again."""
MOST_SOURCES: Final = 10_000


@dataclass(frozen=True)
class Refusal:
    """Why a finding is left out.

    Attributes:
        message: in words.
        first: nothing was said about this source lately.
    """

    message: str
    first: bool


@dataclass
class _Bucket:
    left: float
    at_s: float
    refused: int = 0
    refused_s: float = float("-inf")


class Limiter:
    """Token buckets: one for each source, and one for each camera of a source.

    Args:
        per_s: findings a second of one source, all its cameras together.
        burst: how many may come at once.
        camera_per_s: findings a second of one source and camera.
        camera_burst: how many may come at once.
        monotonic: seconds that never jump.

    >>> limiter = Limiter(burst=2, camera_burst=2, monotonic=lambda: 0.0)
    >>> [limiter.refusal("smoke", "205-front") is None for _ in range(3)]
    [True, True, False]
    """

    def __init__(
        self,
        *,
        per_s: float = 20.0,
        burst: float = 400.0,
        camera_per_s: float = 1.0,
        camera_burst: float = 20.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = {False: (per_s, burst), True: (camera_per_s, camera_burst)}
        self._monotonic = monotonic
        self._buckets: dict[tuple[str, str | None, bool], _Bucket] = {}
        self._lock = threading.Lock()

    def refusal(self, source: str, camera: str | None) -> Refusal | None:
        """Takes a finding's place; None where there was one."""
        with self._lock:
            now = self._monotonic()
            if len(self._buckets) > MOST_SOURCES:
                self._buckets.clear()
            own, whole = self._bucket((source, camera, True), now), self._bucket((source, None, False), now)
            short = own if own.left < 1 else whole if whole.left < 1 else None
            if short is None:
                own.left -= 1
                whole.left -= 1
                return None
            per_s, _ = self._limits[short is own]
            first = now - short.refused_s > SILENT_S
            short.refused = 1 if first else short.refused + 1
            short.refused_s = now
            about = f" about camera `{camera}`" if short is own and camera is not None else ""
            return Refusal(f"source `{source}` hands in more than {per_s:g} findings a second{about}", first)

    def _bucket(self, key: tuple[str, str | None, bool], now: float) -> _Bucket:
        per_s, burst = self._limits[key[2]]
        bucket = self._buckets.setdefault(key, _Bucket(burst, now))
        bucket.left = min(burst, bucket.left + (now - bucket.at_s) * per_s)
        bucket.at_s = now
        return bucket
