"""`edusense alerts check`: the contract of an operations centre, tried at any URL."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edusense.cli.output import json_option, row, site_option, talk
from edusense.errors import UsageError

if TYPE_CHECKING:
    from edusense.alerts.destination import Settings

__all__ = ["check"]


@click.command()
@click.argument("url", required=False)
@click.option("--school", metavar="ID", help="The school that the user signs for.")
@click.option(
    "--number",
    default=4_000_000_001,
    show_default=True,
    type=click.IntRange(1, 2**32 - 1),
    help="That school's national number.",
)
@click.option("--user", metavar="NAME", help="Who signs: the user of the destination's credentials.")
@click.option(
    "--password-from",
    metavar="env:NAME|file:PATH",
    help="Where the secret is that the centre shares with the school: an environment variable, or a file of mode 0600.",
)
@click.option(
    "--ca", type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="Certificates to trust instead."
)
@click.option("--destination", metavar="ID", help="A destination of the site file, in place of all of the above.")
@site_option
@click.option("--only", multiple=True, metavar="CHECK", help="Only this check. Repeatable.")
@click.option(
    "--within",
    "within_s",
    default=15.0,
    show_default=True,
    type=click.FloatRange(1, 600),
    help="The longest wait for an answer, in seconds.",
)
@json_option
def check(
    url: str | None,
    school: str | None,
    number: int,
    user: str | None,
    password_from: str | None,
    ca: str | None,
    destination: str | None,
    site_path: str,
    only: tuple[str, ...],
    within_s: float,
    as_json: bool,
) -> int:
    """Try whether an operations centre does what it must, so that no alert is lost, doubled or believed of a stranger.

    URL is what stands as `url` in a site file. Messages that come twice, stills and clips in pieces, signatures that
    are wrong on purpose, questions for answers, heartbeats. All of it is marked as a test, about cases that never were;
    the school's heartbeat at the centre is a test, too, until its box sends the next one. Exits with 1 where a check
    fails, with 4 where nothing answers, with 5 where the centre does not know user or school.

    \b
    Examples:
      edusense alerts check --destination ops-centre
      edusense alerts check https://ops.example.kz/alerts --school school-51 --user s51 --password-from file:s51.secret
      edusense alerts check http://127.0.0.1:8443/alerts --school school-51 --only takes-a-message --json
    """
    from edusense.alerts.centre_check import CentreRig, checked

    given = {"URL": url, "--school": school, "--user": user, "--password-from": password_from, "--ca": ca}
    settings = _of_options(given) if destination is None else _of_site(site_path, destination, given)
    if destination is None:
        settings = dataclasses.replace(settings, school={**settings.school, "number": number})
    rig = CentreRig(settings, within_s=within_s)
    failed = count = 0
    try:
        for found in checked(rig, only):
            count += found.state != "skipped"
            failed += found.state == "failed"
            text = f"{found.state:<7}  {found.check}" + ("" if found.state == "passed" else f": {found.found}")
            if found.state == "failed":
                text += f"\n         {found.asks}"
            row(dataclasses.asdict(found), as_json=as_json, text=text)
    finally:
        rig.close()
    if failed:
        talk(f"{failed} of {count} checks failed; docs/reference/alerts.md tells what a centre must do")
    else:
        talk(f"the centre does what it must: {count} checks")
    return 1 if failed else 0


def _of_options(given: dict[str, str | None]) -> Settings:
    from edusense.alerts.destination import Settings
    from edusense.cli.credentials import resolve

    url, school, ca = given["URL"], given["--school"], given["--ca"]
    if url is None:
        raise UsageError("which centre?", hint="a URL, or --destination ID of the site file")
    user, password = resolve(url, given["--user"], given["--password-from"])
    if school is None:
        raise UsageError("which school does the user sign for?", hint="--school ID, as [site] names it")
    return Settings(
        id=url,
        school={"id": school},
        url=url,
        user=user,
        password=password,
        ca=None if ca is None else Path(ca),
        what="operations centre",
    )


def _of_site(site_path: str, destination: str, given: dict[str, str | None]) -> Settings:
    from edusense.alerts.registry import settings_of
    from edusense.nearest import perhaps
    from edusense.site import Site

    if twice := [name for name, value in given.items() if value is not None]:
        raise UsageError(
            f"`--destination {destination}` and {', '.join(twice)}", hint="the site file says all of that itself"
        )
    site = Site.load(site_path)
    known = {entry.id: entry for entry in site.destinations}
    if destination not in known:
        raise UsageError(
            f"there is no destination `{destination}` in `{site_path}`",
            hint=perhaps(destination, known) or f"destinations: {', '.join(known) or 'none'}",
        )
    if known[destination].driver != "https-json":
        raise UsageError(
            f"`{destination}` is no operations centre: its driver is `{known[destination].driver}`",
            hint="only `https-json` speaks the contract that is tried here",
        )
    return settings_of(site, known[destination])
