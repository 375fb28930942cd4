"""`kill -9` in the middle of real taps: a real terminal on a real pty, killed at any moment, again and again.

What the terminal printed as granted is what a child saw as green. After every kill: none of that is lost, nobody has
two meals, nothing is damaged, and the next start recovers. Run by `make faults`; a small share of it in `make test`.

    python tests/faults/kill_storm.py --kills 1000 --seed 7

Terminals are forked from a process that has done the imports, so that a thousand starts take minutes; from the site
file on, everything is the command `edusense meals terminal`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edusense.devices import Card
from edusense.meals import Kind, Ledger
from edusense.sim.reader_rdm6300 import VirtualRdm6300

PUPILS = 400
WAIT_S = 60.0

SITE = """[site]
id = "storm"
number = 51001
data = "data"
[[rooms]]
id = "canteen"
kind = "canteen"
[[readers]]
id = "left"
driver = "rdm6300"
port = "{port}"
[[terminals]]
id = "left"
number = 1
kind = "meals"
room = "canteen"
reader = "left"
[meals]
roster = "roster.csv"
[[meals.slots]]
id = "all-day"
from = "00:00"
to = "23:59:59"
price = "450.00"
"""

NURSERY = """
import os, signal, sys
import serial, numpy
import edusense.cli.meals, edusense.meals.canteen_of_site, edusense.meals.terminal
from edusense.cli.main import main
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for out in sys.stdin:
    child = os.fork()
    if child == 0:
        handle = os.open(out.strip(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        sys.argv = ["edusense", "meals", "terminal", "left", "--json", "--site", sys.argv[1]]
        try:
            main()
        finally:
            os._exit(9)
    print(child, flush=True)
"""


@dataclass
class Tally:
    """What came of a storm.

    Attributes:
        kills: terminals killed.
        in_frame: of these, with part of a card's bytes on the line.
        green: meals that were shown green.
        refused: cards that were refused, by reason.
        unshown: meals that are recorded, and whose green was never seen.
        torn: recoveries that found a last write cut off.
        lost: meals shown green that are not in the ledger.
        doubled: meals beyond the first of a child.
    """

    kills: int = 0
    in_frame: int = 0
    green: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    unshown: int = 0
    torn: int = 0
    lost: int = 0
    doubled: int = 0

    def add(self, other: Tally) -> None:
        """Adds another storm's."""
        for name in ("kills", "in_frame", "green", "unshown", "torn", "lost", "doubled"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.refused += other.refused

    def line(self) -> str:
        """A row of the table."""
        refused = ", ".join(f"{count} {reason}" for reason, count in sorted(self.refused.items())) or "0"
        return (
            f"kill-9  {self.kills} kills ({self.in_frame} in a frame), {self.green} green, {self.unshown} recorded and "
            f"not seen green, refused {refused}, {self.torn} torn tails, lost {self.lost}, doubled {self.doubled}"
        )


def judged(green: dict[int, str], meals: list[tuple[int, str]]) -> tuple[list[int], list[int]]:
    """Who was shown green and has no record of that key, and who has more than one meal.

    Args:
        green: record by pupil, as the light told it.
        meals: pupil and record of every meal of the ledger.
    """
    there = dict(meals)
    lost = [pupil for pupil, record in green.items() if there.get(pupil) != record]
    doubled = [pupil for pupil, count in Counter(pupil for pupil, _ in meals).items() if count > 1]
    return lost, doubled


class Canteen:
    """One terminal on one pty, and what it has shown."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.chance = folder, random.Random(seed)
        self.green: dict[int, str] = {}
        self.tally = Tally()
        self.reader = VirtualRdm6300(folder / "reader")
        self.cards = [Card.parse(f"em4100:01{number:08X}") for number in range(PUPILS)]
        rows = "".join(
            f"{1000 + number},Pupil {number},3A,grade-1-4,em4100:01{number:08X},2020-09-01,2020-09-01,2099-05-25\n"
            for number in range(PUPILS)
        )
        head = "pupil,name,class,category,cards,consent_date,voucher_from,voucher_to\n"
        (folder / "roster.csv").write_text(head + rows, "utf-8")
        self.site = folder / "school.toml"
        self.site.write_text(SITE.format(port=self.reader.path), "utf-8")
        self.nursery = subprocess.Popen(
            [sys.executable, "-c", NURSERY, str(self.site)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def life(self, number: int) -> None:
        """A terminal starts, serves some children, and is killed."""
        assert self.nursery.stdin is not None
        assert self.nursery.stdout is not None
        out = self.folder / f"life-{number}.out"
        self.nursery.stdin.write(f"{out}\n")
        self.nursery.stdin.flush()
        terminal = int(self.nursery.stdout.readline())
        chance = self.chance
        try:
            if not self.reader.wait_open(WAIT_S):
                raise AssertionError(f"the terminal did not open its reader: {out.read_text('utf-8')}")
            if number % 10 == 0:
                time.sleep(chance.uniform(0.0, 0.05))  # also long after it has opened the port
            for _ in range(chance.randrange(0, 8)):
                self.reader.send(self.reader.frame(chance.choice(self.cards)))
                time.sleep(chance.choice((0.0, 0.005, chance.uniform(0.0, 0.05))))
            frame = self.reader.frame(chance.choice(self.cards))
            part = chance.randrange(len(frame) + 1)
            self.reader.send(frame[:part])
            self.tally.in_frame += 0 < part < len(frame)
            time.sleep(chance.choice((0.0, chance.uniform(0.0, 0.004))))
        finally:
            os.kill(terminal, signal.SIGKILL)
            _wait_for(lambda: _is_gone(terminal), "a killed terminal is still there")
        self.tally.kills += 1
        self._hear(out)

    def _hear(self, out: Path) -> None:
        """What it had shown when it was killed."""
        *lines, _ = out.read_text("utf-8").split("\n")  # the last line is empty, or was cut off
        for line in lines:
            if not line.startswith("{"):
                continue
            row = json.loads(line)
            if row["granted"]:
                if row["pupil"] in self.green:
                    self.tally.doubled += 1
                self.green[row["pupil"]] = row["record"]
            else:
                self.tally.refused[row["reason"]] += 1
        out.unlink()

    def check(self) -> None:
        """What must hold after every kill.

        Raises:
            AssertionError: something is damaged, lost or doubled.
        """
        folder = self.folder / "data/ledger"
        if not folder.is_dir():
            return
        ledger = Ledger.open(folder, read_only=True)
        report = ledger.verify()
        if not report.ok:
            raise AssertionError(f"damage: {report.problems}")
        self.tally.torn += report.torn_tail is not None
        records: Any = ledger.records()
        meals = [
            (int(row["pupil"]), f"{row['terminal']}/{row['epoch']:08x}/{row['sequence']}")
            for row in records[records["kind"] == Kind.MEAL]
        ]
        lost, doubled = judged(self.green, meals)
        self.tally.lost, self.tally.green = len(lost), len(self.green)
        self.tally.doubled += len(doubled)
        self.tally.unshown = len({pupil for pupil, _ in meals} - self.green.keys())
        if lost or self.tally.doubled:
            raise AssertionError(f"after {self.tally.kills} kills: lost {lost}, doubled {doubled}")

    def close(self) -> None:
        """Ends the nursery and the pty."""
        assert self.nursery.stdin is not None
        self.nursery.stdin.close()
        self.nursery.wait(WAIT_S)
        assert self.nursery.stdout is not None
        self.nursery.stdout.close()
        self.reader.close()


def _wait_for(what: Any, otherwise: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not what():
        if time.monotonic() > deadline:
            raise AssertionError(otherwise)
        time.sleep(0.001)


def _is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def storm(folder: Path, kills: int, seed: int, tell: Any = None) -> Tally:
    """So many kills of a terminal; a new canteen every hundred, so that there are always children to serve.

    Args:
        folder: an empty one.
        kills: how many.
        seed: of cards, moments and bytes; timing is the machine's own.
        tell: called after each kill.

    Raises:
        AssertionError: something that must hold did not; the folder is left as it was found.
    """
    total = Tally()
    for canteen_number, first in enumerate(range(0, kills, 100)):
        home = folder / f"canteen-{canteen_number}"
        home.mkdir()
        with contextlib.closing(Canteen(home, seed * 1_000 + canteen_number)) as canteen:
            for number in range(min(100, kills - first)):
                canteen.life(number)
                canteen.check()
                if tell is not None:
                    tell()
            total.add(canteen.tally)
    return total


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument(
        "--at-once", type=int, default=os.cpu_count() or 1, help="terminals that are killed side by side"
    )
    given = parser.parse_args()
    done, wrong, tallies = 0, [], []
    lock = threading.Lock()
    begun = time.monotonic()

    def told() -> None:
        nonlocal done
        with lock:
            done += 1
            if done % 100 == 0:
                sys.stderr.write(f"{done} of {given.kills} kills, {time.monotonic() - begun:.0f} s\n")

    def work(number: int, kills: int, folder: Path) -> None:
        try:
            tallies.append(storm(folder, kills, given.seed + number, told))
        except BaseException as error:
            wrong.append((folder, error))

    place = Path(tempfile.mkdtemp(prefix="edusense-kills-"))
    shares = [given.kills // given.at_once + (number < given.kills % given.at_once) for number in range(given.at_once)]
    threads = []
    for number, share in enumerate(shares):
        folder = place / str(number)
        folder.mkdir()
        threads.append(threading.Thread(target=work, args=(number, share, folder)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        for folder, error in wrong:
            sys.stderr.write(f"{folder}: {error}\n")
        sys.stderr.write(f"again: python {sys.argv[0]} --kills {given.kills} --seed {given.seed}\n")
        raise SystemExit(1)
    total = Tally()
    for tally in tallies:
        total.add(tally)
    sys.stdout.write(f"{total.line()}, seed {given.seed}, {time.monotonic() - begun:.0f} s\n")
    subprocess.run(["rm", "-r", str(place)], check=False)


if __name__ == "__main__":
    main()
