"""`edusense meals enter|reverse|confirm-clock`: what is done by hand, by somebody who is named for it."""

from __future__ import annotations

import datetime
from typing import Any

import click

from edusense.cli.meals_opened import meals_terminal_of, opened, say
from edusense.cli.output import json_option, row, site_option
from edusense.errors import BoxNotRunningError, UsageError

__all__ = ["COMMANDS"]

REFUSED = 5

_by = click.option("--by", "operator", metavar="NAME", required=True, help="Who does it: family name and given name.")
_reason = click.option(
    "--reason",
    metavar="WHY",
    required=True,
    help="card-forgotten, card-lost, card-broken, reader-broken, paper-list, wrong-child, not-eaten, or words.",
)
_words = click.option("--words", metavar="TEXT", help="More words.")


@click.command("enter")
@click.argument("pupil", type=click.IntRange(1))
@click.option("--terminal", "terminal_id", required=True, metavar="ID", help="The terminal, by its id.")
@_by
@_reason
@_words
@click.option("--day", metavar="YYYY-MM-DD", help="The day of a meal that was given earlier, with --slot.")
@click.option("--slot", metavar="ID", help="Its slot, with --day.")
@site_option
@json_option
def enter_command(
    pupil: int,
    terminal_id: str,
    operator: str,
    reason: str,
    words: str | None,
    day: str | None,
    slot: str | None,
    site_path: str,
    as_json: bool,
) -> int:
    """Enter a meal by hand, for a child without a card.

    The same rules decide as for a card; the record says that it was entered by hand, by whom and why. With --day and
    --slot a meal is entered from a paper list. Exits with 0 for green, 5 for red.

    \b
    Examples:
      edusense meals enter 1017 --terminal canteen-left --by "Ким Вера" --reason card-forgotten
      edusense meals enter 1017 --terminal left --by "Ким Вера" --reason paper-list --day 2026-10-05 --slot lunch
    """
    import edusense
    from edusense.cli.roster import a_day
    from edusense.meals.of_site import by_hand, meals_terminal

    site = edusense.Site.load(site_path)
    entry = meals_terminal_of(site, terminal_id)
    given = None if day is None else a_day(day)
    try:
        answer: dict[str, Any] = edusense.connect(site_path).enter(
            terminal_id, pupil, operator=operator, reason=reason, words=words, day=day, slot=slot
        )
    except BoxNotRunningError:
        with opened(site) as parts:
            terminal = meals_terminal(
                site, entry.id, entry.number, ledger=parts.ledger, roster=parts.book, clock=parts.clock
            )
            who = parts.store.operators.named(operator, at=parts.store.clock())
            hand = by_hand(site, parts.store, parts.clock)
            verdict = hand.enter(terminal, pupil, operator=who, reason=reason, words=words or "", day=given, slot=slot)
            terminal.shown(verdict)
            answer = verdict.to_json() | {"name": verdict.name, "class": verdict.form}
    say(answer, as_json)
    return 0 if answer["granted"] else REFUSED


@click.command("reverse")
@click.argument("record")
@_by
@_reason
@_words
@site_option
@json_option
def reverse_command(record: str, operator: str, reason: str, words: str | None, site_path: str, as_json: bool) -> None:
    """Take a meal back: it is not paid, and its child may be served again.

    RECORD is the key of the meal's record, TERMINAL/EPOCH/SEQUENCE, as `meals export` prints it. Both stay on record,
    with who took it back and why. A meal is taken back once.

    \b
    Examples:
      edusense meals reverse 1/9f3a01bc/17 --by "Ким Вера" --reason wrong-child
      edusense meals reverse 1/9f3a01bc/17 --by "Ким Вера" --reason "the soup ran out"
    """
    import edusense
    from edusense.meals import RecordKey
    from edusense.meals.of_site import by_hand, meals_terminal

    site = edusense.Site.load(site_path)
    key = RecordKey.parse(record)
    try:
        found = edusense.connect(site_path).reverse(record, operator=operator, reason=reason, words=words)
        told = {name: found[name] for name in ("meal", "record", "operator", "why")}
    except BoxNotRunningError:
        with opened(site) as parts:
            terminal = meals_terminal(
                site, "by hand", key.terminal, ledger=parts.ledger, roster=parts.book, clock=parts.clock
            )
            who = parts.store.operators.named(operator, at=parts.store.clock())
            hand = by_hand(site, parts.store, parts.clock)
            told = hand.reverse(terminal, key, operator=who, reason=reason, words=words or "").to_json()
    row(told, as_json=as_json, text=f"meal {told['meal']} taken back by record {told['record']}")


@click.command("confirm-clock")
@_by
@click.option(
    "--time", "at", metavar="YYYY-MM-DDTHH:MM", help="The time at the school; without it, what is shown is right."
)
@site_option
@json_option
def confirm_command(operator: str, at: str | None, site_path: str, as_json: bool) -> None:
    """Say what time it is, where the terminals cannot tell after a power cut.

    The box goes by it until the network has set its clock. It stands in the ledger who said so.

    \b
    Examples:
      edusense meals confirm-clock --by "Ким Вера" --time 2026-10-05T12:10
      edusense meals confirm-clock --by "Ким Вера"
    """
    import edusense
    from edusense.meals.terminal import time_zone

    site = edusense.Site.load(site_path)
    zone = time_zone(site.site.timezone)
    seconds = None
    if at is not None:
        try:
            said = datetime.datetime.fromisoformat(at)
        except ValueError:
            raise UsageError(f"`{at}` is no time", hint="write 2026-10-05T12:10") from None
        seconds = int((said if said.tzinfo is not None else said.replace(tzinfo=zone)).timestamp())
    answer = edusense.connect(site_path).confirm_clock(operator=operator, at=seconds)
    told = {name: answer[name] for name in ("clock_s", "record", "operator")}
    local = datetime.datetime.fromtimestamp(told["clock_s"], zone)
    row(told, as_json=as_json, text=f"it is {local:%Y-%m-%d %H:%M} for the terminals from now on")


COMMANDS = (enter_command, reverse_command, confirm_command)
