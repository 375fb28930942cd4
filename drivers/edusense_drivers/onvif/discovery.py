"""Finding cameras by WS-Discovery: three probes on every interface, answers read tolerantly, each camera once.

Sources: WS-Discovery (April 2005), ONVIF Core Specification 7. A probe for `dn:NetworkVideoTransmitter` alone misses
    cameras that answer only
as `tds:Device`, and both miss those that answer only to a probe without types: so all three are sent, twice, because
UDP loses.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import selectors
import socket
import struct
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit
from xml.sax.saxutils import escape

from edusense.devices.camera import CameraFound
from edusense.errors import DeviceNotFoundError, DeviceProtocolError
from edusense_drivers.onvif import soap
from edusense_drivers.onvif.camera import mac, scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lxml import etree

__all__ = ["GROUP", "PORT", "discover", "interface_addresses", "merged", "probe", "read_matches"]

GROUP: Final = "239.255.255.250"
PORT: Final = 3702
PROBES: Final = ("", "dn:NetworkVideoTransmitter", "tds:Device")
ROUNDS_S: Final = (0.0, 0.4)
"""When the probes go out, in seconds from the start."""
DATAGRAM_LIMIT: Final = 65_535
RECEIVE_BUFFER: Final = 4 * 1024 * 1024
"""Hundreds of cameras answer within half a second; the usual 200 kB hold 150 of them."""
_SIOCGIFADDR: Final = 0x8915


def probe(types: str, message: str) -> bytes:
    """A Probe.

    Args:
        types: `dn:NetworkVideoTransmitter`, `tds:Device`, or empty for everything that is there.
        message: its id, as `urn:uuid:…`; answers name it.
    """
    wanted = f"<d:Types>{escape(types)}</d:Types>" if types else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
        ' xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="http://www.onvif.org/ver10/network/wsdl"'
        ' xmlns:tds="http://www.onvif.org/ver10/device/wsdl"><e:Header>'
        f"<w:MessageID>{escape(message)}</w:MessageID><w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>"
        "<w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>"
        f"<e:Body><d:Probe>{wanted}</d:Probe></e:Body></e:Envelope>"
    ).encode()


def discover(
    *,
    timeout_s: float = 3.0,
    interfaces: Sequence[str] | None = None,
    port: int = PORT,
    sweep: Sequence[str] = (),
    sweep_ports: Sequence[int] = (),
    progress: Callable[[int, int], None] | None = None,
) -> list[CameraFound]:
    """Searches every interface for cameras, and besides asks every address of some networks.

    Args:
        timeout_s: how long to listen, in seconds.
        interfaces: interfaces by name (`eth0`) or by our IPv4 address on them; None for all that are up.
        port: UDP port of WS-Discovery.
        sweep: networks (`10.20.0.0/22`) whose addresses are asked one by one.
        sweep_ports: TCP ports that are tried there, instead of the usual ones.
        progress: called with how many of these addresses are done and how many there are.

    Returns:
        Each camera once, in the order in which they answered.

    Raises:
        DeviceNotFoundError: an interface does not exist or has no IPv4 address.
        UsageError: what is to be swept is no network, or too large.
    """
    found = _search(timeout_s, interfaces, port)
    if sweep:
        from edusense_drivers.onvif.sweep import PORTS
        from edusense_drivers.onvif.sweep import sweep as ask_each

        swept = ask_each(sweep, timeout_s=timeout_s, ports=sweep_ports or PORTS, port=port, progress=progress)
        found = merged(found.values(), swept)
    neighbours = _neighbours()
    return [replace(one, mac=neighbours.get(one.source) or one.mac) for one in found.values()]


def merged(found: Iterable[CameraFound], swept: Iterable[CameraFound]) -> dict[str, CameraFound]:
    """Each camera once, by endpoint: those that answered to a search, and those of a sweep.

    Whoever tells a sweep no endpoint, because it wants a login first, is known by its address: it may have told the
    search.
    """
    known = {one.endpoint: one for one in found}
    at = {one.address: one.endpoint for one in known.values()}
    for camera in swept:
        nameless = camera.endpoint.startswith("address:")
        endpoint = at.get(camera.address, camera.endpoint) if nameless else camera.endpoint
        known[endpoint] = _joined(known[endpoint], camera) if endpoint in known else camera
    return known


def _search(timeout_s: float, interfaces: Sequence[str] | None, port: int) -> dict[str, CameraFound]:
    """Who answers to a search, by endpoint."""
    addresses = interface_addresses(interfaces)
    found: dict[str, CameraFound] = {}
    messages = {types: f"urn:uuid:{uuid.uuid4()}" for types in PROBES}
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for address in addresses:
            opened = stack.enter_context(_socket(address))
            selector.register(opened, selectors.EVENT_READ)
        begun = time.monotonic()
        waiting = list(ROUNDS_S)
        while (now := time.monotonic() - begun) < timeout_s:
            if waiting and now >= waiting[0]:
                waiting.pop(0)
                _send_probes(selector, messages, port)
            until = min(waiting[0] if waiting else timeout_s, timeout_s)
            for key, _ in selector.select(max(0.0, until - now)):
                for camera in _receive(key.fileobj, set(messages.values())):
                    known = found.get(camera.endpoint)
                    found[camera.endpoint] = camera if known is None else _joined(known, camera)
    return found


def _socket(address: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        opened.bind((address, 0))
    except BaseException:
        opened.close()
        raise
    return opened


def _send_probes(selector: selectors.BaseSelector, messages: dict[str, str], port: int) -> None:
    for key in selector.get_map().values():
        assert isinstance(key.fileobj, socket.socket)
        for types, message in messages.items():
            # An interface that went down meanwhile must not end the search on the others.
            with contextlib.suppress(OSError):
                key.fileobj.sendto(probe(types, message), (GROUP, port))


def _receive(opened: object, ours: set[str]) -> Iterator[CameraFound]:
    assert isinstance(opened, socket.socket)
    while True:
        try:
            datagram, (source, _) = opened.recvfrom(DATAGRAM_LIMIT)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETDOWN):
                return
            raise
        yield from read_matches(datagram, source, ours)


def read_matches(datagram: bytes, source: str, ours: set[str] | None = None) -> list[CameraFound]:
    """The cameras in an answer; none where it is no answer to us, or nonsense.

    Args:
        datagram: what came.
        source: the IP address that it came from.
        ours: ids of our probes; answers to other people's are left out. None takes every answer.
    """
    try:
        root = soap.parse(datagram, source)
    except DeviceProtocolError:
        return []
    answered = soap.text(root, "Header", "RelatesTo")
    if ours is not None and answered is not None and answered not in ours:
        return []
    matches = soap.child(root, "Body", "ProbeMatches")
    return [camera for match in soap.children(matches, "ProbeMatch") if (camera := _camera(match, source))]


def _camera(match: etree._Element, source: str) -> CameraFound | None:
    addresses = (soap.text(match, "XAddrs") or "").split()[:16]
    types = soap.text(match, "Types") or ""
    scopes = tuple(one[:256] for one in (soap.text(match, "Scopes") or "").split()[:64])
    if not _is_camera(types, scopes):
        return None
    address = _best(addresses, source)
    if address is None:
        return None
    endpoint = (soap.text(match, "EndpointReference", "Address") or f"address:{address}")[:256]
    return CameraFound(
        address=f"onvif:{address}",
        endpoint=endpoint,
        source=source,
        name=scope(scopes, "name"),
        hardware=scope(scopes, "hardware"),
        location=scope(scopes, "location"),
        mac=mac(scope(scopes, "MAC")),
        scopes=scopes,
    )


def _is_camera(types: str, scopes: Iterable[str]) -> bool:
    """Whether it is one of ours: printers and Windows answer an untyped probe too."""
    names = {one.rpartition(":")[2] for one in types.split()}
    return "NetworkVideoTransmitter" in names or any(one.startswith("onvif://www.onvif.org/") for one in scopes)


def _best(addresses: list[str], source: str) -> str | None:
    """The address to use: the one at the IP that answered, else the first with that IP put in (NAT, 0.0.0.0, IPv6)."""
    usable: list[str] = []
    for address in addresses:
        with contextlib.suppress(ValueError):
            parts = urlsplit(address)
            port = f":{parts.port}" if parts.port else ""
            if parts.scheme in ("http", "https") and parts.hostname and address.isascii() and parts.username is None:
                if parts.hostname == source:
                    return urlunsplit(parts._replace(fragment=""))
                usable.append(urlunsplit(parts._replace(netloc=f"{source}{port}", fragment="")))
    return usable[0] if usable else None


def _joined(one: CameraFound, other: CameraFound) -> CameraFound:
    """Two answers of one camera: what the first left out is taken from the second."""
    return replace(
        one,
        name=one.name or other.name,
        hardware=one.hardware or other.hardware,
        location=one.location or other.location,
        mac=one.mac or other.mac,
        scopes=one.scopes or other.scopes,
    )


def interface_addresses(wanted: Sequence[str] | None = None) -> list[str]:
    """Our IPv4 addresses, one per interface.

    Args:
        wanted: interfaces by name or by our address on them; None for all that are up.

    Raises:
        DeviceNotFoundError: one does not exist or has no IPv4 address.
    """
    here = {name: address for _, name in socket.if_nameindex() if (address := _address_of(name))}
    if wanted is None:
        return list(dict.fromkeys(here.values()))
    found: list[str] = []
    for one in wanted:
        if one in here:
            found.append(here[one])
        elif one in here.values() or one.startswith("127."):
            found.append(one)
        else:
            known = ", ".join(f"{name} ({address})" for name, address in here.items()) or "none"
            raise DeviceNotFoundError(f"no network interface `{one}` with an IPv4 address", hint=f"there are: {known}")
    return list(dict.fromkeys(found))


def _address_of(interface: str) -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            answer = fcntl.ioctl(asked.fileno(), _SIOCGIFADDR, struct.pack("256s", interface[:15].encode()))
        except OSError:  # down, or without IPv4
            return None
    return socket.inet_ntoa(answer[20:24])


def _neighbours(table: Path = Path("/proc/net/arp")) -> dict[str, str]:
    """MAC by IP address, as the kernel knows them: the surest source, since some cameras tell a wrong one."""
    try:
        lines = table.read_text(encoding="ascii", errors="replace").splitlines()[1:]
    except OSError:
        return {}
    rows = (line.split() for line in lines)
    return {row[0]: told for row in rows if len(row) >= 4 and (told := mac(row[3]))}
