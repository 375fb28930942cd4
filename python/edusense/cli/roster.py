"""`edusense roster`: who may eat."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.output import json_option, row, rows, site_option, talk
from edusense.errors import RosterError, UsageError

if TYPE_CHECKING:
    import datetime
    from pathlib import Path

    from edusense.meals import Roster, RosterCheck, RosterStore
    from edusense.meals.store import Listed
    from edusense.site import Site

__all__ = ["a_day", "command", "me", "roster_path"]


@click.group()
def command() -> None:
    """Who may eat: lists and their approval, cards, closed days, photos.

    \b
    Examples:
      edusense roster check october.csv
      edusense roster import october.csv --month 2026-10
      edusense roster card lost em4100:010063E9AE
      edusense roster close 2026-12-13 --reason weather
    """


@command.command("check")
@click.argument("file", type=click.Path(dir_okay=False))
@json_option
def check_command(file: str, as_json: bool) -> int:
    """Check a list, and name all that is wrong in it.

    Nothing is changed.

    CSV in UTF-8 or Windows-1251, separated by comma, semicolon or tab, with the columns pupil, name, class, category,
    cards (separated by spaces), consent_date, voucher_from, voucher_to. Exits with 0 when every line is right, else 6.

    \b
    Examples:
      edusense roster check october.csv
      edusense roster check october.csv --json
    """
    checked = _check(file)
    if checked.faults:
        rows((fault.to_json() for fault in checked.faults), ("line", "column", "value", "expected"), as_json=as_json)
        many = len(checked.faults)
        talk(f"{file}: {many} fault{'' if many == 1 else 's'}; nothing of it can be taken")
        return RosterError.exit_status
    assert checked.roster is not None
    pupils = checked.roster.pupils
    figures = {
        "pupils": len(pupils),
        "classes": len({pupil.form for pupil in pupils}),
        "cards": sum(len(pupil.cards) for pupil in pupils),
        "without_card": sum(not pupil.cards for pupil in pupils),
        "without_consent": sum(pupil.consent_date is None for pupil in pupils),
        "without_voucher": sum(pupil.voucher_from is None for pupil in pupils),
        "encoding": checked.encoding,
        "version": f"{checked.roster.version:08x}",
        "ignored": list(checked.ignored),
    }
    rows([figures], tuple(figures), as_json=as_json)
    for told in checked.roster.printed_alike():
        talk(f"note: {told}")
    return 0


@command.command("import")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--month", metavar="YYYY-MM", help="The month that the list is for; from today on by default.")
@click.option("--approved-by", metavar="NAME", help="The director, who has approved the list.")
@click.option("--order", metavar="TEXT", help="Number and date of the approval, with --approved-by.")
@click.option("--propose", is_flag=True, help="Keep it until `roster approve`; nothing takes effect.")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask at a terminal.")
@site_option
@json_option
def import_command(
    file: str,
    month: str | None,
    approved_by: str | None,
    order: str | None,
    propose: bool,
    dry_run: bool,
    yes: bool,
    site_path: str,
    as_json: bool,
) -> None:
    """Bring a list, see what it changes, and put it in force.

    All of it or nothing. What changes is printed first: who is added, who is dropped, whose class, category, cards,
    consent or voucher differ, and who has no consent. At a terminal it asks before it does it. A running box takes
    the list up by itself.

    Where the site file has `approval = "required"`, a list without --approved-by waits for `roster approve`.

    \b
    Examples:
      edusense roster import october.csv --dry-run
      edusense roster import october.csv --month 2026-10 --approved-by "Ахметова А." --order "№ 45, 28.09.2026"
      edusense roster import october.csv --month 2026-10 --propose
    """
    from edusense.meals import Roster
    from edusense.meals.of_site import open_store, roster_file, take_file, today
    from edusense.site import Site

    if order is not None and approved_by is None:
        raise UsageError("--order belongs to --approved-by", hint="say who approved it")
    if propose and approved_by is not None:
        raise UsageError("--propose and --approved-by together", hint="a proposal is approved by `roster approve`")
    site = Site.load(site_path)
    path, day = roster_file(site), today(site)
    new = Roster.load(file)
    _ignored(new.ignored)
    with contextlib.ExitStack() as stack:
        store = None if dry_run else stack.enter_context(open_store(site))
        if store is not None and path.exists():
            try:
                take_file(site, store, day)
            except RosterError as error:
                talk(f"the present list cannot be compared with: {error}")
        old, before = _in_force(site, store, day, month)
        first, last = _period(month, day, before)
        changes = new.changes(old)
        for change in changes:
            row(change.to_json(), as_json=as_json, text=_line(change))
        counts = {what: sum(change.what == what for change in changes) for what in ("added", "dropped", "changed")}
        summary = ", ".join(f"{count} {what}" for what, count in counts.items())
        talk(f"{len(new)} pupils: {summary}" if changes else f"{len(new)} pupils: nothing changes")
        _without_consent(new)
        same_days = before is not None and before.first <= first and before.last == last and month is None
        if store is None:
            return
        if old is not None and not changes and (same_days or _same_month(before, first, last)):
            if approved_by is not None and before is not None and before.approved_by is None:
                store.lists.take(before.id, at=store.clock(), approved_by=approved_by, approval=order)
                talk(f"list {before.id} is in force already; approved by {approved_by} from now on")
            return
        asked = not (yes or as_json) and sys.stdin.isatty()
        if asked and not click.confirm("keep it as a proposal?" if propose else "replace the list?", err=True):
            raise click.Abort
        if asked and approved_by is None and not propose:
            told = click.prompt("approved by (the director's name; empty: nobody yet)", default="", err=True)
            approved_by = told.strip() or None
        now = store.clock()
        listed = store.lists.propose(new, first=first, last=last, source=os.path.basename(file), by=me(), at=now)  # noqa: PTH119
        assert site.meals is not None
        if propose or (site.meals.approval == "required" and approved_by is None):
            talk(f"list {listed.id} ({listed.period}) waits: edusense roster approve {listed.id} --by NAME")
            return
        listed = store.lists.take(listed.id, at=now, approved_by=approved_by, approval=order)
        _taken(store, listed, path, day, new)


def _in_force(site: Site, store: RosterStore | None, day: datetime.date, month: str | None) -> tuple[Any, Any]:
    """The list that a new one is compared with: the one in force on its first day, where there is one."""
    from edusense.meals.of_site import read_roster
    from edusense.meals.store import month_of

    wanted = day if month is None else max(day, month_of(month)[0])
    if store is None:
        try:
            return read_roster(site, wanted)
        except RosterError:
            return None, None
    before = store.lists.in_force(wanted)
    return (None, None) if before is None else (store.lists.roster(before.id), before)


def _period(month: str | None, day: datetime.date, before: Listed | None) -> tuple[datetime.date, datetime.date | None]:
    """From when to when a new list is meant: a correction of a month's list ends with that month."""
    from edusense.meals.store import month_of

    if month is not None:
        return month_of(month)
    if before is not None and before.last is not None and before.last >= day:
        return day, before.last
    return day, None


