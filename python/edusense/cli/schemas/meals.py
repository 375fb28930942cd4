"""Rows of `meals` and `roster`: taps, the ledger, who may eat."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from edusense.cli.schemas.base import Row

__all__ = [
    "AttendanceRow",
    "CardChangeRow",
    "ClosureRow",
    "ConfirmedRow",
    "ForgottenRow",
    "InsideRow",
    "LedgerRow",
    "ListRow",
    "MealRow",
    "OperatorRow",
    "PhotoRow",
    "PictureRow",
    "PupilRow",
    "ReversedRow",
    "RosterChange",
    "RosterFault",
    "RosterFigures",
    "TerminalRow",
    "VerdictRow",
    "VerifyRow",
]


class VerdictRow(Row):
    """What a terminal answered to a card, without the child's name."""

    granted: bool
    """Whether the light was green."""
    reason: str | None
    """Why it was red, in kebab-case."""
    pupil: int | None
    """The pupil, by our number."""
    record: str | None
    """The record in the ledger: TERMINAL/EPOCH/SEQUENCE."""
    message: str | None
    """What the screen said."""
    at_s: float
    """When, in Unix seconds."""
    slot: str | None
    """The meal of the day."""
    day: str | None
    """The day that it counts for, in the school's time zone."""
    kind: str
    """What was recorded, or would have been: meal, arrival, departure."""
    clock_unsure: bool
    """The time is not to be relied on."""
    form: str | None = Field(alias="class")
    """The pupil's class."""
    card: str | None = None
    """The card's number; of `meals terminal` alone."""


class PictureRow(Row):
    """A picture that was written."""

    file: str
    """The file."""
    title: str
    """What it shows."""
    bytes: int
    """Its length."""


class ReversedRow(Row):
    """A meal that was taken back."""

    meal: str
    """Key of its record."""
    record: str
    """Key of the record that takes it back."""
    operator: int
    """Who took it back, by our number."""
    why: str
    """The reason."""


class ConfirmedRow(Row):
    """A clock that somebody confirmed."""

    clock_s: float
    """What time it was, Unix seconds."""
    record: str
    """Key of the record of it."""
    operator: int
    """Who said so, by our number."""


class InsideRow(Row):
    """Somebody who is in the building."""

    pupil: int
    """Who, by our number."""
    name: str | None
    """Their name; none for somebody on no list."""
    form: str = Field(alias="class")
    """Their class."""
    category: str
    """Their category; `staff` for who works here."""
    since_s: float
    """When they came, Unix seconds."""
    today: bool
    """Whether that was today."""
    terminal: int
    """At which terminal."""


class LedgerRow(Row):
    """A ledger as a whole."""

    kind: Literal["ledger"]
    path: str
    """Its folder."""
    records: int
    """Records of all kinds, also those that were pruned."""
    pruned: int
    """How many of them are not here any more; they are in no other figure."""
    segments: int
    """Files."""
    meals: int
    """Meals recorded."""
    reversed: int
    """Meals taken back."""
    holder: str | None
    """Who writes to it at this moment."""
    damage: str | None
    """The first damage, where reading stopped."""


class TerminalRow(Row):
    """What one terminal wrote into a ledger."""

    kind: Literal["terminal"]
    terminal: int
    """Its number."""
    records: int
    """Records of all kinds."""
    meals: int
    """Meals."""
    shown: int
    """Meals whose green light was noted."""
    reversed: int
    """Meals taken back."""
    epochs: int
    """How often it was opened."""
    clock_went_back: int
    """Records whose clock was earlier than the one before."""
    last: str
    """Key of its last record."""
    last_s: float
    """Time of its last record, Unix seconds."""


class VerifyRow(Row):
    """Every byte of a ledger, accounted for."""

    ok: bool
    """Whether nothing is damaged."""
    records: int
    """Sound records."""
    segments: int
    """Files."""
    bytes: int
    """Bytes of all files."""
    unused_bytes: int
    """Zero bytes that no record has taken yet."""
    torn_bytes: int
    """Bytes of a last write that was cut off."""
    torn_tail: dict[str, Any] | None
    """That write: segment, offset, record, count, confirmed."""
    problems: list[dict[str, Any]]
    """Damage: segment, offset, record, count, what."""
    notes: list[str]
    """What is no damage but worth knowing."""
    synced: int
    """Records that the disk is known to have confirmed."""
    closed: bool
    """Whether the last writer left in good order."""
    holder: str | None
    """Who writes to it at this moment."""
    head: str
    """SHA-256 of the last sound record: fixes all before it."""
    first: int
    """Number of the first record that is here; those before it were pruned."""
    seals: list[dict[str, Any]]
    """Seals of segments: segment, first, records, first_day, last_day, root, head, key, lines, pruned."""


