"""A camera's settings, in groups that it reads and writes together: device service here, encoders in `encoders`.

What is written is the camera's own object with our values in it. Sources: ONVIF Core 8 (device management), the order
of the official schemas, and what real cameras refuse (each said where it is heeded).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from edusense.devices.camera import CameraSettings
from edusense.errors import DeviceRefusedError, UsageError
from edusense_drivers.onvif import soap
from edusense_drivers.onvif.policies import TimeZonePolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from lxml import etree

    from edusense_drivers.onvif.session import Session

__all__ = ["Group", "group_of", "restart_needed"]

_SCOPE: Final = "onvif://www.onvif.org/"


class Group(ABC):
    """One group of settings of one camera."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @abstractmethod
    def read(self) -> CameraSettings:
        """What it is now."""

    def write(self, values: dict[str, Any]) -> bool:
        """Sets these values; whether the camera wants a restart."""
        raise UsageError(f"{', '.join(values)} can only be read")

    def _set(self, operation: str, **parameters: Any) -> bool:
        return restart_needed(self.session.call("device", operation, **parameters))


def restart_needed(answer: etree._Element) -> bool:
    """Whether an answer asks for a restart; cameras say it in answers where the schema has no place for it."""
    return (soap.text(answer, "RebootNeeded") or "").lower() in ("true", "1")


class _Clock(Group):
    def read(self) -> CameraSettings:
        told = self.session.clock()
        values = {
            "timezone": told.timezone,
            "daylight": told.daylight,
            "ntp": told.ntp,
            "offset_s": told.offset_s,
        }
        return CameraSettings({name: value for name, value in values.items() if value is not None})

    def write(self, values: dict[str, Any]) -> bool:
        now = self.read().values
        by_hand = "offset_s" in values or not values.get("ntp", now.get("ntp", False))
        zone = values.get("timezone") or now.get("timezone")
        asked: dict[str, Any] = {
            "DateTimeType": "Manual" if by_hand else "NTP",
            "DaylightSavings": "," in (zone or ""),
        }
        if by_hand:
            offset = values.get("offset_s", now.get("offset_s", 0.0))
            when = datetime.fromtimestamp(self.session.our_time_s() + offset, UTC)
            asked["UTCDateTime"] = {
                "Time": {"Hour": when.hour, "Minute": when.minute, "Second": when.second},
                "Date": {"Year": when.year, "Month": when.month, "Day": when.day},
            }
        # Some cameras know no `<+05>`, some no time zone at all: that must not fail what else is to be set.
        policy = self.session.policies.timezone
        wanted: list[str | None] = []
        if "timezone" in values and policy is not TimeZonePolicy.THEIRS:
            wanted = [_letters(zone)] if policy is TimeZonePolicy.LETTERS else [zone, _letters(zone)]
        kept = [now.get("timezone"), None] if not wanted or len(values) > 1 else []
        refused: DeviceRefusedError | None = None
        for way in dict.fromkeys([*wanted, *kept]):
            try:
                zones = {} if way is None else {"TimeZone": {"TZ": way}}
                needed = self._set("SetSystemDateAndTime", **asked, **zones)
            except DeviceRefusedError as error:
                refused = refused or error
            else:
                self.session.forget_clock()
                if wanted and way not in wanted and refused is not None:
                    break  # all but the time zone
                return needed
        assert refused is not None
        raise refused


def _letters(zone: str | None) -> str | None:
    """A time zone that begins with letters: `<+05>-5` as `UTC-5`; as it is where it has daylight saving."""
    return zone if zone is None or "," in zone else re.sub(r"^<[^>]*>", "UTC", zone)


