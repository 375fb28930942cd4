"""`edusense roster photos|operator|operators|forget`: photos, who may act by hand, and deletion."""

from __future__ import annotations

import datetime
from pathlib import Path

import click

from edusense.cli.output import json_option, row, rows, site_option, talk
from edusense.errors import UsageError

__all__ = ["COMMANDS"]


@click.command("photos")
@click.argument("folder", type=click.Path(file_okay=False))
@site_option
@json_option
def photos_command(folder: str, site_path: str, as_json: bool) -> int:
    """Take the photos of a folder: files named by the pupil's number, such as 1017.jpg.

    They are made small, and what cameras add to pictures is left out. Exits with 1 where a file was not taken.

    \b
    Examples:
      edusense roster photos /media/usb/photos
    """
    from edusense.meals.of_site import open_store
    from edusense.site import Site

    with open_store(Site.load(site_path)) as store:
        found = store.people.import_photos(Path(folder), at=store.clock())
    problems = [one.to_json() for one in found if one.problem is not None]
    if as_json:
        rows([one.to_json() for one in found], (), as_json=True)
    elif problems:
        rows(problems, ("file", "pupil", "problem"), as_json=False)
    talk(f"{len(found) - len(problems)} photos taken, {len(problems)} not")
    return 1 if problems else 0


@click.command("operator")
@click.argument("name")
@click.option("--pin-from", metavar="env:NAME|file:PATH", help="Where the PIN is that lets them act at the kiosk.")
@click.option("--no-pin", is_flag=True, help="Take the PIN away.")
@site_option
@json_option
def operator_command(name: str, pin_from: str | None, no_pin: bool, site_path: str, as_json: bool) -> None:
    """Add somebody who may enter and take back meals by hand, or give them a PIN for the kiosk.

    At a terminal the PIN is asked for, 4 to 12 digits; empty for none.

    \b
    Examples:
      edusense roster operator "Ким Вера"
      edusense roster operator "Ким Вера" --pin-from file:pin.secret
    """
    import sys

    from edusense.cli.credentials import password_at
    from edusense.meals.of_site import open_store
    from edusense.site import Site

    if no_pin and pin_from is not None:
        raise UsageError("--pin-from and --no-pin together", hint="give one of them")
    site = Site.load(site_path)
    with open_store(site) as store:
        found = store.operators.named(name, at=store.clock())
        pin = None
        if pin_from is not None:
            pin = password_at(pin_from)
        elif not no_pin and not as_json and sys.stdin.isatty():
            pin = click.prompt("PIN (4 to 12 digits; empty: none)", default="", hide_input=True, err=True) or None
        if pin is not None or no_pin:
            store.operators.set_pin(found.number, pin)
        told = store.operators[found.number]
    may = "may act at the kiosk" if told.has_pin else "has no PIN, so not at the kiosk"
    row(told.to_json(), as_json=as_json, text=f"operator {told.number}: {told.name}; {may}")


@click.command("operators")
@site_option
@json_option
def operators_command(site_path: str, as_json: bool) -> None:
    """Print who may enter and take back meals by hand.

    \b
    Examples:
      edusense roster operators
    """
    from edusense.meals.of_site import open_store, store_path
    from edusense.site import Site

    site = Site.load(site_path)
    found = []
    if store_path(site).exists():
        with open_store(site, read_only=True) as store:
            found = [one.to_json() for one in store.operators.all()]
    rows(found, ("operator", "name", "pin"), as_json=as_json, empty="there is no operator yet")


@click.command("forget")
@click.option("--days", type=click.IntRange(1), help="Other than the site's `meals.keep_days`.")
@site_option
@json_option
def forget_command(days: int | None, site_path: str, as_json: bool) -> None:
    """Delete the personal data of who has left.

    Name, photo, cards and allergens of everybody who has stood on no list for so many days. The box does it every
    night. What they ate stays in the ledger, by numbers alone.

    \b
    Examples:
      edusense roster forget
      edusense roster forget --days 30
    """
    from edusense.cli.roster import roster_path
    from edusense.meals.of_site import open_store, today
    from edusense.site import Site

    site = Site.load(site_path)
    roster_path(site)
    assert site.meals is not None
    before = today(site) - datetime.timedelta(days=days or site.meals.keep_days)
    with open_store(site) as store:
        count = store.people.forget(before, at=store.clock())
    told = {"before": before.isoformat(), "people": count}
    row(told, as_json=as_json, text=f"{count} people deleted who were last listed before {before}")


COMMANDS = (photos_command, operator_command, operators_command, forget_command)
