"""Each motion event of the running box, posted as JSON to a web address; nothing is lost when either side is down.

python docs/examples/motion_to_webhook.py --site school.toml http://127.0.0.1:8080/motion
"""

import argparse
import json
import time
import urllib.request
from pathlib import Path

import edusense

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("url")
parser.add_argument("--site")
parser.add_argument("--cursor", type=Path, default=Path("webhook.cursor"), help="file that says where to go on")
told = parser.parse_args()

since = int(told.cursor.read_text()) if told.cursor.exists() else 0
for event in edusense.connect(told.site).events(since=since, follow=True, kinds=["motion"], reconnect=True):
    headers, posted = {"Content-Type": "application/json"}, False
    while not posted:
        try:
            request = urllib.request.Request(told.url, json.dumps(event).encode(), headers)  # noqa: S310 -- yours
            posted = urllib.request.urlopen(request, timeout=10).status < 300  # noqa: S310 -- the same
        except OSError:
            time.sleep(1)
    told.cursor.write_text(str(event["cursor"]))
