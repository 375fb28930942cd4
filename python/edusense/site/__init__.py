"""The site file: which rooms, cameras, readers and terminals a school has, checked, with the place of every error.

>>> from edusense.site import Site
>>> site = Site.loads('[site]\\nid = "school-51"\\nnumber = 51001\\nuplink_kbit = 20_000')
>>> site.site.uplink_kbit
20000
>>> Site.loads('[site]\\nid = "school-51"\\nnumber = 51001\\ntime_zone = "Asia/Almaty"')
Traceback (most recent call last):
    ...
edusense.errors.SiteUnknownKeyError: 4:1: there is no key `time_zone` in [site]
"""

from __future__ import annotations

from edusense.site.models import (
    Camera,
    Credentials,
    Destination,
    Hub,
    Light,
    Listening,
    Meals,
    Pages,
    Reader,
    Recording,
    Room,
    School,
    Site,
    Slot,
    Terminal,
    Zone,
)
from edusense.site.secrets import resolve as resolve_secret

__all__ = [
    "Camera",
    "Credentials",
    "Destination",
    "Hub",
    "Light",
    "Listening",
    "Meals",
    "Pages",
    "Reader",
    "Recording",
    "Room",
    "School",
    "Site",
    "Slot",
    "Terminal",
    "Zone",
    "resolve_secret",
]
