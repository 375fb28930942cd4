"""What the cameras' gates have learned, on the disk: a box that starts again need not learn them anew.

It is a convenience and no record: what cannot be read is learned again, and what cannot be written costs some minutes
after the next start.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["GateStore"]

logger = logging.getLogger(__name__)

_FORMAT: Final = 1
_LARGEST: Final = 16 << 20
"""Bytes: of a thousand cameras it is 3 MB."""


class GateStore:
    """One file with a line of text for each camera.

    Args:
        path: the file; its folder must be there.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = GateStore(pathlib.Path(folder, "gates.json"))
    ...     store.save({"205-front": b"learned"})
    ...     store.load()
    {'205-front': b'learned'}
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failing = False

    def load(self) -> dict[str, bytes]:
        """What was saved last, by camera; nothing where there is none, or it cannot be read."""
        try:
            with self._path.open("rb") as file:
                told = json.loads(file.read(_LARGEST))
            if told["format"] != _FORMAT:
                return {}
            return {str(name): base64.b64decode(kept, validate=True) for name, kept in told["gates"].items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
            logger.warning("`%s` cannot be read (%s): the gates learn their cameras anew", self._path, error)
            return {}

    def save(self, gates: Mapping[str, bytes]) -> None:
        """Replaces what was saved; where the disk refuses, that is logged once and the older one stays."""
        told = {name: base64.b64encode(kept).decode("ascii") for name, kept in sorted(gates.items())}
        made = self._path.with_name(f"{self._path.name}.new")
        try:
            with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640), "w") as file:
                json.dump({"format": _FORMAT, "gates": told}, file)
            made.replace(self._path)
            self._failing = False
        except OSError as error:
            if not self._failing:
                logger.warning("`%s` cannot be written (%s): after a restart gates learn anew", self._path, error)
            self._failing = True
