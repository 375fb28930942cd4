"""The ledger: a row of records on disk that can be appended to and read, and in which no change goes unnoticed."""

from __future__ import annotations

import datetime
import os
import sys
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import numpy as np

from edusense import _native
from edusense.errors import LedgerDamagedError, UsageError
from edusense.meals.record import DTYPE, Flag, Kind
from edusense.meals.sealing import Seal

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from numpy.typing import NDArray

    from edusense.meals.batches import Batch
    from edusense.meals.keys import KeyRing
    from edusense.meals.proofs import Proof
    from edusense.meals.record import RecordKey
    from edusense.meals.streams import Streams

__all__ = ["SEGMENT_RECORDS", "Holding", "Ledger", "Problem", "Receipts", "TornTail", "Verification"]

SEGMENT_RECORDS: Final = 8192
"""Records of a segment file: 1 MiB."""


class Receipts(NamedTuple):
    """What became of appended rows, one element each."""

    status: NDArray[np.uint8]
    """See `Status`."""
    position: NDArray[np.uint64]
    """Number of the record in the ledger, from 0; of the earlier one where the status is `ALREADY_SERVED`."""
    shown: NDArray[np.bool_]
    """Where the status is `ALREADY_SERVED`: whether the earlier meal's light was on."""


class Holding(NamedTuple):
    """The meal that holds a pupil's day and slot."""

    position: int
    """Number of its record, from 0."""
    shown: bool
    """Whether its light was on."""


@dataclass(frozen=True)
class Problem:
    """Damage at one place of a ledger."""

    segment: str
    """File name."""
    offset: int
    """Byte in that file."""
    record: int
    """Number of the first record concerned, from 0."""
    count: int
    """How many records in a row; 0 where it is not about records."""
    what: str
    """What was found."""


@dataclass(frozen=True)
class TornTail:
    """A last write that was cut off: no damage, it never was confirmed."""

    segment: str
    """File name."""
    offset: int
    """Byte at which it begins."""
    record: int
    """Number that its first record would have had."""
    count: int
    """Places of records that it touched."""
    confirmed: bool
    """The disk had confirmed this very record: it lost it all the same (a cache that lies), or the file was cut."""


