"""Where in a camera's picture motion counts: polygons in shares of the picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from edusense.errors import UsageError

__all__ = ["Polygon", "by_kind", "polygon_of", "polygons"]

Polygon = Sequence[Sequence[float]]
"""Corners in order, each (x, y) as shares of the picture: (0, 0) is the upper left, (1, 1) the lower right."""

_MOST_CORNERS: Final = 100
_EXAMPLE: Final = "three corners or more, each x,y from 0 to 1: such as `0.1,0.2 0.4,0.2 0.4,0.9`"


def polygons(given: Iterable[Polygon], what: str) -> list[list[tuple[float, float]]]:
    """Polygons as the detector takes them.

    Args:
        given: the polygons.
        what: what they are, for messages: `watch` or `ignore`.

    Raises:
        UsageError: one of them is none, or lies outside the picture.

    >>> polygons([[(0, 0), (0.5, 0), (0, 1)]], "ignore")
    [[(0.0, 0.0), (0.5, 0.0), (0.0, 1.0)]]
    """
    found = []
    for number, polygon in enumerate(given, 1):
        try:
            corners = [(float(x), float(y)) for x, y in polygon]
        except (TypeError, ValueError):
            raise UsageError(f"{what} zone {number} is no polygon: {polygon!r:.80}", hint=_EXAMPLE) from None
        if not 3 <= len(corners) <= _MOST_CORNERS:
            raise UsageError(
                f"{what} zone {number} has {len(corners)} corner{'' if len(corners) == 1 else 's'}", hint=_EXAMPLE
            )
        for corner in corners:
            if not all(math.isfinite(share) and 0 <= share <= 1 for share in corner):
                raise UsageError(
                    f"{what} zone {number} has a corner outside the picture: {corner[0]:g},{corner[1]:g}", hint=_EXAMPLE
                )
        found.append(corners)
    return found


def polygon_of(text: str) -> list[tuple[float, float]]:
    """A polygon as it is typed: corners apart by spaces, x and y by a comma.

    Raises:
        UsageError: it is none.

    >>> polygon_of("0.1,0.2 0.4,0.2 0.4,0.9")
    [(0.1, 0.2), (0.4, 0.2), (0.4, 0.9)]
    """
    try:
        corners = [tuple(float(share) for share in corner.split(",")) for corner in text.split()]
        return [(x, y) for x, y in corners]
    except ValueError:
        raise UsageError(f"`{text:.80}` is no polygon", hint=_EXAMPLE) from None


def by_kind(zones: Iterable[Any]) -> tuple[list[list[tuple[float, float]]], list[list[tuple[float, float]]]]:
    """Zones of the site file, as where motion counts and where it does not.

    A camera with a zone of kind `watch` is watched there, and in its `forbidden` ones; without one it is watched
    everywhere. `ignore` goes before both.

    Args:
        zones: mappings or objects with `kind` and `polygon`.

    Returns:
        Polygons to watch (none: everywhere), polygons to ignore.

    Raises:
        UsageError: a polygon is none, or a kind is none of the three.

    >>> door = {"kind": "watch", "polygon": [(0, 0), (0.5, 0), (0, 1)]}
    >>> by_kind([door])
    ([[(0.0, 0.0), (0.5, 0.0), (0.0, 1.0)]], [])
    >>> by_kind([door | {"kind": "forbidden"}])
    ([], [])
    """
    sorted_: dict[str, list[Polygon]] = {"watch": [], "forbidden": [], "ignore": []}
    for zone in zones:
        kind, polygon = (
            (zone.get("kind"), zone.get("polygon"))
            if isinstance(zone, Mapping)
            else (getattr(zone, "kind", None), getattr(zone, "polygon", None))
        )
        if kind not in sorted_ or polygon is None:
            raise UsageError(
                f"{zone!r:.80} is no zone", hint="it has a `kind` (watch, ignore, forbidden) and a `polygon`"
            )
        sorted_[kind].append(polygon)
    watched = [*sorted_["watch"], *sorted_["forbidden"]] if sorted_["watch"] else []
    return polygons(watched, "watch"), polygons(sorted_["ignore"], "ignore")
