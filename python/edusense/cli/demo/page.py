"""The demo's page: one file that opens anywhere, without network."""

from __future__ import annotations

import base64
import datetime
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edusense._version import version

if TYPE_CHECKING:
    from pathlib import Path

    from edusense.cli.demo.result import Result

__all__ = ["render", "write_page"]

ROW_HEIGHT = 26
LEFT = 120
WIDTH = 1000
"""Size of the drawings in SVG units; the page scales them to its width."""


@dataclass(frozen=True)
class Bar:
    """One bar of a drawing, in SVG units."""

    x: float
    width: float
    title: str
    kind: str
    target: str = ""


def write_page(result: Result, path: Path) -> None:
    """Writes the page, mode 0640: it shows people."""
    partial = path.with_suffix(".partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640), "w", encoding="utf-8") as file:
        file.write(render(result))
    partial.replace(path)


def render(result: Result) -> str:
    """The page as text."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edusense.cli.demo", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["data"] = lambda jpeg: "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
    span = _span(result)
    return environment.get_template("page.html.j2").render(
        result=result,
        version=version(),
        when=datetime.datetime.fromtimestamp(result.began_s, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        summary=[line for line in result.summary() if line[0] not in {"does not add up", "", "verdict"}],
        timeline=_timeline(result, span),
        ticks=_ticks(span),
        meals=_meals(result, span),
        events=_events(result),
        left=LEFT,
        width=WIDTH,
        row_height=ROW_HEIGHT,
    )


def _span(result: Result) -> float:
    ends = [
        result.uptime_s,
        *(event["end_s"] - result.began_s for event in [*result.motion_staged, *result.motion_found]),
    ]
    return float(max(10.0, *ends))


def _x(seconds: float, span_s: float) -> float:
    return LEFT + (WIDTH - LEFT) * min(max(seconds, 0.0), span_s) / span_s


def _ticks(span_s: float) -> list[tuple[float, str]]:
    step = next((step for step in (5, 10, 30, 60, 300, 600) if span_s / step <= 14), 1800)
    return [(_x(second, span_s), f"{second} s") for second in range(0, int(span_s) + 1, step)]


def _timeline(result: Result, span_s: float) -> list[dict[str, Any]]:
    missed = {(event["camera"], event["start_s"]) for event in result.motion.missed}
    invented = {str(event["id"]): event["why"] for event in result.motion.invented}
    rows = []
    for index, camera in enumerate(result.cameras):
        bars = []
        for event in result.motion_staged:
            if event["camera"] == camera["id"]:
                start, end = event["start_s"] - result.began_s, event["end_s"] - result.began_s
                kind = "missed" if (event["camera"], event["start_s"]) in missed else "staged"
                title = f"{kind}: {event['what']}, {event['share']:.1%} of the picture, {start:.1f} to {end:.1f} s"
                bars.append(Bar(_x(start, span_s), max(2.0, _x(end, span_s) - _x(start, span_s)), title, kind))
        for event in result.motion_found:
            if event["camera"] == camera["id"]:
                start, end = event["start_s"] - result.began_s, event["end_s"] - result.began_s
                kind = "invented" if str(event["id"]) in invented else "found"
                title = f"{kind}: {start:.1f} to {end:.1f} s, score {event['score']:.2f}"
                if kind == "invented":
                    title += f"; {invented[str(event['id'])]}"
                width = max(2.0, _x(end, span_s) - _x(start, span_s))
                bars.append(Bar(_x(start, span_s), width, title, kind, f"event-{event['id']}"))
        rows.append(
            {"camera": camera["id"], "room": result.rooms.get(camera["id"], ""), "y": index * ROW_HEIGHT, "bars": bars}
        )
    return rows


def _meals(result: Result, span_s: float) -> dict[str, Any]:
    """Taps in bins: how many a minute, granted and refused."""
    bin_s = next((step for step in (5, 10, 30, 60, 300) if span_s / step <= 40), 600)
    count = int(span_s // bin_s) + 1
    granted, refused = [0] * count, [0] * count
    for tap in result.taps_answered:
        index = int((tap["time_s"] - result.began_s) // bin_s)
        if 0 <= index < count:
            (granted if tap["granted"] else refused)[index] += 1
    tallest = max(1, *(g + r for g, r in zip(granted, refused, strict=True)))
    height = 140.0
    bars = []
    for index, (yes, no) in enumerate(zip(granted, refused, strict=True)):
        x, right = _x(index * bin_s, span_s), _x((index + 1) * bin_s, span_s)
        bars.append(
            {
                "x": x,
                "width": max(1.0, right - x - 2),
                "granted": height * yes / tallest,
                "refused": height * no / tallest,
                "title": f"{index * bin_s} to {(index + 1) * bin_s} s: {yes} granted, {no} refused",
            }
        )
    per_minute = 60 / bin_s
    return {"bars": bars, "height": height, "top": f"{tallest * per_minute:.0f} a minute", "bin_s": bin_s}


def _events(result: Result) -> list[dict[str, Any]]:
    staged = {str(found): event for event in result.motion.found for found in event["found_by"]}
    return [
        {
            **event,
            "key": str(event["id"]),
            "at": f"{event['start_s'] - result.began_s:.1f}",
            "lasted": f"{event['end_s'] - event['start_s']:.1f}",
            "what": staged[str(event["id"])]["what"] if str(event["id"]) in staged else None,
            "picture": result.thumbnails.get(str(event["id"])),
        }
        for event in sorted(result.motion_found, key=lambda row: row["start_s"])
    ]
