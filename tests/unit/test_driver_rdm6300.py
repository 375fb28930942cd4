"""Cards out of a port's bytes: a minute of a held card, decided by a clock that the test owns."""

from __future__ import annotations

import contextlib
import os
import resource
import threading
from collections import deque

import pytest

from edusense.devices import Card, Debounce, Trace, open_reader
from edusense.errors import DeviceNotFoundError, DevicePermissionError, UsageError
from edusense.sim.reader_rdm6300 import VirtualRdm6300, frame
from edusense_drivers.readers.em4100_frames import Decoder
from edusense_drivers.readers.stream_source import StreamSource

FIRST, SECOND = Card.parse("em4100:010063E9AE"), Card.parse("em4100:3C00CE754C")


class TestClock:
    __test__ = False

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> float:
        return 1_800_000_000.0 + self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.seconds += seconds
        return event.is_set()


class Line:
    """A port on which each piece arrives at its own time."""

    def __init__(self, clock: TestClock, pieces: list[tuple[float, bytes]]) -> None:
        self._clock = clock
        self._pieces = deque(pieces)

    def read(self, timeout: float | None) -> bytes:
        pause, data = self._pieces.popleft()
        self._clock.seconds += pause
        return data

    def wake(self) -> None: ...

    def close(self) -> None: ...


def taps(pieces: list[tuple[float, bytes]], **settings: float) -> tuple[list[Card], StreamSource]:
    clock = TestClock()
    source = StreamSource(Line(clock, pieces), Decoder(), clock=clock, **settings)
    return [card for _ in pieces for card in source.wait()], source


def test_a_card_held_for_a_minute_is_one_tap() -> None:
    found, source = taps([(0.05, frame(FIRST))] * 1200)
    assert found == [FIRST]
    assert source.stats().repeats == 1199


def test_a_card_that_is_moved_loses_frames_and_is_still_one_tap() -> None:
    found, _ = taps([(0.05, frame(FIRST)), (0.25, frame(FIRST)), (0.29, frame(FIRST))])
    assert found == [FIRST]


def test_after_300_ms_of_silence_it_taps_again() -> None:
    found, _ = taps([(0.05, frame(FIRST)), (0.31, frame(FIRST))])
    assert found == [FIRST, FIRST]
    found, _ = taps([(0.05, frame(FIRST)), (0.9, frame(FIRST))], silence_s=1.0)
    assert found == [FIRST]


def test_two_cards_that_alternate_for_a_minute_are_two_taps() -> None:
    found, _ = taps([(0.05, frame((FIRST, SECOND)[turn % 2])) for turn in range(1200)])
    assert found == [FIRST, SECOND]


def test_a_second_childs_card_at_once_is_a_second_tap() -> None:
    found, _ = taps([(0.05, frame(FIRST)), (0.05, frame(FIRST)), (0.05, frame(SECOND))])
    assert found == [FIRST, SECOND]


def test_a_card_knows_when_and_how_it_was_read() -> None:
    (card,), source = taps([(2.0, b"\x7f" + frame(FIRST))])
    assert card.at == 1_800_001_002.0
    assert card.raw == frame(FIRST)
    assert source.stats().bytes_read == 15
    assert source.stats().noise_bytes == 1


def test_faults_are_counted_by_reason_and_told() -> None:
    clock = TestClock()
    bad = frame(FIRST)[:11] + b"00\x03"
    source = StreamSource(Line(clock, [(0.0, bad + frame(FIRST)[:5] + frame(FIRST))]), Decoder(), clock=clock)
    told: list[Trace] = []
    source.watch(told.append)
    assert source.wait() == [FIRST]
    assert source.stats().faults == {"check": 1, "cut-short": 1}
    assert source.stats().bad_frames == 2
    assert [trace.direction for trace in told] == ["in", "note", "note"]
    assert told[1].text == "frame ending at byte 13: check byte 0x00, computed 0x25"


def test_debouncing_keeps_no_card_for_ever() -> None:
    debounce = Debounce(0.3)
    for number in range(10_000):
        assert debounce.fresh(number, number * 0.1)
    assert len(debounce._heard) <= 4


@pytest.mark.parametrize(
    ("address", "match"),
    [
        ("rdm6300:", "names no port"),
        ("rdm6300:/dev/ttyS0?baud=9601", "9601 baud"),
        ("rdm6300:/dev/ttyS0?silence=0.1", "silence"),
        ("rdm6300:/dev/ttyS0?speed=9600", "no option `speed`"),
    ],
)
def test_addresses_that_make_no_sense(address: str, match: str) -> None:
    with pytest.raises(UsageError, match=match) as caught:
        open_reader(address)
    assert caught.value.hint


@pytest.mark.parametrize("path", ["/dev/no-such-port", "/dev/null", "/dev", "/etc/hostname/x"])
def test_what_is_no_port_is_not_found(path: str) -> None:
    with pytest.raises((DeviceNotFoundError, DevicePermissionError)) as caught:
        open_reader(f"rdm6300:{path}")
    assert path in str(caught.value)
    assert caught.value.hint


def test_a_box_with_more_than_1024_open_files_reads_on() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1300
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this machine allows {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    with contextlib.ExitStack() as opened:
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        null = os.open("/dev/null", os.O_RDONLY)
        opened.callback(os.close, null)
        for _ in range(1100):
            opened.callback(os.close, os.dup(null))
        device = opened.enter_context(VirtualRdm6300())
        reader = opened.enter_context(open_reader(device.address))
        device.place(FIRST)
        assert reader.read(5) == FIRST