def _same_month(before: Listed | None, first: datetime.date, last: datetime.date | None) -> bool:
    return before is not None and (before.first, before.last) == (first, last)


def _taken(store: RosterStore, listed: Listed, path: Path, day: datetime.date, roster: Roster) -> None:
    """Writes the file that the site names, and says what has happened."""
    from edusense.meals.list_file import replace_file

    approved = "" if listed.approved_by is None else f"; approved by {listed.approved_by}"
    if store.lists.in_force(day) == listed:
        replace_file(path, roster.to_csv().encode())
        store.saw_file(path)
        talk(f"{path} replaced; version {listed.version:08x}; list {listed.id}, {listed.period}{approved}")
    else:
        talk(
            f"list {listed.id} takes effect on {listed.first}; version {listed.version:08x}, {listed.period}{approved}"
        )


def _without_consent(roster: Roster) -> None:
    from edusense.meals.pupil import STAFF

    missing = [pupil for pupil in roster if pupil.consent_date is None and pupil.category != STAFF]
    if missing:
        some = ", ".join(f"{pupil.number} {pupil.name} {pupil.form}" for pupil in missing[:10])
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        talk(f"without the parents' consent: {some}{more}")


@command.command("approve")
@click.argument("number", metavar="LIST", type=int, required=False)
@click.option("--by", metavar="NAME", required=True, help="The director.")
@click.option("--order", metavar="TEXT", help="Number and date of the approval.")
@site_option
@json_option
def approve_command(number: int | None, by: str, order: str | None, site_path: str, as_json: bool) -> None:
    """Record the director's approval of a list, and put it in force.

    LIST is its number; without it, the one that waits. A list that was put in force without an approval may get it
    afterwards.

    \b
    Examples:
      edusense roster approve --by "Ахметова А." --order "№ 45, 28.09.2026"
      edusense roster approve 7 --by "Ахметова А."
    """
    from edusense.meals.of_site import open_store, roster_file, today
    from edusense.site import Site

    site = Site.load(site_path)
    with open_store(site) as store:
        if number is None:
            waiting = store.lists.waiting()
            if len(waiting) != 1:
                listed = ", ".join(str(one.id) for one in waiting)
                hint = f"name one of {listed}" if waiting else "`edusense roster lists` shows them all"
                raise UsageError(f"{len(waiting) or 'no'} lists wait for approval", hint=hint)
            number = waiting[0].id
        taken = store.lists.take(number, at=store.clock(), approved_by=by, approval=order)
        if as_json:
            row(taken.to_json(), as_json=True)
        _taken(store, taken, roster_file(site), today(site), store.lists.roster(number))


