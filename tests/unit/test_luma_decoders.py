"""Our analysis decoders beside FFmpeg and libjpeg: the same luma, or a reason."""

from __future__ import annotations

import io
import os
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from PIL import Image, ImageFile

from edusense import _native
from edusense.errors import PictureDamagedError, PictureDeclinedError
from edusense.video.luma import luma_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Picture = npt.NDArray[np.uint8]

SEED = int(os.environ.get("EDUSENSE_SEED") or np.random.SeedSequence().generate_state(1)[0])
STREAMS = int(os.environ.get("EDUSENSE_STREAMS", "30"))


def scene(kind: str, width: int, height: int, rng: np.random.Generator) -> Picture:
    y, x = np.mgrid[0:height, 0:width]
    if kind == "noise":
        return rng.integers(0, 256, (height, width, 3), np.uint8)
    if kind == "black":
        return np.zeros((height, width, 3), np.uint8)
    if kind == "screen":
        return np.repeat(((x // 7 + y // 5) % 3 * 120).astype(np.uint8)[..., None], 3, axis=2)
    waves = [128 + 60 * np.sin(x / 9) + 40 * np.cos(y / 13), 128 + 50 * np.cos((x + y) / 17), 120 + 40 * np.sin(y / 5)]
    noisy = np.stack(waves, axis=2) + rng.normal(0, 6, (height, width, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def encoded(picture: Picture, options: dict[str, str], pixels: str = "yuv420p") -> bytes:
    """One key picture by x264, with its parameter sets."""
    context: Any = av.CodecContext.create("libx264", "w")
    context.height, context.width = picture.shape[:2]
    context.pix_fmt = pixels
    context.time_base = Fraction(1, 25)
    context.thread_count = 1
    context.options = {"g": "1", **options}
    frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pixels)
    return b"".join(bytes(packet) for frames in (frame, None) for packet in context.encode(frames))


def by_ffmpeg(unit: bytes) -> Picture:
    context: Any = av.CodecContext.create("h264", "r")
    context.thread_count = 1
    context.options = {"skip_loop_filter": "all"}
    frames: list[av.VideoFrame] = [frame for packet in (av.Packet(unit), None) for frame in context.decode(packet)]
    assert len(frames) == 1
    return luma_of(frames[0]).copy()


def drawn(rng: np.random.Generator) -> tuple[dict[str, str], str]:
    """Encoder settings at random, and the pixel format."""
    profile = str(rng.choice(["baseline", "main", "high"]))
    options = {"preset": str(rng.choice(["ultrafast", "veryfast", "medium"])), "aud": str(rng.integers(0, 2))}
    more = [f"slices={rng.integers(1, 5)}", f"constrained-intra={rng.integers(0, 2)}"]
    if profile == "baseline":
        options["profile"] = profile
    else:
        more += [f"cabac={rng.integers(0, 2)}", f"8x8dct={int(profile == 'high')}"]
        more.append(f"partitions={rng.choice(['all', 'none', 'i4x4', 'i8x8'])}")
    if profile == "high" and rng.random() < 0.4:
        more.append("cqm=jvt")
    if rng.random() < 0.5:
        options["qp"] = str(rng.integers(1, 52))
    else:
        options["crf"] = str(rng.integers(5, 45))
        more.append("aq-mode=2")
    options["x264-params"] = ":".join(more)
    return options, "gray" if profile == "high" and rng.random() < 0.2 else "yuv420p"


def compare_streams(rng: np.random.Generator, streams: int, largest: tuple[int, int]) -> None:
    """Pictures of any even size up to `largest`; small ones are as frequent as large ones."""
    for _ in range(streams):
        options, pixels = drawn(rng)
        width, height = (2 * int(np.exp(rng.uniform(np.log(8), np.log(side / 2)))) for side in largest)
        picture = scene(str(rng.choice(["noise", "black", "screen", "waves"])), width, height, rng)
        unit = encoded(picture, options, pixels)
        assert np.array_equal(_native.h264_intra(unit), by_ffmpeg(unit)), (
            f"EDUSENSE_SEED={SEED}: {width}×{height}, {options}, {pixels}"
        )


def test_h264_equals_ffmpeg_bit_by_bit_whatever_x264_was_told() -> None:
    compare_streams(np.random.default_rng(SEED), STREAMS, (280, 280))


@pytest.mark.long
def test_five_hundred_streams_of_any_size_up_to_4096_by_2160() -> None:
    compare_streams(np.random.default_rng(SEED), 500, (4096, 2160))


class BitWriter:
    """Bits of a payload, and the start of a tiny stream writer for what x264 never makes."""

    def __init__(self) -> None:
        self.bits: list[int] = []

    def u(self, value: int, count: int) -> BitWriter:
        self.bits += [value >> shift & 1 for shift in range(count - 1, -1, -1)]
        return self

    def ue(self, *values: int) -> BitWriter:
        for value in values:
            length = (value + 1).bit_length()
            self.u(value + 1, 2 * length - 1)
        return self

    def align(self, bit: int = 0) -> BitWriter:
        self.bits += [bit] * (-len(self.bits) % 8)
        return self

    def raw(self, data: bytes) -> BitWriter:
        for byte in data:
            self.u(byte, 8)
        return self

    def unit(self, header: int) -> bytes:
        """The NAL unit; `self` ends with its stop bit."""
        self.align()
        packed = np.packbits(np.array(self.bits, np.uint8)).tobytes()
        out, zeros = bytearray([header]), 0
        for byte in packed:
            if zeros >= 2 and byte <= 3:
                out.append(3)
                zeros = 0
            out.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return b"\0\0\0\1" + bytes(out)


class ArithmeticWriter:
    """The encoder of clause 9.3.4, as far as I_PCM needs it: contexts in their first state, and terminating bins."""

    def __init__(self, out: BitWriter) -> None:
        self.out, self.low, self.range, self.waiting, self.first = out, 0, 510, 0, True

    def _put(self, bit: int) -> None:
        if not self.first:
            self.out.u(bit, 1)
        self.first = False
        self.out.bits += [1 - bit] * self.waiting
        self.waiting = 0

    def _renormalise(self) -> None:
        while self.range < 256:
            if self.low < 256:
                self._put(0)
            elif self.low >= 512:
                self.low -= 512
                self._put(1)
            else:
                self.low -= 256
                self.waiting += 1
            self.range, self.low = 2 * self.range, 2 * self.low

    def bin(self, value: int, mps: int, lps_ranges: tuple[int, int, int, int]) -> None:
        lps = lps_ranges[self.range >> 6 & 3]
        self.range -= lps
        if value != mps:
            self.low, self.range = self.low + self.range, lps
        self._renormalise()

    def terminate(self, value: int) -> None:
        self.range -= 2
        if not value:
            self._renormalise()
            return
        self.low, self.range = self.low + self.range, 2
        self._renormalise()
        self._put(self.low >> 9 & 1)
        self.out.u(self.low >> 7 & 3 | 1, 2)


def raw_picture(luma: Picture, cabac: bool) -> bytes:
    """A picture of I_PCM macroblocks, 32×16, in Main profile."""
    sps = BitWriter().u(77, 8).u(0, 8).u(10, 8).ue(0, 0, 2, 0).u(0, 1).ue(1, 0).u(1, 1).u(1, 1).u(0, 2).u(1, 1)
    pps = BitWriter().ue(0, 0).u(int(cabac), 1).u(0, 1).ue(0, 0, 0).u(0, 3).ue(0, 0, 0).u(0, 3).u(1, 1)
    data = BitWriter().ue(0, 7, 0).u(0, 4).ue(0).u(0, 2).ue(0)
    # Slice QP 26. ctxIdx 3 (m = 20, n = -15) starts at pStateIdx 46; the left neighbour makes it ctxIdx 4 (m = 2,
    # n = 54) in the second macroblock, which starts at 6. The more probable symbol is 0 in both.
    states = [(0, (13, 16, 19, 22)), (0, (105, 128, 152, 175))]
    blocks = [luma[:, :16], luma[:, 16:]]
    if cabac:
        data.align(1)
    for index, block in enumerate(blocks):
        samples = block.tobytes() + bytes([128]) * 128
        if cabac:
            writer = ArithmeticWriter(data)
            if index:
                writer.terminate(0)
            writer.bin(1, *states[index])
            writer.terminate(1)
            data.align().raw(samples)
        else:
            data.ue(25).align().raw(samples)
    if cabac:
        ArithmeticWriter(data).terminate(1)
    else:
        data.u(1, 1)
    return sps.unit(0x67) + pps.unit(0x68) + data.unit(0x65)


@pytest.mark.parametrize("cabac", [False, True])
def test_raw_macroblocks_which_x264_never_makes(cabac: bool) -> None:
    luma = np.random.default_rng(7).integers(0, 256, (16, 32), np.uint8)
    luma[3] = 0  # needs emulation prevention
    unit = raw_picture(luma, cabac)
    assert np.array_equal(by_ffmpeg(unit), luma), "the writer is at fault"
    assert np.array_equal(_native.h264_intra(unit), luma)


class BitReader:
    """Bits of a NAL unit's payload, from its header on."""

    def __init__(self, unit: bytes) -> None:
        payload = unit[1:].replace(b"\0\0\3", b"\0\0")
        self.bits = "".join(f"{byte:08b}" for byte in payload).rstrip("0")[:-1]
        self.at = 0

    def u(self, count: int) -> str:
        self.at += count
        return self.bits[self.at - count : self.at]

    def ue(self) -> str:
        zeros = self.bits.index("1", self.at) - self.at
        return self.u(2 * zeros + 1)


def scaling_lists(rng: np.random.Generator, out: BitWriter) -> None:
    """`scaling_list()` of six 4×4 and two 8×8 lists: absent (fall-back), default, or drawn."""
    for size in (16,) * 6 + (64,) * 2:
        kind = rng.choice(["absent", "default", "drawn", "cut"])
        out.u(int(kind != "absent"), 1)
        if kind == "absent":
            continue
        last = 8
        end = int(rng.integers(2, size)) if kind == "cut" else size
        for index in range(size):
            # A next scale of 0: at the start the default list, later the last value to the end.
            value = 0 if kind == "default" or index == end else int(rng.integers(4, 40))
            delta = (value - last + 128) % 256 - 128
            out.ue(2 * delta - 1 if delta > 0 else -2 * delta)
            if value == 0:
                break
            last = value


def with_matrices(rng: np.random.Generator, unit: bytes, in_sequence: bool, in_picture: bool) -> bytes:
    """A stream of x264's High profile with scaling matrices put into its parameter sets: it shows another picture."""
    out = b""
    for nal in unit.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]:
        kind, written = nal[0] & 31, BitWriter()
        if kind not in {7, 8}:
            out += b"\0\0\1" + nal
            continue
        read = BitReader(nal)
        if kind == 7:
            # To `qpprime_y_zero_transform_bypass_flag`.
            head = read.u(24) + "".join(read.ue() for _ in range(4)) + read.u(1)
            flag, lists = read.u(1), in_sequence
        else:
            # To `transform_8x8_mode_flag`.
            head = read.ue() + read.ue() + read.u(2) + "".join(read.ue() for _ in range(3)) + read.u(3)
            head += "".join(read.ue() for _ in range(3)) + read.u(3) + read.u(1)
            assert head[-1] == "1"
            flag, lists = read.u(1), in_picture
        assert flag == "0"
        written.bits += [int(bit) for bit in head + str(int(lists))]
        if lists:
            scaling_lists(rng, written)
        written.bits += [int(bit) for bit in read.bits[read.at :]] + [1]
        out += written.unit(nal[0])
    return out


@pytest.mark.parametrize("cabac", [False, True])
@pytest.mark.parametrize("sets", [(True, False), (False, True), (True, True)])
def test_scaling_lists_fall_back_by_rules_a_and_b(cabac: bool, sets: tuple[bool, bool]) -> None:
    rng = np.random.default_rng(SEED)
    for _ in range(4):
        options = {"profile": "high", "qp": str(rng.integers(10, 40))}
        options["x264-params"] = f"cabac={int(cabac)}:8x8dct=1:partitions=all:slices=2"
        unit = encoded(scene("waves", 96, 80, rng), options)
        changed = with_matrices(rng, unit, *sets)
        luma = by_ffmpeg(changed)
        assert np.array_equal(_native.h264_intra(changed), luma), f"EDUSENSE_SEED={SEED}: {options}, {sets}"
        assert not np.array_equal(luma, by_ffmpeg(unit)), "the writer is at fault"


def test_what_is_declined_names_its_reason() -> None:
    picture = scene("waves", 64, 48, np.random.default_rng(1))
    for options, pixels, reason in [
        ({"profile": "high422"}, "yuv422p", "4:2:2"),
        ({"profile": "high444"}, "yuv444p", "4:4:4"),
        ({"profile": "high10"}, "yuv420p10le", "more than 8 bits"),
        ({"x264-params": "interlaced=1"}, "yuv420p", "MBAFF"),
        ({"qp": "0"}, "yuv420p", "lossless"),
    ]:
        unit = encoded(picture, options, pixels)
        with pytest.raises(PictureDeclinedError, match=reason):
            _native.h264_intra(unit)


def test_a_missing_slice_is_told_by_its_macroblocks() -> None:
    unit = encoded(scene("waves", 64, 64, np.random.default_rng(1)), {"x264-params": "slices=4"})
    parts = unit.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]
    slices = [part for part in parts if part[0] & 31 == 5]
    assert len(slices) == 4
    for gone, message in [(0, "0 to 3"), (2, "8 to 11"), (3, "12 to 15")]:
        rest = b"".join(b"\0\0\1" + part for part in parts if part is not slices[gone])
        with pytest.raises(PictureDamagedError, match=f"macroblocks {message} are missing"):
            _native.h264_intra(rest)
    with pytest.raises(PictureDamagedError, match="missing"):
        _native.h264_intra(unit[:-20])


def as_jpeg(picture: Picture, **options: Any) -> bytes:
    out = io.BytesIO()
    # Pillow's buffer is sized for ordinary pictures; fine noise is larger, and its optimizer cannot wait.
    ImageFile.MAXBLOCK = 1 << 22
    Image.fromarray(picture).save(out, "JPEG", **options)
    return out.getvalue()


def by_libjpeg(data: bytes) -> Picture:
    image = Image.open(io.BytesIO(data))
    image.draft("L", (image.width // 8, image.height // 8))
    assert isinstance(image, Image.Image)
    return np.asarray(image)


def test_jpeg_equals_libjpeg_at_an_eighth() -> None:
    rng = np.random.default_rng(SEED)
    for _ in range(STREAMS):
        width, height = (int(side) for side in rng.integers(16, 300, 2))
        picture = scene(str(rng.choice(["noise", "black", "screen", "waves"])), width, height, rng)
        options: dict[str, Any] = {"quality": int(rng.integers(5, 100)), "optimize": bool(rng.integers(0, 2))}
        options["subsampling"] = int(rng.integers(0, 3))
        if rng.random() < 0.4:
            options["restart_marker_blocks"] = int(rng.integers(1, 20))
        if rng.random() < 0.2:
            picture = picture[..., 0]
            del options["subsampling"]
        data = as_jpeg(picture, **options)
        luma, *size, cut = _native.jpeg_eighth(data)
        assert (size, cut) == ([width, height], None)
        assert np.array_equal(luma, by_libjpeg(data)), f"EDUSENSE_SEED={SEED}: {width}×{height}, {options}"


def test_a_jpeg_without_tables_uses_the_standard_ones() -> None:
    data = as_jpeg(scene("waves", 100, 60, np.random.default_rng(1)), quality=70)
    bare, at = bytearray(data[:2]), 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] != 0xC4:
            bare += data[at:end]
        at = end
    bare += data[at:]
    assert len(bare) < len(data)
    assert np.array_equal(_native.jpeg_eighth(bytes(bare))[0], _native.jpeg_eighth(data)[0])


def test_a_cut_jpeg_gives_what_was_whole() -> None:
    data = as_jpeg(scene("waves", 160, 160, np.random.default_rng(1)), quality=80, subsampling=0)
    whole = _native.jpeg_eighth(data)[0]
    part, width, height, cut = _native.jpeg_eighth(data[: len(data) * 2 // 3])
    assert (width, height) == (160, 160)
    assert 8 < len(part) < 16
    assert np.array_equal(part, whole[: len(part)])
    assert cut is not None
    assert "of 400 luma blocks" in cut
    with pytest.raises(PictureDeclinedError, match="progressive"):
        _native.jpeg_eighth(as_jpeg(scene("waves", 64, 64, np.random.default_rng(1)), progressive=True))
    with pytest.raises(PictureDamagedError, match="SOI"):
        _native.jpeg_eighth(b"text, not a picture")