class MealRow(Row):
    """One meal."""

    record: str
    """Key of its record: TERMINAL/EPOCH/SEQUENCE."""
    day: str
    """The day, in the school's time zone."""
    time: str
    """When, ISO 8601 with the zone."""
    slot: str
    """The meal of the day."""
    terminal: int
    """The terminal's number."""
    pupil: int
    """The pupil, by our number."""
    category: int
    """The category, by number."""
    price_tiyn: int
    """Price in 1/100 tenge."""
    entitlement: str
    """Version of the roster that it rests on."""
    assurance: int
    """How hard the card is to copy."""
    shown: bool
    """Whether the green light was noted."""
    reversed: bool
    """Taken back: not to be paid."""
    flags: list[str]
    """What was unusual."""


class RosterFault(Row):
    """One value of a list that is not what it should be."""

    line: int
    """Line, from 1."""
    column: str
    """Column's name."""
    value: str
    """What stands there."""
    expected: str
    """What should."""


class RosterFigures(Row):
    """A list without a fault."""

    pupils: int
    """Pupils."""
    classes: int
    """Classes."""
    cards: int
    """Cards."""
    without_card: int
    """Pupils without a card."""
    without_consent: int
    """Pupils without the parents' consent."""
    without_voucher: int
    """Pupils without a voucher."""
    encoding: str
    """utf-8 or cp1251."""
    version: str
    """Stands in every record that rests on this list."""
    ignored: list[str]
    """Columns that are not ours."""


class RosterChange(Row):
    """What importing a list changes for one pupil."""

    change: Literal["added", "dropped", "changed"]
    """What happens."""
    pupil: int
    """The pupil, by our number."""
    name: str
    """The pupil's name."""
    form: str = Field(alias="class")
    """The pupil's class."""
    fields: dict[str, dict[str, Any]]
    """Before and after, by column."""


class PupilRow(Row):
    """A pupil on the list."""

    pupil: int
    """The pupil, by our number."""
    name: str
    """The pupil's name."""
    form: str = Field(alias="class")
    """The pupil's class."""
    category: str
    """Why the pupil eats free."""
    cards: list[str]
    """The pupil's cards."""
    consent_date: str | None
    """When the parents consented."""
    voucher_from: str | None
    """First day of the voucher."""
    voucher_to: str | None
    """Last day of the voucher."""
    shift: int | None
    """The shift that the pupil learns in."""
    allergens: list[str]
    """What the pupil must not be served."""
    school: int | None
    """National number of another school that the pupil belongs to."""


class ListRow(Row):
    """One list of who may eat."""

    list: int
    """Its number."""
    first: str
    """In force from this day on."""
    last: str | None
    """Its last day."""
    state: Literal["proposed", "taken", "withdrawn"]
    """Whether it waits, is in force from its first day on, or was put away."""
    version: str
    """Stands in every record that rests on it."""
    pupils: int
    """How many stand on it."""
    source: str
    """File that it came from."""
    proposed_by: str
    """Who brought it."""
    proposed_s: float
    """When, Unix seconds."""
    taken_s: float | None
    """When it was put in force, Unix seconds."""
    approved_by: str | None
    """The director."""
    approved_s: float | None
    """When, Unix seconds."""
    approval: str | None
    """Number and date of the approval."""


class CardChangeRow(Row):
    """Something that happened to a card."""

    card: str
    """The card."""
    pupil: int
    """Whose it is, or was."""
    what: Literal["given", "lost", "blocked", "found", "returned"]
    """What happened."""
    day: str
    """From this day on."""
    note: str | None
    """More words."""
    made_by: str
    """Who said so."""
    made_s: float
    """When, Unix seconds."""


class ClosureRow(Row):
    """Days without meals."""

    closure: int
    """Its number."""
    first: str
    """First day."""
    last: str
    """Last day."""
    reason: str
    """Why."""
    classes: list[str]
    """For whom; empty: the whole school."""
    note: str | None
    """In somebody's own words."""
    made_by: str
    """Who said so."""
    made_s: float
    """When, Unix seconds."""


class AttendanceRow(Row):
    """How many children of a class came on a day."""

    day: str
    """The day."""
    form: str = Field(alias="class")
    """The class."""
    present: int
    """How many came."""


class PhotoRow(Row):
    """What became of a file of photos."""

    file: str
    """Its name."""
    pupil: int | None
    """Whose it is."""
    problem: str | None
    """Why it was not taken."""


class OperatorRow(Row):
    """Who may enter and take back meals by hand."""

    operator: int
    """Their number."""
    name: str
    """Their name."""
    pin: bool
    """Whether they have a PIN for the kiosk."""


class ForgottenRow(Row):
    """Personal data that was deleted."""

    before: str
    """Who was last listed before this day was deleted."""
    people: int
    """How many."""
