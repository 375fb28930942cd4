"""A live table of the running box in the terminal: every camera's state, pictures and events. Ctrl-C ends it.

python docs/examples/live_table.py --site school.toml
"""

import argparse
import time

from rich.live import Live
from rich.table import Table

import edusense

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--site")
parser.add_argument("--seconds", type=float, default=1e9, help="how long")
told = parser.parse_args()

box, until = edusense.connect(told.site), time.monotonic() + told.seconds
with Live() as live:
    while time.monotonic() < until:
        table = Table("camera", "state", "kbit/s", "received", "decoded", "events")
        for row in (row for row in box.status() if row["kind"] == "camera"):
            counts = (row["bitrate_kbit"], row["pictures_received"], row["pictures_decoded"], row["events"])
            table.add_row(row["id"], row["state"], *(f"{count:.0f}" for count in counts))
        live.update(table, refresh=True)
        time.sleep(1)
