"""What a running plan says: a line a run, and on a terminal a bar with the time that is left."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from edusense.cli.output import talk, wants_colour

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edusense.bench.plan import Plan
    from edusense.bench.running import Step

__all__ = ["progress"]


@contextlib.contextmanager
def progress(plan: Plan) -> Iterator[Callable[[Step], None]]:
    """Says on stderr what runs.

    Args:
        plan: what is run.
    """
    minutes = plan.seconds / 60
    count = len(plan.units)
    talk(f"{plan.title}: {count} case{'s' if count != 1 else ''}, about {max(1, round(minutes))} min")
    if not sys.stderr.isatty():
        yield _line
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True, no_color=not wants_colour(sys.stderr), highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0, left="")

        def say(step: Step) -> None:
            left = f"{step.left_s / 60:.0f} min left" if step.left_s > 90 else f"{step.left_s:.0f} s left"
            bar.update(
                task,
                completed=step.done,
                total=step.total,
                description=f"{step.done}/{step.total} {_name(step)}",
                left=left,
            )
            if step.run is not None:
                bar.console.print(_told(step), markup=False)

        yield say


def _line(step: Step) -> None:
    if step.run is not None:
        talk(f"[{step.done}/{step.total}] {_told(step)}")


def _name(step: Step) -> str:
    return f"{step.unit.key}, run {step.number + 1}"


def _told(step: Step) -> str:
    from edusense.bench.charts import number

    assert step.run is not None
    if "error" in step.run:
        kind = "not measured" if step.run["error"]["kind"] == "bench-not-measured" else "failed"
        return f"{_name(step)}: {kind}: {step.run['error']['message']}"
    figures = ", ".join(f"{number(figure['value'])} {figure['unit']}" for figure in step.run["figures"][:2])
    busy = step.run["noise"]["busy"]
    return f"{_name(step)}: {figures or 'done'}" + (f" (busy: {'; '.join(busy)})" if busy else "")
