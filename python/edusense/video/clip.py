"""Clips and pictures for people, out of compressed pictures: nothing is encoded again but the JPEGs."""

from __future__ import annotations

import errno
import io
import os
from datetime import UTC, datetime
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING

import av
import av.error
from PIL import Image, ImageDraw

from edusense.errors import PictureDamagedError, VideoSourceError
from edusense.video.luma import luma_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from av.video.stream import VideoStream

    from edusense.video.luma import Luma

__all__ = ["colour_jpeg", "lumas", "marked_jpeg", "mp4_of", "write_mp4"]

TICKS = 90_000
"""Ticks a second of presentation times (RFC 6184, section 8.1)."""

_FORMATS = {"h264": "h264", "h265": "hevc", "jpeg": "mjpeg"}
DECODERS = {"h264": "h264", "h265": "hevc", "jpeg": "mjpeg"}
_QUALITY = 82
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO})


def mp4_of(codec: str, units: Sequence[tuple[bytes, int, bool, float]]) -> bytes:
    """An MP4 of pictures as the camera sent them.

    Args:
        codec: `h264`, `h265` or `jpeg`.
        units: for each picture in the order of sending: its bytes (Annex B, parameter sets before key pictures; or a
            JPEG), its presentation time in 90 kHz ticks, whether decoding can start there, and its Unix time. The first
            is a key picture.

    Returns:
        The file's bytes.

    Raises:
        VideoSourceError: the key picture's parameters cannot be read.
    """
    if not units:
        raise VideoSourceError("the clip holds no picture")
    output = io.BytesIO()
    write_mp4(
        output,
        codec,
        ((data, key) for data, _, key, _ in units),
        [unit[1] - units[0][1] for unit in units],
        units[0][3],
    )
    return output.getvalue()


def lumas(codec: str, units: Sequence[tuple[bytes, int, bool, float]]) -> Iterator[tuple[float, Luma]]:
    """The pictures of a clip, decoded one after the other: Unix time, and luma as `uint8[height, width]`.

    Args:
        codec: `h264`, `h265` or `jpeg`.
        units: as for `mp4_of`.

    Raises:
        PictureDamagedError: they cannot be decoded.
    """
    context = av.CodecContext.create(DECODERS[codec], "r")
    assert isinstance(context, av.VideoCodecContext)
    context.thread_count = 1
    taken = {pts: at_s for _, pts, _, at_s in units}
    try:
        for data, pts, _, _ in [*units, (None, 0, False, 0.0)]:
            packet = None if data is None else av.Packet(data)
            if packet is not None:
                packet.pts = packet.dts = pts
            for frame in context.decode(packet):
                at_s = taken.get(frame.pts) if frame.pts is not None else None
                yield units[0][3] if at_s is None else at_s, luma_of(frame)
    except av.error.FFmpegError as error:
        raise PictureDamagedError(f"the pictures of the event cannot be decoded: {error.strerror}") from error


def write_mp4(
    out: str | os.PathLike[str] | io.BytesIO,
    codec: str,
    units: Iterable[tuple[bytes, bool]],
    shown: Sequence[int],
    taken_s: float | None = None,
) -> None:
    """Writes an MP4 of pictures as they are.

    Args:
        out: a file's name, or a buffer.
        codec: `h264`, `h265` or `jpeg`.
        units: for each picture in the order of sending: its bytes, and whether decoding can start there.
        shown: when each is shown, in ticks of 90 kHz from the first one.
        taken_s: Unix time of the first picture, if it is known.

    Raises:
        VideoSourceError: the key picture's parameters cannot be read.
    """
    pictures = iter(units)
    first = next(pictures, None)
    if first is None:
        raise VideoSourceError("the clip holds no picture")
    target = out if isinstance(out, io.BytesIO) else f"file:{os.fspath(out)}"
    try:
        with (
            av.open(io.BytesIO(first[0]), format=_FORMATS[codec]) as template,
            av.open(target, "w", format="mp4") as container,
        ):
            stream = container.add_stream_from_template(template.streams.video[0])
            if codec == "h265":
                stream.codec_context.codec_tag = "hvc1"  # what QuickTime and browsers ask for
            if taken_s is not None:
                taken = datetime.fromtimestamp(taken_s, UTC)
                container.metadata["creation_time"] = taken.isoformat(timespec="milliseconds")
            _mux(container, stream, chain((first,), pictures), shown)
    except av.error.FFmpegError as error:
        if isinstance(error, OSError) and error.errno in _DISK:
            raise  # the disk's, not the pictures'
        raise VideoSourceError(f"the clip cannot be written: {error.strerror}") from error


