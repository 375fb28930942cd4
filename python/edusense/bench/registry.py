"""Every case there is: a table, so that listing them imports none of them.

To add one: write its work (`edusense.bench.case` says what that is) in a module of this package, and a line here. The
figures that it returns must be those that it promises; `tests/unit/test_bench_cases.py` holds that.
"""

from __future__ import annotations

from typing import Final

from edusense.bench.case import Case, Kind
from edusense.errors import BenchPlanError
from edusense.nearest import perhaps

__all__ = ["CASES", "find"]

CASES: Final[tuple[Case, ...]] = (
    Case(
        id="disk",
        what="durable writes of 128 bytes, alone and while clips are recorded, and what that allows a terminal",
        work="edusense.bench.disk:measure",
        figures=(
            Kind("write", "a durable write", "µs"),
            Kind("write-p99", "99 of 100 durable writes within", "µs", steady=False),
            Kind("recording-p99", "99 of 100 within, while clips are recorded", "µs", steady=False),
            Kind("meals", "meals a second, one terminal alone", "a second", "more", steady=False),
            Kind("throughput", "clips written through", "MB/s", "more"),
        ),
        needs="a folder on it that may be written",
        device="disk",
        rounds=10,
        seconds=2.0,
    ),
    Case(
        id="power-cut",
        what="whether this disk keeps what it was given when the power goes, from cuts that were made on it",
        work="edusense.bench.power_cut:measure",
        figures=(
            Kind("cuts", "power cuts", "cuts", "more", steady=False),
            Kind("broken", "cuts after which something was missing", "cuts", steady=False),
            Kind("greens", "green lights that the witness heard of", "lights", "more", steady=False),
        ),
        needs="cuts made before, by `edusense bench power-cut`: they take a plug and a second machine",
        device="disk",
        rounds=1,
        seconds=0.5,
        once=True,
    ),
    Case(
        id="meal",
        what="one durable meal: checked, chained and on the disk, beside a bare fdatasync and SQLite",
        work="edusense.bench.meals:measure",
        figures=(Kind("one-durable-meal", "one durable meal", "µs"),),
        needs="a disk to write to",
        device="disk",
        rounds=10,
        seconds=1.0,
        run={"runs": 300, "warm_up": 30},
    ),
    Case(
        id="meals-at-once",
        what="terminals that all record at once, each meal on the disk before its light, beside SQLite",
        work="edusense.bench.ledger:at_once",
        figures=(
            Kind("rate", "durable meals of all terminals", "a second", "more"),
            Kind("p99", "99 of 100 of these meals within", "µs", steady=False),
        ),
        needs="a disk to write to",
        device="disk",
        rounds=7,
        seconds=2.0,
    ),
    Case(
        id="meals-batches",
        what="durable batches of 8,192 records from NumPy, beside SQLite's thousands",
        work="edusense.bench.ledger:batches",
        figures=(Kind("rate", "records in durable batches", "a second", "more"),),
        needs="a disk to write to",
        device="disk",
        rounds=7,
        seconds=1.0,
    ),
    Case(
        id="meals-recovery",
        what="opening and verifying a ledger that a crash left behind",
        work="edusense.bench.ledger:recovery",
        figures=(
            Kind("open", "opening the ledger", "ms"),
            Kind("verify", "records verified", "a second", "more"),
        ),
        needs="a disk to write to",
        device="disk",
        peers=("sha256sum",),
        rounds=5,
        seconds=4.0,
    ),
    Case(
        id="meals-opening",
        what="opening a ledger of a million records for writing: how long it takes, and its memory beyond the index",
        work="edusense.bench.ledger:opening",
        figures=(
            Kind("open", "opening the ledger", "ms"),
            Kind("memory", "memory beyond the index's 24 bytes a meal", "MB"),
        ),
        needs="a disk to write to",
        device="disk",
        rounds=3,
        seconds=8.0,
    ),
    Case(
        id="meals-sealing",
        what="sealing a ledger's full segments, and verifying it by its seals",
        work="edusense.bench.ledger:opening",
        figures=(
            Kind("open", "opening the ledger", "ms"),
            Kind("memory", "memory beyond the index's 24 bytes a meal", "MB"),
            Kind("seal", "records sealed", "a second", "more"),
            Kind("verify-sealed", "sealed records verified", "a second", "more"),
        ),
        needs="a disk to write to",
        device="disk",
        rounds=3,
        seconds=5.0,
        run={"records": 200_000, "sealed": True},
    ),
    Case(
        id="meals-tap",
        what="from a reader's last byte to the green light, the meal on the disk, over a real pseudo-terminal",
        work="edusense.bench.tap:measure",
        figures=(
            Kind("green", "from the last byte to green", "µs"),
            Kind("green-p99", "99 of 100 are green within", "µs", steady=False),
            Kind("beyond-disk-p99", "that beyond the disk's own", "µs", steady=False),
        ),
        needs="the drivers, and a disk to write to",
        device="disk",
        rounds=5,
        seconds=6.0,
    ),
    Case(
        id="reader-latency",
        what="from a card's last byte to the tap in our hands, over a real pseudo-terminal",
        work="edusense.bench.reader_latency:measure",
        figures=(
            Kind("tap", "from the last byte to the tap", "µs"),
            Kind("tap-p99", "99 of 100 taps within", "µs", steady=False),
            Kind("idle", "readers on which nobody taps", "% of a core", steady=False),
        ),
        needs="the drivers",
        rounds=7,
        seconds=2.5,
    ),
    Case(
        id="reader-frames",
        what="frames of serial readers that a core can take, over a real pseudo-terminal, beside a loop of pyserial",
        work="edusense.bench.reader_frames:measure",
        figures=(
            Kind("tags", "taps of RDM6300 frames", "a core-second", "more"),
            Kind("held", "frames of a card that lies there", "a core-second", "more"),
            Kind("lines", "taps of IronLogic lines", "a core-second", "more"),
        ),
        needs="the drivers",
        peers=("pyserial",),
        rounds=7,
        seconds=2.5,
    ),
    Case(
        id="reader",
        what="a reader's data sheet: taps, repeats, gaps, bad frames, times to the tap and to the light",
        work="edusense.bench.reader:measure",
        figures=(
            Kind("tap", "from the last byte to the tap", "ms", steady=False),
            Kind("bad-frames", "bad frames", "a hundred frames", steady=False),
            Kind("light", "from the verdict to the light", "ms", steady=False),
            Kind("gap", "between reads of a card that lies there", "ms", "neither", steady=False),
        ),
        needs="a reader, and somebody who lays cards on it",
        device="reader",
        rounds=1,
        seconds=30.0,
        once=True,
        attended=True,
        deadline_s=1200.0,
    ),
    Case(
        id="camera",
        what="a camera's data sheet: its stream, its noise, its clock, how it behaves when it is called",
        work="edusense.bench.camera:measure",
        figures=(
            Kind("first-picture", "from the call to the first picture", "s", steady=False),
            Kind("rate", "pictures a second", "a second", "neither", steady=False),
            Kind("jitter", "pictures late by (99 of 100)", "ms", steady=False),
            Kind("missing", "pictures missing", "a thousand", steady=False),
            Kind("bitrate", "bit rate", "kbit/s", "neither", steady=False),
            Kind("gop", "between key pictures", "s", "neither", steady=False),
            Kind("noise", "noise N: bits a macroblock of a quiet picture", "bit", steady=False),
            Kind("onvif", "an ONVIF answer", "ms", steady=False),
            Kind("snapshot", "a still picture", "ms", steady=False),
        ),
        needs="a camera",
        device="camera",
        rounds=1,
        seconds=110.0,
        once=True,
        deadline_s=7200.0,
    ),
    Case(
        id="ingest",
        what="receiving virtual cameras without looking, beside a bare loop of the same RTSP library",
        work="edusense.bench.ingest:measure",
        figures=(
            Kind("cpu", "CPU of receiving a camera", "ms CPU per camera-second"),
            Kind("memory", "memory without the pictures kept", "MB per camera"),
            Kind("kept", "compressed pictures kept", "MB per camera", "neither"),
            Kind("pictures", "pictures received", "a second and camera", "more"),
        ),
        needs="for the comparison the example `bare_retina` of the Rust half, built from the source tree",
        rounds=3,
        seconds=60.0,
        run={"cameras": 40, "seconds": 10.0, "runs": 2},
    ),
    Case(
        id="cameras-held",
        what="cameras like these that this machine watches before anything is left out, and what each takes",
        work="edusense.bench.held:measure",
        figures=(
            Kind("held", "cameras held before anything is left out", "cameras", "more", steady=False),
            Kind("cpu", "CPU of a camera that is held", "ms CPU per camera-second", steady=False),
            Kind("memory", "memory of a camera that is held", "MB per camera", steady=False),
        ),
        rounds=1,
        seconds=150.0,
        run={"most": 40, "seconds": 6.0},
        once=True,
        deadline_s=3600.0,
    ),
    Case(
        id="virtual-cameras",
        what="serving virtual cameras at 1080p25, which must not disturb what is measured with them",
        work="edusense.bench.sim_load:measure",
        figures=(
            Kind("cpu", "CPU of serving a virtual camera", "ms CPU per camera-second"),
            Kind("received", "received by each client", "kbit/s per camera", "neither"),
        ),
        rounds=3,
        seconds=25.0,
        run={"seconds": 10.0, "runs": 2},
    ),
    Case(
        id="gate",
        what="deciding without decoding: an access unit of 1080p read and held against earlier ones",
        work="edusense.bench.motion:gate",
        figures=(Kind("gate", "an access unit through the gate", "µs CPU"),),
        rounds=10,
        seconds=2.0,
    ),
    Case(
        id="decode",
        what="a key picture of 1080p from bytes to luma, by codec, beside FFmpeg and Pillow",
        work="edusense.bench.decode:measure",
        figures=(
            Kind("h264-cabac", "H.264 key picture (CABAC)", "ms CPU"),
            Kind("h264-cavlc", "H.264 key picture (CAVLC)", "ms CPU"),
            Kind("jpeg", "JPEG to 1/8", "ms CPU"),
            Kind("h265", "H.265 key picture (by FFmpeg)", "ms CPU"),
        ),
        rounds=10,
        seconds=4.0,
    ),
    Case(
        id="motion",
        what="the motion step on one picture, from luma to regions, beside a running mean and OpenCV's MOG2",
        work="edusense.bench.motion:look",
        figures=(
            Kind("look-d1", "a look at 704×576", "µs CPU"),
            Kind("look-1080p", "a look at 1920×1080", "µs CPU"),
        ),
        peers=("opencv",),
        rounds=10,
        seconds=2.5,
    ),
    Case(
        id="fleet-audit",
        what="every setting of every camera read and held against its template, beside onvif-zeep by hand",
        work="edusense.bench.fleet:measure",
        figures=(
            Kind("wall", "an audit of all", "s", steady=False),
            Kind("cpu", "CPU of auditing a camera", "ms CPU"),
        ),
        needs="the drivers",
        peers=("onvif-zeep",),
        rounds=5,
        seconds=5.0,
    ),
    Case(
        id="restart",
        what="killed in the middle of its work and started again: how long a school is without its box",
        work="edusense.bench.restart:measure",
        figures=(
            Kind("terminals", "terminals take cards again", "s"),
            Kind("first-camera", "the first camera is watched again", "s"),
            Kind("all-cameras", "all cameras are watched again", "s"),
        ),
        needs="the drivers",
        rounds=3,
        seconds=25.0,
    ),
    Case(
        id="alert-delay",
        what="somebody enters a forbidden zone: until the operations centre has the still, live on 12 virtual cameras",
        work="edusense.bench.alerts:delay",
        figures=(
            Kind("still", "from the first moving picture to the still at the centre", "s", steady=False),
            Kind("still-p95", "19 of 20 stills are there within", "s", steady=False),
        ),
        needs="the drivers",
        rounds=1,
        seconds=80.0,
        run={"seconds": 45.0, "quiet_s": 15.0},
        deadline_s=600.0,
    ),
    Case(
        id="alerts-at-once",
        what="a hundred alerts in one moment at 4 Mbit/s: until the last still is at the centre, the gravest first",
        work="edusense.bench.alerts:at_once",
        figures=(
            Kind("last", "the last of all stills at the centre after", "s"),
            Kind("gravest", "the last of the gravest after", "s"),
        ),
        needs="the drivers",
        rounds=1,
        seconds=25.0,
    ),
    Case(
        id="alerts-idle",
        what="what a hundred zones and a centre cost a box while nothing happens",
        work="edusense.bench.alerts:idle",
        figures=(
            Kind("idle", "the alert path, idle", "% of a core", steady=False),
            Kind("box", "the whole box beside it, without", "% of a core", steady=False),
        ),
        needs="the drivers",
        rounds=1,
        seconds=85.0,
    ),
    Case(
        id="command-line",
        what="starting the command line, beside an empty Python",
        work="edusense.bench.start:measure",
        figures=(Kind("help", "edusense --help", "ms CPU"),),
        rounds=10,
        seconds=1.0,
        run={"runs": 5},
    ),
)
"""In the order in which reports show them."""


def find(name: str) -> Case:
    """The case of that id.

    Args:
        name: as in a plan.

    Raises:
        BenchPlanError: there is none; the hint names the nearest.

    >>> find("meal").device
    'disk'
    """
    case = next((case for case in CASES if case.id == name), None)
    if case is None:
        known = [case.id for case in CASES]
        raise BenchPlanError(f"there is no case `{name}`", hint=perhaps(name, known) or f"there are {', '.join(known)}")
    return case
