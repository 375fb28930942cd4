"""Alerts from the first moving picture to the operations centre, many at once on a thin line, and the path idle.

The school is virtual, the box is the real one in a process of its own, the centre takes real HTTP.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import itertools
import json
import random
import shutil
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edusense.bench.case import Fact, Measured
from edusense.bench.figure import Figure, quantile
from edusense.bench.process import cpu_seconds
from edusense.bench.virtual import serving, started, until, wait_for_end
from edusense.errors import BenchNotMeasuredError, EdusenseError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["at_once", "delay", "idle"]

Row = dict[str, Any]
_START_S: Final = 90.0
_SEVERITIES: Final = ("minor", "moderate", "severe", "extreme")
_CENTRE: Final = """
[credentials.centre]
user = "{user}"
password = "{password_ref}"

[[destinations]]
id = "ops-centre"
driver = "https-json"
url = "{url}"
credentials = "centre"
"""
_ZONE: Final = """
[[zones]]
id = "{id}"
camera = "{camera}"
polygon = {polygon}
kind = "{kind}"
alert = ["ops-centre"]
"""
_WHOLE: Final = "[[0, 0], [1, 0], [1, 1], [0, 1]]"


def delay(cameras: int = 12, seconds: float = 75.0, quiet_s: float = 20.0, seed: int = 1) -> Measured:
    """People walk through forbidden zones; the centre closes each case at once, so that the next entry is a new one.

    Args:
        cameras: virtual cameras, each with a zone over the whole picture.
        seconds: how long things happen.
        quiet_s: before that nothing does.
        seed: of what happens.
    """
    _need_drivers()
    with tempfile.TemporaryDirectory(prefix="edusense-bench-") as made, _centre(Path(made)) as centre:
        folder = Path(made)
        school = ("sim", "school", str(folder / "school"), "--cameras", str(cameras), "--seed", str(seed))
        times = ("--seconds", str(quiet_s + seconds), "--quiet", str(quiet_s))
        with _devices(*school, *times, log=folder / "school.log") as devices:
            names = [device["id"] for device in devices if device["kind"] == "camera"]
            zones = "".join(
                _ZONE.format(id=f"{name}-all", camera=name, polygon=_WHOLE, kind="forbidden") for name in names
            )
            site = _site(folder / "school", centre, zones)
            with _box(site, folder / "box.log"):
                ended = folder / "school" / "ended"
                deadline = time.monotonic() + quiet_s + seconds + _START_S
                while not ended.exists() and time.monotonic() < deadline:
                    _close_all(centre)
                    time.sleep(0.3)
                time.sleep(6.0)
                _close_all(centre)
                cases = centre.cases()
        told = (folder / "school" / "staged.jsonl").read_text("utf-8").splitlines()
    staged = [row for row in map(json.loads, told) if row["kind"] == "motion" and row["camera"] in names]
    delays = sorted(_delays(staged, cases))
    if not delays:
        raise BenchNotMeasuredError("no alert came to the centre: the machine is too slow for its virtual cameras")
    silent = {row["camera"] for row in staged} - {case["place"]["camera"] for case in cases}
    facts = [
        Fact("entries with a still at the centre", f"{len(delays)} on {cameras} cameras", "ok"),
        Fact("cameras with entries and no alert", str(len(silent)), "fail" if silent else "ok", ", ".join(silent)),
    ]
    return Measured(
        [
            Figure("from the first moving picture to the still at the centre", "s", tuple(delays), id="still"),
            Figure("19 of 20 stills are there within", "s", (quantile(delays, 0.95),), id="still-p95"),
        ],
        facts=facts,
        notes=["The virtual school, the box and the centre share this machine."],
    )


def at_once(alerts: int = 100, kbit: float = 4000.0, still_bytes: int = 50_000, seed: int = 1) -> Measured:
    """Analysers hand in many findings in one moment, each with a still, and the way out is thin.

    Args:
        alerts: how many.
        kbit: what the way out carries, kbit/s: the box is told so, and the line carries no more.
        still_bytes: of each still.
        seed: of the order in which grave and lesser ones come.
    """
    _need_drivers()
    with (
        tempfile.TemporaryDirectory(prefix="edusense-bench-") as made,
        _centre(Path(made), "--kbit", f"{kbit:.0f}") as centre,
    ):
        folder = Path(made)
        school = ("sim", "school", str(folder / "school"), "--cameras", "1", "--seconds", "0", "--quiet", "100000")
        with _devices(*school, log=folder / "school.log") as devices:
            camera = next(device["id"] for device in devices if device["kind"] == "camera")
            zones = "".join(_small_zone(camera, number) for number in range(alerts))
            site = _site(folder / "school", centre, zones, uplink_kbit=kbit)
            with _box(site, folder / "box.log") as box:
                severities = list(itertools.islice(itertools.cycle(_SEVERITIES), alerts))
                random.Random(seed).shuffle(severities)
                stills = [_still(still_bytes, seed + number) for number in range(8)]
                time.sleep(2.0)
                began_s = time.time()
                grave = {}
                for number, severity in enumerate(severities):
                    case = box.raise_finding(
                        "bench",
                        camera=camera,
                        zone=f"zone-{number}",
                        rule="bench",
                        version="1",
                        severity=severity,
                        source=f"analyser {number % 20}",
                        still=stills[number % len(stills)],
                    )
                    grave[case["case"]] = severity
                raised_s = time.time()

                def all_there() -> list[Row]:
                    found = [case for case in centre.cases() if _still_at_s(case)]
                    return found if len(found) == alerts else []

                cases: list[Row] = until(all_there, 120.0, "the stills were not all at the centre")
    arrived = sorted((_still_at_s(case) or 0.0, grave[case["case"]]) for case in cases)
    by_grade = {one: max(at_s for at_s, grade in arrived if grade == one) - began_s for one in set(severities)}
    # What had gone before the last one was raised could not know of it.
    late = [_SEVERITIES.index(grade) for at_s, grade in arrived if at_s > raised_s + 1.0]
    disorder = sum(later > earlier for earlier, later in itertools.pairwise(late))
    in_order = Fact(
        "the gravest first",
        f"{disorder} of {max(0, len(late) - 1)} came after a lesser one",
        "ok" if disorder <= len(late) // 20 else "fail",
        "of stills next to each other, from a second after the last finding on; two lanes carry them side by side",
    )
    grades = Fact(
        "last still of each grade",
        ", ".join(f"{one} {by_grade[one]:.1f} s" for one in reversed(_SEVERITIES) if one in by_grade),
    )
    return Measured(
        [
            Figure("the last of all stills at the centre after", "s", (arrived[-1][0] - began_s,), id="last"),
            Figure("the last of the gravest after", "s", (by_grade["extreme"],), id="gravest"),
        ],
        facts=[in_order, grades],
        notes=[f"{alerts} findings, each with a still of {len(stills[0]) / 1000:.0f} kB, at {kbit:.0f} kbit/s."],
    )


def idle(zones: int = 100, seconds: float = 62.0, cameras: int = 2) -> Measured:
    """Two boxes on the same quiet cameras, at the same time, one with zones and a centre: the difference is the path.

    Args:
        zones: forbidden ones.
        seconds: measured for so long; there is one heartbeat a minute.
        cameras: on which they are.
    """
    _need_drivers()
    with tempfile.TemporaryDirectory(prefix="edusense-bench-") as made, _centre(Path(made)) as centre:
        folder = Path(made)
        school = ("sim", "school", str(folder / "school"), "--cameras", str(cameras))
        with _devices(*school, "--seconds", "0", "--quiet", "100000", log=folder / "school.log") as devices:
            names = [device["id"] for device in devices if device["kind"] == "camera"]
            plain = _without_readers(folder / "school", folder / "plain")
            drawn = "".join(_small_zone(names[number % cameras], number) for number in range(zones))
            site = _site(_without_readers(folder / "school", folder / "zones").parent, centre, drawn)
            with (
                _box(plain, folder / "plain.log", cameras) as without,
                _box(site, folder / "zones.log", cameras) as within,
            ):
                time.sleep(8.0)
                pids = [_pid(without), _pid(within)]
                before, began = [cpu_seconds(pid) for pid in pids], time.monotonic()
                time.sleep(seconds)
                took = [cpu_seconds(pid) - cpu for pid, cpu in zip(pids, before, strict=True)]
                lasted = time.monotonic() - began
    return Measured(
        [
            Figure("the alert path, idle", "% of a core", (100 * (took[1] - took[0]) / lasted,), id="idle"),
            Figure("the whole box beside it, without", "% of a core", (100 * took[0] / lasted,), id="box"),
        ],
        notes=[f"{zones} zones on {cameras} quiet cameras; a difference of two boxes, which may be below zero."],
    )


def _need_drivers() -> None:
    if importlib.util.find_spec("edusense_drivers") is None:
        raise BenchNotMeasuredError("the drivers are not installed", hint="pip install edusense-drivers")


class _Centre:
    """A virtual operations centre in a process of its own.

    Args:
        row: what it printed.
    """

    def __init__(self, row: Row) -> None:
        self.row = row

    def cases(self) -> list[Row]:
        """What it has."""
        # The address is that of a process that was started here.
        with urllib.request.urlopen(f"{self.row['page']}cases?most=10000", timeout=30) as answer:  # noqa: S310
            found: list[Row] = json.load(answer)["cases"]
        return found

    def close(self, case: str) -> None:
        """Closes a case, as somebody there would."""
        body = json.dumps({"answer": "closed", "by": "bench"}).encode()
        urllib.request.urlopen(f"{self.row['page']}cases/{case}/answer", body, timeout=30).close()  # noqa: S310


@contextlib.contextmanager
def _centre(folder: Path, *more: str) -> Iterator[_Centre]:
    with serving("sim", "ops-centre", *more, log=folder / "centre.log", last=bool) as found:
        yield _Centre(found[0])


def _devices(*arguments: str, log: Path) -> contextlib.AbstractContextManager[list[Row]]:
    return serving(*arguments, log=log, last=lambda found: bool(found) and found[-1]["kind"] == "school")


def _site(folder: Path, centre: _Centre, zones: str, uplink_kbit: float = 0) -> Path:
    """The virtual school's site file with a centre and zones in it."""
    path = folder / "school.toml"
    text = path.read_text("utf-8")
    if uplink_kbit:
        text = text.replace("[site]\n", f"[site]\nuplink_kbit = {uplink_kbit:.0f}\n", 1)
    path.write_text(text + _CENTRE.format(**centre.row) + zones, "utf-8")
    return path


