"""How a disk takes durable writes, and what that allows a terminal: the whole distribution, not one number.

A green light may be shown only when its record is on the disk, so a child waits as long as `fdatasync` takes. It is
measured as the ledger does it (128 bytes into zeroed space), beside appending to a file, and once more while clips are
recorded on the same disk.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edusense.bench.case import Fact, Measured, State
from edusense.bench.figure import Figure, quantile
from edusense.bench.machine import disk_of
from edusense.errors import BenchNotMeasuredError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["measure"]

_RECORD: Final = 128
_CHUNK: Final = 1 << 20
APPENDED: Final = "appended to a file"
_VOLATILE: Final = ("tmpfs", "ramfs", "devtmpfs", "zram")
_REMOTE: Final = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs")
_CAMERA_MB_S: Final = 0.5
"""What one camera of 4 Mbit/s writes."""


def measure(
    folder: str | os.PathLike[str] | None = None,
    *,
    writes: int = 300,
    recording_mb_s: float = 20.0,
    megabytes: int = 32,
) -> Measured:
    """Durable writes of 128 bytes: alone, and while clips are recorded beside them; then how fast it takes clips.

    Args:
        folder: on the disk; None: the folder for temporary files.
        writes: of each kind, at most; a slow disk has done enough after a few seconds.
        recording_mb_s: what is recorded meanwhile: 20 MB/s are forty cameras of 4 Mbit/s.
        megabytes: written to see how fast it takes them; 0 leaves that out.

    Raises:
        BenchNotMeasuredError: the folder cannot be written, or has too little room.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="edusense-bench-", dir=folder) as made:
            alone, appended = _writes(Path(made), writes)
            with _recording(Path(made), recording_mb_s):
                beside, _ = _writes(Path(made), writes, appending=False)
            rates = _throughput(Path(made), megabytes) if megabytes else ()
            disk = disk_of(Path(made))
    except OSError as error:
        where = folder if folder is not None else tempfile.gettempdir()
        raise BenchNotMeasuredError(
            f"`{where}` cannot be written: {error.strerror}", hint="name a folder on the disk that this user may write"
        ) from error
    figures = [
        Figure("a durable write", "µs", alone, APPENDED, appended, id="write"),
        Figure("99 of 100 durable writes within", "µs", alone, id="write-p99", statistic="p99"),
        Figure("99 of 100 within, while clips are recorded", "µs", beside, id="recording-p99", statistic="p99"),
        Figure(
            "meals a second, one terminal alone", "a second", (1e6 / quantile(alone, 0.5),), id="meals", better="more"
        ),
    ]
    if rates:
        figures.append(Figure("clips written through", "MB/s", rates, id="throughput", better="more"))
    return Measured(figures, facts=_facts(alone, beside, rates, recording_mb_s, disk["filesystem"]))


def _writes(
    folder: Path, count: int, *, appending: bool = True, limit_s: float = 4.0
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Microseconds of durable writes into zeroed space, and of appending ones, by turns."""
    zeroed, growing = folder / "zeroed", folder / "growing"
    with zeroed.open("wb+", buffering=0) as over, growing.open("wb+", buffering=0) as after:
        os.pwrite(over.fileno(), bytes(_RECORD * count), 0)
        os.fsync(over.fileno())
        taken: tuple[list[float], list[float]] = ([], [])
        end = time.perf_counter() + limit_s
        for index in range(count):
            record = index.to_bytes(_RECORD, "big")
            began = time.perf_counter_ns()
            os.pwrite(over.fileno(), record, index * _RECORD)
            os.fdatasync(over.fileno())
            taken[0].append((time.perf_counter_ns() - began) / 1000)
            if appending:
                began = time.perf_counter_ns()
                os.write(after.fileno(), record)
                os.fdatasync(after.fileno())
                taken[1].append((time.perf_counter_ns() - began) / 1000)
            if time.perf_counter() > end and index >= 20:
                break
    return tuple(taken[0]), tuple(taken[1])


@contextlib.contextmanager
def _recording(folder: Path, mb_s: float) -> Iterator[None]:
    """Writes as the recorder does: a megabyte after the other, written through once a second."""
    over = threading.Event()
    chunk = os.urandom(_CHUNK)

    def record() -> None:
        with (folder / "clips").open("wb", buffering=0) as file:
            began, written, synced = time.monotonic(), 0, time.monotonic()
            while not over.is_set():
                file.write(chunk)
                written += 1
                if time.monotonic() - synced > 1.0:
                    os.fdatasync(file.fileno())
                    synced = time.monotonic()
                if file.tell() >= 256 * _CHUNK:
                    file.seek(0)
                over.wait(max(0.0, began + written / mb_s - time.monotonic()))

    thread = threading.Thread(target=record)
    thread.start()
    try:
        time.sleep(0.2)
        yield
    finally:
        over.set()
        thread.join()


def _throughput(folder: Path, megabytes: int) -> tuple[float, ...]:
    """MB/s of 8 MB written through at a time."""
    chunk, found = os.urandom(_CHUNK), []
    with (folder / "through").open("wb", buffering=0) as file:
        for _ in range(max(1, megabytes // 8)):
            began = time.perf_counter()
            for _ in range(8):
                file.write(chunk)
            os.fdatasync(file.fileno())
            found.append(8 * _CHUNK / 1e6 / (time.perf_counter() - began))
    return tuple(found)


def _facts(
    alone: tuple[float, ...], beside: tuple[float, ...], rates: tuple[float, ...], mb_s: float, kind: str | None
) -> list[Fact]:
    median, p99, worst = (quantile(alone, share) for share in (0.5, 0.99, 1.0))
    told = f"99 of 100 lights within {_ms(p99)}, the slowest of {len(alone)} after {_ms(worst)}"
    found = [Fact("a terminal alone", told, *_judged(p99))]
    busy = quantile(beside, 0.99)
    found.append(
        Fact(f"while {mb_s:g} MB/s of clips are recorded", f"99 of 100 lights within {_ms(busy)}", *_judged(busy))
    )
    if rates:
        rate = quantile(rates, 0.5)
        found.append(Fact("clips", f"{rate:.0f} MB/s, as much as {rate / _CAMERA_MB_S:.0f} cameras of 4 Mbit/s send"))
    if kind in _VOLATILE:
        found.append(Fact("what it is", f"{kind}: memory", "fail", "meals would be gone with the power"))
    elif kind in _REMOTE:
        found.append(
            Fact("what it is", f"{kind}: another computer's disk", "warn", "put the ledger on a disk of this one")
        )
    if median < 100:
        words = "flash takes longer, so something answers before it is written: see `edusense bench power-cut`"
        found.append(Fact("honesty", f"half of the writes take under {_ms(median)}", "warn", words))
    else:
        found.append(Fact("honesty", "not measured on this disk", None, "`edusense bench power-cut` measures it"))
    return found


def _judged(p99_us: float) -> tuple[State, str]:
    if p99_us > 500_000:
        return "fail", "a child would wait half a second for the light: use an SSD, or a disk for the ledger alone"
    if p99_us > 100_000:
        return "warn", "now and then a child waits a tenth of a second: recordings belong on another disk"
    return "ok", ""


def _ms(us: float) -> str:
    return f"{us / 1000:.3g} ms"
