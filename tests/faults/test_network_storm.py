"""A small share of the runs on a bad line that `make faults` makes, and that the harness finds deliberate bugs."""

from __future__ import annotations

import pytest
from tests.faults.network_storm import BUGS, KINDS, SETS, Account, run

SEED = 2026


@pytest.mark.timeout(300)
def test_in_the_end_the_hub_holds_what_the_ledger_holds():
    account = Account()
    for number in range(22):  # each kind alone, and some pairs
        account.add(number, run(SEED, number))
    assert not account.broken, account.broken[:3]
    assert set(account.by_kind) == set(KINDS)
    assert all(counts["lost"] == counts["doubled"] == 0 for counts in account.by_kind.values())


def test_a_run_meets_the_same_faults_each_time():
    once, again = run(SEED, 40), run(SEED, 40)
    assert (once.met, once.requests, once.checks) == (again.met, again.requests, again.checks)
    assert once.met


@pytest.mark.timeout(300)
@pytest.mark.parametrize("bug", BUGS)
def test_each_deliberate_bug_is_found(bug):
    found = next((number for number in range(4 * len(SETS)) if run(SEED, number, bug).broken), None)
    assert found is not None, f"{bug} goes unnoticed"
