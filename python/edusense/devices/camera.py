"""What a camera is to edusense, whichever driver talks to it.

A driver's `open(address, *, user=None, password=None, timeout_s=5.0, visit_s=None, **more)` returns a `Camera`:
`timeout_s` holds for each question, `visit_s` for everything that the object does. Opening is cheap and touches no
network; the first question does. Of `more` a driver takes what it knows and passes over the rest: `certificate` (the
SHA-256 that the camera's certificate must have), `make` (manufacturer and model, where they are known before),
`configs` (folders `firmware_configs` of the site).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from edusense.errors import DeviceRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

__all__ = [
    "Camera",
    "CameraClock",
    "CameraEvent",
    "CameraFound",
    "CameraInformation",
    "CameraProfile",
    "CameraSettings",
    "Offer",
]


@dataclass(frozen=True, slots=True)
class CameraInformation:
    """Who a camera says it is.

    Args:
        manufacturer: as the camera spells it.
        model: as the camera spells it.
        firmware: version of its firmware.
        serial: serial number.
        hardware: hardware id.
        mac: MAC address of the first enabled interface as `00:1a:2b:3c:4d:5e`; None where the camera does not tell.
        name: what the installer called it (scope `name`); None where there is none.
        location: where the installer said it hangs (scope `location`); None where there is none.
        speaks: ONVIF profiles that it claims: `S`, `T`, `G` …
    """

    manufacturer: str
    model: str
    firmware: str
    serial: str
    hardware: str
    mac: str | None = None
    name: str | None = None
    location: str | None = None
    speaks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CameraClock:
    """A camera's clock beside ours.

    Args:
        time: what the camera's clock shows, in UTC; None where what it sent is no time.
        offset_s: camera's clock minus ours in seconds, good to about one (positive: the camera is ahead); None where
            `time` is None.
        ntp: whether the camera says that it follows an NTP server.
        timezone: the camera's own time zone string (POSIX, as `CST-6`); None where it does not tell.
        daylight: whether it says that daylight saving is on; None where it does not tell.
    """

    time: datetime | None
    offset_s: float | None
    ntp: bool
    timezone: str | None = None
    daylight: bool | None = None


@dataclass(frozen=True, slots=True)
class CameraProfile:
    """One of a camera's streams, as the camera describes it; what it does not tell is None.

    Args:
        token: the camera's name for it in requests.
        name: the name that people see.
        width: pixels.
        height: pixels.
        fps: pictures a second.
        kbit: limit of the bit rate in kbit/s.
        encoding: `H264`, `H265`, `JPEG` …
        gop: pictures from one key picture to the next.
    """

    token: str
    name: str
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    kbit: int | None = None
    encoding: str | None = None
    gop: int | None = None

    @property
    def pixels(self) -> int:
        """Width times height; 0 where the camera does not tell."""
        return (self.width or 0) * (self.height or 0)


@dataclass(frozen=True, slots=True)
class CameraFound:
    """A camera that answered a search.

    Args:
        address: what `open_camera` takes.
        endpoint: its stable name, as `urn:uuid:…`; the same after its IP address changes.
        source: the IP address that the answer came from.
        name: scope `name`; None where there is none.
        hardware: scope `hardware`; None where there is none.
        location: scope `location`; None where there is none.
        mac: MAC address as `00:1a:2b:3c:4d:5e`; None where neither the camera nor this machine's neighbour table tells.
        scopes: everything that it says about itself.
    """

    address: str
    endpoint: str
    source: str
    name: str | None = None
    hardware: str | None = None
    location: str | None = None
    mac: str | None = None
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CameraEvent:
    """Something that a camera tells.

    Args:
        topic: its name for it, without prefixes: `RuleEngine/CellMotionDetector/Motion`.
        kind: our word for it: `motion`, `tamper`, `blurred`, `too-dark`, `too-bright`, `storage-failure`,
            `hardware-failure`, `restart`, `clock` …; None for a topic that we have no word for.
        at: the camera's own time of it, in UTC; None where what it sent is no time.
        active: whether it holds now; None where the camera tells no state.
        source: what it is about, name → value.
        data: what happened, name → value.
        operation: `Initialized` (it was so when we asked), `Changed`, `Deleted`; empty where it does not tell.
    """

    topic: str
    kind: str | None
    at: datetime | None
    active: bool | None
    source: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    operation: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a camera offers for one setting; where it tells nothing, everything.

    Args:
        values: it takes one of these; empty where it tells no list.
        low: the smallest number.
        high: the largest number.
        whole: whole numbers only.
        step: multiples of this only: what it takes of other numbers is rounded down.
    """

    values: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    whole: bool = False
    step: int = 1


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """A group of settings that a camera reads and writes together.

    Args:
        values: setting → what it is now; what the camera does not tell is left out.
        offers: setting → what the camera offers; for an encoder `CODEC:SETTING`, as they differ by codec.
    """

    values: dict[str, Any]
    offers: dict[str, Offer] = field(default_factory=dict)


