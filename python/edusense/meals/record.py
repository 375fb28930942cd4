"""A record of the ledger as NumPy and people see it; the bytes are described in `docs/reference/ledger-format.md`."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edusense.errors import UsageError

if TYPE_CHECKING:
    import datetime

__all__ = ["DTYPE", "Flag", "Kind", "RecordKey", "Status", "day_number", "kind_name"]

DTYPE: Final = np.dtype(
    [
        ("magic", "S3"),
        ("version", "u1"),
        ("kind", "u1"),
        ("assurance", "u1"),
        ("flags", "<u2"),
        ("school", "<u4"),
        ("terminal", "<u4"),
        ("epoch", "<u4"),
        ("entitlement", "<u4"),
        ("sequence", "<u8"),
        ("pupil", "<u8"),
        ("time", "<i8"),
        ("day", "<u4"),
        ("price", "<u4"),
        ("slot", "S12"),
        ("ref_epoch", "<u4"),
        ("ref_sequence", "<u8"),
        ("card", "<u8"),
        ("category", "<u2"),
        ("reason", "<u2"),
        ("previous", "u1", (32,)),
        ("crc", "<u4"),
    ]
)
"""One record, 128 bytes. `time` is Unix time in microseconds, `day` is yyyymmdd, `price` is in tiyn (1/100 tenge)."""

assert DTYPE.itemsize == 128


class Kind(enum.IntEnum):
    """What a record says."""

    OPENED = 1
    MEAL = 2
    SHOWN = 3
    REVERSAL = 4
    ARRIVAL = 5
    DEPARTURE = 6
    KEY_CHANGE = 7
    CLOCK_STEP = 8
    ROSTER_CHANGE = 9
    DAY_CLOSED = 10


class Flag(enum.IntFlag):
    """Bits of a record's `flags`."""

    CLOCK_WENT_BACK = 1
    """Its time is earlier than that of the record before it."""
    MANUAL = 2
    """Entered by a person, without a card."""
    CLOCK_UNSURE = 4
    """Its time is not to be relied on."""
    BEGINS_WRITE = 1 << 15
    """Everything before it was on the disk before it was written."""


class Status(enum.IntEnum):
    """What became of an appended row."""

    RECORDED = 0
    """It is on the disk."""
    ALREADY_SERVED = 1
    """This pupil has a meal for that day and slot; the earlier record is on the disk."""
    NOT_VALID = 2
    """Kind, flags, day or slot cannot stand in a ledger."""
    NO_SUCH_MEAL = 3
    """A reversal or mark of a meal that is not there, or no longer."""
    DAY_PRUNED = 4
    """A meal of a day whose records were pruned: whether it would be a double, cannot be told here any more."""


@dataclass(frozen=True, slots=True)
class RecordKey:
    """What names a record for ever: terminal, epoch and sequence within a school; written `1/9f3a01bc/17`.

    >>> str(RecordKey(1, 0x9F3A01BC, 17))
    '1/9f3a01bc/17'
    >>> RecordKey.parse("1/9f3a01bc/17").sequence
    17
    """

    terminal: int
    epoch: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.terminal}/{self.epoch:08x}/{self.sequence}"

    @classmethod
    def of(cls, record: Any) -> RecordKey:
        """The key of one record of a structured array."""
        return cls(int(record["terminal"]), int(record["epoch"]), int(record["sequence"]))

    @classmethod
    def parse(cls, text: str) -> RecordKey:
        """Reads `TERMINAL/EPOCH/SEQUENCE`.

        Raises:
            UsageError: it is not of that form.
        """
        try:
            terminal, epoch, sequence = text.split("/")
            return cls(int(terminal), int(epoch, 16), int(sequence))
        except ValueError:
            raise UsageError(
                f"`{text}` is no key of a record", hint="a key is TERMINAL/EPOCH/SEQUENCE, such as `1/9f3a01bc/17`"
            ) from None


def day_number(day: datetime.date) -> int:
    """A date as it stands in a record.

    >>> import datetime
    >>> day_number(datetime.date(2026, 10, 5))
    20261005
    """
    return day.year * 10000 + day.month * 100 + day.day


def kind_name(kind: int) -> str:
    """A kind's name in kebab-case.

    >>> kind_name(Kind.MEAL)
    'meal'
    """
    try:
        return Kind(kind).name.lower().replace("_", "-")
    except ValueError:
        return f"kind-{kind}"
