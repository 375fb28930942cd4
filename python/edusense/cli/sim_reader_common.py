"""What all commands of `edusense sim reader` share: options, the JSON line, and serving until stopped."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.output import row, talk
from edusense.sim.reader_faults import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edusense.sim.reader_script import Step

__all__ = ["check_place", "common", "path_option", "ready", "serve_until_stopped", "steps_of"]


def path_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--path`: where the virtual port is to appear."""
    return click.option("--path", type=click.Path(), help="Where the port is to appear. [default: a temporary folder]")(
        function
    )


def common(kind: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds `--id`, `--script`, `--fault` and `--exit`.

    Args:
        kind: the virtual reader, as in `reader_faults.KINDS`.
    """

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--id", "name", metavar="ID", help="Its id in the JSON line."),
            click.option("--script", type=click.Path(dir_okay=False), help="TOML: cards and faults over time."),
            click.option(
                "--fault",
                "always",
                multiple=True,
                type=click.Choice(KINDS[kind]),
                metavar="NAME",
                help=f"Misbehave so at every card; may be repeated. One of: {', '.join(KINDS[kind])}.",
            ),
            click.option("--exit", "leave", is_flag=True, help="End when the script is over."),
        ):
            function = option(function)
        return function

    return add


def steps_of(script: str | None, kind: str) -> list[Step]:
    """The steps of `--script`; none without it."""
    from edusense.sim.reader_script import load_script

    return load_script(script, KINDS[kind]) if script is not None else []


def check_place(path: str | None) -> None:
    """Whether the port or socket can appear there at all."""
    from pathlib import Path

    from edusense.errors import PermissionDeniedError, UsageError

    if path is None:
        return
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise UsageError(f"there is no folder `{folder}`", hint=f"mkdir -p {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionDeniedError(f"`{folder}` may not be written by this user", hint="give a path of your own")


def ready(name: str, url: str, port: str | None) -> None:
    """Prints the JSON line that says that the device is there."""
    row(
        {
            "kind": "reader",
            "id": name,
            "url": url,
            "onvif": None,
            "rtsp": None,
            "port": port,
            "user": None,
            "password_ref": None,
        },
        as_json=True,
    )


def serve_until_stopped(reader: Any, steps: Sequence[Step], always: Sequence[str], *, stay: bool) -> None:
    """Lets a virtual reader live: its script, and cards and faults typed at it."""
    from edusense.sim.reader_serve import Misbehaving, serve

    # A job in the background must not read from the terminal, or it is stopped.
    foreground = not sys.stdin.isatty() or os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    serve(Misbehaving(reader, always), steps, say=talk, typed=sys.stdin.fileno() if foreground else None, stay=stay)
