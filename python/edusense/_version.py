"""The one version: written in Cargo.toml, carried by the extension, compared with what the package's metadata says."""

from __future__ import annotations

import functools
import importlib.metadata


@functools.cache
def version() -> str:
    """The version of edusense that is installed.

    >>> version() == importlib.metadata.version("edusense")
    True
    """
    return importlib.metadata.version("edusense")


def native() -> tuple[str, bool]:
    """The version of the extension, and whether it was built without optimisation.

    Raises:
        ImportError: it is not there, or not for this Python.
    """
    from edusense import _native

    return _native.__version__, _native.DEBUG_BUILD
