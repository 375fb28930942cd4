"""The doctor's look at the system: the site file, clock, time zones, limits, processors, memory."""

from __future__ import annotations

import datetime
import os
import platform
import resource
import zoneinfo
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edusense.cli.doctor.finding import Finding, fail, ok, warn
from edusense.devices.system_clock import kernel_clock, service_says_synchronised
from edusense.errors import SiteError, SiteFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edusense.site import Site

__all__ = ["clock", "findings", "memory", "open_files", "processors", "site", "time_zone"]

_OLDEST: Final = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
_FILES: Final = 256
_FILES_A_CAMERA: Final = 6
"""Sockets of two streams and of ONVIF, and the files of clips being written."""
_MEMORY: Final = 400_000_000
_MEMORY_A_CAMERA: Final = 6_000_000
"""Two streams' last groups of pictures in memory, and the camera's state."""


def site(path: str) -> tuple[Site | None, Finding]:
    """Loads the site file, if there is one.

    Args:
        path: as `--site` has it.
    """
    from edusense.site import Site

    try:
        found = Site.load(path)
    except SiteFileError as error:
        if Path(path).exists():
            return None, fail("site", str(error), error.hint or f"edusense site check {path}")
        return None, ok("site", f"no site file `{path}`: the machine is looked at without a school")
    except SiteError as error:
        return None, fail(
            "site",
            f"{error}{f' (and {len(error.others)} more)' if error.others else ''}",
            f"edusense site check {path}",
        )
    return found, ok(
        "site", f"{path}: school `{found.site.id}`; cameras: {len(found.cameras)}, terminals: {len(found.terminals)}"
    )


def findings(found: Site | None) -> Iterator[Finding]:
    """All of this file but the site.

    Args:
        found: the site, if there is one.
    """
    cameras = 0 if found is None else len(found.cameras)
    yield clock(datetime.datetime.now(datetime.UTC), kernel_clock(), service_says_synchronised())
    yield time_zone("Asia/Almaty" if found is None else found.site.timezone)
    yield open_files(*resource.getrlimit(resource.RLIMIT_NOFILE), cameras)
    yield processors(len(os.sched_getaffinity(0)))
    total, available = _memory()
    yield memory(total, available, cameras)


def clock(now: datetime.datetime, kernel: tuple[bool, float] | None, service: bool) -> Finding:
    """Whether the clock is right, as far as this machine can tell by itself.

    Args:
        now: what it shows.
        kernel: whether the kernel holds the clock for synchronised, and the largest error it counts with, in seconds;
            None where it does not tell.
        service: whether systemd-timesyncd says that it has synchronised.
    """
    told = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    hint = "timedatectl set-ntp true, or install chrony; a box without internet takes the time of its hub or router"
    if now < _OLDEST:
        return fail("clock", f"{told} cannot be: the clock was never set, or its battery is empty", hint)
    if kernel is not None and kernel[0]:
        return ok("clock", f"{told}, synchronised; the kernel counts with at most {kernel[1]:.3f} s of error")
    if service:
        return ok("clock", f"{told}, synchronised by systemd-timesyncd")
    return warn("clock", f"{told}, and nothing on this machine keeps it right", hint)


def time_zone(name: str) -> Finding:
    """Whether this computer knows the school's time zone, as it has been since Kazakhstan became one zone.

    Args:
        name: IANA name.
    """
    check, hint = "time zone", "apt-get install --only-upgrade tzdata, or pip install --upgrade tzdata"
    try:
        zone = zoneinfo.ZoneInfo(name)
        almaty = zoneinfo.ZoneInfo("Asia/Almaty")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return fail(check, f"there is no data of `{name}`", "apt-get install tzdata")
    # Since 1 March 2024 the whole country is at UTC+5; data from before has Almaty an hour ahead.
    if almaty.utcoffset(datetime.datetime(2024, 3, 2, 12)) != datetime.timedelta(hours=5):  # noqa: DTZ001 - local by meaning
        return fail(
            check, "the time zone data is older than March 2024: Kazakhstan's clocks would be an hour off", hint
        )
    local = datetime.datetime.now(zone)
    return ok(check, f"{name}: it is {local:%H:%M} there (UTC{local:%z}); data knows of Kazakhstan's change of 2024")


def open_files(soft: int, hard: int, cameras: int) -> Finding:
    """Whether as many files and sockets may be open as the cameras need.

    Args:
        soft: the limit now.
        hard: what it may be raised to.
        cameras: how many cameras the site has.
    """
    needed = _FILES + _FILES_A_CAMERA * cameras
    told = f"{soft if soft >= 0 else 'any number'} may be open, {needed} are needed for {cameras} cameras"
    if soft < 0 or soft >= needed:
        return ok("open files", told)
    hint = f"ulimit -n {needed}; for the service: LimitNOFILE={max(needed, 4096)} in its unit file"
    return warn("open files", told, hint) if hard < 0 or hard >= needed else fail("open files", told, hint)


def processors(count: int) -> Finding:
    """Whether there are processors enough: a box has two."""
    told = f"{count} for this process, {platform.machine()}"
    if count < 2:
        return warn("processors", told, "180 cameras take two; with one, plan for half of them")
    return ok("processors", told)


def _memory() -> tuple[int, int]:
    sizes = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        sizes[name] = int(rest.split()[0]) * 1024
    return sizes["MemTotal"], sizes.get("MemAvailable", sizes["MemFree"])


def memory(total: int, available: int, cameras: int) -> Finding:
    """Whether there is memory enough for the cameras.

    Args:
        total: bytes.
        available: bytes that programs can still get.
        cameras: how many cameras the site has.
    """
    needed = _MEMORY + _MEMORY_A_CAMERA * cameras
    told = (
        f"{available / 1e9:.1f} of {total / 1e9:.1f} GB available, {needed / 1e9:.1f} GB needed for {cameras} cameras"
    )
    if available >= needed:
        return ok("memory", told)
    hint = "stop what else runs here, or give the machine more memory"
    return fail("memory", told, hint) if total < needed else warn("memory", told, hint)
