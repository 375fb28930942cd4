"""OSDP readers on an RS-485 line, with secure channel: the wired readers that cannot be listened to. Needs libosdp.

Address: `osdp:PORT?address=0&baud=9600&key=file:PATH&cards=any&order=wire&silence=0.3`.

The line is asked every 50 ms, as OSDP has it; what is for the reader (light, sound) goes out at once, between two
polls. Source: SIA OSDP v2.1.7 (IEC 60839-11-5).
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edusense.devices.card import Card
from edusense.devices.pump import PumpedReader
from edusense.devices.registry import Driver, Model
from edusense.devices.tally import Tally
from edusense.devices.wire import Heard, Vector
from edusense.errors import (
    CardError,
    DeviceDisconnectedError,
    DeviceError,
    DeviceRefusedError,
    DeviceTimeoutError,
    DriverMissingError,
    UsageError,
)
from edusense.site.secrets import resolve
from edusense_drivers.readers.frames import BadFrame, Noise
from edusense_drivers.readers.osdp_cards import number
from edusense_drivers.readers.osdp_frames import (
    CCRYPT,
    NAK,
    NAK_REASONS,
    PDID,
    RAW,
    Decoder,
    Packet,
    encode,
    identity,
)
from edusense_drivers.readers.serial_port import SerialPort
from edusense_drivers.readers.stream_source import BAUD_HELP, SILENCE_HELP, USB_SERIAL_CHIPS, port_settings
from edusense_drivers.readers.wiegand_cards import CARDS_HELP, ORDER_HELP, check_options

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from edusense.devices.address import Address
    from edusense.devices.clock import Clock
    from edusense.devices.reader import ReaderStats, Trace

    class Port(Protocol):
        """What is needed of a port."""

        path: str

        def read(self, timeout: float | None) -> bytes: ...
        def write(self, data: bytes) -> None: ...
        def wake(self) -> None: ...
        def close(self) -> None: ...


__all__ = ["DRIVER", "OsdpSource"]

_DEFAULT_KEY: Final = bytes(range(0x30, 0x40))
_POLL_S: Final = 0.05
"""The library's own pause between two polls."""
_ANSWER_S: Final = 0.2
_START_S: Final = 4.0
"""How long the reader may take until it is online; a secure channel takes two exchanges more."""
_SILENT_S: Final = 4.0
"""How long a reader that was online may be offline before it counts as gone."""
_TICK_S: Final = 0.005
_BROADCAST: Final = 0x7F
_ID: Final = b"\x61\x00"
_MISSING: Final = "the driver osdp needs the library libosdp"


