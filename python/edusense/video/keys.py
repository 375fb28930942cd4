"""Key pictures of a source, as luma."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edusense.video.source import open_source

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from edusense.video.luma import Luma
    from edusense.video.source import Damage

__all__ = ["keyframes"]


def keyframes(
    source: str | os.PathLike[str],
    *,
    user: str | None = None,
    password: str | None = None,
    on_damage: Callable[[Damage], None] | None = None,
) -> Iterator[tuple[float, Luma]]:
    """Yields the key pictures of a file or an RTSP URL.

    Args:
        source: a path, or `rtsp://…`.
        user: for a URL.
        password: for a URL.
        on_damage: called for each damaged part; without it damage is only logged.

    Yields:
        Time in seconds from the source's start, and luma as `uint8[height, width]`, cropped; it lies where FFmpeg
        decoded it to (rows may be further apart than `width`) and stays valid for as long as it is held.

    Raises:
        VideoSourceError: the source cannot be read as video.
        StreamError: the stream cannot be opened or was lost.
    """
    with open_source(source, user=user, password=password, on_damage=on_damage) as opened:
        for picture in opened.pictures(keys_only=True):
            yield picture.pts_s, picture.luma
