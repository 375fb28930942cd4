"""`edusense reader enrol`: card after card to child after child."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.output import json_option, row, site_option, talk
from edusense.cli.reader_address import reader_address, site_readers

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator, Sequence

    from edusense.devices import Card, ReaderChange
    from edusense.meals import Roster, RosterStore
    from edusense.meals.enrolment import Enrolment, Step
    from edusense.meals.pupil import Pupil
    from edusense.site import Site

__all__ = ["enrol"]

_WORDS = "undo, skip, quit; a child's number or name; a card's number"


@click.command("enrol")
@click.argument("reader", required=False)
@click.option(
    "--roster", "file", type=click.Path(dir_okay=False), help="A list (CSV) whose column `cards` is filled in."
)
@click.option("--out", type=click.Path(dir_okay=False), help="Write the list there, and leave FILE as it is.")
@click.option("--class", "form", metavar="CLASS", help="Only this class.")
@click.option("--everybody", is_flag=True, help="Also children who have a card.")
@click.option("--replace", is_flag=True, help="A new card takes the place of those that the child has.")
@click.option(
    "--scanner", metavar="READER", help="A scanner that reads children's numbers off a paper list: address or id."
)
@click.option(
    "--sheet",
    type=click.Path(dir_okay=False),
    help="Write a page to print there, with each child's number as a bar code, and give no card.",
)
@click.option("--timeout", type=click.FloatRange(0), metavar="SECONDS", help="Stop when nothing happens for so long.")
@site_option
@json_option
def enrol(
    reader: str | None,
    file: str | None,
    out: str | None,
    form: str | None,
    everybody: bool,
    replace: bool,
    scanner: str | None,
    sheet: str | None,
    timeout: float | None,
    site_path: str,
    as_json: bool,
) -> int:
    """Gives cards to children: it names a child, a card is laid on the reader, and the next child is named.

    READER is an address or a reader's id in the site file; without it, the site's only reader. Each card is written
    down at once: into the list of --roster, or, without that, to the site's roster, where it is good at once.
    A card that is another's, or nobody's for ever, is refused at once, by name.

    Typed or scanned lines choose the child by number or name, or are a card's number: a scanner goes through a paper
    list with bar codes (--sheet makes one) in any order. `undo` takes the last card back, `skip` puts a child at the
    end, `quit` ends.

    Exit status 1: children are left without a card.

    \b
    Examples:
      edusense reader enrol rdm6300:/dev/ttyUSB0 --roster october.csv --class 4Б
      edusense reader enrol canteen-left --site school.toml --everybody --replace
      edusense reader enrol --roster october.csv --class 4Б --sheet 4b.html
      edusense reader enrol ccid: --roster october.csv --scanner scanner:/dev/ttyACM0 --out with-cards.csv
    """
    from edusense.errors import UsageError

    if out is not None and file is None:
        raise UsageError("--out belongs to --roster", hint="without --roster the site's own roster is filled in")
    if sheet is not None:
        _print(file, sheet, form, site_path, everybody=everybody)
        return 0
    wanted = [_reader(reader, site_path)] + ([reader_address(scanner, site_path)] if scanner else [])
    with _roster(file, out, site_path) as (roster, keeper):
        from edusense.meals.enrolment import Enrolment

        work = Enrolment(roster, keeper, form=form, everybody=everybody, replace=replace)
        return _Session(work, wanted, as_json=as_json).run(timeout)


def _print(file: str | None, sheet: str, form: str | None, site_path: str, *, everybody: bool) -> None:
    """Writes the page with the bar codes of those who are due."""
    from edusense.errors import PermissionDeniedError, UsageError
    from edusense.meals.enrolment import Enrolment
    from edusense.meals.paper_list import paper_list

    with _roster(file, None, site_path) as (roster, keeper):
        due = Enrolment(roster, keeper, form=form, everybody=everybody).due
    try:
        Path(sheet).write_text(paper_list(due, form or Path(file or site_path).stem), encoding="utf-8")
    except PermissionError:
        raise PermissionDeniedError(f"`{sheet}` may not be written", hint="give a path of your own") from None
    except OSError as error:
        raise UsageError(f"`{sheet}` cannot be written: {error.strerror}", hint="does its folder exist?") from None
    talk(f"{sheet}: {len(due)} children; print it, and scan with --scanner")


def _reader(reader: str | None, site_path: str) -> str:
    from edusense.errors import UsageError

    if reader is not None:
        return reader_address(reader, site_path)
    known = site_readers(site_path)
    if len(known) != 1:
        some = ", ".join(found.id for found in known)
        raise UsageError(
            f"`{site_path}` has {len(known) or 'no'} readers: which one?" if known else "no reader was named",
            hint=f"one of {some}" if known else "`edusense reader ports` shows addresses",
        )
    return known[0].address


@contextlib.contextmanager
def _roster(file: str | None, out: str | None, site_path: str) -> Iterator[tuple[Roster, Any]]:
    """The list, and where cards are written down."""
    from edusense.meals import Roster

    if file is not None:
        yield Roster.load(file), _ListFile(Path(file), Path(file if out is None else out))
        return
    from edusense.cli.roster import roster_path
    from edusense.errors import RosterError
    from edusense.meals.of_site import open_store, take_file, today
    from edusense.site import Site

    site = Site.load(site_path)
    path, day = roster_path(site), today(site)
    with open_store(site) as store:
        if path.exists():
            take_file(site, store, day)
        roster = store.book().on(day)
        if roster is None:
            raise RosterError("no list is in force", hint="`edusense roster import FILE` brings one")
        yield roster, _SiteRoster(site, store, day)


class _ListFile:
    """A list whose column of cards is filled in."""

    def __init__(self, path: Path, out: Path) -> None:
        from edusense.errors import RosterError

        try:
            self._raw = path.read_bytes()
        except OSError as error:
            raise RosterError(f"the roster `{path}` cannot be read: {error.strerror}") from None
        self._out = out
        self._changed: dict[int, Sequence[Card]] = {}

    def keep(self, pupil: int, before: Sequence[Card], after: Sequence[Card]) -> None:
        """Writes the whole list: it is small, and each moment it is whole."""
        from edusense.meals.list_file import replace_file, with_cards

        changed = {**self._changed, pupil: after}
        replace_file(self._out, with_cards(self._raw, changed))
        self._changed = changed


class _SiteRoster:
    """The site's roster: a card is good as soon as it is given."""

    def __init__(self, site: Site, store: RosterStore, day: datetime.date) -> None:
        from edusense.cli.roster import me

        self._store, self._day, self._me = store, day, me()

    def keep(self, pupil: int, before: Sequence[Card], after: Sequence[Card]) -> None:
        """Notes what was given, and what was taken back."""
        for what, cards, others in (("given", after, before), ("returned", before, after)):
            for card in cards:
                if card not in others:
                    self._store.cards.change(
                        card, pupil, what, day=self._day, by=self._me, at=self._store.clock(), note="enrolment"
                    )


