"""The event log: what happened, one JSON object a line, each with a cursor that never comes twice.

On disk it is a folder of segments `events-CURSOR.jsonl`, named by the first cursor they may hold; the first line of
each says which cursor went before it, so that a gap left by deletion shows. Appending is one `write` into the page
cache, so a killed process loses nothing; a power cut loses at most what `sync` had not yet written through.

A cursor is the larger of "one more than the last" and, at each opening, the time in milliseconds. So even where the
tail of the log was lost with the power, no cursor is given to a second event, and a reader who comes back with one
misses nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import threading
import time
from collections import deque
from typing import IO, TYPE_CHECKING, Any

from edusense.box.protocol import encode, parse_line
from edusense.errors import EdusenseError, PermissionDeniedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["EventLog", "LogReader"]

logger = logging.getLogger(__name__)

_CURSOR = b'{"cursor":'
_HEAD = b'{"after":'


class EventLog:
    """The events of one box: appended by its parts, read by any number of followers.

    Args:
        folder: where the segments are; made if it is missing.
        clock: Unix seconds.
        segment_bytes: a segment that is longer is closed and the next one begun.
        keep_bytes: the oldest segments are deleted when all together are longer.
        tail: how many of the last events are kept in memory, for followers who are up to date.

    Raises:
        PermissionDeniedError: the folder cannot be read or written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = time.time,
        segment_bytes: int = 4 << 20,
        keep_bytes: int = 256 << 20,
        tail: int = 4096,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._keep_bytes = keep_bytes
        self._lock = threading.Lock()
        self._tail: deque[tuple[int, bytes]] = deque(maxlen=tail)
        self._unwritten: deque[bytes] = deque(maxlen=tail)
        self._listeners: list[Callable[[], None]] = []
        self._file = -1
        self._size = 0
        self._dirty = False
        self._trouble: str | None = None
        try:
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._segments = _segments(folder)
            self._last = self._recover()
            self._next = max(self._last + 1, int(clock() * 1000))
            self._begin_segment()
        except OSError as error:
            raise PermissionDeniedError(
                f"the event log in `{folder}` cannot be written: {error.strerror or error}",
                hint="it must belong to the user who runs the box, on a disk that is not full",
            ) from error

    @property
    def cursor(self) -> int:
        """The cursor of the last event; 0 before the first one ever."""
        return self._last

    @property
    def trouble(self) -> str | None:
        """Why events reach memory only at the moment; None while the disk takes them."""
        return self._trouble

    def append(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Adds one event; it is in the page cache and visible to followers on return.

        A disk that refuses does not stop the box: the event is kept in memory and written when the disk takes it again.

        Args:
            kind: `motion`, `camera`, `tap`, ….
            **fields: the rest of the row; must be JSON.

        Returns:
            The row as it stands in the log, with `cursor` and `time_s` (Unix seconds).
        """
        with self._lock:
            cursor = self._next
            row = {"cursor": cursor, "time_s": round(self._clock(), 3), "kind": kind, **fields}
            line = encode(row)
            self._next = cursor + 1
            self._last = cursor
            self._tail.append((cursor, line))
            self._unwritten.append(line)
            self._write()
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener()
        return row

    def reader(self, since: int) -> LogReader:
        """A reader that begins with the first event after the cursor `since` (0: the oldest that is kept)."""
        return LogReader(self, since)

    def gap(self, since: int) -> int | None:
        """The cursor up to which events after `since` have been deleted to make room; None where nothing is missing."""
        with self._lock:
            after = self._after(self._segments[0][1]) if self._segments else 0
        return after if 0 < since < after else None

    def listen(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls `callback` (which must not wait) after each event, in the thread that appended it.

        Returns:
            A function that ends it.
        """
        with self._lock:
            self._listeners.append(callback)

        def stop() -> None:
            with self._lock, contextlib.suppress(ValueError):
                self._listeners.remove(callback)

        return stop

    def sync(self) -> None:
        """Writes through to the disk what was appended, and tries again what the disk had refused."""
        with self._lock:
            if self._unwritten:
                self._write()
            if not self._dirty or self._file < 0:
                return
            self._dirty = False
            # A duplicate, so that the lock is not held while the disk works and rotation may close the original.
            file = os.dup(self._file)
        try:
            os.fdatasync(file)
        except OSError as error:
            self._dirty = True
            self._troubled(error)
        finally:
            os.close(file)

    def close(self) -> None:
        """Writes everything through and closes the log; calling it twice is harmless."""
        self.sync()
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    # Everything below is called with the lock held, or before there is a second thread.

    def _write(self) -> None:
        while self._unwritten:
            line = self._unwritten[0]
            try:
                if self._file < 0 or self._size >= self._segment_bytes:
                    self._begin_segment()
                written = os.write(self._file, line)
                if written != len(line):
                    os.ftruncate(self._file, self._size)
                    raise OSError(28, "no space left for a whole line")
            except OSError as error:
                self._troubled(error)
                return
            self._size += written
            self._dirty = True
            self._unwritten.popleft()
        if self._trouble is not None:
            logger.info("event log: the disk takes events again")
            self._trouble = None

    def _troubled(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        if self._trouble != reason:
            logger.error("event log: %s: %s; events are kept in memory until the disk takes them", self._folder, reason)
        self._trouble = reason

    def _begin_segment(self) -> None:
        # The cursor of the first line that is still to be written: more than one may be waiting after trouble.
        waiting = _cursor(self._unwritten[0]) if self._unwritten else None
        first = self._next if waiting is None else waiting
        path = self._folder / f"events-{first:016d}.jsonl"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        size = os.fstat(file).st_size
        if size == 0:
            before = self._last if waiting is None else waiting - 1
            size = os.write(file, encode({"after": before}))
        if self._file >= 0:
            os.close(self._file)
        self._file, self._size = file, size
        if not self._segments or self._segments[-1][1] != path:
            self._segments.append((first, path))
        self._drop_old()

    def _drop_old(self) -> None:
        sizes = []
        for _, path in self._segments:
            try:
                sizes.append(path.stat().st_size)
            except OSError:
                sizes.append(0)
        total = sum(sizes)
        while total > self._keep_bytes and len(self._segments) > 1:
            total -= sizes.pop(0)
            _, path = self._segments.pop(0)
            with contextlib.suppress(OSError):
                path.unlink()

    def _recover(self) -> int:
        """Cuts a torn line off the last segment, drops empty segments, and finds the last cursor that was given."""
        while self._segments:
            path = self._segments[-1][1]
            content = path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                logger.warning("event log: %s: %d bytes of a torn line cut off", path, len(content) - whole)
                with path.open("r+b") as file:
                    file.truncate(whole)
            lines = content[:whole].splitlines()
            last = next((cursor for line in reversed(lines) if (cursor := _cursor(line)) is not None), None)
            if last is not None:
                return last
            # Started and never used: its head tells what went before.
            after = self._after(path)
            path.unlink()
            self._segments.pop()
            if not self._segments:
                return after
        return 0

    @staticmethod
    def _after(path: Path) -> int:
        with contextlib.suppress(OSError, EdusenseError, ValueError, TypeError), path.open("rb") as file:
            head = file.readline(200)
            if head.startswith(_HEAD):
                return int(parse_line(head)["after"])
        return 0


class LogReader:
    """Reads a log from a cursor on, at its own pace: from memory where it is up to date, from the disk where it is not.

    Args:
        log: the log.
        since: the cursor of the last event that is known already.
    """

    def __init__(self, log: EventLog, since: int) -> None:
        self._log = log
        self._file: IO[bytes] | None = None
        self._path: Path | None = None
        self.cursor = since
        """The cursor of the last event that was read."""

    def read(self, most: int = 512) -> list[bytes]:
        """The next events, as lines of JSON with their line feed; an empty list when there is none yet."""
        lines = self._from_memory(most)
        while lines is None:
            with self._log._lock:  # noqa: SLF001
                last, refused = self._log._last, bool(self._log._unwritten)  # noqa: SLF001
            lines = self._from_disk(most)
            if not lines:
                # All up to `last` stood on the disk, so what is missing there was refused by it or deleted: memory has
                # the rest. What came later may stand on the disk by now: look again.
                lost = refused or self._log.cursor == last
                lines = self._from_memory(most, whatever=lost)
                if lost and lines is None:
                    lines = []
        return lines

    def close(self) -> None:
        """Lets go of the segment it was reading."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _from_memory(self, most: int, *, whatever: bool = False) -> list[bytes] | None:
        log = self._log
        with log._lock:  # noqa: SLF001 (the reader is the other half of the log)
            tail = log._tail  # noqa: SLF001
            if self.cursor >= log._last:  # noqa: SLF001
                return []
            if not tail or (self.cursor < tail[0][0] - 1 and not whatever):
                return None
            # Cursors in the tail follow each other without a gap: they are of one opening of the log.
            start = max(0, self.cursor - tail[0][0] + 1)
            found = list(itertools.islice(tail, start, start + most))
        self.close()
        if found:
            self.cursor = found[-1][0]
        return [line for _, line in found]

    def _from_disk(self, most: int) -> list[bytes]:
        lines: list[bytes] = []
        while len(lines) < most:
            if self._file is None and not self._open_next():
                break
            assert self._file is not None
            place = self._file.tell()
            line = self._file.readline()
            if not line.endswith(b"\n"):
                self._file.seek(place)
                if not self._following():
                    break
                # A segment gets no more lines once the next one exists, but it may have got some since the line above.
                line = self._file.readline()
                if not line.endswith(b"\n"):
                    if not self._open_next():
                        break
                    continue
            cursor = _cursor(line)
            if cursor is None:
                if not line.startswith(_HEAD):
                    logger.warning("event log: %s: line at byte %d is damaged and left out", self._path, place)
            elif cursor > self.cursor:
                lines.append(line)
                self.cursor = cursor
        return lines

    def _following(self) -> list[Path]:
        """The segments after the open one; the one that holds the next event, and all after it, where none is open."""
        with self._log._lock:  # noqa: SLF001
            segments = list(self._log._segments)  # noqa: SLF001
        paths = [path for _, path in segments]
        if self._path in paths:
            index = paths.index(self._path) + (1 if self._file is not None else 0)
        else:
            index = max(0, sum(first <= self.cursor + 1 for first, _ in segments) - 1)
        return paths[index:]

    def _open_next(self) -> bool:
        """Opens the segment that holds the next event, or the one after the open one; False when there is none."""
        for path in self._following():
            # One that is not there was deleted in this moment by rotation, or by hand: the next one, then.
            with contextlib.suppress(FileNotFoundError):
                file = path.open("rb")
                self.close()
                self._file, self._path = file, path
                return True
        return False


def _segments(folder: Path) -> list[tuple[int, Path]]:
    found = []
    for path in folder.glob("events-*.jsonl"):
        with contextlib.suppress(ValueError):
            found.append((int(path.stem.removeprefix("events-")), path))
    return sorted(found)


def _cursor(line: bytes) -> int | None:
    """The cursor that a line begins with; None for a head or a damaged line."""
    if not line.startswith(_CURSOR):
        return None
    try:
        cursor = parse_line(line).get("cursor")
    except EdusenseError:
        return None
    return cursor if isinstance(cursor, int) else None
