"""A part of a file as an MP4 of its own: the compressed pictures are carried over as they are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from edusense.errors import UsageError, VideoSourceError
from edusense.video.clip import TICKS, write_mp4
from edusense.video.source import is_url, open_source, redacted

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from edusense.video.source import Damage, OpenSource

__all__ = ["Cut", "cut"]

REORDER_S = 1.0
"""No picture is sent later than this after one that is shown after it."""


@dataclass(frozen=True)
class Cut:
    """What was carried over.

    Attributes:
        start_s: when its first picture is shown, in seconds from the source's start; a key picture, so it may be
            earlier than what was asked for.
        end_s: when its last picture is shown.
        pictures: how many there are.
    """

    start_s: float
    end_s: float
    pictures: int


@dataclass(frozen=True)
class _Plan:
    """Which access units are carried over, and when they are shown (in seconds, in decoding order)."""

    skip: int
    shown_s: list[float]


def cut(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    start_s: float = 0.0,
    end_s: float | None = None,
    *,
    on_damage: Callable[[Damage], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Cut:
    """Writes a part of a file as MP4, without encoding anything again.

    It begins with the last key picture that is not later than `start_s`, since nothing can be shown before one; sound
    is left out.

    Args:
        source: a path.
        out: the MP4 to write; written over.
        start_s: seconds from the source's start.
        end_s: pictures shown from here on are left out; None: to the source's end.
        on_damage: called for each damaged part.
        on_progress: called with the second that has been read.

    Raises:
        UsageError: the source is a live stream, or the end is not after the start.
        VideoSourceError: it cannot be read as video, has no picture in that time, or holds a codec or an order of
            pictures that cannot be carried over.
        PermissionDeniedError: the source may not be read.
        OSError: `out` cannot be written.
    """
    if is_url(source):
        raise UsageError(
            f"`{redacted(source)}` is a live stream; clips are cut from files",
            hint="the running box keeps a clip of each motion event: `edusense events --kind motion` names them",
        )
    if end_s is not None and end_s <= start_s:
        raise UsageError(f"a clip from {start_s:g} s to {end_s:g} s holds nothing")
    # Twice, because decoding times need to know all presentation times, and a clip may be larger than memory.
    sought = True
    with open_source(source, on_damage=on_damage) as opened:
        codec = _carried(opened)
        sought = start_s > 0 and opened.seek(start_s)
        plan = _plan(opened, start_s, end_s, on_progress)
    if sought and (plan is None or plan.shown_s[0] > start_s):  # where an index lies
        sought = False
        with open_source(source, on_damage=lambda _: None) as opened:
            plan = _plan(opened, start_s, end_s, on_progress)
    if plan is None:
        until = "its end" if end_s is None else f"{end_s:g} s"
        raise VideoSourceError(
            f"`{redacted(source)}` has no picture between {start_s:g} s and {until}",
            hint="`edusense video inspect` says how long it is",
        )
    with open_source(source, on_damage=lambda _: None) as opened:
        if sought:
            opened.seek(start_s)
        units = islice(opened.units(), plan.skip, plan.skip + len(plan.shown_s))
        first_s = plan.shown_s[0]
        write_mp4(
            out,
            codec,
            ((data, key) for data, _, key in units),
            [round((at_s - first_s) * TICKS) for at_s in plan.shown_s],
        )
    return Cut(plan.shown_s[0], max(plan.shown_s), len(plan.shown_s))


def _carried(opened: OpenSource) -> str:
    if opened.codec is None:
        raise VideoSourceError(
            f"`{redacted(opened.name)}` holds {opened.stream.codec_context.name}; clips are made of h264, h265 and jpeg"
        )
    if opened.untimed and opened.stream.codec_context.has_b_frames:
        raise VideoSourceError(
            f"`{redacted(opened.name)}` has no times, and its pictures are not in the order in which they are shown",
            hint="put it into a container where it was made: .mp4, .mkv or .ts",
        )
    return opened.codec


def _plan(
    opened: OpenSource, start_s: float, end_s: float | None, on_progress: Callable[[float], None] | None
) -> _Plan | None:
    """Which units to take: from the last key picture before the start to the last unit before the end."""
    skip: int | None = None
    shown: list[float] = []
    upto = 0  # how many of `shown` are needed for all that is shown before the end
    for index, at_s, key in _times(opened):
        if on_progress is not None:
            on_progress(at_s)
        if end_s is not None and at_s >= end_s + REORDER_S:
            break
        if key and (skip is None or at_s <= start_s + 1e-6):
            skip, shown, upto = index, [], 0
        if skip is None:
            continue
        shown.append(at_s)
        if end_s is None or at_s < end_s - 1e-6:
            upto = len(shown)
    if skip is None or upto == 0 or max(shown[:upto]) < start_s - 1e-6:
        return None
    return _Plan(skip, shown[:upto])


def _times(opened: OpenSource) -> Iterator[tuple[int, float, bool]]:
    for index, (_, at_s, key) in enumerate(opened.units()):
        yield index, at_s, key
