"""What all rows share, and the row of an error."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = [
    "ErrorRow",
    "Row",
]


class Row(BaseModel):
    """One line that a command prints with `--json`."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class ErrorRow(Row):
    """On stderr, when a command that was called with --json ends with an error."""

    error: str
    """Stable code of the error: see errors.md."""
    message: str
    """What went wrong and where."""
    hint: str | None
    """What to do next."""
    path: str | None = None
    """The site file, for its errors."""
    line: int | None = None
    """Line in it, from 1."""
    column: int | None = None
    """Column in it, in characters, from 1."""
    others: list[ErrorRow] = []
    """The further errors of the site file."""
