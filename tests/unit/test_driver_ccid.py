"""Cards out of a CCID reader: the driver on the model's bytes, on answers that break the rules, and on pyusb's core."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edusense.devices import Card, Trace, open_reader
from edusense.errors import DeviceError, DeviceNotFoundError, DeviceProtocolError, DeviceTimeoutError, UsageError
from edusense.sim.ccid_model import FAULTS, CcidModel
from edusense.sim.reader_ccid import VirtualCcid
from edusense_drivers.readers.ccid import CcidSource

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG, SHORT = bytes.fromhex("04A1B2C3D4E5F6"), bytes.fromhex("9DCB4340")


class TestClock:
    __test__ = False

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return 1_800_000_000.0 + self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.seconds += seconds
        return event.is_set()


class ModelPipes:
    """The model without a bus."""

    name = "model"
    usb_id = "0000:0000"
    has_interrupt = False

    def __init__(self, model: CcidModel) -> None:
        self.model = model

    def write(self, data: bytes, timeout: float) -> None:
        self.model.bulk_out(data)

    def read(self, timeout: float) -> bytes:
        data = self.model.bulk_in()
        if data is None:
            raise DeviceTimeoutError("silence", hint="-")
        return data

    def interrupt(self, timeout: float) -> bytes:
        return self.model.interrupt_in() or b""

    def wake(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def model() -> CcidModel:
    return CcidModel()


@pytest.fixture
def source(model: CcidModel) -> CcidSource:
    return CcidSource(ModelPipes(model), poll_s=0.1, clock=TestClock())


def test_a_card_is_identified_with_three_requests(model: CcidModel, source: CcidSource) -> None:
    assert source.wait() == []
    model.place(LONG)
    before = model.requests
    (card,) = source.wait()
    assert card == Card("iso14443a", LONG)
    assert card.raw == LONG + b"\x90\x00"
    assert model.requests - before == 3
    assert source.wait() == []
    assert model.requests - before == 4


def test_a_card_held_for_a_minute_is_one_tap(model: CcidModel, source: CcidSource) -> None:
    model.place(LONG)
    assert [card for _ in range(600) for card in source.wait()] == [Card("iso14443a", LONG)]


def test_a_card_that_took_anothers_place_between_two_looks_is_a_tap(model: CcidModel, source: CcidSource) -> None:
    model.place(LONG)
    first = source.wait()
    model.place(SHORT)
    assert [*first, *source.wait()] == [Card("iso14443a", LONG), Card("iso14443a", SHORT)]


def test_a_card_that_flickers_is_one_tap(model: CcidModel, source: CcidSource) -> None:
    found = []
    for _ in range(10):
        model.place(LONG)
        found += source.wait()
        model.remove()
        found += source.wait()
    assert found == [Card("iso14443a", LONG)]
    assert source.stats().repeats == 9


def test_a_card_that_was_away_taps_again(model: CcidModel, source: CcidSource) -> None:
    found = []
    for _ in range(2):
        model.place(LONG)
        found += source.wait()
        model.remove()
        found += [card for _ in range(5) for card in source.wait()]
    assert found == [Card("iso14443a", LONG)] * 2


@pytest.mark.parametrize("fault", ["time-extension", "stale"])
def test_a_reader_that_takes_its_time_is_waited_for(model: CcidModel, source: CcidSource, fault: str) -> None:
    source.wait()
    model.place(LONG)
    model.fault(fault)
    assert source.wait() == [Card("iso14443a", LONG)]
    assert source.stats().bad_frames == 0


@pytest.mark.parametrize(("fault", "reason"), [("mute", "card"), ("no-uid", "no-uid")])
def test_a_card_that_does_not_answer_is_tried_again(
    model: CcidModel, source: CcidSource, fault: str, reason: str
) -> None:
    model.place(LONG)
    model.fault(fault)
    assert source.wait() == []
    assert source.stats().faults == {reason: 1}
    assert source.stats().last_fault
    assert source.wait() == [Card("iso14443a", LONG)]


@pytest.mark.parametrize(("fault", "error"), [("garbage", DeviceProtocolError), ("silence", DeviceTimeoutError)])
def test_a_reader_that_is_confused_ends_the_session(
    model: CcidModel, source: CcidSource, fault: str, error: type[DeviceError]
) -> None:
    model.fault(fault)
    with pytest.raises(error):
        source.wait()


def test_closing_powers_the_card_down(model: CcidModel, source: CcidSource) -> None:
    model.place(LONG)
    source.wait()
    assert model.powered
    source.close()
    assert not model.powered


class HostilePipes(ModelPipes):
    """Answers whatever the test wants: bytes after the sequence number may be right or not."""

    def __init__(self, answers: Iterator[bytes | tuple[int, bytes]]) -> None:
        super().__init__(CcidModel())
        self._answers = answers
        self._sequence = 0

    def write(self, data: bytes, timeout: float) -> None:
        self._sequence = data[6]

    def read(self, timeout: float) -> bytes:
        match next(self._answers, None):
            case None:
                raise DeviceTimeoutError("no more", hint="-")
            case bytes() as raw:
                return raw
            case (kind, rest):
                length = max(0, len(rest) - 3).to_bytes(4, "little")
                return bytes([kind]) + length + bytes([0, self._sequence]) + rest
        raise AssertionError


hostile = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.tuples(st.sampled_from([0x80, 0x81, 0x83]), st.binary(min_size=3, max_size=60)),
        st.tuples(
            st.sampled_from([0x80, 0x81]), st.binary(max_size=70).map(lambda data: b"\x00\x00\x00" + data + b"\x90\x00")
        ),
        st.just((0x81, b"\x01\x00\x00")),
        st.just((0x81, b"\x02\x00\x00")),
    ),
    max_size=20,
)


@settings(max_examples=500)
@given(hostile)
def test_no_answer_crashes_the_driver(answers: list[bytes | tuple[int, bytes]]) -> None:
    source = CcidSource(HostilePipes(iter(answers)), clock=TestClock())
    with pytest.raises(DeviceError):  # noqa: PT012 -- any of these may be the one that ends it
        for _ in range(len(answers) + 1):
            assert all(isinstance(card, Card) for card in source.wait())
    source.close()
    assert isinstance(source.stats().faults, dict)


def test_a_card_with_an_empty_uid_is_a_fault_and_no_card() -> None:
    answers = iter([(0x81, b"\x01\x00\x00"), (0x80, b"\x00\x00\x00\x3b"), (0x80, b"\x00\x00\x00\x90\x00")])
    source = CcidSource(HostilePipes(answers), clock=TestClock())
    assert source.wait() == []
    assert source.stats().faults == {"no-uid": 1}


def test_a_slot_that_calls_itself_failed_is_empty() -> None:
    source = CcidSource(HostilePipes(iter([(0x81, b"\x42\xfe\x00")])), clock=TestClock())
    assert source.wait() == []


def test_through_pyusb_and_a_socket_the_bytes_are_the_same() -> None:
    with VirtualCcid() as device, open_reader(device.address) as reader:
        told: list[Trace] = []
        reader.trace = told.append
        reader.read(0.05)
        device.place(Card("iso14443a", LONG))
        assert reader.read(5) == Card("iso14443a", LONG)
        assert [trace.data[:1] for trace in told if trace.direction == "out"][-3:] == [b"\x65", b"\x62", b"\x6f"]
        assert any(trace.data == b"\x50\x03" for trace in told)


def test_a_random_identifier_is_flagged() -> None:
    with VirtualCcid() as device, open_reader(device.address) as reader:
        device.place(Card.parse("iso14443a:0804FB0E"))
        card = reader.read(5)
        assert card is not None
        assert card.random_id


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"garbage", "silence"}))
def test_every_passing_fault_is_survived(fault: str) -> None:
    with VirtualCcid() as device, open_reader(device.address) as reader:
        # A reset while an answer is on its way loses it, and the session ends: that is another test's matter.
        deadline = time.monotonic() + 20
        while (device.model.requests < 2 or device.model.answers_waiting) and time.monotonic() < deadline:
            time.sleep(0.005)
        device.fault(fault)
        device.place(Card("iso14443a", SHORT))
        assert reader.read(20) == Card("iso14443a", SHORT)


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("ccid:sim:", UsageError),
        ("ccid:nothing", UsageError),
        ("ccid:072f", UsageError),
        ("ccid:sim:/nowhere/at/all", DeviceNotFoundError),
        ("ccid:dead:beef", DeviceNotFoundError),
        ("ccid:?poll=0", UsageError),
    ],
)
def test_addresses_without_a_reader(address: str, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        open_reader(address)
    assert getattr(caught.value, "hint", None)


def test_the_serial_number_tells_two_of_a_kind_apart() -> None:
    with VirtualCcid() as device, pytest.raises(DeviceNotFoundError, match="serial number `X`"):
        open_reader(f"{device.address}?serial=X")