@dataclass(frozen=True)
class Verification:
    """What `Ledger.verify` found; every byte is in one of the counts."""

    records: int
    """Sound records."""
    segments: int
    bytes: int
    """Bytes of all segments."""
    unused_bytes: int
    """Zero bytes in places that no record has taken yet."""
    torn_bytes: int
    """Bytes of a last write that was cut off."""
    torn_tail: TornTail | None
    problems: tuple[Problem, ...]
    """Damage, in the order of the records."""
    notes: tuple[str, ...]
    """What is no damage but worth knowing, such as files that are not the ledger's."""
    synced: int
    """Records that the disk is known to have confirmed; a lower bound after a power cut."""
    closed: bool
    """Whether the last writer left in good order."""
    holder: str | None
    """Who writes at this moment."""
    head: str
    """SHA-256 of the last sound record in hex: fixes all records before it."""
    first: int
    """Number of the first record that is here; those before it were pruned."""
    seals: tuple[Seal, ...]
    """Seals of segments, in their order: those of pruned ones, then those that are here and were sealed."""

    @property
    def ok(self) -> bool:
        """Whether every byte is accounted for."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """The report as `edusense meals verify --json` prints it."""
        return {"ok": self.ok, **asdict(self)}


class Ledger:
    """A ledger in a folder, open for writing or for reading.

    Use `Ledger.open`. A writer is closed by `close()` or by leaving the `with` block; one that is forgotten warns. All
    methods may be called from several threads; those that wait for the disk let others run, and rows that several
    threads append at once share one write.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Ledger.open(folder, school=51001) as ledger:
    ...     rows = Ledger.blank(2)
    ...     rows["terminal"], rows["pupil"], rows["day"], rows["slot"] = 1, 1017, 20261005, b"lunch"
    ...     ledger.append(rows).tolist()
    [0, 1]
    """

    DTYPE: ClassVar[np.dtype[Any]] = DTYPE
    KIND_OPENED: ClassVar[int] = Kind.OPENED
    KIND_MEAL: ClassVar[int] = Kind.MEAL
    KIND_SHOWN: ClassVar[int] = Kind.SHOWN
    KIND_REVERSAL: ClassVar[int] = Kind.REVERSAL

    _closed = True

    def __init__(self, native: _native.Ledger, folder: Path, *, read_only: bool) -> None:
        self._native = native
        self.folder = folder
        self.read_only = read_only
        self._closed = read_only

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        school: int | None = None,
        read_only: bool = False,
        clock: Callable[[], float] = time.time,
        segment_records: int = SEGMENT_RECORDS,
    ) -> Ledger:
        """Opens the ledger in a folder.

        Args:
            folder: where it is. A writer makes folder and ledger if they are not there.
            school: national number of the school, written into every record; None takes the one in the ledger.
            read_only: read beside a writer, without a lock, up to the last record that the disk has confirmed.
            clock: Unix seconds.
            segment_records: records of a segment file made from now on.

        Returns:
            The ledger. A torn tail was cut (see `recovered`), a damaged ledger was not touched.

        Raises:
            LedgerLockedError: somebody writes to it; the message says who.
            LedgerDamagedError: a record before the end is damaged: nothing is written, what is before it can be read.
            LedgerStorageError: the disk is full or refuses.
            LedgerVersionError: a newer edusense wrote it.
            LedgerError: `read_only`, and it is no ledger; or it belongs to another school.
            PermissionDeniedError: this user may not write there.
        """
        path = Path(folder)
        if read_only:
            return cls(_native.Ledger.read_only(path), path, read_only=True)
        if school is not None and not 0 <= school < 2**32:
            raise UsageError(f"`{school}` is no number of a school", hint="it has to fit into 32 bits")
        now = float(clock())
        native = _native.Ledger.open(
            path, school=school, holder=_holder(now), time=round(now * 1e6), segment_records=segment_records
        )
        return cls(native, path, read_only=False)

    @staticmethod
    def blank(count: int, kind: int = Kind.MEAL) -> NDArray[Any]:
        """Rows to fill in and append.

        Args:
            count: how many.
            kind: what they say.
        """
        rows = np.zeros(count, DTYPE)
        rows["kind"] = kind
        return rows

    def append(self, records: NDArray[Any]) -> NDArray[np.uint8]:
        """Appends rows and returns when the disk has confirmed them.

        Fill in `terminal`, `pupil`, `day`, `slot`, `time`, `price` and what else there is to say. School, epoch,
        sequence, chain and sum are the ledger's; `kind` 0 means a meal.

        Args:
            records: a structured array of `Ledger.DTYPE`, or one element of it.

        Returns:
            A status a row, see `Status`: 0 recorded, 1 already served, 2 not valid, 3 no such meal, 4 day pruned.

        Raises:
            LedgerStorageError: the disk refused; at least one of these rows is not on it. While `broken` is None the
                next call tries again.
            LedgerError: it is closed, or was opened for reading.
            UsageError: these are no records of `Ledger.DTYPE`.
        """
        return self.receipts(records).status

    def receipts(self, records: NDArray[Any], *, lazily: bool = False) -> Receipts:
        """Appends rows as `append` does, and says where they or the earlier meals are.

        Args:
            records: a structured array of `Ledger.DTYPE`, or one element of it.
            lazily: do not wait for the disk: for marks that only matter while the next row has not been confirmed.

        Raises:
            LedgerStorageError: as `append`.
            LedgerError: as `append`.
            UsageError: as `append`.
        """
        found = getattr(records, "dtype", type(records).__name__)
        if found != DTYPE:
            raise UsageError(
                f"the ledger takes no records of type {found}",
                hint="make them with `Ledger.blank(n)` or `np.zeros(n, Ledger.DTYPE)`",
            )
        status, position, shown = self._native.append(records.tobytes(), lazily)
        return Receipts(
            np.frombuffer(status, np.uint8), np.frombuffer(position, "<u8"), np.frombuffer(shown, np.uint8).astype(bool)
        )

    def records(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Records as a structured array of `DTYPE`, as they stand in the files.

        Args:
            start: number of the first; negative counts from the end. Those that were pruned are left out.
            stop: number after the last; negative counts from the end; None for all that the disk has confirmed.

        Raises:
            LedgerDamagedError: one of them is damaged; the message names it, and those before it can be read.
        """
        count = len(self)
        first, last, _ = slice(start, stop).indices(count)
        first = max(first, self.first)
        return np.frombuffer(self._native.records(first, max(first, last)), DTYPE)

    def readable(self, start: int = 0) -> tuple[NDArray[Any], LedgerDamagedError | None]:
        """Records from `start` up to the first damaged one, and the error that names it.

        Args:
            start: number of the first; those that were pruned are left out.
        """
        start = max(start, self.first)
        try:
            return self.records(start), None
        except LedgerDamagedError as error:
            low, high = start, len(self)
            while high - low > 1:
                middle = (low + high) // 2
                try:
                    self.records(low, middle)
                    low = middle
                except LedgerDamagedError:
                    high = middle
            return self.records(start, low), error

    def holding(self, pupil: int, day: int, slot: bytes) -> Holding | None:
        """The meal that holds a pupil's day and slot; only of a ledger open for writing.

        Args:
            pupil: number of the pupil.
            day: yyyymmdd.
            slot: name of the slot.
        """
        found = self._native.holding(pupil, day, slot)
        return None if found is None else Holding(*found)

    def verify(self) -> Verification:
        """Reads every byte and says what it is: sound records, unused space, a torn tail, or damage.

        Takes no lock; may run beside a writer.
        """
        found = self._native.verify()
        torn = found["torn_tail"]
        return Verification(
            **{
                **found,
                "torn_tail": None if torn is None else TornTail(**torn),
                "problems": tuple(Problem(**problem) for problem in found["problems"]),
                "notes": tuple(found["notes"]),
                "head": found["head"].hex(),
                "seals": tuple(Seal.of(told) for told in found["seals"]),
            }
        )

    def streams(self) -> Streams:
        """The records by terminal and epoch, as far as they are recorded now."""
        from edusense.meals.streams import Streams

        return Streams(self)

    def batch(self, first: RecordKey, last: int, keys: KeyRing) -> Batch:
        """A signed batch of one terminal's records.

        Args:
            first: key of the first record.
            last: sequence of the last one.
            keys: sign it.

        Raises:
            UsageError: they are not all there.
            BatchError: more than 65,536.
        """
        from edusense.meals.batches import make_batch

        streams = self.streams()
        records = streams.records(first.terminal, first.epoch, first.sequence, last)
        return make_batch(records, keys.signer(streams, first.terminal, first.epoch, first.sequence))

    def prove(self, record: RecordKey, keys: KeyRing | None = None, *, batch: Batch | None = None) -> Proof:
        """The proof of one record; see `edusense.meals.prove`."""
        from edusense.meals.proofs import prove

        return prove(self.streams(), record, keys, batch=batch)

    def stats(self) -> dict[str, Any]:
        """Records, records on disk, those that were pruned, segments, epoch and path: the row of `edusense status`."""
        count = len(self)
        epoch = self._native.epoch
        return {
            "records": count,
            "synced": count,
            "pruned": self.first,
            "segments": self._native.segments(),
            "epoch": None if epoch is None else f"{epoch:08x}",
            "path": str(self.folder),
        }

    @property
    def first(self) -> int:
        """Number of the first record that is here: 0, unless older ones were pruned."""
        return self._native.first()

    @property
    def epoch(self) -> int | None:
        """The 32 random bits of this opening; None when it was opened for reading."""
        return self._native.epoch

    @property
    def school(self) -> int | None:
        """The number of the school; None when it was opened for reading."""
        return self._native.school

    @property
    def recovered(self) -> TornTail | None:
        """The torn tail that was cut when this ledger was opened."""
        torn = self._native.recovered
        return None if torn is None else TornTail(**torn)

    @property
    def broken(self) -> str | None:
        """Why nothing can be recorded until it is opened anew: the disk failed to confirm a write."""
        return self._native.broken()

    @property
    def holder(self) -> str | None:
        """Who writes to it at this moment."""
        return self._native.holder()

    def sync(self) -> None:
        """Returns when everything appended is on the disk, also rows that were appended lazily."""
        self._native.sync()

    def close(self) -> None:
        """Writes what is left and lets others write; calling it twice is harmless."""
        self._closed = True
        self._native.close()

    def __len__(self) -> int:
        """The number that the next record gets: of all records, also of those that were pruned."""
        return self._native.count()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not self._closed:
            warnings.warn(f"ledger in `{self.folder}` was not closed", ResourceWarning, stacklevel=1, source=self)

    def __repr__(self) -> str:
        return f"<Ledger {str(self.folder)!r}, {'reading' if self.read_only else 'writing'}>"


def _holder(now: float) -> str:
    """Who a second writer is told: program, process, since when. Options are left out: secrets may stand there."""
    program, *words = sys.argv or [""]
    name = Path(program).name or "python"
    if name in {"edusense", "__main__.py"}:
        verbs = [word for word in words[:2] if word.isalpha()]
        name = " ".join(["edusense", *verbs])
    since = datetime.datetime.fromtimestamp(now, datetime.UTC)
    return f"`{name}` (process {os.getpid()}) since {since:%Y-%m-%d %H:%M:%S} UTC"


def describe_flags(flags: int) -> list[str]:
    """Names of the flags of a record, without the ledger's own marks.

    >>> describe_flags(Flag.CLOCK_WENT_BACK | Flag.BEGINS_WRITE)
    ['clock-went-back']
    """
    return [
        flag.name.lower().replace("_", "-")
        for flag in Flag
        if flags & flag and flag is not Flag.BEGINS_WRITE and flag.name
    ]
