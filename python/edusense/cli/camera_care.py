"""`edusense camera rotate-password · backup · restore · events`: what cameras need after they have been set up."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edusense.cli.camera_fleet import (
    bar_over,
    confirm,
    counting,
    journal_option,
    many,
    print_applied,
    print_plan,
    say_how_far,
    site_of,
    visit_option,
    yes_option,
)
from edusense.cli.output import json_option, row, rows, site_option, talk
from edusense.errors import DeviceError, PermissionDeniedError, SiteError, SiteSecretError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edusense.devices.camera import CameraEvent
    from edusense.site import Camera, Site

__all__ = ["COMMANDS"]

MOST_WATCHED: Final = 64
"""Cameras whose events are pulled at once: each takes a thread, and a place that its recorder may need."""


@click.command("rotate-password")
@click.argument("cameras", nargs=-1, required=True, metavar="CAMERA...")
@click.option("--to", required=True, metavar="TABLE", help="The table of [credentials] with the new user and password.")
@click.option(
    "--generate", is_flag=True, help="Make the new password, where the file of that table does not exist yet."
)
@click.option("--remove-old", is_flag=True, help="Take the old user from the camera, where the new one is another.")
@yes_option
@click.option(
    "--journal",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The encrypted journal; fleet/passwords.jsonl in the site's data folder by default.",
)
@visit_option
@site_option
@json_option
def rotate_password(
    cameras: tuple[str, ...],
    to: str,
    generate: bool,
    remove_old: bool,
    yes: bool,
    journal: Path | None,
    visit_s: float,
    site_path: str,
    as_json: bool,
) -> int:
    """Give cameras another password, and the site file the table that holds it.

    A camera is named by its id, or several by a pattern. The new user and password stand in a table of [credentials]
    before anything is done; both passwords are kept in a journal that [fleet] `key` encrypts; each camera is logged in
    to with the new one before the site file forgets the old one. The password itself is never shown.

    Exit status 1: a camera does not answer to the new password.

    \b
    Examples:
      edusense camera rotate-password '205-*' --to cameras-2 --generate
      edusense camera rotate-password '*' --to cameras --remove-old --yes     # from the factory's user to the school's
    """
    from edusense import fleet

    site = site_of(site_path)
    site.fleet.secret()
    if generate:
        _generate(site, to)
    todo = fleet.chosen(site, cameras)
    moving = [one for one in todo if one.credentials != to]
    tables = Counter(one.credentials or "no login" for one in moving)
    for name, count in sorted(tables.items()):
        talk(f"{many(count, 'camera')} from [credentials.{name}] to [credentials.{to}]")
    if moving:
        confirm(f"change the password of {many(len(moving), 'camera')}?", yes=yes)
    with bar_over(site, cameras, "changing") as told:
        done = fleet.rotate_passwords(
            site, cameras, to, remove_old=remove_old, visit_s=visit_s, journal=journal, progress=told
        )
    status = print_applied(done, as_json=as_json)
    left = {camera.credentials for camera in site_of(site_path).cameras}
    for name in tables:
        if name in site.credentials and name not in left:
            talk(f"no camera uses [credentials.{name}] any more: take it and its secret away")
    return status


def _generate(site: Site, to: str) -> None:
    """Makes the secret's file, where the table has one that does not exist."""
    from edusense.fleet.passwords import new_password

    table = site.credentials.get(to)
    if table is None:
        return  # told by who looks for it next
    try:
        table.secret()
    except SiteSecretError:
        pass
    else:
        talk(f"[credentials.{to}] has a password already: that one is used")
        return
    kind, _, place = table.password.partition(":")
    if kind != "file":
        raise UsageError(f"--generate needs a file, and [credentials.{to}] has `{table.password}`", hint="file:PATH")
    path = site.path_of(place)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except PermissionError:
        raise PermissionDeniedError(f"`{path}` may not be written by this user") from None
    except FileExistsError:
        table.secret()  # what is wrong with it says this
        return
    except OSError as error:
        raise UsageError(f"`{path}` cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(new_password() + "\n")
        file.flush()
        os.fsync(file.fileno())
    talk(f"a new password is in {path} (mode 0600)")


# ---- backup and restore


@click.command()
@click.argument("cameras", nargs=-1, required=True, metavar="CAMERA...")
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the files go; fleet/backups in the site's data folder by default.",
)
@visit_option
@site_option
@json_option
def backup(cameras: tuple[str, ...], folder: Path | None, visit_s: float, site_path: str, as_json: bool) -> int:
    """Keep what cameras are set to, in a file each. No passwords, no firmware.

    Exit status 1: one could not be asked.

    \b
    Examples:
      edusense camera backup '*'
      edusense camera backup '205-*' --out before-the-holidays
    """
    from edusense import fleet

    site = site_of(site_path)
    place = folder or site.data_folder() / "fleet" / "backups"
    with bar_over(site, cameras, "reading") as told:
        done = fleet.back_up(site, cameras, place, visit_s=visit_s, progress=told)
    table = [
        {
            "camera": one.camera,
            "file": Path(one.path).name if one.path else None,
            "groups": one.groups,
            "note": one.problem or (f"not read: {', '.join(one.unread)}" if one.unread else None),
        }
        for one in done
    ]
    rows([one.to_json() for one in done] if as_json else table, ["camera", "file", "groups", "note"], as_json=as_json)
    kept = sum(one.path is not None for one in done)
    if not as_json:
        talk(f"{many(kept, 'backup')} in {place}")
    return 0 if kept == len(done) else 1


