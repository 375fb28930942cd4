"""`edusense bench soak`: hours of a box at work, and whether it leaks."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edusense.cli.output import json_option, progress, row, talk
from edusense.errors import PermissionDeniedError, UsageError

if TYPE_CHECKING:
    from edusense.bench.soak import Sample

__all__ = ["soak"]

SAMPLES = "samples.jsonl"


@click.command()
@click.option("--hours", type=click.FloatRange(0.001, 24 * 366), help="How long.")
@click.option("--minutes", type=click.FloatRange(0.05, 60 * 24 * 366), help="The same in minutes.")
@click.option("--every", default=10.0, show_default=True, type=click.FloatRange(0.2, 3600), help="Seconds to a sample.")
@click.option(
    "--site",
    "site_path",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Watch the box that runs on this site file.",
)
@click.option("--cameras", default=12, show_default=True, type=click.IntRange(1, 500), help="Of the virtual school.")
@click.option("--seed", default=1, show_default=True, type=int, help="Of the virtual school.")
@click.option(
    "--out", required=True, type=click.Path(file_okay=False), metavar="DIR", help="Where samples, report and page go."
)
@json_option
def soak(
    hours: float | None,
    minutes: float | None,
    every: float,
    site_path: str | None,
    cameras: int,
    seed: int,
    out: str,
    as_json: bool,
) -> int:
    """Watch a box for hours: memory, descriptors, threads, latency; leaks are called by their slope.

    Without --site a virtual school and a box of its own are started. Each sample is on the disk at once: after Ctrl-C
    the report is made of those that there are, and the same command goes on from there.

    Exit status: 0 no leak; 1 a leak.

    \b
    Examples:
      edusense bench soak --hours 12 --out soak
      edusense bench soak --hours 72 --every 60 --site /etc/edusense/school.toml --out soak
      edusense bench soak --minutes 5 --every 1 --out soak --json
    """
    if (hours is None) == (minutes is None):
        raise UsageError("say how long: --hours or --minutes", hint="edusense bench soak --hours 12 --out soak")
    from edusense.bench import soak as work
    from edusense.bench.machine import machine

    seconds = 3600.0 * hours if hours is not None else 60.0 * (minutes or 0.0)
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PermissionDeniedError(f"`{folder}` cannot be made: {error.strerror}") from error
    keep = folder / SAMPLES
    if keep.exists():
        talk(f"goes on from the samples in {keep}; remove it to begin anew")
    with contextlib.ExitStack() as stack:
        site = site_path or stack.enter_context(work.school(cameras, seed))
        bar = stack.enter_context(progress(seconds, "soak"))
        shown = [0.0, -1.0]

        def told(sample: Sample) -> None:
            if shown[1] < 0:
                shown[1] = sample.at_s
            bar.update(int(sample.at_s - shown[1]) - int(shown[0]))
            shown[0] = sample.at_s - shown[1]

        samples = work.sampled(site, seconds, every, keep, told)
    slopes = work.verdicts(samples)
    title = f"Soak of {site_path or f'a virtual school of {cameras} cameras'}"
    found = {"title": title, "slopes": [slope.to_json() for slope in slopes], "verdict": work.verdict(slopes)}
    (folder / "report.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    here = machine()
    where = f"{here['cpu'] or here['architecture']}, {here['processors']} processors, {here['memory_gb']:.0f} GB"
    (folder / "report.html").write_text(work.page(title, where, samples, slopes), "utf-8")
    for slope in slopes:
        row({"kind": "slope", **slope.to_json()}, as_json=as_json, text=f"{slope.what.ljust(24)}  {slope.words}")
    talk(f"{work.verdict(slopes)}: {len(samples)} samples, {folder / 'report.html'}")
    return 1 if any(slope.leak for slope in slopes) else 0