class _Ntp(Group):
    def read(self) -> CameraSettings:
        said = soap.child(self.session.call("device", "GetNTP"), "NTPInformation")
        if (soap.text(said, "FromDHCP") or "").lower() in ("true", "1"):
            return CameraSettings({"servers": []})
        servers = [
            soap.text(one, "IPv4Address") or soap.text(one, "IPv6Address") or soap.text(one, "DNSname")
            for one in soap.children(said, "NTPManual")
        ]
        found = [one for one in servers if one]
        # None and not from DHCP is another thing than an empty list, which stands for DHCP.
        return CameraSettings({"servers": found or ["none"]})

    def write(self, values: dict[str, Any]) -> bool:
        return self._set("SetNTP", FromDHCP=not values["servers"], NTPManual=[_host(one) for one in values["servers"]])


def _host(name: str) -> dict[str, str]:
    if re.fullmatch(r"\d+(\.\d+){3}", name):
        return {"Type": "IPv4", "IPv4Address": name}
    return {"Type": "IPv6", "IPv6Address": name} if ":" in name else {"Type": "DNS", "DNSname": name}


class _Hostname(Group):
    def read(self) -> CameraSettings:
        name = soap.text(self.session.call("device", "GetHostname"), "HostnameInformation", "Name")
        return CameraSettings({"hostname": name or ""})

    def write(self, values: dict[str, Any]) -> bool:
        return self._set("SetHostname", Name=values["hostname"])


class _Scopes(Group):
    def _said(self) -> list[tuple[str, bool]]:
        answer = self.session.call("device", "GetScopes")
        return [
            (item, soap.text(one, "ScopeDef") == "Configurable")
            for one in soap.children(answer, "Scopes")
            if (item := soap.text(one, "ScopeItem"))
        ]

    def read(self) -> CameraSettings:
        values = {"name": "", "location": ""}
        for item, _ in self._said():
            key, _sep, value = item.removeprefix(_SCOPE).partition("/")
            if item.startswith(_SCOPE) and key in values and not values[key]:
                values[key] = unquote(value)
        return CameraSettings(dict(values))

    def write(self, values: dict[str, Any]) -> bool:
        # SetScopes replaces all configurable ones: those that are not ours go back as they came.
        heads = tuple(f"{_SCOPE}{key}/" for key in values)
        kept = [item for item, ours in self._said() if ours and not item.startswith(heads)]
        new = [f"{_SCOPE}{key}/{quote(str(value), safe='')}" for key, value in values.items() if value]
        return self._set("SetScopes", Scopes=kept + new)


class _Discovery(Group):
    def read(self) -> CameraSettings:
        mode = soap.text(self.session.call("device", "GetDiscoveryMode"), "DiscoveryMode")
        return CameraSettings({"discoverable": mode == "Discoverable"} if mode else {})

    def write(self, values: dict[str, Any]) -> bool:
        mode = "Discoverable" if values["discoverable"] else "NonDiscoverable"
        return self._set("SetDiscoveryMode", DiscoveryMode=mode)


_GROUPS: Final[dict[str, type[Group]]] = {
    "clock": _Clock,
    "ntp": _Ntp,
    "hostname": _Hostname,
    "scopes": _Scopes,
    "discovery": _Discovery,
}


def group_of(session: Session, name: str) -> Group:
    """The group of that name.

    Raises:
        UsageError: there is none.
    """
    from edusense_drivers.onvif import network, users
    from edusense_drivers.onvif.encoders import encoder_of
    from edusense_drivers.onvif.imaging import Imaging, Texts

    head, _, profile = name.partition("/")
    of_profiles: dict[str, Callable[[Session, str], Group]] = {
        "encoder": encoder_of,
        "imaging": Imaging,
        "osd": Texts,
    }
    if profile and head in of_profiles:
        return of_profiles[head](session, profile)
    kinds: dict[str, type[Group]] = {
        **_GROUPS,
        "users": users.Users,
        "network": network.Interface,
        "gateway": network.Gateway,
        "dns": network.Dns,
    }
    if name not in kinds:
        known = ", ".join([*kinds, *(f"{one}/PROFILE" for one in of_profiles)])
        raise UsageError(f"cameras have no settings `{name}`", hint=f"they have {known}")
    return kinds[name](session)
