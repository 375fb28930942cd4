"""What a key picture costs: our decoder beside FFmpeg in PyAV, by turns on the same pictures, and its instructions."""

from __future__ import annotations

import re
import resource
import shutil
import statistics
import struct
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

pytestmark = pytest.mark.timeout(900)

PICTURES = 4
ROUNDS = 7

SIZES = {"704x576": (704, 576), "1080p": (1920, 1080), "4K": (3840, 2160)}

AT_ONCE = {"704x576": 40, "1080p": 8, "4K": 2}
"""Times that the pictures are decoded between two looks at the clock."""


def key_pictures(size: tuple[int, int], options: dict[str, str]) -> list[bytes]:
    """A noisy scene with edges of all directions, each picture with its parameter sets."""
    width, height = size
    context: Any = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.thread_count = Fraction(1, 25), 1
    context.options = {"g": "1", "preset": "veryfast", "profile": "high", **options}
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:height, 0:width]
    shapes = (
        100 + 50 * np.sin(x / 37 + np.sin(y / 91) * 3) + 40 * ((x // 160 + y // 130) % 2) + 12 * np.cos((x + 2 * y) / 5)
    )
    units: list[bytes] = []
    for number in range(PICTURES):
        noisy = np.clip(shapes + rng.normal(0, 4, shapes.shape), 0, 255).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(np.repeat(noisy[..., None], 3, axis=2), "rgb24").reformat(format="yuv420p")
        frame.pts = number
        units += [bytes(packet) for packet in context.encode(frame)]
    return units + [bytes(packet) for packet in context.encode(None)]


class Ffmpeg:
    """FFmpeg with a context that has already decoded a picture: probing and the first allocation are not counted."""

    def __init__(self, units: list[bytes]) -> None:
        self.context: Any = av.CodecContext.create("h264", "r")
        self.context.thread_count = 1
        self.context.options = {"skip_loop_filter": "all"}
        self.context.decode(av.Packet(units[0]))
        self.packets = [av.Packet(unit) for unit in units]

    def ms(self, times: int) -> float:
        began = time.thread_time()
        for packet in self.packets * times:
            self.context.decode(packet)
        return 1e3 * (time.thread_time() - began) / len(self.packets) / times


@pytest.fixture(scope="module")
def program() -> Path:
    """The example that decodes rows, as looking for motion does."""
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not installed: what is measured is an example of the Rust half")
    command = "cargo build --release --locked --quiet -p edusense-decode --example key_pictures"
    subprocess.run(command.split(), check=True)
    return Path("target/release/examples/key_pictures")


def cpu_ms(program: Path, file: Path, times: int) -> float:
    """CPU time a picture, the start of the program taken off: wall time would tell how busy the machine is."""

    def spent(rounds: int) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        subprocess.run([program, file, str(rounds)], stdout=subprocess.DEVNULL, check=True)
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before

    return 1e3 * (spent(times + 1) - spent(1)) / times / PICTURES


def instructions(program: Path, file: Path) -> float | None:
    """Instructions a picture: the difference of three rounds and one."""
    if shutil.which("valgrind") is None:
        return None
    counts = []
    for rounds in ("1", "3"):
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(program), str(file), rounds]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        found = re.search(r"Collected : (\d+)", told)
        assert found is not None
        counts.append(int(found[1]))
    return (counts[1] - counts[0]) / 2 / PICTURES


@pytest.mark.parametrize("coder", ["CABAC", "CAVLC"])
@pytest.mark.parametrize("crf", [18, 24, 30, 36])
@pytest.mark.parametrize("size", SIZES)
def test_key_picture_beside_ffmpeg(
    size: str, crf: int, coder: str, program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    units = key_pictures(SIZES[size], {"crf": str(crf), "x264-params": f"cabac={int(coder == 'CABAC')}"})
    file = tmp_path / "units"
    file.write_bytes(b"".join(struct.pack("<I", len(unit)) + unit for unit in units))
    peer = Ffmpeg(units)
    rows, ratios, theirs = [], [], []
    for _ in range(ROUNDS):
        theirs.append(peer.ms(AT_ONCE[size]))
        rows.append(cpu_ms(program, file, AT_ONCE[size]))
        ratios.append(rows[-1] / theirs[-1])
    width, height = SIZES[size]
    macroblocks = -(-width // 16) * -(-height // 16)
    bits = 8 * sum(map(len, units)) / len(units)
    bound = 2050 * macroblocks + 40 * bits if coder == "CABAC" else 1900 * macroblocks + 20 * bits
    # Counting takes fifty times as long as running: of one size, since pixels and bits are what counts.
    counted = instructions(program, file) if size == "1080p" else None
    told = "–" if counted is None else f"{counted / 1e6:.1f} M of {bound / 1e6:.1f} M"
    with capsys.disabled():
        sys.stdout.write(
            f"\n| {size} {coder}, CRF {crf} | {bits / 8000:.0f} kB | {statistics.median(theirs):.2f} ms "
            f"| {statistics.median(rows):.2f} ms | {statistics.median(ratios):.2f} | {told} |\n"
        )
    assert statistics.median(ratios) < 1.5, "the decoder has become much slower"
    if counted is not None:
        assert counted < 1.25 * bound, "the decoder takes many more instructions"
