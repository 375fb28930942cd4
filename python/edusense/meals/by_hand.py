"""What people do instead of cards: enter a meal, take one back, say what time it is. With who and why on the record.

The words are kept in the roster's database before the record that carries their hash is written, so that no record
leads to a note that is not there.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edusense.errors import UsageError
from edusense.meals.ledger import Ledger
from edusense.meals.record import Flag, Kind, RecordKey, Status

if TYPE_CHECKING:
    from edusense.meals.clock import MealClock
    from edusense.meals.store import Note, Operator, RosterStore
    from edusense.meals.terminal import Terminal, Verdict

__all__ = ["ByHand", "Reversed"]

_EARLIEST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Reversed:
    """A meal that was taken back."""

    meal: RecordKey
    reversal: RecordKey
    """Key of the record that takes it back."""
    operator: Operator
    note: Note

    def to_json(self) -> dict[str, Any]:
        """As `edusense meals reverse --json` prints it."""
        return {
            "meal": str(self.meal),
            "record": str(self.reversal),
            "operator": self.operator.number,
            "why": self.note.reason,
        }


class ByHand:
    """What may be done by hand in one school.

    Args:
        store: the roster's database.
        school: national number of the school.
        zone: the school's time zone.
        clock: the clock of its terminals.
    """

    def __init__(self, store: RosterStore, *, school: int, zone: datetime.tzinfo, clock: MealClock) -> None:
        self._store, self._school, self._zone, self._clock = store, school, zone, clock

    def enter(
        self,
        terminal: Terminal,
        pupil: int,
        *,
        operator: Operator,
        reason: str,
        words: str = "",
        day: datetime.date | None = None,
        slot: str | None = None,
    ) -> Verdict:
        """Enters a meal without a card, by the same rules as with one.

        Args:
            terminal: where.
            pupil: number of the pupil.
            operator: who enters it.
            reason: why: one of `REASON_CODES`, or one's own words.
            words: more words.
            day: the day of a meal that was given earlier, from a paper list; None: the one that is on.
            slot: its slot; with `day` only.

        Raises:
            UsageError: there is no reason in it, no such slot, or the day is still to come.
        """
        note = self._note(operator, "meal", reason, words)
        return terminal.enter(pupil, note=note.in_record(self._school), reason=note.code, day=day, slot=slot)

    def reverse(
        self, terminal: Terminal, meal: RecordKey, *, operator: Operator, reason: str, words: str = ""
    ) -> Reversed:
        """Takes a meal back.

        Args:
            terminal: any of the school.
            meal: key of its record.
            operator: who takes it back.
            reason: why: one of `REASON_CODES`, or one's own words.
            words: more words.

        Raises:
            UsageError: there is no reason in it, no such meal, or it was taken back before.
            LedgerError: the ledger cannot take it.
        """
        note = self._note(operator, "reversal", reason, words)
        record = terminal.reverse(meal, note=note.in_record(self._school), reason=note.code)
        return Reversed(meal, record, operator, note)

    def confirm_clock(
        self, ledger: Ledger, *, operator: Operator, at: float | None = None, words: str = ""
    ) -> tuple[float, RecordKey]:
        """Takes somebody's word for what time it is, until the machine's clock is known to be right.

        Args:
            ledger: open for writing.
            operator: who says so.
            at: Unix seconds; None: what the terminals show is right.
            words: more words.

        Returns:
            The time from now on, and the key of the record of it.

        Raises:
            UsageError: it cannot be that time.
            LedgerError: the ledger cannot take it.
        """
        before = self._clock.now().time
        said = before if at is None else float(at)
        if said < _EARLIEST.timestamp():
            raise UsageError(f"it cannot be {self._local(said):%Y-%m-%d %H:%M}", hint="--time 2026-10-05T12:10")
        note = self._note(operator, "clock", "clock", words, at=said)
        row = Ledger.blank(1, Kind.CLOCK_STEP)
        row["time"] = round(said * 1e6)
        row["pupil"] = max(0, round(before * 1e6))
        row["flags"] = Flag.MANUAL
        row["card"] = note.in_record(self._school)
        row["reason"] = note.code
        receipt = ledger.receipts(row)
        if receipt.status[0] != Status.RECORDED:
            raise UsageError("the ledger takes no record of a clock's time")
        self._clock.confirm(said)
        self._clock.heard(said)
        position = int(receipt.position[0])
        return said, RecordKey.of(ledger.records(position, position + 1)[0])

    def _note(self, operator: Operator, what: str, reason: str, words: str, at: float | None = None) -> Note:
        moment = self._local(self._clock.now().time if at is None else at)
        return self._store.operators.note(operator, what, reason, words=words, school=self._school, at=moment)

    def _local(self, at: float) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(at, self._zone)
