"""`edusense bench run`, `show`, `profiles`, `cases` and `case`: plans, their reports, and single cases."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edusense.cli.output import json_option, row, rows, talk
from edusense.errors import BenchPlanError, PermissionDeniedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edusense.bench.folder import Folder
    from edusense.bench.plan import Plan
    from edusense.bench.plan_models import Device
    from edusense.bench.report_models import Report

__all__ = ["case", "cases", "profiles", "run", "show"]

_FIGURES: Final = ("key", "what", "median", "unit", "least", "most", "spread", "runs", "busy_runs", "peer", "ratio")
_LIMITS: Final = ("outcome", "key", "what", "limit", "measured")


def device_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--disk`, `--camera`, `--reader`, `--user` and `--password-from`: devices besides a plan's own."""
    for option in reversed(
        (
            click.option("--disk", metavar="DIR", help="A folder on the disk to measure.  [default: the report's own]"),
            click.option("--camera", "cameras", multiple=True, metavar="URL", help="A camera; may be repeated."),
            click.option("--reader", "readers", multiple=True, metavar="ADDRESS", help="A reader; may be repeated."),
            click.option("--user", metavar="NAME", help="The user on the cameras."),
            click.option(
                "--password-from",
                metavar="env:NAME|file:PATH",
                help="Where their password is: an environment variable, or a file of mode 0600.",
            ),
        )
    ):
        function = option(function)
    return function


@click.command()
@click.argument("plan", metavar="PLAN.toml|PROFILE")
@click.option("--out", required=True, type=click.Path(file_okay=False), metavar="DIR", help="The report's folder.")
@click.option("--case", "only", multiple=True, metavar="ID", help="Only this case; may be repeated.")
@click.option("--minutes", type=click.FloatRange(min=0.1), help="Begin no further run after so long.")
@click.option("--rounds", type=click.IntRange(1, 1000), help="Run each case so often.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of everything drawn at random.")
@click.option(
    "--patience",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Seconds to wait in all for other programs to finish.",
)
@click.option("--restart", is_flag=True, help="Throw away what is in the folder.")
@device_options
@json_option
def run(
    plan: str,
    out: str,
    only: tuple[str, ...],
    minutes: float | None,
    rounds: int | None,
    seed: int | None,
    patience: float,
    restart: bool,
    as_json: bool,
    **devices: Any,
) -> int:
    """Run a plan or profile, write its report.

    `run` may be left out. The folder then holds report.html for people and report.json for programs. A run that was
    interrupted is gone on with by the same command.

    Exit status: 0 nothing failed; 1 a limit is not kept, or a case failed; 130 interrupted.

    \b
    Examples:
      edusense bench school-40 --out report --disk /var/lib/edusense
      edusense bench run school-180 --out report --case meal --case disk
      edusense bench plan.toml --out report --camera rtsp://10.20.0.51/s1 --user u --password-from file:camera.secret
    """
    from edusense.bench.folder import Folder
    from edusense.bench.plan import load

    disk = str(Path(out).absolute())
    loaded = load(plan, _devices(**devices), minutes=minutes, rounds=rounds, seed=seed, disk=disk)
    if only:
        loaded = loaded.only(only)
    with Folder.open(Path(out), restart=restart) as folder:
        if folder.runs:
            talk(f"{out} holds {len(folder.runs)} runs of this plan already; going on")
        report, ended = _measure(loaded, folder, patience)
        _tell(report, as_json=as_json)
        talk(f"\n{folder.path / 'report.html'}")
    if ended == "interrupted":
        talk("interrupted: the same command goes on")
        raise click.exceptions.Exit(130)
    return 1 if report.verdict == "failed" else 0


def _devices(
    disk: str | None,
    cameras: tuple[str, ...],
    readers: tuple[str, ...],
    user: str | None,
    password_from: str | None,
) -> list[Device]:
    """The devices that the command line names."""
    from edusense.bench.plan_models import Device
    from edusense.cli.credentials import resolve

    found = [] if disk is None else [Device(id="disk", kind="disk", address=str(Path(disk).absolute()))]
    for place, url in enumerate(cameras, 1):
        resolve(url, user, password_from)
        found.append(Device(id=f"camera-{place}", kind="camera", address=url, user=user, password=password_from))
    if not cameras and (user is not None or password_from is not None):
        raise UsageError("`--user` and `--password-from` are for cameras, and there is none", hint="add --camera URL")
    found += [Device(id=f"reader-{place}", kind="reader", address=name) for place, name in enumerate(readers, 1)]
    return found


