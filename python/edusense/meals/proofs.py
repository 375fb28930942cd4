"""Proofs: one meal, shown to belong to a signed batch, without any other child's record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edusense import _native
from edusense.errors import BatchError, BatchRefusedError, LedgerError
from edusense.meals.batches import HEADER_BYTES, Batch, Header, make_batch, pieces
from edusense.meals.record import DTYPE, RecordKey

if TYPE_CHECKING:
    from edusense.meals.keys import KeyRing
    from edusense.meals.streams import Streams

__all__ = ["MOST_PROOF_BYTES", "Proof", "prove"]

MOST_PROOF_BYTES: Final = 16_384
_FORMAT: Final = "edusense-proof-1"


@dataclass(frozen=True)
class Proof:
    """A record, the header of its batch, and the path between them."""

    record: bytes
    """The record, 128 bytes."""
    header: bytes
    """The batch's first 176 bytes."""
    path: tuple[bytes, ...]
    """The Merkle path, lowest first."""

    @classmethod
    def read(cls, data: bytes | str) -> Proof:
        """Reads a proof's JSON; whether it holds is `check`'s to say.

        Raises:
            BatchError: it is no proof.
        """
        if len(data) > MOST_PROOF_BYTES:
            raise BatchError(f"refused: no proof has more than {MOST_PROOF_BYTES} bytes")
        try:
            found = json.loads(data)
            if found["format"] != _FORMAT:
                raise BatchError(f"refused: its format is `{found['format']}`, not `{_FORMAT}`")
            proof = cls(
                bytes.fromhex(found["record"]),
                bytes.fromhex(found["header"]),
                tuple(bytes.fromhex(step) for step in found["path"]),
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            raise BatchError("refused: it is no proof", hint="`edusense meals prove` writes one") from None
        lengths = {len(step) for step in proof.path} | {32}
        if (len(proof.record), len(proof.header), lengths) != (DTYPE.itemsize, HEADER_BYTES, {32}):
            raise BatchError("refused: it is no proof: a member of it has the wrong length")
        return proof

    def to_json(self) -> dict[str, Any]:
        """The proof as it is written to a file."""
        return {
            "format": _FORMAT,
            "record": self.record.hex(),
            "header": self.header.hex(),
            "path": [step.hex() for step in self.path],
        }

    def check(self, key: bytes) -> tuple[Any, Header]:
        """What it proves.

        Args:
            key: the public key of the school's box, from somebody who is trusted.

        Returns:
            The record, an element of `Ledger.DTYPE`, and the batch's header.

        Raises:
            BatchRefusedError: it is another key's.
            BatchError: it does not hold.
        """
        header = Header.read(self.header)
        if header.key != key:
            raise BatchRefusedError("the batch is not signed with this key", hint="ask for the school's `meals.pub`")
        record = np.frombuffer(self.record, DTYPE)[0]
        of_batch = (header.school, header.terminal, header.epoch)
        index = int(record["sequence"]) - header.first
        if (int(record["school"]), int(record["terminal"]), int(record["epoch"])) != of_batch or index < 0:
            raise BatchError("refused: the record is of another batch than the signature")
        root = _native.merkle_root_of_path(self.record, index, header.count, b"".join(self.path))
        if root != header.root:
            raise BatchError("refused: the path does not lead from the record to the signed root")
        return record, header


def prove(streams: Streams, record: RecordKey, keys: KeyRing | None = None, *, batch: Batch | None = None) -> Proof:
    """Makes the proof of one record.

    Args:
        streams: the ledger's.
        record: its key.
        keys: sign the batch around it.
        batch: one that was signed before, such as the city has; then no key is needed.

    Raises:
        UsageError: there is no such record.
        BatchError: it is not in the batch, or the ledger is not what was signed.
    """
    stream = streams.stream(record.terminal, record.epoch)
    if batch is None:
        if keys is None:
            raise LedgerError("a proof wants a key, or a batch that was signed", hint="--key FILE or --batch FILE")
        size = 1024
        begin = max(stream.first, (record.sequence - 1) // size * size + 1)
        first, last = next(pieces(begin, max(begin, stream.last), size))
        found = streams.records(record.terminal, record.epoch, min(first, record.sequence), max(last, record.sequence))
        # Made for whoever asks now: he has the present key.
        batch = make_batch(found, keys.current)
    index = record.sequence - batch.first
    if (batch.terminal, batch.epoch) != (record.terminal, record.epoch) or not 0 <= index < batch.count:
        raise BatchError(f"the record {record} is not in `{batch.name}`")
    own = streams.records(record.terminal, record.epoch, record.sequence, record.sequence)
    if own.tobytes() != batch.records[index : index + 1].tobytes():
        raise BatchError(f"the record {record} is another one in `{batch.name}` than in the ledger")
    path = _native.merkle_path(batch.records.tobytes(), index)
    steps = tuple(path[at : at + 32] for at in range(0, len(path), 32))
    return Proof(own.tobytes(), batch.data[:HEADER_BYTES], steps)