def _without_readers(school: Path, folder: Path) -> Path:
    """A copy of a virtual school's site for a box of its own; readers can be had by one box only."""
    folder.mkdir()
    shutil.copytree(school / "secrets", folder / "secrets")
    text = (school / "school.toml").read_text("utf-8")
    tables = text.replace(str(school / "data"), str(folder / "data")).split("\n[[")
    text = "\n[[".join(one for one in tables if not one.startswith(("readers]]", "terminals]]", "meals")))
    path = folder / "school.toml"
    path.write_text(f"{text}\n", "utf-8")
    return path


def _small_zone(camera: str, number: int) -> str:
    left, top = 0.05 * (number % 19), 0.05 * (number // 19 % 19)
    corners = [[left, top], [left + 0.04, top], [left + 0.04, top + 0.04], [left, top + 0.04]]
    polygon = [[round(x, 3), round(y, 3)] for x, y in corners]
    return _ZONE.format(id=f"zone-{number}", camera=camera, polygon=json.dumps(polygon), kind="forbidden")


@contextlib.contextmanager
def _box(site: Path, log: Path, cameras: int = 1) -> Iterator[Any]:
    """The box as a process, from when its cameras play on."""
    import edusense

    process = started("run", "--site", str(site), log=log)
    try:

        def there() -> Any:
            with contextlib.suppress(EdusenseError):
                client = edusense.connect(str(site))
                playing = [row for row in client.status() if row["kind"] == "camera" and row["state"] == "playing"]
                if len(playing) >= cameras:
                    return client
                client.close()
            return None

        client = until(there, _START_S, f"the box did not watch its cameras; it said: {log}")
        with client:
            yield client
    finally:
        wait_for_end(process)


def _pid(client: Any) -> int:
    return int(next(row["pid"] for row in client.status() if row["kind"] == "box"))


def _close_all(centre: _Centre) -> None:
    """Closes each case whose still is there: what comes next in its place is a case of its own."""
    for case in centre.cases():
        if _still_at_s(case) and not case["given"]:
            centre.close(case["case"])


def _still_at_s(case: Row) -> float | None:
    found: float | None = case.get("files", {}).get("still", {}).get("completed_s")
    return found


def _delays(staged: list[Row], cases: list[Row]) -> Iterator[float]:
    """Seconds from an entry's first moving picture to its still, of every entry that is a case."""
    for case in cases:
        at_s = _still_at_s(case)
        entries = [
            row["start_s"]
            for row in staged
            if row["camera"] == case["place"]["camera"] and row["start_s"] - 0.5 <= case["start_s"] <= row["end_s"] + 1
        ]
        if at_s is not None and entries:
            yield at_s - max(entries)


def _still(size: int, seed: int) -> bytes:
    """A JPEG of about so many bytes."""
    import numpy as np
    from PIL import Image

    grain = np.random.default_rng(seed).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    low, high = 1, 95
    content = b""
    while low < high - 1:
        quality = (low + high) // 2
        made = io.BytesIO()
        Image.fromarray(grain).resize((640, 360)).save(made, "JPEG", quality=quality)
        if len(made.getvalue()) <= size:
            low, content = quality, made.getvalue()
        else:
            high = quality
    return content
