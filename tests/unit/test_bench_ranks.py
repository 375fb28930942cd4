"""The test, the shift and the smallest change that could be seen: against counting by hand, and against chance."""

from __future__ import annotations

import itertools
import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edusense.bench.ranks import detectable, holm, rank_test, shift

VALUES = st.lists(st.integers(1, 9).map(float), min_size=1, max_size=5)


def by_hand(first: list[float], second: list[float]) -> float:
    """Every way to deal the same values into two hands, counted."""

    def apart(hand: list[float], rest: list[float]) -> float:
        wins = sum((a > b) + 0.5 * (a == b) for a in hand for b in rest)
        return abs(wins - len(hand) * len(rest) / 2)

    every = [*first, *second]
    observed = apart(first, second)
    ways = list(itertools.combinations(range(len(every)), len(first)))
    as_far = 0
    for chosen in ways:
        rest = [every[index] for index in range(len(every)) if index not in chosen]
        as_far += apart([every[index] for index in chosen], rest) >= observed - 1e-9
    return as_far / len(ways)


@given(VALUES, VALUES)
def test_the_test_is_what_counting_by_hand_gives_ties_included(first: list[float], second: list[float]):
    assert rank_test(first, second) == pytest.approx(by_hand(first, second))


def test_many_values_go_by_the_normal_distribution_and_agree():
    drawn = random.Random(5)
    for by in (0.0, 0.3, 0.8):
        first = [drawn.gauss(0, 1) for _ in range(30)]
        second = [drawn.gauss(by, 1) for _ in range(30)]
        exact = rank_test(first, second)
        # One value more than is counted exactly: equal to the largest, it changes next to nothing.
        assert rank_test([*first, 0.0], second) == pytest.approx(exact, abs=0.05)


def test_nothing_cannot_differ_from_anything():
    assert rank_test([], [1.0]) == 1.0
    assert rank_test([2.0] * 40, [2.0] * 40) == 1.0


def test_samples_of_one_distribution_are_told_apart_as_seldom_as_promised():
    drawn = random.Random(1)
    alarms = 0
    for _ in range(600):
        first, second = ([drawn.lognormvariate(0, 0.05) for _ in range(8)] for _ in range(2))
        alarms += rank_test(first, second) < 0.05
    assert alarms / 600 < 0.07


def test_the_interval_of_a_shift_holds_the_truth_as_often_as_promised():
    drawn = random.Random(2)
    held = 0
    for _ in range(300):
        first = [drawn.lognormvariate(0, 0.05) for _ in range(8)]
        second = [1.1 * drawn.lognormvariate(0, 0.05) for _ in range(8)]
        _, low, high = shift(first, second)
        held += low <= 1.1 <= high
    assert held / 300 > 0.92


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000))
def test_what_could_be_seen_is_seen(seed: int):
    drawn = random.Random(seed)
    first, second = ([drawn.lognormvariate(0, 0.03) for _ in range(9)] for _ in range(2))
    by = detectable(first, second, 0.01)
    assert by is not None
    middle = [statistics.median(first), statistics.median(second)]
    moved = [value / middle[1] * middle[0] * (1 + 2 * by) for value in second]
    assert rank_test(first, moved) < 0.01


def test_too_few_runs_can_show_nothing_and_say_so():
    assert detectable([1.0, 1.01], [1.0, 1.02], 0.05) is None
    assert detectable([1.0, 1.01, 1.02, 1.0], [1.0, 1.02, 1.0, 1.03], 0.05) is not None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_is_never_bolder_than_one_test_alone(chances: list[float]):
    corrected = holm(chances)
    assert all(low <= high <= 1 for low, high in zip(chances, corrected, strict=True))
    order = sorted(range(len(chances)), key=lambda index: chances[index])
    assert [corrected[index] for index in order] == sorted(corrected)
    assert min(corrected) == pytest.approx(min(1.0, len(chances) * min(chances)))
