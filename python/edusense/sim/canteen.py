"""Who comes to which terminal when, and what the terminal must say: taps drawn from a seed, as long as anybody asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edusense.sim.pupils import stranger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edusense.devices.card import Card
    from edusense.sim.pupils import Pupil

__all__ = ["Tap", "taps"]

APART_S = 0.9
"""Least seconds between two taps anywhere, so that each has one right answer whichever is handled first."""
AGAIN_S = 4.0
"""Least seconds between two taps of one pupil: long after the first one's answer, long after any debouncing."""


@dataclass(frozen=True)
class Tap:
    """A card that is laid on a reader.

    Attributes:
        after_s: seconds after the script's start.
        terminal: index of the terminal.
        card: what is laid down.
        pupil: whose it is; None for a stranger's.
        expected: `granted`, or the reason of the refusal.
        hold_s: how long it lies there.
    """

    after_s: float
    terminal: int
    card: Card
    pupil: int | None
    expected: str
    hold_s: float


def taps(
    pupils: Sequence[Pupil],
    technologies: Sequence[str],
    *,
    seed: int,
    begin_s: float,
    end_s: float,
    pause_s: float = 0.5,
    midnight_s: float = float("inf"),
) -> Iterator[Tap]:
    """Draws taps.

    Args:
        pupils: who may come.
        technologies: what each terminal's reader reads.
        seed: the same seed draws the same taps.
        begin_s: nobody comes before.
        end_s: nobody comes after.
        pause_s: mean seconds added to the least time between two taps.
        midnight_s: when the first day ends, in seconds after the script's start; then everybody may eat again.
    """
    rng = np.random.default_rng([seed, 0x7A95])
    waiting = [pupils[index] for index in rng.permutation(len(pupils))]
    last: dict[int, float] = {}
    served: list[Pupil] = []
    now = begin_s + float(rng.uniform(0.3, 1.5))
    while now < end_s:
        if now > midnight_s - 3.0:
            # The last seconds of a day belong to no meal (a slot ends before midnight): nobody comes then.
            now = max(now, midnight_s + 1.0)
            midnight_s += 86_400.0
            waiting = [pupils[index] for index in rng.permutation(len(pupils))]
            served.clear()
            continue
        terminal = int(rng.integers(len(technologies)))
        kind, draw = technologies[terminal], float(rng.random())
        hold = float(rng.uniform(0.25, 0.7))
        again = [one for one in served if one.card(kind) and now - last[one.number] > AGAIN_S]
        fresh = next((one for one in waiting if one.card(kind)), None)
        if draw < 0.07:
            yield Tap(now, terminal, stranger(kind, pupils, rng), None, "unknown-card", hold)
        elif again and (draw < 0.20 or fresh is None):
            pupil = again[int(rng.integers(len(again)))]
            card = pupil.card(kind)
            assert card is not None
            last[pupil.number] = now
            yield Tap(now, terminal, card, pupil.number, "already-served", hold)
        elif fresh is not None:
            waiting.remove(fresh)
            card = fresh.card(kind)
            assert card is not None
            last[fresh.number] = now
            if fresh.refusal is None:
                served.append(fresh)
            yield Tap(now, terminal, card, fresh.number, fresh.refusal or "granted", hold)
        now += APART_S + float(rng.exponential(pause_s))
