"""A virtual camera's ONVIF half: device and media services over HTTP and a still picture, for any client.

```python
server = OnvifServer(Identity(name="205 front"), [Profile("main", "Main", 1920, 1080, 25, 4000, "H264", rtsp_url)],
                     user="edusense", password="…", snapshot=camera.jpeg)
with server:
    print(server.url)   # http://127.0.0.1:43211/onvif/device_service
```

Sources: ONVIF Core Specification 5 (HTTP status, faults, access classes), Device Management and Media service
specifications. All servers of a process share one thread; 200 of them cost nothing while nobody asks.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field, replace
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote

from edusense.sim import (  # each registers its operations
    onvif_events,
    onvif_imaging,  # noqa: F401
    onvif_media2,  # noqa: F401
    onvif_network,  # noqa: F401
    onvif_services,
    onvif_sets,
    onvif_users,  # noqa: F401
)
from edusense.sim.onvif_answers import SPOILING, spoiled
from edusense.sim.onvif_auth import Guard, StaleNonceFault, utc
from edusense.sim.onvif_events import Events, Happening
from edusense.sim.onvif_http import HttpServer, Request, Response
from edusense.sim.onvif_lies import LIES, MANNERS, refuses
from edusense.sim.onvif_services import SERVICES
from edusense.sim.onvif_state import CODECS, NetworkState, State, User
from edusense.sim.onvif_xml import NAMESPACES, Fault, XmlError, envelope, parse

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Iterable, Sequence

    from edusense.sim.onvif_xml import Element
    from edusense.sim.shelf import Shelf

__all__ = ["LIES", "Identity", "OnvifServer", "Profile"]

DEVICE_PATH: Final = SERVICES["tds"]
SNAPSHOT_PATH: Final = "/snapshot"
SLOW_ANSWER_S: Final = 0.3
FOR_ADMINISTRATORS: Final = frozenset(
    {
        *("GetNetworkInterfaces", "GetUsers", "GetScopes", "CreateUsers", "SetUser", "DeleteUsers"),
        *("SetNetworkInterfaces", "SetNetworkDefaultGateway", "SetDNS", "SetNTP", "SetHostname", "SystemReboot"),
    }
)
"""ONVIF Core 5.9.4.3: what only an administrator may; the first three are what a camera with few rights keeps to
itself.
"""
_ABOUT_USERS: Final = frozenset({"GetUsers", "CreateUsers", "SetUser", "DeleteUsers"})
SAME_MAC: Final = "02:ed:5a:5a:5a:5a"
"""What cameras with the lie `same-mac` all tell."""
CLOCK_LIE_S: Final = -3 * 86400.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a virtual camera is.

    Args:
        name: what the installer called it (scope `name`).
        mac: MAC address, `02:…` being the range for devices that do not exist.
        manufacturer: as GetDeviceInformation tells it.
        model: likewise.
        firmware: likewise.
        serial: likewise; the MAC without colons where it is empty.
        hardware: hardware id.
        location: where it hangs (scope `location`).
        endpoint: `urn:uuid:…`; made from the MAC, hence the same on each start, where it is empty.
    """

    name: str = "virtual camera"
    mac: str = "02:ed:00:00:00:01"
    manufacturer: str = "edusense"
    model: str = "Virtual Camera"
    firmware: str = "1.0"
    serial: str = ""
    hardware: str = "sim"
    location: str = ""
    endpoint: str = ""

    @property
    def serial_number(self) -> str:
        """The serial number, made from the MAC where none was given."""
        return self.serial or self.mac.replace(":", "").upper()

    @property
    def endpoint_reference(self) -> str:
        """The stable name in WS-Discovery."""
        return self.endpoint or f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, 'edusense:sim:' + self.mac.lower())}"

    @property
    def scopes(self) -> list[str]:
        """What it says about itself in WS-Discovery and GetScopes (ONVIF Core 7.3.2)."""
        said = {"name": self.name, "hardware": self.model, "location": self.location, "MAC": self.mac}
        return [
            "onvif://www.onvif.org/type/video_encoder",
            "onvif://www.onvif.org/type/Network_Video_Transmitter",
            "onvif://www.onvif.org/Profile/Streaming",
            *(f"onvif://www.onvif.org/{key}/{quote(value, safe=':')}" for key, value in said.items() if value),
        ]


