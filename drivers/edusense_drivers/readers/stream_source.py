"""A reader that speaks by itself on a serial line: a port and a decoder joined to taps, counters and traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edusense.devices.card import Card
from edusense.devices.tally import Tally
from edusense.devices.wire import Heard
from edusense.errors import CardError, UsageError
from edusense_drivers.readers.frames import BadFrame, Frame, Left, Noise

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from edusense.devices.address import Address
    from edusense.devices.clock import Clock
    from edusense.devices.reader import ReaderStats, Trace
    from edusense_drivers.readers.frames import Event, StreamDecoder

    class Port(Protocol):
        """What is needed of a port."""

        def read(self, timeout: float | None) -> bytes: ...
        def wake(self) -> None: ...
        def close(self) -> None: ...


__all__ = ["BAUD_HELP", "SILENCE_HELP", "USB_SERIAL_CHIPS", "StreamSource", "hearing", "port_settings"]

USB_SERIAL_CHIPS: Final = ("1a86:7523", "10c4:ea60", "0403:6001", "067b:2303")
"""The USB chips that readers' boards and cables carry: CH340, CP2102, FT232R, PL2303. Many other things carry them."""
SILENCE_HELP: Final = "seconds without a card after which it may tap again (0.3 to 60)"
BAUD_HELP: Final = "bits a second; {} leaves the factory with {}"
_BAUDS: Final = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)


class StreamSource:
    """Cards out of a port's bytes: decoding, debouncing, counting.

    Args:
        port: where the bytes come from.
        decoder: what cuts them into frames.
        silence_s: seconds without a card's frames after which it may tap again; at least 0.3.
        clock: for the cards' times and the silence.
        baud: the port's speed, where it has one: bytes that make no frame are then held against others.
    """

    assurance: str = "uid"
    """How much the numbers prove, as in `Card`."""

    def __init__(
        self,
        port: Port,
        decoder: StreamDecoder,
        *,
        silence_s: float = 0.3,
        clock: Clock | None = None,
        baud: int | None = None,
    ) -> None:
        self._port = port
        self._tally = Tally(silence_s=silence_s, clock=clock, baud=baud)
        self._decoder = decoder
        self._heard_at: float | None = None

    def wait(self) -> list[Card]:
        """Waits for bytes and gives the taps in them."""
        data = self._port.read(None)
        if not data:
            return []
        now = self._tally.clock.monotonic()
        events = self._decoder.pause(now - self._heard_at) if self._heard_at is not None else []
        self._heard_at = now
        self._tally.heard(data)
        return [card for event in events + self._decoder.push(data) if (card := self._judge(event, now)) is not None]

    def wake(self) -> None:
        """Makes `wait` return soon."""
        self._port.wake()

    def close(self) -> None:
        """Lets go of the port."""
        self._port.close()

    def stats(self) -> ReaderStats:
        """Counters since the port was opened."""
        return self._tally.stats()

    def watch(self, trace: Callable[[Trace], None] | None) -> None:
        """Tells bytes and faults to `trace` from now on."""
        self._tally.watch(trace)

    def _judge(self, event: Event, now: float) -> Card | None:
        match event:
            case Frame():
                if self._tally.tap((event.technology, event.uid), now):
                    try:
                        return self._card(event)
                    except CardError as error:
                        self._tally.not_a_card()
                        self._tally.fault("number", f"frame ending at byte {event.end}: {error}", event.raw)
            case BadFrame():
                self._tally.fault(event.reason, event.message, event.raw)
            case Noise():
                self._tally.noise(event.raw)
        return None

    def _card(self, event: Frame) -> Card:
        return Card(event.technology, event.uid, assurance=self.assurance, raw=event.raw, at=self._tally.clock.now())


def hearing(decoder: Callable[[], StreamDecoder]) -> Callable[[bytes], Heard]:
    """A dialect for a driver's declaration.

    Args:
        decoder: makes what cuts bytes into frames.
    """

    def hear(data: bytes) -> Heard:
        cards, explained, faults = [], 0, []
        for event in decoder().push(data):
            match event:
                case Frame():
                    try:
                        cards.append(Card(event.technology, event.uid, raw=event.raw))
                    except CardError as error:
                        faults.append(str(error))
                    else:
                        explained += len(event.raw)
                case Left():
                    explained += len(event.raw)
                case BadFrame():
                    faults.append(event.message)
        return Heard(tuple(cards), explained, len(faults), faults[-1] if faults else None)

    return hear


def port_settings(address: Address, *, baud: int = 9600) -> tuple[str, int, float]:
    """What an address says of its serial port.

    Args:
        address: `driver:PORT?baud=…&silence=…`.
        baud: bits a second where the address does not say.

    Returns:
        The port, bits a second, and seconds of silence.

    Raises:
        UsageError: there is no port in it, or a number that no port or reader can have.
    """
    if not address.target:
        raise UsageError(
            f"`{address}` names no port",
            hint=f"`edusense reader ports` lists them; then `{address.driver}:/dev/serial/by-id/…`",
        )
    wanted = int(address.number("baud", baud, low=1200, high=115200))
    if wanted not in _BAUDS:
        raise UsageError(f"`{address}`: no serial port runs at {wanted} baud", hint=f"one of {_BAUDS}; usually {baud}")
    return address.target, wanted, address.number("silence", 0.3, low=0.3, high=60.0)
