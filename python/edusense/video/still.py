"""One picture out of a source, by its time or its number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edusense.errors import VideoSourceError
from edusense.video.source import STDIN, is_url, open_source, redacted

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from edusense.video.luma import Luma
    from edusense.video.source import Damage, OpenSource

__all__ = ["luma_at", "luma_frame"]

LONGEST_SHOWN_S = 2.0
"""Nobody means a picture by a time that lies further behind it than this."""


def luma_at(
    source: str | os.PathLike[str],
    at_s: float = 0.0,
    *,
    user: str | None = None,
    password: str | None = None,
    on_damage: Callable[[Damage], None] | None = None,
) -> tuple[float, Luma]:
    """The luma of the picture that is shown at a time.

    Args:
        source: a path, `rtsp://…`, or `-` for standard input.
        at_s: seconds from a file's start; of a stream, seconds from now.
        user: for a URL.
        password: for a URL.
        on_damage: called for each damaged part.

    Returns:
        The picture's own time in seconds, and `uint8[height, width]`.

    Raises:
        VideoSourceError: the source cannot be read as video, or has no picture at that time.
        StreamError: the stream cannot be opened or was lost.
    """
    if not is_url(source) and source != STDIN and at_s > 2:
        # Where a file can be sought in, this saves decoding all that comes before; where it cannot, it finds nothing.
        with open_source(source, on_damage=lambda _: None) as opened:
            shown = _shown_at(opened, at_s) if opened.seek(at_s) else None
            if shown is not None and 0 <= at_s + 1e-6 - shown[0] <= LONGEST_SHOWN_S:
                return shown
    with open_source(source, user=user, password=password, on_damage=on_damage) as opened:
        shown = _shown_at(opened, at_s)
        if shown is None:
            raise VideoSourceError(f"`{redacted(source)}` has no whole picture in it")
        if not opened.live and at_s - shown[0] > LONGEST_SHOWN_S:
            raise VideoSourceError(f"`{redacted(source)}` ends at {shown[0]:.2f} s; there is no picture at {at_s:g} s")
        return shown


def luma_frame(
    source: str | os.PathLike[str],
    number: int,
    *,
    user: str | None = None,
    password: str | None = None,
    on_damage: Callable[[Damage], None] | None = None,
) -> tuple[float, Luma]:
    """The luma of a picture by its number in the order in which pictures are shown.

    Args:
        source: a path, `rtsp://…`, or `-` for standard input.
        number: from 0; pictures that are damaged do not count.
        user: for a URL.
        password: for a URL.
        on_damage: called for each damaged part.

    Returns:
        The picture's own time in seconds, and `uint8[height, width]`.

    Raises:
        VideoSourceError: the source cannot be read as video, or has fewer pictures.
        StreamError: the stream cannot be opened or was lost.
    """
    with open_source(source, user=user, password=password, on_damage=on_damage) as opened:
        first_s: float | None = None
        for count, picture in enumerate(opened.pictures()):
            if first_s is None:
                first_s = picture.pts_s if opened.live else 0.0
            if count == number:
                return picture.pts_s - first_s, picture.luma
        given = opened.pictures_given
        raise VideoSourceError(f"`{redacted(source)}` has {given} whole pictures; there is no picture {number}")


def _shown_at(opened: OpenSource, at_s: float) -> tuple[float, Luma] | None:
    """The last picture that is not later than `at_s`; the first one where all are."""
    shown: tuple[float, Luma] | None = None
    first_s: float | None = None
    for picture in opened.pictures():
        if first_s is None:
            # A stream's clock begins anywhere; a file's at 0.
            first_s = picture.pts_s if opened.live else 0.0
        if shown is not None and picture.pts_s - first_s > at_s + 1e-6:
            break
        shown = (picture.pts_s - first_s, picture.luma)
    return shown
