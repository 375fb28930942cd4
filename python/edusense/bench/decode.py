"""What a key picture costs by codec, from bytes to luma: our decoders beside those that one would take instead."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import av
import numpy as np
from PIL import Image

from edusense.bench.alternating import by_turns
from edusense.bench.case import Measured
from edusense.bench.figure import Figure
from edusense.bench.pictures import encoded, luma
from edusense.video.parts import h264_intra, jpeg_eighth

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["measure"]

FFMPEG: Final = "FFmpeg in PyAV, one thread, without loop filter"
PILLOW: Final = "Pillow's draft at 1/8"


def measure(blocks: int = 8, pictures: int = 4, crf: int = 27, seed: int = 1) -> Measured:
    """Key pictures of 1080p, each codec's own by turns with its peer.

    Args:
        blocks: how often each has its turn.
        pictures: in a turn.
        crf: quality of H.264 and H.265, 0 to 51; larger makes smaller pictures.
        seed: of the scene.
    """
    drawn = luma(1920, 1080, pictures, seed=seed, noise=2.0)
    figures, notes, quality = [], [], {"crf": str(crf)}
    for coder, name in ((1, "h264-cabac"), (0, "h264-cavlc")):
        units = [
            unit
            for unit, _ in encoded("libx264", drawn, {**quality, "profile": "high", "x264-params": f"cabac={coder}"})
        ]
        works = {"ours": _each(units, h264_intra), FFMPEG: _ffmpeg("h264", units)}
        figures += _beside(
            name, f"H.264 key picture ({'CABAC' if coder else 'CAVLC'})", works, blocks, pictures, FFMPEG
        )
        notes.append(f"{name}: {_kilobytes(units):.0f} kB a picture.")
    units = [unit for unit, _ in encoded("mjpeg", drawn, {"qmin": "4", "qmax": "4"})]
    works = {"ours": _each(units, jpeg_eighth), PILLOW: _each(units, _draft)}
    figures += _beside("jpeg", "JPEG to 1/8", works, blocks, pictures, PILLOW)
    notes.append(f"jpeg: {_kilobytes(units):.0f} kB a picture.")
    units = [unit for unit, _ in encoded("libx265", drawn, {**quality, "x265-params": "log-level=error:pools=none"})]
    taken = by_turns({"ffmpeg": _ffmpeg("hevc", units)}, blocks=blocks)["ffmpeg"]
    figures.append(
        Figure("H.265 key picture (by FFmpeg)", "ms CPU", _milliseconds(taken, pictures), id="h265", statistic="least")
    )
    notes.append(f"h265: {_kilobytes(units):.0f} kB a picture; edusense gives these to FFmpeg.")
    return Measured(figures, notes=notes)


def _each(units: list[bytes], work: Callable[[bytes], object]) -> Callable[[], object]:
    def do() -> None:
        for unit in units:
            work(unit)

    return do


def _draft(data: bytes) -> object:
    picture = Image.open(io.BytesIO(data))
    picture.draft("L", (picture.width // 8, picture.height // 8))
    return np.asarray(picture)


def _ffmpeg(codec: str, units: list[bytes]) -> Callable[[], object]:
    context: Any = av.CodecContext.create(codec, "r")
    context.thread_count = 1
    context.options = {"skip_loop_filter": "all"}
    packets = [av.Packet(unit) for unit in units]

    def do() -> None:
        for packet in packets:
            context.decode(packet)

    return do


def _beside(
    name: str, what: str, works: dict[str, Callable[[], object]], blocks: int, pictures: int, peer: str
) -> list[Figure]:
    taken = {key: _milliseconds(values, pictures) for key, values in by_turns(works, blocks=blocks).items()}
    return [Figure(what, "ms CPU", taken["ours"], peer, taken[peer], id=name, statistic="least")]


def _milliseconds(taken: tuple[float, ...], pictures: int) -> tuple[float, ...]:
    return tuple(value / 1000 / pictures for value in taken)


def _kilobytes(units: list[bytes]) -> float:
    return sum(map(len, units)) / len(units) / 1000
