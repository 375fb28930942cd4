"""All cameras of a school in one process: who is called, who is looked at, what moved.

The engine is Rust (`rust/stream`); Python sees events, not packets. See `docs/concepts/watching.md`.
"""

from __future__ import annotations

import contextlib
import io
import queue
import threading
import time
import warnings
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from edusense import _native
from edusense.errors import EdusenseError, PictureDamagedError, StreamLostError, UsageError
from edusense.video.asking import Asking, Found
from edusense.video.zones import by_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    from edusense.video.heat import HeatMap
    from edusense.video.luma import Luma

__all__ = ["Arrival", "CameraSource", "Engine", "EngineEvent"]

_POLL_S = 0.25
"""How long a wait stays in Rust before Python may handle a signal (Ctrl-C)."""

_HEAT_S = 1.0
"""How long to wait for a look that is under way to end."""


@dataclass(frozen=True)
class CameraSource:
    """A camera's streams.

    Attributes:
        id: the camera's id; unique in an engine.
        url: `rtsp://…` of the stream that is analysed.
        user: for both streams.
        password: for both streams; never shown.
        keep_url: the stream that clips are cut from, where it is another; received, never looked at.
        zones: where motion counts: objects or mappings with `kind` (`watch`, `ignore`, `forbidden`) and `polygon`, as
            in the site file; with a `watch` zone only there (and where it is forbidden), never in an `ignore` zone.
        followed: whether each look in which something moves is told (`motion-moving`).
    """

    id: str
    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    keep_url: str | None = None
    zones: tuple[Any, ...] = ()
    followed: bool = False

    @classmethod
    def of(cls, camera: CameraSource | Mapping[str, Any] | Any) -> CameraSource:
        """A source from a `CameraSource`, a mapping, or any object with these attributes."""
        if isinstance(camera, cls):
            return camera
        names = [part.name for part in fields(cls)]
        found: Mapping[str, Any] = (
            camera if isinstance(camera, Mapping) else {n: getattr(camera, n, None) for n in names}
        )
        given = {name: found[name] for name in names if found.get(name) is not None}
        if not given.get("id") or not given.get("url"):
            raise UsageError(
                "a camera for the engine needs `id` and `url`",
                hint="a mapping, a `CameraSource`, or a camera of the site file: Engine(site.cameras)",
            )
        if "user" not in given and callable(login := getattr(camera, "login", None)) and (known := login()) is not None:
            given |= {"user": known.user, "password": known.secret()}
        return cls(**given | {"zones": tuple(given.get("zones") or ())})


