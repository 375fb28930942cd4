"""From a card's last byte to the tap in our hands: a real pseudo-terminal, a real driver, beside a bare read loop."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import tty
from typing import TYPE_CHECKING, Final

from edusense.bench.case import Measured
from edusense.bench.figure import Figure
from edusense.devices import open_reader
from edusense.errors import BenchNotMeasuredError, DriverMissingError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["frame", "measure", "pseudo_terminal"]

BARE: Final = "a bare read of the port"
_STX, _ETX = b"\x02", b"\x03"


def frame(number: int) -> bytes:
    """The frame of an RDM6300 for a card's number: STX, ten hex digits, two of their XOR, ETX.

    Args:
        number: up to 40 bits.

    >>> frame(0x010063E9AE)
    b'\\x02010063E9AE25\\x03'
    """
    data = number.to_bytes(5, "big")
    check = 0
    for byte in data:
        check ^= byte
    return _STX + data.hex().upper().encode() + f"{check:02X}".encode() + _ETX


def measure(cards: int = 150, idle_readers: int = 16, idle_s: float = 1.0, pause_s: float = 0.003) -> Measured:
    """How long a tap takes from the reader's last byte to the caller, and what readers cost while nobody taps.

    Args:
        cards: taps, each another card.
        idle_readers: how many readers are open while nobody taps.
        idle_s: for how long.
        pause_s: between taps.

    Raises:
        BenchNotMeasuredError: the drivers are not installed.
    """
    ours: list[float] = []
    bare: list[float] = []
    try:
        with (
            pseudo_terminal() as (master, port),
            open_reader(f"rdm6300:{port}") as reader,
            _bare_pty() as (other, times),
        ):
            for number in range(cards):
                data = frame(0x0100000000 + number)
                began = time.perf_counter_ns()
                os.write(master, data)
                card = reader.read(5.0)
                if card is None or not card.id.endswith(f"{number:08X}"):
                    raise RuntimeError(f"card {number} came as {card}")
                ours.append((time.perf_counter_ns() - began) / 1000)
                time.sleep(pause_s)
                began = time.perf_counter_ns()
                os.write(other, data)
                times.came.acquire(timeout=5.0)
                bare.append((times.at_ns - began) / 1000)
                time.sleep(pause_s)
        idle = _idle(idle_readers, idle_s)
    except DriverMissingError as error:
        raise BenchNotMeasuredError(str(error), hint=error.hint) from error
    return Measured(
        [
            Figure("from the last byte to the tap", "µs", tuple(ours), BARE, tuple(bare), id="tap"),
            Figure("99 of 100 taps within", "µs", tuple(ours), BARE, tuple(bare), id="tap-p99", statistic="p99"),
            Figure(f"{idle_readers} readers on which nobody taps", "% of a core", (idle,), id="idle"),
        ]
    )


@contextlib.contextmanager
def pseudo_terminal() -> Iterator[tuple[int, str]]:
    """A pseudo-terminal: the device's end, and the port's name."""
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        yield master, os.ttyname(slave)
    finally:
        os.close(slave)
        os.close(master)


class _Times:
    def __init__(self) -> None:
        self.came = threading.Semaphore(0)
        self.at_ns = 0


@contextlib.contextmanager
def _bare_pty() -> Iterator[tuple[int, _Times]]:
    """A pseudo-terminal whose port is read by a bare loop in a thread, as a script would."""
    times = _Times()
    with pseudo_terminal() as (master, port):
        descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY)

        def read() -> None:
            while data := os.read(descriptor, 64):
                if data.endswith(_ETX):
                    times.at_ns = time.perf_counter_ns()
                    times.came.release()
                elif b"q" in data:
                    return

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield master, times
        finally:
            os.write(master, b"q")
            thread.join()
            os.close(descriptor)


def _idle(count: int, seconds: float) -> float:
    """CPU that open readers take while nobody taps, in percent of a core."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            _, port = stack.enter_context(pseudo_terminal())
            stack.enter_context(open_reader(f"rdm6300:{port}"))
        time.sleep(0.2)
        began, cpu = time.monotonic(), time.process_time()
        time.sleep(seconds)
        return 100 * (time.process_time() - cpu) / (time.monotonic() - began)
