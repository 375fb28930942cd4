"""One visit to one camera: everything that it says about itself, or one picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from edusense.devices.profiles import choose
from edusense.errors import DeviceError, DeviceProtocolError, DeviceRefusedError
from edusense.fleet.addresses import open_camera, patient

if TYPE_CHECKING:
    from edusense.devices.camera import CameraClock, CameraInformation, CameraProfile
    from edusense.fleet.addresses import CameraEntry, Credentials

__all__ = ["CameraReport", "show", "snapshot"]


@dataclass(frozen=True, slots=True)
class CameraReport:
    """What a camera says about itself.

    Args:
        address: where it was asked.
        information: who it is.
        clock: its clock beside ours; None where it did not tell.
        profiles: its streams.
        streams: URL of each profile's stream, by token, without user and password.
        snapshot: URL of a still picture of the largest stream; None where it has none.
        problems: what it was asked and could not answer, each with its reason.
    """

    address: str
    information: CameraInformation
    clock: CameraClock | None
    profiles: list[CameraProfile]
    streams: dict[str, str]
    snapshot: str | None
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As `edusense camera show --json` prints it."""
        value = asdict(self)
        value["information"]["speaks"] = list(self.information.speaks)
        if self.clock is not None and self.clock.time is not None:
            value["clock"]["time"] = self.clock.time.isoformat()
        value["profiles"] = [{**asdict(one), "address": self.streams.get(one.token)} for one in self.profiles]
        del value["streams"]
        return value


def show(camera: CameraEntry | str, credentials: Credentials | None = None, timeout_s: float = 15.0) -> CameraReport:
    """Asks a camera everything that `edusense camera show` prints. What single questions fail on becomes a line in
    `problems`.

    Args:
        camera: a camera of the site file, or an address.
        credentials: user and password.
        timeout_s: for everything together, in seconds.

    Raises:
        DeviceError: it cannot be reached, refuses the login, or does not say who it is.
    """
    problems: list[str] = []
    with open_camera(camera, credentials, timeout_s, call_s=patient(timeout_s)) as opened:
        # The clock goes first and needs no login: a camera that then refuses the login has at least been heard.
        clock: CameraClock | None = None
        try:
            clock = opened.clock()
        except (DeviceProtocolError, DeviceRefusedError) as error:
            problems.append(str(error))
        information = opened.information()
        profiles: list[CameraProfile] = []
        streams: dict[str, str] = {}
        still: str | None = None
        try:
            profiles = opened.profiles()
            for profile in profiles:
                try:
                    streams[profile.token] = opened.stream_address(profile)
                except (DeviceProtocolError, DeviceRefusedError) as error:
                    problems.append(str(error))
            still = opened.snapshot_address(choose(profiles, "main"))
        except DeviceError as error:
            problems.append(str(error))
        return CameraReport(opened.address, information, clock, profiles, streams, still, problems)


def snapshot(
    camera: CameraEntry | str, credentials: Credentials | None = None, timeout_s: float = 15.0, *, profile: str = "main"
) -> bytes:
    """A still picture as the camera makes it: JPEG.

    Args:
        camera: a camera of the site file, or an address.
        credentials: user and password.
        timeout_s: for everything together, in seconds.
        profile: `main`, `sub`, or a profile's name or token.

    Raises:
        DeviceRefusedError: it makes no still pictures, or refuses the login.
        DeviceProtocolError: what it sends is no JPEG.
    """
    with open_camera(camera, credentials, timeout_s, call_s=patient(timeout_s)) as opened:
        name = camera if isinstance(camera, str) else camera.id
        return opened.snapshot(choose(opened.profiles(), profile, name))
