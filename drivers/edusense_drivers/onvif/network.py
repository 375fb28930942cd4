"""A camera's place in the network. Source: ONVIF Core Specification 8.2.

What is set here may cut us off: whoever sets an address must look for the camera again afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edusense.devices.camera import CameraSettings
from edusense.errors import DeviceProtocolError, DeviceRefusedError
from edusense_drivers.onvif import soap
from edusense_drivers.onvif.policies import NetworkPolicy
from edusense_drivers.onvif.settings import Group, restart_needed

if TYPE_CHECKING:
    from lxml import etree

__all__ = ["Dns", "Gateway", "Interface"]


class Interface(Group):
    """`address` (`10.20.0.51/22`), `dhcp`, `mac`, `speed_mbit`, `duplex` of the first enabled interface."""

    def _said(self) -> etree._Element:
        answer = self.session.call("device", "GetNetworkInterfaces")
        found = list(soap.children(answer, "NetworkInterfaces"))
        found.sort(key=lambda one: (soap.text(one, "Enabled") or "").lower() not in ("true", "1"))
        if not found or not found[0].get("token"):
            raise DeviceProtocolError(f"`{self.session.who}` tells no network interface")
        return found[0]

    def read(self) -> CameraSettings:
        """How it is in the network."""
        said = self._said()
        config = soap.child(said, "IPv4", "Config")
        dhcp = (soap.text(config, "DHCP") or "").lower() in ("true", "1")
        found = soap.child(config, "FromDHCP") if dhcp else soap.child(config, "Manual")
        address, prefix = soap.text(found, "Address"), soap.number(found, "PrefixLength")
        link = soap.child(said, "Link", "OperSettings")
        speed, duplex = soap.number(link, "Speed"), soap.text(link, "Duplex")
        values: dict[str, Any] = {"dhcp": dhcp}
        if address and prefix:
            values["address"] = f"{address}/{round(prefix)}"
        if speed:
            values["speed_mbit"] = round(speed)
        if duplex:
            values["duplex"] = duplex.lower()
        return CameraSettings(values)

    def write(self, values: dict[str, Any]) -> bool:
        """Sets `dhcp`, or an `address`, which switches DHCP off."""
        if self.session.policies.network is NetworkPolicy.ELSEWHERE:
            raise DeviceRefusedError(
                f"the address of `{self.session.who}` cannot be set by ONVIF: others have seen this make say OK, "
                "go away, and come back as before",
                hint="set it in its web pages, or reserve it at the DHCP server",
            )
        token = self._said().get("token")
        asked: dict[str, Any] = {"Enabled": True, "DHCP": bool(values.get("dhcp", False))}
        if "address" in values:
            address, _, prefix = values["address"].partition("/")
            asked["Manual"] = [{"Address": address, "PrefixLength": int(prefix)}]
        answer = self.session.call(
            "device", "SetNetworkInterfaces", InterfaceToken=token, NetworkInterface={"Enabled": True, "IPv4": asked}
        )
        return restart_needed(answer)


class Gateway(Group):
    """`gateway`: the IPv4 address of the way out; empty for none."""

    def read(self) -> CameraSettings:
        """Where it sends what is not for its own network."""
        said = soap.child(self.session.call("device", "GetNetworkDefaultGateway"), "NetworkGateway")
        return CameraSettings({"gateway": soap.text(said, "IPv4Address") or ""})

    def write(self, values: dict[str, Any]) -> bool:
        """Sets it."""
        gateway = values["gateway"]
        answer = self.session.call("device", "SetNetworkDefaultGateway", IPv4Address=[gateway] if gateway else [])
        return restart_needed(answer)


class Dns(Group):
    """`dns`: servers; an empty list: from DHCP."""

    def read(self) -> CameraSettings:
        """Whom it asks for names."""
        said = soap.child(self.session.call("device", "GetDNS"), "DNSInformation")
        if (soap.text(said, "FromDHCP") or "").lower() in ("true", "1"):
            return CameraSettings({"dns": []})
        servers = [
            soap.text(one, "IPv4Address") or soap.text(one, "IPv6Address") for one in soap.children(said, "DNSManual")
        ]
        return CameraSettings({"dns": [one for one in servers if one] or ["none"]})

    def write(self, values: dict[str, Any]) -> bool:
        """Sets them."""
        servers = values["dns"]
        manual = [
            {"Type": "IPv6", "IPv6Address": one} if ":" in one else {"Type": "IPv4", "IPv4Address": one}
            for one in servers
        ]
        return restart_needed(self.session.call("device", "SetDNS", FromDHCP=not servers, DNSManual=manual))
