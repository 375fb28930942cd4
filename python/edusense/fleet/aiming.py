"""Aiming: a camera's live picture with a figure for its sharpness, for whoever turns it and its ring on the ladder."""

from __future__ import annotations

import io
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import av
import av.error

from edusense.errors import EdusenseError, UsageError
from edusense.fleet.references import displaced, luma_of_jpeg, outline
from edusense.fleet.sight import looked_at
from edusense.video.luma import luma_of
from edusense.video.source import open_source

if TYPE_CHECKING:
    from edusense.fleet.references import References
    from edusense.fleet.sight import Luma

__all__ = ["Aim", "Aimed"]

PACE_S: Final = 0.12
"""A picture is shown no oftener: a hand on the ring is no faster, and a phone has no time for more."""
WIDTH: Final = 1280
AGAIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Aimed:
    """What is shown at a moment.

    Args:
        number: of the picture, from 1 on; 0 before the first.
        at_s: when it came, Unix seconds.
        width: of the stream's picture, pixels.
        height: likewise.
        sharpness: 0 to 1.
        best: the best since the page was begun, or since it was forgotten.
        brightness: mean luma, 0 to 255.
        fault: `black`, `covered` or `blurred`.
        right: how much further right than in the reference everything lies, of the width; None without one.
        down: likewise, of the height.
        same: whether it shows the reference's place at all.
        reference_s: when the reference was saved, Unix seconds; None without one.
        problem: why no picture comes.
    """

    number: int = 0
    at_s: float = 0.0
    width: int = 0
    height: int = 0
    sharpness: float = 0.0
    best: float = 0.0
    brightness: float = 0.0
    fault: str | None = None
    right: float | None = None
    down: float | None = None
    same: bool | None = None
    reference_s: float | None = None
    problem: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As the page gets it."""
        return asdict(self)


class Aim:
    """Watches one stream, from `start` to `stop`.

    Args:
        camera: the camera's id.
        url: its stream, without user and password.
        user: for it.
        password: for it.
        references: where its reference is.
    """

    def __init__(self, camera: str, url: str, user: str | None, password: str | None, references: References) -> None:
        self.camera = camera
        self._url, self._user, self._password = url, user, password
        self._references = references
        self._changed = threading.Condition()
        self._now = Aimed()
        self._picture: bytes | None = None
        self._best = 0.0
        self._reference: Luma | None = None
        self._outline: bytes | None = None
        self._reference_s: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edusense-aim", daemon=True)
        self._load()

    def start(self) -> Self:
        """Begins to watch."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ends; harmless when repeated."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait(self, after: int, timeout_s: float) -> Aimed:
        """What is shown now, as soon as it is another picture than number `after`, or a problem.

        Args:
            after: the picture that is known already.
            timeout_s: longest wait, in seconds.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._now.number != after or self._stopping.is_set(), timeout_s)
            return self._now

    def picture(self) -> bytes | None:
        """The newest picture, JPEG; None before the first."""
        return self._picture

    def outline(self) -> bytes | None:
        """The reference's edges, PNG; None without a reference."""
        return self._outline

    def forget_best(self) -> None:
        """The best sharpness counts from now on."""
        self._best = 0.0

    def save_reference(self) -> None:
        """Keeps the newest picture as the camera's reference.

        Raises:
            UsageError: there is no picture yet, or it has nothing to see in it.
            PermissionDeniedError: the folder may not be written.
        """
        with self._changed:
            picture, now = self._picture, self._now
        if picture is None:
            raise UsageError("there is no picture yet")
        if now.fault is not None:
            raise UsageError(f"this picture is {now.fault}: it is no reference")
        self._references.put(self.camera, picture)
        self._load()

    def _load(self) -> None:
        found = self._references.get(self.camera)
        if found is None:
            return
        try:
            self._reference = luma_of_jpeg(found)
        except ValueError:
            return  # half written by somebody else; saved again, it is replaced
        self._outline = outline(self._reference)
        self._reference_s = (self._references.folder / f"{self.camera}.jpg").stat().st_mtime

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._watch()
                problem = "the stream has ended; calling again"
            except EdusenseError as error:
                problem = error.message
            except av.error.FFmpegError as error:
                problem = f"its pictures cannot be decoded: {error.strerror}"
            self._tell(Aimed(self._now.number + 1, time.time(), problem=problem, reference_s=self._reference_s), None)
            self._stopping.wait(AGAIN_S)

    def _watch(self) -> None:
        shown_s = 0.0
        with open_source(self._url, user=self._user, password=self._password, on_damage=lambda _: None) as opened:
            context = opened.stream.codec_context
            for packet in opened.packets():
                if self._stopping.is_set():
                    return
                try:
                    frames = context.decode(packet)
                except av.error.InvalidDataError:
                    continue  # the next key picture mends it
                now = time.monotonic()
                if not frames or now - shown_s < PACE_S:
                    continue
                shown_s = now
                self._show(frames[-1])

    def _show(self, frame: av.VideoFrame) -> None:
        luma = luma_of(frame)
        sight = looked_at(luma)
        beside = None if self._reference is None else displaced(luma, self._reference)
        self._best = max(self._best, sight.sharpness)
        image = frame.to_image()  # type: ignore[no-untyped-call] # PyAV leaves it untyped
        image.thumbnail((WIDTH, WIDTH))
        out = io.BytesIO()
        image.save(out, "JPEG", quality=82)
        made = Aimed(
            self._now.number + 1,
            round(time.time(), 3),
            luma.shape[1],
            luma.shape[0],
            sight.sharpness,
            self._best,
            sight.brightness,
            sight.fault,
            None if beside is None else round(beside.right, 4),
            None if beside is None else round(beside.down, 4),
            None if beside is None else beside.same,
            self._reference_s,
        )
        self._tell(made, out.getvalue())

    def _tell(self, made: Aimed, picture: bytes | None) -> None:
        with self._changed:
            self._now = made
            if picture is not None:
                self._picture = picture
            self._changed.notify_all()
