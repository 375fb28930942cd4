"""Does `bench compare` call what is there, and nothing else? Reports of one build, and of a slowed one.

Each repeat makes two reports of the motion case in turn, one of them a tenth slower (`slowed.py`), and compares: this
build's with this build's of the repeat before, in which any change at all is a false alarm; and with the slowed one,
in which both figures must be called worse.

    python benches/compare_proof.py --repeats 20 --rounds 10
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
from pathlib import Path

from edusense.bench import running
from edusense.bench.compare import compare
from edusense.bench.folder import Folder
from edusense.bench.plan import Plan, loads
from edusense.bench.report import build
from edusense.bench.report_models import Report

PLAN = 'title = "Compare"\nrounds = {rounds}\n[[cases]]\nid = "motion"\noptions = {{ blocks = {blocks} }}\n'


def report(plan: Plan, folder: Path) -> Report:
    """Runs a plan, as `edusense bench run` does."""
    with Folder.open(folder) as opened:
        running.run(plan, opened, patience_s=0.0)
        return build(opened)


def main() -> int:
    """The proof; the exit status says whether it holds for 19 of 20."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--blocks", type=int, default=40)
    given = parser.parse_args()
    # A run is a process of its own, which must find the slowed case.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    plan = loads(PLAN.format(rounds=given.rounds, blocks=given.blocks))
    (unit,) = plan.units
    slow = dataclasses.replace(unit, case=dataclasses.replace(unit.case, work="slowed:look"))
    slowed = dataclasses.replace(plan, units=(slow,))
    false_alarms = found = 0
    with tempfile.TemporaryDirectory(prefix="edusense-compare-") as made:
        before = report(plan, Path(made) / "before")
        for number in range(1, given.repeats + 1):
            slower = report(slowed, Path(made) / f"slower-{number}")
            after = report(plan, Path(made) / f"same-{number}")
            same, worse = compare(before, after), compare(before, slower)
            false_alarms += bool(same.changed)
            found += all(row.verdict == "worse" for row in worse.rows)
            told = " ".join(
                f"{row.figure} {100 * (row.change or 0):+.1f} % ({row.verdict})" for row in (*same.rows, *worse.rows)
            )
            sys.stderr.write(f"{number}: {told}\n")
            before = after
    sys.stdout.write(f"the same build: a change called in {false_alarms} of {given.repeats} comparisons\n")
    sys.stdout.write(f"a tenth slower: called worse, in both sizes, in {found} of {given.repeats}\n")
    enough = 0.95 * given.repeats
    return 0 if given.repeats - false_alarms >= enough and found >= enough else 1


if __name__ == "__main__":
    sys.exit(main())
