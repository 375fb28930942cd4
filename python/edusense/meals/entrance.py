"""A terminal at a door: who comes and who goes, by card, on the same ledger as the meals.

It never keeps anybody out. Whoever has a card of this school is recorded, whatever the lists say of meals: when the
fire bell rings, that is what counts.
"""

from __future__ import annotations

import datetime
import logging
from typing import TYPE_CHECKING, Final, Literal

from edusense.devices import Card
from edusense.errors import CardError, EdusenseError, UsageError
from edusense.meals.clock import Moment
from edusense.meals.identify import identify
from edusense.meals.ledger import Ledger
from edusense.meals.presence import Passage
from edusense.meals.record import Flag, Kind, RecordKey, Status, day_number
from edusense.meals.terminal import ASSURANCE, Verdict, card_hash, red, time_zone
from edusense.meals.words import Sentence

if TYPE_CHECKING:
    from edusense.meals.clock import MealClock
    from edusense.meals.presence import Presence
    from edusense.meals.pupil import Pupil
    from edusense.meals.roster import Roster
    from edusense.meals.store import RosterBook

__all__ = ["AGAIN_S", "Direction", "Entrance"]

logger = logging.getLogger(__name__)

Direction = Literal["in", "out", "both"]

AGAIN_S: Final = 60.0
"""A card that is held there again within so many seconds is the same passage: nobody comes and goes in a minute."""


class Entrance:
    """One terminal at a door. May be used from several threads.

    Args:
        id: its id, for messages.
        number: its number in the school, from 1.
        ledger: open for writing.
        roster: who is known.
        presence: who went through which door last, of all doors of the school.
        school: national number of the school.
        timezone: IANA name.
        clock: the clock of the school's terminals.
        direction: `in` or `out` for a door of one direction; `both`: who is inside goes out, everybody else comes in.
        boarding: pupils sleep in the school: who came on an earlier day and has not left is inside.

    Raises:
        UsageError: a number that no terminal can have.
        SiteValueError: the time zone is unknown.
    """

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - the word of the site file
        number: int,
        ledger: Ledger,
        roster: Roster | RosterBook | None,
        presence: Presence,
        school: int,
        timezone: str,
        clock: MealClock,
        direction: Direction = "both",
        boarding: bool = False,
    ) -> None:
        if not 0 < number < 2**32:
            raise UsageError(f"terminal `{id}`: `{number}` is no number of a terminal", hint="numbers count from 1")
        self.id, self.number, self.direction = id, number, direction
        self.ledger, self.roster, self.presence, self.clock = ledger, roster, presence, clock
        self.school, self.boarding = school, boarding
        self.zone = time_zone(timezone)

    def tap(self, card: Card | str, at: float | None = None) -> Verdict:
        """Answers a card; green only when the passage is on the disk. Raises for no card and no disk.

        Args:
            card: the card, or its number as text.
            at: Unix seconds at which it was held there; None for now.

        Raises:
            UsageError: what was given is neither a card nor text.
        """
        if not isinstance(card, Card | str):
            raise UsageError(f"a card is wanted, not {type(card).__name__}", hint="a reader's `Card`, or text")
        moment = self.clock.now() if at is None else Moment(float(at))
        try:
            return self._decide(card, moment)
        except (EdusenseError, OSError) as error:
            told = str(error)
        except Exception as error:
            logger.exception("terminal %s: a tap could not be decided", self.id)
            told = f"{type(error).__name__}: {error}"
        return red("cannot-record", moment.time, Sentence("cannot-record", {"error": told}), kind="arrival")

    def shown(self, verdict: Verdict) -> None:
        """Nothing: that a door's light was on is worth no record."""

    def _decide(self, card: Card | str, moment: Moment) -> Verdict:
        try:
            known = card if isinstance(card, Card) else Card.parse(card)
        except CardError as error:
            return red("unknown-card", moment.time, Sentence.own(en=str(error)), kind="arrival")
        day = datetime.datetime.fromtimestamp(moment.time, self.zone).date()
        roster = None if self.roster is None else self.roster.on(day)
        person, refusal = identify(roster, known)
        if refusal is None and person is not None and person.school not in (None, self.school):
            told = Sentence("other-school", {"school": person.school})
            return red("other-school", moment.time, told, pupil=person, day=day, kind="arrival")
        if refusal is not None:
            return red(refusal.reason, moment.time, refusal.sentence, pupil=person, day=day, kind="arrival")
        assert person is not None
        with self.presence.lock:
            passage = self._again(person, moment) or self._pass(person, known, roster, day, moment)
        at = datetime.datetime.fromtimestamp(passage.time, self.zone)
        sentence = Sentence("came" if passage.came else "left", {"at": f"{at:%H:%M}"})
        return Verdict(
            True,
            None,
            person.number,
            passage.record,
            person.name,
            sentence.text(),
            moment.time,
            None,
            day,
            person.form,
            kind="arrival" if passage.came else "departure",
            sentence=sentence,
            clock_unsure=not moment.sure,
        )

    def _again(self, person: Pupil, moment: Moment) -> Passage | None:
        """The passage that this card was held here for already."""
        last = self.presence.last(person.number)
        if last is None or abs(moment.time - last.time) >= AGAIN_S:
            return None
        wanted = {"in": True, "out": False}.get(self.direction, last.came)
        return last if last.came == wanted else None

    def _pass(self, person: Pupil, card: Card, roster: Roster | None, day: datetime.date, moment: Moment) -> Passage:
        came = self.direction == "in" or (self.direction == "both" and not self._is_inside(person, day))
        row = Ledger.blank(1, Kind.ARRIVAL if came else Kind.DEPARTURE)
        row["terminal"] = self.number
        row["pupil"] = person.number
        row["day"] = day_number(day)
        row["time"] = round(moment.time * 1e6)
        row["entitlement"] = 0 if roster is None else roster.version
        row["category"] = person.category_number
        row["assurance"] = ASSURANCE.get(card.assurance, 0)
        row["card"] = card_hash(card, self.school)
        row["flags"] = 0 if moment.sure else Flag.CLOCK_UNSURE
        receipt = self.ledger.receipts(row)
        if receipt.status[0] != Status.RECORDED:
            raise UsageError(f"the ledger takes no record of a passage on {day}")
        position = int(receipt.position[0])
        key = RecordKey.of(self.ledger.records(position, position + 1)[0])
        passage = Passage(person.number, came, moment.time, self.number, key)
        self.presence.note(passage)
        self.clock.heard(moment.time)
        return passage

    def _is_inside(self, person: Pupil, day: datetime.date) -> bool:
        """Whether somebody has come and not left. Who came yesterday left without a card, unless pupils sleep here."""
        last = self.presence.last(person.number)
        if last is None or not last.came:
            return False
        return self.boarding or datetime.datetime.fromtimestamp(last.time, self.zone).date() == day
