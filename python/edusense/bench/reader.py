"""A reader's data sheet: a person lays a card on it again and again; what came, how regularly, how well."""

from __future__ import annotations

import itertools
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from edusense.bench.case import Curve, Fact, Measured, State
from edusense.bench.figure import Figure, quantile
from edusense.devices import find_driver, open_reader
from edusense.devices.address import Address
from edusense.errors import BenchNotMeasuredError, DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.devices import Reader, Trace
    from edusense.devices.reader import ReaderStats

__all__ = ["measure"]

_FRAME_GAP_S: Final = 0.02
"""Bytes further apart belong to two frames: at 9600 baud a byte takes a millisecond."""
_HELD_GAP_S: Final = 1.5
"""Frames further apart are not those of a card that lies there."""


@dataclass
class _Heard:
    """What came from the reader, and when (Unix seconds)."""

    bytes_at: list[float] = field(default_factory=list)
    frames_at: list[float] = field(default_factory=list)
    taps_at: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    light_ms: list[float] = field(default_factory=list)
    lights: bool | None = None
    cards: set[str] = field(default_factory=set)
    ended: str | None = None

    def hear(self, trace: Trace) -> None:
        """Takes bytes from the reader's trace."""
        if trace.direction != "in":
            return
        if not self.bytes_at or trace.at - self.bytes_at[-1] > _FRAME_GAP_S:
            self.frames_at.append(trace.at)
        self.bytes_at.append(trace.at)


def measure(
    address: str = "",
    *,
    seconds: float = 30.0,
    cards: int = 10,
    _say: Callable[[str], None] = lambda _: None,
) -> Measured:
    """Listens to a reader while somebody lays cards on it, and holds one there for some seconds.

    Args:
        address: as `edusense reader listen` takes it: `rdm6300:/dev/ttyUSB0`.
        seconds: how long at most.
        cards: taps after which it has heard enough.

    Raises:
        BenchNotMeasuredError: the reader cannot be opened, or nobody laid a card on it.
    """
    if not address:
        raise BenchNotMeasuredError("no reader was named", hint="edusense bench reader rdm6300:/dev/ttyUSB0")
    try:
        reader = open_reader(address)
    except DeviceError as error:
        raise BenchNotMeasuredError(str(error), hint=error.hint) from error
    heard = _Heard()
    with reader:
        reader.trace = heard.hear
        _say(f"lay a card on {address}, {cards} times, and hold it there the last time; {seconds:.0f} s at most")
        _listen(reader, heard, seconds, cards, _say)
        stats = reader.stats()
    if not heard.taps_at:
        said = f"no card came within {seconds:.0f} s, and {stats.bytes_read} bytes of something else"
        hint = "`edusense reader identify PORT` says which protocol speaks" if stats.bytes_read else "lay a card on it"
        raise BenchNotMeasuredError(
            said if stats.bytes_read else f"nobody laid a card on it within {seconds:.0f} s", hint=hint
        )
    return Measured(_figures(heard, stats), _curves(heard), _facts(heard, stats, asks=_asks(address)))


def _listen(reader: Reader, heard: _Heard, seconds: float, cards: int, say: Callable[[str], None]) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and len(heard.taps_at) < cards:
        try:
            card = reader.read(min(left, 1.0))
        except DeviceError as error:
            heard.ended = str(error)
            return
        if card is None:
            continue
        now = time.time()
        last = heard.bytes_at[-1] if heard.bytes_at else now
        heard.taps_at.append(now)
        heard.latency_ms.append(1000 * max(0.0, now - last))
        heard.cards.add(str(card))
        _light(reader, heard)
        say(f"{len(heard.taps_at)} of {cards}: {card}")
    # A card that is still held goes on sending: its frames tell the rhythm.
    rest = min(3.0, max(0.0, until - time.monotonic()))
    if rest:
        try:
            reader.read(rest)
        except DeviceError as error:
            heard.ended = str(error)


def _light(reader: Reader, heard: _Heard) -> None:
    """Shows green, and times it; a reader without a light says so."""
    signal = getattr(reader, "signal", None)
    if signal is None:
        return
    began = time.perf_counter()
    try:
        heard.lights = bool(signal(True))
    except DeviceError as error:
        heard.ended = str(error)
        return
    if heard.lights:
        heard.light_ms.append(1000 * (time.perf_counter() - began))


