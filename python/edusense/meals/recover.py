"""Records that a disk has spoiled, taken back from the hub, into a copy of the ledger.

Nobody has to be believed: each record holds on to the one before it by its hash, so what comes from the hub stands in
its place only where it fits to a neighbour that is sound. What the hub has not either is listed.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edusense.errors import LedgerError, LedgerStorageError
from edusense.meals.hub_contract.plain import crc32c
from edusense.meals.ledger import Ledger
from edusense.meals.record import DTYPE, RecordKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from edusense.meals.hub_client import HubClient
    from edusense.meals.ledger import Verification

__all__ = ["Recovered", "Recovery", "recover"]

RECORD_BYTES: Final = 128
_ROWS: Final = 8192


@dataclass(frozen=True)
class Recovered:
    """What became of one damaged place.

    Attributes:
        position: number of the record in the ledger, from 0.
        record: its key; None where it was not found.
    """

    position: int
    record: RecordKey | None

    def to_json(self) -> dict[str, Any]:
        """As `edusense meals recover --json` prints it."""
        found = self.record is not None
        return {
            "position": self.position,
            "record": str(self.record) if found else None,
            "outcome": "recovered" if found else "lost",
        }


@dataclass(frozen=True)
class Recovery:
    """What became of a damaged ledger.

    Attributes:
        places: every damaged place, in the order of the records.
        verified: what the copy is now.
    """

    places: tuple[Recovered, ...]
    verified: Verification


def recover(folder: Path, out: Path, client: HubClient, *, school: int | None = None) -> Recovery:
    """Copies a damaged ledger, with its damaged records taken back from the hub.

    Args:
        folder: the damaged ledger's; it is only read.
        out: the copy's; it must not be there yet.
        client: the hub.
        school: national number of the school; None takes the one in the sound records.

    Raises:
        LedgerError: it is no ledger, or `out` is there already.
        LedgerStorageError: the disk refused.
        HubUnavailableError: the hub cannot be reached.
        HubRefusedError: it refuses us.
    """
    if out.exists():
        raise LedgerError(f"`{out}` is there already", hint="name a folder that is not there yet")
    found = Ledger.open(folder, read_only=True).verify()
    bad = sorted({place for one in found.problems for place in range(one.record, one.record + one.count)})
    gone = [one for one in found.seals if one.pruned]
    rows = _Rows(folder, bad, found.first + found.records + len(bad), found.first, gone[-1].head if gone else None)
    if school is None:
        school = rows.school()
    # What was pruned is missing on purpose.
    not_wanted = {(terminal, epoch): last for one in gone for terminal, epoch, _, last in one.lines}
    wanted = [*_candidates(rows, client, school, not_wanted), *rows.misnamed]
    places = _fill(rows, bad, wanted)
    try:
        shutil.copytree(folder, out, ignore=shutil.ignore_patterns("*.seg", "meals.lock", "*.new"))
        rows.write(out)
    except OSError as error:
        raise LedgerStorageError(f"writing `{out}`: {error.strerror or error}") from error
    return Recovery(places, Ledger.open(out, read_only=True).verify())


class _Rows:
    """The places of a ledger, as they stand in its segments; those of damaged ones are empty."""

    def __init__(self, folder: Path, bad: Iterable[int], count: int, begin: int, before: str | None) -> None:
        files = sorted((int(path.stem), path) for path in folder.glob("*.seg") if path.stem.isdigit())
        self.segments = [(first, path) for first, path in files if first >= begin]
        self.begin, self.before = begin, None if before is None else bytes.fromhex(before)
        lengths = {first: -(-path.stat().st_size // RECORD_BYTES) for first, path in self.segments}
        self.end = max([count, *(first + length for first, length in lengths.items())])
        self.rows = np.zeros(self.end, DTYPE)
        for first, path in self.segments:
            raw = path.read_bytes()
            raw += bytes(-len(raw) % RECORD_BYTES)
            self.rows[first : first + lengths[first]] = np.frombuffer(raw, DTYPE)
        self.known = self.rows["magic"] == b"EDM"
        places = np.fromiter(bad, np.int64)
        found = (self.rows[place].tobytes() for place in places)
        self.misnamed = [raw for raw in found if _is_sound(raw)]
        """Sound records that are named only because the one before them is gone, or they stand in a wrong place."""
        self.rows[places] = np.zeros(1, DTYPE)
        self.known[places] = False

    def school(self) -> int:
        """The school's number, as sound records have it.

        Raises:
            LedgerError: there is none.
        """
        numbers = self.rows["school"][self.known]
        if not len(numbers):
            raise LedgerError("not one record of it is sound", hint="take a new ledger; what the hub has is there")
        return int(numbers[0])

    def hash_of(self, position: int) -> bytes | None:
        """The hash of what stands, or stood, there; zeros before the first, None where nothing is known."""
        if position < 0:
            return bytes(32)
        if position == self.begin - 1:
            return self.before
        return hashlib.sha256(self.rows[position].tobytes()).digest() if self.known[position] else None

    def put(self, position: int, raw: bytes) -> RecordKey:
        """Puts a record in its place."""
        self.rows[position : position + 1] = np.frombuffer(raw, DTYPE)
        self.known[position] = True
        return RecordKey.of(self.rows[position])

    def write(self, out: Path) -> None:
        """Writes all segments; one that was gone is there again where its records are."""
        starts = [first for first, _ in self.segments]
        # Before the first segment that is left, others may have stood: they were as long as the next ones.
        begin = self.begin if not starts or self.known[: starts[0]].any() else starts[0]
        if begin not in starts:
            starts = [begin, *starts]
        for first, after in zip(starts, [*starts[1:], self.end], strict=True):
            (out / f"{first:020}.seg").write_bytes(self.rows[first:after].tobytes())


def _is_sound(raw: bytes) -> bool:
    return raw[:3] == b"EDM" and crc32c(raw[:124]) == int.from_bytes(raw[124:], "little")


def _candidates(rows: _Rows, client: HubClient, school: int, not_wanted: Mapping[tuple[int, int], int]) -> list[bytes]:
    """Every record that is missing here of any terminal's epoch, as far as the hub has it."""
    here: dict[tuple[int, int], set[int]] = {}
    for record in rows.rows[rows.known][["terminal", "epoch", "sequence"]]:
        here.setdefault((int(record["terminal"]), int(record["epoch"])), set()).add(int(record["sequence"]))
    found = []
    for line in client.lines(school):
        try:
            terminal, epoch, last = int(line["terminal"]), int(str(line["epoch"]), 16), int(line["sequence"])
        except (KeyError, ValueError, TypeError):
            continue
        own = here.get((terminal, epoch), set())
        for first, stop in _gaps(own, last, not_wanted.get((terminal, epoch), 0) + 1):
            for start in range(first, stop + 1, _ROWS):
                raw = client.records(school, terminal, epoch, start, min(stop, start + _ROWS - 1))
                found += [raw[at : at + RECORD_BYTES] for at in range(0, len(raw) - RECORD_BYTES + 1, RECORD_BYTES)]
    return found


