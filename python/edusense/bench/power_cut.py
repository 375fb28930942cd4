"""Whether a disk keeps what it was given when the power goes: the box's half, the witness's, and the comparison.

The box records meals at full rate and tells a second machine of each green light: the record's position in the ledger
and its hash. The plug is pulled. After the start every green light that the witness heard of must be in the ledger,
with that hash; the ledger's chain then vouches for all before it. A message that is lost on the way proves less, and
never raises a false alarm.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import socket
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from edusense.bench.case import Fact, Measured
from edusense.bench.figure import Figure
from edusense.bench.machine import disk_of
from edusense.bench.power_cut_line import Green, Witness, open_serial, open_witness, place_of
from edusense.errors import BenchError, BenchNotMeasuredError, EdusenseError
from edusense.meals import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Cut", "Green", "Heard", "Witness", "check", "listen", "measure", "note", "open_witness", "serve_meals"]

_STARTS: Final = "starts.jsonl"
RESULTS: Final = "power-cuts.jsonl"
"""What came of each cut, beside the ledger that was tried."""

_SLOT: Final = b"power-cut"
_SCHOOL: Final = 99_999
_PROBLEMS: Final = 5
"""Problems that a cut names; a disk that lies makes hundreds."""
SILENT_S: Final = 2.0
"""A box that says nothing for so long has lost its power."""


# ---- the box


def serve_meals(
    folder: Path,
    witness: Witness,
    *,
    terminals: int = 4,
    seconds: float | None = None,
    say: Callable[[int, float], None] = lambda *_: None,
) -> int:
    """Records meals at full rate until the power goes, and tells the witness of each green light.

    Args:
        folder: on the disk that is tried; the ledger is made in it, or gone on with.
        witness: told of each light.
        terminals: how many record at once.
        seconds: for so long; None: until the power goes.
        say: meals so far and seconds since the start, once a second.

    Returns:
        How many meals were recorded.
    """
    run = secrets.token_hex(4)
    over = threading.Event()
    counts = [0] * terminals
    failed: list[BaseException] = []
    with Ledger.open(folder / "ledger", school=_SCHOOL) as ledger:
        _note_start(folder, run)
        # Children that nobody has yet: those of earlier runs hold their meals.
        first = len(ledger) + 1

        def terminal(number: int) -> None:
            row = Ledger.blank(1)
            row["terminal"], row["slot"], row["price"] = number + 1, _SLOT, 45_000
            row["day"] = int(time.strftime("%Y%m%d"))
            pupil = first + number
            try:
                while not over.is_set():
                    row["pupil"], row["time"] = pupil, time.time_ns() // 1000
                    pupil += terminals
                    receipt = ledger.receipts(row)
                    if receipt.status[0] != 0:
                        continue  # a child of an earlier run whose record was cut off later than ours
                    position = int(receipt.position[0])
                    witness.tell(Green(run, position, _digest(ledger, position)))
                    counts[number] += 1
            except BaseException as error:  # noqa: BLE001 - raised again below, where somebody hears it
                failed.append(error)
                over.set()

        threads = [threading.Thread(target=terminal, args=(number,), daemon=True) for number in range(terminals)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        try:
            while not over.wait(1.0):
                passed = time.monotonic() - began
                say(sum(counts), passed)
                if seconds is not None and passed >= seconds:
                    break
        finally:
            over.set()
            for thread in threads:
                thread.join()
    if failed:
        raise failed[0]
    return sum(counts)


def _digest(ledger: Ledger, position: int) -> str:
    return hashlib.sha256(ledger.records(position, position + 1).tobytes()).hexdigest()[:16]


# ---- the witness


@dataclass
class Heard:
    """What the witness has heard of one start of the box.

    Attributes:
        run: of the box.
        greens: how many lights it heard of.
        kept: those that are written down: of many only some, and always the last.
        first_s: when the first came, Unix seconds.
        last_s: when the last came.
    """

    run: str
    greens: int = 0
    kept: list[Green] = field(default_factory=list)
    first_s: float = 0.0
    last_s: float = 0.0

    def hear(self, green: Green, now_s: float) -> None:
        """Takes a light; of many only some are kept, and the highest always."""
        self.greens += 1
        self.first_s = self.first_s or now_s
        self.last_s = now_s
        if self.kept and green.position < self.kept[-1].position:
            return
        # The last stays at the end; the more there were before it, the fewer of them are kept.
        if len(self.kept) > 1 and self.greens % max(1, self.greens // 256):
            self.kept[-1] = green
        else:
            self.kept.append(green)

    def to_json(self) -> dict[str, Any]:
        """A line of the witness's list."""
        return {
            "run": self.run,
            "greens": self.greens,
            "first_s": round(self.first_s, 3),
            "last_s": round(self.last_s, 3),
            "kept": [[green.position, green.digest] for green in self.kept],
        }


