"""What came of alert storms, and the table of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.faults.alert_storm_judge import Verdict
from tests.faults.alert_storm_relay import LINE_KINDS

__all__ = ["EVENTS", "KINDS", "Account", "Outcome"]

EVENTS = {
    "kill-box": 14,
    "kill-centre": 14,
    "kill-both": 4,
    "box-disk-full": 6,
    "centre-disk-full": 5,
    "box-clock-step": 12,
    "centre-clock-step": 4,
    "line-down": 5,
}
"""What befalls the processes, with how often in a storm."""
KINDS = (*EVENTS, *LINE_KINDS)


@dataclass
class Outcome:
    """What came of one storm."""

    alerts: int = 0
    requests: int = 0
    kills: int = 0
    again: int = 0
    refused: int = 0
    reserves: int = 0
    injected: Counter[str] = field(default_factory=Counter)
    verdict: Verdict = field(default_factory=Verdict)
    broken: str | None = None
    log: str = ""


@dataclass
class Account:
    """The sums of many storms."""

    storms: int = 0
    total: Counter[str] = field(default_factory=Counter)
    by_kind: dict[str, Counter[str]] = field(default_factory=dict)
    broken: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, number: int, outcome: Outcome) -> None:
        """Counts a storm."""
        verdict = outcome.verdict
        self.storms += 1
        ends = {name: len(getattr(verdict, name)) for name in ("lost", "doubled", "disordered", "wrong")}
        counts = {
            name: getattr(outcome, name) for name in ("alerts", "requests", "kills", "again", "refused", "reserves")
        }
        counts |= {name: getattr(verdict, name) for name in ("messages", "known", "parts", "answers")}
        self.total.update({**ends, **counts, "answers-refused": verdict.refused})
        for kind, times in outcome.injected.items():
            row = self.by_kind.setdefault(kind, Counter())
            row.update({**ends, "injected": times, "storms": 1, "alerts": outcome.alerts})
        if outcome.broken is not None:
            self.broken.append((number, outcome.broken, outcome.log))

    def lines(self, seed: int, alerts: int, spent_s: float) -> list[str]:
        """The table."""
        total = self.total
        names = ("injected", "storms", "alerts", "lost", "doubled", "disordered")
        found = [
            f"{total['alerts']} alerts, {total['messages']} messages, {total['parts']} stills and clips, "
            f"{total['answers']} answers of the centre ({total['answers-refused']} refused), "
            f"{total['requests']} requests, {total['kills']} kills",
            f"{total['again']} times done again after a kill, {total['refused']} times refused by a full disk "
            f"({total['reserves']} reserves given up), {total['known']} messages that came again and were known; "
            f"{self.storms} storms, seed {seed}, {spent_s:.0f} s",
            f"{'what went wrong':<20}" + "".join(f"{name:>11}" for name in names),
        ]
        rows = [(kind, self.by_kind.get(kind, Counter())) for kind in KINDS]
        rows.append(("all", Counter({**total, "storms": self.storms, "injected": 0})))
        rows[-1][1]["injected"] = sum(row["injected"] for _, row in rows)
        found += [f"{kind:<20}" + "".join(f"{row[name]:>11}" for name in names) for kind, row in rows]
        for number, what, log in self.broken[:20]:
            again = f"python -m tests.faults.alert_storm --alerts {alerts} --seed {seed} --storm {number}"
            found.append(f"BROKEN: {again}    # {what}; files: {log}")
        return found
