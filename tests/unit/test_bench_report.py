"""From runs to a verdict and a page; and what two reports say about each other."""

from __future__ import annotations

import random
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from edusense.bench import charts
from edusense.bench.case import Case, Curve, Fact, Kind, Measured
from edusense.bench.compare import compare
from edusense.bench.figure import Figure
from edusense.bench.folder import Folder
from edusense.bench.page import render
from edusense.bench.plan import Plan, Unit
from edusense.bench.plan_models import Limit, MachineLimit
from edusense.bench.report import build, digest
from edusense.bench.report_models import Report
from edusense.bench.worker import as_json

MACHINE = {
    "host": "bench-1", "model": "Acme <Box>", "virtual": None, "architecture": "x86_64", "cpu": "Acme N100",
    "processors": 4,
    "frequency_mhz": [800.0, 3400.0], "governor": "powersave", "turbo": True, "temperature_c": 48.0, "memory_gb": 8.0,
    "kernel": "Linux 6.1", "system": "Debian 12",
    "disk": {"folder": "/data", "device": "sda", "filesystem": "ext4", "options": "rw", "model": "SSD 1",
             "cache": "write back", "rotational": False, "scheduler": "none", "size_gb": 256.0},
    "network": [{"name": "eth0", "speed_mbit": 1000, "state": "up"}],
}  # fmt: skip
CASE = Case(
    "walk",
    "walking",
    "edusense.bench.pace:pace",
    (Kind("step", "one step", "ms"), Kind("stride", "stride", "m", "more")),
)


def noise(*, busy: bool = False) -> dict[str, Any]:
    before = {"cores": 0.0, "disk": 0.0, "load": 0.1, "programs": []}
    return {"others": 1.5 if busy else 0.0, "steal": 0.0, "before": before, "busy": ["rustc"] if busy else []}


def a_run(number: int, measured: Measured, *, busy: bool = False, key: str = "walk") -> dict[str, Any]:
    return {
        "kind": "run", "unit": key, "number": number, "began": f"2026-11-25T10:{number:02}:00+00:00", "wall_s": 2.0,
        "cpu_s": 1.0, "harness_cpu_s": 0.01, "temperature_c": 50.0, "noise": noise(busy=busy), "pace": [100.0, 101.0],
        **as_json(measured),
    }  # fmt: skip


def step(ms: float, peer: float | None = None) -> Measured:
    more = {} if peer is None else {"peer": "a snail", "peer_runs": (peer, peer, peer)}
    return Measured([Figure("step", "ms", (ms, ms * 1.01, ms * 0.99), id="step", **more)])


def report(
    tmp_path: Path, runs: list[dict[str, Any]], *limits: Limit, machine: tuple[MachineLimit, ...] = (), **more: Any
) -> Report:
    unit = Unit(CASE, None, more.pop("options", {}), 5, limits)
    plan = Plan("A walk", (unit,), machine=machine)
    with Folder.open(tmp_path / "out", restart=True) as folder:
        folder.begin(
            {
                "edusense": "0.1.0", "began": "2026-11-25T10:00:00+00:00", "plan": plan.to_json(), "doctor": [],
                "machine": MACHINE | more, "versions": {"edusense": "0.1.0", "av": None},
            }
        )  # fmt: skip
        for row in runs:
            folder.add(row)
        return build(folder)


def limit(**more: Any) -> Limit:
    return Limit(figure="step", reason="walkers must not be late", **({"unit": "ms"} | more))


def test_a_median_is_of_the_quiet_runs_and_busy_ones_are_shown(tmp_path: Path):
    runs = [a_run(n, step(ms), busy=ms > 15) for n, ms in enumerate([10.0, 11.0, 12.0, 20.0, 30.0])]
    (figure,) = report(tmp_path, runs).cases[0].figures
    assert (figure.median, figure.least, figure.most, figure.count) == (11.0, 10.0, 12.0, 3)
    assert figure.used == "quiet runs"
    assert figure.values == [10.0, 11.0, 12.0, 20.0, 30.0]
    assert figure.busy == [False, False, False, True, True]


