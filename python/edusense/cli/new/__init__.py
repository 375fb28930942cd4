"""`edusense new`: a folder to start from, for who adds a driver, a destination or a rule; its tests pass at once."""

from __future__ import annotations

import keyword
import re
import shlex
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from edusense.cli.output import json_option, row, talk
from edusense.errors import PermissionDeniedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["command", "write_project"]

_GROUPS: Final = {
    "driver": "edusense.drivers",
    "destination": "edusense.destinations",
    "rule": "edusense.meal_rules",
}
"""Kind of project, which is also the folder of its templates, and the entry points that it enters by."""
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST: Final = 40


def write_project(kind: str, name: str, folder: Path) -> list[Path]:
    """Writes a project to start from.

    Args:
        kind: `driver`, `destination` or `rule`.
        name: what it will be called in site files and addresses, in kebab-case.
        folder: where to; it must not exist, or be empty.

    Returns:
        The files.

    Raises:
        UsageError: no such name can be, it is taken, or there is something in the folder.
        PermissionDeniedError: this user may not write there.
    """
    import jinja2

    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise UsageError(
            f"`{name}` is no name for a {kind}",
            hint=f"a–z, digits and single hyphens, beginning with a letter, at most {_LONGEST}: such as `palm-gate`",
        )
    for point in metadata.entry_points(group=_GROUPS[kind]):
        if point.name == name:
            whose = point.dist.name if point.dist is not None else "?"
            raise UsageError(f"there is a {kind} `{name}` already, in `{whose}`", hint="take another name")
    module = name.replace("-", "_")
    if keyword.iskeyword(module):
        raise UsageError(f"`{name}` is a word of Python's own", hint=f"take another name, such as `{name}-{kind}`")
    words = {"name": name, "module": module, "title": "".join(part.capitalize() for part in name.split("-"))}
    templates = resources.files(__package__) / kind
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Python and TOML, no page
    )
    texts = {
        template.name.removesuffix(".j2").replace("MODULE", module): environment.from_string(
            template.read_text(encoding="utf-8")
        ).render(words)
        for template in sorted(templates.iterdir(), key=lambda entry: entry.name)
        if template.name.endswith(".j2")
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(
                f"`{folder}` is not empty, and is left as it is",
                hint=f"name another: edusense new {kind} {name} --out DIR",
            )
        written = []
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
            written.append(folder / file)
    except PermissionError as error:
        raise PermissionDeniedError(f"`{error.filename}` cannot be written: {error.strerror}") from None
    except OSError as error:
        raise UsageError(f"`{error.filename}` cannot be written: {error.strerror}") from None
    return written


@click.group()
def command() -> None:
    """A folder to start from, whose tests pass at once.

    \b
    Examples:
      edusense new driver palm-gate
      edusense new destination duty-room
      edusense new rule two-hours-apart --out ~/rules/two-hours-apart
    """


def _writer(kind: str) -> Callable[[str, str | None, bool], None]:
    def write(name: str, out: str | None, as_json: bool) -> None:
        folder = Path(out) if out is not None else Path(f"edusense-{name}")
        for file in write_project(kind, name, folder):
            row({"file": str(file)}, as_json=as_json, text=str(file))
        place = shlex.quote(str(folder))
        talk(f"next: cd {place} && pip install --editable . && pytest; its README.md says what to change")

    return write


def _command(kind: str, text: str) -> None:
    write = click.argument("name")(_writer(kind))
    write = click.option("--out", type=click.Path(file_okay=False), help="Folder to write [default: edusense-NAME].")(
        write
    )
    write = json_option(write)
    command.command(kind, help=text)(write)


_command(
    "driver",
    """A driver for a card reader: a package with the driver, its declaration and the contract's tests.

    It reads a made-up reader on the network; the guide "Write a driver for a card reader" explains each part.

    \b
    Examples:
      edusense new driver palm-gate
      edusense new driver palm-gate --out drivers/palm-gate
    """,
)
_command(
    "destination",
    """A destination that alerts go to: a package with one small class and the contract's tests.

    It writes files into a folder; named in the site file under `destinations`, it has a queue of its own.

    \b
    Examples:
      edusense new destination duty-room
    """,
)
_command(
    "rule",
    """A rule that decides on meals: a package with one small function and its test by table.

    Named in the site file under `meals.rules`, it is asked after edusense's own rules.

    \b
    Examples:
      edusense new rule two-hours-apart
    """,
)
