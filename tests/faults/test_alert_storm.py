"""A small share of the alert storm that `make faults-alerts` makes, and that the harness finds deliberate bugs."""

from __future__ import annotations

import pytest
from tests.faults.alert_storm import BUGS, KINDS, Account, run

SEED = 2026


@pytest.mark.timeout(300)
def test_in_the_end_the_centre_has_what_was_promised_once_and_in_order():
    account = Account()
    account.add(0, run(SEED, 0, 200))
    assert not account.broken, account.broken
    assert set(account.by_kind) == set(KINDS)
    assert account.total["alerts"] > 200
    assert account.total["kills"] > 0
    assert account.total["lost"] == account.total["doubled"] == account.total["disordered"] == 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("bug", BUGS)
def test_each_deliberate_bug_is_found(bug):
    found = next((number for number in range(4) if run(SEED + number, 0, 60, bug, density=4.0).broken), None)
    assert found is not None, f"{bug} goes unnoticed"
