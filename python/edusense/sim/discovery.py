"""WS-Discovery's answering half, for all virtual cameras of a process: one socket on UDP 3702, any number of devices
behind it.

Sources: WS-Discovery (April 2005) 5.3 (ProbeMatch to the sender, after a random wait), ONVIF Core Specification 7.3. It
    listens on loopback
unless told otherwise: a virtual camera must not turn up in somebody's real network by accident.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import socket
import struct
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from edusense.sim.onvif_http import SharedLoop
from edusense.sim.onvif_xml import NAMESPACES, Element, XmlError, envelope, escape, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from edusense.sim.onvif_server import OnvifServer

__all__ = ["Announced", "DiscoveryResponder", "findable", "is_meant", "probe_match"]

GROUP: Final = "239.255.255.250"
PORT: Final = 3702
SPREAD_S: Final = 0.3
"""Answers leave within this time, each at a random moment, so that hundreds do not overrun who asked (the standard
allows 0.5 s).
"""

_IP_PKTINFO: Final = 8
"""linux/in.h; Python names it from 3.14 on."""
TYPES: Final = (("dn", "NetworkVideoTransmitter"), ("tds", "Device"))


@dataclass(frozen=True, slots=True)
class Announced:
    """A device that is found.

    Args:
        endpoint: its stable name, `urn:uuid:…`.
        scopes: what it says about itself.
        addresses: URLs of its device service.
        types: prefix and name of what it says that it is.
        untyped_only: it answers no Probe that names types.
        source: the IPv4 address that it answers from; None: whichever the kernel takes.
    """

    endpoint: str
    scopes: tuple[str, ...]
    addresses: tuple[str, ...]
    types: tuple[tuple[str, str], ...] = TYPES
    untyped_only: bool = False
    source: str | None = None


def is_meant(wanted: Element, device: Announced) -> bool:
    """Whether a Probe means a device: by its types and scopes, each of which may be left out.

    Types are compared by local name: the prefixes are the asker's own, and expat has resolved those of elements, not of
    text.
    """
    types = {one.rpartition(":")[2] for one in wanted.value("Types").split()}
    scopes = wanted.value("Scopes").split()
    if device.untyped_only and types:
        return False
    return types <= {name for _, name in device.types} and all(
        any(own == scope or own.startswith(scope.rstrip("/") + "/") for own in device.scopes) for scope in scopes
    )


def probe_match(device: Announced, relates_to: str, number: int) -> bytes:
    """The answer of one device to one Probe.

    Args:
        device: which.
        relates_to: the Probe's message id.
        number: counts this responder's messages.
    """
    types = " ".join(f"{prefix}:{name}" for prefix, name in sorted(device.types))
    return envelope(
        "<wsd:ProbeMatches><wsd:ProbeMatch>"
        f"<wsa:EndpointReference><wsa:Address>{escape(device.endpoint)}</wsa:Address></wsa:EndpointReference>"
        f"<wsd:Types>{types}</wsd:Types><wsd:Scopes>{escape(' '.join(device.scopes))}</wsd:Scopes>"
        f"<wsd:XAddrs>{escape(' '.join(device.addresses))}</wsd:XAddrs><wsd:MetadataVersion>1</wsd:MetadataVersion>"
        "</wsd:ProbeMatch></wsd:ProbeMatches>",
        header=f"<wsa:MessageID>urn:uuid:{uuid.uuid4()}</wsa:MessageID><wsa:RelatesTo>{escape(relates_to)}</wsa:RelatesTo>"
        "<wsa:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</wsa:To>"
        f"<wsa:Action>{NAMESPACES['wsd']}/ProbeMatches</wsa:Action>"
        f'<wsd:AppSequence InstanceId="1" MessageNumber="{number}"/>',
    )


class DiscoveryResponder:
    """Answers Probes for any number of virtual cameras.

    Args:
        interfaces: our IPv4 addresses on the interfaces to listen on.
        port: UDP port; 0 takes a free one, which `port` then tells.
        spread_s: answers leave within this time, in seconds.
        seed: for the random moments.
    """

    def __init__(
        self, interfaces: Sequence[str] = ("127.0.0.1",), *, port: int = PORT, spread_s: float = SPREAD_S, seed: int = 0
    ) -> None:
        self.interfaces, self.port = tuple(interfaces), port
        self._spread_s, self._random = spread_s, random.Random(seed)
        self._devices: dict[str, Callable[[], Announced | None]] = {}
        self._shared: SharedLoop | None = None
        self._socket: socket.socket | None = None
        self._sent = 0

    def add(self, endpoint: str, scopes: Iterable[str], addresses: Iterable[str]) -> None:
        """Makes a device findable, or changes what is said about it.

        Args:
            endpoint: its stable name, `urn:uuid:…`.
            scopes: what it says about itself.
            addresses: URLs of its device service.
        """
        told = Announced(endpoint, tuple(scopes), tuple(addresses))
        self._put({endpoint: lambda: told})

    def add_servers(self, servers: Iterable[OnvifServer]) -> None:
        """Makes virtual cameras findable: as they are when somebody asks, and not while they restart or hide."""
        self._put({one.identity.endpoint_reference: functools.partial(announced, one) for one in servers})

    def _put(self, devices: dict[str, Callable[[], Announced | None]]) -> None:
        # Replaced whole, so that the loop's thread never sees a dictionary that changes under it.
        self._devices = {**self._devices, **devices}

    def remove(self, endpoint: str) -> None:
        """Makes a device unfindable; harmless when it was not there."""
        self._devices = {name: ask for name, ask in self._devices.items() if name != endpoint}

    def start(self) -> Self:
        """Begins to answer.

        Raises:
            OSError: the port is taken by a program that does not share it, or an interface does not exist.
        """
        if self._shared is None:
            opened = self._open()
            shared = SharedLoop.acquire()

            async def serve() -> None:
                shared.loop.add_reader(opened.fileno(), self._readable, opened)

            try:
                shared.run(serve())
            except BaseException:
                opened.close()
                shared.release()
                raise
            self._shared, self._socket = shared, opened
        return self

    def close(self) -> None:
        """Stops answering; harmless when repeated."""
        shared, self._shared = self._shared, None
        if shared is not None:
            try:
                shared.run(self._stop())
            finally:
                shared.release()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> socket.socket:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            opened.setblocking(False)
            # Other programs on this machine may listen for the same group.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind(("", self.port))
            self.port = opened.getsockname()[1]
            for address in self.interfaces:
                membership = socket.inet_aton(GROUP) + socket.inet_aton(address)
                opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
            # Linux otherwise hands over the group's datagrams from every interface that anybody has joined it on.
            opened.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_MULTICAST_ALL", 49), 0)
            opened.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        except BaseException:
            opened.close()
            raise
        return opened

    async def _stop(self) -> None:
        opened, self._socket = self._socket, None
        if opened is not None:
            asyncio.get_running_loop().remove_reader(opened.fileno())
            opened.close()

    def _readable(self, opened: socket.socket) -> None:
        while True:
            try:
                datagram, told, _, source = opened.recvmsg(65_535, 64)
            except OSError:  # nothing more; or whoever asked was gone before the answer came
                return
            to = next((socket.inet_ntoa(data[8:12]) for _, kind, data in told if kind == _IP_PKTINFO), GROUP)
            self._heard(datagram, source, to)

    def _heard(self, datagram: bytes, source: Any, to: str) -> None:
        try:
            message = parse(datagram)
        except XmlError:
            return
        wanted = message.find("Body", "Probe")
        relates_to = message.value("Header", "MessageID")
        if wanted is None or wanted.namespace != NAMESPACES["wsd"] or not relates_to:
            return
        loop = asyncio.get_running_loop()
        for ask in self._devices.values():
            device = ask()
            # A Probe to one address is for who is there.
            if device is not None and to in (GROUP, device.source) and is_meant(wanted, device):
                loop.call_later(self._random.uniform(0, self._spread_s), self._tell, device, relates_to, source)

    def _tell(self, device: Announced, relates_to: str, source: Any) -> None:
        if self._socket is None:
            return
        self._sent += 1
        answer, more = probe_match(device, relates_to, self._sent), []
        if device.source is not None:
            # From the device's own address (ip(7), IP_PKTINFO): that is where a search takes it to be.
            info = struct.pack("=I4s4s", 0, socket.inet_aton(device.source), b"\0\0\0\0")
            more = [(socket.IPPROTO_IP, _IP_PKTINFO, info)]
        with contextlib.suppress(OSError):  # a full buffer, or an address that has just gone: as on any network
            self._socket.sendmsg([answer], more, 0, source)


@contextlib.contextmanager
def findable(servers: Iterable[OnvifServer | None], *, port: int = PORT) -> Iterator[str | None]:
    """Makes virtual cameras findable as long as the `with` block runs, on the interfaces that they listen on.

    A machine where another program keeps the port to itself is no reason not to serve them: they can still be asked.

    Args:
        servers: their ONVIF halves, started; None for those without.
        port: UDP port.

    Yields:
        None; or why they cannot be found.
    """
    serving = [server for server in servers if server is not None]
    hosts = {"127.0.0.1" if server.host.startswith("127.") else server.host for server in serving}
    if not serving:
        yield None
        return
    responder = DiscoveryResponder(sorted(hosts), port=port)
    try:
        responder.start()
    except OSError as error:
        yield f"cameras will not be found by a search: UDP port {port}: {error.strerror}"
        return
    with responder:
        responder.add_servers(serving)
        yield None


def announced(server: OnvifServer) -> Announced | None:
    """What a virtual camera says about itself in a search; None where it says nothing."""
    if server.state.down or not server.state.discoverable:
        return None
    types = TYPES[1:] if "device-type-only" in server.faults else TYPES
    address = server.url
    if elsewhere := server.false_host:
        address = address.replace(server.host, elsewhere)
    return Announced(
        server.identity.endpoint_reference,
        tuple(server.scopes),
        (address,),
        types,
        "answers-untyped-only" in server.faults,
        server.host if server.host.startswith("127.") else None,
    )
