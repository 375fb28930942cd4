"""A virtual camera's place in the network: address, gateway, DNS. Source: ONVIF Core Specification 8.2 (network)."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edusense.sim.onvif_services import operation
from edusense.sim.onvif_sets import restart
from edusense.sim.onvif_xml import Fault, escape

if TYPE_CHECKING:
    from edusense.sim.onvif_http import Request
    from edusense.sim.onvif_server import OnvifServer
    from edusense.sim.onvif_xml import Element

__all__: list[str] = []


def _address(said: str, code: str) -> str:
    try:
        return str(ipaddress.IPv4Address(said))
    except ValueError:
        raise Fault(("ter:InvalidArgVal", code), f"`{said[:40]}` is no IPv4 address") from None


@operation("tds:GetNetworkInterfaces")
def _get_interfaces(server: OnvifServer, _: Request, __: Element) -> str:
    now = server.state.network
    manual = (
        f"<tt:Manual><tt:Address>{escape(now.address)}</tt:Address>"
        f"<tt:PrefixLength>{now.prefix}</tt:PrefixLength></tt:Manual>"
    )
    leased = (
        f"<tt:FromDHCP><tt:Address>{escape(server.host)}</tt:Address>"
        f"<tt:PrefixLength>{now.prefix}</tt:PrefixLength></tt:FromDHCP>"
    )
    return (
        '<tds:NetworkInterfaces token="eth0"><tt:Enabled>true</tt:Enabled><tt:Info><tt:Name>eth0</tt:Name>'
        f"<tt:HwAddress>{escape(server.mac)}</tt:HwAddress><tt:MTU>1500</tt:MTU></tt:Info>"
        "<tt:Link><tt:AdminSettings><tt:AutoNegotiation>true</tt:AutoNegotiation><tt:Speed>100</tt:Speed>"
        "<tt:Duplex>Full</tt:Duplex></tt:AdminSettings><tt:OperSettings><tt:AutoNegotiation>true</tt:AutoNegotiation>"
        "<tt:Speed>100</tt:Speed><tt:Duplex>Full</tt:Duplex></tt:OperSettings><tt:InterfaceType>6</tt:InterfaceType></tt:Link>"
        f"<tt:IPv4><tt:Enabled>true</tt:Enabled><tt:Config>{leased if now.dhcp else manual}"
        f"<tt:DHCP>{'true' if now.dhcp else 'false'}</tt:DHCP></tt:Config></tt:IPv4></tds:NetworkInterfaces>"
    )


@operation("tds:SetNetworkInterfaces")
def _set_interfaces(server: OnvifServer, _: Request, asked: Element) -> str:
    if asked.value("InterfaceToken") != "eth0":
        raise Fault(("ter:InvalidArgVal", "ter:InvalidNetworkInterface"), "there is no such interface")
    said = asked.find("NetworkInterface", "IPv4")
    if said is None:
        raise Fault(("ter:InvalidArgVal",), "nothing but IPv4 can be set here")
    now = server.state.network
    dhcp = said.value("DHCP").lower() in ("true", "1") if said.value("DHCP") else now.dhcp
    wanted = replace(now, dhcp=dhcp)
    if (manual := said.find("Manual")) is not None:
        prefix = manual.value("PrefixLength")
        if not prefix.isdecimal() or not 1 <= int(prefix) <= 30:
            raise Fault(("ter:InvalidArgVal", "ter:SettingsInvalid"), f"PrefixLength is `{prefix[:20]}`")
        wanted = replace(
            wanted, address=_address(manual.value("Address"), "ter:InvalidIPv4Address"), prefix=int(prefix)
        )
    return f"<tds:RebootNeeded>{'true' if server.set_network(asked.name, wanted) else 'false'}</tds:RebootNeeded>"


@operation("tds:GetNetworkProtocols")
def _get_protocols(server: OnvifServer, _: Request, __: Element) -> str:
    served = [("HTTP" if server.tls is None else "HTTPS", server.port)]
    streamed = next((urlsplit(one.rtsp_url).port for one in server.profiles if one.rtsp_url), None)
    if streamed is not None:
        served.append(("RTSP", streamed))
    return "".join(
        f"<tds:NetworkProtocols><tt:Name>{name}</tt:Name><tt:Enabled>true</tt:Enabled><tt:Port>{port}</tt:Port>"
        "</tds:NetworkProtocols>"
        for name, port in served
    )


@operation("tds:GetNetworkDefaultGateway")
def _get_gateway(server: OnvifServer, _: Request, __: Element) -> str:
    gateway = server.state.network.gateway
    told = f"<tt:IPv4Address>{escape(gateway)}</tt:IPv4Address>" if gateway else ""
    return f"<tds:NetworkGateway>{told}</tds:NetworkGateway>"


@operation("tds:SetNetworkDefaultGateway")
def _set_gateway(server: OnvifServer, _: Request, asked: Element) -> str:
    given = [one.text.strip() for one in asked.children if one.name == "IPv4Address"]
    gateway = _address(given[0], "ter:InvalidGatewayAddress") if given else ""

    def work() -> None:
        server.state.network = replace(server.state.network, gateway=gateway)

    return restart(server.change(asked.name, work, network=True))


@operation("tds:GetDNS")
def _get_dns(server: OnvifServer, _: Request, __: Element) -> str:
    now = server.state.network
    manual = "".join(
        f"<tt:DNSManual><tt:Type>IPv4</tt:Type><tt:IPv4Address>{escape(one)}</tt:IPv4Address></tt:DNSManual>"
        for one in now.dns
    )
    dhcp = "true" if now.dns_from_dhcp else "false"
    return f"<tds:DNSInformation><tt:FromDHCP>{dhcp}</tt:FromDHCP>{manual}</tds:DNSInformation>"


@operation("tds:SetDNS")
def _set_dns(server: OnvifServer, _: Request, asked: Element) -> str:
    dhcp = asked.value("FromDHCP").lower() in ("true", "1")
    servers = tuple(
        _address(one.value("IPv4Address"), "ter:InvalidIPv4Address")
        for one in asked.children
        if one.name == "DNSManual"
    )

    def work() -> None:
        server.state.network = replace(server.state.network, dns_from_dhcp=dhcp, dns=servers)

    return restart(server.change(asked.name, work))
