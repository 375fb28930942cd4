"""Finding cameras one address after the other, where a search cannot reach them: beyond a router, with multicast
filtered, or told not to be found.

Each address gets a Probe of its own (WS-Discovery allows unicast), and a connection on the ports that cameras use;
whoever accepts is asked for the time, which every ONVIF device tells without login or refuses in SOAP.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from edusense.devices.camera import CameraFound
from edusense.errors import DeviceError, DeviceRefusedError, UsageError
from edusense_drivers.onvif import soap
from edusense_drivers.onvif.discovery import DATAGRAM_LIMIT, PORT, RECEIVE_BUFFER, probe, read_matches
from edusense_drivers.onvif.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["LARGEST", "PORTS", "addresses_of", "sweep"]

PORTS: Final = (80, 8000, 2020, 8080, 8899)
"""Where cameras keep ONVIF: most, Hikvision and Reolink, Tapo, several, no-names."""
PATHS: Final = ("/onvif/device_service", "/onvif/service")
"""The standard's, and Tapo's."""
LARGEST: Final = 4096
"""Addresses at once: a school has a /22 at most, and a sweep of more is an attack."""
CONNECT_S: Final = 1.0
CONNECTIONS: Final = 256
ASK_S: Final = 3.0
ASKERS: Final = 32
_BURST: Final = 64
_BURST_S: Final = 0.01


def addresses_of(networks: Sequence[str]) -> list[str]:
    """The addresses in networks, each once, in order.

    Args:
        networks: `10.20.0.0/22`, or a single address.

    Raises:
        UsageError: one is no IPv4 network, or they are too large.

    >>> addresses_of(["10.20.0.8/30", "10.20.0.9"])
    ['10.20.0.9', '10.20.0.10']
    """
    found: dict[str, None] = {}
    for one in networks:
        try:
            network = ipaddress.IPv4Network(one, strict=False)
        except ValueError:
            raise UsageError(f"`{one[:60]}` is no IPv4 network", hint="--sweep 10.20.0.0/22") from None
        if network.num_addresses > LARGEST or len(found) > LARGEST:
            raise UsageError(
                f"`{one}` has {network.num_addresses} addresses, more than {LARGEST} are not swept at once",
                hint="name the school's own networks, one --sweep each",
            )
        found.update(dict.fromkeys(str(host) for host in network.hosts()))
    return list(found)


def sweep(
    networks: Sequence[str],
    *,
    timeout_s: float = 3.0,
    ports: Sequence[int] = PORTS,
    port: int = PORT,
    progress: Callable[[int, int], None] | None = None,
) -> list[CameraFound]:
    """Asks every address of some networks whether a camera is there.

    Args:
        networks: as `addresses_of` takes them.
        timeout_s: how long to listen for answers to Probes, in seconds.
        ports: TCP ports that are tried.
        port: UDP port of WS-Discovery.
        progress: called with how many addresses are done and how many there are.

    Raises:
        UsageError: as `addresses_of`.
    """
    hosts = addresses_of(networks)
    with ThreadPoolExecutor(1, "edusense-probe") as listening:
        told = listening.submit(_probe_all, hosts, timeout_s, port)
        open_at = asyncio.run(_open_ports(hosts, ports, progress))
        found = {one.source: one for one in told.result()}
    silent = [(host, at) for host in hosts if host not in found for at in ports if (host, at) in open_at]
    with ThreadPoolExecutor(ASKERS, "edusense-sweep") as asking:
        for one in asking.map(_ask, silent):
            if one is not None:
                found.setdefault(one.source, one)
    return [found[host] for host in hosts if host in found]


def _probe_all(hosts: Sequence[str], timeout_s: float, port: int) -> list[CameraFound]:
    """Sends each a Probe of its own and listens."""
    message = f"urn:uuid:{uuid.uuid4()}"
    found: dict[str, CameraFound] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        opened.settimeout(_BURST_S)
        opened.bind(("", 0))
        end = time.monotonic() + timeout_s
        waiting = list(hosts)
        while time.monotonic() < end:
            for host in waiting[:_BURST]:
                with contextlib.suppress(OSError):  # no way there: others may have one
                    opened.sendto(probe("", message), (host, port))
            del waiting[:_BURST]
            burst = time.monotonic() + _BURST_S
            while time.monotonic() < (burst if waiting else end):
                try:
                    datagram, (source, _) = opened.recvfrom(DATAGRAM_LIMIT)
                except OSError:  # nothing for now, or somebody's "port unreachable"
                    continue
                for one in read_matches(datagram, source, {message}):
                    found.setdefault(source, one)
    return list(found.values())


async def _open_ports(
    hosts: Sequence[str], ports: Sequence[int], progress: Callable[[int, int], None] | None
) -> set[tuple[str, int]]:
    """Which of the ports are open where."""
    room = asyncio.Semaphore(CONNECTIONS)
    found: set[tuple[str, int]] = set()
    done = 0

    async def one(host: str) -> None:
        nonlocal done
        for at in ports:
            async with room:
                if await _is_open(host, at):
                    found.add((host, at))
        done += 1
        if progress is not None:
            progress(done, len(hosts))

    await asyncio.gather(*(one(host) for host in hosts))
    return found


async def _is_open(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), CONNECT_S)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


def _ask(place: tuple[str, int]) -> CameraFound | None:
    """Whether it is a camera that answers there."""
    host, port = place
    netloc = host if port == 80 else f"{host}:{port}"
    for path in PATHS:
        url = f"http://{netloc}{path}"
        session = Session(url, timeout_s=ASK_S, visit_s=2 * ASK_S)
        try:
            session.clock()
            said = session.call_if_known("device", "GetEndpointReference", anonymous=True)
            endpoint = soap.text(said, "GUID") or f"address:{url}"
        except DeviceRefusedError:
            endpoint = f"address:{url}"  # it wants a login for its time, or says no in SOAP: it is there
        except DeviceError:
            continue
        finally:
            session.close()
        return CameraFound(address=f"onvif:{url}", endpoint=endpoint[:256], source=host)
    return None
