"""Staged against found: what the virtual school did, what the box saw of it, and whether the meals add up.

Pure functions on rows; the rows are those of `staged.jsonl`, of `edusense events --json` and of the ledger.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["MotionAccount", "TapAccount", "account_for_motion", "account_for_taps"]

Row = dict[str, Any]

MOTION_TOLERANCE_S = 1.0
"""How far a found event may lie beside the staged one: half a GOP of 2 s, the coarsest look at a camera."""
OVERHANG_S = MOTION_TOLERANCE_S + 2.0
"""How far a found event may reach beyond the staged ones that it matches: where only key pictures are looked at,
nothing is known between two of them, so that it begins and ends up to a GOP of 2 s too far out. Staged events that are
less than twice as far apart may so be found as one; an event that goes on through a longer quiet is invented."""
MOST_PIECES = 3
"""In how many pieces a staged event may be found: somebody who stands still for a while makes two. More is a box that
cannot tell where an event ends."""
TAP_TOLERANCE_S = 5.0
"""How late a tap may be answered: a card is held for up to a second, a reader that comes back takes longer."""


@dataclass
class MotionAccount:
    """What became of each staged and each found event."""

    found: list[Row] = field(default_factory=list)
    """Staged events that were found, each with `found_by`: ids of the events that overlap it."""
    missed: list[Row] = field(default_factory=list)
    """Staged events that no found event overlaps, those aside that are invented."""
    invented: list[Row] = field(default_factory=list)
    """Found events that nobody staged, each with `why`: nothing was staged then, or it goes on for too long, or it is
    one piece too many of a staged one."""
    events: int = 0
    """How many events the box found, the invented ones aside."""
    pieces: dict[str, int] = field(default_factory=dict)
    """Staged events that were found in more than one piece, as `camera at start_s`, and in how many."""
    delays_s: list[float] = field(default_factory=list)
    """Start found minus start staged, for each found one."""

    @property
    def staged(self) -> int:
        """How many events the virtual cameras staged."""
        return len(self.found) + len(self.missed)

    @property
    def adds_up(self) -> bool:
        """Nothing missed, nothing invented."""
        return not self.missed and not self.invented


@dataclass
class TapAccount:
    """What became of each tap."""

    granted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[Row] = field(default_factory=list)
    """Taps whose verdict differs from what the roster and the earlier taps demand."""
    lost: list[Row] = field(default_factory=list)
    """Taps that were staged and never answered."""
    invented: list[Row] = field(default_factory=list)
    """Verdicts that no tap asked for."""
    records: int = 0
    """Meals in the ledger."""
    doubled: list[tuple[int, int, str]] = field(default_factory=list)
    """(pupil, day, slot) that stand in the ledger more than once."""

    @property
    def adds_up(self) -> bool:
        """Each tap answered once and rightly, and as many meals in the ledger as lights were green."""
        return not (self.wrong or self.lost or self.invented or self.doubled) and self.records == self.granted


def account_for_motion(
    staged: Iterable[Row], found: Iterable[Row], tolerance_s: float = MOTION_TOLERANCE_S
) -> MotionAccount:
    """Matches staged and found events of the same camera that overlap in time.

    A found event counts where all of it lies within `OVERHANG_S` of staged events that it overlaps, and where it is not
    one of more than `MOST_PIECES` pieces of the same staged event. The others are invented, and find nothing.

    Args:
        staged: rows with `camera`, `start_s`, `end_s` (Unix seconds).
        found: rows with `id`, `camera`, `start_s`, `end_s` (Unix seconds).
        tolerance_s: how far apart two spans may lie and still be the same event.

    >>> account = account_for_motion(
    ...     [{"camera": "a", "start_s": 10, "end_s": 12}, {"camera": "a", "start_s": 30, "end_s": 31}],
    ...     [
    ...         {"id": "1", "camera": "a", "start_s": 10.4, "end_s": 12.5},
    ...         {"id": "2", "camera": "b", "start_s": 30.0, "end_s": 31.0},
    ...     ],
    ... )
    >>> len(account.found), len(account.missed), [event["id"] for event in account.invented]
    (1, 1, ['2'])
    >>> account.invented[0]["why"]
    'nothing was staged there then'
    """
    staged, account = list(staged), MotionAccount()
    right: list[Row] = []
    pieces: Counter[int] = Counter()
    for candidate in sorted(found, key=lambda row: row["start_s"]):
        over = [index for index, event in enumerate(staged) if _overlap(event, candidate, tolerance_s)]
        # Pieces are counted where they lie most: an event beside a staged one is not also a piece of that.
        mostly = max(over, key=lambda index: _shared_s(staged[index], candidate), default=-1)
        why = _wrong(candidate, [staged[index] for index in over], pieces[mostly])
        if why is not None:
            account.invented.append({**candidate, "why": why})
            continue
        pieces[mostly] += 1
        right.append(candidate)
    account.events = len(right)
    account.pieces = {
        f"{staged[index]['camera']} at {staged[index]['start_s']}": count
        for index, count in sorted(pieces.items())
        if count > 1
    }
    for event in staged:
        matches = [candidate for candidate in right if _overlap(event, candidate, tolerance_s)]
        if matches:
            account.found.append({**event, "found_by": [match["id"] for match in matches]})
            account.delays_s.append(min(match["start_s"] for match in matches) - event["start_s"])
        else:
            account.missed.append(dict(event))
    return account


def account_for_taps(
    staged: Iterable[Row],
    answered: Iterable[Row],
    meals: Sequence[Mapping[str, Any]],
    tolerance_s: float = TAP_TOLERANCE_S,
) -> TapAccount:
    """Matches staged taps with verdicts of the same terminal and card, and both with the ledger.

    Args:
        staged: rows with `terminal`, `card`, `at_s`, `expected`.
        answered: rows with `terminal`, `card`, `time_s`, `granted`, `reason`.
        meals: the ledger's meals: `pupil`, `day`, `slot`.
        tolerance_s: how much later than the tap the verdict may stand.

    >>> account = account_for_taps(
    ...     [{"terminal": "left", "card": "01", "at_s": 5.0, "expected": "granted"}],
    ...     [{"terminal": "left", "card": "01", "time_s": 5.1, "granted": False, "reason": "unknown-card"}],
    ...     [],
    ... )
    >>> account.adds_up, account.wrong[0]["reason"]
    (False, 'unknown-card')
    """
    account = TapAccount(records=len(meals))
    waiting = sorted(answered, key=lambda row: row["time_s"])
    for tap in sorted(staged, key=lambda row: row["at_s"]):
        match = next((row for row in waiting if _answers(row, tap, tolerance_s)), None)
        if match is None:
            account.lost.append(dict(tap))
            continue
        waiting.remove(match)
        verdict = "granted" if match["granted"] else match["reason"]
        if verdict != tap["expected"]:
            account.wrong.append({**tap, "reason": verdict})
        if match["granted"]:
            account.granted += 1
        else:
            account.refused[match["reason"]] += 1
    account.invented = waiting
    keys = Counter((int(meal["pupil"]), int(meal["day"]), _text(meal["slot"])) for meal in meals)
    account.doubled = [key for key, count in keys.items() if count > 1]
    return account


def _overlap(staged: Row, found: Row, tolerance_s: float) -> bool:
    return bool(
        staged["camera"] == found["camera"]
        and found["start_s"] <= staged["end_s"] + tolerance_s
        and staged["start_s"] - tolerance_s <= found["end_s"]
    )


def _shared_s(staged: Row, found: Row) -> float:
    """Seconds that both have in common; below zero what lies between them."""
    return float(min(staged["end_s"], found["end_s"]) - max(staged["start_s"], found["start_s"]))


def _wrong(found: Row, over: list[Row], pieces: int) -> str | None:
    """Why a found event cannot be the staged ones that it overlaps; None where it can."""
    if not over:
        return "nothing was staged there then"
    sure_s = found["start_s"]
    for event in sorted(over, key=lambda row: row["start_s"]):
        if event["start_s"] - OVERHANG_S > sure_s:
            break
        sure_s = max(sure_s, event["end_s"] + OVERHANG_S)
    else:
        if found["end_s"] <= sure_s:
            return None if pieces < MOST_PIECES else f"more than {MOST_PIECES} pieces of one staged event"
    moved_s = sum(event["end_s"] - event["start_s"] for event in over)
    return (
        f"it lasts {found['end_s'] - found['start_s']:.1f} s over {len(over)} staged of {moved_s:.1f} s together: it "
        f"reaches more than {OVERHANG_S:.0f} s beyond them"
    )


def _answers(verdict: Row, tap: Row, tolerance_s: float) -> bool:
    return bool(
        verdict["terminal"] == tap["terminal"]
        and verdict["card"] == tap["card"]
        and tap["at_s"] - 0.5 <= verdict["time_s"] <= tap["at_s"] + tolerance_s
    )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
