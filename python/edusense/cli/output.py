"""What every command says and where: rows to stdout, talk to stderr, `--json` one object a line.

Commands never print by themselves; they call `rows`, `row` and `talk`, so that colour, width, JSON and pipes are all
treated alike.
"""

from __future__ import annotations

import json
import math
import os
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["json_option", "progress", "row", "rows", "site_option", "talk", "wants_colour"]


def wants_colour(stream: Any = None) -> bool:
    """Whether colour may be used: a terminal, and no `NO_COLOR` (https://no-color.org)."""
    stream = sys.stdout if stream is None else stream
    return not os.environ.get("NO_COLOR") and hasattr(stream, "isatty") and stream.isatty()


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--json` (argument `as_json`) to a command that prints rows."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")(function)


def site_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--site FILE` (argument `site_path`): default `$EDUSENSE_SITE`, else `./school.toml`."""
    return click.option(
        "--site",
        "site_path",
        metavar="FILE",
        envvar="EDUSENSE_SITE",
        default="school.toml",
        show_default=True,
        show_envvar=True,
        help="The site file.",
    )(function)


def talk(text: str) -> None:
    """Says something to the person at the terminal, on stderr."""
    click.echo(text, err=True)


def row(value: Mapping[str, Any], *, as_json: bool, text: str | None = None) -> None:
    """Prints one row at once (for commands that follow something).

    Args:
        value: the row; must be JSON.
        as_json: print it as one JSON line.
        text: what a person reads instead of the columns.
    """
    if as_json:
        click.echo(_json(value))
    else:
        click.echo(text if text is not None else "  ".join(_cell(part) for part in value.values()))
    sys.stdout.flush()


def rows(
    values: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool, empty: str = "nothing found"
) -> int:
    """Prints rows: a table on a terminal, aligned plain text in a pipe, JSON lines with `--json`.

    Args:
        values: the rows. With `--json` every key is printed, otherwise those of `columns`.
        columns: keys to show, in order; the heading is the key with spaces for underscores.
        as_json: one JSON object a line.
        empty: said on stderr when there is no row.

    Returns:
        How many rows there were.
    """
    if as_json:
        count = 0
        for value in values:
            row(value, as_json=True)
            count += 1
        return count
    table = [[_cell(value.get(column)) for column in columns] for value in values]
    if not table:
        talk(empty)
        return 0
    headings = [column.replace("_", " ") for column in columns]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        drawn = Table(box=None, header_style="bold" if wants_colour() else "", pad_edge=False)
        for heading in headings:
            drawn.add_column(heading, overflow="fold")
        for line in table:
            drawn.add_row(*line)
        Console(no_color=not wants_colour(), highlight=False, markup=False).print(drawn)
    else:
        widths = [max(len(line[index]) for line in [headings, *table]) for index in range(len(columns))]
        for line in [headings, *table]:
            click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    return len(table)


def progress(total: float | None, label: str, *, tell: Callable[[Any], str] | None = None) -> Any:
    """A progress bar on stderr where that is a terminal, silence elsewhere; a context manager with `.update(steps)`.

    Args:
        total: how many steps there are; None where that is not known.
        label: what stands before it.
        tell: what stands behind it, of the second argument of `.update`.
    """
    return click.progressbar(
        length=None if total is None else int(total),
        label=label,
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
        item_show_func=tell,
    )


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        # A figure that is not a number has no word in JSON; other parsers stop at Python's `NaN`.
        return json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return value


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
