"""A camera that changes its address: is the new one free, and where is the camera afterwards.

It is looked for at its new address, at its old one, and by a search of the network, and known again by its MAC address,
serial number or endpoint reference: an address alone proves nothing.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from edusense.errors import DeviceError, DeviceRefusedError
from edusense.fleet.addresses import open_of_site
from edusense.fleet.camera_list import normal_mac
from edusense.fleet.search import discover

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from edusense.devices.camera import Camera as OpenCamera
    from edusense.site import Camera, Site

__all__ = ["Identity", "holder_of", "host_of", "look_for", "with_host"]

STEP_S: Final = 0.5
SEARCH_S: Final = 2.0
"""How long a search listens, and how often there is one besides."""
KNOCK_S: Final = 0.7
_PORTS: Final = (80, 554, 443, 8000)


@dataclass(frozen=True, slots=True)
class Identity:
    """By what a camera is known again.

    Args:
        serial: its serial number; empty where it tells none.
        mac: its MAC address; None where it tells none.
        endpoint: its endpoint reference, `urn:uuid:…`; None where it tells none.
    """

    serial: str
    mac: str | None
    endpoint: str | None = None

    def is_that(self, serial: str, mac: str | None) -> bool:
        """Whether what a camera tells is this one."""
        if self.mac is not None and mac is not None:
            return self.mac == mac
        return bool(self.serial) and self.serial == serial


def host_of(address: str) -> str:
    """The host in an address of the site file.

    >>> host_of("10.20.0.51:8000"), host_of("https://cam/onvif/device_service")
    ('10.20.0.51', 'cam')
    """
    return urlsplit(address if "://" in address else f"http://{address}").hostname or ""


def with_host(address: str, host: str) -> str:
    """An address of the site file with another host: scheme, port and path stay.

    >>> with_host("10.20.0.51:8000", "10.20.0.77"), with_host("https://10.0.0.1/onvif/service", "10.0.0.2")
    ('10.20.0.77:8000', 'https://10.0.0.2/onvif/service')
    """
    parts = urlsplit(address if "://" in address else f"http://{address}")
    netloc = host if parts.port is None else f"{host}:{parts.port}"
    whole = urlunsplit(parts._replace(netloc=netloc))
    return whole if "://" in address else whole.removeprefix("http://")


def holder_of(site: Site, address: str, but: Identity) -> str | None:
    """Who has an address already; None where nobody answers there, or it is the camera itself.

    Args:
        site: the site file, whose cameras are known by name.
        address: as the site file would have it.
        but: the camera that is to have it.
    """
    host = host_of(address)
    for camera in site.cameras:
        if camera.address is not None and host_of(camera.address) == host and camera.mac not in (None, but.mac):
            return f"camera `{camera.id}`"
    port = urlsplit(f"//{address.partition('://')[2] or address}").port
    for one in dict.fromkeys([port or 80, *_PORTS]):
        try:
            with socket.create_connection((host, one), timeout=KNOCK_S):
                return f"a device that listens on port {one}"
        except ConnectionRefusedError:
            if not host.startswith("127."):  # there, everybody refuses and nobody is
                return "a device that refuses connections"
        except OSError:
            continue
    return None


def look_for(
    site: Site,
    camera: Camera,
    who: Identity,
    *,
    new: str | None,
    old: str,
    seconds: float,
    settled_s: float,
    stop: threading.Event,
    interfaces: Callable[[], list[str] | None] = lambda: None,
) -> tuple[str, OpenCamera] | None:
    """Looks for a camera whose address was set, until it is found or the time is over.

    Args:
        site: the site file.
        camera: the camera.
        who: by what it is known again.
        new: the address that it was given; None where DHCP gives it one.
        old: the address that it had.
        seconds: the longest that may take.
        settled_s: so long its old address proves nothing: it may not have gone yet.
        stop: breaks it off.
        interfaces: where it is searched for.

    Returns:
        Its address and the open camera; None where it was not found.
    """
    begun = time.monotonic()
    searched = begun
    elsewhere: dict[str, None] = {}
    gone = False
    while time.monotonic() - begun < seconds and not stop.is_set():
        for address in dict.fromkeys([*([new] if new else []), *elsewhere, old]):
            opened = _try(site, camera, address, who)
            if opened is None:
                gone = gone or address == old
            elif address != old or gone or time.monotonic() - begun >= settled_s:
                return address, opened
            else:
                opened.close()
        if time.monotonic() - searched >= SEARCH_S:
            for found in discover(SEARCH_S, interfaces()):
                same = who.mac is not None and normal_mac(found.camera.mac) == who.mac
                if same or (who.endpoint is not None and found.camera.endpoint == who.endpoint):
                    elsewhere[with_host(old, host_of(found.camera.address.removeprefix("onvif:")))] = None
            searched = time.monotonic()
        stop.wait(STEP_S)
    return None


def _try(site: Site, camera: Camera, address: str, who: Identity) -> OpenCamera | None:
    """The open camera, where the one that is looked for answers there."""
    opened = open_of_site(site, camera, 5.0, address=address)
    try:
        told = opened.information()
    except DeviceRefusedError:
        opened.close()
        return None  # another one, or this one with its users gone: either way it cannot be told
    except DeviceError:
        opened.close()
        return None
    if who.is_that(told.serial, normal_mac(told.mac)):
        return opened
    opened.close()
    return None
