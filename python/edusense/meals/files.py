"""Small files that are whole or not there: written beside, waited for, and given their name at the end."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from edusense.errors import LedgerStorageError, PermissionDeniedError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_at_most", "write_whole"]


def write_whole(path: Path, data: bytes, *, mode: int = 0o640, replace: bool = True) -> None:
    """Writes a file, and returns when it survives a power cut.

    Args:
        path: where to.
        data: all of it.
        mode: its permissions.
        replace: an older one may be there.

    Raises:
        FileExistsError: one is there, and may not be replaced.
        PermissionDeniedError: this user may not write there.
        LedgerStorageError: the disk refused; what was there before is there still.
    """
    made = path.with_name(f"{path.name}.new")
    try:
        with contextlib.suppress(FileNotFoundError):
            made.unlink()
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            made.replace(path)
        else:
            os.link(made, path)
            made.unlink()
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError:
        made.unlink(missing_ok=True)
        raise
    except PermissionError as error:
        raise PermissionDeniedError(f"writing `{path}`: permission denied") from error
    except OSError as error:
        with contextlib.suppress(OSError):
            made.unlink(missing_ok=True)
        raise LedgerStorageError(f"writing `{path}`: {error.strerror or error}") from error


def read_at_most(path: Path, most: int) -> bytes:
    """The bytes of a file, at most `most` + 1 of them: a stranger's file of a gigabyte is not read to its end.

    Args:
        path: the file.
        most: bytes that can be meant.

    Raises:
        PermissionDeniedError: this user may not read it.
        LedgerStorageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except PermissionError as error:
        raise PermissionDeniedError(f"reading `{path}`: permission denied") from error
    except OSError as error:
        raise LedgerStorageError(f"reading `{path}`: {error.strerror or error}") from error
