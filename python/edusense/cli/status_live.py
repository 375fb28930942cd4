"""`edusense status --live`: all cameras of the running box in one table that redraws itself."""

from __future__ import annotations

import datetime
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

import click

from edusense.cli.output import wants_colour
from edusense.errors import BoxNotRunningError, BoxTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.text import Text

    from edusense.box.client import Box

    Row = Mapping[str, Any]

__all__ = ["changed_lines", "follow", "table_of", "trouble_of"]

EVERY_S = 1.0
MOVING_S = 10.0
"""A camera whose last event began so lately is shown as one where something moves."""
_STYLES = {
    "playing": "green",
    "connecting": "yellow",
    "waiting": "yellow",
    "stalled": "dark_orange",
    "lost": "red",
    "refused": "red",
}
_COLUMNS = (
    ("state", -10),
    ("kbit/s", 6),
    ("lost", 5),
    ("gate", -8),
    ("level", 5),
    ("agrees", 6),
    ("looked", 6),
    ("last", 8),
)
"""Headings and widths in letters; negative ones are set to the left. What is left of the line is the camera's name."""
_WIDEST = 110


def follow(box: Box, *, sleep: Callable[[float], None] = time.sleep) -> NoReturn:
    """Shows the box's cameras until Ctrl-C: a table on a terminal, lines of what changes elsewhere.

    A box that stops is waited for: the table says since when nothing answers.
    """
    if not sys.stdout.isatty():
        _lines(box, sleep)
    from rich.console import Console
    from rich.live import Live

    console = Console(no_color=not wants_colour(), highlight=False, markup=False, emoji=False)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        asked = _asked(box, sleep)
        while True:
            rows, silent_s = next(asked)
            width, height = console.size
            live.update(table_of(rows, width=width, height=height, now_s=time.time(), silent_s=silent_s), refresh=True)


def _lines(box: Box, sleep: Callable[[float], None]) -> NoReturn:
    before: dict[str, str] = {}
    silent = False
    asked = _asked(box, sleep)
    while True:
        rows, silent_s = next(asked)
        clock = time.strftime("%H:%M:%S")
        if (silent_s is not None) != silent:
            silent = silent_s is not None
            click.echo(f"{clock}  the box " + ("does not answer" if silent else "answers"))
        for line in changed_lines(rows, before):
            click.echo(f"{clock}  {line}")
        sys.stdout.flush()


def changed_lines(rows: Sequence[Row], before: dict[str, str]) -> Iterator[str]:
    """A line for each camera whose state, gate, last event or trouble is not what it was.

    Args:
        rows: of `status`.
        before: what was told last of each camera; brought up to date.
    """
    for row in rows:
        if row["kind"] != "camera":
            continue
        gate, last = row["gate"]["state"], _clock(row["last_event_s"])
        trouble = trouble_of(row)
        line = f"{row['id']}  {row['state']}  gate {gate}  last event {last}" + (f"  {trouble}" if trouble else "")
        if before.get(row["id"]) != line:
            before[row["id"]] = line
            yield line


def _asked(box: Box, sleep: Callable[[float], None]) -> Iterator[tuple[list[dict[str, Any]], float | None]]:
    """What the box says, once a second, and for how long it has said nothing."""
    rows = box.status()
    silent_since: float | None = None
    while True:
        began = time.monotonic()
        yield rows, None if silent_since is None else began - silent_since
        sleep(max(0.05, EVERY_S - (time.monotonic() - began)))
        try:
            rows, silent_since = box.status(), None
        except (BoxNotRunningError, BoxTimeoutError):
            silent_since = time.monotonic() if silent_since is None else silent_since


def trouble_of(row: Row) -> str:
    """What is wrong with a camera, in words; nothing where nothing is."""
    parts = []
    if row["state"] != "playing":
        parts.append(row.get("reason") or "")
    elif row.get("keep_state") not in (None, "playing"):
        parts.append(f"kept stream {row['keep_state']}: {row.get('keep_reason') or 'no reason told'}")
    if row.get("trouble"):
        parts.append(str(row["trouble"]))
    if row["state"] == "playing":
        parts.append(gate_trouble(row["gate"]))
    return " · ".join(part for part in parts if part)


def gate_trouble(gate: Row) -> str:
    """What hides motion from a camera's gate, in words; nothing where nothing does."""
    habits = [words for _, words in gate.get("habits") or ()]
    if gate["state"] == "off" and not habits:
        return str(gate.get("words") or "")
    return " · ".join(habits)


