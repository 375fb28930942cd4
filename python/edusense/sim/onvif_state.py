"""What a virtual camera remembers of what it was told: clock, names, users, network, encoders, picture; and how it lies
about remembering.
"""

from __future__ import annotations

import contextlib
import copy
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from edusense.sim.onvif_lies import applies_later, ignores, refuses
from edusense.sim.onvif_xml import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from edusense.sim.onvif_server import Profile

__all__ = ["SIZES", "EncoderState", "NetworkState", "Osd", "Ranges", "State", "User", "ranges", "sizes"]

SIZES: Final = ((1920, 1080), (1280, 720), (704, 576), (640, 480), (640, 360), (480, 270), (320, 180))
"""Sizes that an encoder offers besides its own, as far as they are not larger."""
FPS_RANGE: Final = (1, 30)
GOP_RANGE: Final = (1, 250)
KBIT_RANGE: Final = (64, 8192)
QUALITY_RANGE: Final = (1, 10)
CODECS: Final = ("H264", "H265")
H264_PROFILES: Final = ("Baseline", "Main", "High")
KBIT_STEP: Final = 256
"""What the lie `rounds` rounds bit rates down to."""
REVERT_S: Final = 0.6
"""How long the lie `reverts` shows what was set."""
SLOW_SET_S: Final = 1.0
CLOCK_BEGIN_S: Final = 946_684_800.0
"""2000-01-01: what a clock without battery and NTP begins with."""
MAX_USERS: Final = 8


