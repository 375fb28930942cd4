"""Virtual devices and boxes as processes of their own, as a user would start them: `edusense sim …`, `edusense run`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = ["command", "rows", "serving", "started", "until", "wait_for_end"]

Row = dict[str, Any]
_START_S: Final = 120.0
_END_S: Final = 15.0


def command(*arguments: str) -> list[str]:
    """The command line of an `edusense` command, run by this very Python.

    Args:
        *arguments: what stands behind `edusense`.
    """
    return [sys.executable, "-m", "edusense", *arguments]


def started(*arguments: str, log: Path, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Starts an `edusense` command; what it says goes to `log`.

    Args:
        *arguments: what stands behind `edusense`.
        log: a file.
        environment: variables besides our own.
    """
    with log.open("ab") as said:
        return subprocess.Popen(
            command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env=os.environ | (environment or {}),
        )


@contextlib.contextmanager
def serving(*arguments: str, log: Path, last: Callable[[list[Row]], bool]) -> Iterator[list[Row]]:
    """Virtual devices that serve while the block runs.

    Args:
        *arguments: `sim`, and what kind.
        log: a file for what it says.
        last: whether all rows have come.

    Yields:
        The row of each device.

    Raises:
        BenchError: it ended before it served.
    """
    process = started(*arguments, log=log)
    assert process.stdout is not None
    found: list[Row] = []
    try:
        while not last(found):
            line = process.stdout.readline()
            if not line:
                said = log.read_text(errors="replace").strip().splitlines()[-3:]
                raise BenchError(f"`edusense {' '.join(arguments[:2])}` did not start: {' '.join(said)}")
            found.append(json.loads(line))
        yield found
    finally:
        wait_for_end(process)


def wait_for_end(process: subprocess.Popen[str]) -> int:
    """Stops a process as systemd does, waits, and kills it where that does not help; its status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        status = process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        status = process.wait()
    if process.stdout is not None:
        process.stdout.close()
    return status


def rows(*arguments: str, good: Sequence[int] = (0, 1)) -> list[Row]:
    """The rows of an `edusense` command with `--json`; empty where it failed.

    Args:
        *arguments: what stands behind `edusense`.
        good: exit statuses with which it worked.
    """
    told = subprocess.run(command(*arguments, "--json"), capture_output=True, text=True, timeout=60, check=False)
    return [json.loads(line) for line in told.stdout.splitlines()] if told.returncode in good else []


def until(what: Callable[[], Any], seconds: float, said: str) -> Any:
    """What `what` gives as soon as that is true.

    Args:
        what: asked again and again.
        seconds: for so long.
        said: what did not happen, for the error.

    Raises:
        BenchError: it did not happen in time.
    """
    deadline = time.monotonic() + seconds
    while not (value := what()):
        if time.monotonic() > deadline:
            raise BenchError(f"{said} within {seconds:.0f} s")
        time.sleep(0.1)
    return value
