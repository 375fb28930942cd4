"""edusense: the cameras and canteen terminals of a school, on one small computer.

Nothing heavy is imported here: a name is fetched when it is first asked for, so that `edusense --help` answers at once.

>>> import edusense
>>> edusense.__version__.count(".")
2
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edusense import devices as devices
    from edusense import errors as errors
    from edusense import fleet as fleet
    from edusense import meals as meals
    from edusense import site as site
    from edusense import video as video
    from edusense.box import connect as connect
    from edusense.box import connect_async as connect_async
    from edusense.site import Site as Site

__all__ = [
    "Site",
    "__version__",
    "connect",
    "connect_async",
    "devices",
    "errors",
    "fleet",
    "meals",
    "site",
    "video",
]

_ROOMS = ("devices", "errors", "fleet", "meals", "site", "video")
_HOME = {"Site": "edusense.site", "connect": "edusense.box", "connect_async": "edusense.box"}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("edusense._version").version()
    if name in _ROOMS:
        return importlib.import_module(f"edusense.{name}")
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'edusense' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
