"""`edusense bench compare`: what has really changed between two reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edusense.cli.output import json_option, row, rows, talk

if TYPE_CHECKING:
    from edusense.bench.compare import Row

__all__ = ["compare"]

_COLUMNS: Final = ("verdict", "key", "what", "before", "after", "unit", "change", "interval", "could_see", "beside")


@click.command()
@click.argument("before", type=click.Path(), metavar="A")
@click.argument("after", type=click.Path(), metavar="B")
@click.option(
    "--at-least",
    default=3.0,
    show_default=True,
    type=click.FloatRange(0, 100),
    help="Percent below which a change is not called.",
)
@json_option
def compare(before: str, after: str, at_least: float, as_json: bool) -> int:
    """Say what changed between two reports.

    And how large a change could have been seen. A change is called when chance alone would part the runs so far in
    fewer than one of twenty comparisons, all figures taken together. `could see` is the smallest change that the runs
    would have shown nine times in ten.

    Exit status: 0 no change beyond noise; 1 a change, for better or worse.

    \b
    Examples:
      edusense bench compare report-march report-april
      edusense bench compare report-march report-april --json | jq 'select(.verdict == "worse")'
    """
    from edusense.bench.compare import compare as held
    from edusense.bench.report import read

    found = held(read(Path(before)), read(Path(after)), at_least=at_least / 100)
    if as_json:
        for one in found.rows:
            row(one.to_json(), as_json=True)
    else:
        for note in found.notes:
            talk(note)
        order = ("better", "worse", "changed", "no change", "not compared")
        ordered = sorted(found.rows, key=lambda one: max(2, order.index(one.verdict)))
        rows((_shown(one) for one in ordered), _COLUMNS, as_json=False, empty="the reports have no figure in common")
        for one in ordered:
            if one.why:
                talk(f"{one.key}, {one.what}: {one.why}")
        count = len(found.changed)
        talk(f"\n{count or 'no'} change{'s' if count != 1 else ''} beyond noise")
    return 1 if found.changed else 0


def _shown(one: Row) -> dict[str, Any]:
    from edusense.bench.charts import number

    def percent(share: float | None) -> str:
        return "-" if share is None else f"{100 * share:+.1f} %"

    interval = "-" if one.low is None else f"{percent(one.low)} to {percent(one.high)}"
    return {
        **one.to_json(),
        "before": number(one.before),
        "after": number(one.after),
        "change": percent(one.change),
        "interval": interval,
        "could_see": "-" if one.could_see is None else f"{100 * one.could_see:.1f} %",
    }
