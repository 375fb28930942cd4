"""What can be set in a virtual camera's device and media services. Sources: as in `onvif_services`."""

from __future__ import annotations

import calendar
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from edusense.sim.onvif_services import encoder_profile, multicast_of, operation
from edusense.sim.onvif_xml import Fault, escape

if TYPE_CHECKING:
    from edusense.sim.onvif_http import Request
    from edusense.sim.onvif_server import OnvifServer
    from edusense.sim.onvif_xml import Element

__all__ = ["number", "restart", "scopes_of"]


def number(asked: Element | None, *names: str) -> float:
    """A number out of a request.

    Raises:
        Fault: there is none.
    """
    said = asked.value(*names) if asked else ""
    try:
        value = float(said)
    except ValueError:
        value = float("nan")
    if not -1e9 < value < 1e9:
        raise Fault(("ter:InvalidArgVal",), f"{names[-1]} is `{said[:40]}`")
    return value


def restart(needed: bool) -> str:
    """A restart is needed, said in any answer: the schema has it for the network alone, cameras elsewhere too."""
    return "<tds:RebootNeeded>true</tds:RebootNeeded>" if needed else ""


@operation("tds:SetSystemDateAndTime")
def _set_time(server: OnvifServer, _: Request, asked: Element) -> str:
    kind = asked.value("DateTimeType")
    if kind not in ("Manual", "NTP"):
        raise Fault(("ter:InvalidArgVal",), f"DateTimeType is `{kind[:20]}`")
    when: float | None = None
    if said := asked.find("UTCDateTime"):
        parts = [int(number(said, "Date", name)) for name in ("Year", "Month", "Day")]
        parts += [int(number(said, "Time", name)) for name in ("Hour", "Minute", "Second")]
        if not (1970 <= parts[0] < 2100 and 1 <= parts[1] <= 12 and 1 <= parts[2] <= 31 and parts[3] < 24):
            raise Fault(("ter:InvalidArgVal", "ter:InvalidDateTime"), "there is no such date")
        when = calendar.timegm((*parts, 0, 0, 0))
    elif kind == "Manual":
        raise Fault(("ter:InvalidArgVal", "ter:InvalidDateTime"), "Manual goes with UTCDateTime")
    zone = asked.value("TimeZone", "TZ")
    if zone and "letters-in-timezone" in server.faults and not zone[0].isalpha():
        raise Fault(("ter:InvalidArgVal", "ter:InvalidTimeZone"), f"no time zone `{zone[:40]}`")
    state, lies = server.state, server.faults
    strange = "own-timezone-only" in lies and zone != state.timezone
    if zone and ("no-timezone" in lies or strange):
        raise Fault(("ter:InvalidArgVal", "ter:InvalidTimeZone"), f"no time zone `{zone[:40]}`")

    def work() -> None:
        if "ignores-ntp-switch" not in lies:
            state.follows_ntp = kind == "NTP"
        state.timezone = zone or state.timezone
        state.daylight = asked.value("DaylightSavings").lower() in ("true", "1")
        if when is not None and kind == "Manual":
            state.clock_offset_s, state.clock_set = when - server.clock(), True

    return restart(server.change(asked.name, work))


@operation("tds:GetNTP")
def _get_ntp(server: OnvifServer, _: Request, __: Element) -> str:
    servers = "".join(
        f"<tt:NTPManual><tt:Type>{kind}</tt:Type><tt:{tag}>{escape(one)}</tt:{tag}></tt:NTPManual>"
        for one in server.state.ntp_servers
        for kind, tag in [("IPv4", "IPv4Address") if one.replace(".", "").isdigit() else ("DNS", "DNSname")]
    )
    dhcp = "true" if server.state.ntp_from_dhcp else "false"
    return f"<tds:NTPInformation><tt:FromDHCP>{dhcp}</tt:FromDHCP>{servers}</tds:NTPInformation>"


@operation("tds:SetNTP")
def _set_ntp(server: OnvifServer, _: Request, asked: Element) -> str:
    dhcp = asked.value("FromDHCP").lower() in ("true", "1")
    given = [one for one in asked.children if one.name == "NTPManual"]
    servers = tuple(one.value("IPv4Address") or one.value("DNSname") for one in given)
    if not dhcp and not all(servers):
        raise Fault(("ter:InvalidArgVal", "ter:InvalidDnsName"), "a server without an address")

    def work() -> None:
        server.state.ntp_from_dhcp, server.state.ntp_servers = dhcp, servers

    return restart(server.change(asked.name, work))


