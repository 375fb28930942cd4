"""How many frames of a serial reader a core can take: a real pseudo-terminal, beside a bare loop of pyserial."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from edusense.bench.case import Measured
from edusense.bench.figure import Figure
from edusense.bench.reader_latency import frame, pseudo_terminal
from edusense.devices import open_reader
from edusense.errors import BenchNotMeasuredError, DriverMissingError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LINES", "measure"]

LINES: Final = "pyserial's readline"
_UNTIL: Final = "pyserial's read_until"
_ETX: Final = b"\x03"
_PATIENCE_S: Final = 60.0

# The other end of the line is a process of its own, so that what it costs is not counted as ours.
_WRITER: Final = """
import os, sys
data = memoryview(sys.stdin.buffer.read())
while data:
    data = data[os.write(int(sys.argv[1]), data[:4096]):]
"""


def _tag(number: int) -> bytes:
    return frame(0x0100000000 + number)


def _line(number: int) -> bytes:
    """A line of an IronLogic reader for a MIFARE card."""
    uid = (0x50000000 + number).to_bytes(4, "big")
    decimals = f"{uid[2]:03d},{int.from_bytes(uid[1::-1], 'big'):05d}"
    return f"Mifare[{uid.hex().upper()}] 1K (0004,08) {decimals}\r\n".encode()


def measure(frames: int = 6000, bare_frames: int = 1500) -> Measured:
    """Frames for each second of CPU that the reading process takes: each another card, and one card that lies there.

    Args:
        frames: through our drivers, each as a tap in the caller's hands.
        bare_frames: through a loop of pyserial that does nothing with them.

    Raises:
        BenchNotMeasuredError: the drivers are not installed.
    """
    try:
        tags = _ours("rdm6300", _tag, frames)
        bare_tags = _bare(_tag, bare_frames, lines=False)
        held = _ours("rdm6300", lambda _: _tag(0), frames)
        lines = _ours("ironlogic", _line, frames)
        bare_lines = _bare(_line, bare_frames, lines=True)
    except DriverMissingError as error:
        raise BenchNotMeasuredError(str(error), hint=error.hint) from error
    return Measured(
        [
            Figure("taps of RDM6300 frames", "a core-second", (tags,), _UNTIL, (bare_tags,), id="tags", better="more"),
            Figure("frames of a card that lies there", "a core-second", (held,), id="held", better="more"),
            Figure(
                "taps of IronLogic lines", "a core-second", (lines,), LINES, (bare_lines,), id="lines", better="more"
            ),
        ]
    )


def _ours(driver: str, wire: Callable[[int], bytes], count: int) -> float:
    """Frames a second of CPU through a driver."""
    with pseudo_terminal() as (master, port), open_reader(f"{driver}:{port}") as reader:
        writer = _write(master, b"".join(wire(number) for number in range(count)))
        began, deadline = time.process_time(), time.monotonic() + _PATIENCE_S
        while True:
            while reader.read(0.02) is not None:
                pass
            stats = reader.stats()
            if stats.cards + stats.repeats >= count:
                break
            if stats.bad_frames or time.monotonic() > deadline:
                raise RuntimeError(f"frames were lost: {stats}")
        spent = time.process_time() - began
        writer.wait()
    return count / spent


def _bare(wire: Callable[[int], bytes], count: int, *, lines: bool) -> float:
    """Frames a second of CPU through a loop of pyserial."""
    import serial

    with pseudo_terminal() as (master, port), serial.Serial(port, 9600, timeout=_PATIENCE_S) as opened:
        writer = _write(master, b"".join(wire(number) for number in range(count)))
        began = time.process_time()
        for number in range(count):
            told = opened.readline() if lines else opened.read_until(_ETX)
            if told != wire(number):
                raise RuntimeError(f"frame {number} came as {told!r}")
        spent = time.process_time() - began
        writer.wait()
    return count / spent


def _write(master: int, data: bytes) -> subprocess.Popen[bytes]:
    """Begins to write: what is read is not held up by what is still to be written."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(master)], stdin=subprocess.PIPE, pass_fds=(master,), close_fds=True
    )
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.close()
    return process
