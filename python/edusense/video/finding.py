"""Motion events of a file or a stream."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from edusense.errors import StreamError, StreamRefusedError, UsageError, VideoSourceError
from edusense.video.source import is_url, open_source, redacted
from edusense.video.zones import polygons

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

    from edusense import _native
    from edusense.video.source import Damage, OpenSource, Picture
    from edusense.video.zones import Polygon

__all__ = ["MotionEvent", "find_events", "spaced"]

LOOK_S = 0.1
"""Looks of `full` are at least this far apart: 5 to 10 pictures a second of whatever a camera sends."""

Region = tuple[int, int, int, int]
Zones = tuple[list[list[tuple[float, float]]], list[list[tuple[float, float]]]]
"""Polygons to watch, polygons to ignore."""


@dataclass(frozen=True)
class MotionEvent:
    """Something moved.

    Attributes:
        source: the file or URL, without a password.
        start_s: when it began: seconds from a file's start, Unix seconds of a live stream.
        end_s: when it ended.
        score: how clear it was, 0 to 1.
        regions: where, as (x, y, width, height) in pixels of the cropped picture.
        clock_error_s: by how much times may be wrong together; None for a file.
    """

    source: str
    start_s: float
    end_s: float
    score: float
    regions: tuple[Region, ...]
    clock_error_s: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The event as `edusense video events --json` prints it."""
        row = asdict(self)
        row["start_s"], row["end_s"] = round(self.start_s, 3), round(self.end_s, 3)
        row["score"] = round(self.score, 3)
        row["regions"] = [list(region) for region in self.regions]
        if self.clock_error_s is None:
            del row["clock_error_s"]
        else:
            row["clock_error_s"] = round(self.clock_error_s, 3)
        return row


