"""A terminal: a card in, a verdict out, and for a green one a record that is on the disk before."""

from __future__ import annotations

import datetime
import hashlib
import logging
import time
import zoneinfo
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from edusense.devices import ASSURANCES, Card
from edusense.errors import CardError, EdusenseError, SiteValueError, UsageError
from edusense.meals.calendar import Calendar
from edusense.meals.clock import MealClock, Moment
from edusense.meals.identify import identify
from edusense.meals.ledger import Ledger
from edusense.meals.lookup import find_record
from edusense.meals.record import Flag, Kind, RecordKey, Status, day_number
from edusense.meals.rules import RULES, Case, Refusal, Rule, Served, decide, not_served
from edusense.meals.slots import SlotLike, find_slot
from edusense.meals.words import Sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edusense.meals.pupil import Pupil
    from edusense.meals.roster import Roster
    from edusense.meals.store import RosterBook

__all__ = ["ASSURANCE", "REASONS", "Terminal", "Verdict", "card_hash", "red", "time_zone"]

logger = logging.getLogger(__name__)

REASONS: Final = (
    "unknown-card",
    "blocked-card",
    "other-school",
    "clock-not-trusted",
    "no-consent",
    "not-on-list",
    "closed-day",
    "outside-slot",
    "already-served",
    "cannot-record",
)
"""Why a light is red, in the order in which they are looked at; a rule of somebody else's brings its own."""

ASSURANCE: Final = {name: number for number, name in enumerate(ASSURANCES)}
"""How a card's assurance stands in a record."""


@dataclass(frozen=True)
class Verdict:
    """What a terminal says to a card."""

    granted: bool
    """Green. Then the record is on the disk."""
    reason: str | None
    """Why it is red, one of `REASONS`; None when it is green."""
    pupil: int | None
    """Our number of the pupil; None for a card that nobody has."""
    record: RecordKey | None
    """The meal's record; with `already-served` that of the earlier meal."""
    name: str | None
    """The pupil's name, for the screen; it stands in no record."""
    message: str | None
    """One sentence for the person at the terminal."""
    at: float
    """When the card was held there, Unix seconds."""
    slot: str | None = None
    """The slot that was on."""
    day: datetime.date | None = None
    """The day that the meal counts for."""
    form: str | None = None
    """The pupil's class."""
    kind: str = "meal"
    """What was recorded, or would have been: `meal`, `arrival` or `departure`."""
    sentence: Sentence | None = None
    """The message in every language."""
    allergens: tuple[str, ...] = ()
    """What the child must not be served; for the screen, it stands in no record."""
    clock_unsure: bool = False
    """The time is not to be relied on, and the record says so."""

    def to_json(self) -> dict[str, Any]:
        """The verdict as `edusense meals tap --json` prints it: without what only the screen may show."""
        return {
            "granted": self.granted,
            "reason": self.reason,
            "pupil": self.pupil,
            "record": None if self.record is None else str(self.record),
            "message": self.message,
            "at_s": self.at,
            "slot": self.slot,
            "day": None if self.day is None else self.day.isoformat(),
            "kind": self.kind,
            "clock_unsure": self.clock_unsure,
        }