@click.command()
@click.argument("camera")
@click.option(
    "--from",
    "place",
    type=click.Path(exists=True, path_type=Path),
    help="A backup, or a folder of them, of which the newest is taken; fleet/backups in the data folder by default.",
)
@click.option("--network", is_flag=True, help="Put its address back, too.")
@click.option("--reboot", is_flag=True, help="Restart it where it has not taken a setting, and look again.")
@yes_option
@journal_option
@visit_option
@site_option
@json_option
def restore(
    camera: str,
    place: Path | None,
    network: bool,
    reboot: bool,
    yes: bool,
    journal: Path | None,
    visit_s: float,
    site_path: str,
    as_json: bool,
) -> int:
    """Set a camera as a backup says, and read back what came of it.

    It need not be the same unit: what was put in its place is set like it. The plan is shown first, and done only after
    a yes. Exit status 1: not everything is as it was.

    \b
    Examples:
      edusense camera restore 205-front
      edusense camera restore 205-front --from backups/205-front-20260914-060231.json --yes
    """
    from edusense import fleet

    site = site_of(site_path)
    site.camera(camera)
    default = site.data_folder() / "fleet" / "backups"
    if place is None and not default.is_dir():
        raise UsageError(f"there are no backups in `{default}`", hint="`edusense camera backup` makes them; --from DIR")
    path = fleet.latest_backup(place or default, camera)
    kept = fleet.Backup.load(path)
    if kept.camera != camera:
        talk(f"{path.name} is a backup of {kept.camera}")
    made = fleet.plan_restore(site, camera, kept, network=network, visit_s=visit_s)
    who = " ".join(part for part in (kept.information.get("manufacturer"), kept.information.get("model")) if part)
    talk(f"{path}: {who}")
    print_plan(made, to_stderr=True)
    if made.changes:
        confirm(f"set {many(made.changes, 'setting')} of {camera}?", yes=yes)
    with counting(1, "setting") as told:
        try:
            done = fleet.apply(made, reboot=reboot, visit_s=visit_s, journal=journal, progress=told)
        except KeyboardInterrupt:
            say_how_far(made, made, journal, f"edusense camera restore {camera}")
            raise
    if any(one.address is not None for one in done):
        fleet.remember_addresses(site, done)
    cannot = sum(one.action == "cannot" for one in made.cameras[0].settings)
    return print_applied(done, as_json=as_json) or int(cannot > 0)


