"""A rehearsal of power cuts without pulling a plug: the real box, under a disk that loses what was not synced.

The box's own half of `bench power-cut` records meals for some seconds while strace writes down its system calls. Of
that one run hundreds of cuts are tried: the folder is made as the disk would have left it at that moment, and held
against the lights that had been sent by then. It tries our software, and says nothing of the disk on which it runs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from edusense.bench.disk_model import CALLS, Disk, read_trace, sent
from edusense.bench.power_cut import Cut, Green, Heard, check
from edusense.errors import BenchError, BenchNotMeasuredError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["rehearse"]

_LOOKED_UP: Final = 24
"""Lights that are looked up after each cut: the last ones, which are in danger, and some before."""
_WITNESS: Final = "127.0.0.1:9"
"""Nobody listens there: what was sent stands in the trace."""


def rehearse(
    cuts: int = 200,
    *,
    seconds: float = 2.0,
    terminals: int = 2,
    seed: int = 1,
    lying: int = 0,
    say: Callable[[int, Cut], None] = lambda *_: None,
) -> list[Cut]:
    """Tries cuts of the power.

    Args:
        cuts: how many.
        seconds: how long the box records, under strace and so at a fraction of its speed.
        terminals: how many record at once.
        seed: of the moments, and of what the disk loses.
        lying: as many cuts more, with a disk that answers before it has written: these must be found out, or the
            rehearsal proves nothing. They come last.
        say: told of each cut.

    Raises:
        BenchNotMeasuredError: strace is not installed, or may not watch.
    """
    if shutil.which("strace") is None:
        raise BenchNotMeasuredError("strace is not installed", hint="apt-get install strace")
    with tempfile.TemporaryDirectory(prefix="edusense-power-cut-") as made:
        folder = Path(made)
        trace = _record(folder, seconds, terminals)
        honest = _cut(folder, Disk(folder / "box"), trace, cuts, Random(seed), say)
        if not lying:
            return honest
        return honest + _cut(folder, Disk(folder / "box", lies=True), trace, lying, Random(seed + 1), say)


def _record(folder: Path, seconds: float, terminals: int) -> Path:
    trace = folder / "trace"
    code = (
        "import sys; from pathlib import Path; from edusense.bench.power_cut import open_witness, serve_meals;"
        "folder, witness, seconds, terminals = sys.argv[1:];"
        "serve_meals(Path(folder), open_witness(witness), seconds=float(seconds), terminals=int(terminals))"
    )
    watched = ["strace", "-f", "-y", "-xx", "-s", str(1 << 26), "-e", f"trace={CALLS}", "-o", str(trace)]
    arguments = [str(folder / "box"), _WITNESS, str(seconds), str(terminals)]
    done = subprocess.run(
        [*watched, sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=120 + 20 * seconds,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise BenchNotMeasuredError(
            f"the box could not be watched: {last}", hint="strace needs the right to trace (ptrace)"
        )
    return trace


def _cut(
    folder: Path, disk: Disk, trace: Path, cuts: int, chance: Random, say: Callable[[int, Cut], None]
) -> list[Cut]:
    calls = read_trace(trace)
    first = next((place for place, call in enumerate(calls) if sent(call) is not None), None)
    if first is None:
        raise BenchError("the box showed no green light in this time", hint="more `seconds`")
    moments = sorted(chance.randrange(first, len(calls)) for _ in range(cuts))
    heard: Heard | None = None
    found: list[Cut] = []
    done = 0
    for moment in moments:
        for call in calls[done : moment + 1]:
            disk.apply(call)
            if (data := sent(call)) is not None and (green := Green.parse(data)) is not None:
                heard = heard or Heard(green.run)
                heard.greens += 1
                heard.kept.append(green)
        done = moment + 1
        after = folder / f"cut-{len(found)}"
        disk.after_cut(chance, after)
        assert heard is not None
        some = [*heard.kept[-_LOOKED_UP // 2 :], *chance.choices(heard.kept, k=_LOOKED_UP // 2)]
        now = time.time()
        found.append(check(after, [Heard(heard.run, heard.greens, some, now, now)]))
        say(len(found), found[-1])
        shutil.rmtree(after)
    return found
