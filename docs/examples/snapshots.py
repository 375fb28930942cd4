"""The newest picture of every camera of the running box, as JPEG files in a folder.

python docs/examples/snapshots.py --site school.toml --reason "are all aimed right?" pictures/
"""

import argparse
from pathlib import Path

import edusense
from edusense.errors import EdusenseError

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--site", default=None)
parser.add_argument("--reason", required=True, help="why, for the audit log")
parser.add_argument("folder", type=Path)
told = parser.parse_args()

told.folder.mkdir(parents=True, exist_ok=True)
with edusense.connect(told.site) as box:
    for camera in (row["id"] for row in box.status() if row["kind"] == "camera"):
        try:
            (told.folder / f"{camera}.jpg").write_bytes(box.snapshot(camera, reason=told.reason))
            print(f"{camera}: saved")
        except EdusenseError as error:
            print(f"{camera}: {error}")
