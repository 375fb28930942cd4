"""Rows of `camera` and `sim`: devices, real and virtual."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

from edusense.cli.schemas.base import Row

__all__ = [
    "CameraFoundRow",
    "CameraOfSite",
    "CameraShown",
    "DeviceReady",
    "SchoolReady",
]


class CameraFoundRow(Row):
    """A camera that answered a search of the network."""

    address: str
    """What `edusense camera show` takes."""
    endpoint: str
    """Its stable name."""
    source: str
    """The IP address that the answer came from."""
    name: str | None
    """What it is called."""
    hardware: str | None
    """Its hardware, as it says."""
    location: str | None
    """Where it hangs, as it says."""
    mac: str | None
    """Its MAC address."""
    scopes: list[str]
    """Everything that it says about itself."""
    site_id: str | None
    """Its id in the site file."""


class CameraOfSite(Row):
    """A camera of the site file."""

    id: str
    """Its id."""
    room: str
    """Its room."""
    address: str | None
    """Its address or URL."""
    mac: str | None
    """Its MAC address."""
    template: str | None
    """Its template below firmware_configs/cameras."""
    credentials: str | None
    """The table of [credentials]."""
    watch: str
    """The profile that is analysed."""
    keep: str
    """The profile that clips are cut from."""
    record: str
    """events, always or never."""


class CameraShown(Row):
    """What a camera says about itself."""

    address: str
    """Where it was asked."""
    information: dict[str, str | list[str] | None]
    """Manufacturer, model, firmware, serial, hardware, mac, name, location; speaks: ONVIF profiles that it claims."""
    clock: dict[str, Any] | None
    """Its clock: time, offset_s (camera minus ours), ntp, timezone, daylight."""
    profiles: list[dict[str, Any]]
    """Its streams, each with the address of the stream."""
    snapshot: str | None
    """URL of a still picture."""
    problems: list[str]
    """What it could not answer, and why."""


class DeviceReady(Row):
    """A virtual device is ready."""

    kind: Literal["camera", "reader"]
    id: str
    """Its name."""
    url: str | None
    """The address that our own commands take."""
    onvif: str | None
    """URL of its ONVIF device service."""
    rtsp: str | None
    """URL of its stream."""
    port: int | str | None
    """Its TCP port, or the path of its serial port or socket."""
    user: str | None
    """The user to log in as."""
    password_ref: str | None
    """Where the password is."""


class SchoolReady(Row):
    """A virtual school is ready; the last line."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    kind: Literal["school"]
    id: str
    """Its name."""
    site: str
    """The site file to run the box on."""
    seed: int
    """Repeats all that happens."""