class Terminal:
    """One terminal of a canteen. May be used from several threads; several terminals may share a ledger.

    Args:
        id: its id, for messages.
        number: its number in the school, from 1: part of every record's key.
        ledger: open for writing.
        roster: who may eat: a `Roster`, or a `RosterBook` with one for each day; None: nobody is known.
        slots: the meals of the day.
        school: national number of the school.
        timezone: IANA name, such as `Asia/Almaty`.
        clock: Unix seconds, which are believed; or a `MealClock`, which knows when not to.
        calendar: closed days; None: those of the book, or none.
        rules: what is looked at, in this order.

    Raises:
        UsageError: a number that no terminal can have.
        SiteValueError: the time zone is unknown, or this machine has no time zone data.
    """

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - the word of the site file
        number: int,
        ledger: Ledger,
        roster: Roster | RosterBook | None,
        slots: Sequence[SlotLike],
        school: int | None = None,
        timezone: str = "Asia/Almaty",
        clock: Callable[[], float] | MealClock = time.time,
        calendar: Calendar | None = None,
        rules: Sequence[Rule] = RULES,
    ) -> None:
        if not 0 < number < 2**32:
            raise UsageError(f"terminal `{id}`: `{number}` is no number of a terminal", hint="numbers count from 1")
        self.id = id
        self.number = number
        self.slots = tuple(slots)
        self.roster = roster
        self.rules = tuple(rules)
        self.school = school if school is not None else ledger.school or 0
        self.zone = time_zone(timezone)
        self.ledger = ledger
        self._calendar = calendar
        self.clock = clock if isinstance(clock, MealClock) else MealClock(clock, trusted=lambda: True)

    def tap(self, card: Card | str, at: float | None = None) -> Verdict:
        """Answers a card; green only when the meal's record is on the disk. Raises for no card and no disk.

        After the green light was on, call `shown`.

        Args:
            card: the card, or its number as text.
            at: Unix seconds at which it was held there; None for now.

        Raises:
            UsageError: what was given is neither a card nor text.
        """
        if not isinstance(card, Card | str):
            raise UsageError(
                f"a card is wanted, not {type(card).__name__}", hint='a reader\'s `Card`, or text: `tap("010063E9AE")`'
            )
        return self._answered(self._moment(at), lambda moment: self._decide_card(card, moment))

    def enter(
        self,
        pupil: int,
        *,
        note: int,
        reason: int = 0,
        at: float | None = None,
        day: datetime.date | None = None,
        slot: str | None = None,
    ) -> Verdict:
        """Enters a meal by hand, without a card: by the same rules, and marked so in the record.

        Args:
            pupil: number of the pupil.
            note: what the record carries of the note that says who enters it and why (`Note.in_record`).
            reason: why, as a number (`Note.code`).
            at: Unix seconds; None for now.
            day: the day of a meal that was given earlier, from a paper list; None: the one that is on.
            slot: its slot; with `day` only.

        Raises:
            UsageError: nobody has that number, there is no such slot, or that day is still to come.
        """
        given = next((one for one in self.slots if one.id == slot), None)
        if (day is None) != (slot is None) or (slot is not None and given is None):
            known = ", ".join(one.id for one in self.slots) or "none"
            raise UsageError(
                f"`{slot}` on `{day}` is no meal of this school", hint=f"name day and slot; slots: {known}"
            )
        now = self._moment(at)
        local = datetime.datetime.fromtimestamp(now.time, self.zone)
        if day is not None and day > local.date():
            raise UsageError(f"{day} is still to come", hint="a meal is entered when it has been given")
        rosters = (self._roster(day or local.date()), self._roster(local.date()))
        person = next((found for one in rosters if one is not None and (found := one.anyone(pupil)) is not None), None)
        if person is None:
            raise UsageError(f"nobody has the number {pupil}", hint="`edusense roster show` lists them")
        return self._answered(now, lambda moment: self._decide_entry(person, (note, reason), moment, day, given))

    def reverse(self, record: RecordKey, *, note: int, reason: int = 0, at: float | None = None) -> RecordKey:
        """Takes a meal back: it stays on record, and its child, day and slot are free again.

        Args:
            record: key of the meal.
            note: what the record carries of the note that says who takes it back and why (`Note.in_record`).
            reason: why, as a number (`Note.code`).
            at: Unix seconds; None for now.

        Returns:
            Key of the reversal's own record.

        Raises:
            UsageError: there is no such meal, or it was taken back before.
            LedgerError: the ledger cannot take it.
        """
        found = find_record(self.ledger, record)
        if found is None or int(found["kind"]) != Kind.MEAL:
            raise UsageError(f"there is no meal `{record}`", hint="`edusense meals export` lists them with their keys")
        moment = self._moment(at)
        row = Ledger.blank(1, Kind.REVERSAL)
        for name in ("terminal", "pupil", "day", "slot", "price", "category"):
            row[name] = found[name]
        row["flags"] = _flags(moment, by_hand=True)
        row["time"] = round(moment.time * 1e6)
        row["ref_epoch"], row["ref_sequence"] = record.epoch, record.sequence
        row["card"] = note
        row["reason"] = reason
        receipt = self.ledger.receipts(row)
        if receipt.status[0] != Status.RECORDED:
            raise UsageError(f"the meal `{record}` was taken back before", hint="a meal is taken back once")
        self.clock.heard(moment.time)
        position = int(receipt.position[0])
        return RecordKey.of(self.ledger.records(position, position + 1)[0])

    def shown(self, verdict: Verdict) -> None:
        """Notes behind a meal's record that its green light was on. Does not wait for the disk.

        Args:
            verdict: a green one of this terminal; others are left alone.

        Raises:
            LedgerError: the ledger cannot take it.
        """
        if not verdict.granted or verdict.record is None or verdict.day is None or verdict.slot is None:
            return
        row = Ledger.blank(1, Kind.SHOWN)
        row["terminal"] = verdict.record.terminal
        row["pupil"] = verdict.pupil
        row["day"] = day_number(verdict.day)
        row["slot"] = verdict.slot.encode("ascii")
        row["time"] = round(max(self.clock.now().time, verdict.at) * 1e6)
        row["ref_epoch"], row["ref_sequence"] = verdict.record.epoch, verdict.record.sequence
        self.ledger.receipts(row, lazily=True)

    def _moment(self, at: float | None) -> Moment:
        return self.clock.now() if at is None else Moment(float(at))

    def _answered(self, moment: Moment, answer: Callable[[Moment], Verdict]) -> Verdict:
        """A verdict, whatever happens: a child stands at the terminal, and never gets a green light by mistake."""
        try:
            return answer(moment)
        except (EdusenseError, OSError) as error:
            told = str(error)
        except Exception as error:
            logger.exception("terminal %s: a tap could not be decided", self.id)
            told = f"{type(error).__name__}: {error}"
        return red("cannot-record", moment.time, Sentence("cannot-record", {"error": told}))

    def _decide_card(self, card: Card | str, moment: Moment) -> Verdict:
        try:
            known = card if isinstance(card, Card) else Card.parse(card)
        except CardError as error:
            return red("unknown-card", moment.time, Sentence.own(en=str(error)))
        local = datetime.datetime.fromtimestamp(moment.time, self.zone)
        on = find_slot(self.slots, local)
        roster = self._roster(local.date() if on is None else on[1])
        pupil, refusal = identify(roster, known)
        if refusal is not None:
            return red(refusal.reason, moment.time, refusal.sentence, pupil=pupil)
        assert pupil is not None
        on = find_slot(self.slots, local, pupil.shift)
        day = local.date() if on is None else on[1]
        return self._decide(pupil, roster, None if on is None else on[0], day, moment, card=known)

    def _decide_entry(
        self, pupil: Pupil, note: tuple[int, int], moment: Moment, day: datetime.date | None, slot: SlotLike | None
    ) -> Verdict:
        if day is None:
            local = datetime.datetime.fromtimestamp(moment.time, self.zone)
            on = find_slot(self.slots, local, pupil.shift)
            day, slot = (local.date(), None) if on is None else (on[1], on[0])
        return self._decide(pupil, self._roster(day), slot, day, moment, note=note)

    def _decide(
        self,
        pupil: Pupil,
        roster: Roster | None,
        slot: SlotLike | None,
        day: datetime.date,
        moment: Moment,
        *,
        card: Card | None = None,
        note: tuple[int, int] = (0, 0),
    ) -> Verdict:
        case = Case(
            pupil=pupil,
            day=day,
            local=datetime.datetime.fromtimestamp(moment.time, self.zone),
            slot=slot,
            slots=self.slots,
            school=self.school,
            terminal=self.number,
            calendar=self._calendar_in_force(),
            period=None if roster is None else roster.period,
            listed=roster is not None and pupil.number in roster,
            list_over=roster is not None and roster.over,
            moment=moment,
            history=self._history(pupil.number, day),
        )

        def refused(refusal: Refusal) -> Verdict:
            return red(
                refusal.reason, moment.time, refusal.sentence, pupil=pupil, record=refusal.record, slot=slot, day=day,
                clock_unsure=not moment.sure,
            )  # fmt: skip

        if (refusal := decide(case, self.rules)) is not None:
            return refused(refusal)
        if slot is None:
            raise UsageError("the terminal's rules let a meal pass outside all slots", hint="keep `within_slot`")
        row = Ledger.blank(1)
        row["terminal"] = self.number
        row["entitlement"] = 0 if roster is None else roster.version
        row["pupil"] = pupil.number
        row["time"] = round(moment.time * 1e6)
        row["day"] = day_number(day)
        row["price"] = slot.price_tiyn
        row["slot"] = slot.id.encode("ascii")
        row["category"] = pupil.category_number
        row["flags"] = _flags(moment, by_hand=card is None)
        if card is None:
            row["card"] = note[0]
            row["reason"] = note[1]
        else:
            row["assurance"] = ASSURANCE.get(card.assurance, 0)
            row["card"] = card_hash(card, self.school)
        receipt = self.ledger.receipts(row)
        status, position = receipt.status[0], int(receipt.position[0])
        if status == Status.ALREADY_SERVED:
            # Another terminal was quicker by less than a blink.
            found = not_served(replace(case, history=(self._served(position, shown=bool(receipt.shown[0])),)))
            assert found is not None
            return refused(found)
        if status == Status.DAY_PRUNED:
            raise UsageError(f"day {day} was pruned: whether the child had this meal cannot be told here any more")
        if status != Status.RECORDED:
            raise UsageError(f"the ledger takes no record for day {day} and slot `{slot.id}`")
        self.clock.heard(moment.time)
        return Verdict(
            True,
            None,
            pupil.number,
            RecordKey.of(self.ledger.records(position, position + 1)[0]),
            pupil.name,
            None,
            moment.time,
            slot.id,
            day,
            pupil.form,
            allergens=pupil.allergens,
            clock_unsure=not moment.sure,
        )

    def _roster(self, day: datetime.date) -> Roster | None:
        return None if self.roster is None else self.roster.on(day)

    def _calendar_in_force(self) -> Calendar:
        if self._calendar is not None:
            return self._calendar
        found: Calendar | None = getattr(self.roster, "calendar", None)
        return Calendar() if found is None else found

    def _history(self, pupil: int, day: datetime.date) -> tuple[Served, ...]:
        """The child's meals of a day, as the ledger's index has them."""
        found = []
        for slot in self.slots:
            held = self.ledger.holding(pupil, day_number(day), slot.id.encode("ascii"))
            if held is not None and held.position < len(self.ledger):
                found.append(self._served(held.position, shown=held.shown))
        return tuple(found)

    def _served(self, position: int, *, shown: bool) -> Served:
        record = self.ledger.records(position, position + 1)[0]
        # Of this opening's meals the light was green, or is about to be; of an earlier one's only the mark tells.
        sure = shown or int(record["epoch"]) == self.ledger.epoch
        slot = bytes(record["slot"]).decode("ascii")
        return Served(slot, int(record["time"]) / 1e6, int(record["terminal"]), RecordKey.of(record), sure)


