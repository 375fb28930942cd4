"""How long it takes to hold every camera against what it should be, beside onvif-zeep used as its readme shows."""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from edusense import Site, fleet
from edusense.bench.case import Measured
from edusense.bench.figure import Figure
from edusense.bench.virtual import serving
from edusense.errors import BenchNotMeasuredError
from edusense.site.secrets import resolve

__all__ = ["measure"]

ZEEP: Final = "onvif-zeep as its readme shows it"
_HEAD: Final = """[site]
id = "bench"
number = 1
data = "data"

[credentials.cameras]
user = "{user}"
password = "{password}"

[[rooms]]
id = "hall"
kind = "corridor"
"""
_CAMERA: Final = """
[[cameras]]
id = "c{number}"
room = "hall"
address = "{address}"
credentials = "cameras"
template = "generic/onvif-t"
"""


def measure(cameras: int = 20, peer_cameras: int = 2) -> Measured:
    """Virtual cameras with ONVIF are audited: every setting read, nothing changed.

    Args:
        cameras: how many.
        peer_cameras: how many of them the peer asks, for the same figures of each.

    Raises:
        BenchNotMeasuredError: the drivers are not installed.
    """
    if importlib.util.find_spec("edusense_drivers") is None:
        raise BenchNotMeasuredError("the drivers are not installed", hint="pip install edusense-drivers")
    with tempfile.TemporaryDirectory(prefix="edusense-bench-") as made:
        folder = Path(made)
        arguments = ("sim", "camera", "--count", str(cameras), "--width", "640", "--fps", "5", "--seconds", "2")
        with serving(*arguments, log=folder / "cameras.log", last=lambda found: len(found) == cameras) as devices:
            site = _site(folder, devices)
            began, cpu = time.monotonic(), time.process_time()
            audited = fleet.audit(site)
            wall_s, cpu_s = time.monotonic() - began, time.process_time() - cpu
            unknown = [one for one in audited if one.state == "problem"]
            by_hand = [_by_hand(device) for device in devices[:peer_cameras]]
    if unknown:
        raise BenchNotMeasuredError(f"{len(unknown)} virtual cameras did not answer: {unknown[0].note}")
    each = (1000 * cpu_s / cameras,)
    return Measured(
        [
            Figure("an audit of all", "s", (wall_s,), id="wall"),
            Figure("CPU of auditing a camera", "ms CPU", each, ZEEP, tuple(by_hand), id="cpu"),
        ],
        notes=[f"{cameras} virtual cameras on this machine, which serves them too."],
    )


def _site(folder: Path, devices: list[dict[str, Any]]) -> Site:
    head = _HEAD.format(user=devices[0]["user"], password=devices[0]["password_ref"])
    each = (
        _CAMERA.format(number=number, address=urlsplit(device["onvif"]).netloc) for number, device in enumerate(devices)
    )
    (folder / "school.toml").write_text(head + "".join(each), "utf-8")
    return Site.load(folder / "school.toml")


def _by_hand(device: dict[str, Any]) -> float:
    """CPU milliseconds of asking one camera what it is and how its streams are set."""
    onvif = importlib.import_module("onvif")
    place = urlsplit(device["onvif"])
    password = resolve(device["password_ref"])
    began = time.process_time()
    camera = onvif.ONVIFCamera(place.hostname, place.port, device["user"], password)
    camera.devicemgmt.GetDeviceInformation()
    media = camera.create_media_service()
    for profile in media.GetProfiles():
        media.GetVideoEncoderConfiguration({"ConfigurationToken": profile.VideoEncoderConfiguration.token})
    return 1000 * (time.process_time() - began)