@dataclass(frozen=True, slots=True)
class EncoderState:
    """One video encoder's settings.

    Args:
        encoding: `H264` or `H265`; `JPEG` only as made.
        profile: H.264 profile.
        width: pixels.
        height: pixels.
        fps: pictures a second.
        gop: pictures from one key picture to the next.
        kbit: limit of the bit rate.
        quality: 1 to 10.
        constant: strict CBR; only Media2 has a word for it.
    """

    encoding: str
    profile: str
    width: int
    height: int
    fps: float
    gop: int
    kbit: int
    quality: float = 5.0
    constant: bool = True


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in.

    Args:
        password: the password.
        level: `Administrator`, `Operator` or `User`.
        made_here: made by its maker or in its web pages, not by ONVIF.
    """

    password: str
    level: str = "Administrator"
    made_here: bool = True


@dataclass(frozen=True, slots=True)
class NetworkState:
    """How it is in the network.

    Args:
        address: its IPv4 address, as set by hand; while `dhcp` holds, the one it had before.
        prefix: length of the network's prefix.
        dhcp: takes its address from a DHCP server.
        gateway: default gateway; empty for none.
        dns_from_dhcp: takes its DNS servers from there, too.
        dns: DNS servers set by hand.
    """

    address: str
    prefix: int = 24
    dhcp: bool = False
    gateway: str = ""
    dns_from_dhcp: bool = True
    dns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Osd:
    """One text in the picture.

    Args:
        kind: `Plain`, or `DateAndTime` for its clock.
        text: the words; empty for a clock.
        position: `UpperLeft`, `LowerRight` …
    """

    kind: str
    text: str = ""
    position: str = "UpperLeft"


@dataclass(slots=True)
class State:
    """Everything that can be set in a virtual camera.

    Args:
        hostname: its name in the network.
        name: scope `name`.
        location: scope `location`.
        users: who may log in, by name.
        network: its place in the network.
        codecs: what its encoders can be set to.
    """

    hostname: str
    name: str
    location: str
    users: dict[str, User] = field(default_factory=dict)
    network: NetworkState = field(default_factory=lambda: NetworkState("127.0.0.1"))
    codecs: tuple[str, ...] = CODECS
    timezone: str = "UTC0"
    daylight: bool = False
    follows_ntp: bool = True
    ntp_from_dhcp: bool = True
    ntp_servers: tuple[str, ...] = ()
    discoverable: bool = True
    clock_offset_s: float = 0.0
    """Its clock minus the true one, after somebody set it."""
    clock_set: bool = False
    imaging: dict[str, str | float] = field(
        default_factory=lambda: {
            "Brightness": 50.0,
            "ColorSaturation": 50.0,
            "Contrast": 50.0,
            "Sharpness": 50.0,
            "IrCutFilter": "ON",
            "WideDynamicRange": "OFF",
            "BacklightCompensation": "OFF",
            "NoiseReduction": 0.0,
        }
    )
    osds: dict[str, Osd] = field(default_factory=dict)
    texts_made: int = 0
    password_pending: bool = True
    """Its user must choose another password first, where the camera is told to demand that."""
    gone: bool = False
    """It changed something of the network and is not heard of again."""
    reboots: int = 0
    sets: list[str] = field(default_factory=list)
    """The operations that wanted to change something, in order, obeyed or not."""
    encoders: dict[str, EncoderState] = field(default_factory=dict)
    """By profile token: what somebody set."""
    _made: dict[str, User] = field(default_factory=dict)
    _pending: list[Callable[[], None]] = field(default_factory=list)
    _due: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    _down_until: float = 0.0
    _kept: dict[str, object] | None = None

    def __post_init__(self) -> None:
        self._made = dict(self.users)

    def encoder(self, profile: Profile) -> EncoderState:
        """What the encoder of a profile is set to; as the profile was made until somebody changes it."""
        return self.encoders.get(profile.token) or EncoderState(
            profile.encoding,
            "Main",
            profile.width,
            profile.height,
            profile.fps,
            profile.gop,
            profile.kbit,
            constant=profile.constant,
        )

    def change(self, operation: str, lies: Collection[str], work: Callable[[], None], *, network: bool = False) -> bool:
        """Does what a Set asks for, or lies about it.

        Args:
            operation: its name.
            lies: names out of `edusense.sim.onvif_lies.LIES`.
            work: the change.
            network: it concerns the network.

        Returns:
            Whether the answer says that a restart is needed.

        Raises:
            Fault: the camera refuses.
        """
        self.sets.append(operation)
        if refuses(lies, operation, changes=True):
            raise Fault(("ter:ActionNotSupported",), f"{operation} is not supported", sender=False, status=500)
        if ignores(lies, operation):
            return False
        if applies_later(lies, operation):
            self._pending.append(work)
            return "after-reboot" in lies
        if "slow-sets" in lies:
            self.later(SLOW_SET_S, work)
            return False
        if "reverts" in lies and self._kept is None:
            self._kept = self.saved()
        work()
        if self._kept is not None:
            self.later(REVERT_S, self._revert)
        if network and "goes-away" in lies:
            self.gone = True
        return False

    def _revert(self) -> None:
        if self._kept is not None:
            self.put_back(self._kept)
        if not self._due:
            self._kept = None

    def at_restart(self, work: Callable[[], None]) -> None:
        """Does something with the next restart."""
        self._pending.append(work)

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Does something after a while; what is due is done when somebody asks next."""
        self._due.append((time.monotonic() + seconds, work))

    def settle(self) -> None:
        """Does what is due."""
        if self._due:
            now = time.monotonic()
            due = [work for at, work in self._due if at <= now]
            self._due = [one for one in self._due if one[0] > now]
            for work in due:
                with contextlib.suppress(Fault):
                    work()

    def saved(self) -> dict[str, object]:
        """A copy of what can be set."""
        return {name: copy.copy(getattr(self, name)) for name in _SETTABLE}

    def put_back(self, saved: dict[str, object]) -> None:
        """Makes it as it was when that copy was made."""
        for name, value in saved.items():
            setattr(self, name, copy.copy(value))

    def set_encoder(self, profile: Profile, wanted: EncoderState, lies: Collection[str]) -> None:
        """Sets an encoder, checked against what it offers.

        Raises:
            Fault: it does not offer that.
        """
        before, limits = self.encoder(profile), ranges(profile)
        if profile.fixed:
            if round(wanted.fps) != round(before.fps) or replace(wanted, fps=before.fps, quality=5.0) != before:
                raise Fault(("ter:InvalidArgVal", "ter:ConfigModify"), "its encoder can do this one thing")
            return
        for what, value, (low, high) in (
            ("FrameRateLimit", wanted.fps, limits.fps),
            ("GovLength", wanted.gop, limits.gop),
            ("BitrateLimit", wanted.kbit, limits.kbit),
            ("Quality", wanted.quality, QUALITY_RANGE),
        ):
            if not low <= value <= high:
                raise Fault(("ter:InvalidArgVal", "ter:ConfigModify"), f"{what} {value:g} is not {low} to {high}")
        if (wanted.width, wanted.height) not in sizes(profile):
            raise Fault(("ter:InvalidArgVal", "ter:ConfigModify"), f"no size {wanted.width}x{wanted.height}")
        if wanted.profile not in H264_PROFILES or wanted.encoding not in self.codecs:
            raise Fault(("ter:InvalidArgVal", "ter:ConfigModify"), f"no {wanted.encoding} {wanted.profile}")
        if "ignores-gop" in lies:
            wanted = replace(wanted, gop=before.gop)
        if "ignores-rate-control" in lies:
            wanted = replace(wanted, kbit=before.kbit, constant=before.constant)
        if "rounds" in lies:
            kbit = max(KBIT_RANGE[0], wanted.kbit // KBIT_STEP * KBIT_STEP)
            wanted = replace(wanted, kbit=kbit, fps=float(int(wanted.fps)), gop=max(1, wanted.gop // 10 * 10))
        self.encoders = {**self.encoders, profile.token: wanted}

    def reboot(self, seconds: float, lies: Collection[str] = (), now: float | None = None) -> None:
        """Goes down for some time and comes back with everything that waited for it.

        Args:
            seconds: how long.
            lies: what it does wrong.
            now: the true time, Unix seconds.
        """
        self.reboots += 1
        self.settle()
        pending, self._pending = self._pending, []
        for work in pending:
            with contextlib.suppress(Fault):  # what it cannot do it forgets, as cameras do
                work()
        if "loses-clock" in lies:
            self.clock_offset_s = CLOCK_BEGIN_S - (time.time() if now is None else now)
            self.clock_set = True
        if "forgets-users" in lies:
            self.users = dict(self._made)
        self._down_until = time.monotonic() + seconds

    @property
    def down(self) -> bool:
        """Whether nobody answers: restarting, or gone."""
        return self.gone or time.monotonic() < self._down_until


_SETTABLE: Final = (
    *("hostname", "name", "location", "users", "network", "timezone", "daylight", "follows_ntp", "ntp_from_dhcp"),
    *("ntp_servers", "discoverable", "clock_offset_s", "clock_set", "imaging", "osds", "encoders"),
)


@dataclass(frozen=True, slots=True)
class Ranges:
    """What an encoder offers: smallest and largest."""

    fps: tuple[float, float]
    gop: tuple[int, int]
    kbit: tuple[int, int]


def ranges(profile: Profile) -> Ranges:
    """What a profile's encoder offers: one thing where it can do no other."""
    if profile.fixed:
        return Ranges((profile.fps, profile.fps), (profile.gop, profile.gop), (profile.kbit, profile.kbit))
    return Ranges(FPS_RANGE, GOP_RANGE, KBIT_RANGE)


def sizes(profile: Profile) -> list[tuple[int, int]]:
    """The sizes that a profile's encoder offers, the largest first."""
    own = (profile.width, profile.height)
    if profile.fixed:
        return [own]
    return sorted({own, *(size for size in SIZES if size[0] <= own[0] and size[1] <= own[1])}, reverse=True)