class OsdpSource:
    """Cards out of a reader on a line.

    Args:
        port: the line.
        address: the reader's address, 0 to 126.
        key: the key of the secure channel (SCBK); None for a line without one.
        give_key: whether a reader that still has the default key is given this one.
        cards: what the reader reads, as in `wiegand_cards.KINDS`.
        order: of a UID's bytes.
        silence_s: seconds after which a card may tap again.
        clock: for the cards' times and the silence.

    Raises:
        DriverMissingError: libosdp is not installed.
    """

    def __init__(
        self,
        port: Port,
        *,
        address: int = 0,
        key: bytes | None = None,
        give_key: bool = False,
        cards: str = "any",
        order: str = "wire",
        silence_s: float = 0.3,
        clock: Clock | None = None,
        baud: int | None = None,
    ) -> None:
        self._port = port
        self._address = address
        self._secure = key is not None
        self._gives_key = give_key
        self._cards, self._order = cards, order
        self._tally = Tally(silence_s=silence_s, clock=clock, baud=baud)
        self._decoder = Decoder()
        self._woken = threading.Event()
        self._found: list[Card] = []
        self._done = 0
        self._sent_at: float | None = None
        self._spoke_at = time.monotonic()
        self._online_at: float | None = None
        self._heard: list[Packet] = []
        self._panel, self._line, self._library = _panel(self, address, key, give_key=give_key)

    def start(self) -> None:
        """Waits until the reader is online, and its channel secure where that is wanted.

        Raises:
            DeviceTimeoutError: nobody answers at that address.
            DeviceRefusedError: the reader has another key, the default key, or no secure channel.
        """
        deadline = time.monotonic() + _START_S
        while not self._ready():
            self._step(deadline - time.monotonic())
            if (refused := self._refusal()) is not None:
                raise refused
            if time.monotonic() >= deadline:
                raise self._silent()
        self._online_at = time.monotonic()
        self._heard.clear()

    def wait(self) -> list[Card]:
        """Waits for a card; polls go on meanwhile."""
        while not self._found and not self._woken.is_set():
            self._step(_POLL_S)
            if self._ready():
                self._online_at = time.monotonic()
            elif time.monotonic() - (self._online_at or 0.0) > _SILENT_S:
                raise self._refusal() or DeviceDisconnectedError(
                    f"the reader at address {self._address} of `{self._port.path}` does not answer any more",
                    hint="look at its power supply and at the line; the box opens it by itself",
                )
        self._woken.clear()
        found, self._found = self._found, []
        return found

    def wake(self) -> None:
        """Makes `wait` return soon."""
        self._woken.set()
        self._port.wake()

    def signal(self, granted: bool) -> bool:
        """Green and a tone, or red and three, at once; returns when the reader has confirmed both."""
        osdp = self._library
        colour = osdp.CommandLEDColor.Green if granted else osdp.CommandLEDColor.Red
        wanted = self._done + 2
        self._panel.ctx.submit_command(
            0,
            {
                "command": osdp.Command.LED, "reader": 0, "led_number": 0, "control_code": 2, "on_count": 10,
                "off_count": 0, "on_color": colour, "off_color": osdp.CommandLEDColor.Black, "timer_count": 10,
                "temporary": True,
            },
        )  # fmt: skip
        self._panel.ctx.submit_command(
            0,
            {
                "command": osdp.Command.Buzzer, "reader": 0, "control_code": 2, "on_count": 1, "off_count": 1,
                "rep_count": 1 if granted else 3,
            },
        )  # fmt: skip
        deadline = time.monotonic() + 1.0
        while self._done < wanted:
            self._step(_TICK_S)
            if time.monotonic() >= deadline:
                raise DeviceTimeoutError(
                    f"the reader at address {self._address} of `{self._port.path}` did not take the verdict",
                    hint="look at the line: RS-485 wants its two wires terminated at both ends",
                )
        return True

    def close(self) -> None:
        """Lets go of the line."""
        self._panel = None
        self._port.close()

    def stats(self) -> ReaderStats:
        """Counters since the line was opened."""
        return self._tally.stats()

    def watch(self, trace: Callable[[Trace], None] | None) -> None:
        """Tells bytes and faults to `trace` from now on."""
        self._tally.watch(trace)

    # What the library calls.

    def told(self, event: dict[str, Any]) -> None:
        """The reader has something to tell."""
        if event.get("event") != self._library.Event.CardRead:
            self._tally.note(f"the reader tells of something else than a card: {event.get('event')}")
            return
        bits, data = int(event["length"]), bytes(event["data"])
        try:
            kind, uid = number(bits, data, self._cards, self._order)
            card = Card(kind, uid, raw=data, at=self._tally.clock.now())
        except (ValueError, CardError) as error:
            self._tally.fault("parity" if "parity" in str(error) else "number", str(error), data)
            return
        if not any(uid):
            self._tally.fault("empty", "a card number of zeros", data)
        elif self._tally.tap((kind, uid)):
            self._found.append(card)

    def completed(self) -> None:
        """The reader has confirmed a command."""
        self._done += 1

    def _step(self, seconds: float) -> None:
        """Lets the library work once, sends what it wants sent, and hears what comes within some time."""
        panel, line = self._panel, self._line
        for _ in range(4):  # it does one step of its own state machine each time
            panel.ctx.refresh()
            if line.out:
                break
        if line.out:
            data, line.out = bytes(line.out), b""
            self._tally.sent(data, routine=self._online_at is not None)
            self._sent_at = self._spoke_at = time.monotonic()
            self._port.write(data)
        if self._sent_at is not None and time.monotonic() - self._sent_at < _ANSWER_S:
            patience = _TICK_S * 2
        else:
            patience = max(_TICK_S, self._spoke_at + _POLL_S - time.monotonic())
        heard = self._port.read(max(0.0, min(seconds, patience)))
        if heard:
            self._hear(heard)

    def _hear(self, data: bytes) -> None:
        self._line.held += data
        self._tally.heard(data, routine=self._online_at is not None)
        for event in self._decoder.push(data):
            match event:
                case BadFrame():
                    self._tally.fault(event.reason, event.message, event.raw)
                case Noise():
                    self._tally.noise(event.raw)
                case Packet() if event.reply:
                    self._sent_at = None
                    self._spoke_at = time.monotonic()
                    del self._heard[:-16]
                    self._heard.append(event)
                    if event.code == PDID:
                        self._tally.note(identity(event), event.raw)
                    elif event.code == NAK and event.data:
                        reason = NAK_REASONS.get(event.data[0], f"reason {event.data[0]}")
                        self._tally.fault("refused", f"the reader refused a command: {reason}", event.raw)

    def _ready(self) -> bool:
        panel = self._panel.ctx
        return bool(panel.status() & 1) and (not self._secure or bool(panel.sc_status() & 1))

    def _refusal(self) -> DeviceError | None:
        """Why the reader does not become secure, where what it said tells; None where it may still."""
        where = f"the reader at address {self._address} of `{self._port.path}`"
        if not self._secure or self._panel.ctx.status() & 1:
            return None
        last = next((packet for packet in reversed(self._heard) if packet.code in (NAK, CCRYPT)), None)
        if last is None:
            return None
        if last.code == CCRYPT:
            # The controller held it to be wrong when it says nothing more.
            if time.monotonic() - self._spoke_at < 5 * _ANSWER_S:
                return None
            return DeviceRefusedError(
                f"{where} has another key",
                hint="is it the key of this reader? a factory reset gives it the default key",
            )
        if last.data[:1] == b"\x05" and not self._gives_key:
            return DeviceRefusedError(
                f"{where} makes no secure channel with this key: it has another, the default one, or none",
                hint="a reader that is new: `edusense reader key ADDRESS --yes` gives it this key; one that can do "
                "without only: `secure=off`",
            )
        return None

    def _silent(self) -> DeviceError:
        where = f"address {self._address} of `{self._port.path}`"
        replies = [packet for packet in self._heard if packet.reply]
        if not replies:
            told = self._tally.stats().suspicion
            return DeviceTimeoutError(
                f"no OSDP reader answers at {where}" + (f"; {told}" if told else ""),
                hint="`edusense reader identify PORT` asks at every speed; look at A and B, and the address",
            )
        return DeviceTimeoutError(
            f"the reader at {where} answers and does not come online",
            hint="`edusense reader listen -v` shows what it says",
        )


