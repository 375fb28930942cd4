"""The ONVIF cameras of this network, and the streams that each offers.

    CAMERA_PASSWORD=… python docs/examples/discover_cameras.py --user edusense

Without --user only what cameras tell everybody. Give addresses to ask those instead of the whole network.
"""

import argparse
import os

from edusense import fleet
from edusense.errors import EdusenseError

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--user")
parser.add_argument("--seconds", type=float, default=3.0)
parser.add_argument("address", nargs="*")
told = parser.parse_args()

login = fleet.Login(told.user, os.environ["CAMERA_PASSWORD"]) if told.user else None
for address in told.address or [found.camera.address for found in fleet.discover(told.seconds)]:
    print(address)
    try:
        streams = fleet.stream_addresses(address, login, 10)
        print(f"  analysed: {streams.watch}\n  kept:     {streams.keep}\n  still:    {streams.snapshot}")
    except EdusenseError as error:
        print(f"  {error}")
