"""What a camera does when it is called: first picture, reconnecting, sessions at once, ONVIF, still pictures."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from edusense.devices import open_camera
from edusense.errors import DeviceError, EdusenseError
from edusense.video import CameraSource, Engine

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Onvif", "Sessions", "ask_onvif", "first_pictures", "light", "sessions"]

_FIRST_LIMIT_S: Final = 20.0
_SESSIONS_LIMIT_S: Final = 10.0


def first_pictures(url: str, user: str | None, password: str | None, count: int) -> tuple[list[float], bytes | None]:
    """Seconds from calling the camera to its first whole key picture, as the box calls it; and the last one as JPEG.

    Args:
        url: of the stream.
        user: on the camera.
        password: of that user.
        count: how often it is called.
    """
    found: list[float] = []
    picture = None
    for _ in range(count):
        began = time.monotonic()
        with Engine([CameraSource("camera", url, user, password)], pool_threads=0) as engine:
            while time.monotonic() - began < _FIRST_LIMIT_S:
                (row,) = engine.stats()
                if row["pictures_received"] and (taken := _snapshot(engine)) is not None:
                    found.append(time.monotonic() - began)
                    picture = taken
                    break
                if row["state"] == "refused":
                    break
                time.sleep(0.01)
    return found, picture


def _snapshot(engine: Engine) -> bytes | None:
    try:
        return engine.snapshot("camera")
    except EdusenseError:
        return None


@dataclass(frozen=True)
class Sessions:
    """Several sessions at once.

    Args:
        asked: how many were asked for.
        playing: how many sent pictures.
        reason: what the camera said to the first that did not.
    """

    asked: int
    playing: int
    reason: str | None


def sessions(url: str, user: str | None, password: str | None, count: int) -> Sessions:
    """Calls a camera several times at once.

    Args:
        url: of the stream.
        user: on the camera.
        password: of that user.
        count: how often.
    """
    sources = [CameraSource(f"session-{number}", url, user, password) for number in range(count)]
    with Engine(sources, pool_threads=0) as engine:
        until = time.monotonic() + _SESSIONS_LIMIT_S
        while time.monotonic() < until:
            rows = engine.stats()
            if all(row["pictures_received"] for row in rows):
                break
            time.sleep(0.1)
        rows = engine.stats()
    silent = [row for row in rows if not row["pictures_received"]]
    return Sessions(count, count - len(silent), None if not silent else str(silent[0]["reason"]))


@dataclass
class Onvif:
    """What ONVIF answered, and how fast.

    Attributes:
        address: where it was asked.
        problem: why it could not be asked.
        who: maker, model and firmware.
        clock_s: the camera's clock less ours, in seconds.
        ntp: whether it says that it follows an NTP server.
        ask_ms: milliseconds of each small question.
        snapshot_ms: milliseconds to each still picture.
        snapshot_problem: why there was none.
    """

    address: str
    problem: str | None = None
    who: str | None = None
    clock_s: float | None = None
    ntp: bool | None = None
    ask_ms: list[float] = field(default_factory=list)
    snapshot_ms: list[float] = field(default_factory=list)
    snapshot_problem: str | None = None


def ask_onvif(url: str, onvif: str, user: str | None, password: str | None, asks: int) -> Onvif:
    """Asks a camera by ONVIF.

    Args:
        url: of its stream: the host is asked where `onvif` is empty.
        onvif: `HOST`, `HOST:PORT` or the URL of its device service.
        user: on the camera.
        password: of that user.
        asks: how often each small question is asked.
    """
    address = onvif or (urlsplit(url).hostname or "")
    found = Onvif(address)
    try:
        with open_camera(f"onvif:{address}", user=user, password=password, timeout_s=5.0) as camera:
            who = camera.information()
            found.who = f"{who.manufacturer} {who.model}, firmware {who.firmware}"
            clock = camera.clock()
            found.clock_s, found.ntp = clock.offset_s, clock.ntp
            for _ in range(asks):
                found.ask_ms.append(_timed(camera.clock))
                found.ask_ms.append(_timed(camera.information))
            try:
                camera.snapshot()
                found.snapshot_ms = [_timed(camera.snapshot) for _ in range(max(2, asks // 3))]
            except DeviceError as error:
                found.snapshot_problem = str(error)
    except EdusenseError as error:
        found.problem = str(error)
    return found


def _timed(ask: Callable[[], Any]) -> float:
    began = time.perf_counter()
    ask()
    return 1000 * (time.perf_counter() - began)


def light(picture: bytes) -> tuple[str, float, float]:
    """Whether a picture was taken by day or by night: cameras drop colour when they switch to infra-red.

    Args:
        picture: JPEG, in colour.

    Returns:
        `day` or `night`, mean brightness and mean colourfulness, each 0 to 255.
    """
    from PIL import Image, ImageStat

    with Image.open(io.BytesIO(picture)) as image:
        luma, blue, red = ImageStat.Stat(image.convert("YCbCr").resize((160, 90))).mean
        colour = ImageStat.Stat(image.convert("HSV").resize((160, 90))).mean[1]
    apart = abs(blue - 128) + abs(red - 128)
    return ("night" if (colour < 6 and apart < 3) or luma < 25 else "day"), luma, colour