def _asks(address: str) -> bool:
    """Whether the driver asks its device, so that bytes come also while no card lies there."""
    driver = find_driver(Address(address).driver)
    return driver.asks or not driver.serial


def _gaps_ms(heard: _Heard) -> list[float]:
    """Times between frames of a card that lies there."""
    between = [1000 * (later - earlier) for earlier, later in itertools.pairwise(heard.frames_at)]
    return [gap for gap in between if gap < 1000 * _HELD_GAP_S]


def _figures(heard: _Heard, stats: ReaderStats) -> list[Figure]:
    found = [
        Figure("from the last byte to the tap", "ms", tuple(heard.latency_ms), id="tap"),
        Figure("bad frames", "a hundred frames", (100 * stats.bad_frames / max(1, _frames(stats)),), id="bad-frames"),
    ]
    if heard.light_ms:
        found.append(Figure("from the verdict to the light", "ms", tuple(heard.light_ms), id="light"))
    if gaps := _gaps_ms(heard):
        found.append(Figure("between reads of a card that lies there", "ms", tuple(gaps), id="gap", better="neither"))
    return found


def _frames(stats: ReaderStats) -> int:
    return stats.cards + stats.repeats + stats.bad_frames


def _curves(heard: _Heard) -> list[Curve]:
    gaps = _gaps_ms(heard)
    if len(gaps) < 3:
        return []
    return [
        Curve("gaps", "Times between reads", "read", "ms", {"gap": [(float(n), gap) for n, gap in enumerate(gaps)]})
    ]


def _facts(heard: _Heard, stats: ReaderStats, *, asks: bool) -> list[Fact]:
    facts = [
        Fact("taps", f"{len(heard.taps_at)}, of {len(heard.cards)} card{'s' if len(heard.cards) != 1 else ''}", "ok"),
        Fact(
            "reads in a row", f"{_frames(stats)}: {stats.cards} taps, {stats.repeats} repeats of a card that lay there"
        ),
    ]
    share = stats.bad_frames / max(1, _frames(stats))
    told = f"{stats.bad_frames}" + (f": {stats.last_fault}" if stats.last_fault else "")
    words = "" if not stats.bad_frames else "a worn cable, a long one, or a weak supply: try another"
    facts.append(Fact("bad frames", told, "ok" if not share else "warn" if share < 0.05 else "fail", words))
    if stats.noise_bytes:
        facts.append(
            Fact("bytes outside of frames", str(stats.noise_bytes), "warn", "noise on the line, or another protocol")
        )
    slowest = quantile(heard.latency_ms, 1.0)
    facts.append(
        Fact(
            "to the tap",
            f"{statistics.median(heard.latency_ms):.1f} ms, {slowest:.1f} ms at most",
            "ok" if slowest < 50 else "warn",
        )
    )
    if heard.light_ms:
        slowest = quantile(heard.light_ms, 1.0)
        facts.append(
            Fact(
                "to the light",
                f"{statistics.median(heard.light_ms):.1f} ms, {slowest:.1f} ms at most",
                "ok" if slowest < 50 else "warn",
            )
        )
    elif heard.lights is False:
        facts.append(Fact("to the light", "it has none", None, "the terminal needs a lamp of its own"))
    else:
        facts.append(Fact("to the light", "not measured", None))
    gaps = _gaps_ms(heard)
    if gaps and not asks:
        longest = max(gaps)
        told = f"every {statistics.median(gaps):.0f} ms, {longest:.0f} ms at most"
        words = (
            "" if longest < 500 else "longer than the pause by which a second tap is told: a held card may count twice"
        )
        facts.append(Fact("a card that lies there is read", told, "ok" if longest < 500 else "warn", words))
    elif not gaps:
        facts.append(Fact("a card that lies there is read", "once", None, "it is told again when it was taken away"))
    if heard.ended is not None:
        facts.append(Fact("it went away", heard.ended, "fail", "cable, hub or supply"))
    bad = [fact for fact in facts if fact.state in {"warn", "fail"}]
    worst: State = "fail" if any(fact.state == "fail" for fact in bad) else "warn" if bad else "ok"
    verdict = {"fail": "not fit", "warn": "fit, with reservations", "ok": "fit"}[worst]
    return [Fact("verdict", verdict, worst, "; ".join(f"{fact.name}: {fact.value}" for fact in bad)), *facts]
