"""What a virtual camera answers: one function for each ONVIF operation, in the element order of the official schemas.

Sources: ONVIF devicemgmt.wsdl and media.wsdl (ver10), onvif.xsd; access classes from ONVIF Core 5.9.4 (`PRE_AUTH`
operations answer to everybody). An operation that is not in `OPERATIONS` is answered with `ter:ActionNotSupported`,
honestly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edusense.sim.onvif_auth import utc
from edusense.sim.onvif_state import H264_PROFILES, QUALITY_RANGE, ranges, sizes
from edusense.sim.onvif_xml import NAMESPACES, Fault, escape

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection
    from datetime import datetime

    from edusense.sim.onvif_http import Request
    from edusense.sim.onvif_server import OnvifServer, Profile
    from edusense.sim.onvif_xml import Element

    Answer = Callable[[OnvifServer, Request, Element], str]

__all__ = [
    "OPERATIONS",
    "SERVICES",
    "SOURCE",
    "Operation",
    "encoder_profile",
    "event_capabilities",
    "find",
    "multicast_of",
    "operation",
    "picture_of",
    "profile_of",
    "source_configuration",
    "stream_of",
    "zone_offset_s",
]

SERVICES: Final = {
    "tds": "/onvif/device_service",
    "trt": "/onvif/media_service",
    "tr2": "/onvif/media2_service",
    "timg": "/onvif/imaging_service",
    "tev": "/onvif/event_service",
    "wsnt": "/onvif/subscription",
}
"""Where each service is; a subscription's own address is below the last."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: what it answers, whether strangers may ask it, and the prefix of its service."""

    answer: Callable[[OnvifServer, Request, Element], str | Awaitable[str]]
    anonymous: bool
    prefix: str


OPERATIONS: dict[str, Operation] = {}
"""By `prefix:Name`."""


def find(asked: Element) -> Operation | None:
    """The operation that a request's body names; None for one that this camera does not have."""
    prefix = next((prefix for prefix in SERVICES if NAMESPACES[prefix] == asked.namespace), None)
    return OPERATIONS.get(f"{prefix}:{asked.name}")


def operation(name: str, *, anonymous: bool = False) -> Callable[[Answer], Answer]:
    """Registers what an operation answers: the content of its response element.

    Args:
        name: `prefix:Name`.
        anonymous: strangers may ask it.
    """

    def register(content: Answer) -> Answer:
        def answer(server: OnvifServer, request: Request, asked: Element) -> str:
            return f"<{name}Response>{content(server, request, asked)}</{name}Response>"

        OPERATIONS[name] = Operation(answer, anonymous, name.partition(":")[0])
        return content

    return register


# --- device -------------------------------------------------------------------------------------------------------


def _moment(element: str, when: datetime, lies: Collection[str]) -> str:
    hour, minute = (when.hour - 1, when.minute + 60) if "minute-61" in lies and when.hour else (when.hour, when.minute)
    return (
        f"<tt:{element}><tt:Time><tt:Hour>{hour}</tt:Hour><tt:Minute>{minute}</tt:Minute>"
        f"<tt:Second>{when.second}</tt:Second></tt:Time><tt:Date><tt:Year>{when.year}</tt:Year>"
        f"<tt:Month>{when.month}</tt:Month><tt:Day>{when.day}</tt:Day></tt:Date></tt:{element}>"
    )


@operation("tds:GetSystemDateAndTime", anonymous=True)
def _get_time(server: OnvifServer, _: Request, __: Element) -> str:
    seconds, state, lies = server.now(), server.state, server.faults
    now, local = utc(seconds), utc(seconds + zone_offset_s(state.timezone))
    daylight = state.daylight or "always-daylight" in lies
    both = "" if "no-utc" in lies else _moment("UTCDateTime", now, lies)
    both += _moment("LocalDateTime", local, lies)
    if "zero-date" in lies and not state.clock_set:
        both = re.sub(r">\d+<", ">0<", both)
    return (
        f"<tds:SystemDateAndTime><tt:DateTimeType>{'NTP' if state.follows_ntp else 'Manual'}</tt:DateTimeType>"
        f"<tt:DaylightSavings>{'true' if daylight else 'false'}</tt:DaylightSavings>"
        f"<tt:TimeZone><tt:TZ>{escape(state.timezone)}</tt:TZ></tt:TimeZone>{both}</tds:SystemDateAndTime>"
    )


