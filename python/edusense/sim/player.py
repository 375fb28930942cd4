"""Plays a source of pictures in time: each picture's packets are made once and handed to everybody who watches."""

from __future__ import annotations

import io
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from edusense.sim.rtp import CLOCK_RATE, Wire, sender_report
from edusense.sim.timing import Timing

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from edusense.sim.clips import Clip
    from edusense.sim.encode import Encoding, Picture

__all__ = ["ClipSource", "Outlet", "Player", "Source", "Start"]

REPORT_S = 5.0
"""Seconds between two RTCP sender reports."""
PATIENCE_S = 0.5
"""A live picture that is later than this makes its camera pause: everything after it is due so much later."""


class Source(Protocol):
    """Where a player's pictures come from."""

    @property
    def encoding(self) -> Encoding:
        """How they are encoded."""

    @property
    def parameter_sets(self) -> tuple[bytes, bytes]:
        """SPS and PPS."""

    @property
    def loops(self) -> bool:
        """Whether the same pictures come round again."""

    @property
    def ssrc(self) -> int:
        """The stream's number in RTP; players of one source share it, and with it the packets."""

    @property
    def wires(self) -> dict[int, Wire]:
        """Packets made so far, by the picture's `id`."""

    @property
    def oldest(self) -> int:
        """Index of the oldest picture that can still be had."""

    def picture(self, index: int) -> Picture | None:
        """The picture of that index, counted without end; None when it is not drawn yet. Earlier ones may be gone."""


@dataclass
class ClipSource:
    """A clip in a loop."""

    clip: Clip
    ssrc: int = field(default_factory=lambda: secrets.randbits(32))
    wires: dict[int, Wire] = field(default_factory=dict, repr=False)

    @property
    def encoding(self) -> Encoding:
        """As the clip's."""
        return self.clip.encoding

    @property
    def parameter_sets(self) -> tuple[bytes, bytes]:
        """As the clip's."""
        return self.clip.parameter_sets

    @property
    def loops(self) -> bool:
        """They do."""
        return True

    @property
    def oldest(self) -> int:
        """None is ever gone."""
        return 0

    def picture(self, index: int) -> Picture | None:
        """Any picture, at any time."""
        return self.clip.pictures[index % len(self.clip.pictures)]


class Outlet(Protocol):
    """Somebody who watches."""

    channel: int

    def picture(self, data: bytes, key: bool) -> None:
        """Takes a picture's packets."""

    def report(self, data: bytes) -> None:
        """Takes an RTCP packet."""


@dataclass(frozen=True)
class Start:
    """Where an outlet's stream begins, as `RTP-Info` tells it; None where it is not known yet."""

    sequence: int | None
    timestamp: int | None


