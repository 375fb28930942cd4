"""Sealing and pruning: old segments get a signed root, and go where the hub has signed for them; the root stays.

The bytes are described in `docs/reference/ledger-format.md`.
"""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edusense import _native
from edusense.meals.record import day_number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edusense.meals.keys import SigningKey

__all__ = ["Plan", "PlannedSegment", "Seal", "plan_pruning", "prune", "school_year", "seal"]

_FIRST_MONTH: Final = 9
"""A school year begins on 1 September."""


@dataclass(frozen=True)
class Seal:
    """What a seal says of a segment."""

    segment: str
    """Name of the segment's file."""
    first: int
    """Number of its first record, from 0."""
    records: int
    first_day: str | None
    """Earliest day of its records; None where none has one."""
    last_day: str | None
    """Latest day."""
    root: str
    """Merkle root over its records, in hex."""
    head: str
    """SHA-256 of its last record, in hex: fixes all records up to it."""
    key: str
    """Public key of the box that signed, in hex."""
    lines: tuple[tuple[int, int, int, int], ...]
    """Which records they are: terminal, epoch, first and last sequence."""
    pruned: bool = False
    """Its records are not here any more."""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Seal:
        """From what the extension tells."""
        return cls(
            **{
                **told,
                "first_day": _iso(told["first_day"]),
                "last_day": _iso(told["last_day"]),
                "root": told["root"].hex(),
                "head": told["head"].hex(),
                "key": told["key"].hex(),
                "lines": tuple(told["lines"]),
            }
        )


@dataclass(frozen=True)
class PlannedSegment:
    """A segment, and whether it may go."""

    segment: str
    """Name of its file."""
    first: int
    """Number of its first record, from 0."""
    records: int
    bytes: int
    """Of its file."""
    first_day: str | None
    """Earliest day of its records; None where none has one."""
    last_day: str | None
    """Latest day."""
    stays: str | None
    """Why it stays; None if it may go."""


@dataclass(frozen=True)
class Plan:
    """What pruning would do, or has done."""

    segments: tuple[PlannedSegment, ...]
    until: int
    """Records below this number would not be here any more."""
    last_day: str | None
    """No meal of this day or an earlier one is taken any more."""
    left: tuple[str, ...]
    """Files that an earlier pruning was going to remove when it was cut off."""

    @property
    def going(self) -> tuple[PlannedSegment, ...]:
        """Those that may go."""
        return tuple(one for one in self.segments if one.stays is None)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Plan:
        """From what the extension tells."""
        segments = (
            PlannedSegment(**{**one, "first_day": _iso(one["first_day"]), "last_day": _iso(one["last_day"])})
            for one in told["segments"]
        )
        return cls(tuple(segments), told["until"], _iso(told["last_day"]), tuple(told["left"]))


def school_year(day: datetime.date) -> datetime.date:
    """The first day of the school year that a day lies in.

    Args:
        day: the day.

    >>> school_year(datetime.date(2026, 8, 31)), school_year(datetime.date(2026, 9, 1))
    (datetime.date(2025, 9, 1), datetime.date(2026, 9, 1))
    """
    return datetime.date(day.year - (day.month < _FIRST_MONTH), _FIRST_MONTH, 1)


def seal(folder: Path, key: SigningKey) -> tuple[Seal, ...]:
    """Seals the full segments of a ledger that have no seal yet; may run beside a writer.

    Those that have one are held against it.

    Args:
        folder: the ledger's.
        key: the box's; it signs.

    Returns:
        The new seals.

    Raises:
        LedgerDamagedError: a segment is not sound, or is not what its seal says.
        LedgerError: it is no ledger.
        LedgerStorageError: the disk refused; what was sealed stays sealed.
    """
    return tuple(Seal.of(told) for told in key.seal_segments(folder))


def plan_pruning(folder: Path, hub_key: bytes, *, keep_from: datetime.date) -> Plan:
    """What pruning would do; changes nothing, and may run beside a writer.

    Args:
        folder: the ledger's.
        hub_key: the hub's public key: acknowledgements signed with another are refused.
        keep_from: segments with a record of this day or a later one stay.

    Raises:
        BatchError: an acknowledgement is damaged, or not the hub's.
        LedgerDamagedError: the ledger is damaged.
        LedgerError: it is no ledger, or the hub has signed for other records than are here.
    """
    return Plan.of(_native.plan_pruning(folder, hub_key, day_number(keep_from)))


def prune(folder: Path, hub_key: bytes, key: SigningKey, plan: Plan, *, keep_from: datetime.date) -> Plan:
    """Removes the segments that a plan names; their seals stay, and those that have none are sealed first.

    Everything that the plan rests on is looked at again. Should the power fail in the middle, the ledger is the old one
    or the new one.

    Args:
        folder: the ledger's; nobody may be writing to it.
        hub_key: the hub's public key.
        key: the box's; it signs seals.
        plan: what `plan_pruning` told.
        keep_from: as `plan_pruning`.

    Returns:
        What was done.

    Raises:
        LedgerLockedError: somebody writes to it.
        BatchError, LedgerDamagedError: as `plan_pruning`.
        LedgerError: as `plan_pruning`, and where a segment may not go any more.
        LedgerStorageError: the disk refused.
    """
    return Plan.of(key.prune_segments(folder, hub_key, day_number(keep_from), plan.until, _holder()))


def _holder() -> str:
    """Who a writer is told that holds the ledger."""
    since = datetime.datetime.now(datetime.UTC)
    return f"`edusense meals prune` (process {os.getpid()}) since {since:%Y-%m-%d %H:%M:%S} UTC"


def _iso(number: int) -> str | None:
    return f"{number // 10_000:04}-{number // 100 % 100:02}-{number % 100:02}" if number else None