@dataclass(frozen=True)
class EngineEvent:
    """A piece of news of the engine.

    Attributes:
        kind: `motion-suspected` (the gate fired), `motion-confirmed` (pixels moved; it goes on), `motion-moving` (one
            look of a camera that is followed), `motion-withdrawn` (they did not), `motion` (a confirmed event is over:
            its whole row), `camera` (a stream's state changed).
        camera: the camera's id.
        time_s: when it was said, Unix seconds.
        state: of motion: `suspected`, `confirmed`, `withdrawn`; of a stream: `waiting`, `connecting`, `playing`,
            `refused`, `lost`, `stalled`, `stopped`.
        id: the event's id: one from `motion-suspected` to `motion`.
        start_s: when it began, Unix seconds.
        end_s: when it ended.
        score: how clear it was, 0 to 1.
        regions: boxes `(x, y, width, height)` in pixels of the stream's cropped picture.
        tracks: of `motion-moving`: numbers of what moves, one for each region, the same from look to look.
        at_s: of `motion-moving`: the picture's time.
        clock_error_s: what receive times leave open about `start_s` and `end_s`.
        decoder: who decoded its pictures.
        reason: in words: of a state, or of a withdrawal.
        stream: `watch` or `keep`, of a `camera` row.
        code: code of the error behind a `camera` row (`edusense.errors`).
        hint: what to do about it.
        sequence: RTP sequence number where it happened.
        byte: position in what the camera sent over the connection.
        channel: the stream's transport and channels.
        connection: both ends of the connection, and when it was made.
        engine: who told it.
    """

    kind: str
    camera: str
    time_s: float
    state: str
    id: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    score: float | None = None
    regions: tuple[tuple[int, int, int, int], ...] = ()
    clock_error_s: float | None = None
    decoder: str | None = None
    tracks: tuple[int, ...] = ()
    at_s: float | None = None
    reason: str | None = None
    stream: str | None = None
    code: str | None = None
    hint: str | None = None
    sequence: int | None = None
    byte: int | None = None
    channel: str | None = None
    connection: str | None = None
    engine: weakref.ref[Engine] | None = field(default=None, repr=False, compare=False)

    def thumbnail(self) -> Luma:
        """The event's clearest picture so far: `uint8[height, width]`, at most 640 wide.

        Raises:
            UsageError: it is no motion event, its picture is not held any more, or its engine is gone.
        """
        return self._engine().thumbnail_luma(self._id())

    def clip(self) -> Iterator[tuple[float, Luma]]:
        """The pictures of the event's clip, from the key picture before its pre-roll on; decoded while they are taken.

        Yields:
            Unix time, and luma as `uint8[height, width]`. `Engine.clip` gives the clip as it came, as MP4.

        Raises:
            UsageError: as `thumbnail`.
            PictureDamagedError: they cannot be decoded.
        """
        return self._engine().clip_luma(self._id())

    def _engine(self) -> Engine:
        engine = None if self.engine is None else self.engine()
        if engine is None:
            raise UsageError(
                "the engine that told this event is gone", hint="hold the engine for as long as its events"
            )
        return engine

    def _id(self) -> str:
        if self.id is None:
            raise UsageError(f"a `{self.kind}` event has no pictures", hint="motion events have")
        return self.id

    def to_json(self) -> dict[str, Any]:
        """The event as a JSON object: what is known of it."""
        told = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "engine"}
        row = {name: value for name, value in told.items() if value is not None and value != ()}
        if self.kind.startswith("motion"):
            row["regions"] = [list(region) for region in self.regions]
        return row


class Arrival(NamedTuple):
    """One picture of a stream as it came, without the picture.

    Attributes:
        session: which of the stream's sessions, from 1 on: timestamps begin anew with each.
        received_s: when its last packet was here, Unix seconds.
        timestamp: RTP timestamp as the camera gave it, freed of the 32-bit wrap; 90,000 a second (RFC 6184, 5.1).
        bytes: compressed.
        key: decoding can start here.
        lost: packets lost before it.
        new_parameters: parameters changed with it: size, profile, anything.
    """

    session: int
    received_s: float
    timestamp: int
    bytes: int
    key: bool
    lost: int
    new_parameters: bool


