"""What the commands of `video` share: files written whole, damage told, a progress bar over a source's seconds."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edusense.cli.output import progress, talk
from edusense.errors import PermissionDeniedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edusense.video import Damage

__all__ = ["bar", "damage_told", "write_bytes", "write_whole"]


def write_whole(path: Path, save: Callable[[str], None]) -> None:
    """Writes a file whole or not at all."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise PermissionDeniedError(f"`{path}` cannot be written: {error.strerror}") from error
    os.close(handle)
    try:
        save(temporary)
        # Pictures show children: the owner and the group may see them.
        Path(temporary).chmod(0o640)
        Path(temporary).replace(path)
    except OSError as error:
        raise PermissionDeniedError(f"`{path}` cannot be written: {error.strerror}") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes bytes as a file, whole or not at all."""

    def save(temporary: str) -> None:
        Path(temporary).write_bytes(content)

    write_whole(path, save)


def damage_told(source: str) -> Callable[[Damage], None]:
    """Says each damaged part of a source on stderr."""

    def say(damage: Damage) -> None:
        from edusense import video

        talk(f"damaged: {video.redacted(source)}: {damage}")

    return say


@contextlib.contextmanager
def bar(source: str, label: str) -> Iterator[Callable[[float], None] | None]:
    """A progress bar over a file's seconds, where stderr is a terminal and the file says how long it is.

    It tells the speed in times of real time.
    """
    from edusense import video

    duration_s = None if video.is_url(source) else video.duration_s(source)
    if not duration_s:
        yield None
        return
    began = time.monotonic()
    done = 0
    with progress(duration_s, label, tell=lambda at_s: _speed(at_s, time.monotonic() - began)) as shown:

        def moved(at_s: float) -> None:
            nonlocal done
            if int(at_s) > done:
                shown.update(int(at_s) - done, at_s)
                done = int(at_s)

        yield moved


def _speed(media_s: float | None, wall_s: float) -> str:
    if media_s is None or wall_s < 0.5:
        return ""
    return f"{media_s / wall_s:.{0 if media_s >= 10 * wall_s else 1}f} × real time"
