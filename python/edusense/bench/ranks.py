"""Whether two handfuls of runs differ, how much, and how large a difference they could have shown.

Runs of a shared machine have long tails: a few are late because something else ran. So everything here goes by ranks:
the test of Mann and Whitney (exact, ties included), the shift of Hodges and Lehmann, and the correction of Holm for
asking about many figures at once. Runs are compared as logarithms: a change is a share, not a difference.

Mann and Whitney, Annals of Mathematical Statistics 18 (1947) 50; Hodges and Lehmann, ibid. 34 (1963) 598; Holm,
Scandinavian Journal of Statistics 6 (1979) 65.
"""

from __future__ import annotations

import functools
import math
import random
import statistics
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["detectable", "holm", "rank_test", "shift"]

_EXACT: Final = 60
"""Values in all up to which the test is exact; beyond, the normal distribution is as good."""
_TRIALS: Final = 200


def rank_test(first: Sequence[float], second: Sequence[float]) -> float:
    """How often chance alone would part two samples of one distribution at least so far: two-sided, exact with ties.

    Args:
        first: values.
        second: values.

    Returns:
        The probability, 0 to 1; 1 where one of them is empty.

    >>> rank_test([1, 2, 3], [4, 5, 6]), round(rank_test([1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 12, 13, 14]), 5)
    (0.1, 0.00058)
    """
    if not first or not second:
        return 1.0
    ranks = _double_ranks([*first, *second])
    observed = sum(ranks[: len(first)])
    if len(ranks) > _EXACT:
        return _by_normal(ranks, len(first), observed)
    counts = _sums(tuple(sorted(ranks)), len(first))
    middle = len(first) * (len(ranks) + 1)  # twice the mean of doubled rank sums, halved
    total = sum(counts.values())
    return min(
        1.0, sum(count for value, count in counts.items() if abs(value - middle) >= abs(observed - middle)) / total
    )


def _double_ranks(values: Sequence[float]) -> list[int]:
    """Twice the rank of each value, from 2; equal values share their mean rank, which doubling makes whole."""
    ordered = sorted(values)
    places: dict[float, int] = {}
    index = 0
    while index < len(ordered):
        last = index
        while last + 1 < len(ordered) and ordered[last + 1] == ordered[index]:
            last += 1
        places[ordered[index]] = index + last + 2
        index = last + 1
    return [places[value] for value in values]


@functools.lru_cache(maxsize=64)
def _sums(ranks: tuple[int, ...], size: int) -> dict[int, int]:
    """How many ways there are to draw `size` of these ranks with each sum."""
    ways: list[dict[int, int]] = [{0: 1}] + [{} for _ in range(size)]
    for turn, rank in enumerate(ranks):
        for drawn in range(min(turn + 1, size), 0, -1):
            for value, count in ways[drawn - 1].items():
                ways[drawn][value + rank] = ways[drawn].get(value + rank, 0) + count
    return ways[size]


def _by_normal(ranks: Sequence[int], size: int, observed: int) -> float:
    count = len(ranks)
    mean = size * (count + 1)
    spread = math.sqrt(size * (count - size) / (count - 1) * statistics.pvariance(ranks))
    return 1.0 if spread == 0 else math.erfc(max(0.0, abs(observed - mean) - 1) / spread / math.sqrt(2))


def shift(before: Sequence[float], after: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """By what factor `after` differs from `before`, with an interval.

    Args:
        before: positive values.
        after: positive values.
        confidence: of the interval.

    Returns:
        The factor (1.1: ten percent more), and the ends of its interval.

    >>> tuple(round(part, 2) for part in shift([10, 11, 12, 10, 11, 12], [20, 22, 24, 20, 22, 24]))
    (2.0, 1.82, 2.2)
    """
    apart = sorted(math.log(high) - math.log(low) for high in after for low in before)
    spare = max(0, _critical(len(before), len(after), 1 - confidence))
    return (math.exp(statistics.median(apart)), math.exp(apart[spare]), math.exp(apart[-1 - spare]))


def holm(chances: Sequence[float]) -> list[float]:
    """Probabilities of several tests, corrected so that one false alarm among all of them is as rare as for one.

    Args:
        chances: of each test.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(chances)), key=lambda index: chances[index])
    corrected = [0.0] * len(chances)
    largest = 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, chances[index] * (len(chances) - place)))
        corrected[index] = largest
    return corrected


def detectable(before: Sequence[float], after: Sequence[float], alpha: float, power: float = 0.9) -> float | None:
    """The smallest change that such runs show, nine times in ten.

    Both samples are laid upon each other; then values are drawn from them anew, one half is made larger by a factor,
    and the least factor is sought with which the test speaks often enough.

    Args:
        before: positive values.
        after: positive values.
        alpha: what the test's probability must fall below.
        power: how often it must.

    Returns:
        The change as a share: 0.06 is six percent; None where no change of up to tenfold would show.
    """
    pool = [math.log(value) - math.log(statistics.median(sample)) for sample in (before, after) for value in sample]
    drawn = random.Random(1)
    trials = [([drawn.choice(pool) for _ in before], [drawn.choice(pool) for _ in after]) for _ in range(_TRIALS)]
    limit = _critical(len(before), len(after), alpha)
    if limit < 0:
        return None

    def seen(by: float) -> bool:
        found = sum(_u(low, [value + by for value in high]) <= limit for low, high in trials)
        return found >= power * _TRIALS

    low, high = 0.0, math.log(10)
    if not seen(high):
        return None
    while high - low > 0.001:
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return math.exp(high) - 1


def _u(low: Sequence[float], high: Sequence[float]) -> float:
    """How many pairs stand the wrong way round: 0 where every value of `high` is above every value of `low`."""
    return sum((one < other) + 0.5 * (one == other) for one in high for other in low)


@functools.lru_cache(maxsize=64)
def _critical(first: int, second: int, alpha: float) -> int:
    """The largest U with which the two-sided test falls below `alpha`; -1 where none does."""
    if first + second > _EXACT:
        spread = math.sqrt(first * second * (first + second + 1) / 12)
        return math.floor(first * second / 2 - statistics.NormalDist().inv_cdf(1 - alpha / 2) * spread)
    counts = _sums(tuple(range(2, 2 * (first + second) + 1, 2)), first)
    total, least, below, found = sum(counts.values()), first * (first + 1), 0, -1
    for value in sorted(counts):
        below += counts[value]
        if 2 * below / total >= alpha:
            break
        found = (value - least) // 2
    return found
