"""A file watched exactly as the box watches a camera: the gate, looks within a budget, and the same events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edusense import _native
from edusense.errors import VideoSourceError
from edusense.video.source import open_source, redacted
from edusense.video.zones import polygons

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

    from edusense.video.source import Damage
    from edusense.video.zones import Polygon

__all__ = ["watch_file"]

TICKS = 90_000


def watch_file(
    source: str | os.PathLike[str],
    *,
    watch: Iterable[Polygon] = (),
    ignore: Iterable[Polygon] = (),
    on_damage: Callable[[Damage], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
    followed: bool = False,
    **settings: float,
) -> Iterator[dict[str, Any]]:
    """Watches a file by the box's rules.

    Time is the file's own: the budget for looks (`look_cores`) is what the box would have in the time that it lasts.

    Args:
        source: a path, or anything that `find_events` takes.
        watch: polygons; with any, only what moves in one of them counts.
        ignore: polygons in which nothing counts.
        on_damage: called for each damaged part; without it damage is only logged.
        on_progress: called now and then with the seconds of the source that have been watched.
        followed: also tell each look in which something moves (`motion-moving`).
        **settings: as for `Engine`.

    Yields:
        Rows `{"kind", "id", "start_s", "end_s", "score", "regions"}` with the kinds of `EngineEvent`, times in seconds
        from the start of the file, in the order in which the box would have said them; `motion-moving` also has
        `tracks` and `at_s`.

    Raises:
        UsageError: a polygon is none.
        VideoSourceError: the file cannot be read, or holds something else than H.264, H.265 or JPEG.
    """
    with open_source(source, on_damage=on_damage) as opened:
        codec = opened.codec
        if codec is None:
            raise VideoSourceError(
                f"`{redacted(opened.name)}` holds {opened.stream.codec_context.name}; "
                "the box watches H.264, H.265 and JPEG",
                hint="`--look full` reads every codec",
            )
        watching = _native.Watch(codec, **settings)
        watching.set_zones(polygons(watch, "watch"), polygons(ignore, "ignore"))
        watching.set_followed(followed)
        for data, at_s, key in opened.units():
            yield from watching.push(data, round(at_s * TICKS), key)
            if on_progress is not None:
                on_progress(at_s)
        yield from watching.finish()
