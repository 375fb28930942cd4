"""The folder of a report: every run is written through to it as soon as it is measured.

So an interruption, a full disk or a power cut costs one run at most, and the rest can be gone on with.

`runs.jsonl` holds a head (the plan, the machine, the versions) and then a line a run. `report.json` and `report.html`
are made of it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from typing import IO, TYPE_CHECKING, Any, Final, Self

from edusense.errors import BenchReportError, PermissionDeniedError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SCHEMA", "Folder"]

SCHEMA: Final = 1
"""Version of the format of folder and report."""
_RUNS: Final = "runs.jsonl"
_BALLAST: Final = ".room-for-the-report"
_BALLAST_BYTES: Final = 1 << 20
_KEYS: Final = {
    "head": {"schema", "edusense", "began", "plan", "machine", "versions", "doctor"},
    "run": {"unit", "number", "began", "wall_s", "cpu_s", "harness_cpu_s", "temperature_c", "noise"},
}


class Folder:
    """A report's folder, held by one process.

    Args:
        path: the folder; made where it is not there.

    Attributes:
        path: the folder.
        head: its first line; empty in a new folder.
        runs: the runs that it holds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head: dict[str, Any] = {}
        self.runs: list[dict[str, Any]] = []
        self._file: IO[bytes] | None = None

    @classmethod
    def open(cls, path: Path, *, restart: bool = False) -> Self:
        """Opens a folder for measuring, and reads what it holds already.

        Args:
            path: the folder.
            restart: what it holds is thrown away.

        Raises:
            PermissionDeniedError: it cannot be made or written.
            BenchReportError: another process measures into it, or it holds what a newer edusense wrote.
        """
        folder = cls(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            file = (path / _RUNS).open("a+b")
        except OSError as error:
            raise PermissionDeniedError(f"`{path}` cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise BenchReportError(
                f"another `edusense bench` measures into `{path}`", hint="wait for it, or name another folder"
            ) from None
        folder._file = file
        try:
            if restart:
                file.truncate(0)
                for name in ("report.json", "report.html"):
                    (path / name).unlink(missing_ok=True)
            else:
                folder._load(file)
            folder._keep_room()
        except BaseException:
            folder.close()
            raise
        return folder

    def _load(self, file: IO[bytes]) -> None:
        file.seek(0)
        content = file.read()
        whole, _, torn = content.rpartition(b"\n")
        if torn:
            # The power went while this line was written: the run counts as not measured.
            file.truncate(len(whole) + 1 if whole else 0)
        rows = []
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                row = json.loads(line)
                if not _KEYS[row["kind"]] <= row.keys():
                    raise KeyError
                rows.append((row["kind"], row))
            except (ValueError, KeyError, TypeError):
                raise BenchReportError(
                    f"`{self.path / _RUNS}`, line {number}: this is no run",
                    hint="`--restart` throws away what is in the folder; or name another",
                ) from None
        self.head = next((row for kind, row in rows if kind == "head"), {})
        self.runs = [row for kind, row in rows if kind == "run"]
        if self.head and self.head["schema"] > SCHEMA:
            raise BenchReportError(
                f"`{self.path}` was written by a newer edusense ({self.head.get('edusense')})",
                hint="name another folder, or use that version",
            )

    def _keep_room(self) -> None:
        """Takes room that is given back when the disk is full, so that the report can still be written."""
        try:
            with (self.path / _BALLAST).open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, _BALLAST_BYTES)
        except OSError as error:
            (self.path / _BALLAST).unlink(missing_ok=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise PermissionDeniedError(
                    f"`{self.path}` has no room for a report: {error.strerror}",
                    hint="make room on that disk, or name a folder on another",
                ) from error

    def begin(self, head: dict[str, Any]) -> None:
        """Writes the head of a new report.

        Args:
            head: plan, machine, versions.
        """
        self.head = {"kind": "head", "schema": SCHEMA, **head}
        self._write(self.head)

    def add(self, run: dict[str, Any]) -> None:
        """Writes a run through to the disk.

        Raises:
            PermissionDeniedError: the disk is full or fails. The run stays in `runs`, so that the report has it.
        """
        self.runs.append(run)
        self._write(run)

    def _write(self, row: dict[str, Any]) -> None:
        assert self._file is not None
        try:
            self._file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise PermissionDeniedError(
                f"`{self.path / _RUNS}` cannot be written: {error.strerror}",
                hint="make room on that disk; the same command then goes on where this one stopped",
            ) from error

    def write(self, name: str, text: str) -> Path:
        """Writes a file of the report whole or not at all.

        Args:
            name: `report.json`, `report.html`.
            text: its content.
        """
        (self.path / _BALLAST).unlink(missing_ok=True)
        partial = self.path / f".{name}.part"
        try:
            with partial.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.path / name)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise PermissionDeniedError(f"`{self.path / name}` cannot be written: {error.strerror}") from error
        return self.path / name

    def close(self) -> None:
        """Lets go of the folder."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
        (self.path / _BALLAST).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
