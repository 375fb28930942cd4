"""From a camera of the site file to the addresses of its streams."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from edusense.devices.address import onvif_address
from edusense.devices.profiles import choose
from edusense.errors import SiteValueError

if TYPE_CHECKING:
    from edusense.devices.camera import Camera, CameraProfile
    from edusense.site import Camera as SiteCamera
    from edusense.site import Site

__all__ = [
    "CameraEntry",
    "Credentials",
    "Login",
    "StreamAddresses",
    "address_of",
    "open_camera",
    "open_of_site",
    "patient",
    "stream_addresses",
    "url_of",
]

CALL_S = 5.0
"""Longest wait for one answer of a camera, in seconds; the slowest honest ones take two."""


def patient(timeout_s: float) -> float:
    """How long each question may take of a visit that somebody wanted longer than usual: a third of it.

    >>> patient(15), patient(60)
    (5.0, 20.0)
    """
    return max(CALL_S, timeout_s / 3)


class CameraEntry(Protocol):
    """What is asked of a camera of the site file (`edusense.site`)."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def address(self) -> str | None: ...  # noqa: D102
    @property
    def url(self) -> str | None: ...  # noqa: D102
    @property
    def watch(self) -> str: ...  # noqa: D102
    @property
    def keep(self) -> str: ...  # noqa: D102


class Credentials(Protocol):
    """A user, and a password that is read when it is needed."""

    @property
    def user(self) -> str: ...  # noqa: D102
    def secret(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Login:
    """A user and password that are already known, as credentials; the password is never shown."""

    user: str
    password: str = field(repr=False)

    def secret(self) -> str:
        """The password."""
        return self.password


@dataclass(frozen=True, slots=True)
class StreamAddresses:
    """Where a camera's streams are, without user and password.

    Args:
        watch: the stream that is analysed.
        keep: the stream that clips are cut from; the same where the camera has one.
        snapshot: a still picture over HTTP; None where the camera has none.
        watch_profile: what the camera says about `watch`; None for a camera given by `url`.
        keep_profile: what the camera says about `keep`; likewise.
    """

    watch: str
    keep: str
    snapshot: str | None = None
    watch_profile: CameraProfile | None = None
    keep_profile: CameraProfile | None = None


def address_of(camera: CameraEntry | str) -> str:
    """A camera's address as `devices.open_camera` takes it.

    Args:
        camera: a camera of the site file, a host, a URL, or such an address already.

    Raises:
        SiteValueError: it is given by `url`, so that there is nothing to ask.

    >>> address_of("10.20.0.51")
    'onvif:http://10.20.0.51/onvif/device_service'
    """
    if not isinstance(camera, str):
        if camera.address is None:
            raise SiteValueError(
                f"camera `{camera.id}` is given by `url`: it has no ONVIF to ask",
                hint="give its `address` instead of `url` if it speaks ONVIF",
            )
        camera = camera.address
    return onvif_address(camera)


def url_of(camera: CameraEntry | str) -> str | None:
    """The stream's own URL where a camera is given by it; None where it is asked by ONVIF."""
    if isinstance(camera, str):
        return camera if camera.startswith(("rtsp://", "rtsps://")) else None
    return camera.url


def open_camera(
    camera: CameraEntry | str,
    credentials: Credentials | None,
    timeout_s: float,
    *,
    call_s: float = CALL_S,
    **more: Any,
) -> Camera:
    """Opens a camera for one visit; asks nothing yet.

    Args:
        camera: a camera of the site file, or an address.
        credentials: user and password; None asks only what everybody may ask.
        timeout_s: for the whole visit.
        call_s: for each question.
        more: what else the driver is told, as `make` and `configs`.
    """
    from edusense import devices

    certificate = None if isinstance(camera, str) else getattr(camera, "certificate", None)
    if certificate is not None:
        more["certificate"] = certificate
    camera_: Camera = devices.open_camera(
        address_of(camera),
        user=credentials.user if credentials else None,
        password=credentials.secret() if credentials else None,
        timeout_s=min(call_s, timeout_s),
        visit_s=timeout_s,
        **more,
    )
    return camera_


def open_of_site(
    site: Site,
    camera: SiteCamera,
    timeout_s: float,
    *,
    credentials: Credentials | None = None,
    address: str | None = None,
    make: tuple[str, str] | None = None,
) -> Camera:
    """Opens a camera of a site for one visit: with its credentials, its certificate and the site's own quirks.

    Args:
        site: the site file.
        camera: one of its cameras.
        timeout_s: for the whole visit.
        credentials: instead of those that the site file names.
        address: where it is, instead of where the site file says.
        make: manufacturer and model, where they are known before it is asked.
    """
    more: dict[str, Any] = {} if make is None else {"make": make}
    own = site.folder / "firmware_configs"
    if own.is_dir():
        more["configs"] = [own]
    if address is not None:
        camera = camera.model_copy(update={"address": address})
    return open_camera(camera, credentials or site.credentials_of(camera), timeout_s, **more)


def stream_addresses(
    camera: CameraEntry | str,
    credentials: Credentials | None = None,
    timeout_s: float = 10.0,
    *,
    watch: str | None = None,
    keep: str | None = None,
) -> StreamAddresses:
    """Asks a camera where its streams are.

    A camera given by `url` is not asked anything. One attempt to log in is made; call this again only when something
    has changed, since cameras lock accounts.

    Args:
        camera: a camera of the site file, or an address.
        credentials: user and password, as in the site file's `[credentials]`.
        timeout_s: for everything together, in seconds.
        watch: `sub`, `main`, or a profile's name or token; None: as the site file says, else `sub`.
        keep: likewise; else `main`.

    Raises:
        DeviceTimeoutError: it did not answer in time.
        DeviceNotFoundError: nobody is at the address.
        DeviceRefusedError: it refused user or password.
        DeviceProtocolError: what it answered makes no sense.
        SiteReferenceError: it has no profile of that name.
    """
    if (url := url_of(camera)) is not None:
        return StreamAddresses(url, getattr(camera, "keep_url", None) or url)
    watch = watch or (getattr(camera, "watch", None) or "sub")
    keep = keep or (getattr(camera, "keep", None) or "main")
    name = camera if isinstance(camera, str) else camera.id
    with open_camera(camera, credentials, timeout_s, call_s=patient(timeout_s)) as opened:
        profiles = opened.profiles()
        watched, kept = choose(profiles, watch, name), choose(profiles, keep, name)
        watch_address = opened.stream_address(watched)
        keep_address = watch_address if kept.token == watched.token else opened.stream_address(kept)
        return StreamAddresses(watch_address, keep_address, opened.snapshot_address(kept), watched, kept)