def zone_offset_s(zone: str) -> float:
    """Seconds by which local time is ahead of UTC in a POSIX time zone, daylight saving left out; 0 where unreadable.

    >>> zone_offset_s("<+05>-5")
    18000.0
    """
    found = re.match(r"(?:<[^>]*>|[A-Za-z]+)([+-]?)(\d{1,2})(?::(\d{2}))?", zone)
    if found is None:
        return 0.0
    return (1.0 if found[1] == "-" else -1.0) * (int(found[2]) * 3600 + int(found[3] or 0) * 60)


@operation("tds:GetDeviceInformation")
def _get_information(server: OnvifServer, _: Request, __: Element) -> str:
    who = server.identity
    return (
        f"<tds:Manufacturer>{escape(who.manufacturer)}</tds:Manufacturer><tds:Model>{escape(who.model)}</tds:Model>"
        f"<tds:FirmwareVersion>{escape(who.firmware)}</tds:FirmwareVersion>"
        f"<tds:SerialNumber>{escape(who.serial_number)}</tds:SerialNumber><tds:HardwareId>{escape(who.hardware)}</tds:HardwareId>"
    )


@operation("tds:GetServices", anonymous=True)
def _get_services(server: OnvifServer, request: Request, asked: Element) -> str:
    detailed = asked.value("IncludeCapability").lower() in ("true", "1")
    capabilities = {
        "tds": _DEVICE_CAPABILITIES,
        "trt": _MEDIA_CAPABILITIES,
        "tr2": "<tr2:Capabilities/>",
        "timg": "<timg:Capabilities/>",
        "tev": event_capabilities(server),
    }
    vendors = "".join(
        f"<tds:Service><tds:Namespace>http://www.axis.com/vapix/ws/{name}</tds:Namespace><tds:XAddr>"
        f"{escape(server.base(request))}/vapix/services</tds:XAddr><tds:Version><tt:Major>1</tt:Major>"
        "<tt:Minor>2</tt:Minor></tds:Version></tds:Service>"
        for name in (("action1", "event1") if "vendor-services" in server.faults else ())
    )
    return vendors + "".join(
        f"<tds:Service><tds:Namespace>{NAMESPACES[prefix]}</tds:Namespace>"
        f"<tds:XAddr>{escape(server.address_of(prefix, request))}</tds:XAddr>"
        + (f"<tds:Capabilities>{told}</tds:Capabilities>" if detailed else "")
        + "<tds:Version><tt:Major>2</tt:Major><tt:Minor>60</tt:Minor></tds:Version></tds:Service>"
        for prefix, told in capabilities.items()
        if server.serves(prefix)
    )


def event_capabilities(server: OnvifServer) -> str:
    """What the camera says about its events."""
    pull = "false" if "claims-no-pullpoint" in server.faults else "true"
    return f'<tev:Capabilities WSSubscriptionPolicySupport="false" WSPullPointSupport="{pull}" MaxPullPoints="8"/>'


_DEVICE_CAPABILITIES: Final = (
    '<tds:Capabilities><tds:Network NTP="3"/><tds:Security UsernameToken="true" HttpDigest="true" MaxUsers="8"/>'
    '<tds:System DiscoveryResolve="false" DiscoveryBye="false"/></tds:Capabilities>'
)
_MEDIA_CAPABILITIES: Final = (
    '<trt:Capabilities SnapshotUri="true"><trt:ProfileCapabilities MaximumNumberOfProfiles="4"/>'
    '<trt:StreamingCapabilities RTPMulticast="false" RTP_TCP="true" RTP_RTSP_TCP="true"/></trt:Capabilities>'
)