def red(
    reason: str,
    at: float,
    sentence: Sentence,
    *,
    pupil: Pupil | None = None,
    record: RecordKey | None = None,
    slot: SlotLike | None = None,
    day: datetime.date | None = None,
    kind: str = "meal",
    clock_unsure: bool = False,
) -> Verdict:
    """A red verdict.

    Args:
        reason: in kebab-case.
        at: when the card was held there, Unix seconds.
        sentence: what is said.
        pupil: whose the card is, where that is known.
        record: the record that the refusal rests on.
        slot: the slot that was on.
        day: the day that a meal would have counted for.
        kind: what would have been recorded.
        clock_unsure: whether the time is not to be relied on.
    """
    return Verdict(
        False,
        reason,
        None if pupil is None else pupil.number,
        record,
        None if pupil is None else pupil.name,
        sentence.text(),
        at,
        None if slot is None else slot.id,
        day,
        None if pupil is None else pupil.form,
        kind=kind,
        sentence=sentence,
        clock_unsure=clock_unsure,
    )


def card_hash(card: Card, school: int) -> int:
    """What a record keeps of a card: 64 bits of SHA-256 over school and card, never the number.

    Args:
        card: the card.
        school: national number of the school.
    """
    told = b"edusense card\0" + school.to_bytes(4, "little") + card.uid
    return int.from_bytes(hashlib.sha256(told).digest()[:8], "little")


def time_zone(name: str) -> zoneinfo.ZoneInfo:
    """The time zone with an IANA name.

    Raises:
        SiteValueError: it is unknown, or this machine has no time zone data.
    """
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        if zoneinfo.available_timezones():
            raise SiteValueError(
                f"there is no time zone `{name}`", hint="write an IANA name, such as `Asia/Almaty`"
            ) from None
        raise SiteValueError(
            f"time zone `{name}`: this machine has no time zone data",
            hint="`apt install tzdata`, or `pip install tzdata` into edusense's environment",
        ) from None


def _flags(moment: Moment, *, by_hand: bool) -> int:
    return (0 if moment.sure else Flag.CLOCK_UNSURE) | (Flag.MANUAL if by_hand else 0)
