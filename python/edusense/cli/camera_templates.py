"""`edusense camera templates`: which there are, whether they are right, which one a camera would get."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.output import json_option, rows, site_option, talk
from edusense.errors import SiteError, SiteFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edusense.site import Site

__all__ = ["templates"]


@click.group()
def templates() -> None:
    """The templates: what cameras should be.

    They stand in firmware_configs/cameras: beside the site file your own, which go first, and those that come with the
    drivers.

    \b
    Examples:
      edusense camera templates list
      edusense camera templates check
    """


@templates.command("list")
@site_option
@json_option
def list_(site_path: str, as_json: bool) -> None:
    """List the templates that there are.

    \b
    Examples:
      edusense camera templates list
      edusense camera templates list --json | jq -r .template
    """
    found = _read((), _site_if_there(site_path))
    rows(found, ["template", "matches", "settings", "summary"], as_json=as_json)


@templates.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@site_option
@json_option
def check(names: tuple[str, ...], site_path: str, as_json: bool) -> int:
    """Check templates: all of them, or those that are named. Where the site file has cameras, also theirs.

    Exit status 1: one is wrong, or a camera of the site names one that there is not.

    \b
    Examples:
      edusense camera templates check
      edusense camera templates check own/ds-2cd2143
    """
    site = _site_if_there(site_path)
    found = _read(names, site)
    wrong = [one for one in found if one["problem"]]
    rows(
        found if as_json else (wrong or found),
        ["template", "problem", "hint"] if wrong else ["template", "settings", "path"],
        as_json=as_json,
    )
    if not as_json:
        talk(f"{len(wrong)} of {len(found)} are wrong" if wrong else f"{len(found)} templates, all right")
    return 1 if wrong else 0


def _site_if_there(path: str) -> Site | None:
    from edusense.site import Site

    try:
        return Site.load(path)
    except SiteFileError:
        if path == "school.toml":
            return None
        raise


def _read(wanted: Sequence[str], site: Site | None) -> list[dict[str, Any]]:
    from edusense.fleet.templates import names, template

    folder = site.folder if site is not None else Path.cwd()
    found = []
    for name in wanted or [*names(folder), *_of_cameras(site, names(folder))]:
        row: dict[str, Any] = dict.fromkeys(("summary", "matches", "problem", "hint"))
        row |= {"template": name, "settings": 0, "path": ""}
        try:
            one = template(name, folder)
        except SiteError as error:
            row |= {"problem": str(error), "hint": error.hint, "path": error.path or ""}
        else:
            said = one.matches
            profile = f"profile {said.profile}" if said.profile else None
            matches = " ".join(part for part in (said.manufacturer, said.model, profile) if part) or None
            row |= {
                "summary": one.summary,
                "settings": len(one.settings()),
                "matches": matches,
                "path": str(one.path or ""),
            }
        found.append(row)
    return found


def _of_cameras(site: Site | None, known: Sequence[str]) -> list[str]:
    """Templates that cameras of the site name and that there are not."""
    named = [camera.template for camera in site.cameras if camera.template] if site is not None else []
    return [name for name in dict.fromkeys(named) if name not in known]
