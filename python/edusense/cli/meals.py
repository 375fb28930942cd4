"""`edusense meals`: taps, terminals, and the ledger that they write."""

from __future__ import annotations

import contextlib
import csv
import datetime
import importlib
import os
import queue
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.meals_opened import opened_terminal, say
from edusense.cli.output import json_option, row, rows, site_option, talk
from edusense.errors import BoxNotRunningError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from edusense.meals import Ledger, Verification
    from edusense.site import Site

__all__ = ["command"]

REFUSED = 5
"""Exit status of a tap that was answered red."""


def terminals_that_begin(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The ids of the site's terminals that begin so, for the shell; none where the site file cannot be read."""
    from edusense.errors import EdusenseError
    from edusense.site import Site

    path = context.params.get("site_path") or os.environ.get("EDUSENSE_SITE") or "school.toml"
    try:
        return [one.id for one in Site.load(path).terminals if one.id.startswith(incomplete)]
    except EdusenseError:
        return []


@click.group()
def command() -> None:
    """Terminals and the ledger of meals.

    DIR is a ledger's folder; without it, the one of the site file is meant.

    \b
    Examples:
      edusense meals tap em4100:010063E9AE --terminal canteen-left
      edusense meals status
      edusense meals verify /var/lib/edusense/ledger
      edusense meals export --month 2026-10 > meals.csv
    """


@command.command("tap")
@click.argument("card")
@click.option(
    "--terminal",
    "terminal_id",
    required=True,
    metavar="ID",
    shell_complete=terminals_that_begin,
    help="The terminal, by its id in the site file.",
)
@site_option
@json_option
def tap_command(card: str, terminal_id: str, site_path: str, as_json: bool) -> int:
    """Hold a card to a terminal.

    A meal is recorded if the light would be green. CARD is its number: 010063E9AE, em4100:010063E9AE, or as printed
    on it. Where the box runs, it answers; otherwise the ledger is opened for this one tap. Exits with 0 for green,
    5 for red.

    \b
    Examples:
      edusense meals tap 010063E9AE --terminal canteen-left
      edusense meals tap iso14443a:04A1B2C3D4E5F6 --terminal canteen-left --json
    """
    import edusense
    from edusense.devices import Card

    site = edusense.Site.load(site_path)
    site.terminal(terminal_id)
    Card.parse(card)
    try:
        answer = edusense.connect(site_path).tap(terminal=terminal_id, card=card)
    except BoxNotRunningError:
        with opened_terminal(site, terminal_id) as terminal:
            verdict = terminal.tap(card)
            say(verdict.to_json() | {"name": verdict.name, "class": verdict.form}, as_json)
            terminal.shown(verdict)
            return 0 if verdict.granted else REFUSED
    say(answer, as_json)
    return 0 if answer["granted"] else REFUSED


@command.command("terminal")
@click.argument("terminal_id", metavar="ID", shell_complete=terminals_that_begin)
@click.option(
    "--reader",
    "readers",
    metavar="ADDRESS",
    multiple=True,
    help="Another reader than the site file's, such as rdm6300:/dev/ttyUSB0; may be given several times.",
)
@click.option("--count", type=click.IntRange(1), help="Stop after so many cards.")
@site_option
@json_option
def terminal_command(
    terminal_id: str, readers: tuple[str, ...], count: int | None, site_path: str, as_json: bool
) -> None:
    """Run one terminal alone, without the box.

    It reads its readers until Ctrl-C, and prints a line for each card. The ledger is held meanwhile, so the box must
    not run.

    \b
    Examples:
      edusense meals terminal canteen-left
      edusense meals terminal canteen-left --reader rdm6300:/dev/ttyUSB0
    """
    import edusense
    from edusense.devices import Card, reconnecting
    from edusense.errors import SessionClosedError

    site = edusense.Site.load(site_path)
    entry = site.terminal(terminal_id)
    addresses = readers or tuple(site.reader(name).address for name in entry.all_readers)
    if not addresses:
        raise UsageError(f"terminal `{terminal_id}` has no reader in the site file", hint="give one with --reader")
    stop, found = threading.Event(), queue.SimpleQueue[tuple[str, Any]]()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def listen(address: str) -> None:
        try:
            with reconnecting(address) as source:
                while not stop.is_set():
                    if (told := source.read(0.5)) is not None:
                        found.put((address, told))
        except SessionClosedError:
            pass
        except Exception as error:  # noqa: BLE001 - told by the thread that prints
            found.put((address, error))

    answered = 0
    with opened_terminal(site, terminal_id) as terminal, contextlib.ExitStack() as stack:
        talk(f"terminal {terminal_id} on {', '.join(addresses)}; Ctrl-C stops it")
        for address in addresses:
            thread = threading.Thread(target=listen, args=[address], name=address, daemon=True)
            thread.start()
            stack.callback(thread.join, 3.0)
        stack.callback(stop.set)
        while not stop.is_set() and (count is None or answered < count):
            try:
                address, told = found.get(timeout=0.2)
            except queue.Empty:
                # Nobody stands there: the last mark, that the light was on, need not wait for the next meal's write.
                terminal.ledger.sync()
                continue
            if isinstance(told, Exception):
                raise told
            if isinstance(told, Card):
                verdict = terminal.tap(told)
                say(verdict.to_json() | {"name": verdict.name, "class": verdict.form, "card": told.id}, as_json)
                terminal.shown(verdict)
                answered += 1
            else:
                talk(f"reader {address}: {told.state}" + ("" if told.reason is None else f": {told.reason}"))


@command.command("status")
@click.argument("folder", metavar="[DIR]", required=False)
@site_option
@json_option
def status_command(folder: str | None, site_path: str, as_json: bool) -> None:
    """Print how many records and meals a ledger holds.

    By terminal, and who writes to it. Does not look for damage: that is `verify`.

    \b
    Examples:
      edusense meals status
      edusense meals status /var/lib/edusense/ledger --json
    """
    from edusense.meals import terminal_rows

    ledger = _reading(folder, site_path)
    records, damage = ledger.readable()
    figures = ledger.stats() | {"holder": ledger.holder}
    of_terminals = terminal_rows(records)
    meals = sum(found["meals"] for found in of_terminals)
    reversed_ = sum(found["reversed"] for found in of_terminals)
    head = {
        "kind": "ledger",
        "path": figures["path"],
        "records": figures["records"],
        "pruned": figures["pruned"],
        "segments": figures["segments"],
        "meals": meals,
        "reversed": reversed_,
        "holder": figures["holder"],
        "damage": None if damage is None else str(damage),
    }
    if as_json:
        rows([head, *of_terminals], (), as_json=True)
    else:
        rows([head], ("path", "records", "pruned", "segments", "meals", "reversed"), as_json=False)
        talk(f"written by {figures['holder']}" if figures["holder"] else "nobody writes to it")
        click.echo()
        shown = [line | {"last_time": _time(line["last_s"])} for line in of_terminals]
        rows(shown, ("terminal", "meals", "shown", "reversed", "records", "epochs", "last", "last_time"), as_json=False)
    if damage is not None:
        raise damage


@command.command("verify")
@click.argument("folder", metavar="[DIR]", required=False)
@site_option
@json_option
def verify_command(folder: str | None, site_path: str, as_json: bool) -> int:
    """Account for every byte of a ledger.

    Each is a sound record, unused space, a torn last write, or damage. May run beside the box. Exits with 0 when
    every byte is accounted for, 1 on damage, 6 if it is no ledger.

    \b
    Examples:
      edusense meals verify
      edusense meals verify /media/usb/ledger --json
    """
    found = _reading(folder, site_path).verify()
    if as_json:
        row(found.to_json(), as_json=True)
    else:
        _tell(found)
    return 0 if found.ok else 1


@command.command("export")
@click.argument("folder", metavar="[DIR]", required=False)
@click.option(
    "--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True, help="What to write."
)
@click.option("--day", metavar="YYYY-MM-DD", help="Only this day.")
@click.option("--month", metavar="YYYY-MM", help="Only this month.")
@click.option("--utc", is_flag=True, help="Times in UTC instead of the site's time zone.")
@site_option
@json_option
def export_command(
    folder: str | None, form: str, day: str | None, month: str | None, utc: bool, site_path: str, as_json: bool
) -> None:
    """Print the meals of a ledger, a line each.

    Each has the key of the record that it comes from. Prices are in tiyn (1/100 tenge). A meal that was taken back
    is there with `reversed`. JSON is one object a line.

    \b
    Examples:
      edusense meals export --month 2026-10 > meals.csv
      edusense meals export /var/lib/edusense/ledger --day 2026-10-05 --format json
    """
    from edusense.meals import MEAL_COLUMNS, meal_rows

    first, last = _days(day, month)
    ledger = _reading(folder, site_path)
    zone = datetime.UTC if utc else _zone(site_path)
    records, damage = ledger.readable()
    lines = meal_rows(records, zone=zone, first_day=first, last_day=last)
    if as_json or form == "json":
        for line in lines:
            row(line, as_json=True)
    else:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(MEAL_COLUMNS)
        for line in lines:
            writer.writerow([_csv(line[column]) for column in MEAL_COLUMNS])
        sys.stdout.flush()
    if damage is not None:
        talk(f"only the records before number {len(records)} are exported")
        raise damage


def _folder(site: Site) -> Path:
    return site.data_folder() / "ledger"


def _reading(folder: str | None, site_path: str) -> Ledger:
    from edusense.meals import Ledger

    if folder is None:
        from edusense.site import Site

        return Ledger.open(_folder(Site.load(site_path)), read_only=True)
    return Ledger.open(folder, read_only=True)


def _zone(site_path: str) -> datetime.tzinfo:
    """The site's time zone; where there is no site file, UTC."""
    from edusense.errors import SiteFileError
    from edusense.meals.terminal import time_zone
    from edusense.site import Site

    try:
        return time_zone(Site.load(site_path).site.timezone)
    except SiteFileError:
        return datetime.UTC


def _days(day: str | None, month: str | None) -> tuple[int, int]:
    if day is not None and month is not None:
        raise UsageError("--day and --month together", hint="give one of them")
    try:
        if day is not None:
            number = int(datetime.date.fromisoformat(day).strftime("%Y%m%d"))
            return number, number
        if month is not None:
            first = datetime.date.fromisoformat(f"{month}-01")
            return int(first.strftime("%Y%m01")), int(first.strftime("%Y%m31"))
    except ValueError:
        raise UsageError(f"`{day or month}` is no day or month", hint="write 2026-10-05 or 2026-10") from None
    return 0, 99_991_231


def _tell(found: Verification) -> None:
    """What verify found, for people."""
    total = max(found.bytes, 1)
    click.echo(f"{found.records} records sound, in {_many(found.segments, 'segment')} of {found.bytes} bytes")
    click.echo(f"{found.unused_bytes} bytes unused, zero ({100 * found.unused_bytes / total:.1f} %)")
    if (torn := found.torn_tail) is not None:
        click.echo(
            f"last write torn: {torn.segment}, byte {torn.offset}, record {torn.record}: {found.torn_bytes} bytes"
        )
        if torn.confirmed:
            click.echo("  the disk had confirmed that record: it lost it all the same, or the file was cut")
    gone = [one for one in found.seals if one.pruned]
    if gone:
        click.echo(f"{found.first} older records pruned, in {_many(len(gone), 'segment')}; their roots:")
        for one in gone:
            days = f"{one.first_day} to {one.last_day}" if one.first_day else "no day"
            click.echo(f"  {one.segment}: {one.records} records, {days}, root {one.root}")
    sealed = len(found.seals) - len(gone)
    if sealed:
        click.echo(f"{_many(sealed, 'segment')} sealed, and as the seals say" if found.ok else f"{sealed} sealed")
    for problem in found.problems:
        count = f" and {problem.count - 1} more" if problem.count > 1 else ""
        # Of a segment that is gone as a whole there is no file to name, only records.
        where = f"{problem.segment}, byte {problem.offset}, " if problem.segment else ""
        click.echo(f"damage: {where}record {problem.record}{count}: {problem.what}")
    for note in found.notes:
        talk(f"note: {note}")
    if found.holder:
        talk(f"written at this moment by {found.holder}")
    click.echo("every byte is accounted for" if found.ok else _many(len(found.problems), "damaged place"))
    if found.ok:
        click.echo(f"head {found.head}")


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(sep=" ", timespec="seconds")


def _csv(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(value) if isinstance(value, list) else value


_MORE = ("batches", "batches_send", "by_hand", "cases", "check_hub", "picture", "present", "recover", "report", "seal")
for _module in (f"edusense.cli.meals_{name}" for name in _MORE):
    for _one in importlib.import_module(_module).COMMANDS:
        command.add_command(_one)
