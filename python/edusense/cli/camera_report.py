"""`edusense camera report`: the hand-over report that an inspector can check."""

from __future__ import annotations

from pathlib import Path

import click

from edusense.cli.camera_fleet import many, site_of
from edusense.cli.exports import reason_of, record_export, told_of_export
from edusense.cli.output import json_option, row, site_option, talk

__all__ = ["report"]


@click.command()
@click.argument("cameras", nargs=-1, metavar="[CAMERA...]")
@click.option(
    "--out", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="The folder to write."
)
@click.option(
    "--reason",
    metavar="TEXT",
    default="hand-over report",
    show_default=True,
    help="Why its pictures are taken away, for the audit log.",
)
@site_option
@json_option
def report(cameras: tuple[str, ...], folder: Path, reason: str, site_path: str, as_json: bool) -> int:
    """Write the hand-over report: a page, a table and a contact sheet, of what `edusense camera health` has seen.

    In it stand each camera's serial number, firmware, MAC address, address, room, settings, outcome, picture and time,
    its link, and the rooms without a camera that was seen to work. No camera is asked. The files show people: they are
    readable by owner and group alone, and who took them, when and why goes to the audit log. Exit status 1: not every
    camera was seen to work, or a room has none.

    \b
    Examples:
      edusense camera report --out handover/
      edusense camera report '205-*' --out handover-205/
    """
    from edusense import fleet

    site = site_of(site_path)
    made = fleet.handover(site, fleet.HealthStore.of(site), cameras or ("*",))
    audit = record_export(site_path, "report", ", ".join(cameras or ("*",)), reason_of(reason, "a hand-over report"))
    files = made.write(folder)
    without = [one.room.id for one in made.without]
    row(
        {
            "out": str(folder),
            "files": files,
            "cameras": len(made.cameras),
            "working": made.working,
            "outcomes": made.outcomes,
            "rooms": made.rooms,
            "rooms_without": without,
        },
        as_json=as_json,
        text="\n".join(str(folder / name) for name in files),
    )
    told_of_export(audit)
    talk(f"{made.working} of {many(len(made.cameras), 'camera')} were seen to work")
    if without:
        some = ", ".join(without[:12]) + (" …" if len(without) > 12 else "")
        talk(f"{many(len(without), 'room')} of {made.rooms} without a camera that was: {some}")
    if never := made.outcomes.get("not-checked"):
        talk(f"{many(never, 'camera')} never checked: `edusense camera health` watches them")
    return 0 if made.working == len(made.cameras) and not without else 1
