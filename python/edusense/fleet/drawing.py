"""Adds a zone that somebody has drawn on a camera's picture to the site file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import SiteDuplicateError, SiteError, SiteValueError
from edusense.fleet.adding import edit_site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edusense.site import Site

__all__ = ["add_zone"]

DIGITS: Final = 4
"""Of a corner: a hundredth of a percent of the picture is less than a pixel."""


def add_zone(site: Site, *, name: str, camera: str, kind: str, polygon: Sequence[Sequence[float]]) -> Site:
    """Writes a zone into the site file; what stands there stays as it is, comments too.

    A zone that raises alerts tells all destinations of the site. A running box takes it over by itself.

    Args:
        site: a site that was loaded from a file.
        name: the zone's id; none that is there.
        camera: the camera whose picture it is in.
        kind: `forbidden`, `watch` or `ignore`.
        polygon: corners in order, `[x, y]` as shares of the picture.

    Returns:
        The site as it is now.

    Raises:
        SiteError: the zone is none: no such camera, outside of the picture, its sides cross.
        SiteDuplicateError: there is a zone of that name.
        UsageError: the file has changed since it was loaded, or the site came from no file.
        PermissionDeniedError: it may not be written.
    """
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
    try:
        return edit_site(site, [("append", ("zones",), table)])
    except SiteError as error:
        # Its place is in a text that nobody has seen: what is wrong with the zone is enough.
        raise type(error)(error.message, hint=error.hint) from None