def _mux(
    container: av.container.OutputContainer,
    stream: VideoStream,
    units: Iterable[tuple[bytes, bool]],
    shown: Sequence[int],
) -> None:
    # Decoding times grow strictly and are never after the presentation: where pictures are sent in another order than
    # they are shown, all of them move back.
    sent: list[int] = []
    for ticks in sorted(shown):
        sent.append(max(ticks, sent[-1] + 1) if sent else ticks)
    back = max(0, max(dts - pts for dts, pts in zip(sent, shown, strict=True)))
    usual = (sent[-1] - sent[0]) // (len(sent) - 1) if len(sent) > 1 else TICKS // 25
    for index, (data, key) in enumerate(units):
        packet = av.Packet(data)
        packet.stream = stream
        packet.time_base = Fraction(1, TICKS)
        packet.pts = shown[index]
        packet.dts = sent[index] - back
        packet.duration = sent[index + 1] - sent[index] if index + 1 < len(sent) else max(1, usual)
        packet.is_keyframe = key
        container.mux_one(packet)


def marked_jpeg(
    luma: bytes, size: tuple[int, int], regions: Sequence[tuple[int, int, int, int]], full: tuple[int, int]
) -> bytes:
    """A grey picture with boxes around what moved, as JPEG.

    Args:
        luma: a byte a pixel.
        size: width and height of the picture.
        regions: boxes `(x, y, width, height)` in pixels of the stream's picture.
        full: width and height of the stream's picture.
    """
    picture = Image.frombytes("L", size, luma).convert("RGB")
    draw = ImageDraw.Draw(picture)
    across, down = size[0] / full[0], size[1] / full[1]
    for x, y, width, height in regions:
        left, top = x * across, y * down
        right = min(left + width * across, size[0] - 1)
        bottom = min(top + height * down, size[1] - 1)
        # Dark around bright: seen on a white wall as well as in a dark corner.
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=(0, 0, 0))
        draw.rectangle((left, top, right, bottom), outline=(255, 196, 0), width=2)
    return _jpeg(picture)


def colour_jpeg(codec: str, unit: bytes, width: int) -> bytes:
    """A key picture in colour, as JPEG.

    Args:
        codec: `h264`, `h265` or `jpeg`.
        unit: the key picture with its parameter sets.
        width: the picture is shrunk to at most this width.

    Raises:
        PictureDamagedError: it cannot be decoded.
    """
    context = av.CodecContext.create(DECODERS[codec], "r")
    assert isinstance(context, av.VideoCodecContext)
    context.thread_count = 1
    try:
        frames = [*context.decode(av.Packet(unit)), *context.decode(None)]
    except av.error.FFmpegError as error:
        raise PictureDamagedError(f"the camera's newest picture cannot be decoded: {error.strerror}") from error
    if not frames:
        raise PictureDamagedError("the camera's newest picture cannot be decoded: FFmpeg made nothing of it")
    picture = frames[0].to_image()  # type: ignore[no-untyped-call] # PyAV leaves it untyped
    picture.thumbnail((width, 16 * width))
    return _jpeg(picture)


def _jpeg(picture: Image.Image) -> bytes:
    output = io.BytesIO()
    picture.save(output, "JPEG", quality=_QUALITY)
    return output.getvalue()
