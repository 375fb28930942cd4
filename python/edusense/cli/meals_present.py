"""`edusense meals present`: who is in the building, for the fire drill."""

from __future__ import annotations

import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.output import json_option, rows, site_option, talk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["COMMANDS"]


@click.command("present")
@click.option("--class", "form", metavar="CLASS", help="Only this class.")
@site_option
@json_option
def present_command(form: str | None, site_path: str, as_json: bool) -> None:
    """Print who is in the building, class by class, to be ticked off on paper.

    From the entrance terminals of the site. Who came on an earlier day and never left stands apart, at the end.

    \b
    Examples:
      edusense meals present | lp          # the fire drill's list, on paper
      edusense meals present --json
    """
    from edusense.meals import Ledger
    from edusense.meals.inside import who_is_inside
    from edusense.meals.of_site import ledger_folder
    from edusense.site import Site

    site = Site.load(site_path)
    now = datetime.datetime.now(datetime.UTC)
    ledger = Ledger.open(ledger_folder(site), read_only=True)
    found = [one.to_json() for one in who_is_inside(site, ledger, now.timestamp()) if form in (None, one.form)]
    if as_json:
        rows(found, (), as_json=True)
        return
    zone = datetime.datetime.fromtimestamp(now.timestamp(), _zone(site))
    today = [one for one in found if one["today"]]
    for line in _paper(site.site.id, zone, today, [one for one in found if not one["today"]]):
        click.echo(line)
    if not found:
        talk("nobody came in by card today; does an entrance terminal run?")


def _zone(site: Any) -> datetime.tzinfo:
    from edusense.meals.terminal import time_zone

    return time_zone(site.site.timezone)


def _paper(
    school: str, now: datetime.datetime, today: list[dict[str, Any]], earlier: list[dict[str, Any]]
) -> Iterable[str]:
    yield f"In the building: {len(today)}    {school}    {now:%Y-%m-%d %H:%M}"
    for form, group in groupby(today, key=lambda one: one["class"]):
        people = list(group)
        yield ""
        yield f"{form or 'not on any list'} ({len(people)})"
        yield from (_line(one, now.tzinfo) for one in people)
    if earlier:
        yield ""
        yield f"Came on an earlier day and never left by card ({len(earlier)})"
        yield from (_line(one, now.tzinfo, day=True) for one in earlier)


def _line(one: Mapping[str, Any], zone: datetime.tzinfo | None, *, day: bool = False) -> str:
    came = datetime.datetime.fromtimestamp(one["since_s"], zone)
    return f"  [ ] {one['pupil']:>8}  {one['name'] or '':<36} {came:{'%Y-%m-%d %H:%M' if day else '%H:%M'}}"


COMMANDS = (present_command,)
