"""Every card at every terminal, as lines of a CSV file, from the running box.

    python docs/examples/cards_to_csv.py --site school.toml cards.csv

It goes on where it stopped: the last line's cursor is where it begins. Add --once to stop when it is up to date.
"""

import argparse
import csv
from pathlib import Path

import edusense

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--site", default=None)
parser.add_argument("--once", action="store_true")
parser.add_argument("file", type=Path)
told = parser.parse_args()

known = list(csv.DictReader(told.file.read_text().splitlines())) if told.file.exists() else []
since = int(known[-1]["cursor"]) if known else 0
with edusense.connect(told.site) as box, told.file.open("a", newline="", buffering=1) as file:
    columns = ["cursor", "time_s", "terminal", "card", "pupil", "granted", "reason", "record"]
    table = csv.DictWriter(file, columns, extrasaction="ignore")
    if not known:
        table.writeheader()
    for event in box.events(since=since, follow=not told.once, kinds=["tap"], reconnect=True):
        table.writerow(event)
