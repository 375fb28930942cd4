"""Counters, debouncing and suspicions of a session, and what a line at another speed looks like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.devices import Card, ReaderStats, Tally, Trace
from edusense.devices.line_quality import misheard, suspicion
from edusense.sim.reader_rdm6300 import frame

BAUDS = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
FRAME = frame(Card.parse("em4100:010063E9AE"))


class TestClock:
    __test__ = False

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return 1_800_000_000.0 + self.seconds

    def monotonic(self) -> float:
        return self.seconds


def levels(data: bytes) -> list[int]:
    """The line, bit by bit."""
    return [bit for byte in data for bit in (0, *(byte >> place & 1 for place in range(8)), 1)]


def slowly_misheard(data: bytes, sent: int, heard: int) -> bytes:
    """The same by stepping through time in small pieces: no arithmetic to be wrong."""
    step = 1 / (16 * 9 * max(sent, heard))
    line = levels(data)

    def at(time: float) -> int:
        place = int(time * sent + 1e-9)
        return line[place] if place < len(line) else 1

    told, time, end = bytearray(), 0.0, len(line) / sent
    while time < end:
        if at(time):
            time += step
            continue
        byte = 0
        for place in range(8):
            byte |= at(time + (place + 1.5) / heard) << place
        told.append(byte)
        time += 9.5 / heard
        while time < end and not at(time):
            time += step
    return bytes(told)


@pytest.mark.parametrize(("sent", "heard"), [(9600, 19200), (19200, 9600), (9600, 4800), (4800, 19200), (9600, 57600)])
def test_what_is_heard_at_another_speed_is_plain_arithmetic(sent: int, heard: int) -> None:
    assert misheard(FRAME, sent, heard) == slowly_misheard(FRAME, sent, heard)


@given(st.binary(max_size=30), st.sampled_from(BAUDS), st.sampled_from(BAUDS))
def test_any_bytes_at_any_speed_are_some_bytes(data: bytes, sent: int, heard: int) -> None:
    found = misheard(data, sent, heard)
    assert (found == data) if sent == heard else isinstance(found, bytes)


@pytest.mark.parametrize("heard", [baud for baud in BAUDS if baud != 9600])
def test_a_reader_at_another_speed_is_suspected(heard: int) -> None:
    told = suspicion(misheard(FRAME * 40, 9600, heard), heard)
    assert told is not None
    assert f"{heard} baud" in told


def test_good_frames_and_plain_text_are_no_other_speed() -> None:
    assert "text" in (suspicion(b"hello world, this is a text line\r\n", 9600) or "")
    assert suspicion(FRAME, 9600) is None  # too few bytes to say anything


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M\r\n", "GPS"),
        (b"$GNRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4\r\n", "GPS"),
        (b"\r\nRING\r\n\r\n+CREG: 1\r\n\r\nNO CARRIER\r\n", "modem"),
        (b"\x1b@\x1b!\x00Receipt of the canteen\n\x1dV\x00", "printer"),
        (b"\r\nDebian GNU/Linux 12 box ttyS0\r\nbox login: ", "console"),
        (b"ST,GS,+  0.250kg\r\nST,GS,+  0.251kg\r\n", "scale"),
        (bytes(60), "0x00"),
    ],
)
def test_devices_that_are_no_readers_are_named(data: bytes, what: str) -> None:
    assert what in (suspicion(data, 9600) or "")


def test_a_suspicion_is_told_once_and_forgotten_with_a_good_frame() -> None:
    told: list[Trace] = []
    tally = Tally(baud=115200)
    tally.watch(told.append)
    for _ in range(1000):
        tally.noise(misheard(FRAME, 9600, 115200))
    urgent = [trace for trace in told if trace.weight == "urgent"]
    assert len(urgent) == 1
    assert "slower" in urgent[0].text
    assert "identify" in urgent[0].text
    assert tally.stats().suspicion
    tally.tap("A")
    assert tally.stats().suspicion is None


def test_noise_around_good_frames_is_no_suspicion() -> None:
    tally = Tally(baud=9600)
    for _ in range(200):
        tally.noise(b"\x00\xff\x80")
        tally.fault("check", "frame ending at byte 13: …", FRAME)
        tally.tap("A")
    assert tally.stats().suspicion is None
    assert tally.stats().faults == {"check": 200}


def test_garbage_for_an_hour_takes_no_memory() -> None:
    tally = Tally(baud=9600)
    for _ in range(36_000):
        tally.noise(bytes(range(0x80, 0xA0)))
    assert len(tally._unexplained) <= 512
    assert tally.stats().noise_bytes == 36_000 * 32


def test_a_card_that_is_forgotten_on_the_reader_is_told_once() -> None:
    clock = TestClock()
    told: list[Trace] = []
    tally = Tally(clock=clock)  # type: ignore[arg-type]  # it never waits
    tally.watch(told.append)
    for _ in range(3000):
        tally.tap("A")
        clock.seconds += 0.05
    assert [trace.weight for trace in told] == ["urgent"]
    assert tally.stats().cards == 1
    clock.seconds += 1
    for _ in range(3000):
        tally.tap("A")
        clock.seconds += 0.05
    assert len(told) == 2


def test_a_card_did_not_leave_while_the_device_was_silent() -> None:
    clock = TestClock()
    tally = Tally(silence_s=0.3, clock=clock)  # type: ignore[arg-type]  # it never waits
    assert tally.tap("A")
    clock.seconds += 5
    tally.still_there(["A", "B"])
    assert not tally.tap("A")
    assert tally.tap("B")


def test_counters_of_two_sessions_add_up() -> None:
    first = ReaderStats(cards=1, bad_frames=2, faults={"check": 2}, last_fault="x", suspicion="y")
    both = first + ReaderStats(cards=3, repeats=4, noise_bytes=5, bytes_read=6)
    assert (both.cards, both.repeats, both.bad_frames, both.noise_bytes, both.bytes_read) == (4, 4, 2, 5, 6)
    assert (both.last_fault, both.suspicion) == ("x", None)
