"""Lists of who may eat: proposed, approved by the director, in force from their first day on."""

from __future__ import annotations

import calendar
import datetime
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edusense.devices import Card
from edusense.errors import UsageError
from edusense.meals.pupil import CardMark, Pupil
from edusense.meals.roster import Roster
from edusense.meals.store.cards import CardChange, cards_on

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edusense.meals.store.schema import Database

__all__ = ["Listed", "Lists", "month_of"]


@dataclass(frozen=True)
class Listed:
    """One list, without those who stand on it."""

    id: int
    first: datetime.date
    """From this day on it is in force."""
    last: datetime.date | None
    """After this day nobody eats by it; None: until the next one begins."""
    state: str
    """`proposed`, `taken` (in force from its first day on), `withdrawn`."""
    version: int
    """As it stands in every record that rests on it."""
    pupils: int
    source: str
    """File that it came from."""
    proposed_at: float
    proposed_by: str
    taken_at: float | None
    approved_at: float | None
    approved_by: str | None
    """The director, or who decides for them; None: nobody's approval is recorded."""
    approval: str | None
    """In the director's own words: number and date of an order, for example."""

    @property
    def period(self) -> str:
        """What it is for: `2026-10` for a month, otherwise its days."""
        if self.last is None:
            return f"from {self.first.isoformat()}"
        if (self.first, self.last) == month_of(f"{self.first:%Y-%m}"):
            return f"{self.first:%Y-%m}"
        return f"{self.first.isoformat()} to {self.last.isoformat()}"

    def to_json(self) -> dict[str, Any]:
        """The list as `edusense roster lists --json` prints it."""
        return {
            "list": self.id,
            "first": self.first.isoformat(),
            "last": None if self.last is None else self.last.isoformat(),
            "state": self.state,
            "version": f"{self.version:08x}",
            "pupils": self.pupils,
            "source": self.source,
            "proposed_by": self.proposed_by,
            "proposed_s": self.proposed_at,
            "taken_s": self.taken_at,
            "approved_by": self.approved_by,
            "approved_s": self.approved_at,
            "approval": self.approval,
        }


_COLUMNS = (
    "id, first, last, state, version, pupils, source, proposed_at, proposed_by, taken_at, approved_at, approved_by, "
    "approval"
)
_PUPIL = "pupil, coalesce(name, ''), class, category, consent_date, voucher_from, voucher_to, shift, school, allergens"