class Camera(ABC):
    """One camera. Use it in a `with` block; closing twice is harmless.

    Every method raises `DeviceTimeoutError` when its deadline passes, `DeviceNotFoundError` when nobody is at the
    address, `DeviceRefusedError` when the camera says no, and `DeviceProtocolError` when what it answers makes no
    sense.
    """

    address: str
    """The address that it was opened by; never with a password."""

    @abstractmethod
    def information(self) -> CameraInformation:
        """Who the camera says it is."""

    @abstractmethod
    def clock(self) -> CameraClock:
        """The camera's clock beside ours."""

    @abstractmethod
    def profiles(self) -> list[CameraProfile]:
        """The camera's streams, in its own order."""

    @abstractmethod
    def stream_address(self, profile: CameraProfile | str) -> str:
        """The URL of a stream, without user and password.

        Args:
            profile: a profile or its token.
        """

    @abstractmethod
    def snapshot_address(self, profile: CameraProfile | str) -> str | None:
        """The URL of a still picture, without user and password; None where the camera has none.

        Args:
            profile: a profile or its token.
        """

    @abstractmethod
    def snapshot(self, profile: CameraProfile | str | None = None) -> bytes:
        """A still picture as the camera sends it: JPEG.

        Args:
            profile: a profile or its token; None for the largest picture.
        """

    def prove_login(self) -> None:
        """Asks what only an administrator may: some cameras let a wrong password through everywhere else.

        Raises:
            DeviceRefusedError: it refuses: the password is wrong, or the user is no administrator.
        """
        raise DeviceRefusedError(f"the driver of `{self.address}` cannot tell whether a password is right")

    def set_password(self, user: str, password: str, level: str | None = None) -> None:
        """Gives a user another password; makes the user where there is none. That it returns proves nothing: log in.

        Args:
            user: whose.
            password: the new one.
            level: `administrator`, `operator` or `user`, of a user that is made; None makes an administrator.
        """
        raise DeviceRefusedError(f"the driver of `{self.address}` cannot change passwords")

    def events(
        self,
        seconds: float,
        *,
        on_start: Callable[[], None] | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[CameraEvent]:
        """What the camera tells, as it comes; it is subscribed to for no longer than that.

        Args:
            seconds: how long.
            on_start: called when it is subscribed to.
            stopped: says that it is enough; asked every few seconds.
        """
        raise DeviceRefusedError(f"the driver of `{self.address}` cannot ask it for events")

    def doubts(self, setting: str) -> str | None:
        """Why a setting may be accepted and ignored by this make; None where nobody has seen that.

        Args:
            setting: its dotted name, as in a template: `main.gop_s`.
        """
        return None

    def read_settings(self, group: str) -> CameraSettings:
        """Reads a group of settings as it is now; nothing is remembered from an earlier reading.

        Groups and their settings:

        - `clock`: `timezone` (POSIX), `ntp` (bool: follows NTP), `daylight` (bool), `offset_s` (camera minus ours)
        - `ntp`: `servers` (list; empty: from DHCP)
        - `hostname`: `hostname`
        - `scopes`: `name`, `location`
        - `discovery`: `discoverable` (bool)
        - `users`: `users` (name → level), and `user:NAME` → level for each of them
        - `network`: `address` (`10.20.0.51/22`), `dhcp` (bool); only read: `speed_mbit`, `duplex`
        - `gateway`: `gateway` (empty: none); `dns`: `dns` (list; empty: from DHCP)
        - `encoder/PROFILE`: `encoding`, `profile`, `size` (`[width, height]`), `fps`, `gop` (pictures), `kbit`,
          `quality` (the camera's own scale), `rate_control` (`vbr` or `cbr`)
        - `imaging/PROFILE`: `noise_reduction`, `wide_dynamic_range` (bool), `ir_cut` (`auto`, `on`, `off`)
        - `osd/PROFILE`: `text` (one line in the picture), `clock` (bool: date and time are in it)

        Args:
            group: its name; PROFILE is a profile's token.
        """
        raise DeviceRefusedError(f"the driver of `{self.address}` cannot read `{group}`")

    def write_settings(self, group: str, values: Mapping[str, Any]) -> bool:
        """Sets some settings of a group and leaves the others as they are. That it returns proves nothing: read again.

        Args:
            group: as in `read_settings`.
            values: setting → value. `offset_s` sets the clock by hand to ours plus that.

        Returns:
            Whether the camera says that it must be restarted for it.
        """
        raise DeviceRefusedError(f"the driver of `{self.address}` cannot set {', '.join(values)} of `{group}`")

    def endpoint(self) -> str | None:
        """Its stable name in a search, `urn:uuid:…`; None where it has none or does not tell."""
        return None

    def reboot(self) -> None:
        """Restarts the camera; returns when it has said yes, long before it is back."""
        raise DeviceRefusedError(f"the driver of `{self.address}` cannot restart it")

    @abstractmethod
    def close(self) -> None:
        """Lets go of the connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
