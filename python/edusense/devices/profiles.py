"""Which of a camera's streams is meant by `main` and `sub`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from edusense.errors import SiteReferenceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edusense.devices.camera import CameraProfile

__all__ = ["choose"]

SMALL: Final = 640 * 360
"""Pixels of the picture that motion is best looked for in: people at 20 m are some pixels high, decoding costs a ninth
of 1080p.
"""


def choose(profiles: Sequence[CameraProfile], wanted: str, camera: str = "the camera") -> CameraProfile:
    """The profile that a site file names.

    A profile's own token or name goes first (capitals do not matter). Else `main` is the one with most pixels; `sub`
    is, of those smaller than it, the one nearest to 640 x 360, or `main` where none is smaller. MJPEG is taken only
    where there is nothing else.

    A profile that tells no size is one that Media1 has no words for, H.265: it is taken for the main one where the
    camera lists it first.

    Args:
        profiles: what the camera has; at least one.
        wanted: `main`, `sub`, or a token or name.
        camera: for the message.

    Raises:
        SiteReferenceError: there is no such profile.
    """
    for profile in profiles:
        if wanted == profile.token or wanted.casefold() == profile.name.casefold():
            return profile
    if wanted not in ("main", "sub"):
        known = ", ".join(f"`{profile.name}`" for profile in profiles)
        raise SiteReferenceError(
            f"`{camera}` has no profile `{wanted}`",
            hint=f"it has {known}; `main` and `sub` choose by the size of the picture",
        )
    video = [profile for profile in profiles if profile.encoding != "JPEG"] or list(profiles)
    main = _main(video)
    if wanted == "main":
        return main
    smaller = [profile for profile in video if profile.pixels and (not main.pixels or profile.pixels < main.pixels)]
    return min(smaller, key=lambda profile: abs(math.log(profile.pixels / SMALL)), default=main)


def _main(video: Sequence[CameraProfile]) -> CameraProfile:
    if not video[0].pixels:
        return video[0]
    return max(video, key=lambda profile: (profile.pixels, profile.kbit or 0))
