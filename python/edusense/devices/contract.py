"""The promises of a card reader as tests: subclass them with a rig, and a new driver is held to what all are held to.

```python
from edusense.devices.contract import ReaderContract

class TestMyReader(ReaderContract):
    @pytest.fixture
    def rig(self):
        with MyRig() as rig:      # a virtual device, or a bench with a real one and somebody who lays cards
            yield rig
```

A driver whose device speaks in a stream of bytes (a serial line) subclasses `ByteStreamReaderContract`, which adds half
frames, splits, noise and check sums; one whose device has a light or a sound `SignallingReaderContract`, one that
passes APDUs to cards `ExchangingReaderContract`. pytest is needed here and nowhere else in `edusense.devices`.
"""

# ruff: noqa: D102 -- a test's name says what it proves

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

import pytest

from edusense.devices.address import Address
from edusense.devices.reconnect import ReconnectingReader
from edusense.devices.registry import find_driver, open_reader
from edusense.errors import (
    CardGoneError,
    DeviceBusyError,
    DeviceDisconnectedError,
    DeviceError,
    DeviceNotFoundError,
    DeviceProtocolError,
    SessionClosedError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edusense.devices.card import Card
    from edusense.devices.reader import Reader, Trace

__all__ = [
    "ByteStreamReaderContract",
    "ByteStreamRig",
    "ExchangingReaderContract",
    "ExchangingRig",
    "ReaderContract",
    "ReaderRig",
    "SignallingReaderContract",
    "SignallingRig",
]

SELECT_NDEF: Final = bytes.fromhex("00A4040007D276000085010100")
"""SELECT of the NFC Forum's Type 4 tag application (Type 4 Tag 2.0, 5.4.2)."""
READ_15: Final = bytes.fromhex("00B000000F")


class ReaderRig(Protocol):
    """A device and the world around it, as the tests need them."""

    address: str
    """What `open_reader` takes; the same after replugging."""
    cards: tuple[Card, Card]
    """Two different cards that the device can read."""

    def place(self, card: Card) -> None:
        """Lays a card down; it stays until removed, or until another takes its place."""
        ...

    def remove(self, card: Card) -> None:
        """Takes it away."""
        ...

    def unplug(self) -> None:
        """Pulls the plug."""
        ...

    def replug(self) -> None:
        """Plugs it in again."""
        ...


class ByteStreamRig(ReaderRig, Protocol):
    """A rig whose device's line can be spoken on."""

    noise: bytes
    """Bytes that begin no frame."""

    def frame(self, card: Card) -> bytes:
        """What the device sends for a card."""
        ...

    def spoil(self, frame: bytes) -> bytes:
        """The frame with a wrong check sum."""
        ...

    def send(self, data: bytes) -> None:
        """Sends bytes as if the device had."""
        ...


class SignallingRig(ReaderRig, Protocol):
    """A rig whose device has a light or a sound."""

    def shown(self) -> list[bool]:
        """The verdicts that the device has shown since it was plugged in, in order: True is green."""
        ...


class ExchangingRig(ReaderRig, Protocol):
    """A rig whose device passes APDUs to cards."""

    smart: Card
    """A card with the NFC Forum's Type 4 tag application."""

    def answer_too_long(self) -> None:
        """Makes the next answer of a card have more data than was asked for."""
        ...


class ReaderContract:
    """What every card reader promises. Subclass it with a fixture `rig`."""

    patience_s: ClassVar[float] = 5.0
    """How long a card may take to be read before the test fails; not how long it usually takes."""
    held_s: ClassVar[float] = 1.5
    """How long a card is held in the tests about holding; set it to 60 on a bench."""
    silence_s: ClassVar[float] = 0.3
    """Seconds without a card after which the driver lets it tap again."""
    assurance: ClassVar[str] = "uid"
    """How much its cards' numbers prove."""
    calls_us: ClassVar[bool] = False
    """Whether the device calls the driver, over a network for instance: then nobody knows whether it is there, and the
    tests about plugs are left out.
    """

    @pytest.fixture
    def session(self, rig: ReaderRig) -> Iterator[Reader]:
        """An open session with the rig's device."""
        with open_reader(rig.address) as reader:
            yield reader

    def _one(self, session: Reader, rig: ReaderRig, card: Card) -> Card:
        """Taps a card and reads it."""
        rig.place(card)
        found = session.read(self.patience_s)
        rig.remove(card)
        assert found is not None, f"no card within {self.patience_s} s"
        return found

    def test_a_card_is_read_in_full(self, session: Reader, rig: ReaderRig) -> None:
        before = time.time()
        card = self._one(session, rig, rig.cards[0])
        assert card == rig.cards[0]
        assert card.uid == rig.cards[0].uid
        assert card.at is not None
        assert before - 1 <= card.at <= time.time() + 1
        assert card.assurance == self.assurance
        assert card.raw

    def test_no_card_is_none_at_the_deadline(self, session: Reader) -> None:
        started = time.monotonic()
        assert session.read(timeout=0.2) is None
        assert 0.15 <= time.monotonic() - started < 0.2 + 2.0

    def test_timeout_zero_only_looks(self, session: Reader, rig: ReaderRig) -> None:
        started = time.monotonic()
        assert session.read(timeout=0) is None
        assert time.monotonic() - started < 1.0
        rig.place(rig.cards[0])
        deadline = time.monotonic() + self.patience_s
        found = None
        while found is None and time.monotonic() < deadline:
            found = session.read(timeout=0)
            time.sleep(0.01)
        assert found == rig.cards[0]

    def test_iterating_gives_cards_and_ends_when_closed(self, session: Reader, rig: ReaderRig) -> None:
        rig.place(rig.cards[0])
        for card in session:
            assert card == rig.cards[0]
            session.close()
        assert session.closed

    def test_a_held_card_is_one_tap(self, session: Reader, rig: ReaderRig) -> None:
        rig.place(rig.cards[0])
        assert session.read(self.patience_s) == rig.cards[0]
        assert session.read(self.held_s) is None
        rig.remove(rig.cards[0])
        assert session.stats().cards == 1

    def test_a_held_card_is_one_tap_however_slow_the_caller(self, session: Reader, rig: ReaderRig) -> None:
        rig.place(rig.cards[0])
        assert session.read(self.patience_s) == rig.cards[0]
        for _ in range(3):
            time.sleep(2 * self.silence_s)
            assert session.read(timeout=0) is None
        rig.remove(rig.cards[0])

    def test_the_same_card_taps_again_after_it_was_away(self, session: Reader, rig: ReaderRig) -> None:
        assert self._one(session, rig, rig.cards[0]) == rig.cards[0]
        time.sleep(self.silence_s + 0.5)
        assert self._one(session, rig, rig.cards[0]) == rig.cards[0]

    def test_another_card_at_once_is_another_tap(self, session: Reader, rig: ReaderRig) -> None:
        first, second = rig.cards
        assert self._one(session, rig, first) == first
        assert self._one(session, rig, second) == second

    def test_two_cards_in_turn_are_two_taps(self, session: Reader, rig: ReaderRig) -> None:
        first, second = rig.cards
        rig.place(first)
        found = [session.read(self.patience_s)]
        rig.place(second)
        found.append(session.read(self.patience_s))
        assert found == [first, second]
        assert session.read(2 * self.silence_s) is None

    def test_a_verdict_is_shown_or_said_not_to_be(self, session: Reader, rig: ReaderRig) -> None:
        can = find_driver(Address(rig.address).driver).can
        if not {"light", "sound"} & set(can):
            assert session.signal(granted=True) is False
        session.close()
        with pytest.raises(SessionClosedError):
            session.signal(granted=True)

    def test_an_apdu_is_exchanged_or_refused(self, session: Reader, rig: ReaderRig) -> None:
        with pytest.raises(UsageError, match="no APDU"):
            session.exchange(b"\x00")
        with pytest.raises(UsageError if "apdu" not in find_driver(Address(rig.address).driver).can else CardGoneError):
            session.exchange(SELECT_NDEF, timeout=self.patience_s)

    def test_what_was_seen_is_counted(self, session: Reader, rig: ReaderRig) -> None:
        assert session.stats().cards == 0
        self._one(session, rig, rig.cards[0])
        stats = session.stats()
        assert (stats.cards, stats.bad_frames, stats.suspicion) == (1, 0, None)
        assert stats.bytes_read > 0

    def test_bytes_can_be_watched(self, session: Reader, rig: ReaderRig) -> None:
        told: list[Trace] = []
        session.trace = told.append
        session.read(timeout=0)
        self._one(session, rig, rig.cards[0])
        assert any(trace.direction == "in" and trace.data for trace in told)

    def test_closing_twice_is_harmless(self, session: Reader) -> None:
        session.close()
        session.close()
        assert session.closed

    def test_a_closed_session_says_so(self, session: Reader) -> None:
        session.close()
        with pytest.raises(SessionClosedError):
            session.read(timeout=0)
        with pytest.raises(SessionClosedError), session:
            pass

    def test_closing_wakes_who_reads(self, session: Reader) -> None:
        outcome: list[object] = []

        def read() -> None:
            try:
                outcome.append(session.read(timeout=None))
            except SessionClosedError as error:
                outcome.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        time.sleep(0.1)
        session.close()
        thread.join(self.patience_s)
        assert not thread.is_alive()
        assert isinstance(outcome[0], SessionClosedError)

    def test_forgetting_to_close_warns_and_frees_the_device(self, rig: ReaderRig) -> None:
        reader: Reader | None = open_reader(rig.address)
        assert reader is not None
        with pytest.warns(ResourceWarning, match="never closed"):  # noqa: PT031 -- both may be what collects it
            del reader
            gc.collect()
        open_reader(rig.address).close()

    def test_a_device_in_use_is_busy(self, session: Reader, rig: ReaderRig) -> None:
        with pytest.raises(DeviceBusyError) as caught:
            open_reader(rig.address)
        assert caught.value.hint
        assert session.read(timeout=0) is None

    def _needs_a_plug(self) -> None:
        if self.calls_us:
            pytest.skip("the device calls, and has no plug that could be missed")

    def test_an_unplugged_reader_says_so(self, session: Reader, rig: ReaderRig) -> None:
        self._needs_a_plug()
        assert session.read(timeout=0.1) is None
        rig.unplug()
        with pytest.raises(DeviceDisconnectedError) as caught:
            session.read(self.patience_s)
        assert caught.value.hint
        with pytest.raises(DeviceDisconnectedError):
            session.read(timeout=0)
        session.close()

    def test_unplugging_wakes_who_waits(self, session: Reader, rig: ReaderRig) -> None:
        self._needs_a_plug()
        timer = threading.Timer(0.2, rig.unplug)
        timer.start()
        started = time.monotonic()
        with pytest.raises(DeviceDisconnectedError):
            session.read(timeout=None)
        assert time.monotonic() - started < self.patience_s
        timer.join()

    def test_a_reader_that_is_not_there_is_not_found(self, rig: ReaderRig) -> None:
        self._needs_a_plug()
        rig.unplug()
        with pytest.raises(DeviceNotFoundError) as caught:
            open_reader(rig.address)
        assert caught.value.hint

    def test_a_replugged_reader_works_again(self, session: Reader, rig: ReaderRig) -> None:
        self._needs_a_plug()
        assert self._one(session, rig, rig.cards[0]) == rig.cards[0]
        rig.unplug()
        with pytest.raises(DeviceError):
            session.read(self.patience_s)
        session.close()
        rig.replug()
        with open_reader(rig.address) as again:
            assert self._one(again, rig, rig.cards[1]) == rig.cards[1]

    def test_a_reader_that_is_waited_for_comes_back(self, rig: ReaderRig) -> None:
        self._needs_a_plug()
        with ReconnectingReader(rig.address, first_s=0.05, limit_s=0.2) as reader:
            states = [self._state(reader)]
            rig.unplug()
            states.append(self._state(reader))
            rig.replug()
            while states[-1] != "connected":
                states.append(self._state(reader))
            rig.place(rig.cards[0])
            assert reader.read(self.patience_s) == rig.cards[0]
            assert states[:2] == ["connected", "waiting"]
            assert reader.reconnects == 1

    def _state(self, reader: ReconnectingReader) -> str:
        change = reader.read(self.patience_s)
        assert change is not None, "nothing happened"
        assert reader.change is not None
        return reader.change.state

    def test_the_async_twin_reads_the_same(self, session: Reader, rig: ReaderRig) -> None:
        async def run() -> tuple[Card | None, Card | None]:
            nothing = await session.aread(timeout=0.05)
            rig.place(rig.cards[0])
            return nothing, await session.aread(self.patience_s)

        assert asyncio.run(run()) == (None, rig.cards[0])

    def test_a_cancelled_async_read_loses_no_card(self, session: Reader, rig: ReaderRig) -> None:
        async def run() -> Card | None:
            waiting = asyncio.ensure_future(session.aread(timeout=None))
            await asyncio.sleep(0.1)
            waiting.cancel()
            rig.place(rig.cards[0])
            with pytest.raises(asyncio.CancelledError):
                await waiting
            return await session.aread(self.patience_s)

        assert asyncio.run(run()) == rig.cards[0]

    def test_iterating_asynchronously_gives_cards(self, session: Reader, rig: ReaderRig) -> None:
        async def run() -> list[Card]:
            found = []
            rig.place(rig.cards[0])
            async for card in session:
                found.append(card)
                session.close()
            return found

        assert asyncio.run(run()) == [rig.cards[0]]


class ByteStreamReaderContract(ReaderContract):
    """What a reader on a stream of bytes promises besides."""

    def test_a_frame_is_read_wherever_it_is_split(self, session: Reader, rig: ByteStreamRig) -> None:
        frame = rig.frame(rig.cards[0])
        for cut in range(1, len(frame)):
            rig.send(frame[:cut])
            time.sleep(0.005)
            rig.send(frame[cut:])
            # The first is a tap, the others repeat it: counted all the same.
            deadline = time.monotonic() + self.patience_s
            while session.stats().cards + session.stats().repeats < cut and time.monotonic() < deadline:
                time.sleep(0.002)
            assert session.stats().cards + session.stats().repeats == cut, f"split after {cut} bytes"
        assert session.stats().bad_frames == 0
        assert session.read(timeout=0) == rig.cards[0]

    def test_half_a_frame_waits_for_its_rest(self, session: Reader, rig: ByteStreamRig) -> None:
        frame = rig.frame(rig.cards[0])
        rig.send(frame[: len(frame) // 2])
        assert session.read(timeout=0.3) is None
        rig.send(frame[len(frame) // 2 :])
        assert session.read(self.patience_s) == rig.cards[0]

    def test_half_a_frame_costs_only_itself(self, session: Reader, rig: ByteStreamRig) -> None:
        frame = rig.frame(rig.cards[0])
        rig.send(frame[: len(frame) // 2] + frame)
        assert session.read(self.patience_s) == rig.cards[0]
        assert session.stats().bad_frames == 1

    def test_noise_before_a_frame_does_no_harm(self, session: Reader, rig: ByteStreamRig) -> None:
        rig.send(rig.noise + rig.frame(rig.cards[0]) + rig.noise)
        assert session.read(self.patience_s) == rig.cards[0]
        assert session.read(timeout=0.1) is None
        assert session.stats().noise_bytes == 2 * len(rig.noise)

    def test_a_bad_check_sum_is_counted_and_no_card(self, session: Reader, rig: ByteStreamRig) -> None:
        rig.send(rig.spoil(rig.frame(rig.cards[0])))
        assert session.read(timeout=0.3) is None
        stats = session.stats()
        assert stats.bad_frames == 1
        assert stats.cards == 0
        assert stats.last_fault is not None
        assert "byte" in stats.last_fault, "a fault has coordinates"
        rig.send(rig.frame(rig.cards[0]))
        assert session.read(self.patience_s) == rig.cards[0]

    def test_frames_in_one_piece_are_all_read(self, session: Reader, rig: ByteStreamRig) -> None:
        first, second = rig.cards
        rig.send(rig.frame(first) + rig.frame(second) + rig.frame(first) + rig.frame(second))
        assert [session.read(self.patience_s), session.read(self.patience_s)] == [first, second]
        assert session.read(timeout=0.1) is None
        assert session.stats().repeats == 2


class SignallingReaderContract(ReaderContract):
    """What a reader with a light or a sound promises besides."""

    def _shown(self, rig: SignallingRig, wanted: list[bool]) -> None:
        deadline = time.monotonic() + self.patience_s
        while rig.shown() != wanted and time.monotonic() < deadline:
            time.sleep(0.005)
        assert rig.shown() == wanted

    def test_a_verdict_is_shown_after_a_card(self, session: Reader, rig: SignallingRig) -> None:
        self._one(session, rig, rig.cards[0])
        assert session.signal(granted=True) is True
        self._shown(rig, [True])
        self._one(session, rig, rig.cards[1])
        assert session.signal(granted=False) is True
        self._shown(rig, [True, False])

    def test_a_verdict_is_shown_while_the_field_is_empty(self, session: Reader, rig: SignallingRig) -> None:
        assert session.read(timeout=0.5) is None
        assert session.signal(granted=False) is True
        self._shown(rig, [False])

    def test_a_verdict_is_shown_while_another_thread_reads(self, session: Reader, rig: SignallingRig) -> None:
        found: list[Card | None] = []
        thread = threading.Thread(target=lambda: found.append(session.read(self.patience_s)))
        thread.start()
        time.sleep(0.1)
        for granted in (True, False, True):
            assert session.signal(granted) is True
        self._shown(rig, [True, False, True])
        rig.place(rig.cards[0])
        thread.join(2 * self.patience_s)
        assert found == [rig.cards[0]]

    def test_no_verdict_is_shown_on_a_reader_that_is_gone(self, session: Reader, rig: SignallingRig) -> None:
        rig.unplug()
        with pytest.raises(DeviceError):  # noqa: PT012 -- that it is gone may be seen with one of the next
            for _ in range(100):
                session.signal(granted=True)
                time.sleep(0.05)


class ExchangingReaderContract(ReaderContract):
    """What a reader that passes APDUs to cards promises besides."""

    def test_a_card_answers_several_apdus(self, session: Reader, rig: ExchangingRig) -> None:
        rig.place(rig.smart)
        assert session.read(self.patience_s) == rig.smart
        assert session.exchange(SELECT_NDEF) == b"\x90\x00"
        assert session.exchange(bytes.fromhex("00A4000C02E103")) == b"\x90\x00"
        answer = session.exchange(READ_15)
        assert (len(answer), answer[:2], answer[-2:]) == (17, b"\x00\x0f", b"\x90\x00")
        assert session.exchange(bytes.fromhex("00A4040007A0000000000000")) == b"\x6a\x82"
        # It was used, and still lies there: no second tap.
        assert session.read(3 * self.silence_s) is None

    def test_its_number_can_be_asked_for(self, session: Reader, rig: ExchangingRig) -> None:
        rig.place(rig.cards[0])
        assert session.read(self.patience_s) == rig.cards[0]
        assert session.exchange(bytes.fromhex("FFCA000000")) == rig.cards[0].uid + b"\x90\x00"

    def test_more_bytes_than_were_asked_for_are_refused(self, session: Reader, rig: ExchangingRig) -> None:
        rig.place(rig.smart)
        assert session.read(self.patience_s) == rig.smart
        assert session.exchange(SELECT_NDEF) == b"\x90\x00"
        assert session.exchange(bytes.fromhex("00A4000C02E103")) == b"\x90\x00"
        rig.answer_too_long()
        with pytest.raises(DeviceProtocolError, match="asked for at most 15") as caught:
            session.exchange(READ_15)
        assert caught.value.hint

    def test_a_card_that_was_taken_away_is_said_so(self, session: Reader, rig: ExchangingRig) -> None:
        rig.place(rig.smart)
        assert session.read(self.patience_s) == rig.smart
        rig.remove(rig.smart)
        with pytest.raises(CardGoneError) as caught:
            session.exchange(SELECT_NDEF)
        assert caught.value.hint
        rig.place(rig.cards[1])
        assert session.read(self.patience_s) == rig.cards[1]

    def test_the_async_twin_exchanges_the_same(self, session: Reader, rig: ExchangingRig) -> None:
        async def run() -> bytes:
            rig.place(rig.smart)
            assert await session.aread(self.patience_s) == rig.smart
            return await session.aexchange(SELECT_NDEF)

        assert asyncio.run(run()) == b"\x90\x00"