class Lists:
    """The lists of a roster's database.

    Args:
        database: the roster's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def propose(
        self,
        roster: Roster,
        *,
        first: datetime.date,
        last: datetime.date | None = None,
        source: str,
        by: str,
        at: float,
    ) -> Listed:
        """Keeps a list that is not in force yet.

        Args:
            roster: who stands on it.
            first: from when on it is meant.
            last: its last day; None: until the next one.
            source: the file that it came from.
            by: who brings it.
            at: when, Unix seconds.
        """
        if last is not None and last < first:
            raise UsageError(f"a list from {first} to {last} holds on no day", hint="its last day is not before")
        base = self._database
        with base.transaction():
            number = base.write(
                "INSERT INTO lists (first, last, state, version, pupils, source, proposed_at, proposed_by) "
                "VALUES (?, ?, 'proposed', ?, ?, ?, ?, ?)",
                first.isoformat(),
                _iso(last),
                roster.version,
                len(roster),
                source,
                at,
                by,
            )
            base.write_many(
                "INSERT INTO people (number, name) VALUES (?, ?) "
                "ON CONFLICT (number) DO UPDATE SET name = excluded.name",
                [(pupil.number, pupil.name) for pupil in roster],
            )
            base.write_many(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [_entry(number, place, pupil) for place, pupil in enumerate(roster)],
            )
            base.write_many(
                "INSERT INTO listed_cards VALUES (?, ?, ?, ?)",
                [
                    (number, pupil.number, place, str(card))
                    for pupil in roster
                    for place, card in enumerate(pupil.cards)
                ],
            )
        return self[number]

    def take(self, number: int, *, at: float, approved_by: str | None = None, approval: str | None = None) -> Listed:
        """Puts a proposed list in force, from its first day on.

        Args:
            number: of the list.
            at: when, Unix seconds.
            approved_by: the director; None where nobody has approved it.
            approval: number and date of the order, for example.

        Raises:
            UsageError: there is no such list, or it is not a proposal any more.
        """
        with self._database.transaction():
            found = self[number]
            if found.state == "taken" and found.approved_by is None and approved_by is not None:
                pass  # what was taken without an approval may get it afterwards
            elif found.state != "proposed":
                raise UsageError(f"list {number} is {found.state} already", hint="`edusense roster lists` shows them")
            self._database.write(
                "UPDATE lists SET state = 'taken', taken_at = coalesce(taken_at, ?), approved_at = ?, approved_by = ?, "
                "approval = ? WHERE id = ?",
                at,
                None if approved_by is None else at,
                approved_by,
                approval,
                number,
            )
        return self[number]

    def withdraw(self, number: int) -> Listed:
        """Puts a proposal away; it never was in force.

        Raises:
            UsageError: there is no such list, or it is in force.
        """
        with self._database.transaction():
            if self[number].state != "proposed":
                raise UsageError(
                    f"list {number} is {self[number].state} already", hint="import another list to replace it"
                )
            self._database.write("UPDATE lists SET state = 'withdrawn' WHERE id = ?", number)
        return self[number]

    def all(self) -> tuple[Listed, ...]:
        """All lists, the oldest first."""
        return tuple(_listed(row) for row in self._database.rows(f"SELECT {_COLUMNS} FROM lists ORDER BY id"))  # noqa: S608

    def in_force(self, day: datetime.date) -> Listed | None:
        """The list that decides on a day: of those that have begun, the one that began last.

        Args:
            day: the day.
        """
        row = self._database.row(
            f"SELECT {_COLUMNS} FROM lists WHERE state = 'taken' AND first <= ? "  # noqa: S608
            "ORDER BY first DESC, taken_at DESC, id DESC LIMIT 1",
            day.isoformat(),
        )
        return None if row is None else _listed(row)

    def waiting(self) -> tuple[Listed, ...]:
        """Proposals that nobody has approved yet."""
        return tuple(found for found in self.all() if found.state == "proposed")

    def roster(self, number: int) -> Roster:
        """Who stands on a list, as it was brought; cards that were lost or given later are not looked at.

        Raises:
            UsageError: there is no such list.
        """
        return Roster(self._pupils(self[number].id), period=self[number].period)

    def roster_on(self, day: datetime.date) -> Roster | None:
        """Everybody as they are on a day: the list in force, cards lost and given since, who stood on earlier lists.

        Args:
            day: the day.

        Returns:
            None where no list has begun.
        """
        listed = self.in_force(day)
        if listed is None:
            return None
        now = self._pupils(listed.id)
        changes = [CardChange.of(row) for row in self._database.rows(f"{CardChange.SELECT} ORDER BY id")]
        listed_cards = {card: pupil.number for pupil in now for card in pupil.cards}
        holders, marks = cards_on(day, listed_cards, listed.taken_at or 0.0, changes)
        own = {pupil.number for pupil in now}
        for number, card in self._earlier(listed, day):
            if card in holders or card in marks:
                continue
            if number in own:
                marks[card] = CardMark(card, number, "replaced", listed.first)
            else:
                # Dropped from the list: known by the card all the same, so that the terminal can say so.
                holders[card] = number
        cards: dict[int, list[Card]] = {}
        for card, number in holders.items():
            cards.setdefault(number, []).append(card)
        return Roster(
            [replace(pupil, cards=tuple(cards.get(pupil.number, ()))) for pupil in now],
            former=self._former(cards.keys() - own, cards),
            marks=marks.values(),
            period=listed.period,
            over=listed.last is not None and listed.last < day,
            version=listed.version,
        )

    def __getitem__(self, number: int) -> Listed:
        row = self._database.row(f"SELECT {_COLUMNS} FROM lists WHERE id = ?", number)  # noqa: S608
        if row is None:
            raise UsageError(f"there is no list {number}", hint="`edusense roster lists` shows them")
        return _listed(row)

    def _pupils(self, number: int) -> list[Pupil]:
        cards: dict[int, list[Card]] = {}
        for pupil, card in self._database.rows(
            "SELECT pupil, card FROM listed_cards WHERE list = ? ORDER BY pupil, place", number
        ):
            cards.setdefault(pupil, []).append(Card.parse(card))
        rows = self._database.rows(
            f"SELECT {_PUPIL} FROM entries LEFT JOIN people ON number = pupil WHERE list = ? ORDER BY place",  # noqa: S608
            number,
        )
        return [_pupil(row, tuple(cards.get(row[0], ()))) for row in rows]

    def _earlier(self, listed: Listed, day: datetime.date) -> list[tuple[int, Card]]:
        """Pupils and cards of lists that were in force before this one, the newest first."""
        rows = self._database.rows(
            "SELECT pupil, card FROM listed_cards JOIN lists ON lists.id = list "
            "WHERE state = 'taken' AND first <= ? AND lists.id != ? ORDER BY first DESC, taken_at DESC",
            day.isoformat(),
            listed.id,
        )
        return [(pupil, Card.parse(card)) for pupil, card in dict.fromkeys(rows)]

    def _former(self, numbers: Iterable[int], cards: Mapping[int, list[Card]]) -> list[Pupil]:
        found = []
        for number in sorted(numbers):
            row = self._database.row(
                f"SELECT {_PUPIL} FROM entries JOIN people ON number = pupil JOIN lists ON lists.id = list "  # noqa: S608
                "WHERE pupil = ? AND state = 'taken' ORDER BY first DESC, taken_at DESC LIMIT 1",
                number,
            )
            if row is not None:
                found.append(_pupil(row, tuple(cards[number])))
        return found


def month_of(text: str) -> tuple[datetime.date, datetime.date]:
    """First and last day of a month.

    Args:
        text: `2026-10`.

    Raises:
        UsageError: it is no month.

    >>> month_of("2026-02")[1]
    datetime.date(2026, 2, 28)
    """
    try:
        first = datetime.date.fromisoformat(f"{text}-01")
    except ValueError:
        raise UsageError(f"`{text}` is no month", hint="write 2026-10") from None
    return first, first.replace(day=calendar.monthrange(first.year, first.month)[1])


def _entry(number: int, place: int, pupil: Pupil) -> tuple[Any, ...]:
    return (
        number,
        pupil.number,
        place,
        pupil.form,
        pupil.category,
        _iso(pupil.consent_date),
        _iso(pupil.voucher_from),
        _iso(pupil.voucher_to),
        pupil.shift,
        pupil.school,
        json.dumps(pupil.allergens, ensure_ascii=False),
    )


def _pupil(row: Any, cards: tuple[Card, ...]) -> Pupil:
    number, name, form, category, consent, begin, end, shift, school, allergens = row
    return Pupil(
        number,
        name,
        form,
        category,
        cards,
        _day(consent),
        _day(begin),
        _day(end),
        shift,
        tuple(json.loads(allergens)),
        school,
    )


def _listed(row: Any) -> Listed:
    number, first, last, *rest = row
    return Listed(number, datetime.date.fromisoformat(first), _day(last), *rest)


def _iso(day: datetime.date | None) -> str | None:
    return None if day is None else day.isoformat()


def _day(text: str | None) -> datetime.date | None:
    return None if text is None else datetime.date.fromisoformat(text)
