"""`edusense status` and `edusense events`: the running box, asked through its socket."""

from __future__ import annotations

import datetime
import time
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.output import json_option, row, rows, site_option, talk
from edusense.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["events", "status"]


@click.command()
@site_option
@click.option("--watch", is_flag=True, help="Show it again every second, until Ctrl-C.")
@click.option("--live", is_flag=True, help="A table of the cameras that redraws itself every second, until Ctrl-C.")
@json_option
def status(site_path: str, watch: bool, live: bool, as_json: bool) -> None:
    """The state of the running box: itself, its cameras, its terminals, its ledger, the way to the hub.

    Exits with 4 when no box runs, with 0 otherwise: what is wrong stands in the rows. --live shows each camera's rate,
    packets lost, gate (its level as a share of where it fires, and how often pixels agreed with it), pictures looked
    at, and what is wrong in words; cameras in trouble come first where not all fit. Into a pipe it writes a line
    whenever something changes.

    \b
    Examples:
      edusense status
      edusense status --watch
      edusense status --live
      edusense status --json | jq 'select(.kind == "camera" and .state != "playing")'
    """
    import edusense

    if live and (watch or as_json):
        raise UsageError("`--live` is for people, and stands alone", hint="`--watch --json` is for programs")
    box = edusense.connect(site_path)
    if live:
        from edusense.cli.status_live import follow

        follow(box)
    while True:
        found = box.status()
        if watch and not as_json:
            click.clear()
        if as_json:
            for line in found:
                row(line, as_json=True)
        else:
            _table(found)
        if not watch:
            return
        time.sleep(1.0)


@click.command()
@site_option
@click.option(
    "--follow", "-f", is_flag=True, help="Go on with what happens, until Ctrl-C; survives a restart of the box."
)
@click.option(
    "--since",
    type=click.IntRange(min=0),
    metavar="CURSOR",
    help="Begin after this event's cursor; 0: with the oldest. Default: the oldest, with --follow the next.",
)
@click.option(
    "--kind", "kinds", multiple=True, metavar="KIND", help="Only this kind: motion, tap, camera, …. Repeatable."
)
@json_option
def events(site_path: str, follow: bool, since: int | None, kinds: Sequence[str], as_json: bool) -> None:
    """What happened at the running box, and with --follow what happens.

    Every line begins with a cursor. Give the last one you have dealt with to --since: nothing is lost and nothing comes
    twice, also when the box or the computer were restarted in between.

    \b
    Examples:
      edusense events --follow
      edusense events --kind tap --since 1790000000000
      edusense events --follow --kind motion --json | ./my-hook
    """
    import edusense

    box = edusense.connect(site_path)
    for event in box.events(since=since, follow=follow, kinds=kinds or None, reconnect=follow):
        if event["kind"] == "gap":
            talk(f"events up to {event['cursor']} have been deleted to make room")
            continue
        row(event, as_json=as_json, text=_sentence(event))


def _table(found: Sequence[Mapping[str, Any]]) -> None:
    of_kind = {
        kind: [line for line in found if line["kind"] == kind]
        for kind in ("box", "camera", "terminal", "ledger", "uplink", "alerts", "destination")
    }
    for box in of_kind["box"]:
        click.echo(
            f"box {box['site']}: {box['state']}, edusense {box['version']}, process {box['pid']}, up "
            f"{datetime.timedelta(seconds=round(box['uptime_s']))}, {box['cpu_s']:.1f} s CPU, "
            f"{box['rss_bytes'] / 1e6:.0f} MB"
        )
        if box.get("reason"):
            click.echo(f"  {box['reason']}")
    if of_kind["camera"]:
        up = sum(line["state"] == "playing" for line in of_kind["camera"])
        click.echo(f"\n{up} of {len(of_kind['camera'])} cameras up")
        rows([_camera(line) for line in of_kind["camera"]], _CAMERA, as_json=False)
    if of_kind["terminal"]:
        click.echo()
        rows([_terminal(line) for line in of_kind["terminal"]], _TERMINAL, as_json=False)
    for found_alerts in of_kind["alerts"]:
        _alerts(found_alerts, of_kind["destination"])
    for ledger in of_kind["ledger"]:
        click.echo(f"\nledger {ledger['path']}: {ledger['state']}, {ledger['records']} records")
        for key in ("reason", "roster"):
            if ledger.get(key):
                click.echo(f"  {ledger[key]}")
    for uplink in of_kind["uplink"]:
        _uplink(uplink)


def _uplink(found: Mapping[str, Any]) -> None:
    waiting = f"{found['waiting']} records wait" if found["waiting"] else "nothing waits"
    if found["oldest_s"] is not None:
        waiting += f", the oldest since {_moment(found['oldest_s'])}"
    click.echo(
        f"\nuplink to {found['url']}: {found['state']} since {_clock(found['since_s'])}, {waiting}; "
        f"{found['acknowledged']} signed for by the hub"
    )
    if found["reason"]:
        click.echo("  " + " · ".join(part for part in (found["reason"], found["hint"]) if part))
    for told in found.get("closed", ()):
        click.echo(f"  {told}")


