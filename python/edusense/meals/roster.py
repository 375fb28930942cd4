"""The roster: who may eat, by which card, read from a CSV file that is right in every line or not taken at all."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edusense.devices import CardIndex
from edusense.errors import PermissionDeniedError, RosterError
from edusense.meals.roster_lines import read_pupils
from edusense.meals.table import COLUMNS, OPTIONAL_COLUMNS, Fault, read_table

if TYPE_CHECKING:
    import datetime
    import os
    from collections.abc import Iterable, Iterator, Mapping

    from edusense.devices import Card, CardId
    from edusense.meals.pupil import CardMark, Pupil

__all__ = ["Change", "Roster", "RosterCheck"]

_MOST_BYTES: Final = 64 << 20


@dataclass(frozen=True)
class Change:
    """One pupil's difference between two rosters."""

    what: str
    """`added`, `dropped` or `changed`."""
    pupil: int
    name: str
    form: str
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    """What changed: before and after, by column."""

    def to_json(self) -> dict[str, Any]:
        """The change as `edusense roster import --json` prints it."""
        fields = {name: {"before": before, "after": after} for name, (before, after) in self.fields.items()}
        return {"change": self.what, "pupil": self.pupil, "name": self.name, "class": self.form, "fields": fields}


@dataclass(frozen=True)
class RosterCheck:
    """What reading a file found: a roster, or the faults for which nothing of it is taken."""

    roster: Roster | None
    faults: tuple[Fault, ...]
    ignored: tuple[str, ...]
    """Columns that are not ours."""
    encoding: str
    """`utf-8` or `cp1251`."""
    delimiter: str


