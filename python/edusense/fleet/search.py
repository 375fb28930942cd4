"""Finding cameras on the network, by whichever drivers can search."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from edusense import devices
from edusense.errors import DriverMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edusense.devices.camera import CameraFound

__all__ = ["Found", "discover"]


@dataclass(frozen=True, slots=True)
class Found:
    """A camera that answered, and whether the site file has it.

    Args:
        camera: what it said.
        site_id: its id in the site file; None where it is not there, or no site was given.
    """

    camera: CameraFound
    site_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As `edusense camera discover --json` prints it."""
        return {**asdict(self.camera), "scopes": list(self.camera.scopes), "site_id": self.site_id}


def discover(
    timeout_s: float = 3.0,
    interfaces: Sequence[str] | None = None,
    *,
    site_cameras: Iterable[Any] = (),
    sweep: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> list[Found]:
    """Searches the network for cameras, with all drivers that can, at the same time.

    Args:
        timeout_s: how long to listen for answers, in seconds.
        interfaces: network interfaces, by name or by our address on them; None for all that are up.
        site_cameras: the site file's cameras: found ones are marked by MAC, else by address.
        sweep: networks (`10.20.0.0/22`) whose addresses are asked one by one besides.
        progress: called with how many of these are done and how many there are.
        settings: what a driver takes besides, such as `port`.

    Returns:
        The cameras that answered, in order of address.

    Raises:
        DriverMissingError: no installed driver can search.
        DeviceNotFoundError: an interface does not exist.
        UsageError: what is to be swept is no network, or too large.
    """
    if sweep:
        settings |= {"sweep": list(sweep), "progress": progress}
    searches = [row.driver.discover for row in devices.drivers("camera") if row.driver and row.driver.discover]
    if not searches:
        raise DriverMissingError(
            "no installed driver can search for cameras",
            hint="the drivers are a package of their own: pip install edusense-drivers",
        )
    with ThreadPoolExecutor(len(searches), thread_name_prefix="edusense-discover") as pool:
        asked = [pool.submit(search, timeout_s=timeout_s, interfaces=interfaces, **settings) for search in searches]
        found = [camera for answer in asked for camera in answer.result()]
    known = _Known(site_cameras)
    return [Found(camera, known.id_of(camera)) for camera in sorted(found, key=lambda one: _sorting(one.address))]


class _Known:
    """The site file's cameras, by what a search can recognise them by."""

    def __init__(self, cameras: Iterable[Any]) -> None:
        self._by_mac: dict[str, str] = {}
        self._by_host: dict[tuple[str, int], str] = {}
        for camera in cameras:
            if camera.mac:
                self._by_mac[camera.mac.lower()] = camera.id
            if camera.address:
                address = camera.address if "://" in camera.address else f"http://{camera.address}"
                self._by_host[_host(address)] = camera.id

    def id_of(self, found: CameraFound) -> str | None:
        by_mac = self._by_mac.get(found.mac.lower()) if found.mac else None
        return by_mac or self._by_host.get(_host(found.address))


def _host(address: str) -> tuple[str, int]:
    parts = urlsplit(address[address.find("http") :])
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _sorting(address: str) -> tuple[list[int], str]:
    host = _host(address)[0]
    numbers = [int(part) for part in host.split(".") if part.isdigit()]
    return (numbers if len(numbers) == 4 else [999]), address
