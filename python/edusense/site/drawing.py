"""Adds a zone that somebody has drawn to a site file: checked as a whole, and written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import PermissionDeniedError, SiteDuplicateError, SiteError, SiteValueError, UsageError
from edusense.site.models import Site

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["add_zone"]

DIGITS: Final = 4
"""Of a corner: a hundredth of a percent of the picture is less than a pixel."""


def add_zone(
    path: str | os.PathLike[str],
    *,
    name: str,
    camera: str,
    kind: str,
    polygon: Sequence[Sequence[float]],
) -> Site:
    """Appends a `[[zones]]` table to a site file; what stands in it stays as it is, comments too.

    A zone that raises alerts tells all destinations of the site. A running box takes it over by itself.

    Args:
        path: the site file.
        name: the zone's id; none that is there.
        camera: the camera whose picture it is in.
        kind: `forbidden`, `watch` or `ignore`.
        polygon: corners in order, `[x, y]` as shares of the picture.

    Returns:
        The site as it is now.

    Raises:
        SiteError: the zone is none: no such camera, outside of the picture, its sides cross; or the file is damaged.
        SiteDuplicateError: there is a zone of that name.
        PermissionDeniedError: this user may not write the file.
        UsageError: the disk refused it.
    """
    place = Path(path).resolve()
    site = Site.load(place)
    if any(zone.id == name for zone in site.zones):
        raise SiteDuplicateError(
            f"there is a zone `{name}` already", hint="another name, or delete the old one from the site file"
        )
    if not all(math.isfinite(value) for corner in polygon for value in corner):
        raise SiteValueError("a corner of the polygon is no number", hint="shares of the picture, from 0 to 1")
    table: dict[str, Any] = {"id": name, "camera": camera}
    table["polygon"] = [[round(float(x), DIGITS), round(float(y), DIGITS)] for x, y in polygon]
    table["kind"] = kind
    if kind != "ignore" and site.destinations:
        table["alert"] = [entry.id for entry in site.destinations]
    text = place.read_text("utf-8")
    added = f"{text.rstrip()}\n\n[[zones]]\n{_lines(table)}"
    try:
        checked = Site.loads(added, path=place)
    except SiteError as error:
        # Its place is in a text that nobody has seen: what is wrong with the zone is enough.
        raise type(error)(error.message, hint=error.hint) from None
    _replace(place, added)
    return checked


def _lines(table: dict[str, Any]) -> str:
    # JSON's texts, numbers and lists are TOML's, too.
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in table.items())


def _replace(place: Path, text: str) -> None:
    """Puts a text in a file's place, with its mode, on the disk on return."""
    making = None
    try:
        status = place.stat()
        handle, making = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(handle, status.st_mode & 0o7777)
            with contextlib.suppress(PermissionError):
                os.fchown(handle, status.st_uid, status.st_gid)
            os.fsync(handle)
        Path(making).replace(place)
        making = None
    except PermissionError:
        raise PermissionDeniedError(
            f"`{place}` may not be written by this user", hint="run this as whoever keeps the site file"
        ) from None
    except OSError as error:
        raise UsageError(f"`{place}` cannot be written: {error.strerror}") from None
    finally:
        if making is not None:
            with contextlib.suppress(OSError):
                Path(making).unlink()
