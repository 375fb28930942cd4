"""Luma of single key pictures, by the decoders that the box asks, in the box's order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from edusense import _native
from edusense.errors import UsageError

if TYPE_CHECKING:
    from edusense.video.luma import Luma

__all__ = ["LumaDecoder"]


class LumaDecoder:
    """Decodes key pictures of one stream to luma, without the loop filter where our own decoder takes them.

    Our decoders are asked first (H.264: CAVLC and CABAC, 8 bits, progressive; ISO/IEC 14496-10), and FFmpeg takes what
    they decline, as in the box. It may be used by several threads; the interpreter is free while ours decode.

    Args:
        codec: `h264`, `h265` or `jpeg`.
        configuration: the stream's decoder configuration record (`avcC`, `hvcC`; ISO/IEC 14496-15, 5.3.3.1 and
            8.3.3.1), as PyAV has it in `codec_context.extradata`. With it units are samples with lengths in front, and
            need not repeat the parameter sets; without it they are Annex B (ISO/IEC 14496-10) with parameter sets.

    Raises:
        UsageError: there is no such codec.
        PictureDamagedError: the record cannot be read; the message names its byte.
        PictureDeclinedError: a record of a version that nobody writes.

    Attributes:
        decoder: name of the decoder that gave the last picture; None before the first.
        declined: decoders asked before it, each with its reason.
        counts: pictures given so far, by decoder.

    >>> import io, av, numpy as np
    >>> with av.open(out := io.BytesIO(), "w", format="h264") as file:
    ...     stream = file.add_stream("libx264", rate=25)
    ...     stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    ...     frame = av.VideoFrame.from_ndarray(np.full((48, 64), 90, np.uint8), format="gray")
    ...     _ = [file.mux(packet) for packet in [*stream.encode(frame), *stream.encode()]]
    >>> decoder = LumaDecoder("h264")
    >>> luma = decoder.decode(out.getvalue())
    >>> luma.shape, luma.dtype.name, decoder.decoder
    ((48, 64), 'uint8', 'h264-intra')
    """

    def __init__(self, codec: Literal["h264", "h265", "jpeg"], configuration: bytes | None = None) -> None:
        self._native = _native.LumaDecoder(codec, configuration)
        self.codec = codec
        self.decoder: str | None = None
        self.declined: tuple[tuple[str, str], ...] = ()
        self.counts: dict[str, int] = {}

    def decode(self, unit: bytes) -> Luma:
        """The luma of a key picture.

        Args:
            unit: one access unit: all NAL units of the picture, or a whole JPEG.

        Returns:
            `uint8[height, width]`, cropped as the stream says; the array owns its memory, and nothing was copied into
            it after decoding.

        Raises:
            PictureDamagedError: the bytes are not what the standard allows; the message names unit, element and bit.
            PictureDeclinedError: no decoder takes it; the message gives each one's reason.
        """
        if not isinstance(unit, (bytes, bytearray, memoryview)):
            raise UsageError(f"a picture is bytes, not {type(unit).__name__}", hint="the access unit as it came")
        luma, decoder, declined = self._native.decode(bytes(unit))
        self.decoder, self.declined = decoder, tuple(declined)
        self.counts[decoder] = self.counts.get(decoder, 0) + 1
        return luma

    def close(self) -> None:
        """Lets go of FFmpeg's contexts; nothing can be decoded by FFmpeg afterwards."""
        self._native.close()
