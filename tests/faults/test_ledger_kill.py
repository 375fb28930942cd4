"""A real process is killed while it really appends: what it had answered is there, once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from edusense.meals import Kind, Ledger

APPENDS = """
import sys, threading
from edusense.meals import Kind, Ledger
folder, first = sys.argv[1], int(sys.argv[2])
ledger = Ledger.open(folder, school=51001, segment_records=64)
told = threading.Lock()
def serve(terminal):
    for step in range(100_000):
        row = Ledger.blank(1)
        row["terminal"], row["day"], row["slot"] = terminal, 20261005, b"lunch"
        row["pupil"] = first + step * 10 + terminal
        receipt = ledger.receipts(row)
        with told:
            sys.stdout.write(f"{row['pupil'][0]} {receipt.position[0]} {receipt.status[0]}\\n")
            sys.stdout.flush()
for terminal in (1, 2):
    threading.Thread(target=serve, args=[terminal], daemon=True).start()
threading.Event().wait()
"""


def test_kill_9_in_the_middle_of_appending_loses_nothing_that_was_answered(tmp_path: Path):
    chance = random.Random(5)
    answered: dict[int, int] = {}
    for attempt in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", APPENDS, str(tmp_path), str(attempt * 10_000_000)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        time.sleep(chance.uniform(0.0, 0.15))
        os.kill(process.pid, signal.SIGKILL)
        lines += process.stdout.read().splitlines()
        process.stdout.close()
        process.wait()
        for line in lines:
            parts = line.split()
            if len(parts) == 3:  # the last line may have been cut off as well
                assert parts[2] == "0"
                answered[int(parts[0])] = int(parts[1])
        reader = Ledger.open(tmp_path, read_only=True)
        report = reader.verify()
        assert report.ok, report.problems
        records = reader.records()
        meals = records[records["kind"] == Kind.MEAL]["pupil"].tolist()
        assert len(meals) == len(set(meals)), "a meal is doubled"
        assert answered.keys() <= set(meals), "an answered meal is lost"
        assert all(records[position]["pupil"] == pupil for pupil, position in answered.items())
    assert len(answered) > 18
    with Ledger.open(tmp_path) as ledger:
        again = Ledger.blank(len(answered))
        again["terminal"], again["pupil"], again["day"], again["slot"] = 1, list(answered), 20261005, b"lunch"
        assert set(ledger.append(again).tolist()) == {1}
    assert Ledger.open(tmp_path, read_only=True).verify().ok