def _gaps(own: set[int], last: int, begin: int = 1) -> list[tuple[int, int]]:
    """The stretches of `begin` to `last` that are not there.

    >>> _gaps({1, 2, 5}, 7)
    [(3, 4), (6, 7)]
    """
    found = []
    for number in [*sorted(one for one in own if begin <= one <= last), last + 1]:
        if number > begin:
            found.append((begin, number - 1))
        begin = number + 1
    return found


def _fill(rows: _Rows, bad: list[int], candidates: list[bytes]) -> tuple[Recovered, ...]:
    """Puts candidates where they fit: to the record before, or to the record behind."""
    by_previous = {raw[92:124]: raw for raw in candidates}
    by_hash = {hashlib.sha256(raw).digest(): raw for raw in candidates}
    found: dict[int, RecordKey] = {}
    for position in bad:
        before = rows.hash_of(position - 1)
        if before is not None and (raw := by_previous.get(before)) is not None:
            found[position] = rows.put(position, raw)
    for position in reversed(bad):
        behind = position + 1
        if position in found or behind >= rows.end or not rows.known[behind]:
            continue
        raw = by_hash.get(rows.rows["previous"][behind].tobytes())
        if raw is not None:
            found[position] = rows.put(position, raw)
    return tuple(Recovered(position, found.get(position)) for position in bad)
