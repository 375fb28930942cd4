"""`edusense doctor`: what of this machine would keep a school's box from working, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edusense.cli.output import json_option, row, site_option, talk, wants_colour

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edusense.cli.doctor.finding import Finding

__all__ = ["command"]

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.argument("ports", nargs=-1, metavar="[PORT]...")
@site_option
@json_option
def command(ports: tuple[str, ...], site_path: str, as_json: bool) -> int:
    """Look at this machine: libraries, drivers, rights, ports and who holds them, disk, clock, limits.

    With PORTs, only these are looked at. With a site file, its folders, readers, cameras and time zone are what the
    machine is held against.

    Exit status: 0 all well; 1 something was found.

    \b
    Examples:
      edusense doctor
      edusense doctor /dev/ttyUSB0          # who holds it, which right is missing
      edusense doctor --json | jq 'select(.state != "ok")'
    """
    counts = {"ok": 0, "warn": 0, "fail": 0}
    for finding in _findings(ports, site_path):
        counts[finding.state] += 1
        _tell(finding, as_json=as_json)
    found = counts["warn"] + counts["fail"]
    if not as_json:
        talk(
            f"\n{counts['ok']} {'check' if counts['ok'] == 1 else 'checks'} well"
            + (f", {found} with something to do" if found else "")
        )
    return 1 if found else 0


def _findings(ports: tuple[str, ...], site_path: str) -> Iterator[Finding]:
    from edusense.cli.doctor import devices, disk, software, system

    if ports:
        for port in ports:
            yield from devices.port(port)
        return
    site, finding = system.site(site_path)
    yield finding
    yield from software.findings()
    yield from devices.findings()
    yield from devices.of_site(site)
    yield from disk.findings(site)
    yield from system.findings(site)


def _tell(finding: Finding, *, as_json: bool) -> None:
    state = (
        click.style(finding.state.ljust(4), fg=_COLOURS[finding.state]) if wants_colour() else finding.state.ljust(4)
    )
    text = f"{state}  {finding.check}: {finding.finding}"
    if finding.hint:
        text += f"\n      hint: {finding.hint}"
    row(finding.to_json(), as_json=as_json, text=text)
