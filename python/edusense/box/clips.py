"""Clips and pictures of events on disk: written whole or not at all, within a budget, the oldest deleted first.

```text
FOLDER/2026-09-14/205-front-mfk3a2.mp4     by the day (UTC) on which the event began
FOLDER/2026-09-14/205-front-mfk3a2.jpg
FOLDER/2026-09-14/205-front-mfk3a2.json    the event's row
```

All of them are mode 0640: children are on them.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import logging
import os
import re
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["ClipStore"]

logger = logging.getLogger(__name__)

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class ClipStore:
    """The clips of one box.

    Args:
        folder: made when the first clip is written.
        budget_bytes: all files together stay below this.
    """

    def __init__(self, folder: Path, budget_bytes: int) -> None:
        self.folder = folder
        self.budget_bytes = budget_bytes
        self._lock = threading.Lock()
        self._used: int | None = None

    @property
    def used_bytes(self) -> int:
        """Bytes of all clips, pictures and rows; counted once from the disk and kept up to date since."""
        with self._lock:
            return self._count()

    def keep(self, event: Mapping[str, Any], clip: bytes | None, thumbnail: bytes | None) -> None:
        """Writes what there is of an event, and makes room for it first.

        Args:
            event: its row, with `id` and `start_s`.
            clip: MP4.
            thumbnail: JPEG.

        Raises:
            OSError: the disk refused.
        """
        name = str(event["id"])
        if not _ID.fullmatch(name):
            raise ValueError(f"`{name}` cannot be a file's name")
        files = {
            ".mp4": clip,
            ".jpg": thumbnail,
            ".json": json.dumps(dict(event), ensure_ascii=False).encode() + b"\n",
        }
        day = datetime.datetime.fromtimestamp(float(event["start_s"]), datetime.UTC).date().isoformat()
        wanted = sum(len(content) for content in files.values() if content is not None)
        with self._lock:
            self._free(self._count() + wanted - self.budget_bytes)
            try:
                self._keep(self.folder / day, name, files)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self._count():
                    raise
                # The disk is smaller than the budget, or others filled it: what is new is worth more than what is old.
                logger.warning("clips: the disk of `%s` is full before the budget is: the oldest go", self.folder)
                self._free(max(8 * wanted, self._count() // 20))
                self._keep(self.folder / day, name, files)

    def read(self, event: str, suffix: str) -> bytes | None:
        """A file of an event; None where there is none (any more)."""
        # The name comes from outside: nothing that could leave the folder gets as far as a path.
        if not _ID.fullmatch(event):
            return None
        for day in reversed(self._days()):
            with contextlib.suppress(FileNotFoundError):
                return (day / f"{event}{suffix}").read_bytes()
        return None

    def _days(self) -> list[Path]:
        try:
            return sorted(path for path in self.folder.iterdir() if _DAY.fullmatch(path.name))
        except FileNotFoundError:
            return []

    def _count(self) -> int:
        if self._used is None:
            self._used = sum(entry.stat().st_size for day in self._days() for entry in _files(day))
        return self._used

    def _keep(self, folder: Path, name: str, files: Mapping[str, bytes | None]) -> None:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        for suffix, content in files.items():
            if content is not None:
                path = folder / f"{name}{suffix}"
                before = path.stat().st_size if path.exists() else 0
                _write(path, content)
                self._used = self._count() + len(content) - before

    def _free(self, excess: int) -> None:
        """Deletes the oldest until so many bytes are free."""
        if excess <= 0:
            return
        for day in self._days():
            for entry in sorted(_files(day), key=lambda entry: entry.stat().st_mtime_ns):
                if excess <= 0:
                    return
                size = entry.stat().st_size
                with contextlib.suppress(FileNotFoundError):
                    (day / entry.name).unlink()
                    excess -= size
                    self._used = self._count() - size
            with contextlib.suppress(OSError):
                day.rmdir()


def _files(day: Path) -> Iterator[os.DirEntry[str]]:
    with contextlib.suppress(FileNotFoundError), os.scandir(day) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False):
                    yield entry


def _write(path: Path, content: bytes) -> None:
    """Under another name first, so that whoever looks sees the whole file or none."""
    making = path.with_name(f".{path.name}.part")
    try:
        file = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        with os.fdopen(file, "wb") as stream:
            stream.write(content)
            os.fchmod(stream.fileno(), 0o640)
        making.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            making.unlink()
        raise
