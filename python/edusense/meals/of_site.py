"""The meals of one site file: where its ledger and roster are, and its terminals. The box and the commands share it."""

from __future__ import annotations

import datetime
import time
from typing import TYPE_CHECKING

from edusense.errors import EdusenseError, RosterError, UsageError
from edusense.meals.by_hand import ByHand
from edusense.meals.entrance import Entrance
from edusense.meals.presence import Presence
from edusense.meals.roster import Roster
from edusense.meals.rules import installed_rules
from edusense.meals.store import STORE_NAME, RosterStore
from edusense.meals.terminal import Terminal, time_zone

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edusense.meals.clock import MealClock
    from edusense.meals.ledger import Ledger
    from edusense.meals.store import Listed, RosterBook
    from edusense.site import Site
    from edusense.site import Terminal as TerminalOfSite

__all__ = [
    "by_hand",
    "current_book",
    "ledger_folder",
    "make_terminal",
    "meals_terminal",
    "open_store",
    "read_roster",
    "roster_file",
    "store_path",
    "take_file",
    "today",
]


def ledger_folder(site: Site) -> Path:
    """Where a site's ledger is."""
    return site.data_folder() / "ledger"


def store_path(site: Site) -> Path:
    """Where a site's roster is kept."""
    return site.data_folder() / STORE_NAME


def roster_file(site: Site) -> Path:
    """The CSV file of pupils.

    Raises:
        UsageError: the site has no meals.
    """
    path = site.roster_path()
    if path is None:
        raise UsageError("the site has no [meals] table", hint="`edusense site new` shows one")
    return path


def open_store(site: Site, *, read_only: bool = False, clock: Callable[[], float] = time.time) -> RosterStore:
    """Opens a site's roster; raises as `RosterStore`.

    Args:
        site: the site file.
        read_only: do not write, and do not make it.
        clock: Unix seconds.
    """
    return RosterStore(store_path(site), read_only=read_only, clock=clock)


def today(site: Site, now: float | None = None) -> datetime.date:
    """The day at the school.

    Args:
        site: the site file.
        now: Unix seconds; None for the machine's time.
    """
    zone = time_zone(site.site.timezone)
    return datetime.datetime.fromtimestamp(time.time() if now is None else now, zone).date()


def take_file(site: Site, store: RosterStore, day: datetime.date) -> Listed | None:
    """Takes over the site's CSV file where it was written by hand; raises as `RosterStore.take_file`.

    Args:
        site: the site file.
        store: its roster.
        day: the day at the school.
    """
    required = site.meals is not None and site.meals.approval == "required"
    return store.take_file(roster_file(site), today=day, approval_required=required)


def current_book(site: Site, store: RosterStore, day: datetime.date) -> tuple[RosterBook, EdusenseError | None]:
    """What terminals decide by, with the site's CSV file taken over where it was written by hand.

    Args:
        site: the site file.
        store: its roster.
        day: the day at the school.

    Returns:
        The book, and what is wrong with the CSV file, which leaves the list before in force.

    Raises:
        RosterError: no list is in force.
    """
    wrong: EdusenseError | None = None
    try:
        take_file(site, store, day)
    except EdusenseError as error:
        wrong = error
    book = store.book(None if site.meals is None else site.meals.days)
    if book.on(day) is None:
        if waiting := store.lists.waiting():
            raise RosterError(
                f"no list is in force: list {waiting[-1].id} waits for the director's approval",
                hint=f"`edusense roster approve {waiting[-1].id} --by NAME`",
            )
        raise wrong or RosterError("no list is in force", hint="`edusense roster import FILE` brings one")
    return book, wrong


def read_roster(site: Site, day: datetime.date) -> tuple[Roster, Listed | None]:
    """Who may eat on a day, for somebody who only looks: from the database, or from the CSV file where there is none.

    Args:
        site: the site file.
        day: the day.

    Returns:
        The roster, and the list that it is; None for the CSV file.

    Raises:
        RosterError: there is neither, or they cannot be read.
    """
    path = store_path(site)
    if path.exists():
        with open_store(site, read_only=True) as store:
            listed, found = store.lists.in_force(day), store.book().on(day)
        if found is not None:
            return found, listed
    elif roster_file(site).exists():
        return Roster.load(roster_file(site)), None
    raise RosterError("no list is in force", hint="`edusense roster import FILE` brings one")


def make_terminal(
    site: Site,
    entry: TerminalOfSite,
    *,
    ledger: Ledger,
    roster: Roster | RosterBook | None,
    clock: MealClock,
    presence: Presence | None = None,
) -> Terminal | Entrance:
    """A terminal of the site file, of its kind.

    Args:
        site: the site file.
        entry: the terminal's table in it.
        ledger: open for writing.
        roster: who is known.
        clock: the clock of all terminals on that ledger.
        presence: who went through which door, for the terminals of kind `entrance`; None reads it from the ledger.

    Raises:
        UsageError: a rule that the site names is not installed.
    """
    if entry.kind == "entrance":
        zone = time_zone(site.site.timezone)
        return Entrance(
            id=entry.id,
            number=entry.number,
            ledger=ledger,
            roster=roster,
            presence=Presence.of(ledger, zone, clock.now().time) if presence is None else presence,
            school=site.site.number,
            timezone=site.site.timezone,
            clock=clock,
            direction=entry.direction,
            boarding=site.meals is not None and site.meals.boarding,
        )
    return meals_terminal(site, entry.id, entry.number, ledger=ledger, roster=roster, clock=clock)


def meals_terminal(
    site: Site, name: str, number: int, *, ledger: Ledger, roster: Roster | RosterBook | None, clock: MealClock
) -> Terminal:
    """A terminal that gives meals.

    Args:
        site: the site file.
        name: its id, for messages.
        number: its number in the school.
        ledger: open for writing.
        roster: who is known.
        clock: the clock of all terminals on that ledger.

    Raises:
        UsageError: a rule that the site names is not installed.
    """
    meals = site.meals
    return Terminal(
        id=name,
        number=number,
        ledger=ledger,
        roster=roster,
        slots=() if meals is None else meals.slots,
        school=site.site.number,
        timezone=site.site.timezone,
        clock=clock,
        rules=installed_rules(() if meals is None else meals.rules),
    )


def by_hand(site: Site, store: RosterStore, clock: MealClock) -> ByHand:
    """What may be done by hand at a site.

    Args:
        site: the site file.
        store: its roster.
        clock: the clock of its terminals.
    """
    return ByHand(store, school=site.site.number, zone=time_zone(site.site.timezone), clock=clock)
