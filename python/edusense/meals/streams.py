"""A ledger by terminals: the records of one terminal's epoch, by their sequence, wherever they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edusense.errors import LedgerDamagedError, UsageError
from edusense.meals.record import DTYPE, Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edusense.meals.ledger import Ledger

__all__ = ["Stream", "Streams"]

_STEP: Final = 8192


@dataclass(frozen=True, slots=True)
class Stream:
    """The records of one terminal in one epoch."""

    terminal: int
    epoch: int
    first: int
    """Sequence of the first one that is there: 1, unless older ones were pruned."""
    last: int
    """Sequence of the last one that the disk has confirmed."""
    follows: tuple[int, int]
    """Epoch and sequence of the terminal's record before its first; (0, 0) for none."""


class Streams:
    """Where the records of each terminal and epoch stand in a ledger. Reads on from where it stopped.

    Args:
        ledger: open for writing or for reading.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.damage: LedgerDamagedError | None = None
        """Where reading stopped, if the ledger is damaged: what is behind it is not here."""
        self._next = ledger.first
        self._positions: dict[tuple[int, int], list[NDArray[np.int64]]] = {}
        self._begins: dict[tuple[int, int], tuple[int, tuple[int, int]]] = {}
        self._key_changes: list[tuple[int, str]] = []
        self.refresh()

    def refresh(self) -> None:
        """Takes in what was recorded since."""
        end = len(self.ledger)
        while self._next < end and self.damage is None:
            try:
                part = self.ledger.records(self._next, min(end, self._next + _STEP))
            except LedgerDamagedError:
                part, self.damage = self.ledger.readable(self._next)
            pairs = part["terminal"].astype(np.uint64) << np.uint64(32) | part["epoch"]
            for pair in np.unique(pairs):
                own = np.flatnonzero(pairs == pair)
                key = (int(pair) >> 32, int(pair) & 0xFFFF_FFFF)
                if key not in self._positions:
                    record = part[own[0]]
                    opened = int(record["kind"]) == Kind.OPENED
                    before = (int(record["ref_epoch"]), int(record["ref_sequence"])) if opened else (0, 0)
                    self._begins[key] = (int(record["sequence"]), before)
                self._positions.setdefault(key, []).append(own + self._next)
            for index in np.flatnonzero(part["kind"] == Kind.KEY_CHANGE):
                halves = (int(part["pupil"][index]), int(part["card"][index]))
                named = b"".join(half.to_bytes(8, "little") for half in halves).hex()
                self._key_changes.append((int(index) + self._next, named))
            self._next += len(part)

    def __iter__(self) -> Any:
        """The streams, terminal by terminal, epochs in the order in which they began."""
        for key in sorted(self._positions, key=lambda one: (one[0], int(self._positions[one][0][0]))):
            yield self.stream(*key)

    def stream(self, terminal: int, epoch: int) -> Stream:
        """One of them.

        Raises:
            UsageError: this terminal recorded nothing in this epoch.
        """
        key = (terminal, epoch)
        if key not in self._positions:
            raise UsageError(
                f"there is no record of terminal {terminal} in epoch {epoch:08x}",
                hint="`edusense meals batches list` names what is there",
            )
        first, follows = self._begins[key]
        count = sum(len(part) for part in self._positions[key])
        return Stream(terminal, epoch, first, first + count - 1, follows)

    def next_key(self, terminal: int, epoch: int, sequence: int) -> str | None:
        """Fingerprint of the key that the first change at or behind a record names; None where none is behind it.

        Args:
            terminal: its number.
            epoch: the epoch.
            sequence: of the record.

        Raises:
            UsageError: there is no such record.
        """
        position = int(self._places(terminal, epoch, sequence, sequence)[0])
        return next((named for at, named in self._key_changes if at >= position), None)

    def records(self, terminal: int, epoch: int, first: int, last: int) -> NDArray[Any]:
        """The records `first` to `last`, both included.

        Args:
            terminal: its number.
            epoch: the epoch.
            first: a sequence.
            last: a sequence.

        Raises:
            UsageError: not all of them are there.
            LedgerDamagedError: one of them is damaged.
        """
        positions = self._places(terminal, epoch, first, last)
        found = []
        at = 0
        while at < len(positions):
            # One reading for all that stand within a step of one another.
            start = int(positions[at])
            stop = int(np.searchsorted(positions, start + _STEP))
            read = self.ledger.records(start, int(positions[stop - 1]) + 1)
            found.append(read[positions[at:stop] - start])
            at = stop
        return np.concatenate(found) if found else np.zeros(0, DTYPE)

    def _places(self, terminal: int, epoch: int, first: int, last: int) -> NDArray[np.int64]:
        """Where the records `first` to `last` stand in the ledger."""
        stream = self.stream(terminal, epoch)
        if not stream.first <= first <= last <= stream.last:
            raise UsageError(
                f"records {first} to {last} are not all there",
                hint=f"terminal {terminal} has {stream.first} to {stream.last} in epoch {epoch:08x}",
            )
        parts = self._positions[terminal, epoch]
        if len(parts) > 1:
            parts[:] = [np.concatenate(parts)]
        return parts[0][first - stream.first : last - stream.first + 1]
