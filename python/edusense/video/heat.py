"""Where in a picture things moved, drawn over the picture, with the places that mask themselves."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from edusense.errors import PictureDamagedError, VideoSourceError
from edusense.video.source import open_source, redacted
from edusense.video.zones import polygons

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from edusense.video.source import Damage

__all__ = ["HeatMap", "heat_map", "picture_of_jpeg"]

WIDTH = 960
_LEGEND = 46
_FOUND = ((0.0, (40, 70, 200)), (0.4, (40, 190, 160)), (0.7, (250, 200, 40)), (1.0, (230, 40, 30)))
"""From a moment to the longest: blue, green, yellow, red."""
_MASKED = (255, 0, 220)
_INK = (235, 235, 235)
_PAPER = (28, 30, 34)


@dataclass(frozen=True)
class HeatMap:
    """Where things moved.

    Attributes:
        source: the file, URL or camera.
        moved_s: for each cell, for how many seconds something moved in it: `float32[rows, columns]`.
        masked: cells that differ so often that they mask themselves: `bool[rows, columns]`.
        closed: cells that zones leave out: `bool[rows, columns]`.
        picture: what it is drawn over; None: on black.
        seconds: how much was looked at; None where that is not known.
    """

    source: str
    moved_s: npt.NDArray[np.float32]
    masked: npt.NDArray[np.bool_]
    closed: npt.NDArray[np.bool_]
    picture: Image.Image | None = None
    seconds: float | None = None

    @classmethod
    def of(
        cls,
        source: str,
        found: tuple[int, int, Any, Any, Any],
        picture: Image.Image | None,
        seconds: float | None = None,
    ) -> HeatMap:
        """A map of what a detector tells."""
        width, height, moved_s, masked, closed = found
        shape = (height, width)
        left_out = closed.reshape(shape) if closed.size else np.zeros(shape, np.bool_)
        return cls(source, moved_s.reshape(shape), masked.reshape(shape), left_out, picture, seconds)

    def to_json(self) -> dict[str, Any]:
        """The map in figures: shares of the picture, and where it moved most."""
        rows, columns = self.moved_s.shape
        hottest = float(self.moved_s.max(initial=0.0))
        at = None
        if hottest > 0:
            row, column = divmod(int(self.moved_s.argmax()), columns)
            at = [round((column + 0.5) / columns, 3), round((row + 0.5) / rows, 3)]
        return {
            "source": self.source,
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "columns": columns,
            "rows": rows,
            "moved_share": round(float((self.moved_s > 0).mean()), 4),
            "most_s": round(hottest, 2),
            "most_at": at,
            "masked_share": round(float(self.masked.mean()), 4),
            "ignored_share": round(float(self.closed.mean()), 4),
        }

    def draw(self, width: int = WIDTH) -> Image.Image:
        """The map over its picture, grey, with a legend below.

        Args:
            width: of the drawing, in pixels.
        """
        rows, columns = self.moved_s.shape
        size = (width, round(width * rows / columns))
        if self.picture is not None:
            size = (width, round(width * self.picture.height / self.picture.width))
            ground = self.picture.convert("L").resize(size, Image.Resampling.LANCZOS)
        else:
            ground = Image.new("L", size)
        base = np.asarray(ground, np.float32)[..., None].repeat(3, 2) * 0.75
        base = np.where(_grown(self.closed, size)[..., None], base * 0.35, base)
        most = float(self.moved_s.max(initial=0.0))
        if most > 0:
            # By the root: what moved for a second beside what moved for an hour is to be seen too.
            share = Image.fromarray(np.sqrt(self.moved_s / most).astype(np.float32)).resize(
                size, Image.Resampling.BILINEAR
            )
            heat = np.clip(np.asarray(share), 0, 1)
            opacity = np.where(heat > 0.02, 0.35 + 0.4 * heat, 0.0)[..., None]
            base = base * (1 - opacity) + _colours(heat) * opacity
        masked = _grown(self.masked, size)
        diagonal = np.add.outer(np.arange(size[1]), np.arange(size[0])) % 8 < 3
        base[masked & diagonal] = _MASKED
        drawn = Image.new("RGB", (size[0], size[1] + _LEGEND), _PAPER)
        drawn.paste(Image.fromarray(np.clip(base, 0, 255).astype(np.uint8)))
        self._legend(drawn, size[1], most)
        return drawn

    def png(self, width: int = WIDTH) -> bytes:
        """`draw`, as PNG."""
        output = io.BytesIO()
        self.draw(width).save(output, "PNG", optimize=True)
        return output.getvalue()

    def _legend(self, drawn: Image.Image, top: int, most: float) -> None:
        draw, font = ImageDraw.Draw(drawn), ImageFont.load_default(14)
        y, x = top + 8, 12
        scale = _colours(np.linspace(0, 1, 120, dtype=np.float32)[None].repeat(12, 0)).astype(np.uint8)
        if most > 0:
            drawn.paste(Image.fromarray(scale), (x, y + 3))
            draw.text((x + 128, y), f"moved, up to {_span(most)}", _INK, font)
        else:
            draw.text((x, y), "nothing moved", _INK, font)
        parts = []
        if self.masked.any():
            parts.append((_MASKED, f"masks itself: {self.masked.mean():.1%}"))
        if self.closed.any():
            parts.append((_shade(60), f"left out by zones: {self.closed.mean():.1%}"))
        x = 330
        for colour, text in parts:
            draw.rectangle((x, y + 3, x + 12, y + 14), fill=colour)
            draw.text((x + 20, y), text, _INK, font)
            x += 40 + round(draw.textlength(text, font))
        about = self.source if self.seconds is None else f"{self.source}, {_span(self.seconds)} of it"
        draw.text((12, y + 18), about, _shade(150), ImageFont.load_default(12))


def heat_map(
    source: str | os.PathLike[str],
    *,
    seconds: float | None = None,
    user: str | None = None,
    password: str | None = None,
    watch: Iterable[Any] = (),
    ignore: Iterable[Any] = (),
    on_damage: Callable[[Damage], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
    **settings: float,
) -> HeatMap:
    """Where things move in a file or stream.

    Args:
        source: a path, `rtsp://…`, or `-` for standard input.
        seconds: how much of it; None: a file whole, a stream until it ends.
        user: for a URL.
        password: for a URL.
        watch: polygons, as for `find_events`.
        ignore: likewise.
        on_damage: called for each damaged part; without it damage is only logged.
        on_progress: called now and then with the seconds of the source that have been looked at.
        settings: of the detector, by name.

    Raises:
        VideoSourceError: the source cannot be read as video, or not one whole picture was in it.
        StreamError: the stream cannot be opened or was lost.
        UsageError: a polygon that is none.
    """
    from edusense import _native
    from edusense.video.finding import LOOK_S, spaced

    detector = _native.Detector(**settings)
    detector.set_zones(polygons(watch, "watch"), polygons(ignore, "ignore"))
    shown: npt.NDArray[np.uint8] | None = None
    first_s = last_s = 0.0
    with open_source(source, user=user, password=password, on_damage=on_damage) as opened:
        for picture in spaced(opened, LOOK_S):
            if shown is None:
                first_s = picture.pts_s
            last_s = picture.pts_s
            detector.look(picture.pts_s, picture.luma)
            shown = picture.luma
            if on_progress is not None:
                on_progress(picture.pts_s)
            if seconds is not None and last_s - first_s >= seconds:
                break
        found = detector.heat()
        if shown is None or found is None:
            raise VideoSourceError(f"`{redacted(source)}` has no whole picture in it")
        # Copied while the source is open: the last picture lies in its decoder's memory.
        return HeatMap.of(redacted(source), found, Image.fromarray(shown.copy()), last_s - first_s)


def picture_of_jpeg(data: bytes) -> Image.Image:
    """A JPEG as a picture, decoded now.

    Raises:
        PictureDamagedError: it is none.
    """
    try:
        picture = Image.open(io.BytesIO(data), formats=["JPEG"])
        picture.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise PictureDamagedError(f"the picture is no sound JPEG: {error}") from error
    return picture


def _grown(cells: npt.NDArray[np.bool_], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    grown = Image.fromarray(cells.astype(np.uint8) * 255).resize(size, Image.Resampling.NEAREST)
    return np.asarray(grown) > 127


def _colours(share: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    stops = [stop for stop, _ in _FOUND]
    channels = [np.interp(share, stops, [colour[channel] for _, colour in _FOUND]) for channel in range(3)]
    return np.stack(channels, -1).astype(np.float32)


def _shade(level: int) -> tuple[int, int, int]:
    return (level, level, level)


def _span(seconds: float) -> str:
    """Seconds for people.

    >>> _span(0.4), _span(75), _span(7500)
    ('0.4 s', '1 min 15 s', '2 h 5 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
