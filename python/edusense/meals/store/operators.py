"""Who may enter and take back meals by hand, and what they gave as the reason.

The ledger has no room for words and takes no names: the record carries the operator's number, a code for the reason
and 32 bits of a hash over the note, and the note stands here. An altered note no longer fits its record.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import UsageError

if TYPE_CHECKING:
    import datetime

    from edusense.meals.store.schema import Database

__all__ = ["REASON_CODES", "Note", "Operator", "Operators"]

_SCRYPT: Final = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}


@dataclass(frozen=True)
class Operator:
    """Somebody who may enter and take back meals by hand."""

    number: int
    name: str
    has_pin: bool

    def to_json(self) -> dict[str, Any]:
        """The operator as `edusense roster operators --json` prints it."""
        return {"operator": self.number, "name": self.name, "pin": self.has_pin}


REASON_CODES: Final = {
    "card-forgotten": 1,
    "card-lost": 2,
    "card-broken": 3,
    "reader-broken": 4,
    "paper-list": 5,
    "wrong-child": 6,
    "not-eaten": 7,
    "mistake": 8,
    "clock": 9,
    "other": 255,
}
"""Why something is done by hand, and how that stands in the record; `other` is explained in words."""


@dataclass(frozen=True)
class Note:
    """Who did something by hand, and why.

    >>> note = Note(3, "meal", "card-forgotten", "", "2026-10-05T12:10:00+05:00", "00112233445566778899aabbccddeeff")
    >>> f"{note.in_record(51001):016x}", note.code
    ('e6ca57ca00000003', 1)
    """

    operator: int
    """Number of the operator."""
    what: str
    """`meal`, `reversal` or `clock`."""
    reason: str
    """One of `REASON_CODES`."""
    words: str
    """In the operator's own words; with the reason `other` there are some."""
    made_at: str
    """ISO 8601, with the offset of the school's time zone."""
    nonce: str
    """32 hex digits that make each note another."""

    @property
    def code(self) -> int:
        """The reason as it stands in the record's `reason`."""
        return REASON_CODES[self.reason]

    def in_record(self, school: int) -> int:
        """What the record's `card` carries: the operator's number in the low half, above it 4 bytes of a hash.

        They are the first of SHA-256 over `edusense note`, a zero byte, the school's number as 4 bytes, and the fields
        in their order as UTF-8 lines, each ended by a line feed. All numbers are little endian.

        Args:
            school: national number of the school.
        """
        parts = (self.operator, self.what, self.reason, self.words, self.made_at, self.nonce)
        told = b"edusense note\0" + school.to_bytes(4, "little") + "".join(f"{part}\n" for part in parts).encode()
        return self.operator | int.from_bytes(hashlib.sha256(told).digest()[:4], "little") << 32


class Operators:
    """The operators and notes of a roster's database.

    Args:
        database: the roster's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def named(self, name: str, *, at: float) -> Operator:
        """The operator of that name, who is added where there is none.

        Args:
            name: family name and given name.
            at: when, Unix seconds.

        Raises:
            UsageError: it is no name.
        """
        told = " ".join(name.split())
        if not told or len(told) > 200 or not told.isprintable():
            raise UsageError(f"`{name[:80]}` is no name of an operator", hint="family name and given name")
        with self._database.transaction():
            self._database.write("INSERT OR IGNORE INTO operators (name, added_at) VALUES (?, ?)", told, at)
            row = self._database.row("SELECT number, name, pin_hash FROM operators WHERE name = ?", told)
        return Operator(row[0], row[1], row[2] is not None)

    def all(self) -> tuple[Operator, ...]:
        """All operators, by number."""
        rows = self._database.rows("SELECT number, name, pin_hash FROM operators ORDER BY number")
        return tuple(Operator(number, name, pin is not None) for number, name, pin in rows)

    def __getitem__(self, number: int) -> Operator:
        for operator in self.all():
            if operator.number == number:
                return operator
        raise UsageError(f"there is no operator {number}", hint="`edusense roster operators` shows them")

    def set_pin(self, number: int, pin: str | None) -> None:
        """Gives an operator a PIN, for the kiosk; None takes it away, and with it the right to act there.

        Args:
            number: of the operator.
            pin: 4 to 12 digits.

        Raises:
            UsageError: it is no PIN, or there is no such operator.
        """
        self[number]
        salt = hashed = None
        if pin is not None:
            if not (pin.isascii() and pin.isdecimal() and 4 <= len(pin) <= 12):
                raise UsageError("a PIN has 4 to 12 digits")
            salt = secrets.token_bytes(16)
            hashed = hashlib.scrypt(pin.encode(), salt=salt, **_SCRYPT)
        self._database.write("UPDATE operators SET pin_salt = ?, pin_hash = ? WHERE number = ?", salt, hashed, number)

    def with_pin(self, number: int, pin: str) -> Operator | None:
        """The operator, if that is their PIN.

        Args:
            number: of the operator.
            pin: as typed.
        """
        row = self._database.row("SELECT name, pin_salt, pin_hash FROM operators WHERE number = ?", number)
        if row is None or row[2] is None:
            return None
        hashed = hashlib.scrypt(pin.encode()[:64], salt=row[1], **_SCRYPT)
        return Operator(number, row[0], True) if hmac.compare_digest(hashed, row[2]) else None

    def note(
        self, operator: Operator, what: str, reason: str, *, school: int, at: datetime.datetime, words: str = ""
    ) -> Note:
        """Keeps a note, before the record that carries its hash is written.

        Args:
            operator: who does it.
            what: `meal`, `reversal` or `clock`.
            reason: one of `REASON_CODES`, or one's own words.
            school: national number of the school.
            at: when, with the school's offset.
            words: more words.

        Raises:
            UsageError: there is no reason in it.
        """
        known, told = reason.strip().lower().replace(" ", "-"), " ".join(words.split())
        if known not in REASON_CODES or (known == "other" and not told):
            # Words of one's own are a reason, too.
            known, told = "other", " ".join(f"{'' if known == 'other' else reason} {words}".split())
            if not told or len(told) > 500 or not told.isprintable():
                raise UsageError(
                    "what is done by hand needs a reason",
                    hint=f"one of {', '.join(list(REASON_CODES)[:-1])}, or a few words of your own",
                )
        stamp = at.isoformat(timespec="milliseconds")
        with self._database.transaction():
            while True:
                made = Note(operator.number, what, known, told, stamp, secrets.token_hex(16))
                carried = f"{made.in_record(school):016x}"
                # 32 bits of a hash meet another's once in a lifetime; then another nonce is drawn.
                if self._database.row("SELECT 1 FROM notes WHERE carried = ?", carried) is None:
                    break
            self._database.write(
                "INSERT INTO notes VALUES (?, ?, ?, ?, ?, ?, ?)",
                carried,
                made.operator,
                made.what,
                made.reason,
                made.words,
                made.made_at,
                made.nonce,
            )
        return made

    def notes(self) -> dict[int, Note]:
        """All notes, by what records carry of them."""
        rows = self._database.rows("SELECT carried, operator, what, reason, words, made_at, nonce FROM notes")
        return {int(carried, 16): Note(*rest) for carried, *rest in rows}