def test_too_few_quiet_runs_are_not_passed_off_as_enough(tmp_path: Path):
    runs = [a_run(n, step(ms), busy=ms > 15) for n, ms in enumerate([10.0, 20.0, 30.0])]
    found = report(tmp_path, runs, limit(at_most=5.0))
    (figure,) = found.cases[0].figures
    assert (figure.median, figure.used) == (20.0, "all runs, on a busy machine")
    assert found.limits[0].busy
    assert found.limits[0].outcome == "fail"


@pytest.mark.parametrize(
    ("limits", "outcomes", "verdict"),
    [
        ([limit(at_most=12.0)], ["pass"], "passed"),
        ([limit(at_most=9.0)], ["fail"], "failed"),
        ([limit(at_least=9.0)], ["pass"], "passed"),
        ([limit(at_least=2.0, beside="a snail", unit=None)], ["pass"], "passed"),
        ([limit(at_least=3.0, beside="a snail", unit=None)], ["fail"], "failed"),
        ([limit(at_least=3.0, beside="a hare", unit=None)], ["not measured"], "incomplete"),
        ([limit(at_most=12.0), limit(at_most=1.0, beside="a hare", unit=None)], ["pass", "not measured"], "incomplete"),
        ([], [], "no limits"),
    ],
)
def test_limits_and_verdict(limits: list[Limit], outcomes: list[str], verdict: str, tmp_path: Path):
    found = report(tmp_path, [a_run(n, step(10.0, 25.0)) for n in range(5)], *limits)
    assert [one.outcome for one in found.limits] == outcomes
    assert found.verdict == verdict
    assert sum(found.counts.values()) == len(limits)


def test_a_machine_is_held_against_what_it_must_have(tmp_path: Path):
    needed = tuple(
        MachineLimit(fact=fact, at_least=least, reason="as many as the school needs")
        for fact, least in (("processors", 2), ("memory_gb", 16), ("free_gb", 1))
    )
    found = report(tmp_path, [a_run(0, step(1.0))], machine=needed)
    assert [one.outcome for one in found.limits] == ["pass", "fail", "not measured"]


