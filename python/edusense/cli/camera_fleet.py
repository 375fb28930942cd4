"""`edusense camera plan · apply · audit · set-time · reboot`: what cameras should be, and making them so."""

from __future__ import annotations

import contextlib
import fnmatch
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.output import json_option, progress, rows, site_option, talk
from edusense.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from edusense.fleet import Applied, Plan
    from edusense.site import Site

__all__ = [
    "COMMANDS",
    "bar_over",
    "confirm",
    "counting",
    "deadline_option",
    "journal_option",
    "many",
    "print_applied",
    "print_plan",
    "say_how_far",
    "site_of",
    "visit_option",
    "yes_option",
]

limit_option = click.option("--limit", metavar="GLOB", help="Only cameras whose id fits: '205-*'.")
visit_option = click.option(
    "--timeout",
    "visit_s",
    type=click.FloatRange(1, 3600),
    default=60.0,
    show_default=True,
    help="Seconds for each camera.",
)
deadline_option = click.option(
    "--deadline",
    "deadline_s",
    type=click.FloatRange(1, 86_400),
    help="Seconds for all cameras together; whoever was not asked by then is told as such.",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
journal_option = click.option(
    "--journal",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of journals; fleet/journal in the site's data folder by default.",
)


@click.command()
@limit_option
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Save the plan in this file: JSON.")
@click.option("--all", "whole", is_flag=True, help="Show also what is as it should be, or cannot be read.")
@visit_option
@deadline_option
@site_option
@json_option
def plan(
    limit: str | None,
    out: Path | None,
    whole: bool,
    visit_s: float,
    deadline_s: float | None,
    site_path: str,
    as_json: bool,
) -> int:
    """Show what each camera is and what it should be. Changes nothing.

    What it should be stands in its template (`template` in the site file), with the site's own values. Exit status 1:
    something differs, or a camera could not be asked.

    \b
    Examples:
      edusense camera plan
      edusense camera plan --limit '205-*' --out plan.json
      edusense camera plan --json | jq -r 'select(.action == "change").setting'
    """
    from edusense import fleet

    site = site_of(site_path)
    with bar_over(site, [limit or "*"], "reading") as told:
        made = fleet.plan(site, limit=limit, visit_s=visit_s, deadline_s=deadline_s, progress=told)
    if out is not None:
        made.save(out)
    if as_json:
        rows(made.rows(), [], as_json=True)
    else:
        print_plan(made, whole=whole)
        if out is not None:
            talk(f"saved: `edusense camera apply --plan {out}` carries it out")
    return 1 if any(one.problem or one.drifted for one in made.cameras) else 0


def print_plan(made: Plan, *, whole: bool = False, to_stderr: bool = False) -> None:
    """Prints a plan: a line for each change, or for everything, and a summary."""
    shown = ("change", "cannot", "problem") if not whole else None
    table = [
        {
            "camera": row["camera"],
            "setting": row["setting"],
            "is": _short(row["actual"]),
            "should_be": _short(row["desired"]),
            "will_be": _short(row["planned"]) if row["action"] == "change" else None,
            "action": row["action"],
            "note": row["note"],
        }
        for row in made.rows()
        if shown is None or row["action"] in shown
    ]
    columns = ["camera", "setting", "is", "should_be", "will_be", "action", "note"]
    with contextlib.redirect_stdout(sys.stderr) if to_stderr else contextlib.nullcontext():
        rows(table, columns, as_json=False, empty="every camera is as it should be")
    counted = Counter(one.action for camera in made.cameras for one in camera.settings)
    problems = sum(camera.problem is not None for camera in made.cameras)
    said = [many(len(made.cameras), "camera"), f"{many(counted['change'], 'setting')} to change"]
    if counted["cannot"]:
        said.append(f"{counted['cannot']} that the camera cannot do")
    if counted["unknown"] and not whole:
        said.append(f"{counted['unknown']} that cannot be read (--all shows them)")
    if problems:
        said.append(f"{many(problems, 'camera')} could not be asked")
    talk(", ".join(said))


def _short(value: Any) -> str | None:
    """A value in few words: sizes as 640x360."""
    if isinstance(value, list) and len(value) == 2 and all(isinstance(part, int) for part in value):
        return f"{value[0]}x{value[1]}"
    if value == []:
        return "from DHCP"
    if isinstance(value, list):
        return " ".join(str(part) for part in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return "(empty)" if value == "" else None if value is None else str(value)


def many(count: int, what: str) -> str:
    """A number and what it counts.

    >>> many(1, "camera"), many(2, "camera")
    ('1 camera', '2 cameras')
    """
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


@click.command()
@click.option(
    "--plan",
    "plan_path",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Carry out this plan, as saved and reviewed, instead of a new one.",
)
@click.option(
    "--canary", type=click.IntRange(0), default=0, metavar="N", help="N cameras first; go on only when all do as told."
)
@click.option(
    "--max-failed",
    default="20%",
    show_default=True,
    metavar="N%",
    help="Begin no further camera once more of them than this did not do as they were told.",
)
@limit_option
@click.option("--reboot", is_flag=True, help="Restart a camera that has not taken a setting, and look again.")
@yes_option
@journal_option
@visit_option
@deadline_option
@site_option
@json_option
def apply(
    plan_path: Path | None,
    canary: int,
    max_failed: str,
    limit: str | None,
    reboot: bool,
    yes: bool,
    journal: Path | None,
    visit_s: float,
    deadline_s: float | None,
    site_path: str,
    as_json: bool,
) -> int:
    """Make cameras what they should be, and read back what came of it.

    The plan is shown first, and done only after a yes. Of each setting one of six outcomes is told: changed, unchanged,
    refused, accepted-but-not-applied, pending-reboot, unreachable-after. Exit status 1: not everything is as it should
    be. Broken off, the same command goes on where it stopped.

    \b
    Examples:
      edusense camera apply --canary 3
      edusense camera apply --plan plan.json --limit '205-*' --yes
    """
    from edusense import fleet

    share = _share(max_failed)
    site = site_of(site_path)
    if plan_path is not None:
        made = fleet.Plan.load(plan_path, site)
    else:
        with bar_over(site, [limit or "*"], "reading") as told:
            made = fleet.plan(site, limit=limit, visit_s=visit_s, deadline_s=deadline_s, progress=told)
    fitting = [one for one in made.cameras if limit is None or fnmatch.fnmatchcase(one.camera, limit)]
    shown = fleet.Plan(site, fitting, made.made_s)
    print_plan(shown, to_stderr=True)
    if shown.changes:
        confirm(f"set {many(shown.changes, 'setting')}?", yes=yes)
    with counting(sum(bool(one.changes) for one in fitting), "setting") as told:
        try:
            done = fleet.apply(
                made,
                canary=canary,
                max_failed=share,
                limit=limit,
                reboot=reboot,
                visit_s=visit_s,
                deadline_s=deadline_s,
                journal=journal,
                progress=told,
            )
        except KeyboardInterrupt:
            more = f" --plan {plan_path}" if plan_path else ""
            say_how_far(shown, made, journal, f"edusense camera apply{more}")
            raise
    if any(one.address is not None for one in done):
        fleet.remember_addresses(site, done)
        talk(f"{site.path}: the new addresses are in it")
    return print_applied(done, as_json=as_json)


def say_how_far(shown: Plan, made: Plan, journal: Path | None, again: str) -> None:
    """What a broken-off apply has done, as the journals have it; who is being set at this moment is let finish."""
    from edusense import fleet

    folder = journal or made.site.data_folder() / "fleet" / "journal"
    far = fleet.progress_of(folder, made.id, [one.camera for one in shown.cameras if one.changes])
    said = f"broken off: {many(len(far.done), 'camera')} set and read back, {len(far.untouched)} not begun"
    if far.interrupted:
        some = ", ".join(far.interrupted[:8]) + (" …" if len(far.interrupted) > 8 else "")
        said += f", {len(far.interrupted)} in the middle of it ({some})"
    talk(said)
    talk(f"`{again}` goes on from here")


def _share(said: str) -> float:
    """A share of all, 0 to 1."""
    try:
        value = float(said.removesuffix("%")) / 100
    except ValueError:
        value = -1.0
    if not said.endswith("%") or not 0 <= value <= 1:
        raise UsageError(f"`{said[:20]}` is no share of the cameras", hint="--max-failed 20%; 100% never stops")
    return value


def print_applied(done: list[Applied], *, as_json: bool) -> int:
    """Prints what came of each setting, and a summary by outcome; the exit status."""
    rows(
        [one.to_json() for one in done] if as_json else [_applied_row(one) for one in done],
        ["camera", "setting", "was", "should_be", "is", "outcome", "note"],
        as_json=as_json,
        empty="nothing to do",
    )
    counted = Counter(one.outcome or "not tried" for one in done)
    if done:
        talk(", ".join(f"{count} {outcome}" for outcome, count in counted.most_common()))
    return 0 if counted.keys() <= {"changed", "unchanged"} else 1


def _applied_row(one: Applied) -> dict[str, Any]:
    return {
        "camera": one.camera,
        "setting": one.setting,
        "was": _short(one.before),
        "should_be": _short(one.desired),
        "is": _short(one.after),
        "outcome": one.outcome or "not tried",
        "note": one.note,
    }


@click.command()
@limit_option
@visit_option
@deadline_option
@site_option
@json_option
def audit(limit: str | None, visit_s: float, deadline_s: float | None, site_path: str, as_json: bool) -> int:
    """Compare every camera with what it should be: a line each. Changes nothing.

    Exit status 1: a camera has drifted, or could not be asked.

    \b
    Examples:
      edusense camera audit
      edusense camera audit --json | jq -r 'select(.state == "drifted").camera'
    """
    from edusense import fleet

    site = site_of(site_path)
    with bar_over(site, [limit or "*"], "reading") as told:
        found = fleet.audit(site, limit=limit, visit_s=visit_s, deadline_s=deadline_s, progress=told)
    table = [
        {
            "camera": one.camera,
            "state": one.state,
            "differs": ", ".join(f"{each['setting']} {_short(each['actual'])}" for each in one.drifted) or None,
            "note": one.note,
        }
        for one in found
    ]
    rows(
        [one.to_json() for one in found] if as_json else table,
        ["camera", "state", "differs", "note"],
        as_json=as_json,
        empty="the site file has no cameras",
    )
    counted = Counter(one.state for one in found)
    if found:
        unread = len({name for one in found for name in one.unknown})
        more = [f"{many(unread, 'setting')} that cannot be read (`camera plan --all` shows them)"] if unread else []
        talk(", ".join([f"{count} {state}" for state, count in counted.most_common()] + more))
    return 0 if all(one.well for one in found) else 1


@click.command("set-time")
@click.argument("cameras", nargs=-1, required=True, metavar="CAMERA...")
@yes_option
@journal_option
@visit_option
@site_option
@json_option
def set_time(
    cameras: tuple[str, ...], yes: bool, journal: Path | None, visit_s: float, site_path: str, as_json: bool
) -> int:
    """Set the clocks of cameras to this machine's. Those that follow NTP go on doing so.

    A camera is named by its id, or several by a pattern. Exit status 1: a clock is still off.

    \b
    Examples:
      edusense camera set-time 205-front
      edusense camera set-time '*' --yes
    """
    from edusense import fleet

    site = site_of(site_path)
    confirm(f"set the clock of {' '.join(cameras)}?", yes=yes)
    with bar_over(site, cameras, "reading") as told:
        done = fleet.set_time(site, cameras, visit_s=visit_s, journal=journal, progress=told)
    return print_applied(done, as_json=as_json)


@click.command()
@click.argument("cameras", nargs=-1, required=True, metavar="CAMERA...")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(1, 3600),
    default=180.0,
    show_default=True,
    help="Seconds to wait for each.",
)
@yes_option
@site_option
@json_option
def reboot(cameras: tuple[str, ...], wait_s: float, yes: bool, site_path: str, as_json: bool) -> int:
    """Restart cameras and wait until they answer again.

    Exit status 1: one is not back, or was not seen to go.

    \b
    Examples:
      edusense camera reboot 205-front
      edusense camera reboot '205-*' --yes --wait 300
    """
    from edusense import fleet

    site = site_of(site_path)
    confirm(f"restart {' '.join(cameras)}?", yes=yes)
    with bar_over(site, cameras, "restarting") as told:
        done = fleet.reboot(site, cameras, wait_s=wait_s, progress=told)
    rows([one.to_json() for one in done], ["camera", "state", "seconds", "note"], as_json=as_json)
    return 0 if all(one.state == "back" for one in done) else 1


def site_of(path: str) -> Site:
    """The site file."""
    from edusense.site import Site

    return Site.load(path)


def confirm(question: str, *, yes: bool) -> None:
    """Asks at a terminal; elsewhere nobody can answer, so that `--yes` must have been said."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} nobody is here to say yes", hint="--yes says so beforehand")
    if not click.confirm(question, err=True):
        raise click.Abort


@contextlib.contextmanager
def bar_over(site: Site, patterns: Iterable[str], label: str) -> Iterator[Callable[[int, int], None]]:
    """Progress over the cameras that fit one of the patterns."""
    wanted = list(patterns)
    count = sum(any(fnmatch.fnmatchcase(one.id, pattern) for pattern in wanted) for one in site.cameras)
    with counting(count, label) as told:
        yield told


@contextlib.contextmanager
def counting(total: int, label: str) -> Iterator[Callable[[int, int], None]]:
    """Progress over so many things."""
    with progress(total, label) as bar:
        yield lambda _done, _of: bar.update(1)


COMMANDS: Iterable[click.Command] = (plan, apply, audit, set_time, reboot)
"""What `edusense camera` has of these."""
