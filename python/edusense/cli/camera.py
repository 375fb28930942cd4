"""`edusense camera`: find cameras, ask them, take a picture, let the box try again; setting them is `camera_fleet`."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edusense.cli.camera_aim import aim
from edusense.cli.camera_care import COMMANDS as CARE
from edusense.cli.camera_discover import discover
from edusense.cli.camera_fleet import COMMANDS
from edusense.cli.camera_health import health
from edusense.cli.camera_report import report
from edusense.cli.camera_templates import templates
from edusense.cli.credentials import resolve, url_options
from edusense.cli.exports import reason_of, reason_option, record_export, told_of_export
from edusense.cli.output import json_option, row, rows, site_option, talk
from edusense.errors import PermissionDeniedError, SiteReferenceError, UsageError

if TYPE_CHECKING:
    from edusense.fleet import CameraReport
    from edusense.fleet.addresses import Credentials
    from edusense.site import Camera

__all__ = ["command"]


@click.group()
def command() -> None:
    """Cameras: find them, see what they say about themselves, take a picture, make them what they should be.

    A camera is named by its id in the site file, or by its address: 10.20.0.51, http://10.20.0.51:8000.

    \b
    Examples:
      edusense camera discover
      edusense camera show 205-front
      edusense camera show 10.20.0.51 --user admin --password-from env:CAMERA_PASSWORD
      edusense camera plan
    """


for _one in (discover, *COMMANDS, health, report, aim, *CARE, templates):
    command.add_command(_one)


@command.command("list")
@site_option
@json_option
def list_(site_path: str, as_json: bool) -> None:
    """List the cameras of the site file. Asks none of them.

    \b
    Examples:
      edusense camera list
      edusense camera list --json | jq -r .id
    """
    from edusense.site import Site

    site = Site.load(site_path)
    rows(
        [
            {
                "id": camera.id,
                "room": camera.room,
                "address": camera.address or camera.url,
                "mac": camera.mac,
                "template": camera.template,
                "credentials": camera.credentials,
                "watch": camera.watch,
                "keep": camera.keep,
                "record": camera.record,
            }
            for camera in site.cameras
        ],
        ["id", "room", "address", "mac", "template", "watch", "keep", "record"],
        as_json=as_json,
        empty=f"{site_path} has no cameras: `edusense camera discover` finds them",
    )


@command.command()
@click.argument("camera")
@url_options
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0.1, 120), default=15.0, show_default=True, help="Seconds."
)
@site_option
@json_option
def show(
    camera: str, user: str | None, password_from: str | None, timeout_s: float, site_path: str, as_json: bool
) -> int:
    """Show what a camera says about itself: make, firmware, clock, streams.

    One attempt to log in is made, since cameras lock accounts. Exit status 1: it answered, but not everything.

    \b
    Examples:
      edusense camera show 205-front
      edusense camera show 10.20.0.51 --user admin --password-from file:camera.secret
    """
    from edusense import fleet

    target, login = _target(camera, user, password_from, site_path)
    report = fleet.show(target, login, timeout_s)
    if as_json:
        row(report.to_json(), as_json=True)
    else:
        _print_report(report)
    return 1 if report.problems else 0


def _print_report(report: CameraReport) -> None:
    who = report.information
    facts = {
        "address": report.address.removeprefix("onvif:"),
        "make": f"{who.manufacturer} {who.model}".strip(),
        "firmware": who.firmware,
        "serial": who.serial,
        "hardware": who.hardware,
        "mac": who.mac,
        "name": who.name,
        "location": who.location,
        "clock": _clock_text(report),
        "snapshot": report.snapshot,
    }
    for name, value in facts.items():
        if value:
            row({}, as_json=False, text=f"{name + ':':<10} {value}")
    row({}, as_json=False, text="")
    rows(
        [
            {
                "profile": one.name,
                "token": one.token,
                "encoding": one.encoding,
                "size": f"{one.width}x{one.height}" if one.pixels else None,
                "fps": one.fps,
                "kbit": one.kbit,
                "gop": one.gop,
                "stream": report.streams.get(one.token),
            }
            for one in report.profiles
        ],
        ["profile", "token", "encoding", "size", "fps", "kbit", "gop", "stream"],
        as_json=False,
        empty="no streams",
    )
    for problem in report.problems:
        talk(f"warning: {problem}")


def _clock_text(report: CameraReport) -> str:
    clock = report.clock
    if clock is None or clock.time is None or clock.offset_s is None:
        return "not told"
    off = abs(clock.offset_s)
    told = "as ours" if off < 2 else f"{_span(off)} {'ahead of' if clock.offset_s > 0 else 'behind'} ours"
    return f"{clock.time:%Y-%m-%d %H:%M:%S} UTC, {told}{', by NTP' if clock.ntp else ', set by hand'}"


def _span(seconds: float) -> str:
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"


@command.command()
@click.argument("camera")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file to write: JPEG.")
@click.option("--profile", default="main", show_default=True, help="main, sub, or a profile's own name.")
@url_options
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0.1, 120), default=15.0, show_default=True, help="Seconds."
)
@reason_option
@site_option
def snapshot(
    camera: str,
    out: Path,
    profile: str,
    reason: str | None,
    user: str | None,
    password_from: str | None,
    timeout_s: float,
    site_path: str,
) -> None:
    """Save a still picture that the camera makes. The file is readable by owner and group alone.

    A camera without ONVIF is not asked: the running box gives its last picture. Of a camera of the site, who took it
    and why is written to the audit log, and --reason is required; a bare address needs none.

    \b
    Examples:
      edusense camera snapshot 205-front --out 205.jpg --reason "is it aimed right?"
      edusense camera snapshot 10.20.0.51 --user admin --password-from env:CAMERA_PASSWORD --out now.jpg
    """
    from edusense import fleet

    target, login = _target(camera, user, password_from, site_path)
    why = None if isinstance(target, str) else reason_of(reason, "a picture")
    if not isinstance(target, str) and target.url is not None:
        import edusense

        box = edusense.connect(site_path)
        picture = box.snapshot(target.id, reason=why or "")
        told_of_export(box.audit_path)
    else:
        try:
            picture = fleet.snapshot(target, login, timeout_s, profile=profile)
        except SiteReferenceError as error:
            # Here the profile was named on the command line, not in the site file.
            raise UsageError(error.message, hint=error.hint) from None
        if not isinstance(target, str) and why is not None:
            told_of_export(record_export(site_path, "snapshot", target.id, why))
    _write(out, picture)
    talk(f"{out}: {len(picture)} bytes")


@command.command()
@click.argument("camera")
@site_option
def retry(camera: str, site_path: str) -> None:
    """Let the running box try a camera again now, after its password or address was mended.

    \b
    Examples:
      edusense camera retry 205-front
    """
    import edusense

    box = edusense.connect(site_path)
    box.retry(camera)
    talk(f"{camera}: the box tries again; `edusense status` shows how it goes")


def _target(
    name: str, user: str | None, password_from: str | None, site_path: str
) -> tuple[Camera | str, Credentials | None]:
    """The camera that a word means, and how to log in to it: options go before the site file."""
    from edusense.fleet import Login

    given_user, password = resolve(name.removeprefix("onvif:"), user, password_from)
    login = Login(given_user, password) if given_user is not None and password is not None else None
    if name.startswith(("rtsp://", "rtsps://")):
        raise UsageError("a stream's URL is not asked by ONVIF", hint=f"`edusense video inspect {name}` looks at it")
    if any(mark in name for mark in (".", ":", "/")):
        return name, login
    from edusense.site import Site

    site = Site.load(site_path)
    camera = site.camera(name)
    return camera, login or site.credentials_of(camera)


def _write(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all, mode 0640: pictures show children."""
    temporary: str | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o640)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        temporary = None
    except PermissionError:
        raise PermissionDeniedError(f"`{path}` may not be written by this user", hint=f"ls -ld {path.parent}") from None
    except OSError as error:
        raise UsageError(f"`{path}` cannot be written: {error.strerror}") from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
