"""What a camera sends, measured: its streams are opened through the engine for some seconds and looked at.

Nothing of it is what the camera says. Sizes and codec are those of pictures that were decoded, rate and group length
those of pictures that came.
"""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from edusense.errors import EdusenseError
from edusense.fleet.sight import changed, looked_at
from edusense.video.clip import colour_jpeg
from edusense.video.engine import CameraSource, Engine
from edusense.video.pyav_decoder import DamagedError, DeclinedError, RunDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edusense.fleet.sight import Luma, Sight
    from edusense.video.engine import Arrival, EngineEvent

__all__ = ["Measured", "Stream", "StreamMeter", "figures"]

TICKS: Final = 90_000
"""Ticks a second of RTP timestamps (RFC 6184, section 5.1; RFC 7798, section 4.1; RFC 2435, section 3.1)."""
SETTLED_S: Final = 1.0
"""Many cameras send what they have buffered at once: what comes before this says nothing about the network."""
PATIENCE_S: Final = 15.0
"""Longest wait for a first picture, in seconds."""
KEY_WAIT_S: Final = 10.0
"""How much longer than asked a stream is watched until a second key picture has come."""
GAP_S: Final = 0.25
STILL: Final = 1.0
"""Grey levels by which some part of the picture changes within a group where a sensor works: its noise alone does."""
STILL_KEYS: Final = 6.0
"""The same from key picture to key picture, which are coded anew and differ by that alone."""
MOST_DECODED: Final = 150
_TICK_S: Final = 0.2
_DAMAGED: Final = (DamagedError, DeclinedError, EdusenseError)
"""What decoding ends with where pictures are not whole."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream to be measured.

    Args:
        name: `watch` or `keep`.
        url: without user and password.
        user: for it.
        password: for it.
        still: look whether anything in it changes, which costs the decoding of a group of pictures.
    """

    name: str
    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    still: bool = False