@operation("tds:GetServiceCapabilities", anonymous=True)
def _get_device_capabilities(_: OnvifServer, __: Request, ___: Element) -> str:
    return _DEVICE_CAPABILITIES


@operation("tds:GetCapabilities", anonymous=True)
def _get_capabilities(server: OnvifServer, request: Request, _: Element) -> str:
    def at(prefix: str) -> str:
        return f"<tt:XAddr>{escape(server.address_of(prefix, request))}</tt:XAddr>"

    pull = "false" if "claims-no-pullpoint" in server.faults else "true"
    events = (
        f"<tt:Events>{at('tev')}<tt:WSSubscriptionPolicySupport>false</tt:WSSubscriptionPolicySupport><tt:WSPullPointSupport>{pull}"
        "</tt:WSPullPointSupport><tt:WSPausableSubscriptionManagerInterfaceSupport>false"
        "</tt:WSPausableSubscriptionManagerInterfaceSupport></tt:Events>"
    )
    imaging = f"<tt:Imaging>{at('timg')}</tt:Imaging>" if server.serves("timg") else ""
    return (
        f"<tds:Capabilities><tt:Device>{at('tds')}</tt:Device>{events}{imaging}"
        f"<tt:Media>{at('trt')}<tt:StreamingCapabilities><tt:RTPMulticast>false</tt:RTPMulticast>"
        "<tt:RTP_TCP>true</tt:RTP_TCP><tt:RTP_RTSP_TCP>true</tt:RTP_RTSP_TCP></tt:StreamingCapabilities></tt:Media>"
        "</tds:Capabilities>"
    )


@operation("tds:GetScopes")
def _get_scopes(server: OnvifServer, _: Request, __: Element) -> str:
    return "".join(
        "<tds:Scopes><tt:ScopeDef>"
        f"{'Configurable' if '/name/' in scope or '/location/' in scope else 'Fixed'}</tt:ScopeDef>"
        f"<tt:ScopeItem>{escape(scope)}</tt:ScopeItem></tds:Scopes>"
        for scope in server.scopes
    )


@operation("tds:GetHostname", anonymous=True)
def _get_hostname(server: OnvifServer, _: Request, __: Element) -> str:
    name = escape(server.state.hostname)
    return (
        f"<tds:HostnameInformation><tt:FromDHCP>false</tt:FromDHCP><tt:Name>{name}</tt:Name></tds:HostnameInformation>"
    )


@operation("tds:GetEndpointReference", anonymous=True)
def _get_endpoint(server: OnvifServer, _: Request, __: Element) -> str:
    return f"<tds:GUID>{escape(server.identity.endpoint_reference)}</tds:GUID>"


# --- media --------------------------------------------------------------------------------------------------------

SOURCE: Final = "source-1"
"""Token of the one video source."""


def _largest(server: OnvifServer) -> Profile:
    return max(server.profiles, key=lambda profile: profile.width * profile.height)


def profile_of(server: OnvifServer, token: str) -> Profile:
    """The profile of that token.

    Raises:
        Fault: there is none.
    """
    for profile in server.profiles:
        if profile.token == token:
            return profile
    raise Fault(("ter:InvalidArgVal", "ter:NoProfile"), f"there is no profile `{token}`")


def source_configuration(server: OnvifServer, element: str) -> str:
    """The one video source configuration."""
    full = _largest(server)
    return (
        f'<{element} token="{SOURCE}-configuration"><tt:Name>{SOURCE}</tt:Name>'
        f"<tt:UseCount>{len(server.profiles)}</tt:UseCount><tt:SourceToken>{SOURCE}</tt:SourceToken>"
        f'<tt:Bounds x="0" y="0" width="{full.width}" height="{full.height}"/></{element}>'
    )


def encoder_profile(server: OnvifServer, token: str) -> Profile:
    """The profile that an encoder configuration belongs to.

    Raises:
        Fault: there is no such configuration.
    """
    for profile in server.profiles:
        if token == f"encoder-{profile.token}":
            return profile
    raise Fault(("ter:InvalidArgVal", "ter:NoConfig"), f"there is no encoder configuration `{token[:40]}`")