def table_of(rows: Sequence[Row], *, width: int, height: int, now_s: float, silent_s: float | None = None) -> Text:
    """The table for a terminal of that size; where not all fit, cameras in trouble come first, then those that move.

    Args:
        rows: of `status`.
        width: columns of the terminal.
        height: its lines.
        now_s: Unix time.
        silent_s: for how long the box has not answered.
    """
    from rich.text import Text

    cameras = [row for row in rows if row["kind"] == "camera"]
    shown, left = _that_fit(cameras, height - 3, now_s)
    across = min(width, _WIDEST)
    name = max(8, across - sum(abs(wide) + 1 for _, wide in _COLUMNS))
    lines = [_head(rows, cameras, silent_s)]
    lines.append(Text(_line("camera", [heading for heading, _ in _COLUMNS], name), style="bold"))
    for row in shown:
        line = Text(_line(row["id"], _figures(row), name))
        line.stylize(_STYLES.get(row["state"], ""), name + 1, name + 1 + len(row["state"]))
        if _moves(row, now_s):
            line.stylize("bold reverse", len(line) - 8)
        lines.append(line)
        trouble = trouble_of(row)
        if trouble:
            lines.append(Text(f"  {trouble}", style="dim"))
    if left:
        lines.append(Text(f"and {left} more, in which nothing is wrong", style="dim"))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n", no_wrap=True).join(lines)


def _line(name: str, cells: Sequence[str], wide: int) -> str:
    shown = name if len(name) <= wide else name[: wide - 1] + "…"
    padded = [
        cell[:-width].ljust(-width) if width < 0 else cell[:width].rjust(width)
        for cell, (_, width) in zip(cells, _COLUMNS, strict=True)
    ]
    return " ".join([shown.ljust(wide), *padded])


def _moves(row: Row, now_s: float) -> bool:
    return row["last_event_s"] is not None and now_s - row["last_event_s"] < MOVING_S


def _that_fit(cameras: Sequence[Row], room: int, now_s: float) -> tuple[list[Row], int]:
    """Those for which there is room, in the order of the site file, and how many are left out."""

    def lines(row: Row) -> int:
        return 2 if trouble_of(row) else 1

    def rank(row: Row) -> tuple[int, float]:
        if trouble_of(row):
            return (0, 0.0)
        return (1 if _moves(row, now_s) else 2, -(row["last_event_s"] or 0.0))

    if sum(lines(row) for row in cameras) <= room:
        return list(cameras), 0
    chosen: set[str] = set()
    used = 1  # how many are left out is told
    for row in sorted(cameras, key=rank):
        if used + lines(row) > room:
            break
        used += lines(row)
        chosen.add(row["id"])
    return [row for row in cameras if row["id"] in chosen], len(cameras) - len(chosen)


def _figures(row: Row) -> list[str]:
    """What stands in the columns behind the camera's name."""
    gate = row["gate"]
    threshold = gate.get("threshold") or 0.0
    agreement = gate.get("agreement")
    return [
        row["state"],
        f"{row['bitrate_kbit']:.0f}",
        _short(row["lost"]),
        gate["state"],
        f"{min(max(gate['level'] / threshold, 0.0), 9.99):.0%}" if threshold > 0 else "-",
        "-" if agreement is None else f"{agreement:.0%}",
        _short(row["pictures_looked_at"]),
        _clock(row["last_event_s"]),
    ]


def _short(count: int) -> str:
    """A count in at most six letters.

    >>> _short(9_999), _short(123_456), _short(12_345_678)
    ('9999', '123k', '12.3M')
    """
    if count < 10_000:
        return str(count)
    return f"{count / 1000:.0f}k" if count < 1_000_000 else f"{count / 1e6:.1f}M"


def _head(rows: Sequence[Row], cameras: Sequence[Row], silent_s: float | None) -> Text:
    from rich.text import Text

    if silent_s is not None:
        return Text(f"the box has not answered for {silent_s:.0f} s; what it said last:", style="bold red")
    told = f"{sum(row['state'] == 'playing' for row in cameras)} of {len(cameras)} cameras play"
    for box in (row for row in rows if row["kind"] == "box"):
        up = datetime.timedelta(seconds=round(box["uptime_s"]))
        load = box["cpu_s"] / max(box["uptime_s"], 1e-9)
        told = f"{box['site']}: {told}, up {up}, {load:.0%} of a core, {box['rss_bytes'] / 1e6:.0f} MB"
    return Text(told, style="bold")


def _clock(at_s: float | None) -> str:
    return "-" if at_s is None else datetime.datetime.fromtimestamp(at_s).astimezone().strftime("%H:%M:%S")
