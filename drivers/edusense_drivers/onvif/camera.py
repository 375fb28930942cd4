"""One ONVIF camera, as `edusense.devices.open_camera("onvif:http://…")` returns it."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from edusense.devices.camera import Camera, CameraClock, CameraInformation, CameraProfile, CameraSettings
from edusense.errors import DeviceProtocolError, DeviceRefusedError
from edusense_drivers.onvif import addresses, profiles, quirks, settings, soap, users, wsdl
from edusense_drivers.onvif.http import excerpt
from edusense_drivers.onvif.policies import IdentityPolicy, Policies
from edusense_drivers.onvif.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from lxml import etree

    from edusense.devices.camera import CameraEvent

__all__ = ["OnvifCamera", "mac", "scope"]

_PATH = "/onvif/device_service"


class OnvifCamera(Camera):
    """One ONVIF camera. Opening asks nothing yet; answers that do not change are asked for once.

    Args:
        target: URL of its device service; without a path the standard's.
        user: user; None asks only what everybody may ask.
        password: password.
        timeout_s: for each question.
        visit_s: for everything that this object does; None: no such limit.
        policies: what this camera does differently from most; None: what the quirks of its make say.
        make: manufacturer and model, where they are known before the camera is asked: `("hikvision", "DS-2CD*")`.
        configs: folders `firmware_configs` besides ours, whose quirks go first.
        certificate: SHA-256 of its certificate in hex, where its address is https and nobody signed it.
        clock: our Unix seconds.

    Raises:
        UsageError: the target is no URL, or carries a user or password.
        DriverBrokenError: a file of quirks is wrong.
    """

    def __init__(
        self,
        target: str,
        *,
        user: str | None = None,
        password: str | None = None,
        timeout_s: float = 5.0,
        visit_s: float | None = None,
        policies: Policies | None = None,
        make: tuple[str, str] | None = None,
        configs: Sequence[Path] = (),
        certificate: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._chosen = policies is None
        self._configs = tuple(configs)
        self.quirks: list[quirks.Quirk] = []
        """The quirks that its policies come from."""
        if policies is None:
            policies, self.quirks = quirks.choose(*(make or ("", "")), "", self._configs)
        self._session = Session(
            _with_path(target),
            user=user,
            password=password,
            timeout_s=timeout_s,
            visit_s=visit_s,
            policies=policies,
            certificate=None if certificate is None else certificate.removeprefix("sha256:").lower(),
            clock=clock,
        )
        self.address = f"onvif:{self._session.place.url}"
        self._profiles: list[CameraProfile] | None = None
        self._known = False

    @property
    def policies(self) -> Policies:
        """What this camera does differently; after `information`, as its make, model and firmware have it."""
        return self._session.policies

    def close(self) -> None:
        """Closes its connections; harmless when repeated."""
        self._session.close()

    def __repr__(self) -> str:
        return f"OnvifCamera({self.address!r})"

    def information(self) -> CameraInformation:
        """Who the camera says it is; MAC, name and location where it tells them."""
        said = self._session.call("device", "GetDeviceInformation")
        make, model = soap.text(said, "Manufacturer") or "", soap.text(said, "Model") or ""
        firmware = soap.text(said, "FirmwareVersion") or ""
        if self._chosen:
            self._session.policies, self.quirks = quirks.choose(make, model, firmware, self._configs)
            self._known = True
        interfaces = self._session.call_if_known("device", "GetNetworkInterfaces")
        scopes = self._session.call_if_known("device", "GetScopes")
        items = [soap.text(one, "ScopeItem") or "" for one in soap.children(scopes, "Scopes")]
        told = None
        if self.policies.identity is IdentityPolicy.MAC:
            told = _mac_of(interfaces) or mac(scope(items, "MAC"))
        return CameraInformation(
            manufacturer=make,
            model=model,
            firmware=firmware,
            serial=soap.text(said, "SerialNumber") or "",
            hardware=soap.text(said, "HardwareId") or "",
            mac=told,
            name=scope(items, "name"),
            location=scope(items, "location"),
            speaks=_spoken(items),
        )

    def _know(self) -> None:
        """Makes sure that its make is known, where what it does depends on that."""
        if self._chosen and not self._known:
            with contextlib.suppress(DeviceRefusedError):  # then it is asked without that
                self.information()

    def prove_login(self) -> None:
        """Asks what only an administrator may ask: some cameras let a wrong password through everywhere else."""
        self._session.prove_login()

    def clock(self) -> CameraClock:
        """The camera's clock beside ours, asked without login."""
        return self._session.clock()

    def profiles(self) -> list[CameraProfile]:
        """The camera's streams; those that can carry no picture are left out.

        Raises:
            DeviceProtocolError: it has none.
        """
        if self._profiles is None:
            self._profiles = profiles.read(self._session)
        return list(self._profiles)

    def stream_address(self, profile: CameraProfile | str) -> str:
        """The RTSP URL of a stream, with the host that the camera was reached by, without user and password."""
        return self._session.repair_stream(profiles.stream_uri(self._session, _token(profile)))

    def snapshot_address(self, profile: CameraProfile | str) -> str | None:
        """The URL of a still picture, without user and password; None where the camera has none or leaves the address
        out.
        """
        uri = profiles.snapshot_uri(self._session, _token(profile))
        return addresses.without_secrets(self._session.repair(uri)) if uri else None

    def snapshot(self, profile: CameraProfile | str | None = None) -> bytes:
        """A still picture as the camera sends it.

        Raises:
            DeviceRefusedError: it makes no still pictures.
            DeviceProtocolError: what it sends is no JPEG.
        """
        if profile is None:
            profile = max(self.profiles(), key=lambda one: one.pixels)
        address = profiles.snapshot_uri(self._session, _token(profile))
        if address is None:
            raise DeviceRefusedError(
                f"`{self._session.who}` makes no still pictures",
                hint="take one from its stream: `edusense video luma`, or from the box",
            )
        picture = self._session.fetch(self._session.repair(address))
        if not picture.startswith(b"\xff\xd8\xff"):
            raise DeviceProtocolError(f"`{self._session.who}` sends no JPEG but {excerpt(picture)}")
        return picture

    def read_settings(self, group: str) -> CameraSettings:
        """Reads a group of settings as it is now."""
        return settings.group_of(self._session, group).read()

    def write_settings(self, group: str, values: Mapping[str, Any]) -> bool:
        """Sets some settings of a group, the others echoed as the camera has them; whether it wants a restart."""
        self._profiles = None
        return settings.group_of(self._session, group).write(dict(values))

    def doubts(self, setting: str) -> str | None:
        """Why a setting may be accepted and ignored by this make: where others have seen that; None where none has."""
        if setting not in self.policies.doubtful:
            return None
        sources = [one.source for one in self.quirks if setting in one.policy.get("doubtful", ())]
        return f"others have seen this make accept it and ignore it ({'; '.join(sources)})"

    def set_password(self, user: str, password: str, level: str | None = None) -> None:
        """Gives a user another password; makes the user where there is none.

        Args:
            user: whose.
            password: the new one.
            level: of a user that is made.

        Raises:
            DeviceRefusedError: the camera refuses, its make takes no such password, or its users are changed elsewhere.
        """
        self._know()
        users.set_password(self._session, user, password, level)

    def events(
        self,
        seconds: float,
        *,
        on_start: Callable[[], None] | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[CameraEvent]:
        """What the camera tells, for some time; it is subscribed to meanwhile, and never longer.

        Args:
            seconds: how long.
            on_start: called when it is subscribed to.
            stopped: says that it is enough; asked every few seconds.
        """
        from edusense_drivers.onvif import events

        self._know()
        yield from events.pull(self._session, seconds, on_start, stopped=stopped)

    def endpoint(self) -> str | None:
        """Its stable name in a search, `urn:uuid:…`; None where it does not tell."""
        return soap.text(self._session.call_if_known("device", "GetEndpointReference", anonymous=True), "GUID")

    def reboot(self) -> None:
        """Restarts the camera."""
        self._session.call("device", "SystemReboot")
        self.close()

    def zeep(self, service: str) -> Any:
        """onvif-zeep's typed service object, for everything that this class has no method for.

        Its requests go out as ours do: with our deadline, login and limits, and our errors come back.

        Args:
            service: `devicemgmt`, `media`, `ptz`, `imaging`, `events`, … as onvif-zeep names them.

        >>> camera.zeep("ptz").GetNodes()                                         # doctest: +SKIP
        """
        return wsdl.service(service, self._session.address_of(wsdl.namespace_of(service)), self._session.send)


def scope(items: Iterable[str], key: str) -> str | None:
    """What a camera says about itself under `onvif://www.onvif.org/KEY/`; None where it says nothing.

    >>> scope(["onvif://www.onvif.org/name/Hall%20205"], "name")
    'Hall 205'
    """
    for item in items:
        head, _, rest = item.partition("://www.onvif.org/")
        kind, slash, value = rest.partition("/")
        if head == "onvif" and slash and kind.lower() == key.lower() and value:
            return unquote(value)
    return None


def _spoken(items: Iterable[str]) -> tuple[str, ...]:
    """The ONVIF profiles in scopes; `Streaming` is what profile S was called."""
    found = [item.rpartition("/Profile/")[2] for item in items if "/Profile/" in item]
    return tuple(dict.fromkeys("S" if one == "Streaming" else one[:1].upper() for one in found if one))


def mac(said: str | None) -> str | None:
    """A MAC address as `00:1a:2b:3c:4d:5e`, from any of the ways to write one; None where it is none.

    >>> mac("00-1A-2B-3C-4D-5E")
    '00:1a:2b:3c:4d:5e'
    """
    digits = (said or "").strip().lower().replace(":", "").replace("-", "").replace(".", "")
    if len(digits) != 12 or set(digits) == {"0"} or not set(digits) <= set("0123456789abcdef"):
        return None
    return ":".join(digits[place : place + 2] for place in range(0, 12, 2))


def _mac_of(interfaces: etree._Element | None) -> str | None:
    """The MAC of the first enabled interface, else of the first that tells one."""
    found = list(soap.children(interfaces, "NetworkInterfaces"))
    found.sort(key=lambda one: (soap.text(one, "Enabled") or "").lower() not in ("true", "1"))
    return next((told for one in found if (told := mac(soap.text(one, "Info", "HwAddress")))), None)


def _token(profile: CameraProfile | str) -> str:
    return profile if isinstance(profile, str) else profile.token


def _with_path(target: str) -> str:
    """The URL with the standard's path where it has none."""
    head, mark, rest = target.partition("://")
    if not mark:
        head, rest = "http", target
    host, slash, path = rest.partition("/")
    return f"{head}://{host}/{path}" if slash and path else f"{head}://{host}{_PATH}"
