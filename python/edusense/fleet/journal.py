"""What an apply did, camera by camera, on disk before it is done: after an interruption it says how far it came.

One file a camera and plan, `DIR/PLAN/CAMERA.jsonl`; a line before each Set (`begin`, with what is sent) and one after
it was read back (`done`, with the outcomes), each synced. No secret is in it.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edusense.errors import PermissionDeniedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Journal", "Progressed", "progress_of"]


@dataclass(frozen=True, slots=True)
class Progressed:
    """How far a plan has come, as its journals say.

    Args:
        done: cameras of which every group that was begun has been read back.
        interrupted: cameras with a group that was begun and not read back: it may have been set or not.
        untouched: cameras of which nothing was begun.
    """

    done: list[str]
    interrupted: list[str]
    untouched: list[str]


def progress_of(folder: Path, plan: str, cameras: Iterable[str]) -> Progressed:
    """How far a plan has come.

    Args:
        folder: where journals are kept.
        plan: the plan's id.
        cameras: the ids of the plan's cameras with something to change.
    """
    found = Progressed([], [], [])
    for camera in cameras:
        path = folder / plan / f"{camera}.jsonl"
        if not path.is_file():
            found.untouched.append(camera)
            continue
        with Journal(folder, plan, camera) as journal:
            kind = found.interrupted if journal.open else found.done if journal.begun else found.untouched
            kind.append(camera)
    return found


class Journal:
    """The journal of one camera for one plan.

    Args:
        folder: where journals are kept.
        plan: the plan's id.
        camera: the camera's id.

    Raises:
        PermissionDeniedError: the folder may not be written.
        UsageError: it cannot be for another reason.
    """

    def __init__(self, folder: Path, plan: str, camera: str) -> None:
        self._path = folder / plan / f"{camera}.jsonl"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+b")
        except PermissionError:
            raise PermissionDeniedError(
                f"`{folder}` may not be written by this user", hint="--journal DIR, or run it as the box's user"
            ) from None
        except OSError as error:
            raise UsageError(f"`{folder}` cannot hold a journal: {error.strerror}", hint="--journal DIR") from None
        self.begun: set[str] = set()
        """Groups of settings that an earlier run of this plan began to set."""
        self.open: set[str] = set()
        """Those of them of which it is not told what came: it was interrupted there."""
        self._file.seek(0)
        content = self._file.read()
        for line in content.splitlines():
            try:
                entry = json.loads(line)
                group, state = str(entry["group"]), entry["state"]
            except (ValueError, KeyError, TypeError):
                continue  # torn by a power cut
            self.begun.add(group)
            if state == "begin":
                self.open.add(group)
            else:
                self.open.discard(group)
        if content and not content.endswith(b"\n"):
            self._file.write(b"\n")

    def begin(self, group: str, values: dict[str, Any]) -> None:
        """Says what is about to be set; on disk when it returns."""
        self._write({"state": "begin", "group": group, "values": values})

    def done(self, group: str, outcomes: dict[str, Any]) -> None:
        """Says what came of it."""
        self._write({"state": "done", "group": group, "outcomes": outcomes})

    def _write(self, entry: dict[str, Any]) -> None:
        line = json.dumps({"at_s": round(time.time(), 3), **entry}, ensure_ascii=False, separators=(",", ":"))
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file; harmless when repeated."""
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
