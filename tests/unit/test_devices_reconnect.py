"""A reader that stays, with a clock that moves only when somebody waits."""

from __future__ import annotations

import threading

import pytest

from edusense.devices import Card, Reader, ReaderChange, ReconnectingReader, reconnecting
from edusense.errors import (
    DeviceDisconnectedError,
    DeviceError,
    DeviceNotFoundError,
    DevicePermissionError,
    DriverMissingError,
    SessionClosedError,
)

CARD = Card.parse("em4100:010063E9AE")


class SleepingClock:
    """Time passes only while somebody waits."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.waits: list[float] = []

    def now(self) -> float:
        return 1_800_000_000.0 + self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        self.seconds += seconds
        return event.is_set()


class ScriptedReader(Reader):
    """Gives cards, then fails."""

    def __init__(self, script: list[Card | DeviceError], clock: SleepingClock) -> None:
        super().__init__("scripted:")
        self.script = script
        self.clock = clock
        self.was_closed = 0

    def _read(self, timeout: float | None) -> Card | None:
        if not self.script:
            assert timeout is not None
            self.clock.seconds += timeout
            return None
        item = self.script.pop(0)
        if isinstance(item, DeviceError):
            raise item
        return item

    def _close(self) -> None:
        self.was_closed += 1


def gone() -> DeviceError:
    return DeviceDisconnectedError("unplugged", hint="plug in")


def rig(
    openings: list[list[Card | DeviceError] | DeviceError],
) -> tuple[ReconnectingReader, SleepingClock, list[Reader]]:
    clock = SleepingClock()
    opened: list[Reader] = []

    def opener(address: str) -> Reader:
        item = openings.pop(0) if openings else DeviceNotFoundError("nothing there", hint="plug in")
        if isinstance(item, DeviceError):
            raise item
        opened.append(ScriptedReader(item, clock))
        return opened[-1]

    return reconnecting("scripted:", clock=clock, opener=opener), clock, opened


def test_pauses_grow_to_their_limit_and_start_again_after_success() -> None:
    missing: list[list[Card | DeviceError] | DeviceError] = [DeviceNotFoundError("not there")] * 6
    reader, clock, opened = rig([*missing, [CARD, gone()], DeviceNotFoundError("not there"), [CARD]])
    events = [reader.read(None) for _ in range(12)]
    waiting = [event.retry_s for event in events if isinstance(event, ReaderChange) and event.state == "waiting"]
    assert waiting == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 0.5, 1.0]
    assert clock.waits == waiting
    assert [event for event in events if isinstance(event, Card)] == [CARD, CARD]
    assert reader.reconnects == 1
    assert opened[0].closed
    reader.close()
    assert opened[1].closed


def test_a_change_says_why_and_what_to_do() -> None:
    reader, _, _ = rig([DevicePermissionError("not allowed", hint="join dialout")])
    change = reader.read(None)
    assert change == ReaderChange(
        "waiting", "scripted:", 1_800_000_000.0, "not allowed", "device-permission", "join dialout", 0.5, 1
    )
    assert reader.change is change
    reader.close()


def test_a_deadline_holds_also_while_it_waits() -> None:
    reader, clock, _ = rig([gone()])
    assert isinstance(reader.read(0), ReaderChange)
    assert reader.read(0.2) is None
    assert clock.seconds == pytest.approx(0.2)
    change = reader.read(10)
    assert isinstance(change, ReaderChange)
    assert change.attempt == 2
    assert clock.seconds == pytest.approx(0.5)
    reader.close()


def test_a_deadline_holds_while_it_is_connected() -> None:
    reader, clock, _ = rig([[]])
    assert reader.read(1) == ReaderChange("connected", "scripted:", 1_800_000_000.0)
    assert reader.stats() is not None
    assert reader.read(1) is None
    assert clock.seconds == 1.0
    reader.close()


def test_what_no_waiting_mends_is_raised() -> None:
    reader, _, _ = rig([DriverMissingError("no driver")])
    with pytest.raises(DriverMissingError):
        reader.read(None)
    reader.close()


def test_closed_is_closed() -> None:
    with rig([[CARD]])[0] as reader:
        reader.read(None)
    reader.close()
    with pytest.raises(SessionClosedError):
        reader.read(0)
    assert list(reader) == []


def test_closing_wakes_who_waits_for_the_next_try() -> None:
    reader = reconnecting("rdm6300:/nowhere/to/be/found", first_s=60, limit_s=60)
    assert isinstance(reader.read(1), ReaderChange)
    ended = threading.Event()

    def wait() -> None:
        with pytest.raises(SessionClosedError):
            reader.read(None)
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    reader.close()
    assert ended.wait(5)
    thread.join()


def test_iterating_gives_cards_and_changes() -> None:
    reader, _, _ = rig([[CARD, gone()], [CARD]])
    found: list[object] = []
    for event in reader:
        found.append(event.state if isinstance(event, ReaderChange) else event)
        if len(found) == 5:
            reader.close()
    assert found == ["connected", CARD, "waiting", "connected", CARD]
