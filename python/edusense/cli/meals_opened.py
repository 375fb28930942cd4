"""A site's ledger, roster and terminals, opened by a command because no box runs; and how a verdict is told."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.output import row, talk
from edusense.errors import LedgerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edusense.meals import Ledger, MealClock, RosterBook, RosterStore, Terminal
    from edusense.meals.entrance import Entrance
    from edusense.site import Site

__all__ = ["Opened", "opened", "opened_terminal", "say"]


@dataclass(frozen=True)
class Opened:
    """What a command writes meals with."""

    ledger: Ledger
    store: RosterStore
    book: RosterBook
    clock: MealClock


@contextlib.contextmanager
def opened(site: Site) -> Iterator[Opened]:
    """A site's ledger for writing, and its roster.

    Args:
        site: the site file.

    Raises:
        LedgerLockedError: the box runs, or another command.
        RosterError: no list is in force.
        UsageError: the site has no meals.
    """
    from edusense.meals import Ledger
    from edusense.meals.lookup import last_time
    from edusense.meals.machine_clock import machine_clock
    from edusense.meals.of_site import current_book, ledger_folder, open_store, roster_file, today

    roster_file(site)
    clock = machine_clock(site.data_folder())
    folder = ledger_folder(site)
    with contextlib.suppress(LedgerError):
        last = last_time(Ledger.open(folder, read_only=True))
        if last is not None:
            clock.heard(last)
    with (
        Ledger.open(folder, school=site.site.number, clock=lambda: clock.now().time) as ledger,
        open_store(site) as store,
    ):
        book, wrong = current_book(site, store, today(site, clock.now().time))
        if wrong is not None:
            talk(f"{wrong}; the list before stays in force")
        yield Opened(ledger, store, book, clock)


@contextlib.contextmanager
def opened_terminal(site: Site, terminal_id: str) -> Iterator[Terminal | Entrance]:
    """One terminal of a site; raises as `opened`, and where a rule that the site names is not installed.

    Args:
        site: the site file.
        terminal_id: the terminal's id.
    """
    from edusense.meals.of_site import make_terminal

    entry = site.terminal(terminal_id)
    with opened(site) as parts:
        yield make_terminal(site, entry, ledger=parts.ledger, roster=parts.book, clock=parts.clock)


def meals_terminal_of(site: Site, terminal_id: str) -> Any:
    """A terminal's entry, which has to be one that gives meals."""
    entry = site.terminal(terminal_id)
    if entry.kind != "meals":
        raise UsageError(f"terminal `{terminal_id}` is of kind `{entry.kind}`", hint="meals are given at kind `meals`")
    return entry


def say(answer: dict[str, Any], as_json: bool) -> None:
    """A verdict, as a row or as a person reads it.

    Args:
        answer: the verdict's row, with `name` and `class`.
        as_json: print it as one JSON line, without the name.
    """
    if as_json:
        row({key: value for key, value in answer.items() if key != "name"}, as_json=True)
        return
    who = " ".join(str(part) for part in (answer.get("name"), answer.get("class")) if part)
    who = who or ("" if answer["pupil"] is None else f"pupil {answer['pupil']}")
    parts = [
        "green" if answer["granted"] else f"red  {answer['reason']}",
        who,
        answer["message"] or answer["record"] or "",
    ]
    click.echo("  ".join(part for part in parts if part))
    sys.stdout.flush()
