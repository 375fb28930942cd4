"""Luma by FFmpeg, through PyAV: the decoder that takes everything, behind the engine's door.

`rust/python/src/pyav.rs` holds a bounded pool of `RunDecoder` and enters Python once a run. What is done here is what
FFmpeg must be told, and turning what it says into a reason.

The loop filter stays on. Skipping it saves a fifth to a third of a picture's cost, but what it leaves out adds up from
picture to picture of a group, and goes at once with the next key picture: the detector takes that for motion
(`docs/concepts/watching.md`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
import av.error

from edusense import _native
from edusense.errors import EdusenseError, PictureDamagedError, PictureDeclinedError
from edusense.video.luma import luma_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from av.video.codeccontext import VideoCodecContext

    from edusense.video.luma import Luma

__all__ = ["DamagedError", "DeclinedError", "RunDecoder"]

MAX_PIXELS = 4096 * 2304
"""Larger pictures are declined. A stream may make FFmpeg hold 16 of them, 14 MB each of this size, in every context."""

FFMPEG_NAMES = {"h264": "h264", "h265": "hevc", "jpeg": "mjpeg"}
"""FFmpeg's decoders by our names of codecs."""


class DeclinedError(Exception):
    """FFmpeg does not decode this kind of picture; the message says why."""


class DamagedError(Exception):
    """A picture is damaged.

    Args:
        index: which of the run.
        reason: what FFmpeg says.
    """

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(index, reason)
        self.index = index
        self.reason = reason


class RunDecoder:
    """A decoder for one run at a time; used again for others after `reset`.

    Args:
        codec: `h264`, `h265` or `jpeg`.

    Raises:
        DeclinedError: this FFmpeg has no such decoder.
    """

    def __init__(self, codec: str) -> None:
        self.context = _context(codec)
        self._codec = codec
        self._pending: set[int] = set()
        self.drained = False

    def reset(self) -> None:
        """Forgets the run before, and keeps the memory that its pictures took."""
        self.context.flush_buffers()
        self._pending.clear()
        self.drained = False

    def run(self, units: Sequence[bytes], first: int, wanted: bytes) -> Iterator[tuple[int, Luma]]:
        """Decodes the next pictures of a run.

        Args:
            units: access units in decoding order, going on where the call before ended.
            first: index of the first of them in the run.
            wanted: a byte a unit, not 0 where the picture is wanted.

        Yields:
            Index in the run and luma of each wanted picture, in the order in which they are shown.

        Raises:
            DamagedError: from here on nothing is whole.
            DeclinedError: pictures are too large.
        """
        if first == 0 and units:
            _check_size(self._codec, units[0])
        for index, unit in enumerate(units, first):
            if wanted[index - first]:
                self._pending.add(index)
                if self._codec == "jpeg":
                    _check_whole(unit, index)
            packet = av.Packet(unit)
            packet.pts = index
            yield from self._decode(packet, index)
        if self._pending:  # pictures are shown in another order than they are sent, or later
            self.drained = True
            yield from self._decode(None, first + len(units) - 1)
        if self._pending:
            raise DamagedError(min(self._pending), "FFmpeg made no picture of it")

    def _decode(self, packet: av.Packet[Any] | None, index: int) -> Iterator[tuple[int, Luma]]:
        try:
            frames = self.context.decode(packet)
        except av.error.EOFError:
            return
        except av.error.FFmpegError as error:
            raise DamagedError(index, f"FFmpeg: {error.strerror or type(error).__name__}") from error
        for frame in frames:
            shown = index if frame.pts is None else frame.pts
            if frame.is_corrupt:
                raise DamagedError(shown, "FFmpeg: a picture that is not whole")
            if shown in self._pending:
                self._pending.discard(shown)
                yield shown, luma_of(frame)


def _check_whole(unit: bytes, index: int) -> None:
    """FFmpeg paints grey what is missing of a JPEG, and says nothing; the detector would take that for motion."""
    try:
        cut = _native.jpeg_eighth(unit)[3]
    except PictureDeclinedError:
        return  # of a kind that FFmpeg alone decodes
    except PictureDamagedError as error:
        cut = str(error)
    if cut is not None:
        raise DamagedError(index, cut)


def _check_size(codec: str, head: bytes) -> None:
    """Declines pictures that are too large, by what the head of their run says: FFmpeg itself says only "invalid"."""
    if codec != "h264":
        return
    inspector = _native.Inspector(codec)
    try:
        inspector.push(head, True)
    except EdusenseError:
        return  # FFmpeg may know better, and has the limit too
    told = inspector.description()
    if told is not None and told["coded_width"] * told["coded_height"] > MAX_PIXELS:
        raise DeclinedError(
            f"pictures of {told['width']}×{told['height']}; the limit is {MAX_PIXELS} pixels (4096×2304)"
        )


def _context(codec: str) -> VideoCodecContext:
    try:
        context = av.CodecContext.create(FFMPEG_NAMES[codec], "r")
    except (KeyError, av.error.FFmpegError, ValueError) as error:
        raise DeclinedError(f"this FFmpeg has no decoder for {codec}") from error
    assert isinstance(context, av.VideoCodecContext)
    # One thread: many cameras share the machine, and the pool's threads are counted.
    context.thread_count = 1
    context.options = {"max_pixels": str(MAX_PIXELS)}  # refused before memory is taken for them
    return context