class _Session:
    """Cards, scanned codes and typed lines from their threads, one after another."""

    def __init__(self, work: Enrolment, addresses: Sequence[str], *, as_json: bool) -> None:
        import queue

        from edusense.devices import reconnecting

        self._work, self._as_json = work, as_json
        self._heard: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._readers = [reconnecting(address) for address in addresses]

    def run(self, timeout: float | None) -> int:
        """Until everybody has a card, somebody says `quit`, or nothing happens any more."""
        import queue
        import threading

        for place in range(len(self._readers)):
            threading.Thread(target=self._pump, args=(place,), daemon=True, name=f"enrol-{place}").start()
        threading.Thread(target=self._lines, daemon=True, name="enrol-lines").start()
        talk(f"{self._work.left} children are due; lay cards down, or type {_WORDS}")
        self._name_next()
        try:
            while True:
                try:
                    if not self._take(*self._heard.get(timeout=timeout)):
                        break
                except queue.Empty:
                    break
        finally:
            for reader in self._readers:
                reader.close()
        left = self._work.left
        talk(f"{self._work.enrolled} cards given" + (f"; {left} children are left without one" if left else ""))
        return 1 if left else 0

    def _take(self, place: int, what: Any) -> bool:
        """Takes one thing that happened; whether to go on."""
        from edusense.devices import Card
        from edusense.errors import EdusenseError, RosterError, UsageError

        if isinstance(what, EdusenseError):
            raise what
        if not isinstance(what, (Card, str)):
            self._change(place, what)
            return True
        if isinstance(what, str) and what.lower() in ("quit", "q", "exit"):
            return False
        try:
            done = self._meaning(what)
        except (UsageError, RosterError) as error:
            # Nothing was written down: the child is still due.
            talk(f"error: {error.message}" + (f"\nhint: {error.hint}" if error.hint else ""))
            self._show(place, granted=False)
            return True
        if done is not None:
            self._told(done)
            if isinstance(what, Card):
                self._show(place, granted=done.what == "enrolled")
            if done.what == "refused":
                return True
        if not self._work.left:
            return False
        self._name_next()
        return True

    def _meaning(self, what: Card | str) -> Step | None:
        """What becomes of a card or a line; None where only the child changes."""
        from edusense.meals.enrolment import Step

        if not isinstance(what, str):
            if what.technology != "token":
                return self._work.lay(what)
            what = what.id
        match what.lower():
            case "undo" | "u":
                return self._work.undo()
            case "skip" | "s":
                self._work.skip()
                return None
        found = self._work.typed(what)
        return found if isinstance(found, Step) else None

    def _told(self, step: Step) -> None:
        pupil = step.pupil
        value = {
            "kind": step.what,
            "pupil": None if pupil is None else pupil.number,
            "name": None if pupil is None else pupil.name,
            "class": None if pupil is None else pupil.form,
            "card": None if step.card is None else str(step.card),
            "cards": [] if pupil is None else [str(card) for card in self._work.cards[pupil.number]],
            "others": list(step.others),
            "text": step.text,
            "hint": step.hint,
            "left": self._work.left,
        }
        row(value, as_json=self._as_json, text=f"{step.what}  {step.text}" + (f"  ({step.hint})" if step.hint else ""))

    def _name_next(self) -> None:
        pupil = self._work.current
        if pupil is not None:
            talk(f"next: {_named(pupil)}   ({self._work.left} to go)")

    def _show(self, place: int, *, granted: bool) -> None:
        from edusense.errors import DeviceError

        with contextlib.suppress(DeviceError):
            self._readers[place].signal(granted)

    def _change(self, place: int, change: ReaderChange) -> None:
        from edusense.errors import class_of

        reader = self._readers[place]
        if change.state == "connected":
            talk(f"{reader.address}: ready")
        elif change.attempt == 1 and not reader.was_connected and change.code is not None:
            raise class_of(change.code)(change.reason or "", hint=change.hint)
        else:
            talk(f"{reader.address}: {change.reason}; next try in {change.retry_s:g} s")

    def _pump(self, place: int) -> None:
        from edusense.errors import EdusenseError

        try:
            for event in self._readers[place]:
                self._heard.put((place, event))
        except EdusenseError as error:
            self._heard.put((place, error))

    def _lines(self) -> None:
        with contextlib.suppress(ValueError, OSError):  # a closed stdin
            for line in sys.stdin:
                if line.strip():
                    self._heard.put((0, line.strip()))


def _named(pupil: Pupil) -> str:
    return "  ".join(part for part in (str(pupil.number), pupil.name, pupil.form) if part)
