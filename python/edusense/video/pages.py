"""Pages that are one file each and open anywhere, without network."""

from __future__ import annotations

import base64
import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

__all__ = ["inline", "page"]


def inline(data: bytes, media_type: str) -> str:
    """Bytes as an address that holds them itself (RFC 2397)."""
    return f"data:{media_type};base64," + base64.b64encode(data).decode()


def page(template: str, **values: Any) -> str:
    """A page of one of this room's templates."""
    from edusense._version import version

    return _environment().get_template(f"templates/{template}").render(version=version(), **values)


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("edusense.video", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
