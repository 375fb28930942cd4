"""The event log: no event lost, none twice, whatever the process, the disk and the reader's pace do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edusense.box.log import EventLog
from edusense.errors import PermissionDeniedError

needs_user = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def everything(log: EventLog, since: int = 0, step: int = 7) -> list[dict]:
    reader = log.reader(since)
    rows = []
    while lines := reader.read(step):
        rows.extend(json.loads(line) for line in lines)
    reader.close()
    return rows


def small(folder: Path, clock=lambda: 1000.0, **settings) -> EventLog:
    return EventLog(folder, **{"clock": clock, "segment_bytes": 300, "keep_bytes": 10**6, "tail": 4} | settings)


def test_rows_come_back_in_order_and_across_segments(tmp_path):
    log = small(tmp_path)
    put = [log.append("box", number=number, text="әліпби") for number in range(40)]
    assert len(list(tmp_path.glob("events-*.jsonl"))) > 5
    assert everything(log) == put
    assert everything(log, since=put[17]["cursor"]) == put[18:]
    assert [row["cursor"] for row in put] == list(range(put[0]["cursor"], put[0]["cursor"] + 40))
    log.close()


def test_a_reopened_log_goes_on_with_greater_cursors(tmp_path):
    log = small(tmp_path)
    first = [log.append("box", number=number) for number in range(5)]
    log.close()
    log = small(tmp_path, clock=lambda: 0.5)  # the clock of a box without a battery starts anew
    second = [log.append("box", number=number) for number in range(5)]
    assert second[0]["cursor"] == first[-1]["cursor"] + 1
    assert everything(log, since=first[2]["cursor"]) == first[3:] + second
    log.close()
    log = small(tmp_path, clock=lambda: 5000.0)
    assert log.append("box")["cursor"] == 5_000_000
    log.close()


def test_an_opened_log_that_was_never_written_leaves_the_cursor_alone(tmp_path):
    log = small(tmp_path)
    last = log.append("box")
    log.close()
    for _ in range(3):
        log = small(tmp_path)
        assert log.cursor == last["cursor"]
        log.close()
    assert everything(small(tmp_path)) == [last]


@given(cut=st.integers(min_value=0, max_value=400))
@settings(max_examples=60, deadline=None)
def test_a_torn_tail_is_cut_and_nothing_else(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("log")
    log = small(folder, segment_bytes=10**6)
    rows = [log.append("box", number=number) for number in range(8)]
    log.close()
    (path,) = folder.glob("events-*.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - min(cut, len(whole))])
    kept = [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
    kept = [row for row in kept if "cursor" in row]
    log = small(folder, clock=lambda: 2000.0)
    after = log.append("box", number=99)
    assert everything(log) == [*kept, after]
    # A reader who saw what was lost misses nothing of what came after.
    assert everything(log, since=rows[-1]["cursor"])[-1] == after
    log.close()


def test_a_damaged_line_in_the_middle_is_left_out_and_named(tmp_path, caplog):
    log = small(tmp_path, segment_bytes=10**6)
    rows = [log.append("box", number=number) for number in range(8)]
    log.close()
    (path,) = tmp_path.glob("events-*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4] = b"\0" * (len(lines[4]) - 1) + b"\n"
    path.write_bytes(b"".join(lines))
    log = small(tmp_path)
    assert everything(log) == rows[:3] + rows[4:]
    assert f"byte {sum(len(line) for line in lines[:4])} is damaged" in caplog.text
    log.close()


def test_the_oldest_segments_go_and_the_gap_is_told(tmp_path):
    log = small(tmp_path, keep_bytes=1500)
    rows = [log.append("box", number=number) for number in range(200)]
    kept = everything(log)
    assert kept == rows[-len(kept) :]
    assert 5 < len(kept) < 40
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2000
    assert log.gap(rows[0]["cursor"]) == kept[0]["cursor"] - 1
    assert log.gap(kept[0]["cursor"]) is None
    assert log.gap(0) is None
    log.close()


def test_a_reader_at_any_pace_gets_each_event_once_while_others_write(tmp_path):
    log = small(tmp_path, segment_bytes=2000)
    reader, seen, done = log.reader(0), [], threading.Event()

    def write(name: str) -> None:
        for number in range(300):
            log.append("box", writer=name, number=number)

    def read() -> None:
        while True:
            finished = done.is_set()
            lines = reader.read(11)
            seen.extend(json.loads(line) for line in lines)
            if finished and not lines:
                return

    follower = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in [follower, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    follower.join()
    reader.close()
    cursors = [row["cursor"] for row in seen]
    assert cursors == list(range(cursors[0], cursors[0] + 900))
    log.close()


def test_a_full_disk_keeps_events_in_memory_and_writes_them_later(tmp_path, monkeypatch, caplog):
    log = small(tmp_path, segment_bytes=10**6, tail=100)
    rows = [log.append("box", number=0)]
    real = os.write

    def full(file: int, data: bytes) -> int:
        # What the kernel does at the end of a disk: half a line, then the error.
        return real(file, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", full)
    rows += [log.append("box", number=number) for number in range(1, 4)]
    assert log.trouble is not None
    assert everything(log) == rows
    monkeypatch.setattr(os, "write", real)
    log.sync()
    assert log.trouble is None
    log.close()
    assert everything(small(tmp_path)) == rows
    assert caplog.text.count("kept in memory") == 1


def test_a_killed_process_loses_no_event(tmp_path):
    script = (
        "import sys, pathlib; from edusense.box.log import EventLog\n"
        "log = EventLog(pathlib.Path(sys.argv[1]))\n"
        "while True: print(log.append('box')['cursor'], flush=True)\n"
    )
    told = 0
    with subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(200):
            told = int(process.stdout.readline())
        process.kill()
    log = EventLog(tmp_path)
    rows = everything(log)
    assert told in {row["cursor"] for row in rows}
    assert log.append("box")["cursor"] > rows[-1]["cursor"]
    log.close()


@needs_user
def test_a_folder_that_may_not_be_written_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionDeniedError, match="event log"):
        EventLog(tmp_path / "events")


def test_a_file_where_the_folder_should_be_is_told(tmp_path):
    (tmp_path / "events").write_text("")
    with pytest.raises(PermissionDeniedError, match="event log"):
        EventLog(tmp_path / "events")
