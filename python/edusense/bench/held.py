"""How many cameras like these this machine holds: more and more are watched, until something is left out.

Cameras are virtual ones, served by a process of their own on the same machine, with people moving in front of them. The
engine watches as it does in a box. Held are so many cameras as it watches without losing a packet and without giving up
a look that something asked for (`late`); looks that only the budget left out are counted beside it, as are CPU and
memory. What serving takes is measured apart: a real school's cameras make their own pictures.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any, Final

from edusense.bench.case import Curve, Fact, Measured
from edusense.bench.figure import Figure
from edusense.bench.process import cpu_seconds, resident_mb
from edusense.bench.sim_load import password_of, serve
from edusense.errors import BoxError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Step", "climb", "measure"]

RECEIVED: Final = 0.98
"""Share of the pictures that must have come: less is a machine that does not keep up."""
SETTLE_S: Final = 12.0
"""Until the gates know their streams and buffers are full."""
_START_S: Final = 30.0


@dataclass(frozen=True)
class Step:
    """What so many cameras took.

    Args:
        cameras: how many.
        held: nothing that was asked for was left out.
        why: what was, in words; empty where they were held.
        cpu_cores: of the engine's process, in cores.
        serving_cores: of the process that serves the cameras.
        memory_mb: resident, of the engine's process, with the compressed pictures that it keeps.
        kept_mb: of that, compressed pictures.
        received: share of the pictures that came.
        looked_at: pictures looked at, a second and camera.
        late: pictures of looks that were asked for and given up, a second.
        budget: pictures that nothing asked for and nobody had time for, a second.
        lost: packets lost.
        events: motion events confirmed.
    """

    cameras: int
    held: bool
    why: str
    cpu_cores: float
    serving_cores: float
    memory_mb: float
    kept_mb: float
    received: float
    looked_at: float
    late: float
    budget: float
    lost: int
    events: int

    def to_json(self) -> dict[str, Any]:
        """The step as a row."""
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}


def measure(
    most: int = 256, seconds: float = 10.0, width: int = 1280, kbit: int = 0, look_cores: float = 0.5
) -> Measured:
    """How many cameras this machine holds, as figures and a curve.

    Args:
        most: no more than so many.
        seconds: measured of each number of cameras.
        width: of their pictures; the height is 9/16 of it.
        kbit: most that each sends, kbit/s; 0: 4 Mbit/s at 1080p, less by its area.
        look_cores: what looks that nothing urgent asks for may take, in cores.
    """
    steps = climb(most, seconds=seconds, width=width, kbit=kbit, look_cores=look_cores)
    held = [step for step in steps if step.held]
    best = max(held, key=lambda step: step.cameras, default=None)
    last = best or steps[-1]
    figures = [
        Figure(
            "cameras held before anything is left out",
            "cameras",
            (float(best.cameras if best else 0),),
            id="held",
            better="more",
        ),
        Figure(
            "CPU of a camera that is held",
            "ms CPU per camera-second",
            (1000 * last.cpu_cores / last.cameras,),
            id="cpu",
        ),
        Figure("memory of a camera that is held", "MB per camera", (last.memory_mb / last.cameras,), id="memory"),
    ]
    first_not = next((step for step in steps if not step.held), None)
    facts = [
        Fact("cameras tried", ", ".join(str(step.cameras) for step in steps)),
        Fact("what came first", first_not.why if first_not else f"nothing: {most} were the most that were tried"),
    ]
    return Measured(
        figures,
        curves=curves(steps),
        facts=facts,
        notes=["The cameras were served by this machine too; what that took is a line of its own."],
    )


def curves(steps: list[Step]) -> list[Curve]:
    """CPU, memory and what was left out against the number of cameras."""
    by = sorted(steps, key=lambda step: step.cameras)

    def line(name: str) -> list[tuple[float, float]]:
        return [(float(step.cameras), float(getattr(step, name))) for step in by]

    return [
        Curve(
            "cores",
            "CPU by number of cameras",
            "cameras",
            "cores",
            {"watching": line("cpu_cores"), "serving the virtual cameras": line("serving_cores")},
        ),
        Curve(
            "memory",
            "Memory by number of cameras",
            "cameras",
            "MB",
            {"resident": line("memory_mb"), "of it compressed pictures": line("kept_mb")},
        ),
        Curve(
            "left-out",
            "Pictures that were not looked at",
            "cameras",
            "pictures a second",
            {"asked for and given up": line("late"), "only the budget left out": line("budget")},
        ),
    ]


def climb(
    most: int,
    *,
    seconds: float = 10.0,
    width: int = 1280,
    kbit: int = 0,
    look_cores: float = 0.5,
    told: Callable[[Step], None] | None = None,
) -> list[Step]:
    """Twice as many cameras each time, up to the first number that is not held; then one between the two.

    Args:
        most: no more than so many.
        seconds: measured of each number.
        width: as for `measure`.
        kbit: likewise.
        look_cores: likewise.
        told: called with each step as it is done.

    Raises:
        BoxError: the virtual cameras did not start, or the engine ended by itself.
    """
    numbers = [count for count in (1 << power for power in range(3, 11)) if count < most] + [most]
    options = ("--fps", "25", "--kbit", str(kbit or round(4000 * (width / 1920) ** 2)))
    server, rows = serve(most, width=width, options=options)
    try:
        streams = [(row["rtsp"], row["user"], password_of(row)) for row in rows]
        with _Watcher(look_cores) as watcher:
            found: list[Step] = []

            def take(count: int) -> Step:
                step = watcher.step(streams[:count], seconds, server.pid)
                found.append(step)
                if told is not None:
                    told(step)
                return step

            good = 0
            for count in numbers:
                if not take(count).held:
                    if count - good > max(4, count // 4):
                        take((good + count) // 2)
                    break
                good = count
            return found
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(10)


class _Watcher:
    """The engine in a process of its own, told again and again which cameras it has."""

    def __init__(self, look_cores: float) -> None:
        self._command = [sys.executable, "-m", __name__, str(look_cores)]

    def __enter__(self) -> _Watcher:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def step(self, streams: list[tuple[str, str, str]], seconds: float, server: int) -> Step:
        """Watches these streams for a while."""
        assert self._process.stdin is not None
        output = self._process.stdout
        assert output is not None
        count = len(streams)
        self._process.stdin.write(json.dumps(streams) + "\n")
        self._process.stdin.flush()
        deadline = time.monotonic() + count / 15 + _START_S
        while (row := _line(output))["playing"] < count and time.monotonic() < deadline:
            pass
        settled = time.monotonic() + SETTLE_S
        while time.monotonic() < settled:
            row = _line(output)
        first, begun = row, time.monotonic()
        cpu, serving = cpu_seconds(self._process.pid), cpu_seconds(server)
        while time.monotonic() - begun < seconds:
            row = _line(output)
        passed = time.monotonic() - begun
        grown = Counter({name: row[name] - first[name] for name in row})
        received = grown["received"] / (25 * count * passed)
        why = []
        if row["playing"] < count:
            why.append(f"{count - row['playing']} of {count} cameras did not play")
        if grown["lost"]:
            why.append(f"{grown['lost']} packets were lost")
        if grown["late"]:
            why.append(f"{grown['late']} pictures were given up although something moved")
        if received < RECEIVED:
            why.append(f"{received:.0%} of the pictures came")
        return Step(
            cameras=count,
            held=not why,
            why="; ".join(why),
            cpu_cores=(cpu_seconds(self._process.pid) - cpu) / passed,
            serving_cores=(cpu_seconds(server) - serving) / passed,
            memory_mb=resident_mb(self._process.pid),
            kept_mb=row["kept"] / 1e6,
            received=received,
            looked_at=grown["looked_at"] / passed / count,
            late=grown["late"] / passed,
            budget=grown["budget"] / passed,
            lost=grown["lost"],
            events=grown["events"],
        )


def _line(output: IO[str]) -> dict[str, int]:
    line = output.readline()
    if not line:
        raise BoxError("the engine of the bench ended by itself")
    found: dict[str, int] = json.loads(line)
    return found


def _watch() -> None:
    """The engine's half: takes lists of streams, and prints once a second what has become of them."""
    from edusense.video.engine import Engine

    with Engine([], look_cores=float(sys.argv[1]), sessions_per_s=20.0) as engine:
        closed = threading.Event()

        def listen() -> None:
            for line in sys.stdin:
                engine.update(
                    {"id": str(number), "url": url, "user": user, "password": password}
                    for number, (url, user, password) in enumerate(json.loads(line))
                )
            closed.set()

        threading.Thread(target=listen, daemon=True).start()
        while not closed.wait(1.0):
            for _ in engine.events(timeout=0.0):
                pass
            rows = engine.stats()
            told = {
                "playing": sum(row["state"] == "playing" for row in rows),
                "received": sum(row["pictures_received"] for row in rows),
                "looked_at": sum(row["pictures_looked_at"] for row in rows),
                "late": sum(row["pictures_skipped"].get("late", 0) for row in rows),
                "budget": sum(row["pictures_skipped"].get("budget", 0) for row in rows),
                "lost": sum(row["lost"] for row in rows),
                "kept": sum(row["buffer_bytes"] for row in rows),
                "events": sum(row["events"] for row in rows),
            }
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    _watch()