class Roster:
    """Who may eat.

    Args:
        pupils: with different numbers and cards.
        ignored: columns of the file that were not looked at.
        former: who stood on an earlier list and does not stand on this one.
        marks: cards that are known and no longer good for anything.
        period: what the list is for, such as `2026-10`.
        over: whether the list has ended, and there is no new one.
        version: what stands in each record that rests on it; None computes it from what the roster says.

    >>> import pathlib, tempfile
    >>> from edusense.devices import Card
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "roster.csv")
    ...     _ = path.write_text(
    ...         "pupil,name,class,category,cards,consent_date,voucher_from,voucher_to\\n"
    ...         "1017,Айгерім Ә.,4Б,grade-1-4,em4100:010063E9AE,2026-09-01,2026-09-01,2027-05-25\\n",
    ...         encoding="utf-8",
    ...     )
    ...     Roster.load(path).find(Card.parse("em4100:010063E9AE")).number
    1017
    """

    def __init__(
        self,
        pupils: Iterable[Pupil],
        *,
        ignored: tuple[str, ...] = (),
        former: Iterable[Pupil] = (),
        marks: Iterable[CardMark] = (),
        period: str | None = None,
        over: bool = False,
        version: int | None = None,
    ) -> None:
        self.pupils = tuple(pupils)
        self.ignored = ignored
        self.former = tuple(former)
        self.marks = tuple(marks)
        self.period = period
        self.over = over
        self._version = version
        self._by_number = {pupil.number: pupil for pupil in self.pupils}
        self._former = {pupil.number: pupil for pupil in self.former}
        self._owners, self._former_owners = _owners(self.pupils), _owners(self.former)
        self._marked: dict[CardId, CardMark] = {mark.card: mark for mark in self.marks}

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Roster:
        """Reads a CSV file: UTF-8 with or without mark, or Windows-1251; separated by comma, semicolon or tab.

        Args:
            path: the file.

        Raises:
            RosterError: a line is wrong: its number, column, value and what was expected. Nothing of the file is taken.
            PermissionDeniedError: this user may not read it.
        """
        checked = cls.check(path)
        if checked.roster is None:
            first, more = checked.faults[0], len(checked.faults) - 1
            hint = f"`edusense roster check {path}` names all {more + 1}" if more else first.hint
            raise RosterError(f"{path}: {first}", hint=hint)
        return checked.roster

    @classmethod
    def check(cls, path: str | os.PathLike[str]) -> RosterCheck:
        """Reads a CSV file and names everything that is wrong with it.

        Args:
            path: the file.

        Raises:
            RosterError: it cannot be read at all.
            PermissionDeniedError: this user may not read it.
        """
        try:
            if Path(path).stat().st_size > _MOST_BYTES:
                raise RosterError(f"`{path}` is longer than any school's list", hint="is it the right file?")
            raw = Path(path).read_bytes()
        except PermissionError:
            raise PermissionDeniedError(
                f"the roster `{path}` may not be read", hint="the user that runs edusense needs to read it"
            ) from None
        except OSError as error:
            raise RosterError(
                f"the roster `{path}` cannot be read: {error.strerror}",
                hint="is the name right? `edusense roster import FILE` puts a list where the site file names it",
            ) from None
        table = read_table(raw)
        pupils, faults = read_pupils(table)
        roster = None if faults else cls(tuple(pupils), ignored=table.ignored)
        return RosterCheck(roster, tuple(faults), table.ignored, table.encoding, table.delimiter)

    def to_csv(self) -> str:
        """The roster as a CSV file of our columns alone, with the kind of each card written out."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        rows = [pupil.to_json() for pupil in self.pupils]
        columns = [*COLUMNS, *(name for name in OPTIONAL_COLUMNS if any(row[name] for row in rows))]
        writer.writerow(columns)
        for pupil in self.pupils:
            row = pupil.to_json() | {
                "cards": " ".join(str(card) for card in pupil.cards),
                "allergens": ", ".join(pupil.allergens),
            }
            writer.writerow(["" if row[column] is None else row[column] for column in columns])
        return out.getvalue()

    def on(self, day: datetime.date) -> Roster:
        """The list in force on a day: this one. `RosterBook` holds several."""
        return self

    def mark(self, card: Card) -> CardMark | None:
        """Why a card is no longer good for anything; None where nothing is known against it.

        Args:
            card: as read, or as typed from what is printed on it.
        """
        found = self._marked.get(card)
        if found is None and card.partial:
            found = next((mark for mark in self.marks if mark.card.matches(card)), None)
        return found

    def find(self, card: Card) -> Pupil | None:
        """The pupil who has a card. A number as printed on a card finds the full one, if only one pupil's ends so.

        Also those who stood on an earlier list are found: whether somebody stands on this one, `in` says. A person's
        own number (`pupil:1017`), as terminals hand it over that know people by other means, finds that pupil.

        Args:
            card: as read, or as typed from what is printed on it.
        """
        found = self.candidates(card)
        return found[0] if len(found) == 1 else None

    def candidates(self, card: CardId) -> tuple[Pupil, ...]:
        """Everybody whose card this may be: several where only a part of its number is known, and nobody chooses.

        Args:
            card: as read, or as typed from what is printed on it.
        """
        if card.technology == "pupil":
            pupil = self.anyone(int(card.id))
            return () if pupil is None else (pupil,)
        numbers = self._owners.find(card)
        if numbers:
            return tuple(self._by_number[number] for number in numbers)
        return tuple(self._former[number] for number in self._former_owners.find(card))

    def printed_alike(self) -> list[str]:
        """What a reader that tells only printed digits cannot tell apart, in sentences: cards of several pupils."""
        told = []
        for digits, cards in self._owners.printed_alike():
            listed = ", ".join(f"{card} of pupil {number}" for card, number in cards.items())
            told.append(f"on or for several cards stands {digits}: {listed}; a reader that types it finds none of them")
        return told

    def anyone(self, number: int) -> Pupil | None:
        """Who has a number, on this list or an earlier one; None where nobody has.

        Args:
            number: our number.
        """
        return self._by_number.get(number) or self._former.get(number)

    def __getitem__(self, number: int) -> Pupil:
        return self._by_number[number]

    def __contains__(self, number: object) -> bool:
        return number in self._by_number

    def __iter__(self) -> Iterator[Pupil]:
        return iter(self.pupils)

    def __len__(self) -> int:
        return len(self.pupils)

    @property
    def version(self) -> int:
        """32 bits of SHA-256 over what the roster says, whatever the file looked like; stands in each record."""
        if self._version is None:
            told = "\n".join(repr(pupil.to_json()) for pupil in sorted(self.pupils, key=lambda pupil: pupil.number))
            self._version = int.from_bytes(hashlib.sha256(told.encode()).digest()[:4], "little")
        return self._version

    def changes(self, before: Roster | None) -> list[Change]:
        """What this roster changes, in the order of numbers.

        Args:
            before: the one in force; None: there is none.
        """
        old = {} if before is None else {pupil.number: pupil for pupil in before}
        found = []
        for number in sorted(old.keys() | self._by_number.keys()):
            was, now = old.get(number), self._by_number.get(number)
            if now is None:
                assert was is not None
                found.append(Change("dropped", number, was.name, was.form))
            elif was is None:
                found.append(Change("added", number, now.name, now.form))
            elif was != now:
                left, right = was.to_json(), now.to_json()
                fields = {name: (left[name], right[name]) for name in left if left[name] != right[name]}
                found.append(Change("changed", number, now.name, now.form, fields))
        return found


def _owners(pupils: Iterable[Pupil]) -> CardIndex[int]:
    """Numbers of pupils by their cards."""
    index: CardIndex[int] = CardIndex()
    for pupil in pupils:
        for card in pupil.cards:
            index.add(card, pupil.number)
    return index