def _panel(source: OsdpSource, address: int, key: bytes | None, *, give_key: bool) -> tuple[Any, Any, Any]:
    """The library's control panel over our own line."""
    try:
        import osdp
    except ImportError:
        raise DriverMissingError(_MISSING, hint="pip install 'edusense-drivers[osdp]'") from None

    class Line(osdp.Channel):  # type: ignore[misc]  # libosdp ships no types
        """What the library reads and writes; the bytes themselves pass by `_step`."""

        def __init__(self) -> None:
            self.id = id(self) & 0x7FFF_FFFF
            self.held = b""
            self.out = b""

        def read(self, max_bytes: int) -> bytes:
            data, self.held = self.held[:max_bytes], self.held[max_bytes:]
            return data

        def write(self, buf: bytes) -> int:
            self.out += bytes(buf)
            return len(buf)

        def flush(self) -> None:
            self.held = b""

    line = Line()
    # Without this flag the library falls back to the key that everybody knows.
    flags = [osdp.LibFlag.EnforceSecure] if key is not None and not give_key else []
    information = osdp.PDInfo(address, line, scbk=key, flags=flags)

    def tell(_: int, event: dict[str, Any]) -> int:
        source.told(event)
        return 0

    panel = osdp.ControlPanel(
        [information],
        log_level=osdp.LogLevel.Emergency,
        event_handler=tell,
        command_completion_handler=lambda *_: source.completed(),
    )
    return panel, line, osdp


def _key(address: Address) -> bytes | None:
    """The key that an address names; None where it says that there is none."""
    secure = address.options.get("secure", "on")
    if secure not in ("on", "off"):
        raise UsageError(
            f"`{address}`: `secure` is `{secure}`", hint="`on`, or `off` for a reader without secure channel"
        )
    if secure == "off":
        if "key" in address.options:
            raise UsageError(f"`{address}`: a line without secure channel has no key", hint="leave one of the two out")
        return None
    if "key" not in address.options:
        raise UsageError(
            f"`{address}` names no key",
            hint="`key=file:PATH`, a file of mode 0600 with 32 hex digits; `secure=off` for a reader that has no keys",
        )
    text = resolve(address.options["key"], Path.cwd()).strip()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 16:
        raise UsageError(f"`{address}`: its key is not 32 hex digits", hint="openssl rand -hex 16 makes one")
    if key == _DEFAULT_KEY:
        raise UsageError(
            f"`{address}`: its key is the default one, which everybody knows", hint="openssl rand -hex 16 makes another"
        )
    return key


