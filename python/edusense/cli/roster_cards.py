"""`edusense roster card|cards`: what happens to cards between two lists."""

from __future__ import annotations

import click

from edusense.cli.output import json_option, row, rows, site_option, talk
from edusense.errors import UsageError

__all__ = ["COMMANDS"]

_DONE = {
    "given": "is given to",
    "lost": "is reported lost; it was that of",
    "blocked": "is blocked; it was that of",
    "found": "is good again; it is that of",
    "returned": "was returned by",
}


@click.command("card")
@click.argument("what", metavar="WHAT", type=click.Choice(list(_DONE)))
@click.argument("card")
@click.option("--pupil", type=click.IntRange(1), help="To whom it is given.")
@click.option("--day", metavar="YYYY-MM-DD", help="From this day on; today by default.")
@click.option("--note", metavar="TEXT", help="More words.")
@site_option
@json_option
def card_command(
    what: str, card: str, pupil: int | None, day: str | None, note: str | None, site_path: str, as_json: bool
) -> None:
    """Note what happened to a card: given, lost, blocked, found or returned.

    It takes effect at once. A card that is given by hand stays with its pupil whatever lists say, until it is
    returned; one that is lost or blocked stays so until it is found.

    \b
    Examples:
      edusense roster card lost em4100:010063E9AE --note "on the bus"
      edusense roster card given iso14443a:04A1B2C3D4E5F6 --pupil 1017
    """
    from edusense.cli.roster import a_day, me, roster_path
    from edusense.devices import Card
    from edusense.meals.of_site import open_store, take_file, today
    from edusense.site import Site

    site = Site.load(site_path)
    parsed = Card.parse(card)
    now = today(site)
    from_day = now if day is None else a_day(day)
    with open_store(site) as store:
        if roster_path(site).exists():
            take_file(site, store, now)
        roster = store.book().on(max(now, from_day))
        holder = None if roster is None else roster.find(parsed)
        mark = None if roster is None else roster.mark(parsed)
        whole = next((one for one in holder.cards if one.matches(parsed)), parsed) if holder is not None else parsed
        if mark is not None:
            whole = mark.card
        if what == "given":
            if pupil is None:
                raise UsageError("to whom is it given?", hint="--pupil NUMBER")
            if roster is None or pupil not in roster:
                raise UsageError(f"pupil {pupil} is not on the list", hint="`edusense roster show` lists them")
            if holder is not None and holder.number != pupil:
                raise UsageError(
                    f"pupil {holder.number} has the card {whole}", hint=f"`edusense roster card returned {whole}` first"
                )
            owner = pupil
        else:
            known = mark.pupil if mark is not None else None if holder is None else holder.number
            if known is None:
                raise UsageError(f"nobody has the card {parsed}", hint="`edusense roster show` lists cards")
            owner = known
        change = store.cards.change(whole, owner, what, day=from_day, by=me(), at=store.clock(), note=note)
        name = store.people.name(owner) or ""
    row(change.to_json(), as_json=as_json, text=f"{change.card} {_DONE[what]} {owner} {name}".rstrip())


@click.command("cards")
@click.option("--pupil", type=click.IntRange(1), help="Only of this pupil.")
@site_option
@json_option
def cards_command(pupil: int | None, site_path: str, as_json: bool) -> None:
    """Print what happened to cards.

    \b
    Examples:
      edusense roster cards
      edusense roster cards --pupil 1017 --json
    """
    from edusense.meals.of_site import open_store, store_path
    from edusense.site import Site

    site = Site.load(site_path)
    if not store_path(site).exists():
        talk("there is no list yet: `edusense roster import FILE`")
        return
    with open_store(site, read_only=True) as store:
        found = [change.to_json() for change in store.cards.changes(pupil)]
    rows(found, ("day", "what", "card", "pupil", "note", "made_by"), as_json=as_json, empty="nothing happened to cards")


COMMANDS = (card_command, cards_command)
