"""`edusense demo`: a whole virtual school in one go, and an honest account of it."""

from __future__ import annotations

import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.output import talk
from edusense.errors import PermissionDeniedError, UsageError

if TYPE_CHECKING:
    from edusense.cli.demo.alarms import DemoCentre
    from edusense.cli.demo.result import Result
    from edusense.cli.demo.school import Box, VirtualSchool

QUIET_S = 14
"""Seconds before the first event: the box connects and its gates learn six GOPs of 2 s."""
GRACE_S = 8.0
"""Seconds after the last event: the longest GOP, the look at it, and the pause after which an event counts as ended."""


@click.command("demo")
@click.option("--cameras", default=12, show_default=True, type=click.IntRange(1, 200), help="How many virtual cameras.")
@click.option("--seconds", default=60, show_default=True, type=click.IntRange(20, 3600), help="How long it lasts.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Repeats a demo: what happens follows from it.")
@click.option(
    "--out", default="demo-out", show_default=True, type=click.Path(file_okay=False), help="Folder for the page."
)
@click.option("--json", "as_json", is_flag=True, help="The account as one JSON object, for programs.")
def command(cameras: int, seconds: int, seed: int | None, out: str, as_json: bool) -> None:
    """Raise a virtual school, run the real box on it, and account for every event and every meal.

    The virtual cameras serve RTSP and ONVIF, the virtual readers speak their protocols; the box is `edusense run`,
    a process of its own. Corridors, entrance and gym are forbidden zones: who enters is told to a virtual operations
    centre, whose link is cut for a while. What is staged follows from the seed. The page is OUT/index.html.

    \b
    Examples:
      edusense demo
      edusense demo --seed 7 --out /tmp/demo
      edusense demo --cameras 40 --seconds 300

    Exit status 1 when an event was missed or invented, or a meal or an alert does not add up.
    """
    from edusense.cli.demo.alarms import DemoCentre
    from edusense.cli.demo.page import write_page
    from edusense.cli.demo.result import collect
    from edusense.cli.demo.school import Box, VirtualSchool

    if seed is None:
        seed = random.SystemRandom().randrange(2**32)
    folder = _fresh_folder(Path(out))
    # The school and the box run in sessions of their own: whatever ends the demo must end them first.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    talk(f"seed {seed} (the same again: edusense demo --seed {seed})")
    began = time.monotonic()
    school = VirtualSchool(folder / "school", cameras=cameras, seconds=seconds, quiet_s=QUIET_S, seed=seed)
    box = centre = None
    try:
        kinds = [device["kind"] for device in school.devices]
        talk(f"virtual school: {kinds.count('camera')} cameras, {kinds.count('reader')} card readers ({school.site})")
        assert school.site is not None
        centre = DemoCentre(school.site, seconds)
        talk(f"operations centre: {centre.page}, told of {', '.join(centre.cameras)}")
        box = Box(school.site, folder / "box.log")
        talk(f"box: edusense run --site {school.site} (process {box.process._process.pid}, log {folder / 'box.log'})")  # noqa: SLF001 - told so that a person can look at it
        centre.start()
        _watch(school, box, centre, total_s=seconds + GRACE_S)
        result = collect(school, box, centre, seed=seed, took_s=time.monotonic() - began)
    finally:
        if box is not None:
            box.stop()
        if centre is not None:
            centre.stop()
        school.process.stop()
    result.after_stop(box)
    page = folder / "index.html"
    write_page(result, page)
    _say(result, page, as_json)
    if not result.adds_up:
        sys.exit(1)


def _fresh_folder(out: Path) -> Path:
    """The folder for this demo: new, empty, or left by an earlier demo (then emptied)."""
    mark = out / ".edusense-demo"
    if out.exists() and any(out.iterdir()):
        if not mark.exists():
            raise UsageError(f"`{out}` holds files that no demo made", hint="give another folder with --out")
        for child in out.iterdir():
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
    try:
        out.mkdir(parents=True, exist_ok=True)
        mark.write_text("made by `edusense demo`; the next demo empties this folder\n")
    except PermissionError as error:
        raise PermissionDeniedError(f"`{out}` cannot be written", hint="give another folder with --out") from error
    return out.resolve()


def _watch(school: VirtualSchool, box: Box, centre: DemoCentre, total_s: float) -> None:
    """Shows how it goes until all is over: a live table on a terminal, plain lines elsewhere."""
    from edusense.cli.demo.progress import Progress

    ended_at: float | None = None
    with Progress(total_s) as progress:
        while ended_at is None or time.monotonic() - ended_at < GRACE_S:
            for process in (school.process, box.process):
                if not process.alive():
                    talk(f"`edusense {process.name}` ended in the middle of the demo:\n{process.last_words()}")
                    return
            # Virtual cameras that this machine cannot draw in time pause, and the script takes longer; to a limit.
            if ended_at is None and (school.ended or progress.elapsed_s > 2 * total_s + 30):
                ended_at = time.monotonic()
            progress.update(_counts(school, box, centre))
            time.sleep(0.5)


def _counts(school: VirtualSchool, box: Box, centre: DemoCentre) -> dict[str, Any]:
    status = box.client.status()
    alerts: dict[str, Any] = next((row for row in status if row["kind"] == "alerts"), {"cases": 0})
    link = next((row["state"] for row in status if row["kind"] == "destination"), "-")
    cameras = [row for row in status if row["kind"] == "camera"]
    taps = box.of_kind("tap")
    return {
        "cameras up": f"{sum(row['state'] == 'playing' for row in cameras)} of {len(cameras)}",
        "pictures": f"{sum(row['pictures_received'] for row in cameras):,} received, "
        f"{sum(row['pictures_looked_at'] for row in cameras):,} looked at",
        "motion": f"{len(school.staged('motion'))} staged, {len(box.of_kind('motion'))} found",
        "meals": f"{len(school.staged('tap'))} taps, {sum(tap['granted'] for tap in taps)} granted, "
        f"{sum(not tap['granted'] for tap in taps)} refused",
        "alerts": f"{alerts['cases']} raised, {len(centre.cases())} at the centre, link {link}",
        "box": next(
            (f"{row['cpu_s']:.1f} s CPU, {row['rss_bytes'] / 1e6:.0f} MB" for row in status if row["kind"] == "box"),
            "-",
        ),
    }


def _say(result: Result, page: Path, as_json: bool) -> None:
    if as_json:
        import json

        click.echo(json.dumps({**result.to_json(), "page": str(page)}, ensure_ascii=False))
    else:
        for name, text in result.summary():
            click.echo(f"{name:<18} {text}")
        click.echo(f"{'page':<18} {page}")