def _source(address: Address, *, give_key: bool = False) -> OsdpSource:
    path, baud, silence_s = port_settings(address)
    cards, order = check_options(address)
    which = int(address.number("address", 0, low=0, high=126))
    key = _key(address)
    if give_key and key is None:
        raise UsageError(f"`{address}` names no key to give", hint="`key=file:PATH`")
    port = SerialPort(path, baud)
    try:
        source = OsdpSource(
            port, address=which, key=key, give_key=give_key, cards=cards, order=order, silence_s=silence_s, baud=baud
        )
        source.start()
    except BaseException:
        port.close()
        raise
    return source


def _open(address: Address) -> PumpedReader:
    return PumpedReader(address, _source(address))


def _give_key(address: Address) -> None:
    """Gives a reader that has the default key the one that its address names."""
    _source(address, give_key=True).close()


def _probe(path: str) -> str | None:
    """Asks everybody on a line who they are, without any key; the options of the address that answers."""
    for baud in (9600, 115200, 38400, 19200):
        port = SerialPort(path, baud)
        decoder = Decoder()
        try:
            # The second goes out with a check sum: readers of before 2011 know no CRC.
            for control in (0x04, 0x00):
                port.write(encode(_BROADCAST, control, _ID))
                deadline = time.monotonic() + _ANSWER_S
                while (left := deadline - time.monotonic()) > 0:
                    for event in decoder.push(port.read(left)):
                        if isinstance(event, Packet) and event.reply and event.code == PDID:
                            return f"address={event.address}" + (f"&baud={baud}" if baud != 9600 else "")
        finally:
            port.close()
    return None


def _hear(data: bytes) -> Heard:
    """What a line holds that was listened to, as far as it is not encrypted."""
    cards: list[Card] = []
    explained, faults = 0, []
    for event in Decoder().push(data):
        match event:
            case Packet() if event.reply and event.code == RAW and not event.secure and len(event.data) > 4:
                try:
                    kind, uid = number(int.from_bytes(event.data[2:4], "little"), event.data[4:])
                    cards.append(Card(kind, uid, raw=event.raw))
                except (ValueError, CardError) as error:
                    faults.append(str(error))
                explained += len(event.raw)
            case Packet():
                explained += len(event.raw)
            case BadFrame():
                faults.append(event.message)
    return Heard(tuple(cards), explained, len(faults), faults[-1] if faults else None)


DRIVER = Driver(
    name="osdp",
    kind="reader",
    summary="readers on an RS-485 line with secure channel (OSDP v2)",
    address="osdp:PORT?address=0&baud=9600&key=file:PATH",
    open=_open,
    usb_ids=USB_SERIAL_CHIPS,
    serial=True,
    baud=9600,
    carrier="RS-485 through a converter",
    cards=("wiegand26", "wiegand34", "wiegand37", "iso14443a", "em4100", "iso15693"),
    can=("light", "sound"),
    extra="osdp",
    options={
        "address": "the reader's address on the line, 0 to 126",
        "key": "where the key of the secure channel is: `env:NAME` or `file:PATH`, 32 hex digits",
        "secure": "`off` for a reader without secure channel: whoever reaches the line can listen, and speak",
        "cards": CARDS_HELP,
        "order": ORDER_HELP,
        "baud": BAUD_HELP.format("most readers", 9600),
        "silence": SILENCE_HELP,
    },
    dialects={"": _hear},
    asks=True,
    probe=_probe,
    give_key=_give_key,
    vectors=(
        Vector(
            "captured from libosdp 3.2.9: a whole packet, and 26 bits in it whose parity is wrong",
            bytes.fromhex("53E51000065000011A008A5C9C40666F"),
            None,
        ),
        Vector(
            "the same with the right parity, its CRC recomputed",
            bytes.fromhex("53E51000065000011A008A5C9C00A227"),
            "wiegand26:14B938",
        ),
    ),
    models=(
        Model(
            "every reader of OSDP v2 with secure channel",
            works="cards as bits, light and sound, the key given and changed",
            checked="values of the standard's annex E; virtual reader of our own over a pseudo-terminal, which "
            "libosdp's control panel drives as well",
        ),
    ),
)
