"""The doctor's look at disks: how long a durable write takes, whether it is one, and how much room is left."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edusense.cli.doctor.finding import Finding, fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edusense.site import Site

__all__ = ["durable_writes", "findings", "judge_writes", "room"]

_RECORD: Final = 128
_WRITES: Final = 400
_SECONDS: Final = 1.5
_VOLATILE: Final = ("tmpfs", "ramfs", "devtmpfs")
_REMOTE: Final = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs")
_LEDGER_BYTES: Final = 1_000_000_000
"""A school year of two terminals takes some 60 MB; the rest is for state, logs and peace of mind."""


def findings(site: Site | None) -> Iterator[Finding]:
    """The disk under the data folder, and the one under the clips.

    Args:
        site: the site, if there is one; otherwise the working folder is looked at.
    """
    data = Path.cwd() if site is None else site.data_folder()
    yield writes(data)
    yield room("free space", data, _LEDGER_BYTES, shutil.disk_usage)
    if site is not None:
        clips = site.recording_folder()
        kept = sum(file.stat().st_size for file in clips.rglob("*") if file.is_file()) if clips.is_dir() else 0
        needed = max(site.recording.budget_gb * 1_000_000_000 - kept, 0)
        yield room("free space for clips", clips, needed, shutil.disk_usage)


def writes(folder: Path) -> Finding:
    """Measures durable writes in `folder`, or in the nearest folder above it that is there already."""
    check = "disk"
    there = _nearest(folder)
    kind = file_system(there)
    try:
        taken = durable_writes(there)
    except OSError as error:
        return fail(
            check,
            f"`{there}` cannot be written: {error.strerror}",
            f"give this user the right: sudo chown $USER {there}",
        )
    return judge_writes(there, kind, taken)


def durable_writes(folder: Path, *, count: int = _WRITES, limit_s: float = _SECONDS) -> list[float]:
    """How long each of many durable 128-byte writes takes, as the ledger does them: into zeroed space, with fdatasync.

    Args:
        folder: where; a temporary file is made and removed.
        count: how many at most.
        limit_s: when to stop before that, in seconds.

    Returns:
        Seconds, in the order of writing.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    taken: list[float] = []
    with tempfile.TemporaryFile(dir=folder, prefix=".edusense-doctor-") as file:
        descriptor = file.fileno()
        os.pwrite(descriptor, bytes(_RECORD * count), 0)
        os.fsync(descriptor)
        end = time.perf_counter() + limit_s
        for index in range(count):
            start = time.perf_counter()
            os.pwrite(descriptor, index.to_bytes(_RECORD, "big"), index * _RECORD)
            os.fdatasync(descriptor)
            stop = time.perf_counter()
            taken.append(stop - start)
            if stop > end:
                break
    return taken


def judge_writes(folder: Path, kind: str, taken: Sequence[float]) -> Finding:
    """What measured writes allow a terminal.

    Args:
        folder: where they were.
        kind: the file system's type.
        taken: seconds of each.
    """
    check = "disk"
    ordered = sorted(taken)
    median, p99 = (ordered[min(int(len(ordered) * share), len(ordered) - 1)] for share in (0.5, 0.99))
    told = (
        f"fdatasync of {_RECORD} bytes in `{folder}` ({kind}): median {median * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms of "
        f"{len(ordered)}; a terminal alone can take {1 / max(median, 1e-9):,.0f} meals a second"
    )
    if kind in _VOLATILE:
        return fail(check, f"{told}; this is memory: meals would be gone with the power", "put `data` on a real disk")
    if kind in _REMOTE:
        return warn(check, f"{told}; this is another computer's disk", "put `data` on a disk of this machine")
    if p99 > 0.5:
        hint = "use an SSD, or give the ledger a disk of its own: recordings beside it make it wait"
        return fail(check, f"{told}; a child would wait {p99:.1f} s for the light", hint)
    if p99 > 0.1:
        hint = "recordings on another disk ([recording] data) leave this one to the ledger"
        return warn(check, f"{told}; now and then a child waits {p99 * 1e3:.0f} ms for the light", hint)
    if median < 20e-6:
        hint = "`edusense bench power-cut` and the disk's data sheet tell whether it keeps what it was given"
        return warn(check, f"{told}; no disk is that quick: something answers before it is written", hint)
    return ok(check, told)


def room(check: str, folder: Path, needed: int, usage: Callable[[Path], tuple[int, int, int]]) -> Finding:
    """Whether there is room left.

    Args:
        check: the row's name.
        folder: where; or the nearest folder above it that is there.
        needed: bytes.
        usage: total, used and free bytes of a disk.
    """
    there = _nearest(folder)
    free = usage(there)[2]
    told = f"{free / 1e9:,.1f} GB free at `{there}`"
    if free < needed:
        hint = "make room, name another disk, or lower [recording] budget_gb in the site file"
        state = fail if free < needed // 10 else warn
        return state(check, f"{told}, {needed / 1e9:,.1f} GB wanted", hint)
    return ok(check, told)


def file_system(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the file system that holds a folder: `ext4`; `?` where the system does not tell.

    Args:
        folder: an existing folder.
        mounts: the system's list (see proc_pid_mountinfo(5)).
    """
    try:
        device = folder.stat().st_dev
        lines = mounts.read_text().splitlines()
    except OSError:
        return "?"
    wanted = f"{os.major(device)}:{os.minor(device)}"
    best, kind = -1, "?"
    real = str(folder.resolve())
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        point = fields[4].replace("\\040", " ")
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        # btrfs and overlay give files another device number than their mount; then the longest path decides.
        weight = len(point) + (10_000 if fields[2] == wanted else 0)
        if inside and weight >= best:
            best, kind = weight, after.split()[0]
    return kind


def _nearest(folder: Path) -> Path:
    for candidate in (folder, *folder.parents):
        if candidate.is_dir():
            return candidate
    return Path("/")
