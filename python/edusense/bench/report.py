"""From runs to a report: medians and spread over quiet runs, ratios to peers, and a verdict against limits."""

from __future__ import annotations

import datetime
import hashlib
import json
import statistics
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from edusense.bench.charts import number
from edusense.bench.figure import quantile
from edusense.bench.folder import SCHEMA, Folder
from edusense.bench.report_models import (
    CaseResult,
    FigureResult,
    LimitResult,
    PeerResult,
    Report,
    RunResult,
)
from edusense.errors import BenchReportError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["build", "digest", "read", "schema"]

_ENOUGH: Final = 3
"""Quiet runs that a median needs at least; else the busy ones count too, and the figure is marked."""


def build(folder: Folder, ended_early: str | None = None) -> Report:
    """The report of what a folder holds.

    Args:
        folder: with a head and runs.
        ended_early: why not all was run.
    """
    head, plan = folder.head, folder.head["plan"]
    cases = [_case(unit, [run for run in folder.runs if run["unit"] == unit["key"]]) for unit in plan["units"]]
    limits = [*_machine_limits(plan["machine"], head["machine"]), *_limits(plan["units"], cases)]
    last = max((_ended(run) for run in folder.runs), default=head["began"])
    harness = sum(run["harness_cpu_s"] for run in folder.runs)
    measured = sum(run["cpu_s"] for run in folder.runs)
    counts = {name: sum(limit.outcome == name for limit in limits) for name in ("pass", "fail", "not measured")}
    return Report(
        schema_=SCHEMA,
        title=plan["title"],
        profile=plan["profile"],
        summary=plan["summary"],
        school=plan["school"],
        edusense=head["edusense"],
        versions=head["versions"],
        began=head["began"],
        ended=last,
        ended_early=ended_early,
        verdict=_verdict(counts, cases),
        counts=counts,
        machine=head["machine"],
        doctor=head["doctor"],
        devices=plan["devices"],
        seed=plan["seed"],
        harness_share=round(harness / measured, 5) if measured else None,
        limits=limits,
        cases=cases,
    )


def _verdict(counts: Mapping[str, int], cases: Sequence[CaseResult]) -> Any:
    if counts["fail"] or any(case.state in {"failed", "partly"} for case in cases):
        return "failed"
    if not sum(counts.values()):
        return "no limits"
    return "incomplete" if counts["not measured"] else "passed"


def _ended(run: Mapping[str, Any]) -> str:
    began = datetime.datetime.fromisoformat(run["began"])
    return (began + datetime.timedelta(seconds=run["wall_s"])).isoformat(timespec="seconds")


