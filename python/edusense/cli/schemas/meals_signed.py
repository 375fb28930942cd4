"""Rows of `meals batches`, `meals key`, `meals prove`, `meals check-proof` and `meals report`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edusense.cli.schemas.base import Row

__all__ = [
    "BatchRow",
    "FindingRow",
    "ImportedRow",
    "KeyRow",
    "PortionRow",
    "ProofRow",
    "ProvenRow",
    "PrunedRow",
    "SealRow",
    "StreamRow",
]


class SealRow(Row):
    """A segment that was sealed now."""

    segment: str
    """Name of its file."""
    first: int
    """Number of its first record, from 0."""
    records: int
    """How many."""
    first_day: str | None
    """Earliest day of its records."""
    last_day: str | None
    """Latest day."""
    root: str
    """Merkle root over its records, in hex."""
    head: str
    """SHA-256 of its last record, in hex."""
    key: str
    """The box's public key, in hex."""
    lines: list[list[int]]
    """Which records they are: terminal, epoch, first and last sequence."""


class PrunedRow(Row):
    """A segment, and whether it goes."""

    segment: str
    """Name of its file."""
    first: int
    """Number of its first record, from 0."""
    records: int
    """How many."""
    bytes: int
    """Of the file."""
    first_day: str | None
    """Earliest day of its records."""
    last_day: str | None
    """Latest day."""
    stays: str | None
    """Why it stays; null where it goes."""
    outcome: Literal["goes", "stays"]
    """Which of the two."""


class StreamRow(Row):
    """The records of one terminal in one epoch."""

    terminal: int
    """Its number; 0 is the ledger itself."""
    epoch: str
    """Eight hex digits."""
    first: int
    """Sequence of the first record that is there."""
    last: int
    """Sequence of the last one."""
    follows: str | None
    """EPOCH/SEQUENCE of the terminal's record before its first."""
    acknowledged: int
    """Sequence up to which the hub has signed that it holds them; 0 for none."""
    acknowledged_s: float | None
    """When the hub signed, Unix seconds of its clock."""


class BatchRow(Row):
    """A signed batch that was written."""

    school: int
    """National number of the school."""
    terminal: int
    """The terminal's number."""
    epoch: str
    """Eight hex digits."""
    first: int
    """Sequence of its first record."""
    last: int
    """Sequence of its last record."""
    records: int
    """How many."""
    meals: int
    """How many of them are meals."""
    reversals: int
    """How many of them take a meal back."""
    sum_tiyn: int
    """Prices of the meals less those of the reversals."""
    file: str
    """Where it is."""


class ImportedRow(Row):
    """What became of a file that a stick brought."""

    file: str
    """The file."""
    outcome: Literal["kept", "known", "same", "differs", "missing", "refused"]
    """An acknowledgement is kept or known; a batch is the same as the ledger, differs, or has more records."""
    told: str | None
    """Why it was refused."""


class KeyRow(Row):
    """The public key of a box."""

    key: str
    """64 hex digits."""
    fingerprint: str
    """What records call it: 32 hex digits."""
    file: str
    """Where it is."""


class ProofRow(Row):
    """A proof that was written."""

    record: str
    """Key of the record."""
    file: str
    """Where it is."""
    steps: int
    """Hashes between the record and the signed root."""


class ProvenRow(Row):
    """What a proof says."""

    school: int | None
    """National number of the school; this and what follows is none where the proof does not hold."""
    record: str | None
    """Key of the record."""
    kind: str | None
    """What it says: meal, reversal, …"""
    pupil: int | None
    """The pupil, by our number."""
    day: str | None
    """The day that it counts for."""
    slot: str | None
    """The meal of the day."""
    price_tiyn: int | None
    """Price in 1/100 tenge."""
    time_s: float | None
    """When, Unix seconds."""
    holds: bool
    """Whether it is proved."""
    told: str | None
    """Why it is not."""


class FindingRow(Row):
    """Meals that do not add up: somebody has to look."""

    finding: Literal["closed-day", "above-attendance", "no-arrival", "not-on-list", "burst"]
    """What is strange."""
    day: str
    """The day that they count for."""
    form: str | None = Field(alias="class")
    """The class, where it is about one."""
    slot: str | None
    """The meal of the day, where it is about one."""
    operator: int | None
    """Who entered them by hand, by our number."""
    meals: int
    """How many."""
    limit: int | None
    """How many there could have been."""
    sum_tiyn: int
    """Their prices."""
    why: str
    """One sentence."""
    records: list[str]
    """Keys of their records."""


class PortionRow(Row):
    """How many children of a class eat on a day."""

    day: str
    """The day."""
    form: str = Field(alias="class")
    """The class."""
    listed: int
    """Children on the list."""
    entitled: int
    """Of them, those with consent and voucher."""
    portions: int
    """To be cooked."""
    source: Literal["arrivals", "attendance", "list", "closed"]
    """What that rests on."""
