"""Power cuts: what the witness hears, what the comparison finds, and a disk that loses what was not synced."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.bench import power_cut
from edusense.bench.disk_model import Call, Disk, read_trace, sent
from edusense.bench.power_cut import Green, Heard, check, listen, measure, note, open_witness, serve_meals
from edusense.bench.power_cut_rehearsal import rehearse
from edusense.errors import BenchError, BenchNotMeasuredError, UsageError


@given(st.integers(0, 2**40), st.text("0123456789abcdef", min_size=8, max_size=8))
def test_a_light_survives_the_wire_and_no_damage_does(position: int, run: str):
    green = Green(run, position, "00112233aabbccdd")
    line = green.encode()
    assert Green.parse(line) == green
    for place in range(len(line) - 1):
        broken = line[:place] + bytes([line[place] ^ 1]) + line[place + 1 :]
        assert Green.parse(broken) != green
        assert Green.parse(line[:place]) is None


def test_garbage_is_no_light():
    for line in (b"", b"\n", b"\xff\xfe", b"edusense-green 1", b"a b c d e f", b"edusense-green 1 x -3 y 0000"):
        assert Green.parse(line) is None


@contextlib.contextmanager
def witness(address: str, out: Path) -> Iterator[list[str]]:
    """A witness in a thread; what it says."""
    said: list[str] = []
    over = threading.Event()
    thread = threading.Thread(
        target=listen, args=(address, out), kwargs={"stop": over.is_set, "say": lambda what, heard: said.append(what)}
    )
    thread.start()
    try:
        yield said
    finally:
        over.set()
        thread.join()


def free_port() -> int:
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until(what: object, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def box(folder: Path, address: str, seconds: float = 1.0) -> int:
    folder.mkdir(exist_ok=True)
    told = open_witness(address)
    try:
        return serve_meals(folder, told, terminals=2, seconds=seconds)
    finally:
        told.close()


def test_box_and_witness_over_udp_and_nothing_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(power_cut, "SILENT_S", 0.3)
    address = f"127.0.0.1:{free_port()}"
    out = tmp_path / "list"
    with witness(address, out) as said:
        meals = box(tmp_path / "cut", address)
        until(lambda: "silent" in said)
    assert said[0] == "begun"
    assert meals > 10
    found = check(tmp_path / "cut", out)
    assert found.kept, found
    assert found.checked > 1
    assert found.greens <= meals
    assert found.starts == ()


def test_over_a_serial_line_the_newest_light_vouches_for_all_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(power_cut, "SILENT_S", 0.3)
    master, slave = os.openpty()
    tty.setraw(master)
    tty.setraw(slave)
    wire = os.ttyname(slave)
    other_master, other_slave = os.openpty()
    tty.setraw(other_slave)
    over = threading.Event()

    def copy() -> None:  # the cable between the two machines
        while not over.is_set():
            with contextlib.suppress(OSError):
                os.write(other_master, os.read(master, 4096))

    thread = threading.Thread(target=copy, daemon=True)
    thread.start()
    out = tmp_path / "list"
    with witness(f"{os.ttyname(other_slave)}?baud=115200", out) as said:
        box(tmp_path / "cut", wire)
        until(lambda: "silent" in said)
    over.set()
    found = check(tmp_path / "cut", out)
    assert found.kept, found
    assert found.checked >= 1


@pytest.mark.parametrize("address", ["nowhere", "host:", "host:99999", "/dev/ttyX?baud=7", "/dev/ttyX?speed=9600"])
def test_an_address_that_is_no_witness_is_said_so(address: str):
    with pytest.raises(UsageError):
        open_witness(address)


def test_a_witness_that_cannot_be_reached_is_said_so(tmp_path: Path):
    with pytest.raises(BenchError, match="cannot be reached"):
        open_witness("/dev/there-is-no-such-port")
    with pytest.raises(BenchError, match="cannot be listened on"):
        listen("/dev/there-is-no-such-port", tmp_path / "list")


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, Heard]:
    """A folder after a start of the box, and what a witness that heard everything has."""

    class Ear:
        def __init__(self) -> None:
            self.heard: Heard | None = None

        def tell(self, green: Green) -> None:
            self.heard = self.heard or Heard(green.run)
            self.heard.hear(green, time.time())

        def close(self) -> None:
            pass

    ear = Ear()
    folder = tmp_path / "cut"
    folder.mkdir()
    serve_meals(folder, ear, terminals=1, seconds=1.0)
    assert ear.heard is not None
    return folder, ear.heard


def test_a_light_that_is_not_in_the_ledger_is_lost(recorded: tuple[Path, Heard]):
    folder, heard = recorded
    heard.kept.append(Green(heard.run, 10_000_000, "0" * 16))
    found = check(folder, [heard])
    assert (found.lost, found.altered, found.kept) == (1, 0, False)


def test_a_record_with_other_content_is_altered(recorded: tuple[Path, Heard]):
    folder, heard = recorded
    last = heard.kept[-1]
    heard.kept[-1] = Green(last.run, last.position, "f" * 16)
    found = check(folder, [heard])
    assert (found.lost, found.altered, found.kept) == (0, 1, False)


def test_a_damaged_ledger_and_a_missing_one_are_no_success(recorded: tuple[Path, Heard]):
    folder, heard = recorded
    segment = next((folder / "ledger").glob("*.seg"))
    with segment.open("r+b") as file:
        file.seek(128 * 3)
        file.write(b"\xff" * 64)
    found = check(folder, [heard])
    assert not found.kept
    assert found.problems
    shutil.rmtree(folder / "ledger")
    gone = check(folder, [heard])
    assert not gone.kept
    assert gone.lost == len(heard.kept)


def test_a_list_of_another_folder_is_said_to_be_one(recorded: tuple[Path, Heard]):
    folder, heard = recorded
    (folder / "starts.jsonl").unlink()
    found = check(folder, [heard])
    assert not found.kept
    assert "knows no start" in found.problems[0]


def test_a_report_counts_cuts_only_where_the_machine_was_started_again(recorded: tuple[Path, Heard]):
    folder, heard = recorded
    with pytest.raises(BenchNotMeasuredError, match="not measured on this disk"):
        measure(folder)
    note(folder, check(folder, [heard]))
    with pytest.raises(BenchNotMeasuredError, match="the power never went"):
        measure(folder)
    starts = folder / "starts.jsonl"
    starts.write_text(json.dumps({"run": heard.run, "boot": "an earlier one"}) + "\n")
    note(folder, check(folder, [heard]))
    note(folder, check(folder, [heard]))
    figures = {figure.id: figure.value for figure in measure(folder).figures}
    assert (figures["cuts"], figures["broken"]) == (1.0, 0.0)
    heard.kept.append(Green(heard.run, 10_000_000, "0" * 16))
    note(folder, check(folder, [heard]))
    measured = measure(folder)
    assert {figure.id: figure.value for figure in measured.figures}["broken"] == 1.0
    assert measured.facts[0].state == "fail"
    assert "1 lost" in measured.facts[1].value


def test_a_list_that_is_none_is_said_to_be_none(tmp_path: Path):
    (tmp_path / "list").write_text("hello\n")
    with pytest.raises(BenchError, match="is no list of a witness"):
        check(tmp_path, tmp_path / "list")


def test_many_lights_make_a_short_list_with_the_last_one():
    heard = Heard("0a1b2c3d")
    for position in range(50_000):
        heard.hear(Green("0a1b2c3d", position, "0" * 16), 1.0)
    assert heard.kept[-1].position == 49_999
    assert len(heard.kept) < 5_000
    assert heard.greens == 50_000


# ---- the disk that loses what was not synced


def call(
    name: str, arguments: str, place: int, result: int = 0, path: str | None = None, begun: int | None = None
) -> Call:
    return Call(name, arguments, result, place if begun is None else begun, place, path)


def hexed(data: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in data)


class Program:
    """A few system calls on one file in a folder."""

    def __init__(self, folder: Path, *, lies: bool = False) -> None:
        self.folder, self.disk, self.place = folder, Disk(folder, lies=lies), 0
        self.path = hexed(str(folder / "file").encode())

    def do(self, name: str, arguments: str, result: int = 0, path: str | None = None) -> None:
        self.place += 1
        self.disk.apply(call(name, arguments, self.place, result, path))

    def create(self) -> None:
        self.do("openat", f'AT_FDCWD</>, "{self.path}", O_RDWR|O_CREAT, 0640', 3, self.path)

    def write(self, data: bytes, offset: int) -> None:
        self.do("pwrite64", f'3<{self.path}>, "{hexed(data)}", {len(data)}, {offset}', len(data))

    def sync(self) -> None:
        self.do("fdatasync", f"3<{self.path}>")

    def sync_names(self) -> None:
        self.do("fsync", f"4<{hexed(str(self.folder).encode())}>")

    def left(self, tmp_path: Path, count: int = 60) -> set[bytes | None]:
        """What the file may be after a cut; None where it is not there."""
        found: set[bytes | None] = set()
        for seed in range(count):
            out = tmp_path / f"after-{self.place}-{seed}"
            self.disk.after_cut(Random(seed), out)
            found.add((out / "file").read_bytes() if (out / "file").exists() else None)
        return found


def test_what_was_synced_is_there_and_what_was_not_may_be(tmp_path: Path):
    program = Program(tmp_path / "box")
    program.create()
    program.write(b"a" * 100, 0)
    assert None in program.left(tmp_path)
    program.sync()
    program.sync_names()
    assert program.left(tmp_path) == {b"a" * 100}
    program.write(b"b" * 100, 0)
    seen = program.left(tmp_path)
    assert {b"a" * 100, b"b" * 100} <= seen
    assert any(text and text.startswith(b"b") and text.endswith(b"a") for text in seen), "torn at a byte"
    program.sync()
    assert program.left(tmp_path) == {b"b" * 100}


def test_sectors_of_a_write_may_be_lost_one_by_one(tmp_path: Path):
    program = Program(tmp_path / "box")
    program.create()
    program.write(bytes(1024), 0)
    program.sync()
    program.sync_names()
    program.write(b"x" * 1024, 0)
    seen = program.left(tmp_path)
    assert bytes(512) + b"x" * 512 in seen
    assert b"x" * 512 + bytes(512) in seen


def test_a_sync_covers_only_what_was_written_before_it_began(tmp_path: Path):
    program = Program(tmp_path / "box")
    program.create()
    program.write(b"a" * 10, 0)
    program.sync()
    program.sync_names()
    begun = program.place + 1
    program.place += 1
    program.write(b"b" * 10, 0)  # while the sync goes on
    program.place += 1
    program.disk.apply(call("fdatasync", f"3<{program.path}>", program.place, begun=begun))
    assert b"a" * 10 in program.left(tmp_path)


def test_renames_hold_when_the_folder_was_synced(tmp_path: Path):
    program = Program(tmp_path / "box")
    program.create()
    program.write(b"a", 0)
    program.sync()
    program.sync_names()
    other = hexed(str(tmp_path / "box/other").encode())
    program.do("rename", f'"{program.path}", "{other}"')
    assert program.left(tmp_path) == {b"a", None}
    program.sync_names()
    assert program.left(tmp_path) == {None}


def test_a_disk_that_lies_loses_what_it_confirmed(tmp_path: Path):
    program = Program(tmp_path / "box", lies=True)
    program.create()
    program.write(bytes(2048), 0)
    program.sync()
    program.sync_names()
    program.write(b"meal", 0)
    program.sync()
    assert bytes(2048) in program.left(tmp_path)


def test_a_trace_is_read_also_where_threads_interrupt_each_other(tmp_path: Path):
    path = tmp_path / "trace"
    path.write_text(
        '10 pwrite64(3<\\x2f\\x61>, "\\x41\\x42", 2, 128 <unfinished ...>\n'
        '11 sendto(4<\\x73>, "\\x68\\x69", 2, 0, {...}, 16) = 2\n'
        "10 <... pwrite64 resumed>)  = 2\n"
        "11 fdatasync(3<\\x2f\\x61>) = -1 EIO (Input/output error)\n"
        "10 fdatasync(3<\\x2f\\x61> <unfinished ...>\n"
        "12 +++ exited with 0 +++\n"
    )
    calls = read_trace(path)
    assert [(one.name, one.result) for one in calls] == [
        ("sendto", 2),
        ("pwrite64", 2),
        ("fdatasync", -1),
        ("fdatasync", None),
    ]
    assert sent(calls[0]) == b"hi"
    assert calls[1].begun < calls[0].ended < calls[1].ended
    (tmp_path / "empty").write_text("nothing\n")
    with pytest.raises(BenchError, match="no system calls"):
        read_trace(tmp_path / "empty")


def test_the_real_box_keeps_every_light_under_that_disk_and_a_lying_one_is_found_out():
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    tried = subprocess.run(["strace", "-o", os.devnull, sys.executable, "-c", ""], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("strace may not trace here")
    found = rehearse(15, seconds=1.0, seed=int(time.time()), lying=3)
    assert [cut.kept for cut in found] == [True] * 15 + [False] * 3, [cut for cut in found[:15] if not cut.kept]
