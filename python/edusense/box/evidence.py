"""Stills and clips of cases: made out of what the engine holds, written through to the disk, then handed in."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from edusense.alerts import Attachment
from edusense.box.pool import DaemonPool
from edusense.errors import AlertStorageError, EdusenseError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edusense.alerts import Case, Desk
    from edusense.site import Site
    from edusense.video import Engine

__all__ = ["EvidenceMaker", "write_evidence"]

logger = logging.getLogger(__name__)

CLIP_AFTER_S: Final = 3.0
"""A clip is cut so long after its event's end: what the engine keeps after the end has come by then."""
TRIES: Final = 60
TRY_S: Final = 5.0
"""What the disk does not take is tried again for five minutes: the engine holds it no longer."""


class EvidenceMaker:
    """Makes what belongs to cases, in threads of its own, so that no picture holds up an alert.

    Args:
        desk: the cases.
        site: the site file, as it is when it is asked.
        engine: the engine; None while it does not run.
        clip_of: the clip of an event, wherever it is.
    """

    def __init__(
        self,
        desk: Desk,
        site: Callable[[], Site],
        engine: Callable[[], Engine | None],
        clip_of: Callable[[str], bytes],
    ) -> None:
        self._desk, self._site, self._engine, self._clip_of = desk, site, engine, clip_of
        self._folder = desk.database.folder / "evidence"
        self._stills = DaemonPool(2, "stills")
        self._clips = DaemonPool(1, "case-clips")
        self._stopping = threading.Event()

    def still(self, case: Case, at_s: float) -> None:
        """Makes the still of a case; returns at once.

        Args:
            case: the case.
            at_s: the moment to show, Unix seconds.
        """
        self._run(self._stills, self._make_still, case, at_s)

    def given(self, case: Case, still: bytes) -> None:
        """Takes the still of whoever handed in the finding; returns at once."""
        self._run(self._stills, self._attach, case, "still", "image/jpeg", still)

    def clip(self, case: Case) -> None:
        """Cuts the clip of a case whose event is over; returns at once."""
        self._run(self._clips, self._make_clip, case, time.monotonic() + CLIP_AFTER_S)

    def close(self) -> None:
        """Begins nothing more; what is being written is finished or left."""
        self._stopping.set()
        for pool in (self._stills, self._clips):
            pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, pool: DaemonPool, work: Callable[..., None], *arguments: Any) -> None:
        def guarded() -> None:
            try:
                work(*arguments)
            except EdusenseError as error:
                logger.warning("alerts: case=%s: %s", arguments[0].case, error)
            except Exception:
                logger.exception("alerts: case=%s: a bug", arguments[0].case)

        with contextlib.suppress(RuntimeError):  # closed meanwhile
            pool.submit(guarded)

    def _make_still(self, case: Case, at_s: float) -> None:
        engine = self._engine()
        if engine is None or case.camera is None:
            return
        of_case = [zone for zone in self._site().zones if zone.id == case.zone]
        # Of a zone with a line it is the line that was crossed.
        zones = [zone.polygon if zone.line is None else zone.line for zone in of_case]
        still = None
        if case.event is not None:
            with contextlib.suppress(EdusenseError):
                still = engine.still(case.event, at_s, zones=zones, boxes=case.boxes)
        if still is None:
            still = engine.marked_snapshot(case.camera, zones=zones, boxes=case.boxes)
        self._attach(case, "still", "image/jpeg", still)

    def _make_clip(self, case: Case, due: float) -> None:
        if case.event is None or self._stopping.wait(max(0.0, due - time.monotonic())):
            return
        self._attach(case, "clip", "video/mp4", self._clip_of(case.event))

    def _attach(self, case: Case, name: str, media_type: str, content: bytes) -> None:
        for _ in range(TRIES):
            try:
                self._desk.attach(write_evidence(self._folder, case.case, name, media_type, content))
            except (OSError, AlertStorageError) as error:
                logger.error("alerts: case=%s: its %s cannot be written: %s", case.case, name, error)
                if self._stopping.wait(TRY_S):
                    return
            else:
                return


_SUFFIXES: Final = {"image/jpeg": ".jpg", "video/mp4": ".mp4"}


def write_evidence(folder: Path, case: str, name: str, media_type: str, content: bytes) -> Attachment:
    """Writes a file of a case, mode 0640, and returns when it is on the disk.

    Args:
        folder: of all evidence.
        case: the case's id.
        name: `still` or `clip`.
        media_type: what it is.
        content: its bytes.

    Raises:
        OSError: the disk refused.
    """
    place = folder / case
    place.mkdir(mode=0o750, parents=True, exist_ok=True)
    path = place / f"{name}{_SUFFIXES[media_type]}"
    making = path.with_name(f".{path.name}.part")
    try:
        file = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        with os.fdopen(file, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        making.rename(path)
        # The name, too: without it the bytes could not be found after a power cut.
        for parent in (place, folder):
            held = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(held)
            finally:
                os.close(held)
    except OSError:
        with contextlib.suppress(OSError):
            making.unlink()
        raise
    return Attachment(case, name, path, media_type, len(content), hashlib.sha256(content).hexdigest())
