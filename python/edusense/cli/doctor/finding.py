"""What one check of the doctor found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Finding", "fail", "ok", "warn"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of `edusense doctor`.

    Args:
        check: what was looked at.
        state: `ok`; `warn`: it works, and may stop to; `fail`: something will not work.
        finding: what was found, with figures.
        hint: what to do; None where there is nothing to do.
    """

    check: str
    state: Literal["ok", "warn", "fail"]
    finding: str
    hint: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The row as `--json` prints it."""
        return asdict(self)


def ok(check: str, finding: str) -> Finding:
    """All well."""
    return Finding(check, "ok", finding)


def warn(check: str, finding: str, hint: str) -> Finding:
    """It works, but not as it should, or not for long."""
    return Finding(check, "warn", finding, hint)


def fail(check: str, finding: str, hint: str) -> Finding:
    """Something that a box needs does not work."""
    return Finding(check, "fail", finding, hint)