# ---- events


@click.command()
@click.argument("cameras", nargs=-1, required=True, metavar="CAMERA...")
@click.option(
    "--for", "seconds", type=click.FloatRange(1, 86_400), default=60.0, show_default=True, help="Seconds to listen."
)
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only these: tamper, storage-failure, motion, …")
@click.option("--changes", is_flag=True, help="Only what changes, not how things are at the beginning.")
@site_option
@json_option
def events(
    cameras: tuple[str, ...], seconds: float, kinds: tuple[str, ...], changes: bool, site_path: str, as_json: bool
) -> int:
    """What cameras tell by themselves, as it comes: somebody covers the lens, the storage fails, it moves.

    Each camera is subscribed to for no longer than this runs, since recorders need its few places, and asked at most
    once in 0.75 s. Exit status 1: one could not be subscribed to.

    \b
    Examples:
      edusense camera events 205-front
      edusense camera events '*' --for 600 --kind tamper --kind storage-failure --json
    """
    from edusense import fleet

    site = site_of(site_path)
    todo = fleet.chosen(site, cameras)
    if len(todo) > MOST_WATCHED:
        raise UsageError(f"{len(todo)} cameras are more than {MOST_WATCHED}", hint="name fewer: '205-*'")
    told: queue.Queue[dict[str, Any] | None] = queue.Queue()
    stop = threading.Event()
    failed: list[str] = []

    def listen(camera: Camera) -> None:
        try:
            _listen(site, camera, seconds, stop, told)
        except (DeviceError, SiteError) as error:
            failed.append(camera.id)
            talk(f"{camera.id}: {error.message}" + (f"; {error.hint}" if error.hint else ""))
        finally:
            told.put(None)

    threads = [threading.Thread(target=listen, args=(one,), name=f"events-{one.id}") for one in todo]
    for one in threads:
        one.start()
    try:
        _print_events(told, len(threads), kinds, changes=changes, as_json=as_json)
    except (KeyboardInterrupt, BrokenPipeError):
        stop.set()
        talk("ending the subscriptions")
        raise
    finally:
        stop.set()
        for one in threads:
            one.join()
    return 1 if failed else 0


def _listen(
    site: Site, camera: Camera, seconds: float, stop: threading.Event, told: queue.Queue[dict[str, Any] | None]
) -> None:
    from edusense.fleet.addresses import open_of_site

    with open_of_site(site, camera, seconds + 60.0) as opened:
        for event in opened.events(seconds, stopped=stop.is_set):
            told.put(_event_row(camera, event))


def _event_row(camera: Camera, event: CameraEvent) -> dict[str, Any]:
    return {
        "camera": camera.id,
        "at": None if event.at is None else event.at.isoformat().replace("+00:00", "Z"),
        "kind": event.kind,
        "active": event.active,
        "topic": event.topic,
        "source": event.source,
        "data": event.data,
        "operation": event.operation or None,
    }


def _print_events(
    told: queue.Queue[dict[str, Any] | None], sources: int, kinds: Iterable[str], *, changes: bool, as_json: bool
) -> None:
    wanted = set(kinds)
    while sources:
        try:
            found = told.get(timeout=0.5)
        except queue.Empty:
            continue
        if found is None:
            sources -= 1
            continue
        if (wanted and found["kind"] not in wanted) or (changes and found["operation"] == "Initialized"):
            continue
        state = {True: "yes", False: "no", None: "-"}[found["active"]]
        said = ", ".join(f"{name}={value}" for name, value in found["data"].items())
        what = found["kind"] or found["topic"]
        text = f"{found['at'] or '-':<20}  {found['camera']:<20}  {what:<16}  {state:<3}  {said}"
        row(found, as_json=as_json, text=text.rstrip())
        sys.stdout.flush()


COMMANDS: tuple[click.Command, ...] = (rotate_password, backup, restore, events)
"""What `edusense camera` has of these."""