def _measure(plan: Plan, folder: Folder, patience: float) -> tuple[Report, str | None]:
    """Runs what is missing, and writes the report whatever happens."""
    from edusense.bench import running
    from edusense.cli.bench_progress import progress

    failure: PermissionDeniedError | None = None
    ended: str | None = None
    with progress(plan) as say:
        try:
            ended = running.run(plan, folder, patience_s=patience, say=say, findings=_doctor)
        except PermissionDeniedError as error:
            failure, ended = error, f"a run could not be written: {error}"
    report = _write(folder, ended)
    if failure is not None:
        raise failure
    return report, ended


def _write(folder: Folder, ended: str | None) -> Report:
    from edusense.bench.page import render
    from edusense.bench.report import build, digest

    report = build(folder, ended)
    text = report.model_dump_json(by_alias=True, indent=1)
    folder.write("report.json", text)
    folder.write("report.html", render(report, digest(text)))
    return report


def _doctor() -> list[dict[str, Any]]:
    """What `edusense doctor` says of this machine, without a site."""
    from edusense.cli.doctor import devices, software, system

    found = [*software.findings(), *devices.findings(), *system.findings(None)]
    return [finding.to_json() for finding in found]


def _tell(report: Report, *, as_json: bool) -> None:
    if as_json:
        for told in [*_figure_rows(report), *_limit_rows(report), _report_row(report)]:
            row(told, as_json=True)
        return
    if report.limits:
        rows(_limit_rows(report), _LIMITS, as_json=False)
    else:
        rows(_shown(report), _FIGURES, as_json=False, empty="nothing was measured")
    for one in report.cases:
        if one.state != "measured":
            talk(f"{one.key}: {one.state}: {one.reason}" + (f" ({one.hint})" if one.hint else ""))
    words = {"pass": "passed", "fail": "failed", "not measured": "not measured"}
    counts = ", ".join(f"{count} {words[name]}" for name, count in report.counts.items() if count)
    talk(f"\n{report.title}: {report.verdict}" + (f" ({counts})" if counts else ""))


def _report_row(report: Report) -> dict[str, Any]:
    return {
        "kind": "report",
        "title": report.title,
        "profile": report.profile,
        "verdict": report.verdict,
        "passed": report.counts["pass"],
        "failed": report.counts["fail"],
        "not_measured": report.counts["not measured"],
        "ended_early": report.ended_early,
    }


def _limit_rows(report: Report) -> Iterator[dict[str, Any]]:
    for limit in report.limits:
        yield {
            "kind": "limit",
            "key": limit.key,
            "figure": limit.figure,
            "what": limit.what,
            "limit": limit.limit,
            "measured": limit.shown,
            "outcome": limit.outcome,
            "why": limit.why,
            "reason": limit.reason,
            "busy": limit.busy,
        }


def _figure_rows(report: Report) -> Iterator[dict[str, Any]]:
    for one in report.cases:
        for figure in one.figures:
            first = figure.peers[0] if figure.peers else None
            yield {
                "kind": "figure",
                "key": one.key,
                "figure": figure.id,
                "what": figure.what,
                "unit": figure.unit,
                "median": figure.median,
                "least": figure.least,
                "most": figure.most,
                "spread": figure.spread,
                "runs": figure.count,
                "busy_runs": sum(figure.busy),
                "peer": first.peer if first else None,
                "peer_median": first.median if first else None,
                "ratio": first.ratio if first else None,
                "command": one.command,
            }


def _shown(report: Report) -> Iterator[dict[str, Any]]:
    from edusense.bench.charts import number

    for told in _figure_rows(report):
        spread = told["spread"]
        yield (
            told
            | {name: number(told[name]) for name in ("median", "least", "most", "ratio")}
            | {"spread": "-" if spread is None else f"± {number(100 * spread)} %"}
        )


