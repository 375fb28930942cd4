"""What the city's hub has signed that it holds, kept in the ledger's folder: what pruning rests on."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edusense import _native
from edusense.errors import BatchError, BatchRefusedError
from edusense.meals.files import read_at_most, write_whole
from edusense.meals.record import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edusense.meals.streams import Streams

__all__ = ["ACKNOWLEDGEMENT_BYTES", "ACKNOWLEDGEMENT_SUFFIX", "Acknowledgement", "Acknowledgements", "Totals"]

ACKNOWLEDGEMENT_BYTES: Final = 184
ACKNOWLEDGEMENT_SUFFIX: Final = ".edack"
_STEP: Final = 65_536


@dataclass(frozen=True)
class Totals:
    """Meals, reversals and money of some records; what box and hub compare."""

    meals: int = 0
    reversals: int = 0
    sum: int = 0
    """Prices of the meals less those of the reversals, in tiyn."""

    @classmethod
    def of(cls, records: NDArray[Any]) -> Totals:
        """Those of some records.

        Args:
            records: of `Ledger.DTYPE`.
        """
        meals, back = records[records["kind"] == Kind.MEAL], records[records["kind"] == Kind.REVERSAL]
        money = int(meals["price"].sum(dtype="int64")) - int(back["price"].sum(dtype="int64"))
        return cls(len(meals), len(back), money)

    def __add__(self, other: Totals) -> Totals:
        return Totals(self.meals + other.meals, self.reversals + other.reversals, self.sum + other.sum)


@dataclass(frozen=True)
class Acknowledgement:
    """A hub holds all records of one terminal's epoch up to a sequence."""

    school: int
    terminal: int
    epoch: int
    sequence: int
    """Of the last record that it holds, with all before it."""
    meals: int
    reversals: int
    sum: int
    """Prices of those meals less those of those reversals, in tiyn."""
    head: bytes
    """SHA-256 of that last record."""
    time: int
    """The hub's Unix time in microseconds."""
    key: bytes
    """The hub's public key."""
    data: bytes = field(repr=False)
    """Its 184 bytes."""

    @classmethod
    def read(cls, data: bytes) -> Acknowledgement:
        """Reads one and checks its signature against the key that it names.

        Raises:
            BatchError: it is cut short, altered, or no acknowledgement.
        """
        return cls(**_native.open_acknowledgement(data), data=bytes(data))

    @property
    def name(self) -> str:
        """Name of its file."""
        return f"{self.terminal:010}-{self.epoch:08x}{ACKNOWLEDGEMENT_SUFFIX}"

    @property
    def totals(self) -> Totals:
        """Its totals."""
        return Totals(self.meals, self.reversals, self.sum)


class Acknowledgements:
    """The acknowledgements that are kept with a ledger, the newest of each terminal and epoch.

    Args:
        folder: the ledger's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def __iter__(self) -> Iterator[Acknowledgement]:
        """All of them; one whose signature does not fit raises `BatchError`."""
        for path in sorted(self.folder.glob(f"*{ACKNOWLEDGEMENT_SUFFIX}")):
            if re.fullmatch(r"\d{10}-[0-9a-f]{8}\.edack", path.name):
                yield self._read(path)

    def of(self, terminal: int, epoch: int) -> Acknowledgement | None:
        """The newest of one terminal and epoch; None where there is none."""
        path = self.folder / f"{terminal:010}-{epoch:08x}{ACKNOWLEDGEMENT_SUFFIX}"
        return self._read(path) if path.exists() else None

    def sequences(self) -> dict[tuple[int, int], int]:
        """For (terminal, epoch) the last sequence that the hub holds."""
        return {(one.terminal, one.epoch): one.sequence for one in self}

    def take(self, told: Acknowledgement, streams: Streams, *, hub_key: bytes | None = None) -> bool:
        """Holds an acknowledgement against the ledger, and keeps it.

        Args:
            told: what came.
            streams: the ledger's.
            hub_key: the hub's public key; None believes whichever key signed.

        Returns:
            Whether it is newer than what was kept.

        Raises:
            BatchRefusedError: it is not this hub's, not of this school, or not of these records.
            UsageError: it is of a terminal or epoch that is not in the ledger.
        """
        if hub_key is not None and told.key != hub_key:
            raise BatchRefusedError("the acknowledgement is not signed with the hub's key")
        stream = streams.stream(told.terminal, told.epoch)
        what = f"the acknowledgement of {told.terminal}/{told.epoch:08x} up to {told.sequence}"
        kept = self.of(told.terminal, told.epoch)
        if kept is not None and told.sequence <= kept.sequence:
            return False
        if not stream.first <= told.sequence <= stream.last:
            raise BatchRefusedError(f"{what} is of records that are not here: the last is {stream.last}")
        totals, first = (Totals(), stream.first) if kept is None else (kept.totals, kept.sequence + 1)
        for start in range(first, told.sequence + 1, _STEP):
            records = streams.records(told.terminal, told.epoch, start, min(told.sequence, start + _STEP - 1))
            totals += Totals.of(records)
            last = records[-1:]
        if told.school != int(last["school"][0]):
            raise BatchRefusedError(f"{what} is of school {told.school}")
        if told.head != hashlib.sha256(last.tobytes()).digest():
            raise BatchRefusedError(f"{what} is of other records than these: the hub holds a fork")
        if told.totals != totals:
            raise BatchRefusedError(
                f"{what} counts {told.meals} meals, {told.reversals} reversals and {told.sum} tiyn; here they are "
                f"{totals.meals}, {totals.reversals} and {totals.sum}"
            )
        write_whole(self.folder / told.name, told.data)
        return True

    def _read(self, path: Path) -> Acknowledgement:
        try:
            return Acknowledgement.read(read_at_most(path, ACKNOWLEDGEMENT_BYTES))
        except BatchError as error:
            raise BatchError(f"`{path.name}`: {error}", hint="have the hub send it again") from None
