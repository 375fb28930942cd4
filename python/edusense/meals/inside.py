"""Who is in the building, with names: for a list on paper, a page, and the caterer's count of portions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edusense.errors import RosterError
from edusense.meals.of_site import read_roster, today
from edusense.meals.presence import Passage, Presence
from edusense.meals.terminal import time_zone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edusense.meals.ledger import Ledger
    from edusense.meals.roster import Roster
    from edusense.site import Site

__all__ = ["Inside", "named", "who_is_inside"]


@dataclass(frozen=True)
class Inside:
    """Somebody who is in the building."""

    person: int
    name: str | None
    """None for somebody who stands on no list any more."""
    form: str
    category: str
    since: float
    """When they came, Unix seconds."""
    today: bool
    """Whether they came today; otherwise on an earlier day, and never left by card."""
    terminal: int

    def to_json(self) -> dict[str, Any]:
        """As `edusense meals present --json` prints it."""
        return {
            "pupil": self.person,
            "name": self.name,
            "class": self.form,
            "category": self.category,
            "since_s": self.since,
            "today": self.today,
            "terminal": self.terminal,
        }


def who_is_inside(site: Site, ledger: Ledger, now: float) -> list[Inside]:
    """Who is in the building, by class and name.

    Args:
        site: the site file.
        ledger: open for reading or for writing.
        now: Unix seconds.
    """
    presence = Presence.of(ledger, time_zone(site.site.timezone), now)
    try:
        roster, _ = read_roster(site, today(site, now))
    except RosterError:
        roster = None  # numbers on paper are better than no paper
    return named(presence, roster, now)


def named(presence: Presence, roster: Roster | None, now: float) -> list[Inside]:
    """Who is in the building, by class and name.

    Args:
        presence: who went through which door last.
        roster: who they are; None where that is not known.
        now: Unix seconds.
    """

    def told(passages: Iterable[Passage], today: bool) -> list[Inside]:
        found = []
        for passage in passages:
            person = None if roster is None else roster.anyone(passage.person)
            found.append(
                Inside(
                    passage.person,
                    None if person is None else person.name,
                    "" if person is None else person.form,
                    "" if person is None else person.category,
                    passage.time,
                    today,
                    passage.terminal,
                )
            )
        return sorted(found, key=lambda one: (by_class(one.form), one.name or "", one.person))

    return told(presence.inside(now), True) + told(presence.unclear(now), False)


def by_class(form: str) -> tuple[int, str]:
    """What sorts classes as a school does: 2А before 10А, and what has no number at the end.

    >>> sorted(["10А", "2Б", "2А", "staff"], key=by_class)
    ['2А', '2Б', '10А', 'staff']
    """
    digits = form[: len(form) - len(form.lstrip("0123456789"))]
    return (int(digits) if digits else 1_000, form)
