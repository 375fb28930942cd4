"""`report.html`: the hand-over report as one file that opens and prints anywhere, for the person who signs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from edusense._version import version
from edusense.fleet.handover import data_url, settings_words, thumbnail

if TYPE_CHECKING:
    from edusense.fleet.handover import Handover
    from edusense.fleet.health import CameraHealth

__all__ = ["render"]

WORDS: Final = {
    "works": "works",
    "findings": "works, with findings",
    "bad-picture": "nothing to see",
    "no-picture": "no picture",
    "refused": "login refused",
    "unreachable": "not reached",
    "not-checked": "not checked",
}


def render(handover: Handover) -> str:
    """The page as text.

    Args:
        handover: what is told.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edusense.fleet", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    templates = {camera.id: camera.template for camera in handover.site.cameras}
    return environment.get_template("handover.html.j2").render(
        handover=handover,
        site=handover.site.site,
        words=WORDS,
        version=version(),
        when=handover.when,
        settings=settings_words,
        template=templates.get,
        thumb=_thumb,
        size=_size,
        figure=_figure,
        value=_value,
        broken=[one for one in handover.cameras if not one.seen],
        marked=[one for one in handover.cameras if one.outcome == "findings"],
    )


def _thumb(one: CameraHealth) -> str | None:
    return None if one.picture is None else data_url(thumbnail(one.picture))


def _size(one: CameraHealth) -> str:
    seen = one.watched
    if seen is None or not seen.get("width"):
        return ""
    rate = f", {seen['fps']:.3g}/s" if seen.get("fps") else ""
    return f"{seen['codec']} {seen['width']}×{seen['height']}{rate}"


def _value(value: Any) -> str:
    """A setting's value in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(str(part) for part in value) or "(none)"
    if isinstance(value, float):
        return f"{value:g}"
    return "(empty)" if value == "" else "(not told)" if value is None else str(value)


def _figure(value: Any, unit: str = "", digits: int = 0) -> str:
    """A number with its unit; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}{unit}"
