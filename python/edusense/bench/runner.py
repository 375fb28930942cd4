"""Starts one run of a case as a process of its own, and says what else the machine did meanwhile."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edusense.bench.machine import disk_of, temperature
from edusense.bench.noise import Before, Noise, Sample, watch

if TYPE_CHECKING:
    from edusense.bench.plan import Unit

__all__ = ["Runner"]

_GRACE_S: Final = 5.0
"""What a run gets for cleaning up, before it is killed."""
_WATCH_S: Final = 0.25


@dataclass
class Runner:
    """Runs units, and waits for quiet moments as long as its patience lasts.

    Args:
        patience_s: for how many seconds in all it may wait for other programs to finish.
        folder: of the report: where a case without a disk of its own would write.
    """

    patience_s: float
    folder: Path

    def run(self, unit: Unit, number: int) -> dict[str, Any]:
        """One run.

        Args:
            unit: what to run.
            number: which of its runs it is, from 0.

        Returns:
            The run as a line of the report's folder: measured, or with an `error`.
        """
        where = Path(unit.device.address) if unit.device is not None and unit.device.kind == "disk" else self.folder
        disk = disk_of(where)["device"]
        before = self._quiet(disk)
        began = datetime.datetime.now(datetime.UTC)
        first, own = Sample.take(disk), _own_cpu()
        answer, spent = self._ask(unit)
        last, harness = Sample.take(disk), _own_cpu() - own
        return {
            "kind": "run",
            "unit": unit.key,
            "number": number,
            "began": began.isoformat(timespec="seconds"),
            "wall_s": round(last.at_s - first.at_s, 3),
            "cpu_s": round(spent, 3),
            "harness_cpu_s": round(harness, 3),
            "temperature_c": temperature(),
            "noise": Noise.between(first, last, spent + harness, before).to_json(),
            **answer,
        }

    def _quiet(self, disk: str | None) -> Before:
        """Waits until the machine is quiet, or patience is over."""
        before = watch(_WATCH_S, disk)
        while before.busy and self.patience_s > 0:
            began = time.monotonic()
            time.sleep(min(1.0, self.patience_s))
            before = watch(_WATCH_S, disk)
            self.patience_s -= time.monotonic() - began
        return before

    def _ask(self, unit: Unit) -> tuple[dict[str, Any], float]:
        """The answer of a worker, and the CPU seconds that it and its children took."""
        arguments, secrets = unit.arguments()
        task: dict[str, Any] = {"work": unit.case.work, "arguments": arguments, "secrets": secrets}
        task["attended"] = unit.case.attended
        reading, writing = os.pipe()
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "edusense.bench.worker", str(writing)],
                stdin=subprocess.PIPE,
                stdout=said,
                # What a person must do is said on the terminal.
                stderr=None if unit.case.attended else said,
                pass_fds=(writing,),
                start_new_session=True,
            )
            os.close(writing)
            assert process.stdin is not None
            try:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write(json.dumps(task).encode() + b"\n")
                    process.stdin.flush()
                text, hung = _read(reading, process.pid, unit.case.limit_s)
            finally:
                os.close(reading)
                spent = _end(process)
            said.seek(0)
            tail = said.read()[-4000:].decode(errors="replace").strip()
        if hung:
            return _error("hung", f"no answer after {unit.case.limit_s:.0f} s; it was ended", tail), spent
        try:
            answer: dict[str, Any] = json.loads(text)
        except ValueError:
            return _error("crashed", _how_it_ended(process.returncode), tail), spent
        if "error" in answer and tail:
            answer["error"]["said"] = tail
        return answer, spent


def _error(kind: str, message: str, said: str) -> dict[str, Any]:
    return {"error": {"kind": kind, "message": message, "hint": None, "said": said}}


def _how_it_ended(status: int) -> str:
    if status < 0:
        return f"its process was ended by {signal.Signals(-status).name}"
    return f"its process ended with status {status} and without an answer"


def _read(pipe: int, pid: int, seconds: float) -> tuple[bytes, bool]:
    """All that comes through the pipe until the process has ended, and whether it did not in time."""
    deadline = time.monotonic() + seconds
    parts: list[bytes] = []
    ended = os.pidfd_open(pid)
    try:
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([pipe, ended], [], [], left)
            if pipe in ready:
                if not (part := os.read(pipe, 1 << 16)):
                    return b"".join(parts), False
                parts.append(part)
            elif ended in ready:
                return b"".join(parts), False
        return b"".join(parts), True
    finally:
        os.close(ended)


def _end(process: subprocess.Popen[bytes]) -> float:
    """Ends the process and everything in its group; CPU seconds that it and its children took.

    stdin closes only now: to a worker, that it closes means that whoever asked is gone.
    """
    until = time.monotonic() + _GRACE_S
    pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    while pid == 0 and time.monotonic() < until:
        time.sleep(0.01)
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if pid == 0:
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    return usage.ru_utime + usage.ru_stime


def _own_cpu() -> float:
    times = os.times()
    return times.user + times.system
