"""`edusense camera health`: are cameras really working, and is what they send what they say?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.camera_fleet import counting, deadline_option, many, site_of, visit_option
from edusense.cli.output import json_option, rows, site_option, talk

if TYPE_CHECKING:
    from edusense.fleet import CameraHealth

__all__ = ["health"]


@click.command()
@click.argument("cameras", nargs=-1, metavar="[CAMERA...]")
@click.option(
    "--seconds",
    type=click.FloatRange(2, 600),
    default=8.0,
    show_default=True,
    help="How long each stream is watched, from its first picture.",
)
@click.option("--events/--no-events", default=True, help="Ask also for what each tells by itself: storage, tamper.")
@click.option("--anew", is_flag=True, help="Begin at the first camera, also where a check was broken off.")
@visit_option
@deadline_option
@site_option
@json_option
def health(
    cameras: tuple[str, ...],
    seconds: float,
    events: bool,
    anew: bool,
    visit_s: float,
    deadline_s: float | None,
    site_path: str,
    as_json: bool,
) -> int:
    """Check whether cameras really work: each is asked, logged in to, and watched for some seconds.

    Seen are the first picture, codec, size, rate, key pictures, bit rate, loss and timestamps, and whether the picture
    is black, covered, out of focus or frozen; asked are clock, login, still picture, storage and tamper. What a camera
    sends is held against what it says, and that against its template. Changes nothing.

    `works` is said only of a camera whose pictures were seen. What was found is kept for `edusense camera report`.
    Broken off, the same command goes on where it stopped. Exit status 1: not every camera works without a finding.

    \b
    Examples:
      edusense camera health
      edusense camera health '205-*' --seconds 20
      edusense camera health --json | jq -r 'select(.outcome != "works").camera'
    """
    from edusense import fleet

    site = site_of(site_path)
    todo = [one.id for one in fleet.chosen(site, cameras or ("*",))] if cameras or site.cameras else []
    store = fleet.HealthStore.of(site)
    before = store.begin(todo, anew=anew)
    if before:
        talk(f"goes on: {len(before)} of {many(len(todo), 'camera')} were checked already (--anew begins at the first)")
    try:
        with counting(len(todo) - len(before), "watching") as told:
            fleet.health(
                site,
                todo,
                seconds=seconds,
                events=events,
                visit_s=max(visit_s, seconds + 45.0),
                deadline_s=deadline_s,
                progress=told,
                found=store.put,
                skip=before,
            )
    except KeyboardInterrupt:
        done = len(store.begin(todo))
        talk(f"broken off: {done} of {many(len(todo), 'camera')} checked; the same command goes on from here")
        raise
    store.end()
    found = store.read(todo)
    rows(
        [one.to_json() for one in found] if as_json else [_row(one) for one in found],
        ["camera", "outcome", "stream", "first_picture", "findings"],
        as_json=as_json,
        empty="the site file has no cameras",
    )
    counted = Counter(one.outcome for one in found)
    if found:
        talk(", ".join(f"{counted[outcome]} {outcome}" for outcome in fleet.OUTCOMES if counted[outcome]))
    return 0 if counted.keys() <= {"works"} else 1


def _row(one: CameraHealth) -> dict[str, Any]:
    seen = one.watched
    first = None if seen is None else seen["first_picture_s"]
    return {
        "camera": one.camera,
        "outcome": one.outcome,
        "stream": None if seen is None or seen["codec"] is None else _stream(seen),
        "first_picture": None if first is None else f"{first:.1f} s",
        "findings": "; ".join(finding.words for finding in one.findings) or None,
    }


def _stream(seen: dict[str, Any]) -> str:
    parts = [seen["codec"], f"{seen['width']}x{seen['height']}"]
    parts += [f"{seen['fps']:g}/s"] if seen["fps"] else []
    parts += [f"{seen['kbit']:.0f} kbit/s"] if seen["kbit"] else []
    return " ".join(parts)