@command.command("lists")
@site_option
@json_option
def lists_command(site_path: str, as_json: bool) -> None:
    """Print all lists: their days, who brought them, who approved them.

    \b
    Examples:
      edusense roster lists
      edusense roster lists --json
    """
    from edusense.meals.of_site import open_store, store_path
    from edusense.site import Site

    site = Site.load(site_path)
    found: list[dict[str, Any]] = []
    if store_path(site).exists():
        with open_store(site, read_only=True) as store:
            found = [one.to_json() for one in store.lists.all()]
    columns = ("list", "first", "last", "state", "pupils", "source", "proposed_by", "approved_by", "approval")
    rows(found, columns, as_json=as_json, empty="there is no list yet: `edusense roster import FILE`")


@command.command("show")
@click.option("--class", "form", metavar="CLASS", help="Only this class.")
@click.option("--day", metavar="YYYY-MM-DD", help="As it is on this day; today by default.")
@site_option
@json_option
def show_command(form: str | None, day: str | None, site_path: str, as_json: bool) -> None:
    """Print the list in force.

    Cards that were lost or given since are seen in it.

    \b
    Examples:
      edusense roster show --class 4Б
      edusense roster show --day 2026-11-01 --json
    """
    from edusense.meals.of_site import read_roster, today
    from edusense.site import Site

    site = Site.load(site_path)
    roster_path(site)
    roster, listed = read_roster(site, today(site) if day is None else a_day(day))
    _ignored(roster.ignored)
    if listed is not None:
        approved = (
            "nobody's approval is recorded" if listed.approved_by is None else f"approved by {listed.approved_by}"
        )
        order = "" if listed.approval is None else f" ({listed.approval})"
        talk(f"list {listed.id}, {listed.period}; {approved}{order}{'; it has ended' if roster.over else ''}")
    found = [pupil.to_json() for pupil in roster if form is None or pupil.form == form]
    columns = ["pupil", "name", "class", "category", "cards", "consent_date", "voucher_from", "voucher_to"]
    columns += [name for name in ("shift", "allergens", "school") if any(line[name] for line in found)]
    if not as_json:
        words = ("cards", "allergens")
        found = [line | {name: " ".join(line[name]) for name in words} for line in found]
    rows(found, columns, as_json=as_json, empty="nobody is on the list")


def _check(file: str) -> RosterCheck:
    from edusense.meals import Roster

    checked = Roster.check(file)
    _ignored(checked.ignored)
    return checked


def _ignored(columns: tuple[str, ...]) -> None:
    if columns:
        talk(f"columns that are not ours are ignored: {', '.join(columns)}")


def roster_path(site: Site) -> Path:
    """The CSV file of pupils; an error for a site without meals."""
    from edusense.meals.of_site import roster_file

    return roster_file(site)


def a_day(text: str) -> datetime.date:
    """A day as an option has it."""
    import datetime

    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"`{text}` is no day", hint="write 2026-10-05") from None


def me() -> str:
    """Who runs this command: what a list's `proposed_by` says."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"


def _line(change: Any) -> str:
    fields = ", ".join(f"{name}: {_text(before)} → {_text(after)}" for name, (before, after) in change.fields.items())
    return "  ".join(part for part in (change.what, str(change.pupil), change.name, change.form, fields) if part)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(value) or "none"
    return "none" if value in (None, "") else str(value)


for _module in ("edusense.cli.roster_cards", "edusense.cli.roster_days", "edusense.cli.roster_people"):
    for _one in importlib.import_module(_module).COMMANDS:
        command.add_command(_one)