@click.command()
@click.argument("report", type=click.Path(), metavar="DIR")
@json_option
def show(report: str, as_json: bool) -> int:
    """Print a report again.

    Its page is made anew.

    \b
    Examples:
      edusense bench show report
      edusense bench show report --json | jq 'select(.outcome == "fail")'
    """
    from edusense.bench.page import render
    from edusense.bench.report import digest, read

    path = Path(report)
    found = read(path)
    _tell(found, as_json=as_json)
    if path.is_dir():
        page = path / "report.html"
        try:
            page.write_text(render(found, digest((path / "report.json").read_text("utf-8"))), "utf-8")
        except OSError as error:
            talk(f"{page} was left as it is: {error.strerror}")
        else:
            talk(f"\n{page}")
    return 1 if found.verdict == "failed" else 0


@click.command()
@json_option
def profiles(as_json: bool) -> None:
    """List the profiles.

    \b
    Examples:
      edusense bench profiles
    """
    from edusense.bench.plan import load
    from edusense.bench.plan import profiles as known

    def told() -> Iterator[dict[str, Any]]:
        for name, path in known().items():
            plan = load(name)
            yield {
                "profile": name,
                "title": plan.title,
                "cases": len({unit.case.id for unit in plan.units}),
                "limits": sum(len(unit.limits) for unit in plan.units) + len(plan.machine),
                "minutes": round(plan.seconds / 60, 1),
                "path": str(path),
            }

    rows(told(), ("profile", "title", "cases", "limits", "minutes", "path"), as_json=as_json)


@click.command()
@json_option
def cases(as_json: bool) -> None:
    """List everything that can be measured.

    \b
    Examples:
      edusense bench cases
      edusense bench cases --json | jq '.figures'
    """
    from edusense.bench.registry import CASES

    told = (
        {
            "case": one.id,
            "what": one.what,
            "device": one.device,
            "needs": one.needs or None,
            "seconds": one.seconds,
            "rounds": one.rounds,
            "peers": list(one.peers),
            "options": {name: option.default for name, option in one.options().items()},
            "figures": [
                {"figure": kind.id, "what": kind.what, "unit": kind.unit, "better": kind.better} for kind in one.figures
            ],
        }
        for one in CASES
    )
    rows(told, ("case", "what", "device", "seconds", "rounds"), as_json=as_json)


@click.command()
@click.argument("name", metavar="CASE")
@click.option("--runs", type=click.IntRange(1, 1000), help="How often.  [default: the case's own]")
@click.option("--option", "settings", multiple=True, metavar="NAME=VALUE", help="An option of the case.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of everything drawn at random.")
@device_options
@json_option
def case(
    name: str, runs: int | None, settings: tuple[str, ...], seed: int | None, as_json: bool, **devices: Any
) -> int:
    """Measure one case.

    What a report calls "again" are calls of this command.

    \b
    Examples:
      edusense bench case meal --runs 10 --disk /var/lib/edusense
      edusense bench case ingest --option cameras=100
    """
    import tomllib

    from edusense.bench.folder import Folder
    from edusense.bench.plan import loads
    from edusense.bench.registry import find

    find(name)
    lines = ['title = "One case"', "[[cases]]", f"id = {json.dumps(name)}"]
    if runs is not None:
        lines.append(f"rounds = {runs}")
    lines.append("[cases.options]")
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"`--option {setting}`: a value is missing", hint="--option NAME=VALUE")
        try:
            tomllib.loads(f"x = {value}")
        except tomllib.TOMLDecodeError:
            value = json.dumps(value)
        lines.append(f"{json.dumps(key)} = {value}")
    with tempfile.TemporaryDirectory(prefix="edusense-bench-") as made:
        try:
            plan = loads("\n".join(lines), devices=_devices(**devices), seed=seed, disk=made)
        except BenchPlanError as error:
            raise UsageError(error.message, hint=error.hint) from None  # a line of a file that nobody wrote
        with Folder.open(Path(made)) as folder:
            report, ended = _measure(plan, folder, 0.0)
    (only,) = {one.case for one in report.cases}
    assert only == name
    if as_json:
        for told in _figure_rows(report):
            row(told, as_json=True)
    else:
        rows(_shown(report), _FIGURES, as_json=False, empty="nothing was measured")
    for one in report.cases:
        for fact in one.facts:
            talk(f"{fact['name']}: {fact['value']}" + (f" ({fact['words']})" if fact["words"] else ""))
        for note in one.notes:
            talk(note)
        if one.state != "measured":
            talk(f"{one.key}: {one.state}: {one.reason}" + (f" ({one.hint})" if one.hint else ""))
    if ended == "interrupted":
        raise click.exceptions.Exit(130)
    return 1 if report.verdict == "failed" else 0