class Player:
    """Sends a source's pictures, each at its time, to any number of outlets. Lives on one event loop.

    Args:
        source: what is played.
        epoch: Unix time of picture 0; now when it starts, if None.
        timing: when each picture is due; shared by the players of one live reel. At an even pace by default.
        clock: Unix seconds.
    """

    def __init__(
        self,
        source: Source,
        *,
        epoch: float | None = None,
        timing: Timing | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.source = source
        self._timing = Timing(source.encoding.fps) if timing is None else timing
        self.epoch = epoch if epoch is not None else 0.0
        self.clock_offset = 0.0
        """Seconds by which the camera's own clock is wrong, as sender reports tell it."""
        self._starts_now = epoch is None
        self._clock = clock
        self._sequence = secrets.randbits(16)
        self._base = secrets.randbits(32)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop_epoch = 0.0
        self._index = 0
        self._outlets: list[Outlet] = []
        self._packets = self._octets = 0
        self._next_report = 0.0
        self._key: tuple[Picture, Encoding] | None = None
        self._pending: Source | None = None
        self._late = 0

    # ---- life

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins to play, on this loop; must be called on its thread. Harmless when repeated."""
        if self._loop is not None:
            return
        self._loop = loop
        now = self._clock()
        if self._starts_now:
            self.epoch = now
        self._loop_epoch = loop.time() + (self.epoch - now)
        # A live school may be ready later than its first picture's time: what nobody could have seen is passed over.
        behind = max(0.0, now - self.epoch)
        self._index = int(behind * self.source.encoding.fps)
        self._schedule()

    def prepare(self) -> None:
        """Makes a clip's packets before it is played, so that its first turn costs no more than the others."""
        if self.source.loops:
            for index in range(self.source.encoding.gop * 3600):
                picture = self.source.picture(index)
                if picture is None or id(picture) in self.source.wires:
                    return
                self._wire(picture)

    def stop(self) -> None:
        """Stops playing; must be called on the loop's thread. Harmless when repeated."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop = None
        self._outlets.clear()

    def switch(self, source: Source) -> None:
        """Goes on with another source from its next key picture, as when somebody changes a camera's resolution."""
        self._pending = source

    # ---- who watches

    def add(self, outlet: Outlet) -> None:
        """Lets somebody watch from the next key picture on; a sender report comes at once."""
        if outlet not in self._outlets:
            self._outlets.append(outlet)
            outlet.report(self._report(outlet.channel + 1))

    def remove(self, outlet: Outlet) -> None:
        """Forgets somebody; harmless when repeated."""
        if outlet in self._outlets:
            self._outlets.remove(outlet)

    @property
    def watchers(self) -> int:
        """How many watch."""
        return len(self._outlets)

    def next_key(self) -> Start:
        """Where somebody who comes now will begin."""
        sequence = self._sequence
        gop = self.source.encoding.gop
        for index in range(self._index, self._index + gop + 1):
            picture = self.source.picture(index)
            if picture is None:
                # Not drawn yet: key pictures come at multiples of the GOP, but how many packets lie before is open.
                return Start(None, self.timestamp(-(-index // gop) * gop))
            if picture.key:
                return Start(sequence & 0xFFFF, self.timestamp(index))
            sequence += self._wire(picture).packets
        return Start(None, None)

    # ---- time

    def timestamp(self, index: int) -> int:
        """RTP's clock at a picture."""
        return (self._base + round(self._timing.due_s(index) * CLOCK_RATE)) & 0xFFFFFFFF

    def unix(self, index: int) -> float:
        """Unix time at which a picture is sent."""
        return self.epoch + self._timing.due_s(index)

    @property
    def late(self) -> int:
        """How often the drawing was behind: a machine too slow for its virtual cameras."""
        return self._late

    @property
    def index(self) -> int:
        """Number of the next picture."""
        return self._index

    def snapshot(self) -> bytes:
        """The last key picture as JPEG, 10 at most a second; may be called from any thread.

        Raises:
            LookupError: nothing was played yet.
        """
        import av

        if self._key is None:
            raise LookupError("no picture yet")
        picture, _ = self._key
        context = av.CodecContext.create("h264", "r")
        assert isinstance(context, av.VideoCodecContext)
        frames = context.decode(av.Packet(picture.annex_b())) + context.decode(None)
        out = io.BytesIO()
        frames[0].to_image().save(out, "JPEG", quality=85)  # type: ignore[no-untyped-call]  # PyAV leaves it untyped
        return out.getvalue()

    # ---- the tick

    def _schedule(self) -> None:
        assert self._loop is not None
        self._timer = self._loop.call_at(self._due(self._index), self._tick)

    def _due(self, index: int) -> float:
        return self._loop_epoch + self._timing.due_s(index)

    def _tick(self) -> None:
        loop = self._loop
        if loop is None:
            return
        while (due := self._due(self._index)) <= loop.time() + 0.0005:
            picture = self.source.picture(self._index)
            if picture is None and self._index < self.source.oldest:
                # So late that what is due here is gone: on from the next key picture, or nobody sees anything again.
                gop = self.source.encoding.gop
                self._late += 1
                self._index = -(-self.source.oldest // gop) * gop
                continue
            if picture is None:
                self._late += 1
                self._timer = loop.call_later(0.02, self._tick)
                return
            if not self.source.loops and loop.time() - due > PATIENCE_S:
                # What was drawn late is shown late. Sent in a burst with the times at which it was due, it would be
                # something that no camera ever saw.
                self._timing.pause(self._index, loop.time() - due)
            if picture.key and self._pending is not None:
                self.source, self._pending = self._pending, None
                picture = self.source.picture(self._index) or picture
            self._send(self._index, picture)
            self._timing.passed(self._index)
            self._index += 1
        self._schedule()

    def _send(self, index: int, picture: Picture) -> None:
        wire = self._wire(picture)
        if picture.key:
            self._key = (picture, self.source.encoding)
        if self._outlets:
            timestamp = self.timestamp(index)
            stamped: dict[int, bytes] = {}
            key = picture.key
            for outlet in tuple(self._outlets):
                data = stamped.get(outlet.channel)
                if data is None:
                    data = stamped[outlet.channel] = wire.stamp(outlet.channel, self._sequence, timestamp)
                outlet.picture(data, key)
            assert self._loop is not None
            if self._loop.time() >= self._next_report:
                self._next_report = self._loop.time() + REPORT_S
                for outlet in tuple(self._outlets):
                    outlet.report(self._report(outlet.channel + 1))
        self._sequence = (self._sequence + wire.packets) & 0xFFFF
        self._packets += wire.packets
        self._octets += wire.octets
        if not self.source.loops:
            self.source.wires.pop(id(picture), None)

    def _wire(self, picture: Picture) -> Wire:
        """A picture's packets; those of a clip are kept, because it comes round again."""
        wires = self.source.wires
        wire = wires.get(id(picture))
        if wire is None or wire.picture is not picture:
            wire = wires[id(picture)] = Wire(picture, self.source.ssrc)
        return wire

    def _report(self, channel: int) -> bytes:
        # Both clocks at one instant, from the player's own: media time and wall clock agree to the millisecond.
        assert self._loop is not None
        since = self._loop.time() - self._loop_epoch
        return sender_report(
            channel=channel,
            ssrc=self.source.ssrc,
            unix_s=self.epoch + since + self.clock_offset,
            timestamp=self._base + round(since * CLOCK_RATE),
            packets=self._packets,
            octets=self._octets,
        )
