"""`edusense meals seal|prune`: old segments get a signed root, and go where the hub has signed for their records."""

from __future__ import annotations

import datetime
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edusense.cli.camera_fleet import confirm
from edusense.cli.meals_batches import ledger_folder_of
from edusense.cli.output import json_option, row, site_option, talk
from edusense.errors import SiteFileError, UsageError

if TYPE_CHECKING:
    from edusense.meals import SigningKey

__all__ = ["COMMANDS"]

_key = click.option(
    "--key",
    "key_path",
    metavar="FILE",
    help="The secret key that signs; without it, `meals.key` beside the ledger's folder.",
)


@click.command("seal")
@click.argument("folder", metavar="[DIR]", required=False)
@_key
@site_option
@json_option
def seal_command(folder: str | None, key_path: str | None, site_path: str, as_json: bool) -> None:
    """Seal the segments of a ledger that are full: each gets a small signed file with the Merkle root of its records.

    Those that have a seal are held against it. May run beside the box, which seals by itself once a day.

    \b
    Examples:
      edusense meals seal
      edusense meals seal /var/lib/edusense/ledger --json
    """
    from edusense.meals.sealing import seal

    place = ledger_folder_of(folder, site_path)
    made = seal(place, _signing_key(place, key_path))
    for one in made:
        line = {name: value for name, value in asdict(one).items() if name != "pruned"}
        row(line, as_json=as_json, text=f"{one.segment}: {one.records} records, root {one.root}")
    if not made:
        talk("every full segment has its seal, and is what that says")


@click.command("prune")
@click.argument("folder", metavar="[DIR]", required=False)
@click.option(
    "--keep-from",
    metavar="YYYY-MM-DD",
    help="Segments with a record of this day or a later one stay; without it, the first day of this school year.",
)
@click.option(
    "--hub-key",
    metavar="KEY",
    help="The hub's public key: a PEM file, or 64 hex digits; else the site file's, or the one that was met first.",
)
@_key
@click.option("--yes", is_flag=True, help="Do not ask.")
@site_option
@json_option
def prune_command(
    folder: str | None,
    keep_from: str | None,
    hub_key: str | None,
    key_path: str | None,
    yes: bool,
    site_path: str,
    as_json: bool,
) -> None:
    """Remove old segments whose records the hub has signed for; their seals stay.

    Shows what would go and what stays, and why, and asks. A segment goes if it is full, the hub's signed
    acknowledgements of all its records and of all before it are kept here, and no record of it is of this school year;
    never the last one. Of the days that are gone no meal is taken any more. The box must not run.

    \b
    Examples:
      edusense meals prune
      edusense meals prune /var/lib/edusense/ledger --keep-from 2026-01-01 --hub-key hub.pub --yes
    """
    from edusense.meals.sealing import plan_pruning, prune, school_year

    place = ledger_folder_of(folder, site_path)
    trusted = _hub_key(place, hub_key, site_path)
    now = datetime.datetime.now(datetime.UTC).date()  # the school's day or its neighbour: that decides nothing here
    first = school_year(now) if keep_from is None else _day(keep_from)
    plan = plan_pruning(place, trusted, keep_from=first)
    for one in plan.segments:
        outcome = "goes" if one.stays is None else "stays"
        line = asdict(one) | {"outcome": outcome}
        days = f"{one.first_day} to {one.last_day}" if one.first_day else "no day"
        why = "" if one.stays is None else f": {one.stays}"
        row(line, as_json=as_json, text=f"{one.segment}: {one.records} records, {days}: {outcome}{why}")
    if not plan.going and not plan.left:
        talk("nothing may go")
        return
    size = sum(one.bytes for one in plan.going)
    talk(f"{len(plan.going)} segments of {size} bytes go; their seals stay")
    if plan.last_day is not None:
        talk(f"no meal of {plan.last_day} or an earlier day is taken after that")
    confirm("remove them?", yes=yes)
    done = prune(place, trusted, _signing_key(place, key_path), plan, keep_from=first)
    talk(f"the ledger begins with record {done.until}")


def _signing_key(place: Path, key_path: str | None) -> SigningKey:
    from edusense.meals import KeyRing, SigningKey

    return SigningKey.load(Path(key_path)) if key_path is not None else KeyRing.load(place.parent).current


def _hub_key(place: Path, given: str | None, site_path: str) -> bytes:
    """Whose acknowledgements are believed: somebody said so, or the site file does, or it is the hub met first."""
    from edusense.meals import read_public_key
    from edusense.meals.uplink import kept_hub_key
    from edusense.site import Site

    if given is not None:
        return read_public_key(given)
    try:
        hub = Site.load(site_path).hub
    except SiteFileError:
        hub = None
    if hub is not None and hub.key is not None:
        return bytes.fromhex(hub.key)
    found = kept_hub_key(place)
    if found is None:
        raise UsageError(
            "whose acknowledgements are to be believed, nobody has said",
            hint="give the hub's public key with --hub-key",
        )
    return found


def _day(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"`{text}` is no day", hint="write 2026-09-01") from None


COMMANDS = (seal_command, prune_command)