@dataclass(frozen=True, slots=True)
class Profile:
    """One stream of a virtual camera, as its media service tells it.

    Args:
        token: its name in requests.
        name: its name for people.
        width: pixels.
        height: pixels.
        fps: pictures a second.
        kbit: limit of the bit rate, kbit/s.
        encoding: `H264`, `H265` or `JPEG`. Media1 has no word for H.265: such a profile has no encoder configuration,
            as on real cameras.
        rtsp_url: where it streams.
        gop: pictures from one key picture to the next.
        constant: strict constant bit rate.
        fixed: its encoder offers what it does and nothing else.
    """

    token: str
    name: str
    width: int
    height: int
    fps: float
    kbit: int
    encoding: str
    rtsp_url: str
    gop: int = 50
    constant: bool = True
    fixed: bool = False


class HangingError(Exception):
    """Nothing is to be answered, and the connection kept open."""


@dataclass(slots=True)
class OnvifServer:
    """The ONVIF services of one virtual camera, on a port of its own.

    Args:
        identity: who it is.
        profiles: its streams, the largest first as cameras do.
        user: its first user, an administrator.
        password: that user's password; None: nobody needs one.
        snapshot: makes the JPEG that `GetSnapshotUri` leads to; called in a thread.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        allow_password_text: accept WS-UsernameToken with the password in clear.
        clock: Unix seconds; the camera's own clock.
        faults: names out of `LIES`; may be changed while it runs.
        schemes: what is accepted: `wsse`, `digest`.
        algorithms: digest algorithms offered, in order: `MD5`, `SHA-256`.
        ntp: says that its clock follows NTP, until it is told otherwise.
        media1: has the Media service (Profile S).
        media2: has the Media2 service (Profile T).
        codecs: what its encoders can be set to.
        reboot_s: how long a restart takes.
        tls: serves https with this context.
        lease: the address that a DHCP server has for it; None: the one that it has.
        shelf: it does not listen itself: others have the same address, and the shelf says whose turn it is.
        on_move: called on the server's thread when it has come back at another address.
        on_encoders: called on the server's thread when what its encoders are set to has changed.
        on_users: likewise for its users.
    """

    identity: Identity
    profiles: Sequence[Profile]
    user: str
    password: str | None
    snapshot: Callable[[], bytes] | None = None
    host: str = "127.0.0.1"
    port: int = 0
    allow_password_text: bool = False
    clock: Callable[[], float] = time.time
    faults: Collection[str] = ()
    schemes: Sequence[str] = ("wsse", "digest")
    algorithms: Sequence[str] = ("MD5",)
    ntp: bool = True
    media1: bool = True
    media2: bool = True
    codecs: Sequence[str] = CODECS
    reboot_s: float = 1.0
    tls: ssl.SSLContext | None = None
    lease: str | None = None
    shelf: Shelf | None = None
    on_move: Callable[[str], None] | None = None
    on_encoders: Callable[[], None] | None = None
    on_users: Callable[[], None] | None = None
    state: State = field(init=False)
    """What it remembers of what it was told."""
    events: Events = field(init=False, default_factory=Events)
    """Who has subscribed to its events."""
    requests: int = field(default=0, init=False)
    """How many HTTP requests came."""
    hanging: HangingError = field(init=False, default_factory=HangingError)
    """Raised by an operation that never answers."""
    _guard: Guard = field(init=False, repr=False)
    _http: HttpServer | None = field(default=None, init=False, repr=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False, repr=False)
    _moving: asyncio.Task[None] | None = field(default=None, init=False, repr=False)
    _told: tuple[object, object] = field(default=({}, {}), init=False, repr=False)

    def __post_init__(self) -> None:
        self.set_faults(self.faults)
        self.state = State(
            f"camera-{self.identity.mac.replace(':', '')}",
            self.identity.name,
            self.identity.location,
            users={} if self.password is None else {self.user: User(self.password)},
            network=NetworkState(self.host),
            follows_ntp=self.ntp,
            codecs=tuple(self.codecs),
        )
        self._told = (self.state.encoders, self.state.users)
        self._guard = Guard(
            None if self.password is None else self._passwords,
            self.now,
            schemes=self.schemes,
            algorithms=self.algorithms,
            allow_password_text=self.allow_password_text,
            lies=lambda: self.faults,
        )

    def _passwords(self) -> dict[str, str]:
        return {name: one.password for name, one in self.state.users.items()}

    def set_faults(self, faults: Iterable[str]) -> None:
        """Replaces the lies that it tells, at once.

        Raises:
            ValueError: a name that is not in `LIES`.
        """
        wanted = frozenset(faults)
        if unknown := wanted - LIES.keys():
            raise ValueError(f"unknown fault `{min(unknown)}`; known: {', '.join(LIES)}")
        self.faults = wanted

    def now(self) -> float:
        """What its clock shows, in Unix seconds."""
        lie = CLOCK_LIE_S if "wrong-clock" in self.faults and not self.state.clock_set else 0.0
        return self.clock() + lie + self.state.clock_offset_s

    @property
    def mac(self) -> str:
        """The MAC address that it tells."""
        return SAME_MAC if "same-mac" in self.faults else self.identity.mac

    @property
    def scopes(self) -> list[str]:
        """What it says about itself in GetScopes: as it was made, with the names that it was given since."""
        hidden = ("/name/", "/location/", *(("/MAC/",) if "no-interfaces" in self.faults else ()))
        made = [one for one in replace(self.identity, mac=self.mac).scopes if not any(part in one for part in hidden)]
        if self.media2:
            made.insert(3, "onvif://www.onvif.org/Profile/T")
        return made + onvif_sets.scopes_of(self.state.name, self.state.location)

    # ---- what happens to it

    def change(self, operation: str, work: Callable[[], None], *, network: bool = False) -> bool:
        """Does what a Set asks for, or lies about it: `State.change`."""
        needed = self.state.change(operation, self.faults, work, network=network)
        self._tell()
        return needed

    def set_network(self, operation: str, wanted: NetworkState) -> bool:
        """Takes another place in the network, with its next restart or at once; whether the answer asks for one."""
        lies = frozenset(self.faults)

        def work() -> None:
            self.state.network = wanted

        if "network-reverts" in lies:
            self.state.sets.append(operation)
            self.state.reboot(2 * self.reboot_s)
            return False
        moves = wanted.address != self.host or wanted.dhcp
        if "moves-at-once" in lies:
            self.change(operation, work, network=True)
            self._move(0.0)
            raise self.hanging
        if not moves or lies & {"ignores-sets", "refuses-sets", "goes-away"}:
            return self.change(operation, work, network=True)
        self.change(operation, lambda: self.state.at_restart(work))
        return True

    def go_down(self) -> None:
        """Restarts: nobody answers for `reboot_s` seconds, then what waited for it holds."""
        self.state.reboot(self.reboot_s, self.faults, self.clock())
        self.events.forget()
        self._tell()
        self._move(self.reboot_s)

    def _tell(self) -> None:
        """Says to whoever wants to know what has changed."""
        encoders, users = self._told
        self._told = (self.state.encoders, self.state.users)
        if self.on_encoders is not None and encoders != self.state.encoders:
            self.on_encoders()
        if self.on_users is not None and users is not self.state.users:
            self.on_users()

    def _move(self, after_s: float) -> None:
        """Goes to the address that it should have now, where that is another one."""
        network = self.state.network
        target = (self.lease or self.host) if network.dhcp else network.address
        if target == self.host or self._loop is None:
            return
        if "comes-back-elsewhere" in self.faults:
            head, _, tail = target.rpartition(".")
            target = f"{head}.{(int(tail) + 100) % 250 + 1}"
        loop, http = self._loop, self._http or self._listening(target)
        self._http = http

        async def go() -> None:
            await asyncio.sleep(0.05)  # the answer goes out first
            if self.shelf is None:
                await http.leave()
            await asyncio.sleep(after_s)
            if self.shelf is not None:
                self.shelf.remove(self)
                self.shelf = None
            self.host = target
            self.state.network = replace(self.state.network, address=target)
            await http.arrive(target)
            if self.on_move is not None:
                self.on_move(target)

        def begin() -> None:
            self._moving = loop.create_task(go())

        loop.call_soon_threadsafe(begin)

    def tell(self, topic: str, source: tuple[str, str], data: tuple[str, str], operation: str = "Changed") -> None:
        """Tells an event to everybody who has subscribed; from any thread."""
        happening = Happening(topic, source, data, operation, self.now())
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.events.tell, happening)

    def tell_states(self) -> None:
        """Says how everything is that it can tell of; on the loop's thread."""
        covered, failing = ("true" if lie in self.faults else "false" for lie in ("covered", "disk-full"))
        video = ("VideoSourceConfigurationToken", f"{onvif_services.SOURCE}-configuration")
        for topic, source, data in (
            (onvif_events.MOTION, video, ("IsMotion", "false")),
            (onvif_events.TAMPER, ("Source", onvif_services.SOURCE), ("State", covered)),
            (onvif_events.STORAGE, ("Token", "sd-1"), ("Failed", failing)),
        ):
            self.events.tell(Happening(topic, source, data, "Initialized", self.now()))

    # ---- life

    @property
    def login_failures(self) -> int:
        """How often somebody came with a wrong user or password."""
        return self._guard.failures

    @property
    def url(self) -> str:
        """Where its device service is."""
        return f"{'http' if self.tls is None else 'https'}://{self.host}:{self.port}{DEVICE_PATH}"

    def start(self) -> Self:
        """Begins to serve.

        Raises:
            OSError: the port is taken or the address is not this machine's.
        """
        if self.shelf is not None:
            self.host, self.port, self._loop = self.shelf.put(self)
        elif self._http is None:
            self._http = http = self._listening(self.host).start()
            self._loop = http.loop
            self.port = http.port
        return self

    def _listening(self, host: str) -> HttpServer:
        return HttpServer(
            self.answer,
            host=host,
            port=self.port,
            hush=lambda: "silent" in self.faults,
            away=lambda: self.state.down,
            tls=self.tls,
        )

    def close(self) -> None:
        """Stops serving; harmless when repeated."""
        http, self._http = self._http, None
        if self.shelf is not None:
            self.shelf.remove(self)
        if http is not None:
            http.close()
        self._loop = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- addresses

    @property
    def false_host(self) -> str | None:
        """The host that it gives in addresses instead of its own."""
        if "wrong-xaddr" in self.faults:
            return "10.255.255.1"
        return "0.0.0.0" if "zero-xaddr" in self.faults else None  # noqa: S104 - no address is listened on

    def base(self, request: Request) -> str:
        """Scheme, host and port that addresses in answers begin with: as the client reached us, unless lying."""
        scheme = "http" if self.tls is None else "https"
        if "wrong-xaddr" in self.faults:
            return f"{scheme}://10.255.255.1"
        if "relative-xaddr" in self.faults:
            return ""
        host = request.headers.get("host", "")
        plain = host and all(c.isascii() and (c.isalnum() or c in ".-:[]") for c in host)
        host = host if plain else f"{self.host}:{self.port}"
        if "zero-xaddr" in self.faults:
            host = f"0.0.0.0:{self.port}"
        return f"{scheme}://{host}:{self.port}" if "doubled-port" in self.faults else f"{scheme}://{host}"

    def address_of(self, prefix: str, request: Request) -> str:
        """Where a service is, as the camera tells it."""
        if prefix in ("tev", "wsnt") and "events-dead" in self.faults:
            return f"http://{self.host}:1{SERVICES[prefix]}"
        return self.base(request) + SERVICES[prefix]

    def serves(self, prefix: str) -> bool:
        """Whether it has the service of that prefix."""
        missing = {
            "trt": not self.media1 or "no-media1" in self.faults,
            "tr2": not self.media2,
            "timg": "no-imaging" in self.faults,
        }
        return not missing.get(prefix, False)

    # ---- answers

    async def answer(self, request: Request) -> Response | None:
        """What it answers; None where it says nothing and keeps the connection open."""
        self.requests += 1
        self.state.settle()
        lies = frozenset(self.faults)
        if "silent" in lies:
            return None
        if "slow" in lies:
            await asyncio.sleep(SLOW_ANSWER_S)
        try:
            response = await self._respond(request)
        except HangingError:
            return None
        if response is not None and "clock-needs-login" in lies:
            response.headers.append(("Date", format_datetime(utc(self.now()), usegmt=True)))
        if response is not None and (manner := lies & (MANNERS | {"closes-connections"})):
            return replace(response, manner=min(manner, key=lambda one: one == "closes-connections"))
        return response

    async def _respond(self, request: Request) -> Response | None:
        if request.path == SNAPSHOT_PATH:
            return await self._still(request)
        subscription = request.path.startswith(SERVICES["wsnt"])
        known = [path for prefix, path in SERVICES.items() if self.serves(prefix)]
        if request.path not in known and not subscription:
            return Response(404, b"not found", "text/plain")
        if request.method != "POST":
            return Response(405, b"SOAP wants POST", "text/plain", [("Allow", "POST")])
        lies = frozenset(self.faults)
        try:
            body = await self._soap(request)
        except Fault as fault:
            return self._refuse(fault, request)
        return Response(200, spoiled(body, lies) if lies & SPOILING else body)

    def _refuse(self, fault: Fault, request: Request) -> Response:
        lies, status = self.faults, fault.status
        if status == 401 or "ter:NotAuthorized" in fault.subcodes:
            media = request.path != DEVICE_PATH
            stale = isinstance(fault, StaleNonceFault)
            headers = self._guard.challenges(stale=stale, media=media) if status == 401 else []
            if "digest-only" in lies or ("digest-on-media" in lies and media):
                headers = self._guard.challenges(stale=stale, media=media)
                return Response(401, b"<html><body>401 Unauthorized</body></html>", "text/html", headers)
            if "auth-in-words" in lies:
                fault, status = Fault((), "Authority failure", status=400), 400
            elif "auth-status-200" in lies:
                status = 200
            return Response(status, fault.encode(), headers=headers if status == 401 else [])
        return Response(status, fault.encode())

    def header_of(self, request: Request) -> Element | None:
        """The SOAP header of a request that has been read already."""
        return parse(request.body).find("Header")

    async def _soap(self, request: Request) -> bytes:
        try:
            message = parse(request.body)
        except XmlError as error:
            raise Fault(("ter:WellFormed",), f"the request is not well-formed: {error}") from None
        body, header = message.find("Body"), message.find("Header")
        if message.tag != f"{{{NAMESPACES['env']}}}Envelope" or body is None or not body.children:
            raise Fault(("ter:WellFormed",), "the request is not a SOAP 1.2 envelope with a body")
        asked, lies = body.children[0], self.faults
        operation = onvif_services.find(asked)
        if operation is None or not self.serves(operation.prefix) or refuses(lies, asked.name, changes=False):
            if "drops-unknown" in lies:
                raise ConnectionAbortedError
            raise Fault(("ter:ActionNotSupported",), f"`{asked.name}` is not supported", sender=False, status=500)
        self._check_form(request, header, operation.prefix, asked)
        if not operation.anonymous or ("clock-needs-login" in lies and asked.name == "GetSystemDateAndTime"):
            self._admit(request, header, asked.name)
        if "other-answer" in lies:
            return envelope(
                "<tds:GetWsdlUrlResponse><tds:WsdlUrl>http://www.onvif.org/</tds:WsdlUrl></tds:GetWsdlUrlResponse>"
            )
        said = operation.answer(self, request, asked)
        return envelope(said if isinstance(said, str) else await said)

    def _check_form(self, request: Request, header: Element | None, prefix: str, asked: Element) -> None:
        """What particular cameras look at before they look at the question."""
        lies = frozenset(self.faults)
        if "strict-paths" in lies and not request.path.startswith(SERVICES[prefix]):
            raise Fault(("ter:ActionNotSupported",), f"`{asked.name}` is not answered here", sender=False, status=500)
        if "strict-actions" in lies:
            said = request.headers.get("content-type", "").partition('action="')[2].partition('"')[0]
            said = said or request.headers.get("soapaction", "").strip('"')
            if said and said.rpartition("/")[2] not in (asked.name, f"{asked.name}Request"):
                raise Fault(("ter:ActionNotSupported",), f"the action is `{said[:120]}`", sender=False, status=500)
        if "refuses-addressing" in lies and prefix not in ("tev", "wsnt") and header is not None:
            spaces = {NAMESPACES["wsa"], NAMESPACES["wsa5"]}
            if any(one.namespace in spaces for one in header.children):
                raise Fault(("ter:InvalidArgVal",), "a header that is not understood", status=500)

    def _admit(self, request: Request, header: Element | None, operation: str) -> None:
        """Lets the visitor in or raises the fault that keeps it out."""
        lies = frozenset(self.faults)
        if "refuse-auth" in lies:
            raise Fault(("ter:NotAuthorized",), "Sender not authorized", status=401)
        if "needs-activation" in lies:
            raise Fault(("ter:NotAuthorized",), "the device is not activated", status=403)
        picture, media = request.path == SNAPSHOT_PATH, request.path != DEVICE_PATH
        visitor = self._guard.check_digest(request, picture=picture, media=media)
        visitor = visitor or self._guard.check_token(header, media=media)
        if self.password is None:
            return
        if visitor is None:
            raise Fault(("ter:NotAuthorized",), "Sender not authorized: who are you?", status=401)
        if not visitor.proven and operation in _ABOUT_USERS:
            raise Fault(("ter:NotAuthorized",), "Sender not authorized: wrong user or password", status=400)
        if "password-change-pending" in lies and self.state.password_pending and operation not in _ABOUT_USERS:
            raise Fault(("ter:NotAuthorized",), "the password must be changed first", status=400)
        level = self.state.users[visitor.name].level if visitor.name in self.state.users else "User"
        few = "few-rights" in lies and operation in FOR_ADMINISTRATORS
        changes = operation.startswith(("Set", "Create", "Delete")) and operation not in _ON_SUBSCRIPTIONS
        if few or (level != "Administrator" and operation in FOR_ADMINISTRATORS) or (level == "User" and changes):
            raise Fault(("ter:NotAuthorized", "ter:OperationProhibited"), "Sender not authorized", status=400)

    async def _still(self, request: Request) -> Response:
        if request.method != "GET":
            return Response(405, b"GET it", "text/plain", [("Allow", "GET")])
        try:
            self._admit(request, None, "")
            if "password-in-snapshot" in self.faults and "password=" in request.query:
                raise Fault(("ter:NotAuthorized",), "not with a password in the address", status=401)
        except Fault as fault:
            stale = isinstance(fault, StaleNonceFault)
            return Response(401, b"who are you?", "text/plain", self._guard.challenges(stale=stale, picture=True))
        if self.snapshot is None:
            return Response(404, b"no picture", "text/plain")
        try:
            picture = await asyncio.to_thread(self.snapshot)
        except LookupError:  # it shows nothing yet, as within the first seconds after a start
            return Response(503, b"no picture yet", "text/plain", [("Retry-After", "1")])
        return Response(200, picture, "image/jpeg", [("Cache-Control", "no-store")])


_ON_SUBSCRIPTIONS: Final = frozenset({"CreatePullPointSubscription", "SetSynchronizationPoint"})