def _encoder(server: OnvifServer, profile: Profile, element: str) -> str:
    now, codec = server.state.encoder(profile), ""
    if now.encoding == "H264":
        codec = (
            f"<tt:H264><tt:GovLength>{now.gop}</tt:GovLength><tt:H264Profile>{now.profile}</tt:H264Profile></tt:H264>"
        )
    return (
        f'<{element} token="encoder-{escape(profile.token)}"><tt:Name>{escape(profile.name)}</tt:Name>'
        f"<tt:UseCount>1</tt:UseCount><tt:Encoding>{escape(now.encoding)}</tt:Encoding>"
        f"<tt:Resolution><tt:Width>{now.width}</tt:Width><tt:Height>{now.height}</tt:Height></tt:Resolution>"
        f"<tt:Quality>{now.quality:g}</tt:Quality><tt:RateControl><tt:FrameRateLimit>{round(now.fps)}</tt:FrameRateLimit>"
        f"<tt:EncodingInterval>1</tt:EncodingInterval><tt:BitrateLimit>{now.kbit}</tt:BitrateLimit></tt:RateControl>{codec}"
        "<tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type>"
        f"<tt:IPv4Address>{multicast_of(server, profile)}</tt:IPv4Address></tt:Address><tt:Port>0</tt:Port>"
        f"<tt:TTL>1</tt:TTL><tt:AutoStart>false</tt:AutoStart></tt:Multicast><tt:SessionTimeout>PT60S</tt:SessionTimeout></{element}>"
    )


def multicast_of(server: OnvifServer, profile: Profile) -> str:
    """The multicast address of a profile's encoder: none, or one of its own where the camera is particular about it."""
    if "wants-own-multicast" not in server.faults:
        return "0.0.0.0"  # noqa: S104 - no address is listened on
    return f"239.255.42.{1 + [one.token for one in server.profiles].index(profile.token)}"


def _speaks_media1(server: OnvifServer, profile: Profile) -> bool:
    return server.state.encoder(profile).encoding in ("H264", "JPEG", "MPEG4")


def _profile(server: OnvifServer, profile: Profile, element: str) -> str:
    encoder = _encoder(server, profile, "tt:VideoEncoderConfiguration") if _speaks_media1(server, profile) else ""
    source = source_configuration(server, "tt:VideoSourceConfiguration")
    source = "" if "no-video-source" in server.faults else source
    return (
        f'<{element} token="{escape(profile.token)}" fixed="true"><tt:Name>{escape(profile.name)}</tt:Name>'
        f"{source}{encoder}</{element}>"
    )


@operation("trt:GetServiceCapabilities", anonymous=True)
def _get_media_capabilities(_: OnvifServer, __: Request, ___: Element) -> str:
    return _MEDIA_CAPABILITIES


@operation("trt:GetProfiles")
def _get_profiles(server: OnvifServer, _: Request, __: Element) -> str:
    return "".join(_profile(server, profile, "trt:Profiles") for profile in server.profiles)


@operation("trt:GetProfile")
def _get_profile(server: OnvifServer, _: Request, asked: Element) -> str:
    return _profile(server, profile_of(server, asked.value("ProfileToken")), "trt:Profile")


def _uri(address: str) -> str:
    return (
        f"<trt:MediaUri><tt:Uri>{escape(address)}</tt:Uri><tt:InvalidAfterConnect>false</tt:InvalidAfterConnect>"
        "<tt:InvalidAfterReboot>false</tt:InvalidAfterReboot><tt:Timeout>PT0S</tt:Timeout></trt:MediaUri>"
    )


def stream_of(server: OnvifServer, token: str) -> str:
    """The RTSP address of a profile, as the camera tells it."""
    address = profile_of(server, token).rtsp_url
    if elsewhere := server.false_host:
        head, _sep, tail = address.partition("://")
        port, slash, path = tail.rpartition("@")[2].partition("/")
        address = f"{head}://{elsewhere}{port[port.rfind(':') :] if ':' in port else ''}{slash}{path}"
    return address


