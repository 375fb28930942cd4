"""`report.html`: the report as one file that opens and prints anywhere, for the person who signs it."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Final

from edusense.bench import charts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edusense.bench.report_models import CaseResult, FigureResult, Report

__all__ = ["render"]

_VERDICTS: Final = {
    "passed": "Passed",
    "failed": "Failed",
    "incomplete": "Nothing failed, and not everything was measured",
    "no limits": "Measured; this plan sets no limits",
}
_ORDER: Final = {"fail": 0, "not measured": 1, "pass": 2}


def render(report: Report, sha256: str) -> str:
    """The page as text.

    Args:
        report: what was measured.
        sha256: of `report.json`, so that paper and file can be told to belong together.
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edusense.bench", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    filters: dict[str, Callable[..., str]] = {
        "number": charts.number,
        "percent": _percent,
        "when": _when,
        "anchor": _anchor,
    }
    environment.filters.update(filters)
    began_s = {run.began: _unix(run.began) for case in report.cases for run in case.runs}
    return environment.get_template("page.html.j2").render(
        report=report,
        sha256=sha256,
        verdict=_VERDICTS[report.verdict],
        limits=sorted(report.limits, key=lambda limit: _ORDER[limit.outcome]),
        facts=_machine(report.machine),
        chart=lambda case, figure: Markup(charts.runs(figure, _limit(report, case, figure))),  # noqa: S704 - our own SVG, whose texts are escaped
        curve=lambda found: Markup(charts.curve(found)),  # noqa: S704 - our own SVG, whose texts are escaped
        noise=Markup(charts.noise(report.cases, min(began_s.values()), began_s)) if began_s else "",  # noqa: S704
        busy=sum(bool(run.busy) for case in report.cases for run in case.runs),
        runs=sum(len(case.runs) for case in report.cases),
        minutes=(_unix(report.ended) - _unix(report.began)) / 60,
        failures=[(case, run) for case in report.cases for run in case.runs if run.error],
    )


def _unix(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{charts.number(100 * share)} %"


def _when(text: str) -> str:
    return datetime.datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M UTC")


def _anchor(key: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in key)


def _limit(report: Report, case: CaseResult, figure: FigureResult) -> dict[str, Any] | None:
    """The limit in the figure's own unit, to be drawn."""
    for limit in report.limits:
        if limit.key == case.key and limit.figure == figure.id and limit.beside is None:
            if limit.at_most is not None:
                return {"word": "at most", "bound": limit.at_most}
            return {"word": "at least", "bound": limit.at_least}
    return None


def _machine(machine: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The machine, line by line; what the system does not tell is said to be so."""
    disk = machine["disk"]
    frequency = machine["frequency_mhz"]
    kind = {True: "rotating, or says so", False: "solid state", None: None}[disk.get("rotational")]
    disk_parts = [disk.get("model"), disk.get("device"), kind, disk.get("filesystem"), disk.get("options")]
    if disk.get("cache"):
        disk_parts.append(f"cache: {disk['cache']}")
    cards = []
    for card in machine["network"]:
        speed = f"{card['speed_mbit']} Mbit/s" if card["speed_mbit"] else "speed not told"
        cards.append(f"{card['name']} {speed} ({card['state']})")
    lines = [
        ("computer", _joined(machine["model"], machine["virtual"] and f"({machine['virtual']})")),
        ("name", machine["host"]),
        ("processor", f"{machine['cpu'] or machine['architecture']}, {machine['processors']} for us"),
        ("frequency", None if not frequency else f"{frequency[0]:.0f} to {frequency[-1]:.0f} MHz"),
        (
            "governor",
            _joined(machine["governor"], {True: "turbo on", False: "turbo off", None: None}[machine["turbo"]]),
        ),
        ("temperature", None if machine["temperature_c"] is None else f"{machine['temperature_c']} °C at the start"),
        ("memory", f"{machine['memory_gb']:.1f} GB"),
        ("disk", f"{', '.join(str(part) for part in disk_parts if part)}; measured in {disk['folder']}"),
        ("network", "; ".join(cards) or None),
        ("system", _joined(machine["system"], machine["kernel"], machine["architecture"])),
    ]
    return [(name, text or "the system does not tell") for name, text in lines]


def _joined(*parts: str | None) -> str | None:
    return ", ".join(part for part in parts if part) or None
