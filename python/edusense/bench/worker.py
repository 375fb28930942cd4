"""One run of a case, in a process of its own.

A process of its own, because a case may crash, hang or leave things behind; because what is measured must not depend
on what was measured before; and because memory is laid out anew in each process, which moves times by some percent:
runs in one process would agree with each other, and not with next month's.

The task comes as JSON on stdin, the answer goes as JSON to a file descriptor of its own: what a case's libraries print
stays apart. When stdin closes, whoever asked is gone, and everything started here ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, Final

from edusense.bench import pace
from edusense.bench.figure import quantile
from edusense.errors import EdusenseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edusense.bench.case import Measured
    from edusense.bench.figure import Figure

__all__ = ["QUANTILES", "answer", "as_json"]

QUANTILES: Final = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
"""Shares at which a run's values are kept: enough to draw how they are spread, however many there were."""
_SUBREAPER: Final = 36  # PR_SET_CHILD_SUBREAPER, prctl(2)


def answer(task: dict[str, Any]) -> dict[str, Any]:
    """Does one run.

    Args:
        task: `work` as `module:function`, its `arguments`, `secrets`: arguments whose value refers to a secret, and
            `attended`: the work takes `_say`, for what a person must do.

    Returns:
        What was measured, or an `error` in place of it; never an exception.
    """
    from edusense.bench import peers
    from edusense.bench.case import Case
    from edusense.site.secrets import resolve

    peers.enter()
    before = pace.pace()
    began = time.monotonic()
    try:
        arguments = dict(task["arguments"])
        for name in task.get("secrets", ()):
            arguments[name] = resolve(arguments[name])
        if task.get("attended"):
            arguments["_say"] = lambda text: os.write(2, f"{text}\n".encode())
        measured = as_json(Case("", "", task["work"], ()).measure(**arguments))
    except EdusenseError as error:
        return {"error": {"kind": error.code, "message": str(error), "hint": error.hint}}
    except Exception as error:  # noqa: BLE001 - a case that breaks is a row of the report, and the others go on
        text = f"{type(error).__name__}: {error}"
        return {"error": {"kind": "internal", "message": text, "hint": None, "traceback": traceback.format_exc()}}
    seconds = time.monotonic() - began
    return {**measured, "seconds": seconds, "pace": [before, pace.pace()]}


def as_json(measured: Measured) -> dict[str, Any]:
    """What a run gave, as it stands in a report: many values become quantiles, figures of one id become one.

    Args:
        measured: figures, curves, facts and notes.
    """
    figures: dict[str, dict[str, Any]] = {}
    for figure in measured.figures:
        if figure.id not in figures:
            figures[figure.id] = {
                "id": figure.id,
                "unit": figure.unit,
                "statistic": figure.statistic,
                **_values(figure.value, figure.runs),
                "peers": [],
            }
        if figure.peer is not None and figure.peer_value is not None:
            figures[figure.id]["peers"].append(_peer(figure))
    return {
        "figures": list(figures.values()),
        "curves": [curve.to_json() for curve in measured.curves],
        "facts": [fact.to_json() for fact in measured.facts],
        "notes": list(measured.notes),
    }


def _peer(figure: Figure) -> dict[str, Any]:
    assert figure.peer_value is not None
    return {
        "peer": figure.peer,
        "limit": figure.limit,
        "speed": figure.more_is_better,
        "ratio": figure.ratio,
        **_values(figure.peer_value, figure.peer_runs),
    }


def _values(value: float, runs: Sequence[float]) -> dict[str, Any]:
    spread = [quantile(list(runs), share) for share in QUANTILES] if len(runs) > 1 else None
    return {"value": value, "samples": len(runs), "quantiles": spread}


def _end_with_parent() -> None:
    """Ends this process and what it started, when the other end of stdin is gone."""
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Reads the task, does it, writes the answer to the descriptor that the command line names."""
    # Processes that a case leaves behind become ours, so that their CPU is counted as ours and not as a stranger's.
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    task = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    told = answer(task)
    with os.fdopen(int(sys.argv[1]), "w", encoding="utf-8") as out:
        json.dump(told, out)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    os._exit(0)  # what a case left running, a thread for instance, must not hold up the next run


if __name__ == "__main__":
    main()
