"""`edusense meals report`: what does not add up, and how many portions to cook."""

from __future__ import annotations

import datetime
from typing import Any

import click

from edusense.cli.output import json_option, row, rows, site_option, talk
from edusense.errors import UsageError

__all__ = ["COMMANDS"]


@click.command("report")
@click.option("--day", metavar="YYYY-MM-DD", help="Only this day; with --portions today, if it is not given.")
@click.option("--month", metavar="YYYY-MM", help="Only this month.")
@click.option("--portions", "wants_portions", is_flag=True, help="How many portions to cook, by class, for a day.")
@click.option(
    "--burst", type=click.IntRange(2), default=10, show_default=True, help="Meals by hand in ten minutes that are many."
)
@site_option
@json_option
def report_command(
    day: str | None, month: str | None, wants_portions: bool, burst: int, site_path: str, as_json: bool
) -> int:
    """Name meals that do not add up, each with its records.

    Meals on closed days; more meals of a class than children who were there; meals of children who did not come in
    by card, where there is an entrance terminal; of children on no list; many meals entered by one operator in a
    short time. Meals that were taken back do not count. Exits with 1 if there is a finding.

    \b
    Examples:
      edusense meals report --month 2026-10
      edusense meals report --portions              # for the cook, when the first lesson has begun
      edusense meals report --day 2026-10-05 --json
    """
    from edusense.meals import Ledger
    from edusense.meals.of_site import ledger_folder, open_store, today
    from edusense.meals.report import findings, portions
    from edusense.site import Site

    site = Site.load(site_path)
    first, last = _days(day, month)
    ledger = Ledger.open(ledger_folder(site), read_only=True)
    records, damage = ledger.readable()
    with open_store(site, read_only=True) as store:
        calendar = store.days.calendar(None if site.meals is None else site.meals.days)
        if wants_portions:
            wanted = today(site) if first is None else first
            roster = store.lists.roster_on(wanted)
            if roster is None:
                raise UsageError(f"no list is in force on {wanted}", hint="`edusense roster import FILE` brings one")
            present = store.days.attendance(wanted, wanted)
            found = [one.to_json() for one in portions(records, roster, calendar, present, wanted)]
            rows(found, ("day", "class", "listed", "entitled", "portions", "source"), as_json=as_json)
            if not as_json:
                talk(f"{sum(one['portions'] for one in found)} portions")
            return 0
        present = store.days.attendance(first or datetime.date.min, last or datetime.date.max)
        told = findings(
            records,
            store.lists.roster_on,
            calendar,
            present,
            first_day=_number(first, 0),
            last_day=_number(last, 99_991_231),
            burst_meals=burst,
        )
    for finding in told:
        line = finding.to_json()
        row(line, as_json=as_json, text=_text(line))
    if damage is not None:
        talk(f"only the records before number {len(records)} were looked at")
        raise damage
    if not told and not as_json:
        talk("everything adds up")
    return int(bool(told))


def _text(line: dict[str, Any]) -> str:
    money = f"{line['sum_tiyn'] / 100:.2f} tenge"
    return (
        f"{line['day']} {line['finding']}: {line['why']} ({line['meals']} meals, {money}): {' '.join(line['records'])}"
    )


def _days(day: str | None, month: str | None) -> tuple[datetime.date | None, datetime.date | None]:
    from edusense.meals.store import month_of

    if day is not None and month is not None:
        raise UsageError("--day and --month together", hint="give one of them")
    if month is not None:
        return month_of(month)
    if day is None:
        return None, None
    try:
        one = datetime.date.fromisoformat(day)
    except ValueError:
        raise UsageError(f"`{day}` is no day", hint="write 2026-10-05") from None
    return one, one


def _number(day: datetime.date | None, otherwise: int) -> int:
    return otherwise if day is None else day.year * 10_000 + day.month * 100 + day.day


COMMANDS = (report_command,)
