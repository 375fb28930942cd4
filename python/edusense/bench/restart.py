"""How long a school is without its box after a crash: killed in the middle of its work, started again, and timed."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from edusense.bench.case import Fact, Measured
from edusense.bench.figure import Figure
from edusense.bench.virtual import command, rows, serving, started, until, wait_for_end

__all__ = ["measure"]

_LIMIT_S: Final = 60.0


def measure(cameras: int = 8, kills: int = 2, work_s: float = 3.0, seed: int = 1) -> Measured:
    """The box of a virtual school is killed while children tap, and started again at once.

    Times are those of the box's own event log, from the moment at which it was started.

    Args:
        cameras: virtual cameras.
        kills: how often.
        work_s: how long it works before each.
        seed: of the school.
    """
    terminals: list[float] = []
    first: list[float] = []
    every: list[float] = []
    with tempfile.TemporaryDirectory(prefix="edusense-bench-") as made:
        folder = Path(made)
        school = ("sim", "school", str(folder / "school"), "--cameras", str(cameras), "--seconds", "0", "--quiet", "0")
        arguments = (*school, "--seed", str(seed))
        with serving(
            *arguments, log=folder / "school.log", last=lambda found: bool(found) and found[-1]["kind"] == "school"
        ):
            site = str(folder / "school" / "school.toml")
            box = started("run", "--site", site, log=folder / "box.log")
            try:
                cursor = _all_there(site, cameras, 0)
                for _ in range(kills):
                    time.sleep(work_s)
                    box.kill()
                    box.wait()
                    began_s = time.time()
                    box = started("run", "--site", site, log=folder / "box.log")
                    _all_there(site, cameras, cursor)
                    times = _times(rows("events", "--site", site, "--since", str(cursor)), began_s)
                    terminals.append(times["terminals"])
                    first.append(times["first"])
                    every.append(times["every"])
                    cursor = times["cursor"]
            finally:
                wait_for_end(box)
            verified = subprocess.run(command("meals", "verify", "--site", site), capture_output=True, check=False)
    sound = verified.returncode == 0
    told = Fact(
        "ledger after the kills",
        "every byte accounted for" if sound else "damaged",
        "ok" if sound else "fail",
        "" if sound else verified.stdout.decode(errors="replace")[-300:],
    )
    return Measured(
        [
            Figure("terminals take cards again", "s", tuple(terminals), id="terminals"),
            Figure("the first camera is watched again", "s", tuple(first), id="first-camera"),
            Figure("all cameras are watched again", "s", tuple(every), id="all-cameras"),
        ],
        facts=[told],
    )


def _all_there(site: str, cameras: int, since: int) -> int:
    """Waits until the box has said that every camera plays and every reader is connected; its newest cursor."""

    def there() -> int:
        found = rows("events", "--site", site, "--since", str(since))
        playing = {row["camera"] for row in found if row["kind"] == "camera" and row["state"] == "playing"}
        connected = {row["terminal"] for row in found if row["kind"] == "reader" and row["state"] == "connected"}
        return int(found[-1]["cursor"]) if len(playing) == cameras and len(connected) == 2 else 0

    return int(until(there, _LIMIT_S, "the box did not have all cameras and readers"))


def _times(found: list[dict[str, Any]], began_s: float) -> dict[str, Any]:
    """Seconds from the start to each state, by the box's own log."""
    playing: dict[str, float] = {}
    connected: dict[str, float] = {}
    for row in found:
        if row["time_s"] < began_s:
            continue
        if row["kind"] == "camera" and row["state"] == "playing" and row.get("stream") != "keep":
            playing.setdefault(row["camera"], row["time_s"] - began_s)
        elif row["kind"] == "reader" and row["state"] == "connected":
            connected.setdefault(row["terminal"], row["time_s"] - began_s)
    return {
        "terminals": max(connected.values()),
        "first": min(playing.values()),
        "every": max(playing.values()),
        "cursor": found[-1]["cursor"],
    }