def _case(unit: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> CaseResult:
    good = [run for run in runs if "error" not in run]
    bad = [run["error"] for run in runs if "error" in run]
    state, reason, hint = _state(unit, good, bad)
    kinds = [kind for kind in unit["figures"] if any(_figure_in(run, kind["id"]) for run in good)]
    return CaseResult(
        key=unit["key"],
        case=unit["case"],
        device=unit["device"],
        what=unit["what"],
        state=state,
        reason=reason,
        hint=hint,
        rounds=unit["rounds"],
        options=unit["options"],
        command=unit["command"],
        figures=[_figure(kind, good) for kind in kinds],
        curves=good[-1]["curves"] if good else [],
        facts=max((run["facts"] for run in good), key=_badness, default=[]),
        notes=list(dict.fromkeys(note for run in good for note in run["notes"])),
        runs=[_run(run) for run in runs],
    )


def _badness(facts: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Of several runs' findings the worst are shown: who signs must not see the best of ten."""
    states = [fact["state"] for fact in facts]
    return states.count("fail"), states.count("warn")


def _state(unit: Mapping[str, Any], good: Sequence[Any], bad: Sequence[Mapping[str, Any]]) -> tuple[Any, Any, Any]:
    if unit["reason"] is not None:
        return "not measured", unit["reason"], unit["hint"]
    if not good and not bad:
        return "not run", "the run ended before its turn", None
    if not good and all(error["kind"] == "bench-not-measured" for error in bad):
        return "not measured", bad[-1]["message"], bad[-1]["hint"]
    if not bad:
        return "measured", None, None
    last = bad[-1]
    counted = f"{len(bad)} of {len(good) + len(bad)} runs failed: {last['message']}"
    return ("partly" if good else "failed"), counted, last["hint"]


def _figure_in(run: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    return next((figure for figure in run["figures"] if figure["id"] == name), None)


def _run(run: Mapping[str, Any]) -> RunResult:
    noise = run["noise"]
    return RunResult(
        number=run["number"],
        began=run["began"],
        wall_s=run["wall_s"],
        cpu_s=run["cpu_s"],
        others_cores=noise["others"],
        steal=noise["steal"],
        load=noise["before"]["load"],
        temperature_c=run["temperature_c"],
        pace_us=run.get("pace", None),
        busy=noise["busy"],
        error=run["error"]["message"] if "error" in run else None,
        said=run["error"].get("traceback") or run["error"].get("said") if "error" in run else None,
    )


def _figure(kind: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> FigureResult:
    found = [(run, figure) for run in runs if (figure := _figure_in(run, kind["id"])) is not None]
    busy = [bool(run["noise"]["busy"]) for run, _ in found]
    quiet = [figure for (_, figure), loud in zip(found, busy, strict=True) if not loud]
    # Quiet runs alone, where there are enough of them; busy ones are never mixed in unseen.
    only_quiet = len(quiet) >= min(_ENOUGH, len(found))
    used = quiet if only_quiet else [figure for _, figure in found]
    values = [figure["value"] for figure in used]
    median = statistics.median(values)
    return FigureResult(
        id=kind["id"],
        what=kind["what"],
        unit=kind["unit"],
        better=kind["better"],
        steady=kind["steady"],
        statistic=found[0][1]["statistic"],
        values=[figure["value"] for _, figure in found],
        busy=busy,
        used="quiet runs" if only_quiet else "all runs, on a busy machine",
        count=len(values),
        samples=sum(figure["samples"] for figure in used),
        least=min(values),
        median=median,
        most=max(values),
        spread=_spread(values, median),
        quantiles=_quantiles(used),
        peers=_peers(used),
    )


def _spread(values: Sequence[float], median: float) -> float | None:
    """Half of the range in which the middle half of the runs lies, as a share of the median."""
    if len(values) < 2 or median == 0:
        return None
    return (quantile(list(values), 0.75) - quantile(list(values), 0.25)) / 2 / abs(median)


def _quantiles(figures: Sequence[Mapping[str, Any]]) -> list[float] | None:
    """Each quantile's median over the runs."""
    spreads = [figure["quantiles"] for figure in figures if figure["quantiles"]]
    return [statistics.median(column) for column in zip(*spreads, strict=True)] if spreads else None


def _peers(figures: Sequence[Mapping[str, Any]]) -> list[PeerResult]:
    names = list(dict.fromkeys(peer["peer"] for figure in figures for peer in figure["peers"]))
    results = []
    for name in names:
        mine = [peer for figure in figures for peer in figure["peers"] if peer["peer"] == name]
        ratios = [peer["ratio"] for peer in mine if peer["ratio"] is not None]
        results.append(
            PeerResult(
                peer=name,
                values=[peer["value"] for peer in mine],
                median=statistics.median(peer["value"] for peer in mine),
                ratio=statistics.median(ratios) if ratios else None,
                ratios=ratios,
                speed=mine[0]["speed"],
                quantiles=_quantiles(mine),
            )
        )
    return results


def _machine_limits(limits: Sequence[Mapping[str, Any]], machine: Mapping[str, Any]) -> list[LimitResult]:
    words = {
        "processors": ("processors", "processors", machine["processors"]),
        "memory_gb": ("memory", "GB", machine["memory_gb"]),
        "free_gb": ("free room on the disk", "GB", machine["disk"].get("free_gb")),
    }
    found = []
    for limit in limits:
        what, unit, value = words[limit["fact"]]
        outcome = "not measured" if value is None else "pass" if value >= limit["at_least"] else "fail"
        found.append(
            LimitResult(
                key="machine",
                figure=limit["fact"],
                what=what,
                limit=f"at least {number(limit['at_least'])} {unit}",
                at_most=None,
                at_least=limit["at_least"],
                beside=None,
                value=value,
                shown=None if value is None else f"{number(value)} {unit}",
                outcome=outcome,
                why="the system does not tell" if value is None else None,
                reason=limit["reason"],
                busy=False,
            )
        )
    return found


def _limits(units: Sequence[Mapping[str, Any]], cases: Sequence[CaseResult]) -> list[LimitResult]:
    return [_limit(limit, unit, case) for unit, case in zip(units, cases, strict=True) for limit in unit["limits"]]


def _limit(limit: Mapping[str, Any], unit: Mapping[str, Any], case: CaseResult) -> LimitResult:
    figure = next((one for one in case.figures if one.id == limit["figure"]), None)
    beside = limit.get("beside")
    measure = f"× {beside}" if beside else limit["unit"]
    word, bound = ("at most", limit["at_most"]) if "at_most" in limit else ("at least", limit["at_least"])
    value, why = None, case.reason or "the case did not give this figure"
    if figure is not None and beside is None:
        value = figure.median
    elif figure is not None:
        peer = next((one for one in figure.peers if one.peer == beside), None)
        value = None if peer is None else peer.ratio
        why = f"`{beside}` was not measured beside it"
    if value is None:
        outcome = "not measured"
    else:
        kept = value <= bound if word == "at most" else value >= bound
        outcome = "pass" if kept else "fail"
    return LimitResult(
        key=case.key,
        figure=limit["figure"],
        what=next(kind["what"] for kind in unit["figures"] if kind["id"] == limit["figure"]),
        limit=f"{word} {number(bound)} {measure}",
        at_most=limit.get("at_most"),
        at_least=limit.get("at_least"),
        beside=beside,
        value=value,
        shown=None if value is None else f"{number(value)} {measure}",
        outcome=outcome,
        why=why if value is None else None,
        reason=limit["reason"],
        busy=figure is not None and figure.used != "quiet runs",
    )


def schema() -> dict[str, Any]:
    """JSON Schema of `report.json`. It leaves room for additions."""
    found = Report.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **found,
        "title": "report.json of edusense bench",
    }


def read(path: Path) -> Report:
    """Reads a report.

    Args:
        path: `report.json`, or the folder that it is in.

    Raises:
        BenchReportError: there is none, it is damaged, or a newer edusense wrote it.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        data = json.loads(file.read_bytes())
    except FileNotFoundError:
        unfinished = path.is_dir() and (path / "runs.jsonl").exists()
        hint = f"it was interrupted: `edusense bench PLAN --out {path}` goes on with it" if unfinished else None
        raise BenchReportError(
            f"there is no report at `{path}`", hint=hint or "`edusense bench PLAN --out DIR` makes one"
        ) from None
    except OSError as error:
        raise BenchReportError(f"`{file}` cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BenchReportError(f"`{file}` is no report: {error}") from None
    version = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(version, int):
        raise BenchReportError(f"`{file}` is no report of `edusense bench`: it has no `schema`")
    if version > SCHEMA:
        raise BenchReportError(
            f"`{file}` was written by a newer edusense ({data.get('edusense')}, schema {version}; known is {SCHEMA})",
            hint="read it with that version",
        )
    try:
        return Report.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise BenchReportError(f"`{file}` is damaged: `{place}`: {first['msg']}") from None


def digest(text: str) -> str:
    """SHA-256 of `report.json`, which stands on the paper that is signed.

    Args:
        text: the file's content.
    """
    return hashlib.sha256(text.encode()).hexdigest()
