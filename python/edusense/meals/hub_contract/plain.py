"""Records, batches and acknowledgements in plain Python, by `docs/reference/batch-format.md`: also what no box makes.

The checks of a hub must be able to send what is wrong, which the code that boxes run refuses to write.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edusense.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Acknowledged", "Tape", "crc32c", "header_of", "key_halves", "merkle_root", "seal"]

RECORD: Final = struct.Struct("<3sBBBHIIIIQQqII12sIQQHH32s")
"""A record without its sum, 124 bytes."""
HEADER: Final = struct.Struct("<4sIIIQIIIIq32s32s")
"""A batch's header without its signature, 112 bytes."""
ACKNOWLEDGEMENT: Final = struct.Struct("<4sIIIQQQq32sq32s")
"""An acknowledgement without its signature, 120 bytes."""
OPENED, MEAL, SHOWN, REVERSAL, KEY_CHANGE = 1, 2, 3, 4, 7


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC32C: Final = _table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli).

    >>> f"{crc32c(b'123456789'):08x}"
    'e3069283'
    """
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC32C[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """The root of RFC 6962, section 2.1."""
    level = [hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [hashlib.sha256(b"\1" + left + right).digest() for left, right in pairs] + level[len(level) // 2 * 2 :]
    return level[0] if level else hashlib.sha256(b"").digest()


def _totals(records: Sequence[bytes]) -> tuple[int, int, int]:
    """Meals, reversals, and the sum in tiyn."""
    meals = [record for record in records if record[4] == MEAL]
    reversals = [record for record in records if record[4] == REVERSAL]
    return len(meals), len(reversals), sum(map(_price, meals)) - sum(map(_price, reversals))


def _price(record: bytes) -> int:
    return int.from_bytes(record[52:56], "little")


def key_halves(key: Ed25519PrivateKey) -> tuple[int, int]:
    """`pupil` and `card` of the record that announces a key."""
    mark = hashlib.sha256(key.public_key().public_bytes_raw()).digest()
    return int.from_bytes(mark[:8], "little"), int.from_bytes(mark[8:16], "little")


def header_of(batch: bytes) -> tuple[int, int, int, int, int]:
    """School, terminal, epoch, first and count of a batch."""
    _, school, terminal, epoch, first, count, *_ = HEADER.unpack_from(batch)
    return school, terminal, epoch, first, count


def seal(records: Sequence[bytes], key: Ed25519PrivateKey, **change: int) -> bytes:
    """The signed batch of these records.

    Args:
        records: of one epoch, 128 bytes each.
        key: who signs.
        change: what its header is to say instead of the truth: `school`, `terminal`, `epoch`, `first`, `count`, `sum`.
    """
    school, terminal, epoch, sequence = struct.unpack_from("<IIIxxxxQ", records[0], 8)
    meals, reversals, total = _totals(records)
    told = {
        "school": school,
        "terminal": terminal,
        "epoch": epoch,
        "first": sequence,
        "count": len(records),
        "sum": total,
    }
    told |= change
    signed = HEADER.pack(
        b"EDB\1",
        *(told[name] for name in ("school", "terminal", "epoch", "first", "count")),
        meals,
        reversals,
        0,
        told["sum"],
        merkle_root(records),
        key.public_key().public_bytes_raw(),
    )
    rows, before = [], b""
    for record in records:
        previous = record[92:124]
        rows.append(record[:92] + (b"\0" if previous == before else b"\1" + previous))
        before = hashlib.sha256(record).digest()
    return signed + key.sign(signed) + b"".join(rows)


@dataclass
class Tape:
    """What one terminal writes: records that follow one another, epoch by epoch.

    Attributes:
        school: its number.
        terminal: its number.
        time_us: of the next record.
        epoch: of the next record.
        follows: epoch and sequence that this epoch says it follows.
        records: of this epoch.
        previous: hash of the last record.
    """

    school: int
    terminal: int
    time_us: int = 1_790_000_000_000_000
    epoch: int = field(default_factory=lambda: secrets.randbelow(2**32 - 1) + 1)
    follows: tuple[int, int] = (0, 0)
    records: list[bytes] = field(default_factory=list)
    previous: bytes = bytes(32)

    def write(
        self,
        kind: int,
        *,
        pupil: int = 0,
        day: int = 0,
        slot: bytes = b"",
        price: int = 0,
        reference: tuple[int, int] = (0, 0),
        card: int = 0,
    ) -> tuple[int, int]:
        """Writes a record, the epoch's first one before it where it is missing; returns its epoch and sequence."""
        if not self.records and kind != OPENED:
            self.write(OPENED, reference=self.follows)
        sequence = len(self.records) + 1
        plain = RECORD.pack(
            *(
                b"EDM",
                1,
                kind,
                0,
                0,
                self.school,
                self.terminal,
                self.epoch,
                0,
                sequence,
                pupil,
                self.time_us,
                day,
                price,
            ),
            *(slot, *reference, card, 0, 0, self.previous),
        )
        record = plain + crc32c(plain).to_bytes(4, "little")
        self.records.append(record)
        self.previous = hashlib.sha256(record).digest()
        self.time_us += 1_000_000
        return self.epoch, sequence

    def meal(
        self, pupil: int, *, day: int = 20_261_005, slot: bytes = b"lunch", price: int = 45_000
    ) -> tuple[int, int]:
        """A meal with its mark."""
        key = self.write(MEAL, pupil=pupil, day=day, slot=slot, price=price)
        self.write(SHOWN, pupil=pupil, day=day, slot=slot, reference=key)
        return key

    def reverse(self, key: tuple[int, int], pupil: int, *, day: int = 20_261_005, price: int = 45_000) -> None:
        """A meal is taken back."""
        self.write(REVERSAL, pupil=pupil, day=day, slot=b"lunch", price=price, reference=key)

    def copy(self) -> Tape:
        """The same tape, as an image of the disk holds it."""
        return replace(self, records=list(self.records))

    def reopened(self) -> Tape:
        """The tape after the terminal was opened anew: another epoch, which follows this one."""
        follows = (self.epoch, len(self.records)) if self.records else self.follows
        return Tape(self.school, self.terminal, self.time_us, follows=follows, previous=self.previous)

    def batch(self, key: Ed25519PrivateKey, first: int = 1, last: int | None = None) -> bytes:
        """The signed batch of records of this epoch, both ends included."""
        chosen = self.records[first - 1 : last]
        if not chosen:
            raise UsageError(f"there are no records {first} to {last}", hint="write some")
        return seal(chosen, key)