def listen(
    address: str,
    out: Path,
    *,
    stop: Callable[[], bool] = lambda: False,
    say: Callable[[str, Heard], None] = lambda *_: None,
) -> None:
    """Hears of green lights and writes them down, until it is stopped.

    Args:
        address: `HOST:PORT` to listen on, or a serial port.
        out: the list; made anew at each change, so that it is whole at any time.
        stop: asked several times a second.
        say: what happened, `begun`, `going` or `silent`, and to which start of the box.
    """
    runs = _read_list(out) if out.exists() else {}
    for heard in runs.values():
        say("known", heard)
    last: Heard | None = None
    told = 0.0
    with _lines(address) as lines:
        for line in lines:
            now_s = time.time()
            green = Green.parse(line) if line else None
            if green is not None:
                if green.run not in runs:
                    runs[green.run] = Heard(green.run)
                    say("begun", runs[green.run])
                last = runs[green.run]
                last.hear(green, now_s)
                if now_s - told >= 1.0:
                    told = now_s
                    say("going", last)
                    _write_list(out, runs.values())
            elif last is not None and now_s - last.last_s > SILENT_S:
                _write_list(out, runs.values())
                say("silent", last)
                last = None
            if stop():
                break
    _write_list(out, runs.values())


@contextlib.contextmanager
def _lines(address: str) -> Iterator[Iterator[bytes]]:
    """Lines as they come, and an empty one several times a second while none comes."""
    found = place_of(address)
    try:
        if len(found) == 2:
            info = socket.getaddrinfo(found[0], found[1], type=socket.SOCK_DGRAM)[0]
            receiver = socket.socket(info[0], socket.SOCK_DGRAM)
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            receiver.bind(info[4])
            receiver.settimeout(0.2)
            with receiver:
                yield _datagrams(receiver)
        else:
            descriptor = open_serial(found[0], found[2], os.O_RDONLY)
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                yield _serial_lines(file)
    except OSError as error:
        raise BenchError(f"`{address}` cannot be listened on: {error.strerror or error}") from error