def find_events(
    source: str | os.PathLike[str],
    *,
    look: Literal["full", "box"] = "full",
    user: str | None = None,
    password: str | None = None,
    watch: Iterable[Polygon] = (),
    ignore: Iterable[Polygon] = (),
    on_damage: Callable[[Damage], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
    **settings: float,
) -> Iterator[MotionEvent]:
    """Yields the motion events of a file or an RTSP URL, each when it has ended.

    Args:
        source: a path, or `rtsp://…`.
        look: `full` decodes everything and looks at 5 pictures a second or more; `box` does exactly what the running
            box would.
        user: for a URL.
        password: for a URL.
        watch: polygons, as shares of the picture; with any, only what moves in one of them counts.
        ignore: polygons in which nothing counts.
        on_damage: called for each damaged part; without it damage is only logged.
        on_progress: called now and then with the seconds of the source that have been looked at.
        settings: of the detector, by name (`contrast`, `area`, …: see `docs/guide/video.md`).

    Raises:
        VideoSourceError: the source cannot be read as video, or not one whole picture was in it.
        StreamError: the stream cannot be opened, or was lost; an event that was going on then is given before.
        UsageError: an unknown setting or way of looking, or a polygon that is none.
    """
    zones = (polygons(watch, "watch"), polygons(ignore, "ignore"))
    if look == "box":
        yield from _box(source, user, password, zones, on_damage, on_progress, settings)
        return
    if look != "full":
        raise UsageError(f"there is no look `{look}`", hint="full or box")
    yield from _full(source, user, password, zones, on_damage, on_progress, settings)


def _box(
    source: str | os.PathLike[str],
    user: str | None,
    password: str | None,
    zones: Zones,
    on_damage: Callable[[Damage], None] | None,
    on_progress: Callable[[float], None] | None,
    settings: dict[str, float],
) -> Iterator[MotionEvent]:
    shown = redacted(source)
    if is_url(source):
        from edusense.video.engine import CameraSource, Engine

        watched = [
            {"kind": kind, "polygon": zone} for kind, of in zip(("watch", "ignore"), zones, strict=True) for zone in of
        ]
        camera = CameraSource("source", str(source), user, password, zones=tuple(watched))
        with Engine([camera], **settings) as engine:
            for news in engine.events():
                if news.kind == "camera" and news.state == "refused":
                    raise StreamRefusedError(f"`{shown}` refused: {news.reason}")
                if news.kind == "motion" and news.start_s is not None and news.end_s is not None:
                    regions = tuple(news.regions or ())
                    error_s = news.clock_error_s
                    yield MotionEvent(shown, news.start_s, news.end_s, news.score or 0.0, regions, error_s)
        return
    from edusense.video.watch import watch_file

    rows = watch_file(
        source,
        watch=zones[0],
        ignore=zones[1],
        on_damage=on_damage,
        on_progress=on_progress,
        followed=False,
        **settings,
    )
    for row in rows:
        if row["kind"] == "motion":
            regions = tuple(tuple(region) for region in row["regions"])
            yield MotionEvent(shown, row["start_s"], row["end_s"], row["score"], regions)


def _full(
    source: str | os.PathLike[str],
    user: str | None,
    password: str | None,
    zones: Zones,
    on_damage: Callable[[Damage], None] | None,
    on_progress: Callable[[float], None] | None,
    settings: dict[str, float],
) -> Iterator[MotionEvent]:
    from edusense import _native

    try:
        detector, tracker = _native.Detector(**settings), _native.EventTracker(**settings)
    except TypeError as error:
        raise UsageError(str(error)) from error
    detector.set_zones(*zones)
    shown = redacted(source)
    with open_source(source, user=user, password=password, on_damage=on_damage) as opened:
        clock = _Clock(live=is_url(source))

        def event(found: _native.MotionEvent) -> MotionEvent:
            return MotionEvent(shown, found.start_s, found.end_s, found.score, tuple(found.regions), clock.error_s())

        lost: StreamError | None = None
        try:
            for picture in spaced(opened, LOOK_S):
                now_s = clock.at(picture.pts_s)
                found = tracker.push(detector.look(now_s, picture.luma))
                if on_progress is not None:
                    on_progress(picture.pts_s)
                if found is not None:
                    yield event(found)
        except StreamError as error:
            lost = error  # what was moving until then is an event too
        found = tracker.finish()
        if found is not None:
            yield event(found)
        if lost is not None:
            raise lost
        if not opened.pictures_given:
            raise VideoSourceError(f"`{shown}` has no whole picture in it")


def spaced(opened: OpenSource, spacing_s: float) -> Iterator[Picture]:
    """Pictures at least about `spacing_s` apart."""
    last_s: float | None = None
    for picture in opened.pictures():
        # Half a millisecond: 0.1 s are not always 0.1 s in a stream's ticks.
        if last_s is None or not 0 <= picture.pts_s - last_s < spacing_s - 0.0005:
            last_s = picture.pts_s
            yield picture


class _Clock:
    """Lays the times of a live stream onto the wall clock; a file keeps its own.

    A picture cannot arrive before it was taken, so the smallest delay seen is the best guess; what is above it is
    queueing. How long the camera itself needs is not known from one stream: half a second is allowed for it.
    """

    CAMERA_S = 0.5

    def __init__(self, *, live: bool, clock: Callable[[], float] = time.time) -> None:
        self.live = live
        self.clock = clock
        self.offset_s: float | None = None
        self.spread_s = 0.0

    def at(self, pts_s: float) -> float:
        if not self.live:
            return pts_s
        # FFmpeg hands over a live picture when it has just arrived.
        offset_s = self.clock() - pts_s
        if self.offset_s is None or abs(offset_s - self.offset_s) > 10:
            self.offset_s = offset_s
        self.spread_s = max(self.spread_s * 0.99, offset_s - self.offset_s)
        self.offset_s = min(self.offset_s, offset_s)
        return pts_s + self.offset_s

    def error_s(self) -> float | None:
        return self.CAMERA_S + min(self.spread_s, 5.0) if self.live else None
