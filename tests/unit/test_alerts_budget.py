"""The byte budget: how fast, and who first. Time is an argument where it can be, and never measured."""

from __future__ import annotations

import threading
import time

from edusense.alerts.budget import PIECE, Budget


def test_a_rate_is_kept_over_time():
    budget = Budget(8000)  # 1 MB/s
    begun = time.monotonic()
    for _ in range(40):
        budget.take(PIECE, rank=0)
    took = time.monotonic() - begun
    # 640 kB, of which a quarter of a second's worth goes at once. Slower is the machine's business.
    assert took > 0.3
    assert budget.spent == 40 * PIECE


def test_without_a_rate_nothing_waits():
    budget = Budget(0)
    for _ in range(1000):
        budget.take(1 << 30, rank=2)


def test_what_matters_more_goes_first_however_long_the_other_has_waited():
    budget = Budget(400)  # 50 kB/s
    budget.take(200_000, rank=2)  # a debt of some seconds
    served: list[int] = []
    threads = []

    def take(rank: int) -> None:
        budget.take(1, rank=rank)
        served.append(rank)

    for rank in (2, 2, 1, 0):
        thread = threading.Thread(target=take, args=(rank,))
        thread.start()
        threads.append(thread)
        time.sleep(0.05)
    budget.set_rate(100_000)
    for thread in threads:
        thread.join(20)
    assert served[0] == 0
    assert served[1] == 1
    assert sorted(served) == [0, 1, 2, 2]
