"""The clock of the terminals: what time it is after a power cut, when the machine's own clock has lost it."""

from __future__ import annotations

from edusense.meals import MealClock, Moment

NOON = 1_790_000_000.0


class Time:
    """A machine's clocks, which a test moves."""

    def __init__(self) -> None:
        self.wall, self.monotonic = NOON, 100.0
        self.trusted: bool | None = None

    def clock(self) -> MealClock:
        return MealClock(lambda: self.wall, lambda: self.monotonic, trusted=lambda: self.trusted)

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


def test_a_clock_that_goes_forward_is_believed():
    time = Time()
    clock = time.clock()
    assert clock.now() == Moment(NOON)
    clock.heard(NOON)
    time.passes(3600)
    assert clock.now() == Moment(NOON + 3600)
    time.wall += 86_400  # the network set it: nothing is known against that
    assert clock.now().sure


def test_behind_the_last_record_it_is_the_last_record_and_what_has_passed_since():
    time = Time()
    clock = time.clock()
    clock.heard(NOON)
    time.wall = 0.0
    time.monotonic += 90
    assert clock.now() == Moment(NOON + 90, False, 90.0)
    clock.heard(NOON + 90)
    time.monotonic += 30
    assert clock.now() == Moment(NOON + 120, False, 30.0), "the gap counts from the last record"
    time.wall = NOON + 125
    assert clock.now() == Moment(NOON + 125), "the network has set it: believed again"


def test_some_seconds_back_are_no_reason_for_doubt():
    time = Time()
    clock = time.clock()
    clock.heard(NOON)
    time.wall -= 59
    assert clock.now() == Moment(NOON - 59)
    time.wall -= 2
    assert not clock.now().sure


def test_known_to_be_right_and_known_to_be_lost():
    time = Time()
    clock = time.clock()
    clock.heard(NOON + 86_400)
    time.trusted = True
    assert clock.now() == Moment(NOON), "the earlier records were wrong"
    clock.heard(NOON - 600)
    time.trusted = False
    assert clock.now() == Moment(NOON, False, 600.0), "what it kept over the cut is later than the last record"
    time.wall = 0.0
    assert clock.now() == Moment(NOON - 600, False, 0.0)


def test_a_box_that_never_saw_a_record_and_never_had_a_clock_cannot_tell_the_day():
    time = Time()
    clock = time.clock()
    assert clock.now().sure
    time.wall = 1_000_000.0
    assert clock.now() == Moment(1_000_000.0, False, float("inf"))
    time.wall, time.trusted = NOON, False
    assert not clock.now().sure


def test_somebodys_word_counts_until_the_machine_knows_better():
    time = Time()
    clock = time.clock()
    time.wall = 0.0
    clock.confirm(NOON + 5)
    time.passes(10)
    assert (clock.now(), clock.confirmed) == (Moment(NOON + 15), True)
    time.wall, time.trusted = NOON + 20, True
    assert (clock.now(), clock.confirmed) == (Moment(NOON + 20), False)