def picture_of(server: OnvifServer, request: Request, token: str) -> str:
    """The address of a profile's still picture, as the camera tells it; empty where it leaves it out.

    Raises:
        Fault: it makes none.
    """
    profile = profile_of(server, token)
    if server.snapshot is None:
        raise Fault(("ter:ActionNotSupported",), "this camera makes no still pictures", sender=False, status=500)
    if "no-snapshot-uri" in server.faults:
        return ""
    more, base = "", server.base(request)
    if "password-in-snapshot" in server.faults:
        head, sep, tail = base.partition("://")
        base, more = f"{head}{sep}admin:12345@{tail}", "&user=admin&password=12345"
    return f"{base}/snapshot?profile={profile.token}{more}"


@operation("trt:GetStreamUri")
def _get_stream(server: OnvifServer, _: Request, asked: Element) -> str:
    return _uri(stream_of(server, asked.value("ProfileToken")))


@operation("trt:GetSnapshotUri")
def _get_still(server: OnvifServer, request: Request, asked: Element) -> str:
    found = picture_of(server, request, asked.value("ProfileToken"))
    return _uri(found) if found else "<trt:MediaUri/>"


@operation("trt:GetVideoSources")
def _get_sources(server: OnvifServer, _: Request, __: Element) -> str:
    full = _largest(server)
    return (
        f'<trt:VideoSources token="{SOURCE}"><tt:Framerate>{full.fps:g}</tt:Framerate>'
        f"<tt:Resolution><tt:Width>{full.width}</tt:Width><tt:Height>{full.height}</tt:Height></tt:Resolution></trt:VideoSources>"
    )


@operation("trt:GetVideoSourceConfigurations")
def _get_source_configurations(server: OnvifServer, _: Request, __: Element) -> str:
    return source_configuration(server, "trt:Configurations")


@operation("trt:GetVideoEncoderConfigurations")
def _get_encoders(server: OnvifServer, _: Request, __: Element) -> str:
    told = (profile for profile in server.profiles if _speaks_media1(server, profile))
    return "".join(_encoder(server, profile, "trt:Configurations") for profile in told)


@operation("trt:GetVideoEncoderConfiguration")
def _get_encoder(server: OnvifServer, _: Request, asked: Element) -> str:
    profile = encoder_profile(server, asked.value("ConfigurationToken"))
    if not _speaks_media1(server, profile):
        raise Fault(("ter:InvalidArgVal", "ter:NoConfig"), "Media1 has no word for its codec")
    return _encoder(server, profile, "trt:Configuration")


@operation("trt:GetVideoEncoderConfigurationOptions")
def _get_encoder_options(server: OnvifServer, _: Request, asked: Element) -> str:
    wanted = asked.value("ProfileToken") or asked.value("ConfigurationToken").removeprefix("encoder-")
    profile = profile_of(server, wanted) if wanted else _largest(server)
    offered = "".join(
        f"<tt:ResolutionsAvailable><tt:Width>{w}</tt:Width><tt:Height>{h}</tt:Height></tt:ResolutionsAvailable>"
        for w, h in sizes(profile)
    )

    def between(name: str, limits: tuple[float, float]) -> str:
        return f"<tt:{name}><tt:Min>{round(limits[0])}</tt:Min><tt:Max>{round(limits[1])}</tt:Max></tt:{name}>"

    own = ranges(profile)

    h264 = (
        f"{offered}{between('GovLengthRange', own.gop)}{between('FrameRateRange', own.fps)}"
        f"{between('EncodingIntervalRange', (1, 1))}"
        + "".join(f"<tt:H264ProfilesSupported>{one}</tt:H264ProfilesSupported>" for one in H264_PROFILES)
    )
    extension = f"<tt:Extension><tt:H264>{h264}{between('BitrateRange', own.kbit)}</tt:H264></tt:Extension>"
    quality = between("QualityRange", QUALITY_RANGE)
    return f"<trt:Options>{quality}<tt:H264>{h264}</tt:H264>{extension}</trt:Options>"
