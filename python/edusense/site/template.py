"""The file that a new school starts from: valid at once, every table explained where it stands."""

from __future__ import annotations

from typing import Final

from edusense.site.models import Site

__all__ = ["new_site"]

_HEAD: Final = """\
# The site file of one school. `edusense site check` tells what is wrong with it; `edusense site schema`, what may
# stand in it.
# Lines that begin with "#" are not read. Relative paths start from this file's folder.

[site]
id = "{id}"
number = {number}          # the school's national number; stands in every meal record, so set it before the first meal
timezone = "{timezone}"
uplink_kbit = 30_000       # what the way out carries, kbit/s; 0 without internet
data = "data"              # folder of ledger and state; on a box: "/var/lib/edusense"

[recording]
# data = "/srv/clips"      # folder of clips: best on another disk than the ledger's
budget_gb = 20             # the oldest clips go when they take more

# Where a password is, never the password: file:PATH (mode 0600) or env:NAME.
#   install -m 600 /dev/null cameras.secret; then write the password into it
[credentials.cameras]
user = "edusense"
password = "file:cameras.secret"

# ---- Rooms. kind: classroom, corridor, gym, library, canteen, entrance, grounds, attic, basement, service, …
"""

_TAIL: Final = """\
# ---- Cameras. `edusense camera discover` finds those on this network.
# [[cameras]]
# id = "{room}-front"
# room = "{room}"
# address = "10.20.0.51"            # or url = "rtsp://10.20.0.51/stream" for a camera without ONVIF
# mac = "00:1a:2b:3c:4d:5e"         # who it is, when its address changes
# template = "generic/onvif-t"      # desired settings: a file below firmware_configs/cameras
# credentials = "cameras"
# watch = "sub"                     # the profile that is analysed
# keep = "main"                     # the profile that clips are cut from
# record = "events"                 # or always, never

# ---- Card readers and the terminals they belong to. `edusense reader ports` shows what is plugged in.
# [[readers]]
# id = "canteen-left"
# driver = "rdm6300"
# port = "/dev/serial/by-id/usb-…"
#
# [[terminals]]
# id = "canteen-left"
# number = 1                        # stands in every record: never give it to another terminal
# kind = "meals"                    # or entrance
# room = "canteen"
# reader = "canteen-left"

# ---- Meals. A slot runs from `from` up to, and not including, `to`; its id has at most 12 bytes.
[meals]
roster = "roster.csv"               # pupil, name, class, category, cards, consent_date, voucher_from, voucher_to

[[meals.slots]]
id = "lunch"
from = "11:00"
to = "14:30"
price = "450.00"                    # tenge, in quotes

# ---- The city's hub, which signed batches of records go to.
# [hub]
# url = "https://hub.example.kz"
# key = "…"                         # its public key, 64 hex digits; the city tells it
# token = "file:hub.token"

# ---- Zones of a picture, and where alerts go.
# [[zones]]
# id = "attic-door"
# camera = "{room}-front"
# polygon = [[0.1, 0.2], [0.4, 0.2], [0.4, 0.9], [0.1, 0.9]]   # shares of the picture
# kind = "forbidden"                # or watch, ignore
# hours = "mon-fri 18:00-07:00"     # or always
# alert = ["ops-centre"]
#
# [[destinations]]
# id = "ops-centre"
# driver = "https-json"
# url = "https://ops.example.kz/alerts"
"""


def new_site(*, id: str = "my-school", number: int = 1, timezone: str = "Asia/Almaty", rooms: int = 2) -> str:  # noqa: A002 - as in the file
    """The text of a new site file.

    Args:
        id: the school's id.
        number: its national number.
        timezone: IANA name of its time zone.
        rooms: how many classrooms to begin with, numbered 101, 102 …; a canteen comes on top.

    Returns:
        Commented TOML that `Site.loads` takes.

    Raises:
        SiteError: an argument is not what the site file allows.

    >>> [room.id for room in Site.loads(new_site(rooms=2)).rooms]
    ['101', '102', 'canteen']
    """
    names = [f"{1 + index // 20}{1 + index % 20:02}" for index in range(rooms)]
    tables = [f'[[rooms]]\nid = "{name}"\nkind = "classroom"\nseats = 28\n\n' for name in names]
    canteen = '[[rooms]]\nid = "canteen"\nkind = "canteen"\nseats = 120\n\n'
    head = _HEAD.format(id=_escaped(id), number=number, timezone=_escaped(timezone))
    text = head + "".join(tables) + canteen + _TAIL.format(room=names[0] if names else "canteen")
    Site.loads(text)
    return text


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
