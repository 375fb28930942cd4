"""The picture that goes with an alert: in colour, of the moment itself, with the zone and what moved drawn in."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import av
import av.error
from PIL import Image, ImageDraw

from edusense.errors import PictureDamagedError
from edusense.video.clip import DECODERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    Box = tuple[float, float, float, float]
    Polygon = Sequence[Sequence[float]]

__all__ = ["MOST_BYTES", "checked_still", "evidence_still", "picture_at"]

MOST_BYTES = 50_000
"""A still is never longer: a hundred of them pass through 4 Mbit/s in ten seconds."""
WIDTH = 640
MOST_PIXELS = 16_000_000
_QUALITIES = (82, 72, 60, 48, 36)
_ZONE = (226, 40, 40)
_BOX = (255, 196, 0)


def picture_at(codec: str, units: Sequence[tuple[bytes, int, bool, float]], at_s: float) -> Image.Image:
    """The picture that is shown at a time, decoded from the key picture before it.

    Args:
        codec: `h264`, `h265` or `jpeg`.
        units: pictures in the order of sending, as `Engine` gives them: bytes, presentation time in ticks of 90 kHz,
            whether decoding can start there, Unix time.
        at_s: Unix time; of the first picture where that is later, of the last where that is earlier.

    Raises:
        PictureDamagedError: nothing can be decoded.
    """
    upto = max((index for index, unit in enumerate(units) if unit[3] <= at_s), default=0)
    start = max((index for index, unit in enumerate(units[: upto + 1]) if unit[2]), default=0)
    context = av.CodecContext.create(DECODERS[codec], "r")
    assert isinstance(context, av.VideoCodecContext)
    context.thread_count = 1
    shown: av.VideoFrame | None = None
    try:
        for data, pts, _, _ in units[start : upto + 1]:
            packet = av.Packet(data)
            packet.pts = packet.dts = pts
            for frame in context.decode(packet):
                shown = frame
        for frame in context.decode(None):
            shown = frame
    except av.error.FFmpegError as error:
        if shown is None:
            raise PictureDamagedError(f"the pictures of the event cannot be decoded: {error.strerror}") from error
    if shown is None:
        raise PictureDamagedError("the pictures of the event cannot be decoded: FFmpeg made nothing of them")
    picture: Image.Image = shown.to_image()  # type: ignore[no-untyped-call] # PyAV leaves it untyped
    return picture


def evidence_still(
    picture: Image.Image, *, zones: Sequence[Polygon] = (), boxes: Sequence[Box] = (), most_bytes: int = MOST_BYTES
) -> bytes:
    """A picture as it goes out: at most 640 wide, zones and boxes drawn in, as JPEG of a limited length.

    Args:
        picture: of any size, colour or grey.
        zones: polygons, in shares of the picture.
        boxes: left, top, width and height, in shares of the picture.
        most_bytes: quality and then size are lowered until it is no longer than this.
    """
    shown = picture.convert("RGB")
    shown.thumbnail((WIDTH, 16 * WIDTH))
    while True:
        drawn = shown.copy()
        _draw(drawn, zones, boxes)
        for quality in _QUALITIES:
            output = io.BytesIO()
            drawn.save(output, "JPEG", quality=quality, optimize=True)
            if output.tell() <= most_bytes or (quality == _QUALITIES[-1] and min(drawn.size) <= 64):
                return output.getvalue()
        shown = shown.resize((max(1, shown.width * 3 // 4), max(1, shown.height * 3 // 4)))


def checked_still(content: bytes) -> bytes:
    """A picture from outside as it may go out: JPEG of a limited length.

    Args:
        content: JPEG.

    Raises:
        PictureDamagedError: it is no JPEG, damaged, or has more than 16 million pixels.
    """
    try:
        with Image.open(io.BytesIO(content), formats=["JPEG"]) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise PictureDamagedError(f"a still of {picture.width}×{picture.height} pixels is too large")
            picture.load()
            return content if len(content) <= MOST_BYTES else evidence_still(picture)
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, PictureDamagedError):
            raise
        raise PictureDamagedError(f"the still is no sound JPEG: {error}") from error


def _draw(picture: Image.Image, zones: Sequence[Polygon], boxes: Sequence[Box]) -> None:
    draw = ImageDraw.Draw(picture)
    across, down = picture.width - 1, picture.height - 1
    for zone in zones:
        points = [(x * across, y * down) for x, y in zone]
        ring = [*points, points[0]]
        # Dark around bright: seen on a white wall as well as in a dark corner.
        draw.line(ring, fill=(0, 0, 0), width=4, joint="curve")
        draw.line(ring, fill=_ZONE, width=2, joint="curve")
    for left, top, width, height in boxes:
        frame = (left * across, top * down, (left + width) * across, (top + height) * down)
        draw.rectangle((frame[0] - 1, frame[1] - 1, frame[2] + 1, frame[3] + 1), outline=(0, 0, 0))
        draw.rectangle(frame, outline=_BOX, width=2)
