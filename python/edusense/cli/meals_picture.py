"""`edusense meals picture`: the canteen's day and month, as PNG or SVG."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.output import json_option, row, site_option, talk
from edusense.errors import EdusenseError, UsageError

if TYPE_CHECKING:
    from edusense.meals.canteen_figures import Refused
    from edusense.meals.drawing import Drawing
    from edusense.site import Site

__all__ = ["COMMANDS"]


@click.group("picture")
def picture_group() -> None:
    """Pictures of the canteen, as PNG or SVG; the box's pages show the same.

    \b
    Examples:
      edusense meals picture day --out today.png
      edusense meals picture month --month 2026-10 --out october.png
    """


_out = click.option(
    "--out", required=True, metavar="FILE", type=click.Path(dir_okay=False), help="Where it goes: *.png or *.svg."
)


@picture_group.command("day")
@click.option("--day", metavar="YYYY-MM-DD", help="Which day; today by default.")
@_out
@site_option
@json_option
def day_command(day: str | None, out: str, site_path: str, as_json: bool) -> None:
    """A day: meals a minute over the slots, the longest line, refusals by reason.

    Refusals stand in the box's log, so they are shown where the box runs.

    \b
    Examples:
      edusense meals picture day --out today.png
      edusense meals picture day --day 2026-10-05 --out monday.svg
    """
    from edusense.meals.canteen_of_site import day_drawing
    from edusense.meals.of_site import today

    site, ledger = _opened(site_path)
    wanted = today(site) if day is None else _date(day)
    refused = _refused(site, site_path, wanted)
    _write(day_drawing(site, ledger, wanted, refused=refused), out, as_json)


@picture_group.command("month")
@click.option("--month", metavar="YYYY-MM", help="Which month; the present one by default.")
@_out
@site_option
@json_option
def month_command(month: str | None, out: str, site_path: str, as_json: bool) -> None:
    """A month: a row a class, a column a day; days on which meals are missing are marked.

    \b
    Examples:
      edusense meals picture month --out month.png
      edusense meals picture month --month 2026-10 --out october.svg
    """
    from edusense.meals.canteen_of_site import month_drawing
    from edusense.meals.of_site import today

    site, ledger = _opened(site_path)
    first = today(site) if month is None else _date(f"{month}-01")
    _write(month_drawing(site, ledger, first), out, as_json)


def _opened(site_path: str) -> tuple[Site, Any]:
    from edusense.meals import Ledger
    from edusense.meals.of_site import ledger_folder
    from edusense.site import Site

    site = Site.load(site_path)
    return site, Ledger.open(ledger_folder(site), read_only=True)


def _date(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"`{text}` is no day or month", hint="write 2026-10-05 or 2026-10") from None


def _refused(site: Site, site_path: str, day: datetime.date) -> list[Refused] | None:
    """Taps that were answered red, as the running box tells them; None where none runs."""
    import edusense
    from edusense.meals.canteen_figures import Refused
    from edusense.meals.terminal import time_zone

    begin = datetime.datetime.combine(day, datetime.time(), time_zone(site.site.timezone)).timestamp()
    try:
        # Cursors are milliseconds of Unix time, so that one can be made for the beginning of a day.
        events = list(edusense.connect(site_path).events(since=int(begin * 1000), kinds=["tap"]))
    except EdusenseError:
        talk("no box runs on this site, so refusals are not shown")
        return None
    return [
        Refused(float(event["time_s"]), str(event["reason"]))
        for event in events
        if event["kind"] == "tap" and not event["granted"] and begin <= event["time_s"] < begin + 86_400
    ]


def _write(drawing: Drawing, out: str, as_json: bool) -> None:
    path = Path(out)
    match path.suffix.lower():
        case ".png":
            content = drawing.to_png()
        case ".svg":
            content = drawing.to_svg().encode()
        case other:
            raise UsageError(f"`{other or out}` is no kind of picture", hint="--out FILE.png or FILE.svg")
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"`{path}` cannot be written: {error.strerror}", hint="another folder") from error
    told = {"file": str(path), "title": drawing.title, "bytes": len(content)}
    row(told, as_json=as_json, text=f"{path}: {drawing.title}")


COMMANDS = (picture_group,)
