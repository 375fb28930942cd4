"""`edusense alerts`: cases, where they went, answers to them, and a walk along the whole way."""

from __future__ import annotations

import datetime
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edusense.cli.alerts_check import check
from edusense.cli.alerts_silence import silence, silences, unsilence
from edusense.cli.exports import record_export
from edusense.cli.output import json_option, row, rows, site_option, talk
from edusense.errors import BoxNotRunningError, PermissionDeniedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["command"]

WITHIN_S: Final = 30.0


@click.group(name="alerts")
def command() -> None:
    """Alerts: list them, show where they went, answer them, silence a place, test the way, check a centre.

    \b
    Examples:
      edusense alerts list --open
      edusense alerts acknowledge 17 --by "А. Серикова"
      edusense alerts test attic-door
    """


@command.command(name="list")
@site_option
@click.option("--open", "open_only", is_flag=True, help="Only those that nobody has closed.")
@click.option("--most", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many, newest first.")
@json_option
def list_(site_path: str, open_only: bool, most: int, as_json: bool) -> None:
    """The newest cases, the newest first; also where the box does not run.

    \b
    Examples:
      edusense alerts list --open
      edusense alerts list --json | jq 'select(.state == "new")'
    """
    with _Cases(site_path) as cases:
        found = cases.newest(open_only, most)
    shown = found if as_json else [_line(case) for case in found]
    rows(shown, _COLUMNS, as_json=as_json, empty="no open cases" if open_only else "no cases")


@command.command()
@click.argument("case")
@site_option
@click.option("--still", metavar="FILE", type=click.Path(dir_okay=False), help="Also write its picture there.")
@click.option("--clip", metavar="FILE", type=click.Path(dir_okay=False), help="Also write its clip there.")
@json_option
def show(case: str, site_path: str, still: str | None, clip: str | None, as_json: bool) -> None:
    """One case: what was found, who answered, and where each part of it went.

    CASE is its number, its id, or the beginning of its id.

    \b
    Examples:
      edusense alerts show 17
      edusense alerts show attic-door-15dgewu --still /tmp/17.jpg
    """
    with _Cases(site_path) as cases:
        found = cases.show(case)
        for part, where in (("still", still), ("clip", clip)):
            if where is not None:
                _write(Path(where), cases.file(case, part))
    if as_json:
        for line in found:
            row(line, as_json=True)
        return
    _shown(found)


@command.command()
@click.argument("case")
@site_option
@click.option("--by", required=True, help="Who answers.")
@click.option(
    "--as",
    "answer",
    default="seen",
    show_default=True,
    type=click.Choice(["seen", "taken", "closed", "false"]),
    help="What you say: you saw it, you act on it, it is over, it was a false alarm.",
)
@click.option("--note", help="In your own words.")
@json_option
def acknowledge(case: str, site_path: str, by: str, answer: str, note: str | None, as_json: bool) -> None:
    """Answer a case: it stands in the case log, and everybody who was told hears it.

    CASE is its number, its id, or the beginning of its id.

    \b
    Examples:
      edusense alerts acknowledge 17 --by "А. Серикова"
      edusense alerts acknowledge 17 --by "А. Серикова" --as closed --note "the electrician"
    """
    import edusense

    done = edusense.connect(site_path).answer(case, answer, by=by, note=note)
    row(
        done, as_json=as_json, text=f"case {done['number']} ({done['case']}): {done['state']}, by {done['answered_by']}"
    )


@command.command()
@click.argument("zone")
@site_option
@click.option(
    "--within",
    "within_s",
    default=WITHIN_S,
    show_default=True,
    type=click.FloatRange(1, 600),
    help="How long to wait for the last hop, in seconds.",
)
@json_option
def test(zone: str, site_path: str, within_s: float, as_json: bool) -> None:
    """Walk the whole way of an alert of ZONE with one that is marked as a test, and time each hop.

    The test alert is closed again when it has arrived. Exits with 1 where a hop is missing.

    \b
    Examples:
      edusense alerts test attic-door
    """
    import edusense

    box = edusense.connect(site_path)
    since = box.hello()["cursor"]
    begun_s = time.time()
    case = box.test_alert(zone)
    missing: list[str] = []
    for hop in _hops(box, case, since, begun_s, within_s, missing):
        row(hop, as_json=as_json, text=f"{hop['after_s']:8.3f} s  {hop['hop']:<28} {hop['told']}")
    box.answer(case["case"], "closed", by="edusense alerts test")
    if missing:
        talk(f"not within {within_s:g} s: {', '.join(missing)}; `edusense status` says how the destinations are")
        sys.exit(1)
    if not case["destinations"]:
        talk(f"zone `{zone}` names no destination: its alerts are shown at the school alone")


@command.command()
@site_option
@json_option
def verify(site_path: str, as_json: bool) -> None:
    """Follow the case log's chain from its first entry: nothing was altered, removed or inserted.

    Exits with 6 where it was; the message names the entry.

    \b
    Examples:
      edusense alerts verify
    """
    from edusense.alerts.database import Database
    from edusense.site import Site

    folder = Site.load(site_path).data_folder() / "alerts"
    database = Database(_there(folder), read_only=True)
    try:
        position, head = database.verify()
    finally:
        database.close()
    told = {"ok": True, "entries": position, "head": head.hex()}
    row(told, as_json=as_json, text=f"{position} entries, each follows from those before it; head {head.hex()}")


for _more in (check, silence, silences, unsilence):
    command.add_command(_more)


class _Cases:
    """The cases of a site: asked of the box, or read from its database where none runs."""

    def __init__(self, site_path: str) -> None:
        import edusense

        self._desk: Any = None
        self._site_path = site_path
        try:
            self._box: Any = edusense.connect(site_path)
        except BoxNotRunningError:
            from edusense.alerts import Desk
            from edusense.alerts.database import Database
            from edusense.site import Site

            self._box = None
            site = Site.load(site_path)
            self._desk = Desk(Database(_there(site.data_folder() / "alerts"), read_only=True), site)

    def __enter__(self) -> _Cases:
        return self

    def __exit__(self, *_: object) -> None:
        if self._desk is not None:
            self._desk.database.close()

    def newest(self, open_only: bool, most: int) -> list[dict[str, Any]]:
        if self._box is not None:
            found: list[dict[str, Any]] = self._box.cases(open_only=open_only, most=most)
            return found
        return [{"kind": "case", **case.to_json()} for case in self._desk.cases(open_only=open_only, most=most)]

    def show(self, name: str) -> list[dict[str, Any]]:
        if self._box is not None:
            found: list[dict[str, Any]] = self._box.case(name)
            return found
        case = self._desk.find(name)
        return [
            {"kind": "case", **case.to_json()},
            *({"kind": "entry", **entry} for entry in self._desk.history(case.case)),
            *({"kind": "hop", **hop} for hop in self._desk.outbox.hops(case.case)),
        ]

    def file(self, name: str, part: str) -> bytes:
        if self._box is not None:
            content: bytes = self._box.case_file(name, part)
            return content
        found = self._desk.outbox.attachment(self._desk.find(name).case, part)
        if found is None:
            raise PermissionDeniedError(f"case `{name}` has no {part}", hint="it was not made, or was deleted")
        content = bytes(found.path.read_bytes())
        record_export(self._site_path, part, name, f"case {name}")
        return content


def _there(folder: Path) -> Path:
    if not (folder / "cases.sqlite").exists():
        raise BoxNotRunningError(
            f"no box answers, and there are no cases in `{folder}`", hint="start it with `edusense run`"
        )
    return folder


def _write(path: Path, content: bytes) -> None:
    import os

    try:
        # People are on it: as the box keeps it, so it is written.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640), "wb") as file:
            file.write(content)
    except OSError as error:
        raise PermissionDeniedError(
            f"`{path}` cannot be written: {error.strerror}", hint="name another file"
        ) from error


_COLUMNS: Final = ["number", "state", "severity", "found", "where", "since", "count", "answered_by"]


def _line(case: Mapping[str, Any]) -> dict[str, Any]:
    place = " · ".join(dict.fromkeys(part for part in (case["room"], case["zone"], case["camera"]) if part))
    return {
        "number": case["number"],
        "state": case["state"] + (" (test)" if case["test"] else ""),
        "severity": case["severity"],
        "found": case["finding"],
        "where": place,
        "since": _when(case["start_s"]),
        "count": case["count"],
        "answered_by": case["answered_by"],
    }


def _when(at_s: float) -> str:
    return datetime.datetime.fromtimestamp(at_s).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _clock(at_s: float) -> str:
    return datetime.datetime.fromtimestamp(at_s).astimezone().strftime("%H:%M:%S.%f")[:-3]


def _shown(found: Sequence[Mapping[str, Any]]) -> None:
    case = found[0]
    test = ", a test" if case["test"] else ""
    click.echo(f"case {case['number']}: {case['finding']}, {case['severity']}, {case['state']}{test}")
    click.echo(f"  id         {case['case']}")
    click.echo(f"  where      {_line(case)['where'] or '-'}")
    click.echo(f"  began      {_when(case['start_s'])} ± {case['clock_error_s']:.1f} s, {case['count']} findings")
    click.echo(f"  by rule    {case['rule']} {case['version']}, confidence {case['confidence']:.2f}")
    if case["text"]:
        click.echo(f"  text       {case['text']}")
    for name, told in case["attachments"].items():
        click.echo(f"  {name:<10} {told['bytes'] / 1000:.0f} kB {told['media_type']}")
    click.echo("\nwhat happened")
    for entry in found:
        if entry["kind"] == "entry":
            click.echo(f"  {_clock(entry['at_s'])}  {_told(entry)}")
    hops = [hop for hop in found if hop["kind"] == "hop"]
    if hops:
        click.echo("\nwhere it went")
        rows(
            [
                {
                    **hop,
                    "part": hop["part"] if not hop["part"].isdigit() else f"message {hop['part']}",
                    "after_s": None if hop["settled_s"] is None else round(hop["settled_s"] - hop["created_s"], 3),
                }
                for hop in hops
            ],
            ["destination", "part", "state", "attempts", "after_s", "reason"],
            as_json=False,
        )


def _told(entry: Mapping[str, Any]) -> str:
    match entry["entry"]:
        case "answer":
            note = f": {entry['note']}" if entry.get("note") else ""
            return f"{entry['answer']} by {entry['by']} ({entry['via']}){note}"
        case "sent":
            return f"{entry['part']} is at {entry['destination']}"
        case "attached":
            told = entry["attachment"]
            return f"{told['name']}, {told['bytes'] / 1000:.0f} kB"
        case "opened" | "again":
            return f"{entry['entry']}: {entry['finding']['kind']}"
        case "escalated":
            return f"nobody answered in time: {entry['severity']} now, told: {', '.join(entry['told']) or 'nobody'}"
        case "refused" | "expired":
            return f"{entry['part']} {entry['entry']} at {entry['destination']}: {entry['reason']}"
        case _:
            return str(entry["entry"])


def _hops(
    box: Any, case: Mapping[str, Any], since: int, begun_s: float, within_s: float, missing: list[str]
) -> Iterator[dict[str, Any]]:
    """The hops of a test alert as they happen; what is missing at the end is added to `missing`."""

    def hop(name: str, told: str, at_s: float) -> dict[str, Any]:
        return {"case": case["case"], "hop": name, "told": told, "at_s": at_s, "after_s": round(at_s - begun_s, 3)}

    yield hop("on the disk", f"case {case['number']}, {case['case']}", max(begun_s, case["opened_s"]))
    wanted = {f"{name}: message" for name in case["destinations"]} | {"still"}
    seen: set[str] = set()
    until = time.monotonic() + within_s
    while wanted - seen and time.monotonic() < until:
        for event in box.events(since=since, kinds=["alert"]):
            since = max(since, event["cursor"])
            if event.get("case") != case["case"]:
                continue
            match event["entry"]:
                case "attached":
                    yield hop(event["part"], "made, on the disk", event["time_s"])
                    seen.add(event["part"])
                    if event["part"] == "still":
                        wanted |= {f"{name}: still" for name in _with_stills(box, case)}
                case "sent" | "refused" | "expired":
                    name = f"{event['destination']}: {event['part']}"
                    yield hop(name, event.get("reason", "delivered"), event["time_s"])
                    if event["entry"] == "sent":
                        seen.add(name)
        time.sleep(0.02)
    missing += sorted(wanted - seen)


def _with_stills(box: Any, case: Mapping[str, Any]) -> list[str]:
    """The destinations that get the picture, whether it is there by now or not."""
    return [row["destination"] for row in box.case(case["case"]) if row["kind"] == "hop" and row["part"] == "still"]