@dataclass(frozen=True)
class Acknowledged:
    """An acknowledgement, after its signature was found to be that of the key that it names."""

    school: int
    terminal: int
    epoch: int
    sequence: int
    meals: int
    reversals: int
    sum_tiyn: int
    head: bytes
    time_us: int
    key: bytes

    @classmethod
    def decode(cls, raw: bytes) -> Acknowledged:
        """Reads one.

        Raises:
            ValueError: it is none, or its signature is wrong.
        """
        if len(raw) != ACKNOWLEDGEMENT.size + 64 or raw[:4] != b"EDA\1":
            raise ValueError("it is no acknowledgement")
        _, *fields = ACKNOWLEDGEMENT.unpack_from(raw)
        found = cls(*fields)
        try:
            Ed25519PublicKey.from_public_bytes(found.key).verify(raw[-64:], raw[:-64])
        except InvalidSignature:
            raise ValueError("its signature is wrong") from None
        return found

    def is_of(self, tape: Tape, last: int) -> bool:
        """Whether it says of a tape what is so."""
        told = (self.school, self.terminal, self.epoch, self.sequence, self.meals, self.reversals, self.sum_tiyn)
        records = tape.records[:last]
        wanted = (tape.school, tape.terminal, tape.epoch, last, *_totals(records))
        return told == wanted and self.head == hashlib.sha256(records[-1]).digest()
