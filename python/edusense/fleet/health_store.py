"""What was found of each camera last, on disk: for the report, and so that a check that was broken off goes on.

`fleet/health` in the site's data folder: `CAMERA.json` and `CAMERA.jpg`, mode 0640 since pictures show children, and
`run.json` while a check goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import TYPE_CHECKING, Final

from edusense.errors import PermissionDeniedError, UsageError
from edusense.fleet.health import CameraHealth

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from edusense.site import Site

__all__ = ["HealthStore"]

GOES_ON_S: Final = 6 * 3600.0
"""A check that was broken off longer ago than this begins anew."""
_MAX_BYTES: Final = 4 << 20


class HealthStore:
    """The last findings of each camera of a site.

    Args:
        folder: where they are; `of` takes the site's own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._run = folder / "run.json"

    @classmethod
    def of(cls, site: Site) -> HealthStore:
        """The store of a site, in its data folder."""
        return cls(site.data_folder() / "fleet" / "health")

    def begin(self, cameras: Sequence[str], *, anew: bool = False) -> list[str]:
        """Begins a check, or goes on with the one of the same cameras that was broken off.

        Args:
            cameras: ids of those that are to be checked.
            anew: begin at the first in any case.

        Returns:
            Ids of those that have been checked already.

        Raises:
            PermissionDeniedError: the folder may not be written.
        """
        now = time.time()
        run = None if anew else self._going()
        if run is not None and run[1] == sorted(cameras) and now - run[0] < GOES_ON_S:
            return [one.camera for one in self.read(cameras) if one.at_s >= run[0]]
        self._write(
            self._run, json.dumps({"begun_s": round(now - 0.001, 3), "cameras": sorted(cameras)}).encode() + b"\n"
        )
        return []

    def end(self) -> None:
        """Every camera has been checked."""
        with contextlib.suppress(OSError):
            self._run.unlink()

    def _going(self) -> tuple[float, list[str]] | None:
        try:
            run = json.loads(self._run.read_bytes())
            return float(run["begun_s"]), list(run["cameras"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, one: CameraHealth) -> None:
        """Keeps what was found of a camera; on disk when it returns.

        Raises:
            PermissionDeniedError: the folder may not be written.
        """
        path = self.folder / f"{one.camera}.jpg"
        if one.picture is not None:
            self._write(path, one.picture)
        else:
            # An old picture beside a new finding would be a lie.
            with contextlib.suppress(OSError):
                path.unlink()
        content = json.dumps(one.to_json(), ensure_ascii=False, separators=(",", ":"))
        self._write(self.folder / f"{one.camera}.json", content.encode() + b"\n")

    def read(self, cameras: Iterable[str]) -> list[CameraHealth]:
        """What was found of these cameras last, of those that were ever checked, in their order."""
        found = []
        for camera in cameras:
            path = self.folder / f"{camera}.json"
            try:
                content = path.read_bytes() if path.stat().st_size <= _MAX_BYTES else b""
                value = json.loads(content)
                picture_path = path.with_suffix(".jpg")
                picture = picture_path.read_bytes() if picture_path.is_file() else None
                one = CameraHealth.from_json(value, picture)
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue  # never checked, torn, or of another version: to be checked again
            if one.camera == camera:
                found.append(one)
        return found

    def _write(self, path: Path, content: bytes) -> None:
        partial = path.with_name(f".{path.name}.part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except PermissionError:
            raise PermissionDeniedError(
                f"`{self.folder}` may not be written by this user", hint="run it as the box's user"
            ) from None
        except OSError as error:
            raise UsageError(f"`{self.folder}` cannot be written: {error.strerror}") from None