class _Page(HTMLParser):
    """Tags that are left open, and everything that would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "br"}:
            self.open.append(tag)
        self.fetched += [
            f"{name}={value}" for name, value in attrs if name in {"src", "href"} and not (value or "").startswith("#")
        ]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_escaped_and_fetches_nothing(tmp_path: Path):
    more = Measured(
        step(10.0, 25.0).figures,
        curves=[
            Curve("pace", "pace & breath", "minutes", "m/s", {"up": [(0, 1.0), (5, 1.4)], "down": [(0, 1.0), (5, 2.0)]})
        ],
        facts=[Fact("shoes", "<b>none</b>", "warn", "wear some")],
        notes=["it rained & poured"],
    )
    runs = [a_run(n, more, busy=n == 3) for n in range(4)] + [
        {**a_run(4, step(1.0)), "error": {"kind": "crashed", "message": "it <fell>", "hint": None, "said": "ouch & so"}}
    ]
    for run in runs[4:]:
        del run["figures"]
    found = report(tmp_path, runs, limit(at_most=12.0), limit(at_most=9.0))
    text = render(found, "ab" * 32)
    page = _Page()
    page.feed(text)
    page.close()
    assert not page.open
    assert not page.fetched
    assert "url(" not in text
    assert "<b>none</b>" not in text
    assert "<script" not in text
    for said in (
        "A walk", "Failed", "Acme N100", "&lt;b&gt;none", "it &lt;fell&gt;", "ouch &amp; so", "it rained &amp; poured",
        "walkers must not be late", "edusense bench case walk --runs 5", "ab" * 32, "1 of 5 runs met a busy machine",
        "2.5 × as fast",
    ):  # fmt: skip
        assert said in text, said


def test_numbers_in_charts_are_places_inside_them(tmp_path: Path):
    for values in ([1.0, 1.0], [0.0, 0.0], [1e-9, 5e9], [-3.0, 7.0], [5.0]):
        runs = [a_run(n, Measured([Figure("step", "ms", (value, value), id="step")])) for n, value in enumerate(values)]
        (figure,) = report(tmp_path, runs).cases[0].figures
        svg = charts.runs(figure, {"word": "at most", "bound": 3.0})
        places = [float(place) for place in re.findall(r'(?:cx|x1|x2|x)="([-\d.]+)"', svg)]
        assert places
        assert all(0 <= place <= 720 for place in places), values
    drawn = charts.curve(Curve("c", "c", "x", "y", {"one": [(3.0, 3.0)], "none": []}).to_json())
    assert "nan" not in drawn
    assert charts.curve(Curve("c", "c", "x", "y", {}).to_json()) == ""


def test_the_digest_on_paper_is_that_of_the_file():
    assert digest("{}") == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


# ---- comparing


def drawn(
    tmp_path: Path,
    seed: int,
    by: float = 1.0,
    *,
    count: int = 9,
    busy: bool = False,
    peer: bool = True,
    sd: float = 0.02,
    **more: Any,
) -> Report:
    chance = random.Random(seed)
    machine = chance.lognormvariate(0, 0.15)  # what the machine does to both alike
    runs = []
    for number in range(count):
        now = machine * chance.lognormvariate(0, 0.05)
        ours = 10 * by * now * chance.lognormvariate(0, sd)
        runs.append(a_run(number, step(ours, 25 * now if peer else None), busy=busy))
    return report(tmp_path, runs, **more)


def test_one_build_twice_is_no_change_and_a_slower_one_is_seen(tmp_path: Path):
    alarms = missed = 0
    for seed in range(20):
        first = drawn(tmp_path, 2 * seed)
        alarms += bool(compare(first, drawn(tmp_path, 2 * seed + 1)).changed)
        (row,) = compare(first, drawn(tmp_path, 2 * seed + 1, 1.1)).rows
        missed += row.verdict != "worse"
        assert row.could_see is not None
        assert row.could_see < 0.1
    assert alarms <= 3
    assert missed <= 2


def test_a_faster_build_is_better_and_a_small_change_is_not_called(tmp_path: Path):
    (row,) = compare(drawn(tmp_path, 1), drawn(tmp_path, 2, 0.8)).rows
    assert row.verdict == "better"
    assert row.change == pytest.approx(-0.2, abs=0.05)
    assert row.low is not None
    assert row.high is not None
    assert row.low < -0.2 < row.high or abs(row.change + 0.2) < 0.05
    (row,) = compare(drawn(tmp_path, 1, sd=0.001), drawn(tmp_path, 2, 1.02, sd=0.001)).rows
    assert row.verdict == "no change"
    (row,) = compare(drawn(tmp_path, 1, sd=0.001), drawn(tmp_path, 2, 1.02, sd=0.001), at_least=0.01).rows
    assert row.verdict == "worse"


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ({}, {"options": {"legs": 3}}, "other options: legs None and 3"),
        ({"peer": False}, {"peer": False, "busy": True}, "busy machine"),
        ({"count": 1}, {}, "one run is not enough"),
        ({"count": 3}, {"count": 2}, "too few to show anything"),
    ],
)
def test_what_cannot_be_compared_says_why(before: dict[str, Any], after: dict[str, Any], why: str, tmp_path: Path):
    (row,) = compare(drawn(tmp_path, 1, **before), drawn(tmp_path, 2, 3.0, **after)).rows
    assert row.verdict == "not compared"
    assert why in (row.why or "")


def test_beside_a_peer_busy_runs_are_compared_and_marked(tmp_path: Path):
    (row,) = compare(drawn(tmp_path, 1, busy=True), drawn(tmp_path, 2, 1.3, busy=True)).rows
    assert (row.verdict, row.beside) == ("worse", "a snail")
    assert "busy" in (row.why or "")


def test_another_machine_is_said(tmp_path: Path):
    found = compare(drawn(tmp_path, 1), drawn(tmp_path, 2, host="bench-2", cpu="Acme N200"))
    assert any("bench-1" in note and "bench-2" in note for note in found.notes)
    assert any("Acme N200" in note for note in found.notes)


def test_a_figure_that_only_one_report_has_is_a_row(tmp_path: Path):
    first = drawn(tmp_path, 1)
    both = Measured([*step(10.0).figures, Figure("stride", "m", (1.0, 1.1), id="stride", better="more")])
    second = report(tmp_path, [a_run(n, both) for n in range(5)])
    rows = {row.figure: row for row in compare(first, second).rows}
    assert rows["stride"].why == "only the second report has it"
    assert rows["stride"].before is None