def _datagrams(receiver: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            yield receiver.recv(256)
        except TimeoutError:
            yield b""


def _serial_lines(file: IO[bytes]) -> Iterator[bytes]:
    import select

    rest = b""
    while True:
        ready, _, _ = select.select([file], [], [], 0.2)
        if not ready:
            yield b""
            continue
        *whole, rest = (rest + file.read(4096)).split(b"\n")
        yield from whole
        rest = rest[-256:]


def _write_list(out: Path, runs: Iterable[Heard]) -> None:
    partial = out.with_name(f".{out.name}.part")
    with partial.open("w", encoding="utf-8") as file:
        for heard in runs:
            file.write(json.dumps(heard.to_json()) + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(out)


def _read_list(path: Path) -> dict[str, Heard]:
    found = {}
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            kept = [Green(row["run"], position, digest) for position, digest in row["kept"]]
            found[row["run"]] = Heard(row["run"], row["greens"], kept, row["first_s"], row["last_s"])
    except OSError as error:
        raise BenchError(f"`{path}` cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BenchError(f"`{path}` is no list of a witness", hint="the witness's `--out`") from error
    return found


# ---- after the start


@dataclass(frozen=True)
class Cut:
    """What came of a cut.

    Args:
        at_s: when it was checked, Unix seconds.
        starts: starts of the box that really ended with the machine's power: it has been started again since.
        greens: lights that the witness heard of.
        checked: how many of them were looked up.
        lost: how many of those are not in the ledger.
        altered: how many are there with other content.
        doubled: meals that the ledger holds twice.
        records: in the ledger.
        torn: records that were being written when the power went: never confirmed, and cut off.
        problems: what `meals verify` found.
        usable: the ledger takes meals again.
    """

    at_s: float
    starts: tuple[str, ...]
    greens: int
    checked: int
    lost: int
    altered: int
    doubled: int
    records: int
    torn: int
    problems: tuple[str, ...]
    usable: bool

    @property
    def kept(self) -> bool:
        """Whether the disk and the ledger kept their word."""
        return not (self.lost or self.altered or self.doubled or self.problems) and self.usable

    def to_json(self) -> dict[str, Any]:
        """The cut as a row."""
        return {**asdict(self), "starts": list(self.starts), "problems": list(self.problems), "kept": self.kept}


def check(folder: Path, heard: Path | Iterable[Heard]) -> Cut:
    """Holds the ledger against the witness's list.

    Args:
        folder: as the box had it.
        heard: the list, or its file.
    """
    runs = list(_read_list(heard).values()) if isinstance(heard, Path) else list(heard)
    greens = [green for one in runs for green in one.kept]
    boots = _starts(folder)
    problems = [
        f"`{folder}` knows no start {one.run}: the list is of another folder, or the disk has lost it"
        for one in runs
        if one.run not in boots
    ]
    lost = altered = doubled = torn = records = 0
    usable = False
    path = folder / "ledger"
    try:
        reading = Ledger.open(path, read_only=True)
        verified = reading.verify()
        records = verified.records
        problems += [f"{problem.what}: record {problem.record} in {problem.segment}" for problem in verified.problems]
        if verified.torn_tail is not None:
            torn = verified.torn_tail.count
            if verified.torn_tail.confirmed:
                problems.append(f"record {verified.torn_tail.record} was confirmed by the disk, and is torn")
        for green in greens:
            if green.position >= records:
                lost += 1
            elif _digest(reading, green.position) != green.digest:
                altered += 1
        doubled = _doubled(reading, records)
        with Ledger.open(path, school=_SCHOOL) as ledger:
            row = Ledger.blank(1)
            row["terminal"], row["slot"], row["day"] = 1, _SLOT, 19_700_101
            row["pupil"], row["time"] = len(ledger) + 1, time.time_ns() // 1000
            usable = bool(ledger.append(row)[0] == 0)
    except EdusenseError as error:
        problems.append(str(error))
        lost = lost or (len(greens) if not records else 0)
    return Cut(
        at_s=round(time.time(), 1),
        # After the others the machine was not started again: only the process was lost.
        starts=tuple(one.run for one in runs if boots.get(one.run, _boot()) != _boot()),
        greens=sum(one.greens for one in runs),
        checked=len(greens),
        lost=lost,
        altered=altered,
        doubled=doubled,
        records=records,
        torn=torn,
        problems=tuple(problems if len(problems) <= _PROBLEMS else [*problems[:_PROBLEMS], f"{len(problems)} in all"]),
        usable=usable,
    )


def _boot() -> str:
    """What the kernel draws anew at each start of the machine; empty where it does not."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _note_start(folder: Path, run: str) -> None:
    """Writes down in which start of the machine this start of the box was."""
    with (folder / _STARTS).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"run": run, "boot": _boot()}) + "\n")
        file.flush()
        os.fsync(file.fileno())
    names = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(names)
    finally:
        os.close(names)


def _starts(folder: Path) -> dict[str, str]:
    """Starts of the box in this folder, each with the start of the machine that it was in."""
    boots = {}
    with contextlib.suppress(OSError, ValueError, KeyError):
        for line in (folder / _STARTS).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            boots[row["run"]] = row["boot"]
    return boots


def note(folder: Path, cut: Cut) -> Path:
    """Writes what came of a cut beside the ledger, where the case `power-cut` of a report finds it.

    Args:
        folder: as the box had it.
        cut: what came of it.
    """
    path = folder / RESULTS
    disk = disk_of(folder)
    with path.open("a", encoding="utf-8") as file:
        about = {name: disk.get(name) for name in ("device", "model", "filesystem", "options", "cache")}
        file.write(json.dumps({**cut.to_json(), "disk": about}) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return path


def measure(folder: str | os.PathLike[str] | None = None) -> Measured:
    """What the power cuts that were made on this disk came to. It makes none: that takes a plug and a second machine.

    Args:
        folder: where `bench power-cut` was run.

    Raises:
        BenchNotMeasuredError: none was made on this disk.
    """
    hint = "`edusense bench power-cut` with a second machine and a plug: docs/guide/power-cut.md"
    path = Path(folder or ".") / RESULTS
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        real = [row for row in rows if row["starts"]]
        broken = {start for row in real if not row["kept"] for start in row["starts"]}
        starts = {start for row in real for start in row["starts"]}
        greens = max((row["greens"] for row in real), default=0)
    except FileNotFoundError:
        raise BenchNotMeasuredError("not measured on this disk", hint=hint) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchNotMeasuredError(f"`{path}` cannot be read: {error}", hint=hint) from None
    if not real:
        said = "not measured on this disk: its process was ended, and the power never went"
        raise BenchNotMeasuredError(said, hint=hint)
    whole = len(starts) - len(broken)
    facts = [Fact("power cuts", f"{len(starts)}, {whole} of them without any loss", "fail" if broken else "ok")]
    facts += [Fact(f"checked at {row['at_s']:.0f}", _told(row), "fail") for row in real if not row["kept"]][:5]
    return Measured(
        [
            Figure("power cuts", "cuts", (float(len(starts)),), id="cuts", better="more"),
            Figure("cuts after which something was missing", "cuts", (float(len(broken)),), id="broken"),
            Figure("green lights that the witness heard of", "lights", (float(greens),), id="greens", better="more"),
        ],
        facts=facts,
    )


def _told(row: dict[str, Any]) -> str:
    parts = [f"{row[name]} {name}" for name in ("lost", "altered", "doubled") if row[name]]
    return "; ".join([*parts, *row["problems"]]) or "the ledger takes no meals"


def _doubled(ledger: Ledger, records: int) -> int:
    """Meals of one child, day and slot that are there twice."""
    twice, step = 0, 1 << 16
    seen: list[Any] = []
    for first in range(0, records, step):
        rows = ledger.records(first, min(records, first + step))
        meals = rows[rows["kind"] == Ledger.KIND_MEAL]
        seen.append(np.stack([meals["pupil"].astype(np.int64), meals["day"].astype(np.int64)], axis=1))
    if seen:
        every = np.concatenate(seen)
        twice = len(every) - len(np.unique(every, axis=0))
    return int(twice)
