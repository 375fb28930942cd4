"""From a reader's last byte to the green light: a real pseudo-terminal and driver, the rules, the disk."""

from __future__ import annotations

import datetime
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edusense.bench.case import Measured
from edusense.bench.figure import Figure, quantile
from edusense.bench.meals import RawCase
from edusense.bench.reader_latency import frame, pseudo_terminal
from edusense.errors import BenchNotMeasuredError, DriverMissingError

if TYPE_CHECKING:
    from edusense.meals import Roster

__all__ = ["measure"]

RAW: Final = "raw fdatasync of 128 bytes"
_FIRST_CARD: Final = 0x01_0000_0000


def measure(folder: str | os.PathLike[str] | None = None, *, pupils: int = 600, pause_s: float = 0.003) -> Measured:
    """A child after the other holds a card to a reader: from the frame's last byte to the verdict that turns it green.

    Each meal is on the disk before its light; the mark that the light was on is written behind it, as a box does. By
    turns with a bare durable write to the same disk.

    Args:
        folder: on the disk to measure.
        pupils: in the roster; each eats once.
        pause_s: between two of them.

    Raises:
        BenchNotMeasuredError: the drivers are not installed.
    """
    from edusense.devices import Card, open_reader
    from edusense.meals import Ledger, Slot, Terminal

    green: list[float] = []
    raw: list[float] = []
    slot = Slot("all-day", datetime.time(0), datetime.time(23, 59, 59), 45_000)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="edusense-bench-", dir=folder) as made,
            pseudo_terminal() as (master, port),
            open_reader(f"rdm6300:{port}") as reader,
            Ledger.open(Path(made) / "ledger", school=51_001) as ledger,
        ):
            roster = _roster(Path(made) / "roster.csv", pupils)
            bare = RawCase(Path(made))
            noon = datetime.datetime(2026, 10, 5, 12, tzinfo=datetime.UTC).timestamp()
            terminal = Terminal(
                id="left", number=1, ledger=ledger, roster=roster, slots=(slot,), timezone="UTC", clock=lambda: noon
            )
            for number in range(pupils):
                data = frame(_FIRST_CARD + number)
                began = time.perf_counter_ns()
                os.write(master, data)
                card = reader.read(5.0)
                assert isinstance(card, Card)
                verdict = terminal.tap(card)
                green.append((time.perf_counter_ns() - began) / 1000)
                if not verdict.granted:
                    raise RuntimeError(f"card {number} was answered red: {verdict.message}")
                terminal.shown(verdict)
                time.sleep(pause_s)
                began = time.perf_counter_ns()
                bare.step(number)
                raw.append((time.perf_counter_ns() - began) / 1000)
                time.sleep(pause_s)
            bare.close()
    except DriverMissingError as error:
        raise BenchNotMeasuredError(str(error), hint=error.hint) from error
    beyond = quantile(green, 0.99) - quantile(raw, 0.99)
    return Measured(
        [
            Figure("from the last byte to green", "µs", tuple(green), RAW, tuple(raw), id="green"),
            Figure("99 of 100 are green within", "µs", tuple(green), RAW, tuple(raw), id="green-p99", statistic="p99"),
            Figure("that beyond the disk's own", "µs", (beyond,), id="beyond-disk-p99"),
        ]
    )


def _roster(path: Path, pupils: int) -> Roster:
    from edusense.meals import Roster

    lines = ["pupil,name,class,category,cards,consent_date,voucher_from,voucher_to"]
    for number in range(pupils):
        card = f"em4100:{_FIRST_CARD + number:010X}"
        lines.append(f"{1001 + number},Pupil {number},{1 + number // 30}A,grade-1-4,{card},2020-09-01,2020-09-01,")
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return Roster.load(path)
