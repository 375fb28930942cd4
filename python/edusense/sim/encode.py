"""Encodes drawn pictures as cameras do: H.264, no B-frames, one reference, closed GOPs, a varying rate below a cap."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import av
import numpy as np

from edusense.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.sim.sprites import Plane

__all__ = ["Encoder", "Encoding", "Picture", "split_nals"]

NAL_IDR, NAL_SEI, NAL_SPS, NAL_PPS, NAL_AUD = 5, 6, 7, 8, 9
_START_CODE = re.compile(rb"\x00\x00\x00?\x01")


@dataclass(frozen=True)
class Encoding:
    """A camera's settings for one stream.

    Attributes:
        width: pixels, even.
        height: pixels, even.
        fps: pictures a second.
        gop_s: seconds between key pictures.
        crf: quality of a variable rate, x264's scale; cameras' "medium" is about 27.
        cap_kbit: most it may send, averaged over two seconds; 0 takes 4 Mbit/s at 1080p, scaled by area.
        constant: hold the rate at `cap_kbit` whatever the picture needs.
        slices: per picture.
        preset: x264's.
    """

    width: int = 640
    height: int = 360
    fps: float = 12.5
    gop_s: float = 2.0
    crf: int = 27
    cap_kbit: int = 0
    constant: bool = False
    slices: int = 1
    preset: str = "veryfast"

    def __post_init__(self) -> None:
        if not 1 <= self.fps <= 60:
            raise UsageError(f"`{self.fps}` pictures a second cannot be sent", hint="between 1 and 60")

    @property
    def gop(self) -> int:
        """Pictures from one key picture to the next."""
        return max(1, round(self.gop_s * self.fps))

    @property
    def kbit(self) -> int:
        """The cap in kbit/s."""
        return self.cap_kbit or max(256, round(4000 * self.width * self.height / (1920 * 1080)))


class Picture(NamedTuple):
    """One encoded picture: its NAL units without start codes, parameter sets before a key picture."""

    number: int
    key: bool
    nals: tuple[bytes, ...]

    def annex_b(self) -> bytes:
        """As an elementary stream has it."""
        return b"".join(b"\x00\x00\x00\x01" + nal for nal in self.nals)


def split_nals(stream: bytes) -> list[bytes]:
    """The NAL units of an Annex B byte stream (H.264, Annex B.1), without start codes.

    >>> split_nals(bytes.fromhex("00000001 67aa 000001 6855"))
    [b'g\\xaa', b'hU']
    """
    starts = [(found.start(), found.end()) for found in _START_CODE.finditer(stream)]
    ends = [start for start, _ in starts[1:]] + [len(stream)] if starts else []
    return [stream[begin:end] for (_, begin), end in zip(starts, ends, strict=True) if end > begin]


class Encoder:
    """Encodes pictures that are drawn into its own memory."""

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        rate = Fraction(encoding.fps).limit_denominator(1000)
        context = av.CodecContext.create("libx264", "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height, context.pix_fmt = encoding.width, encoding.height, "yuv420p"
        context.time_base, context.framerate, context.thread_count = 1 / rate, rate, 1
        gop, kbit = encoding.gop, encoding.kbit
        # What cameras' silicon does not have (look-ahead, weighting, trees, scene cuts) is off. So is adaptive
        # quantisation: it spends bits on the noise of plain walls, where a camera's noise reduction has left none.
        options = (
            f"bframes=0:ref=1:rc-lookahead=0:sync-lookahead=0:mbtree=0:sliced-threads=0:scenecut=0:weightp=0:aq-mode=0:threads=1"
            f":keyint={gop}:min-keyint={gop}:open-gop=0:repeat-headers=1:slices={encoding.slices}"
        )
        context.options = {"preset": encoding.preset, "tune": "zerolatency"}
        if encoding.constant:
            context.bit_rate = kbit * 1000
            # Without `nal-hrd=cbr`: it would pad with filler data, which cameras do not send; a low QP fills the rate.
            options += f":vbv-maxrate={kbit}:vbv-bufsize={kbit}"
        else:
            context.options = {**context.options, "crf": str(encoding.crf)}
            options += f":vbv-maxrate={kbit}:vbv-bufsize={2 * kbit}"
        context.options = {**context.options, "x264-params": options}
        self._context = context
        self._frame = av.VideoFrame(encoding.width, encoding.height, "yuv420p")
        self._planes = tuple(
            np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
            for plane in self._frame.planes
        )
        self._index = 0

    def encode(self, paint: Callable[[Plane, Plane, Plane], None]) -> Picture:
        """Lets `paint` draw a picture into the encoder's planes and encodes it."""
        paint(*self._planes)
        return self._encode(self._frame)

    def encode_scaled(self, frame: av.VideoFrame) -> Picture:
        """Encodes another encoder's picture, scaled to this one's size."""
        return self._encode(frame.reformat(self.encoding.width, self.encoding.height, "yuv420p"))

    @property
    def frame(self) -> av.VideoFrame:
        """The picture drawn last."""
        return self._frame

    def _encode(self, frame: av.VideoFrame) -> Picture:
        frame.pts, frame.time_base = self._index, self._context.time_base
        frame.pict_type = av.video.frame.PictureType.NONE
        data = b"".join(bytes(packet) for packet in self._context.encode(frame))
        nals = tuple(nal for nal in split_nals(data) if nal[0] & 31 not in {NAL_SEI, NAL_AUD})
        key = any(nal[0] & 31 == NAL_IDR for nal in nals)
        picture = Picture(self._index, key, nals)
        self._index += 1
        return picture