@dataclass(slots=True)
class Measured:
    """What a stream was seen to be.

    Args:
        url: where, without user and password.
        state: of the engine's session at the end: `playing`, `refused`, `lost`, `stalled` …
        reason: in words.
        code: of the error behind it; None while it plays.
        hint: what to do about it.
        first_picture_s: from the call to the first picture; None where none came.
        seconds: from the first picture to the last.
        pictures: how many came.
        codec: `h264`, `h265`, `jpeg`; None where no picture could be decoded.
        width: pixels of a decoded picture.
        height: likewise.
        fps: pictures a second, by the camera's timestamps.
        gop: pictures from one key picture to the next, median; None where two were not seen.
        gop_s: the same in seconds.
        kbit: mean over whole groups of pictures, kbit/s.
        lost: packets that did not come.
        jitter_ms: how unevenly pictures come, as RFC 3550, section 6.4.1, counts it.
        backwards: timestamps that did not grow.
        gaps: times that pictures were missing by their timestamps.
        speed: seconds of the camera's timestamps in one of ours; 1 where its time runs as ours does.
        reconnects: sessions after the first.
        changes: how often size or profile changed on the way.
        brightness: mean luma, 0 to 255.
        contrast: spread of the picture's parts, grey levels.
        sharpness: 0 to 1.
        fault: `black`, `covered`, `blurred` or `frozen`; None where there is something to see.
        picture: the newest key picture in colour, JPEG.
    """

    url: str
    state: str = "waiting"
    reason: str = ""
    code: str | None = None
    hint: str | None = None
    first_picture_s: float | None = None
    seconds: float = 0.0
    pictures: int = 0
    codec: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    gop: int | None = None
    gop_s: float | None = None
    kbit: float | None = None
    lost: int = 0
    jitter_ms: float | None = None
    backwards: int = 0
    gaps: int = 0
    speed: float | None = None
    reconnects: int = 0
    changes: int = 0
    brightness: float | None = None
    contrast: float | None = None
    sharpness: float | None = None
    fault: str | None = None
    picture: bytes | None = field(default=None, repr=False)

    @property
    def seen(self) -> bool:
        """Whether a picture came and could be decoded."""
        return self.codec is not None

    def to_json(self) -> dict[str, Any]:
        """Everything but the picture."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "picture"}


@dataclass(slots=True)
class _Going:
    """A stream that is being measured."""

    stream: Stream
    id: str
    begun_s: float
    first_key: tuple[str, bytes] | None = None


class StreamMeter:
    """Measures streams of many cameras at once, by one engine.

    ```python
    with StreamMeter() as meter:
        going = meter.begin("205-front", [Stream("watch", "rtsp://10.20.0.51/sub", "user", "…")])
        print(meter.finish(going, seconds=8.0)["watch"].fps)
    ```

    Args:
        keep_s: seconds of compressed pictures that are held of each stream.
    """

    def __init__(self, *, keep_s: float = 12.0) -> None:
        self._engine = Engine(
            pool_threads=0, arrivals=4096, buffer_s=keep_s, buffer_mb=16, sessions_per_s=50, stall_s=4.0
        )
        self._lock = threading.Lock()
        self._sources: dict[str, CameraSource] = {}
        self._told: dict[str, EngineEvent] = {}
        self._called: dict[str, float] = {}
        self._listener = threading.Thread(target=self._listen, name="edusense-meter", daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends every session; harmless when repeated."""
        self._engine.close()
        self._listener.join()

    def begin(self, camera: str, streams: Sequence[Stream]) -> list[_Going]:
        """Calls a camera's streams; returns at once.

        Args:
            camera: its id, of which each is measured once at a time.
            streams: its streams.

        Raises:
            StreamError: an address is not RTSP's.
        """
        going = [_Going(one, f"{camera}/{one.name}", time.time()) for one in streams]
        with self._lock:
            more = {one.id: CameraSource(one.id, one.stream.url, one.stream.user, one.stream.password) for one in going}
            # What is wrong with an address is told here, and others go on.
            self._engine.update([*self._sources.values(), *more.values()])
            self._sources |= more
        return going

    def finish(
        self, going: Sequence[_Going], seconds: float, stop: threading.Event | None = None
    ) -> dict[str, Measured]:
        """Waits until the streams have been watched for long enough, and says what they were seen to be.

        Args:
            going: what `begin` gave.
            seconds: how long, from the first picture of each.
            stop: set it, and what has been seen by then is what there is.
        """
        stop = stop or threading.Event()
        try:
            while not self._all_enough(going, seconds) and not stop.wait(_TICK_S):
                pass
            return {one.stream.name: self._seen(one) for one in going}
        finally:
            with self._lock:
                for one in going:
                    self._sources.pop(one.id, None)
                self._engine.update(list(self._sources.values()))
                for one in going:
                    self._told.pop(one.id, None)
                    self._called.pop(one.id, None)

    def _listen(self) -> None:
        for event in self._engine.events():
            if event.kind == "camera":
                with self._lock:
                    if event.camera in self._sources:
                        self._told[event.camera] = event
                        if event.state == "connecting":
                            self._called.setdefault(event.camera, event.time_s)

    def _row(self, name: str) -> dict[str, Any]:
        return next(row for row in self._engine.stats() if row["id"] == name)

    def _all_enough(self, going: Sequence[_Going], seconds: float) -> bool:
        # All of them are asked: each keeps its first key picture by it.
        found = [self._enough(one, seconds) for one in going]
        return all(found)

    def _enough(self, one: _Going, seconds: float) -> bool:
        if one.first_key is None:
            one.first_key = self._engine.key_picture(one.id)
        rows = self._engine.arrivals(one.id)
        now = time.time()
        if not rows:
            refused = self._row(one.id)["state"] == "refused"
            return refused or now - self._called.get(one.id, one.begun_s) > PATIENCE_S
        watched = now - rows[0].received_s
        keys = sum(row.key for row in rows)
        return watched >= seconds + KEY_WAIT_S or (watched >= seconds and keys >= 2)

    def _seen(self, one: _Going) -> Measured:
        row, told = self._row(one.id), self._told.get(one.id)
        found = figures(self._engine.arrivals(one.id), self._called.get(one.id, one.begun_s))
        found.url, found.state, found.reason = one.stream.url, row["state"], row["reason"]
        found.reconnects = row["reconnects"]
        if told is not None and told.state == found.state:
            found.code, found.hint = told.code, told.hint
        last_key = self._engine.key_picture(one.id)
        if last_key is not None:
            self._look(one, found, last_key)
        return found

    def _look(self, one: _Going, found: Measured, last_key: tuple[str, bytes]) -> None:
        codec, unit = last_key
        try:
            luma = _decoded(codec, [unit], [0])[0]
            found.picture = colour_jpeg(codec, unit, 640)
        except _DAMAGED as error:
            found.reason = f"its pictures cannot be decoded: {error}"
            return
        found.codec, (found.height, found.width) = codec, luma.shape
        sight = looked_at(luma)
        _put(found, sight)
        if sight.fault is None and one.stream.still and self._frozen(one, luma):
            found.fault = "frozen"

    def _frozen(self, one: _Going, last: Luma) -> bool:
        """Whether nothing in the picture changes, neither within a group nor from key picture to key picture."""
        group = self._engine.longest_group(one.id)
        if group is None or one.first_key is None:
            return False
        codec, units = group
        units = units[:MOST_DECODED]
        if len(units) < 8:
            return False
        wanted = [len(units) // 2, len(units) * 3 // 4, len(units) - 1]
        try:
            within = _decoded(codec, units, wanted)
            first = _decoded(one.first_key[0], [one.first_key[1]], [0])[0]
        except _DAMAGED:
            return False
        if max(changed(within[0], within[2]), changed(within[1], within[2])) >= STILL:
            return False
        return changed(first, last) < STILL_KEYS


def figures(rows: Sequence[Arrival], called_s: float) -> Measured:
    """What can be told from when pictures came and how large they were.

    Args:
        rows: of one stream, in the order of arrival.
        called_s: when the camera was called, Unix seconds.
    """
    found = Measured("")
    if not rows:
        return found
    found.pictures = len(rows)
    found.first_picture_s = round(max(0.0, rows[0].received_s - called_s), 3)
    found.seconds = round(rows[-1].received_s - rows[0].received_s, 3)
    found.lost = sum(row.lost for row in rows)
    # The first of each session always brings parameters.
    begins = {next(index for index, row in enumerate(rows) if row.session == one) for one in {r.session for r in rows}}
    found.changes = sum(row.new_parameters for index, row in enumerate(rows) if index not in begins)
    longest = max({row.session for row in rows}, key=lambda one: sum(row.session == one for row in rows))
    session = [row for row in rows if row.session == longest]
    steps = [(b.timestamp - a.timestamp) / TICKS for a, b in itertools.pairwise(session)]
    forward = [step for step in steps if step > 0]
    found.backwards = len(steps) - len(forward)
    if forward:
        usual = statistics.median(forward)
        found.gaps = sum(step > max(2.5 * usual, GAP_S) for step in forward)
        found.fps = round(len(forward) / sum(forward), 2)
        found.speed, found.jitter_ms = _against_our_clock(session)
    _groups(session, found)
    return found


def _against_our_clock(session: Sequence[Arrival]) -> tuple[float | None, float | None]:
    settled = [row for row in session if row.received_s - session[0].received_s >= SETTLED_S]
    if len(settled) < 3:
        return None, None
    ours = settled[-1].received_s - settled[0].received_s
    theirs = (settled[-1].timestamp - settled[0].timestamp) / TICKS
    jitter = 0.0
    for a, b in itertools.pairwise(settled):
        late = (b.received_s - a.received_s) - (b.timestamp - a.timestamp) / TICKS
        jitter += (abs(late) - jitter) / 16
    speed = round(theirs / ours, 3) if ours > 0.5 else None
    return speed, round(1000 * jitter, 2)


def _groups(session: Sequence[Arrival], found: Measured) -> None:
    keys = [index for index, row in enumerate(session) if row.key]
    if len(keys) >= 2:
        found.gop = round(statistics.median(b - a for a, b in itertools.pairwise(keys)))
        lengths = [session[b].timestamp - session[a].timestamp for a, b in itertools.pairwise(keys)]
        found.gop_s = round(statistics.median(lengths) / TICKS, 3)
    whole = session[keys[0] : keys[-1]] if len(keys) >= 2 else session[:-1]
    end = session[keys[-1]] if len(keys) >= 2 else session[-1]
    span = (end.timestamp - whole[0].timestamp) / TICKS if whole else 0.0
    if span > 0:
        found.kbit = round(sum(row.bytes for row in whole) * 0.008 / span, 1)


def _put(found: Measured, sight: Sight) -> None:
    found.brightness, found.contrast, found.sharpness = sight.brightness, sight.contrast, sight.sharpness
    found.fault = sight.fault


def _decoded(codec: str, units: Sequence[bytes], wanted: Sequence[int]) -> list[Luma]:
    flags = bytes(index in set(wanted) for index in range(len(units)))
    found = {index: luma.copy() for index, luma in RunDecoder(codec).run(units, 0, flags)}
    if len(found) < len(set(wanted)):
        raise DamagedError(len(units) - 1, "FFmpeg made no picture of it")
    return [found[index] for index in wanted]
