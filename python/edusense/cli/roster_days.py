"""`edusense roster close|reopen|calendar|attendance`: days without meals, and how many children came."""

from __future__ import annotations

from pathlib import Path

import click

from edusense.cli.output import json_option, row, rows, site_option, talk
from edusense.errors import RosterError, UsageError

__all__ = ["COMMANDS"]

_REASONS = ("holiday", "vacation", "sanitary-day", "weather", "quarantine", "other")


@click.command("close")
@click.argument("first", metavar="DAY")
@click.argument("last", metavar="[LAST]", required=False)
@click.option("--reason", type=click.Choice(_REASONS), default="other", show_default=True, help="Why.")
@click.option(
    "--class", "forms", metavar="CLASS", multiple=True, help="Only for this class; may be given several times."
)
@click.option("--note", metavar="TEXT", help="In your own words.")
@site_option
@json_option
def close_command(
    first: str, last: str | None, reason: str, forms: tuple[str, ...], note: str | None, site_path: str, as_json: bool
) -> None:
    """Close days, for the school or some classes: no meal is given on them.

    Takes effect at once at the terminals. Meals that were given on such a day before are found by `meals report`.

    \b
    Examples:
      edusense roster close 2026-12-16 2026-12-17 --reason holiday
      edusense roster close 2026-12-13 --reason weather --class 1А --class 2Б
    """
    from edusense.cli.roster import a_day, me
    from edusense.meals import Closure
    from edusense.meals.of_site import open_store
    from edusense.site import Site

    site = Site.load(site_path)
    begin = a_day(first)
    end = begin if last is None else a_day(last)
    with open_store(site) as store:
        stored = store.days.close(Closure(begin, end, reason, forms, note), by=me(), at=store.clock())
    span = begin.isoformat() if end == begin else f"{begin} to {end}"
    whom = f"classes {', '.join(forms)}" if forms else "the whole school"
    row(stored.to_json(), as_json=as_json, text=f"closed: {span}, {whom}, {reason}; closure {stored.id}")


@click.command("reopen")
@click.argument("closure", type=int)
@site_option
def reopen_command(closure: int, site_path: str) -> None:
    """Take a closure back.

    It stays on file, with who took it back.

    \b
    Examples:
      edusense roster reopen 3
    """
    from edusense.cli.roster import me
    from edusense.meals.of_site import open_store
    from edusense.site import Site

    with open_store(Site.load(site_path)) as store:
        store.days.reopen(closure, by=me(), at=store.clock())
    talk(f"closure {closure} taken back")


@click.command("calendar")
@site_option
@json_option
def calendar_command(site_path: str, as_json: bool) -> None:
    """Print the closed days.

    \b
    Examples:
      edusense roster calendar
    """
    from edusense.meals.of_site import open_store, store_path
    from edusense.site import Site

    site = Site.load(site_path)
    found = []
    if store_path(site).exists():
        with open_store(site, read_only=True) as store:
            found = [stored.to_json() for stored in store.days.closures()]
    if not as_json:
        found = [line | {"classes": " ".join(line["classes"]) or "all"} for line in found]
        if site.meals is not None and site.meals.days is not None:
            talk(f"meals are given {site.meals.days}")
    columns = ("closure", "first", "last", "reason", "classes", "note", "made_by")
    rows(found, columns, as_json=as_json, empty="no day is closed")


@click.command("attendance")
@click.argument("file", type=click.Path(dir_okay=False), required=False)
@click.option("--day", metavar="YYYY-MM-DD", help="Print this day; today by default.")
@site_option
@json_option
def attendance_command(file: str | None, day: str | None, site_path: str, as_json: bool) -> None:
    """Bring how many children of each class came, or print it.

    FILE is CSV with the columns day, class, present. `meals report` holds meals against it, where no entrance terminal
    counts who comes.

    \b
    Examples:
      edusense roster attendance october-attendance.csv
      edusense roster attendance --day 2026-10-05
    """
    from edusense.cli.roster import a_day, me
    from edusense.meals.of_site import open_store, today
    from edusense.meals.store import Attendance
    from edusense.meals.store.attendance_file import read_attendance
    from edusense.site import Site

    site = Site.load(site_path)
    if file is not None and day is not None:
        raise UsageError("FILE and --day together", hint="bring a file, or print a day")
    if file is not None:
        try:
            raw = Path(file).read_bytes()
        except OSError as error:
            raise RosterError(f"`{file}` cannot be read: {error.strerror}") from None
        counts = read_attendance(raw, file)
        with open_store(site) as store:
            store.days.attend(counts, by=me(), at=store.clock())
        talk(f"{len(counts)} counts taken, of {len({count.day for count in counts})} days")
        return
    wanted = today(site) if day is None else a_day(day)
    with open_store(site) as store:
        counted = store.days.attendance(wanted, wanted)
    found = [Attendance(one, form, present).to_json() for (one, form), present in sorted(counted.items())]
    rows(found, ("day", "class", "present"), as_json=as_json, empty=f"no attendance of {wanted} is known")


COMMANDS = (close_command, reopen_command, calendar_command, attendance_command)
