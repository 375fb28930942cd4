"""What a virtual reader does and when: cards laid on it, and faults, from a TOML file.

```toml
[[at]]
seconds = 0.0
card = "em4100:010063E9AE"
hold = 1.5                    # seconds it lies there; default 0.2
[[at]]
seconds = 2.0
fault = "bad-checksum"        # one of the reader's faults
```
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from edusense.devices.card import Card
from edusense.errors import CardError, UsageError

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection, Sequence

__all__ = ["Step", "VirtualReader", "load_script", "play"]

_KEYS: Final = {"seconds", "card", "hold", "fault"}


class VirtualReader(Protocol):
    """What a script can do with a virtual reader."""

    faults: Collection[str]
    """Names of the faults it has."""

    def tap(self, card: Card, hold_s: float = 0.2) -> None:
        """Lays a card on it and takes it away after `hold_s` seconds; returns at once."""
        ...

    def fault(self, name: str) -> None:
        """Lets it misbehave once."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens.

    Args:
        seconds: when, counted from the script's start.
        card: the card that is laid down; None for a fault.
        hold_s: seconds that the card stays.
        fault: the fault; None for a card.
    """

    seconds: float
    card: Card | None = None
    hold_s: float = 0.2
    fault: str | None = None


def load_script(path: str | Path, faults: Collection[str]) -> list[Step]:
    """Reads a script.

    Args:
        path: the TOML file.
        faults: names that `fault` may have.

    Returns:
        Its steps in the order of time.

    Raises:
        UsageError: it cannot be read, or a step makes no sense; the message names the step.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"`{path}` cannot be read: {error.strerror}", hint="give an existing TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"`{path}` is no TOML: {error}", hint="a script is a list of [[at]] tables") from error
    rows = table.get("at", [])
    if set(table) - {"at"} or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"`{path}` is no script of a reader", hint="a script is a list of [[at]] tables")
    return sorted(
        (_step(f"{path}: [[at]] number {number}", row, faults) for number, row in enumerate(rows, 1)),
        key=lambda step: step.seconds,
    )


def _step(place: str, row: dict[str, Any], faults: Collection[str]) -> Step:
    if unknown := set(row) - _KEYS:
        raise UsageError(f"{place}: unknown `{min(unknown)}`", hint=f"keys are {', '.join(sorted(_KEYS))}")
    if ("card" in row) == ("fault" in row):
        raise UsageError(f"{place} needs either `card` or `fault`", hint="give one of them")
    for key in ("seconds", "hold"):
        value = row.get(key, 0.0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 86_400:
            raise UsageError(f"{place}: `{key}` is `{value}`", hint="a number of seconds from 0 to 86400")
    if "fault" in row:
        if row["fault"] not in faults:
            raise UsageError(f"{place}: no fault `{row['fault']}`", hint=f"faults are {', '.join(sorted(faults))}")
        return Step(float(row.get("seconds", 0.0)), fault=row["fault"])
    try:
        card = Card.parse(str(row["card"]))
    except CardError as error:
        raise UsageError(f"{place}: {error}", hint=error.hint) from error
    if card.partial:
        raise UsageError(f"{place}: `{row['card']}` is only a part of a number", hint="write all hex digits")
    return Step(float(row.get("seconds", 0.0)), card, float(row.get("hold", 0.2)))


def play(reader: VirtualReader, steps: Sequence[Step], stop: threading.Event, clock: Any = None) -> bool:
    """Lets a reader do what a script says.

    Args:
        reader: the virtual reader.
        steps: from `load_script`.
        stop: ends it early.
        clock: an `edusense.devices.Clock`; default: the machine's.

    Returns:
        Whether it came to its end.
    """
    if clock is None:
        from edusense.devices.clock import SystemClock

        clock = SystemClock()
    started = clock.monotonic()
    for step in steps:
        if clock.wait(stop, started + step.seconds - clock.monotonic()):
            return False
        if step.card is not None:
            reader.tap(step.card, step.hold_s)
        elif step.fault is not None:
            reader.fault(step.fault)
    return True
