"""Two reports beside each other: which figures have really changed, and how large a change could have been seen.

A figure that was measured beside a peer is compared by its ratio to that peer, run by run: what the machine did to both
alike drops out. The others are compared as they are, and only where both reports have enough quiet runs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from edusense.bench.ranks import detectable, holm, rank_test, shift

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edusense.bench.report_models import CaseResult, FigureResult, Report

__all__ = ["AT_LEAST", "Comparison", "Row", "compare"]

AT_LEAST: Final = 0.03
"""Changes below this share are not called, however sure: memory laid out otherwise in another build does as much."""
_FALSE_ALARMS: Final = 0.05
"""How often a comparison of two reports of one build may call any change at all."""

Verdict = Literal["better", "worse", "changed", "no change", "not compared"]


@dataclass(frozen=True)
class Row:
    """One figure in two reports.

    Args:
        key: case and device.
        figure: the figure's id.
        what: what was measured.
        unit: its unit.
        before: median in the first report.
        after: median in the second.
        change: by which share it changed; of the ratio to `beside` where that is given.
        low: lower end of that change's 95 % interval.
        high: upper end.
        chance: how often chance alone would part the runs so far, corrected for the number of figures.
        could_see: the smallest change that these runs would have shown nine times in ten.
        beside: the peer by whose ratio it was compared.
        verdict: what is to be thought of it.
        why: why it was not compared, or what to bear in mind.
    """

    key: str
    figure: str
    what: str
    unit: str
    before: float | None
    after: float | None
    change: float | None
    low: float | None
    high: float | None
    chance: float | None
    could_see: float | None
    beside: str | None
    verdict: Verdict
    why: str | None

    def to_json(self) -> dict[str, Any]:
        """The row as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Comparison:
    """Every figure of two reports.

    Args:
        rows: in the order of the second report.
        notes: what else differs: the machine, versions, options.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def changed(self) -> tuple[Row, ...]:
        """The figures that have changed beyond noise."""
        return tuple(row for row in self.rows if row.verdict in {"better", "worse", "changed"})


@dataclass(frozen=True)
class _Pair:
    """The runs of one figure in both reports, as they are compared."""

    case: CaseResult
    before: FigureResult
    after: FigureResult
    beside: str | None
    old: tuple[float, ...]
    new: tuple[float, ...]
    why: str | None


def compare(before: Report, after: Report, *, at_least: float = AT_LEAST) -> Comparison:
    """Holds one report against another.

    Args:
        before: the first.
        after: the second.
        at_least: share below which a change is not called.
    """
    pairs = [_pair(old, new, figure) for old, new, figure in _figures(before, after)]
    tested = [pair for pair in pairs if pair.old and pair.new]
    chances = iter(holm([rank_test(pair.old, pair.new) for pair in tested]))
    alpha = _FALSE_ALARMS / max(1, len(tested))
    rows = [_row(pair, next(chances) if pair.old and pair.new else None, alpha, at_least) for pair in pairs]
    return Comparison((*rows, *_alone(before, after)), tuple(_notes(before, after)))


def _figures(before: Report, after: Report) -> Iterable[tuple[CaseResult, CaseResult, FigureResult]]:
    there = {case.key: case for case in before.cases}
    for case in after.cases:
        old = there.get(case.key)
        if old is not None:
            names = {figure.id for figure in old.figures}
            yield from ((old, case, figure) for figure in case.figures if figure.id in names)


def _alone(before: Report, after: Report) -> Iterable[Row]:
    """Figures that only one of the reports has."""
    have = {(case.key, figure.id) for case in before.cases for figure in case.figures}
    now = {(case.key, figure.id) for case in after.cases for figure in case.figures}
    for report, other, place in ((before, now, "first"), (after, have, "second")):
        for case in report.cases:
            for figure in case.figures:
                if (case.key, figure.id) not in other:
                    values = (figure.median, None) if place == "first" else (None, figure.median)
                    yield _not_compared(case, figure, values, f"only the {place} report has it")


def _not_compared(case: CaseResult, figure: FigureResult, values: tuple[float | None, float | None], why: str) -> Row:
    return Row(
        case.key, figure.id, figure.what, figure.unit, *values, None, None, None, None, None, None, "not compared", why
    )


def _pair(old: CaseResult, new: CaseResult, after: FigureResult) -> _Pair:
    before = next(figure for figure in old.figures if figure.id == after.id)
    why = _apart(old, new, before, after)
    beside, first, second = _values(before, after)
    if why is None and beside is None and not all(one.used == "quiet runs" for one in (before, after)):
        why = "measured on a busy machine, without a peer beside it"
    if why is None and min([*first, *second], default=0.0) <= 0:
        why = "runs of nothing cannot be compared by share"
    if why is not None:
        return _Pair(new, before, after, beside, (), (), why)
    if not all(one.used == "quiet runs" for one in (before, after)):
        why = "measured on a busy machine"
    return _Pair(new, before, after, beside, first, second, why)


def _apart(old: CaseResult, new: CaseResult, before: FigureResult, after: FigureResult) -> str | None:
    """Why two figures are not the same thing, or too unsteady to be compared."""
    if before.unit != after.unit or before.statistic != after.statistic:
        return f"measured otherwise: in {before.unit}, by {before.statistic}"
    changed = {
        name for name in old.options.keys() | new.options.keys() if old.options.get(name) != new.options.get(name)
    }
    if changed:
        told = (f"{name} {old.options.get(name)} and {new.options.get(name)}" for name in sorted(changed))
        return f"other options: {', '.join(told)}"
    if not after.steady:
        return "single values of it vary too much to be compared"
    if before.count < 2 or after.count < 2:
        return "one run is not enough"
    return None


def _values(before: FigureResult, after: FigureResult) -> tuple[str | None, tuple[float, ...], tuple[float, ...]]:
    """The runs to compare: beside the first peer that both have in every run, else as they are."""
    for peer in after.peers:
        other = next((one for one in before.peers if one.peer == peer.peer), None)
        if other is not None and len(peer.values) == after.count and len(other.values) == before.count:
            old = zip(_used(before), other.values, strict=True)
            new = zip(_used(after), peer.values, strict=True)
            if all([*peer.values, *other.values]):
                return peer.peer, tuple(ours / its for ours, its in old), tuple(ours / its for ours, its in new)
    return None, tuple(_used(before)), tuple(_used(after))


def _used(figure: FigureResult) -> Sequence[float]:
    if figure.used == "quiet runs":
        return [value for value, busy in zip(figure.values, figure.busy, strict=True) if not busy]
    return figure.values


def _row(pair: _Pair, chance: float | None, alpha: float, at_least: float) -> Row:
    figure = pair.after
    if chance is None:
        return _not_compared(pair.case, figure, (pair.before.median, figure.median), pair.why or "")
    factor, low, high = (part - 1 for part in shift(pair.old, pair.new))
    could_see = detectable(pair.old, pair.new, alpha)
    why = pair.why
    if chance < _FALSE_ALARMS and abs(factor) >= at_least:
        more = factor > 0
        verdict: Verdict = "changed" if figure.better == "neither" else _verdict(more=more, better=figure.better)
    else:
        verdict = "no change"
        if could_see is None:
            verdict, why = "not compared", f"{len(pair.old)} and {len(pair.new)} runs are too few to show anything"
    return Row(
        pair.case.key,
        figure.id,
        figure.what,
        figure.unit,
        pair.before.median,
        figure.median,
        factor,
        low,
        high,
        chance,
        None if could_see is None else max(could_see, at_least),
        pair.beside,
        verdict,
        why,
    )


def _verdict(*, more: bool, better: str) -> Verdict:
    return "better" if more == (better == "more") else "worse"


def _notes(before: Report, after: Report) -> Iterable[str]:
    for name, words in (("cpu", "processor"), ("processors", "number of processors"), ("kernel", "kernel")):
        if before.machine.get(name) != after.machine.get(name):
            yield f"another {words}: {before.machine.get(name)}, then {after.machine.get(name)}"
    if before.machine.get("host") != after.machine.get("host"):
        yield f"another machine: `{before.machine.get('host')}`, then `{after.machine.get('host')}`"
    for name in sorted(before.versions.keys() | after.versions.keys()):
        if before.versions.get(name) != after.versions.get(name):
            yield f"{name}: {before.versions.get(name)}, then {after.versions.get(name)}"
    if before.seed != after.seed:
        yield f"another seed: {before.seed}, then {after.seed}"