@operation("tds:SetHostname")
def _set_hostname(server: OnvifServer, _: Request, asked: Element) -> str:
    name = asked.value("Name")
    if not name or len(name) > 63 or not all(c.isascii() and (c.isalnum() or c in "-.") for c in name):
        raise Fault(("ter:InvalidArgVal", "ter:InvalidHostname"), f"no host name: `{name[:80]}`")

    def work() -> None:
        server.state.hostname = name

    return restart(server.change(asked.name, work, network=True))


@operation("tds:SetScopes")
def _set_scopes(server: OnvifServer, _: Request, asked: Element) -> str:
    said = {}
    for one in asked.children:
        key, slash, value = one.text.strip().removeprefix("onvif://www.onvif.org/").partition("/")
        if key not in ("name", "location") or not slash:
            raise Fault(("ter:OperationProhibited", "ter:ScopeOverwrite"), f"not configurable: `{one.text[:80]}`")
        said[key] = unquote(value)

    def work() -> None:
        server.state.name, server.state.location = said.get("name", ""), said.get("location", "")

    return restart(server.change(asked.name, work))


@operation("tds:GetDiscoveryMode")
def _get_discovery(server: OnvifServer, _: Request, __: Element) -> str:
    mode = "Discoverable" if server.state.discoverable else "NonDiscoverable"
    return f"<tds:DiscoveryMode>{mode}</tds:DiscoveryMode>"


@operation("tds:SetDiscoveryMode")
def _set_discovery(server: OnvifServer, _: Request, asked: Element) -> str:
    mode = asked.value("DiscoveryMode")
    if mode not in ("Discoverable", "NonDiscoverable"):
        raise Fault(("ter:InvalidArgVal",), f"DiscoveryMode is `{mode[:20]}`")

    def work() -> None:
        server.state.discoverable = mode == "Discoverable"

    return restart(server.change(asked.name, work, network=True))


@operation("tds:SystemReboot")
def _reboot(server: OnvifServer, _: Request, asked: Element) -> str:
    server.state.sets.append(asked.name)
    if "refuses-sets" in server.faults:
        raise Fault(("ter:ActionNotSupported",), "SystemReboot is not supported", sender=False, status=500)
    if "ignores-sets" not in server.faults:
        server.go_down()
    return "<tds:Message>Rebooting</tds:Message>"


@operation("trt:SetVideoEncoderConfiguration")
def _set_encoder(server: OnvifServer, _: Request, asked: Element) -> str:
    said = asked.find("Configuration")
    profile = encoder_profile(server, said.attributes.get("token", "") if said else "")
    assert said is not None
    if not all(said.value(*names) for names in (("Name",), ("UseCount",), ("SessionTimeout",), ("Multicast", "TTL"))):
        # As Axis: what the schema demands must stand there, whatever is changed.
        raise Fault(("ter:InvalidArgVal",), "Name, UseCount, Multicast or SessionTimeout is missing")
    multicast = said.value("Multicast", "Address", "IPv4Address")
    if "wants-own-multicast" in server.faults and multicast != multicast_of(server, profile):
        raise Fault(("ter:InvalidArgVal", "ter:ConfigModify"), f"no multicast address `{multicast[:40]}`")
    now = server.state.encoder(profile)
    wanted = replace(
        now,
        encoding=said.value("Encoding"),
        width=int(number(said, "Resolution", "Width")),
        height=int(number(said, "Resolution", "Height")),
        quality=number(said, "Quality"),
        fps=number(said, "RateControl", "FrameRateLimit"),
        kbit=int(number(said, "RateControl", "BitrateLimit")),
        gop=int(number(said, "H264", "GovLength")),
        profile=said.value("H264", "H264Profile"),
    )
    return restart(server.change(asked.name, lambda: server.state.set_encoder(profile, wanted, server.faults)))


def scopes_of(name: str, location: str) -> list[str]:
    """The scopes that an installer writes."""
    said = {"name": name, "location": location}
    return [f"onvif://www.onvif.org/{key}/{quote(value, safe='')}" for key, value in said.items() if value]
