"""Taking pictures of children away: the option `--reason`, and where who, what and why are written down."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.output import talk
from edusense.errors import PermissionDeniedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["reason_of", "reason_option", "record_export", "told_of_export"]


def reason_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--reason TEXT` (argument `reason`)."""
    return click.option(
        "--reason",
        metavar="TEXT",
        help="Why you take it, for the audit log; required for what a school's box or site has.",
    )(function)


def reason_of(reason: str | None, what: str) -> str:
    """The reason that somebody gave, checked.

    Args:
        reason: as typed.
        what: what is to be taken away, for the message.

    Raises:
        UsageError: none was given, it is blank, or it has more than 500 characters.

    >>> reason_of(" a window was broken ", "a clip")
    'a window was broken'
    """
    told = (reason or "").strip()
    if not told:
        raise UsageError(
            f"{what} of a school is taken away only with a reason",
            hint='add --reason "…": who, what, when and why go to the audit log of the site',
        )
    if len(told) > 500:
        raise UsageError(f"a reason has at most 500 characters, not {len(told)}", hint="name the report instead")
    return told


def record_export(site_path: str, what: str, of: str, reason: str) -> Path:
    """Writes down an export that does not come through the box: by the running box, else straight into its file.

    Args:
        site_path: the site file.
        what: `snapshot` or the like.
        of: the camera.
        reason: why.

    Returns:
        The audit log.

    Raises:
        PermissionDeniedError: it cannot be written; then nothing may be taken.
    """
    import edusense
    from edusense.box.audit import AuditLog, Peer
    from edusense.errors import BoxNotRunningError

    try:
        box = edusense.connect(site_path)
    except BoxNotRunningError:
        from edusense.box.place import socket_of

        folder = socket_of(site_path).parent
        try:
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise PermissionDeniedError(
                f"the audit log's folder `{folder}` cannot be made: {os.strerror(error.errno or 0)}",
                hint="start the box, which writes the log for you, or name the folder in `site.data`",
            ) from error
        log = AuditLog(folder)
        log.write(what, of, reason, Peer.this())
        return log.path
    box.record_export(what, of, reason=reason)
    return box.audit_path


def told_of_export(path: Path) -> None:
    """Says where it was written down."""
    talk(f"who, what, when and why: written to {path}")
