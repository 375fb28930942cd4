"""A soak's verdicts on rows of samples whose growth is known, and its page."""

from __future__ import annotations

import json
import random

import pytest

from edusense.bench.soak import Sample, curves, page, slope_of, verdict, verdicts


def samples(hours: float, *, count: int = 400, memory_per_h: float = 0.0, noise: float = 3.0, jump_at: float = 2.0):
    """A box that fills its buffers in the first minutes, then grows by so much, with noise and one spike."""
    chance = random.Random(3)
    found = []
    for index in range(count):
        at_s = 3600 * hours * index / count
        memory = 120 + 80 * min(1.0, at_s / 100) + memory_per_h * at_s / 3600 + chance.gauss(0, noise)
        spike = 900.0 if abs(at_s / 3600 - jump_at) < hours / count else 0.0
        status_ms = 4 + abs(chance.gauss(0, 2)) + spike
        found.append(Sample(at_s, memory + spike, 40 + index % 3, 18, 0.2 * at_s, status_ms, 12))
    return found


def slope(found, name="memory_mb"):
    return next(one for one in verdicts(found) if one.id == name)


def test_a_leak_is_called_and_its_slope_is_in_its_interval():
    found = slope(samples(6.0, memory_per_h=5.0))
    assert found.leak
    assert found.low is not None
    assert found.low < 5.0 < (found.high or 0)
    assert "a leak; 500 MB more in" in found.words
    assert verdict(verdicts(samples(6.0, memory_per_h=5.0))) == "Leaks: resident memory"


@pytest.mark.parametrize("seed", range(3))
def test_noise_spikes_and_what_fills_at_the_beginning_are_no_leak(seed):
    found = verdicts(samples(6.0, noise=3.0 + seed))
    assert [one.id for one in found if one.leak] == []
    assert verdict(found) == "No leak"


def test_growth_that_does_not_matter_is_told_as_such():
    found = slope(samples(24.0, memory_per_h=0.3, noise=0.2))
    assert not found.leak
    assert "not by enough to matter" in found.words


def test_of_a_short_soak_nothing_is_called():
    short = samples(0.15, memory_per_h=500.0)
    assert not slope(short).leak
    assert verdict(verdicts(short)) == "Too short to tell"
    assert "too short" in slope(samples(0.02, count=20)).words
    assert verdicts([])[0].per_hour is None


def test_a_slope_needs_ten_points_and_is_not_moved_by_one():
    line = [(float(x), 3.0 * x) for x in range(40)]
    assert slope_of(line[:9]) is None
    assert slope_of([(1.0, 2.0)] * 20) is None
    line[20] = (20.0, 1e9)
    found = slope_of(line)
    assert found is not None
    assert found[0] == pytest.approx(3.0)
    long = [(float(x), -1.0 * x) for x in range(5000)]
    assert slope_of(long) == pytest.approx((-1.0, -1.0, -1.0))


def test_samples_are_rows_and_the_page_shows_their_course():
    found = samples(6.0, memory_per_h=5.0)
    assert Sample.of(json.loads(json.dumps(found[7].to_json()))).memory_mb == pytest.approx(
        found[7].memory_mb, abs=1e-3
    )
    assert [one.id for one in curves(found)] == ["memory_mb", "descriptors", "threads", "status_ms", "cores"]
    text = page("Soak of <a> school", "a machine", found, verdicts(found))
    assert "&lt;a&gt;" in text
    assert "LEAK" in text
    assert text.count("<svg") == 5
    assert "http" not in text.replace("http://www.w3.org", "")
