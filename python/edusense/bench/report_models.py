"""A report as types: what stands in `report.json`. Its JSON Schema is generated into docs/reference/json."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["CaseResult", "FigureResult", "LimitResult", "PeerResult", "Report", "RunResult"]

Outcome = Literal["pass", "fail", "not measured"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True, populate_by_name=True)


class RunResult(_Part):
    """One run, and what else the machine did meanwhile."""

    number: int
    """Which of the case's runs, from 0; numbers beyond the planned ones are runs done again."""
    began: str
    """When, in UTC."""
    wall_s: float
    """How long it took."""
    cpu_s: float
    """CPU seconds that it and its children took."""
    others_cores: float
    """CPU of other programs meanwhile, in cores."""
    steal: float
    """Share of the time that the hypervisor took away."""
    load: float
    """Load average of one minute, before it."""
    temperature_c: float | None
    """The hottest sensor after it, in °C."""
    pace_us: list[float] | None
    """Microseconds for a fixed piece of work, before and after: how fast the processor was."""
    busy: list[str]
    """Why it counts as a run on a busy machine; empty where it does not."""
    error: str | None
    """Why it failed."""
    said: str | None
    """What the case's process said when it failed."""


class PeerResult(_Part):
    """What a figure is measured beside."""

    peer: str
    """What it is."""
    values: list[float]
    """Its value in each run that counts."""
    median: float
    """Their median."""
    ratio: float | None
    """Median of the runs' ratios."""
    ratios: list[float]
    """Ratio in each run that counts."""
    speed: bool
    """The ratio is a speed, better when large; else a cost, better when small."""
    quantiles: list[float] | None
    """As the figure's."""


class FigureResult(_Part):
    """One thing that was measured."""

    id: str
    """Its name within the case."""
    what: str
    """What was measured."""
    unit: str
    """Its unit."""
    better: Literal["less", "more", "neither"]
    """Which way it is better."""
    steady: bool
    """Whether `edusense bench compare` compares it."""
    statistic: str
    """How a run's many values became its one."""
    values: list[float]
    """The value of each run."""
    busy: list[bool]
    """Whether that run was one on a busy machine."""
    used: Literal["quiet runs", "all runs, on a busy machine"]
    """Which runs count in what follows."""
    count: int
    """How many runs count."""
    samples: int
    """How many values they had in all."""
    least: float
    """The smallest of their values."""
    median: float
    """The middle one."""
    most: float
    """The largest."""
    spread: float | None
    """The middle half of the runs lies within so much of the median, as a share of it."""
    quantiles: list[float] | None
    """Of the values within a run, at shares 0, .01, .05, .1, .25, .5, .75, .9, .95, .99, .999, 1; median over runs."""
    peers: list[PeerResult]
    """What it is measured beside."""


class CaseResult(_Part):
    """A case on a device."""

    key: str
    """Its name in this report: `meal@disk`."""
    case: str
    """The case."""
    device: str | None
    """The device's id."""
    what: str
    """What is measured."""
    state: Literal["measured", "partly", "failed", "not measured", "not run"]
    """partly: some runs failed; not measured: what it needs is not here; not run: the time was over."""
    reason: str | None
    """Why it was not measured, or how it failed."""
    hint: str | None
    """What to do about that."""
    rounds: int
    """How many runs were planned."""
    options: dict[str, Any]
    """Its options."""
    command: str
    """The command that measures it again."""
    figures: list[FigureResult]
    """What was measured."""
    curves: list[dict[str, Any]]
    """Lines: id, title, x, y, and lines of points."""
    facts: list[dict[str, Any]]
    """Lines of a data sheet: name, value, state, words."""
    notes: list[str]
    """Sentences for the reader."""
    runs: list[RunResult]
    """Every run."""


class LimitResult(_Part):
    """A limit of the profile, and whether it is kept."""

    key: str
    """The case and device; `machine` for what the machine itself must have."""
    figure: str
    """The figure."""
    what: str
    """What was measured."""
    limit: str
    """What it must keep."""
    at_most: float | None
    """The most that will do."""
    at_least: float | None
    """The least that will do."""
    beside: str | None
    """The peer whose ratio is meant; None: the figure itself, or the machine."""
    value: float | None
    """What was measured."""
    shown: str | None
    """The same with its unit."""
    outcome: Outcome
    """Whether it is kept."""
    why: str | None
    """Why it was not measured."""
    reason: str
    """Why there is this limit."""
    busy: bool
    """It was measured on a busy machine: a failure should be measured again."""


class Report(_Part):
    """What was measured on one machine, and whether it keeps the limits of a profile."""

    schema_: int = Field(alias="schema")
    """Version of this format."""
    title: str
    """Of the plan."""
    profile: str | None
    """The shipped profile that it is or starts from."""
    summary: str
    """What it is for."""
    school: dict[str, Any] | None
    """The school that it is for."""
    edusense: str
    """Version."""
    versions: dict[str, str | None]
    """Of what took part."""
    began: str
    """When the first run began, in UTC."""
    ended: str
    """When the last one ended."""
    ended_early: str | None
    """Why not everything was run."""
    verdict: Literal["passed", "failed", "incomplete", "no limits"]
    """incomplete: nothing failed, and not everything was measured."""
    counts: dict[str, int]
    """Limits by outcome."""
    machine: dict[str, Any]
    """The machine: processor, memory, disk, network, system."""
    doctor: list[dict[str, Any]]
    """What `edusense doctor` had to say."""
    devices: list[dict[str, Any]]
    """Devices that were named; passwords are references."""
    seed: int
    """Of everything drawn at random."""
    harness_share: float | None
    """CPU of the harness beside that of what it measured."""
    limits: list[LimitResult]
    """Each limit."""
    cases: list[CaseResult]
    """Each case."""