class Engine:
    """Watches cameras until it is closed.

    >>> with Engine([]) as engine:
    ...     engine.stats()
    []

    Args:
        cameras: `CameraSource` objects, mappings or objects with the same names; or cameras of the site file
            (`Engine(site.cameras)`), with the credentials that stand there: those with an `address` are asked by ONVIF
            for their streams, in threads of their own, and come in as they answer.
        **settings: see `Engine.settings`.

    Raises:
        UsageError: a camera without id or address, two with one id, or a zone that is none.
        SiteSecretError: the password of a camera of the site file that is given by `url` cannot be read.
        StreamProtocolError: an address that is not RTSP's.
        TypeError: an unknown setting.
    """

    def __init__(self, cameras: Iterable[CameraSource | Mapping[str, Any] | Any] = (), **settings: float) -> None:
        self._native = _native.Engine(**settings)
        # An engine that nobody holds any more goes; its helpers must not hold it.
        found, failed = weakref.WeakMethod(self._found), weakref.WeakMethod(self._failed)
        self._asking = Asking(lambda *told: _call(found, *told), lambda *told: _call(failed, *told))
        self._finalizer = weakref.finalize(self, _stop, self._native, self._asking)
        self._lock = threading.Lock()
        self._sources: dict[str, CameraSource] = {}
        self._unasked: queue.SimpleQueue[EngineEvent] = queue.SimpleQueue()
        try:
            self.update(cameras)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def settings() -> dict[str, str]:
        """Names of the settings and what each does; those of the detector stand in `edusense.video.find_events`."""
        return dict(_native.ENGINE_SETTINGS) | dict.fromkeys(_native.MOTION_SETTINGS, "of the detector")

    @property
    def closed(self) -> bool:
        """Whether the engine has been stopped."""
        return not self._finalizer.alive

    def update(self, cameras: Iterable[CameraSource | Mapping[str, Any] | Any]) -> None:
        """Sets the cameras: new ones are called, missing ones stopped, changed ones called anew; the rest goes on.

        A camera that refused its password is called again when its password changed.
        """
        given = list(cameras)
        ids = [str(_part(camera, "id") or "") for camera in given]
        for name in ids:
            if name and ids.count(name) > 1:
                raise UsageError(f"two cameras have the id `{name}`")
        ask = {name: camera for name, camera in zip(ids, given, strict=True) if _is_asked(camera)}
        sources = {name: CameraSource.of(camera) for name, camera in zip(ids, given, strict=True) if name not in ask}
        with self._lock:
            # What was answered before holds until there is another answer.
            sources |= {name: self._sources[name] for name in ask if name in self._sources}
            self._set(sources)
        self._asking.update(ask)

    def _set(self, sources: dict[str, CameraSource]) -> None:
        zones = {name: by_kind(source.zones) for name, source in sources.items()}
        rows = [(one.id, one.url, one.user, one.password, one.keep_url) for one in sources.values()]
        self._native.update(rows)
        self._sources = sources
        for name, (watch, ignore) in zones.items():
            self._native.set_zones(name, watch, ignore)
            self._native.set_followed(name, sources[name].followed)

    def _found(self, name: str, found: Found) -> None:
        """A camera has said where its streams are."""
        source = CameraSource(name, found.url, found.user, found.password, found.keep_url)
        with self._lock:
            if self._sources.get(name) != source and not self.closed:
                self._set(self._sources | {name: source})

    def _failed(self, name: str, state: str, error: EdusenseError) -> None:
        """A camera has not, and why."""
        self._unasked.put(
            EngineEvent(
                kind="camera",
                camera=name,
                time_s=time.time(),
                state=state,
                reason=str(error),
                stream="watch",
                code=error.code,
                hint=error.hint,
            )
        )

    def set_zones(self, camera_id: str, zones: Iterable[Any]) -> None:
        """Says where in a camera's picture motion counts, from the next look on; its streams go on undisturbed.

        The gate sees whole pictures all the same: what it suspects elsewhere is withdrawn.

        Args:
            camera_id: which camera.
            zones: as `CameraSource.zones`; none: everywhere.

        Raises:
            UsageError: there is no such camera, or a polygon is none.
        """
        if not self._native.set_zones(camera_id, *by_kind(zones)):
            raise UsageError(f"the engine has no camera `{camera_id}`")

    def set_followed(self, camera_id: str, followed: bool) -> None:
        """Says whether each look in which something moves is told (`motion-moving`), from the next one on.

        For whoever must know where somebody is while an event goes on; else an event is told when it begins and ends.

        Args:
            camera_id: which camera.
            followed: whether.

        Raises:
            UsageError: there is no such camera.
        """
        if not self._native.set_followed(camera_id, followed):
            raise UsageError(f"the engine has no camera `{camera_id}`")

    def events(self, timeout: float | None = None) -> Iterator[EngineEvent]:
        """News as they come. An event is given once: to one reader.

        Args:
            timeout: ends when nothing came for so long, in seconds; None: when the engine is closed.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with contextlib.suppress(queue.Empty):
                while True:
                    yield self._unasked.get_nowait()
            left = _POLL_S if deadline is None else min(_POLL_S, deadline - time.monotonic())
            row = self._native.next_event(max(0.0, left))
            if row is not None:
                row |= {"regions": tuple(row.get("regions") or ()), "tracks": tuple(row.get("tracks") or ())}
                yield EngineEvent(**row, engine=weakref.ref(self))
                deadline = None if timeout is None else time.monotonic() + timeout
            elif self._native.drained() or (deadline is not None and time.monotonic() >= deadline):
                return

    def stats(self) -> list[dict[str, Any]]:
        """A row a camera, in the order in which they came: state and reason in words, counts, gate.

        A camera of the site file that has not said yet where its streams are has none.
        """
        return list(self._native.cameras())

    def totals(self) -> dict[str, int]:
        """Of the whole engine: `dropped_events` that nobody read in time, `clips_bytes` held of past events."""
        return dict(self._native.totals())

    def clip(self, event_id: str) -> bytes:
        """The event's clip as MP4: as the camera sent it, from the key picture before its pre-roll.

        Of an event that goes on, it is what there is so far.

        Raises:
            UsageError: no clip of this event is held.
            VideoSourceError: its pictures cannot be put into a file.
        """
        from edusense.video.clip import mp4_of

        found = self._native.clip(event_id)
        if found is None:
            raise _not_held("clip", event_id)
        codec, _, units = found
        return mp4_of(codec, units)

    def thumbnail(self, event_id: str) -> bytes:
        """The event's clearest picture as JPEG: grey, at most 640 wide, with boxes around what moved.

        Raises:
            UsageError: no picture of this event is held.
        """
        from edusense.video.clip import marked_jpeg

        found = self._native.shot(event_id)
        if found is None:
            raise _not_held("picture", event_id)
        luma, width, height, regions, full_width, full_height = found
        return marked_jpeg(luma, (width, height), regions, (full_width, full_height))

    def thumbnail_luma(self, event_id: str) -> Luma:
        """The event's clearest picture as an array, without boxes; raises as `thumbnail`."""
        found = self._native.shot(event_id)
        if found is None:
            raise _not_held("picture", event_id)
        luma, width, height = found[:3]
        return np.frombuffer(luma, np.uint8).reshape(height, width)

    def clip_luma(self, event_id: str) -> Iterator[tuple[float, Luma]]:
        """The pictures of the event's clip, decoded one after the other: Unix time, and luma as `uint8[height, width]`.

        Raises:
            UsageError: no clip of this event is held.
            PictureDamagedError: they cannot be decoded.
        """
        from edusense.video.clip import lumas

        found = self._native.clip(event_id)
        if found is None:
            raise _not_held("clip", event_id)
        return lumas(found[0], found[2])

    def picture_size(self, event_id: str) -> tuple[int, int] | None:
        """Width and height of the stream's picture that an event's regions belong to; None where no picture is held."""
        found = self._native.shot(event_id)
        return None if found is None else (found[4], found[5])

    def still(
        self,
        event_id: str,
        at_s: float,
        *,
        zones: Sequence[Sequence[Sequence[float]]] = (),
        boxes: Sequence[tuple[float, float, float, float]] = (),
    ) -> bytes:
        """The picture of an event at a time, in colour, as JPEG of at most 50 kB, with zones and boxes drawn in.

        Args:
            event_id: which event; it may go on.
            at_s: Unix time.
            zones: polygons, as shares of the picture.
            boxes: left, top, width and height, as shares of the picture.

        Raises:
            UsageError: no picture of this event is held.
            PictureDamagedError: its pictures cannot be decoded.
        """
        from edusense.video.evidence import evidence_still, picture_at

        found = self._native.clip(event_id)
        if found is not None and found[2]:
            return evidence_still(picture_at(found[0], found[2], at_s), zones=zones, boxes=boxes)
        shot = self._native.shot(event_id)
        if shot is None:
            raise _not_held("picture", event_id)
        from PIL import Image

        return evidence_still(Image.frombytes("L", (shot[1], shot[2]), shot[0]), zones=zones, boxes=boxes)

    def marked_snapshot(
        self,
        camera_id: str,
        *,
        zones: Sequence[Sequence[Sequence[float]]] = (),
        boxes: Sequence[tuple[float, float, float, float]] = (),
    ) -> bytes:
        """The camera's newest key picture, as `still`; raises as `snapshot`."""
        from PIL import Image

        from edusense.video.evidence import evidence_still

        return evidence_still(Image.open(io.BytesIO(self.snapshot(camera_id))), zones=zones, boxes=boxes)

    def snapshot(self, camera_id: str, *, width: int = 640) -> bytes:
        """The camera's newest key picture as JPEG, in colour.

        Args:
            camera_id: which camera.
            width: it is shrunk to at most this width.

        Raises:
            UsageError: there is no such camera.
            StreamLostError: it has sent no picture yet.
            PictureDamagedError: the picture cannot be decoded.
        """
        from edusense.video.clip import colour_jpeg

        found = self._native.newest_key(camera_id)
        if found is None:
            raise UsageError(f"the engine has no camera `{camera_id}`")
        if not found:
            raise StreamLostError(f"camera `{camera_id}` has sent no picture yet", hint="`edusense status` says why")
        codec, unit = found[0]
        return colour_jpeg(codec, unit, width)

    def kept_gates(self) -> dict[str, bytes]:
        """What the gates have learned, by camera; without those that are learning.

        Less than 2 kB a camera, to be handed to `restore_gate` after a restart, so that no camera is learned anew.
        """
        return dict(self._native.kept_gates())

    def restore_gate(self, camera_id: str, kept: bytes) -> bool:
        """Has a camera's gate go on from what it had learned; to be called right after the camera was named.

        Where the camera sends other parameters by now, it learns anew all the same.

        Args:
            camera_id: which camera.
            kept: as `kept_gates` gave it.

        Returns:
            False, and nothing changed, where there is no such camera, pictures of it have come already, or `kept` is
            something else.
        """
        return self._native.restore_gate(camera_id, kept)

    def heat(self, camera_id: str) -> HeatMap | None:
        """Where things moved in a camera's picture since it was called, and which places mask themselves.

        Returns:
            The map, on its newest key picture where that can be decoded; None where nothing was looked at yet.

        Raises:
            UsageError: there is no such camera.
        """
        from edusense.video.heat import HeatMap, picture_of_jpeg

        deadline = time.monotonic() + _HEAT_S
        while True:
            known, found = self._native.heat(camera_id)
            if not known:
                raise UsageError(f"the engine has no camera `{camera_id}`")
            if found is not None or time.monotonic() >= deadline:
                break
            time.sleep(0.02)  # the eye is away with a look
        if found is None:
            return None
        picture = None
        with contextlib.suppress(StreamLostError, PictureDamagedError):
            picture = picture_of_jpeg(self.snapshot(camera_id, width=1280))
        return HeatMap.of(camera_id, found, picture)

    def arrivals(self, camera_id: str) -> list[Arrival]:
        """When the last pictures of the watched stream came and how large they were, as many as the setting `arrivals`.

        Raises:
            UsageError: there is no such camera.
        """
        found = self._native.arrivals(camera_id)
        if found is None:
            raise UsageError(f"the engine has no camera `{camera_id}`")
        return [Arrival(*row) for row in found]

    def key_picture(self, camera_id: str) -> tuple[str, bytes] | None:
        """The newest key picture as the camera sent it: codec and bytes; None where none came.

        Raises:
            UsageError: there is no such camera.
        """
        found = self._native.newest_key(camera_id)
        if found is None:
            raise UsageError(f"the engine has no camera `{camera_id}`")
        return found[0] if found else None

    def longest_group(self, camera_id: str) -> tuple[str, list[bytes]] | None:
        """The longest group of pictures that is held: codec, and the pictures from a key picture on; None: nothing."""
        return self._native.longest_group(camera_id)

    def retry(self, camera_id: str) -> None:
        """Calls a camera now, whatever happened before.

        Raises:
            UsageError: there is no such camera.
        """
        if not self._native.retry(camera_id):
            raise UsageError(f"the engine has no camera `{camera_id}`")

    def close(self) -> None:
        """Stops: sessions are torn down, open events ended; `events` still gives what was not read.

        Harmless when repeated.
        """
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        finalizer = getattr(self, "_finalizer", None)
        if finalizer is not None and finalizer.alive:
            warnings.warn("an Engine was forgotten: close it, or use `with`", ResourceWarning, stacklevel=2)
            finalizer()


def _stop(native: _native.Engine, asking: Asking) -> None:
    asking.close()
    native.stop()


def _call(method: weakref.WeakMethod[Callable[..., None]], *told: Any) -> None:
    if (bound := method()) is not None:
        bound(*told)


def _part(camera: Any, name: str) -> Any:
    return camera.get(name) if isinstance(camera, Mapping) else getattr(camera, name, None)


def _is_asked(camera: Any) -> bool:
    """Whether it is a camera of the site file whose streams must be asked for."""
    return hasattr(camera, "login") and not _part(camera, "url") and bool(_part(camera, "address"))


def _not_held(what: str, event_id: str) -> UsageError:
    return UsageError(
        f"no {what} of event `{event_id}` is held",
        hint="clips and pictures of the last events are kept in memory; older ones are where the box put them",
    )
