"""Runs a plan: in which order, how long, what is done again, and what is left when it is interrupted.

The runs of all cases are interleaved over the whole time: what the machine does for some minutes (a backup, a hot
noon, a neighbour on the same silicon) meets a few runs of every case, not all runs of one.
"""

from __future__ import annotations

import datetime
import json
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edusense.bench.machine import machine, versions
from edusense.bench.runner import Runner
from edusense.errors import BenchReportError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edusense.bench.folder import Folder
    from edusense.bench.plan import Plan, Unit

__all__ = ["Step", "order", "run"]

_AGAIN: Final = 0.5
"""How many runs of a case may be done again because the machine was busy, as a share of its rounds."""
_GIVEN_UP: Final = 2
"""Failed runs in a row after which a case is given up."""


@dataclass(frozen=True)
class Step:
    """What the person at the terminal is told.

    Args:
        done: runs that are over.
        total: runs in all.
        unit: what runs now, or has just run.
        number: which of its runs.
        run: what it gave; None while it runs.
        left_s: about how long all will still take.
    """

    done: int
    total: int
    unit: Unit
    number: int
    run: dict[str, Any] | None
    left_s: float


def order(units: Sequence[Unit], seed: int) -> list[tuple[Unit, int]]:
    """Every run of every unit, spread evenly over the whole time; which comes first in each round is drawn.

    What needs a person comes before all else.

    Args:
        units: what is run.
        seed: of the drawing.

    >>> from edusense.bench.plan import loads
    >>> plan = loads('title = "x"\\nrounds = 2\\n[[cases]]\\nid = "meal"\\n[[cases]]\\nid = "command-line"')
    >>> sorted(number for _, number in order(plan.units, 1)[:2])
    [0, 0]
    """
    drawn = random.Random(seed)
    placed = [
        (-1.0 if unit.case.attended else (number + 0.5) / unit.rounds, drawn.random(), unit, number)
        for unit in units
        if unit.reason is None
        for number in range(unit.rounds)
    ]
    return [(unit, number) for _, _, unit, number in sorted(placed, key=lambda one: one[:2])]


def run(
    plan: Plan,
    folder: Folder,
    *,
    patience_s: float = 60.0,
    say: Callable[[Step], None] = lambda _: None,
    findings: Callable[[], Sequence[dict[str, Any]]] = list,
) -> str | None:
    """Runs what a folder does not hold yet of a plan.

    Args:
        plan: what is to be measured.
        folder: where each run is written.
        patience_s: seconds that it may wait in all for a busy machine.
        say: called before and after each run.
        findings: what `edusense doctor` has to say; asked once, for the report.

    Returns:
        None when all was run; else why it ended early: "interrupted", "the time was over".

    Raises:
        BenchReportError: the folder holds runs of another plan, version or machine.
        PermissionDeniedError: a run could not be written: the disk is full. All runs stay in `folder.runs`.
    """
    _head(plan, folder, findings)
    began = time.monotonic()
    todo = order(plan.units, plan.seed)
    runner = Runner(patience_s, folder.path)
    busy: list[tuple[Unit, int]] = []
    ended = None
    try:
        done = {(one["unit"], one["number"]) for one in folder.runs}
        total = len(todo)
        for index, (unit, number) in enumerate(todo):
            if (unit.key, number) in done or _given_up(unit, folder.runs):
                continue
            if plan.minutes is not None and time.monotonic() - began + unit.case.seconds > 60 * plan.minutes:
                ended = "the time was over"
                continue
            left_s = sum(one.case.seconds + 0.9 for one, _ in todo[index:])
            say(Step(index, total, unit, number, None, left_s))
            found = runner.run(unit, number)
            folder.add(found)
            if found["noise"]["busy"] and "error" not in found and not unit.case.once:
                busy.append((unit, number))
            say(Step(index + 1, total, unit, number, found, left_s - unit.case.seconds))
        for unit, number in _again(busy):
            if plan.minutes is not None and time.monotonic() - began + unit.case.seconds > 60 * plan.minutes:
                break
            say(Step(total, total, unit, number, None, unit.case.seconds))
            folder.add(found := runner.run(unit, number))
            say(Step(total, total, unit, number, found, 0.0))
    except KeyboardInterrupt:
        ended = "interrupted"
    return ended


def _again(busy: Sequence[tuple[Unit, int]]) -> list[tuple[Unit, int]]:
    """Runs to be done again, each with a number of its own: a busy run stays in the report."""
    counts: dict[str, int] = {}
    again = []
    for unit, _ in busy:
        count = counts.get(unit.key, 0)
        if count < max(1, int(_AGAIN * unit.rounds)):
            counts[unit.key] = count + 1
            again.append((unit, unit.rounds + count))
    return again


def _given_up(unit: Unit, runs: Sequence[dict[str, Any]]) -> bool:
    """Whether nothing is to be expected of further runs."""
    mine = [one for one in runs if one["unit"] == unit.key]
    if mine and "error" in mine[-1] and mine[-1]["error"]["kind"] == "bench-not-measured":
        return True
    return len(mine) >= _GIVEN_UP and all("error" in one for one in mine[-_GIVEN_UP:])


def _head(plan: Plan, folder: Folder, findings: Callable[[], Sequence[dict[str, Any]]]) -> None:
    """Writes the head of a new folder, or holds that of an old one against the plan."""
    told = json.loads(json.dumps(plan.to_json()))
    here, with_versions = machine(_data_folder(plan, folder)), versions()
    if not folder.head:
        folder.begin(
            {
                "edusense": with_versions["edusense"],
                "began": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "plan": told,
                "machine": here,
                "versions": with_versions,
                "doctor": list(findings()),
            }
        )
        return
    other = None
    if _without_time(folder.head["plan"]) != _without_time(told):
        other = "another plan, or one with other options"
    elif folder.head["versions"] != with_versions:
        other = "other versions"
    elif any(folder.head["machine"][name] != here[name] for name in ("host", "cpu", "kernel")):
        other = "another machine"
    if other is not None:
        raise BenchReportError(
            f"`{folder.path}` holds runs of {other}: they do not belong together",
            hint="name another folder, or throw them away with `--restart`",
        )


def _without_time(plan: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in plan.items() if name != "minutes"}


def _data_folder(plan: Plan, folder: Folder) -> Path:
    disk = next((device for device in plan.devices if device.kind == "disk"), None)
    return folder.path if disk is None else Path(disk.address)
