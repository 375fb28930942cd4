"""Records of a ledger by what they say, looked for from its end: what is asked for is mostly of today."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from edusense.meals.record import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edusense.meals.ledger import Ledger
    from edusense.meals.record import RecordKey

__all__ = ["find_record", "last_time", "records_backwards"]

_STEP: Final = 8192


def find_record(ledger: Ledger, key: RecordKey) -> Any | None:
    """The record with a key; None where there is none.

    Args:
        ledger: open for writing or for reading.
        key: its key.
    """
    for part in records_backwards(ledger):
        same = (part["terminal"] == key.terminal) & (part["epoch"] == key.epoch) & (part["sequence"] == key.sequence)
        if same.any():
            return part[same][0]
    return None


def last_time(ledger: Ledger) -> float | None:
    """When the last thing happened that a ledger tells of, in Unix seconds; None where nothing did.

    That it was opened does not count: then the clock had not been looked at yet.

    Args:
        ledger: open for writing or for reading.
    """
    for part in records_backwards(ledger):
        told = part[part["kind"] != Kind.OPENED]
        if len(told):
            return float(told["time"][-1]) / 1e6
    return None


def records_backwards(ledger: Ledger) -> Iterator[NDArray[Any]]:
    """The records of a ledger in parts, the last ones first; within a part they are in their order.

    Args:
        ledger: open for writing or for reading.
    """
    stop, first = len(ledger), ledger.first
    while stop > first:
        start = max(first, stop - _STEP)
        yield ledger.records(start, stop)
        stop = start
