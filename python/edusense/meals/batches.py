"""Signed batches: what goes to the city, by wire or on a stick. Their bytes: `docs/reference/batch-format.md`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edusense import _native
from edusense.errors import BatchError, BatchRefusedError
from edusense.meals.record import DTYPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from edusense.meals.keys import KeyRing, SigningKey
    from edusense.meals.streams import Streams

__all__ = ["BATCH_RECORDS", "BATCH_SUFFIX", "MOST_BATCH_BYTES", "Batch", "Header", "batches_of", "make_batch", "pieces"]

BATCH_RECORDS: Final = 1024
"""Records of a usual batch; it begins at a sequence of 1 more than a multiple of that."""
BATCH_SUFFIX: Final = ".edbatch"
MOST_BATCH_BYTES: Final = _native.MOST_BATCH_BYTES
"""What is longer is no batch, and is not read."""
HEADER_BYTES: Final = 176


@dataclass(frozen=True)
class Header:
    """What a batch says of itself; its signature holds for all of it."""

    school: int
    terminal: int
    epoch: int
    first: int
    """Sequence of the first record."""
    count: int
    """Records."""
    meals: int
    reversals: int
    sum: int
    """Prices of the meals less those of the reversals, in tiyn."""
    root: bytes
    """Merkle root over the records."""
    key: bytes
    """Public key of the box that signed; whose that is the receiver has to know."""

    @classmethod
    def read(cls, data: bytes) -> Header:
        """Reads the first 176 bytes of a batch.

        Raises:
            BatchError: they are cut short, no header, or altered.
        """
        return cls(**_native.batch_header(data))

    @property
    def last(self) -> int:
        """Sequence of the last record."""
        return self.first + self.count - 1

    @property
    def name(self) -> str:
        """Name of its file.

        >>> Header(51001, 1, 0x9f3a01bc, 1, 40, 20, 0, 900000, b"", b"").name
        '51001-1-9f3a01bc-0000000001-0000000040.edbatch'
        """
        return f"{self.school}-{self.terminal}-{self.epoch:08x}-{self.first:010}-{self.last:010}{BATCH_SUFFIX}"

    def to_json(self) -> dict[str, Any]:
        """As `edusense meals batches` prints it."""
        return {
            "school": self.school,
            "terminal": self.terminal,
            "epoch": f"{self.epoch:08x}",
            "first": self.first,
            "last": self.last,
            "records": self.count,
            "meals": self.meals,
            "reversals": self.reversals,
            "sum_tiyn": self.sum,
        }


@dataclass(frozen=True)
class Batch(Header):
    """A batch that is what its signature says.

    >>> from edusense.meals import Ledger
    >>> from edusense.meals.keys import SigningKey
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Ledger.open(folder, school=51001) as ledger:
    ...     rows = Ledger.blank(2)
    ...     rows["terminal"], rows["pupil"], rows["day"], rows["slot"] = 1, [17, 18], 20261005, b"lunch"
    ...     _ = ledger.append(rows)
    ...     records = ledger.records()
    >>> batch = make_batch(records[records["terminal"] == 1], SigningKey.make())
    >>> Batch.read(batch.data).records["pupil"].tolist()
    [0, 17, 18]
    """

    data: bytes = field(repr=False)
    """Its bytes."""
    records: NDArray[Any] = field(repr=False, compare=False)
    """Its records, of `Ledger.DTYPE`, as they stand in the ledger."""

    @classmethod
    def read(cls, data: bytes) -> Batch:
        """Reads a batch and checks signature, root, totals and every record; in bounded memory, whatever is given.

        Args:
            data: its bytes.

        Raises:
            BatchError: it is cut short, altered, or no batch; the message says what is wrong first.
        """
        if len(data) > MOST_BATCH_BYTES:
            raise BatchError(f"refused: no batch has more than {MOST_BATCH_BYTES} bytes")
        header, records = _native.open_batch(data)
        return cls(**header, data=bytes(data), records=np.frombuffer(records, DTYPE))

    def check(self, *, school: int | None = None, key: bytes | None = None) -> Batch:
        """Holds it against what the receiver knows.

        Args:
            school: the school that it must be of.
            key: the public key that it must be signed with.

        Raises:
            BatchRefusedError: it is another school's, or another key's.
        """
        if school is not None and self.school != school:
            raise BatchRefusedError(f"`{self.name}` is of school {self.school}, not of school {school}")
        if key is not None and self.key != key:
            raise BatchRefusedError(f"`{self.name}` is not signed with the key of its school")
        return self


def make_batch(records: NDArray[Any], key: SigningKey) -> Batch:
    """Signs records that follow one another.

    Args:
        records: of one (school, terminal, epoch), without a gap; as they stand in the ledger.
        key: signs.

    Raises:
        BatchError: they are not a run, or more than 65,536.
    """
    raw = records.tobytes()
    data = key.seal(raw)
    return Batch(**_native.batch_header(data), data=data, records=np.frombuffer(raw, DTYPE))


def pieces(first: int, last: int, size: int = BATCH_RECORDS) -> Iterator[tuple[int, int]]:
    """Cuts a range of sequences where usual batches begin.

    >>> list(pieces(1000, 2100, 1024))
    [(1000, 1024), (1025, 2048), (2049, 2100)]
    """
    while first <= last:
        stop = min(last, ((first - 1) // size + 1) * size)
        yield first, stop
        first = stop + 1


def batches_of(
    streams: Streams,
    keys: KeyRing,
    *,
    after: Mapping[tuple[int, int], int] | None = None,
    size: int = BATCH_RECORDS,
) -> Iterator[Batch]:
    """All batches of a ledger that are not acknowledged yet, terminal by terminal, in their order.

    Args:
        streams: the ledger's.
        keys: sign.
        after: for (terminal, epoch) the last sequence that is not wanted any more.
        size: most records of one.
    """
    for stream in streams:
        done = (after or {}).get((stream.terminal, stream.epoch), 0)
        for first, last in pieces(max(done + 1, stream.first), stream.last, size):
            records = streams.records(stream.terminal, stream.epoch, first, last)
            yield make_batch(records, keys.signer(streams, stream.terminal, stream.epoch, first))
