"""What receiving costs: the engine beside a bare loop of the same RTSP library, on the same virtual cameras.

CPU is that of the whole process; memory is what is resident beyond the same process without cameras, for each camera,
and the engine's without the compressed pictures that it keeps on purpose (it says how many bytes these are).
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from edusense.bench.case import Measured
from edusense.bench.figure import Figure
from edusense.bench.process import cpu_seconds, resident_mb
from edusense.bench.sim_load import password_of, serve
from edusense.errors import BoxError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["measure"]

PEER = "a bare loop of retina"
LIMIT = 1.5
"""Of the bare loop's CPU and memory."""
BARE = Path(__file__).resolve().parents[3] / "target" / "release" / "examples" / "bare_retina"


def measure(cameras: int = 200, seconds: float = 20.0, runs: int = 4) -> Measured:
    """CPU per camera-second and memory per camera of the engine, beside a bare loop of retina.

    One after the other, on the same cameras: together they would share caches and the loopback, and neither would be
    alone with the machine, as the box is.

    Args:
        cameras: virtual cameras at 1080p25, 4 Mbit/s, in a process of their own.
        seconds: measured of each, altogether.
        runs: in so many parts.
    """
    bare: dict[str, list[float]] | None = None
    server, rows = serve(cameras, options=("--quiet",))
    try:
        streams = [(row["rtsp"], row["user"], password_of(row)) for row in rows]
        if BARE.exists():
            bare = _run([str(BARE)], "".join("\t".join(stream) + "\n" for stream in streams), cameras, seconds, runs)
        engine = _run([sys.executable, "-m", __name__], json.dumps(streams) + "\n", cameras, seconds, runs)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(10)

    def beside(what: str, unit: str, name: str, key: str) -> Figure:
        return Figure(
            what=what,
            unit=unit,
            runs=tuple(engine[key]),
            peer=None if bare is None else PEER,
            peer_runs=() if bare is None else tuple(bare[key]),
            limit=LIMIT,
            more_is_better=False,
            id=name,
        )

    figures = [
        beside("CPU of receiving a camera", "ms CPU per camera-second", "cpu", "cpu_ms"),
        beside("memory without the pictures kept", "MB per camera", "memory", "rss_mb"),
        Figure("compressed pictures kept", "MB per camera", tuple(engine["kept_mb"]), id="kept", better="neither"),
        Figure("pictures received", "a second and camera", tuple(engine["pictures"]), id="pictures", better="more"),
    ]
    notes = [f"{cameras} virtual cameras of 1080p25, 4 Mbit/s, served by this machine too."]
    if bare is None:
        notes.append("The bare loop was not measured: `cargo build --release -p edusense-stream --example bare_retina`")
    return Measured(figures, notes=notes)


def _run(command: Sequence[str], cameras_text: str, cameras: int, seconds: float, runs: int) -> dict[str, list[float]]:
    """Runs a receiver, and measures it from the outside once it receives everything."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    measured: dict[str, list[float]] = {"cpu_ms": [], "rss_mb": [], "kept_mb": [], "pictures": []}
    try:
        time.sleep(1.0)
        empty_mb = resident_mb(process.pid)
        process.stdin.write(cameras_text + "\n")
        process.stdin.flush()
        _settle(process.stdout, cameras)
        for _ in range(runs):
            first = _line(process.stdout)
            last, begun, cpu = first, time.monotonic(), cpu_seconds(process.pid)
            while time.monotonic() - begun < seconds / runs:
                last = _line(process.stdout)
            passed = time.monotonic() - begun
            measured["cpu_ms"].append(1000 * (cpu_seconds(process.pid) - cpu) / passed / cameras)
            kept_mb = last[1] / 1e6
            measured["rss_mb"].append((resident_mb(process.pid) - empty_mb - kept_mb) / cameras)
            measured["kept_mb"].append(kept_mb / cameras)
            measured["pictures"].append((last[0] - first[0]) / passed / cameras)
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return measured


def _line(output: IO[str]) -> tuple[int, int]:
    """Pictures received so far, and bytes kept."""
    for line in output:
        if line.startswith("lost:"):
            raise BoxError(f"a camera was lost: {line[6:].strip()}", hint="is the machine overloaded?")
        received, _, kept = line.partition(" ")
        return int(received), int(kept or 0)
    raise BoxError("the receiver ended by itself")


def _settle(output: IO[str], cameras: int) -> None:
    """Waits until all send (25 pictures a second each, less what rounding takes), and then until buffers are full."""
    before = 0
    deadline = time.monotonic() + cameras / 20 + 30
    while time.monotonic() < deadline:
        received, _ = _line(output)
        if received - before >= 24 * cameras:
            break
        before = received
    else:
        raise BoxError("not all cameras were received in time")
    full = time.monotonic() + 15
    while time.monotonic() < full:
        _line(output)


def _engine() -> None:
    """The engine's half, in a process of its own: receives without looking, and prints once a second what it has."""
    from edusense.video.engine import Engine

    out = sys.stdout
    with Engine([], pool_threads=0) as engine:
        streams = json.loads(sys.stdin.readline())
        engine.update(
            {"id": str(number), "url": url, "user": user, "password": password}
            for number, (url, user, password) in enumerate(streams)
        )
        closed = threading.Event()

        def wait_for_end() -> None:
            sys.stdin.read()
            closed.set()

        threading.Thread(target=wait_for_end, daemon=True).start()
        while not closed.wait(1.0):
            for _ in engine.events(timeout=0.0):
                pass
            rows = engine.stats()
            out.write(f"{sum(row['pictures_received'] for row in rows)} {sum(row['buffer_bytes'] for row in rows)}\n")
            out.flush()


if __name__ == "__main__":
    _engine()