def _alerts(found: Mapping[str, Any], destinations: Sequence[Mapping[str, Any]]) -> None:
    click.echo(
        f"\nalerts: {found['state']}, {found['open']} open, {found['unanswered']} unanswered, "
        f"{found['position']} entries in the case log"
    )
    if found["reason"]:
        click.echo(f"  {found['reason']}; {found['unkept']} findings wait in memory")
    if destinations:
        rows([_destination(line) for line in destinations], _DESTINATION, as_json=False)


_DESTINATION = ["destination", "state", "since", "delivered", "waiting", "reason"]


def _destination(line: Mapping[str, Any]) -> dict[str, Any]:
    waiting = [f"{line['waiting'][name]} {name}" for name in ("messages", "stills", "clips") if line["waiting"][name]]
    return {
        "destination": line["id"],
        "state": line["state"],
        "since": _clock(line["since_s"]),
        "delivered": line["delivered"],
        "waiting": ", ".join(waiting) or "nothing",
        "reason": " · ".join(part for part in (line["reason"], line["hint"]) if part),
    }


_CAMERA = ["camera", "room", "state", "kbit_s", "received", "looked_at", "decoded", "gate", "events", "last", "reason"]
_TERMINAL = ["terminal", "state", "reader", "granted", "refused", "bad_frames", "last", "reason"]


def _camera(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "camera": line["id"],
        "room": line["room"],
        "state": line["state"],
        "kbit_s": round(line["bitrate_kbit"]),
        "received": line["pictures_received"],
        "looked_at": line["pictures_looked_at"],
        "decoded": line["pictures_decoded"],
        "gate": line["gate"]["state"],
        "events": line["events"],
        "last": _clock(line["last_event_s"]),
        "reason": " · ".join(part for part in (line["reason"] or "", _hidden(line)) if part),
    }


def _hidden(line: Mapping[str, Any]) -> str:
    from edusense.cli.status_live import gate_trouble

    return gate_trouble(line["gate"]) if line["state"] == "playing" else ""


def _terminal(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "terminal": line["id"],
        "state": line["state"],
        "reader": line["reader"],
        "granted": line["granted"],
        "refused": ", ".join(f"{count} {reason}" for reason, count in line["refused"].items()) or 0,
        "bad_frames": _bad_frames(line.get("reader_stats")),
        "last": _clock(line["last_tap_s"]),
        "reason": line["reason"] or (line.get("reader_stats") or {}).get("suspicion") or "",
    }


def _bad_frames(stats: Mapping[str, Any] | None) -> str | None:
    """Frames that a reader sent damaged, of all: a worn cable shows here before a card is lost."""
    if not stats:
        return None
    good = stats["cards"] + stats["repeats"]
    bad = stats["bad_frames"]
    return f"{bad} of {good + bad}" + (f", {stats['noise_bytes']} stray bytes" if stats["noise_bytes"] else "")


def _clock(at_s: float | None) -> str | None:
    return None if at_s is None else datetime.datetime.fromtimestamp(at_s).astimezone().strftime("%H:%M:%S")


def _moment(at_s: float) -> str:
    return datetime.datetime.fromtimestamp(at_s).astimezone().strftime("%Y-%m-%d %H:%M")


def _sentence(event: Mapping[str, Any]) -> str:
    """An event for people: cursor, time, kind, then what matters of it."""
    match event["kind"]:
        case "motion":
            lasted = event["end_s"] - event["start_s"]
            when = f"{lasted:.1f} s from {_clock(event['start_s'])}"
            text = f"{event['camera']}  {when}, score {event['score']:.2f}, {event['id']}"
        case "motion-suspected" | "motion-confirmed" | "motion-withdrawn":
            text = f"{event['camera']}  since {_clock(event.get('start_s'))}, {event['id']}"
        case "tap":
            who = f"pupil {event['pupil']}" if event["pupil"] is not None else f"card {event['card']}"
            verdict = "granted" if event["granted"] else event["reason"]
            text = f"{event['terminal']}  {verdict}, {who}" + (f": {event['message']}" if event.get("message") else "")
        case "alert":
            told = [event["entry"], event.get("part"), event.get("answer"), event.get("destination"), event.get("by")]
            text = f"{event.get('case') or event.get('source')}  " + " ".join(str(part) for part in told if part)
        case "destination":
            text = f"{event['destination']}  {event['state']}" + (f": {event['reason']}" if event["reason"] else "")
        case "uplink":
            text = f"{event['state']}" + (f": {event['reason']}" if event.get("reason") else "")
        case "camera" | "reader":
            name = event.get("camera") or event.get("terminal")
            text = f"{name}  {event['state']}" + (f": {event['reason']}" if event.get("reason") else "")
        case _:
            shown = {
                key: value
                for key, value in event.items()
                if key not in ("cursor", "time_s", "kind") and value is not None
            }
            text = "  ".join(f"{key}={value}" for key, value in shown.items())
    return f"{event['cursor']}  {_clock(event['time_s'])}  {event['kind']:<16}  {text}"
