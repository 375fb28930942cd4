"""ONVIF cameras: found by WS-Discovery, asked over SOAP with a deadline on every call.

`onvif-zeep` builds the requests, from WSDLs parsed once for all cameras (`wsdl`); sending, logging in and the tolerant
reading of answers are ours (`http`, `session`, `soap`); what one vendor does differently has a name (`quirks`). Its
`ONVIFCamera` constructor is never called: it leaks an event subscription and has no deadline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edusense.devices import Address, Driver

if TYPE_CHECKING:
    from edusense.devices.camera import CameraFound
    from edusense_drivers.onvif.camera import OnvifCamera

__all__ = ["DRIVER"]


def _open(address: Address, **settings: Any) -> OnvifCamera:
    from edusense_drivers.onvif.camera import OnvifCamera

    return OnvifCamera(address.target, **settings)


def _discover(**settings: Any) -> list[CameraFound]:
    from edusense_drivers.onvif.discovery import discover

    return discover(**settings)


DRIVER = Driver(
    name="onvif",
    kind="camera",
    summary="IP cameras of any make that speak ONVIF Profile S or T",
    address="onvif:http://HOST[:PORT][/onvif/device_service]",
    open=_open,
    discover=_discover,
)
