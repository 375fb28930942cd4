"""From a file to a `Site`: bytes, text, TOML, types, names; and at each step every error with its place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from edusense import _native
from edusense.errors import SiteEncodingError, SiteError, SiteFileError
from edusense.site.checks import problems_between
from edusense.site.models import Site
from edusense.site.problems import Loc, Problem, from_pydantic, located

if TYPE_CHECKING:
    from typing import Any

__all__ = ["MAX_BYTES", "load", "loads", "read"]

MAX_BYTES: Final = 4 << 20
"""A school of 2,000 cameras takes less than 1 MiB; what is larger is not a site file."""


def load(path: str | os.PathLike[str]) -> Site:
    """See `Site.load`."""
    return loads(read(path), path=path)


def read(path: str | os.PathLike[str]) -> str:
    """The text of a site file.

    Raises:
        SiteFileError: it cannot be read.
        SiteEncodingError: it is not UTF-8.
    """
    name = os.fspath(path)
    try:
        with Path(name).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SiteFileError(
            "there is no such file",
            hint="`edusense site new` writes one to start from; `--site FILE` or EDUSENSE_SITE names another",
            path=name,
        ) from None
    except IsADirectoryError:
        raise SiteFileError("this is a folder", hint=f"perhaps {Path(name) / 'school.toml'}", path=name) from None
    except PermissionError:
        raise SiteFileError("this user may not read it", hint=f"ls -l {name} tells whose it is", path=name) from None
    except (OSError, ValueError) as error:
        raise SiteFileError(f"it cannot be read: {getattr(error, 'strerror', None) or error}", path=name) from None
    if len(content) > MAX_BYTES:
        raise SiteFileError(
            f"it is longer than {MAX_BYTES >> 20} MiB",
            hint="a site file is text of some kilobytes: is this the right file?",
            path=name,
        )
    return _decoded(content, name)


def _decoded(content: bytes, path: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode()) + 1
        byte = content[error.start]
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            hint = "it looks like UTF-16, as some editors on Windows write it: save it as UTF-8"
        else:
            hint = "save it as UTF-8: iconv -f WINDOWS-1251 -t UTF-8 OLD > NEW, if it comes from Windows"
        raise SiteEncodingError(
            f"not UTF-8: byte 0x{byte:02x}", hint=hint, path=path, line=line, column=column
        ) from None


def loads(text: str, *, path: str | os.PathLike[str] | None = None) -> Site:
    """See `Site.loads`."""
    name = None if path is None else os.fspath(path)
    try:
        data, keys, values = _native.parse_toml(text)
    except SiteError as error:
        error.path = name
        raise
    if not data:
        raise SiteFileError(
            "it is empty" if not text.strip() else "it holds nothing but comments",
            hint="`edusense site new` writes one to start from",
            path=name,
        )

    def line_of(loc: Loc) -> int | None:
        place = values.get(loc)
        return None if place is None else place[0]

    site, problems = _validated(data)
    wrong = located([*problems, *problems_between(data, line_of)], keys, values, name)
    if wrong is not None:
        raise wrong
    assert site is not None  # without a problem there is a site
    absolute = None if name is None else Path(name).absolute()
    folder = Path.cwd() if absolute is None else absolute.parent
    site.anchor(absolute, folder, name, values)
    return site


def _validated(data: dict[str, Any]) -> tuple[Site | None, list[Problem]]:
    try:
        return Site.model_validate(data), []
    except ValidationError as error:
        return None, from_pydantic(error, data, Site)
