"""A small share of the storm of `kill -9` that `make faults` runs, and that its judge finds what it must find."""

from __future__ import annotations

import pytest
from tests.faults.kill_storm import judged, storm


@pytest.mark.timeout(300)
def test_a_terminal_that_is_killed_at_any_moment_loses_and_doubles_nothing(tmp_path):
    tally = storm(tmp_path, 6, seed=11)
    assert (tally.kills, tally.lost, tally.doubled) == (6, 0, 0)
    assert tally.green > 0, tally.line()


def test_the_judge_sees_what_is_lost_changed_or_doubled():
    meals = [(1, "1/aa/2"), (2, "1/aa/4")]
    assert judged({1: "1/aa/2"}, meals) == ([], [])
    assert judged({1: "1/aa/2", 3: "1/aa/6"}, meals) == ([3], [])
    assert judged({1: "1/aa/9"}, meals) == ([1], [])
    assert judged({}, [*meals, (1, "1/bb/2")]) == ([], [1])
