"""The command `edusense`: the table of commands, their help, and the way in.

Nothing is imported here but what Python has loaded anyway: `edusense --help` costs little more than starting Python.
The click group behind it stands in `edusense.cli.group`; each command's file is imported when it is called.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = ["COMMANDS", "help_text", "main"]

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("edusense.cli.demo:command", "A whole virtual school in one go, with a page of pictures."),
    "run": ("edusense.cli.run:command", "The box: all cameras and terminals, until stopped."),
    "status": ("edusense.cli.status:status", "The state of the running box."),
    "events": ("edusense.cli.status:events", "Events of the running box as they happen."),
    "doctor": (
        "edusense.cli.doctor:command",
        "This machine: rights, ports, disk, clock; what to do about each finding.",
    ),
    "site": ("edusense.cli.site:command", "The site file: new, check, show, schema."),
    "camera": ("edusense.cli.camera:command", "Cameras: discover, list, show, snapshot, plan, apply, audit."),
    "reader": ("edusense.cli.reader:command", "Card readers: list, ports, listen, identify, test."),
    "video": ("edusense.cli.video:command", "Streams and files: inspect, events, luma, clip, sheets."),
    "meals": ("edusense.cli.meals:command", "Terminals and the ledger of meals."),
    "roster": ("edusense.cli.roster:command", "Who may eat: lists and their approval, cards, days."),
    "alerts": ("edusense.cli.alerts:command", "Alerts: list, show, acknowledge, test, verify."),
    "bench": ("edusense.cli.bench:command", "What this machine, a stream, a reader, a disk can do."),
    "sim": ("edusense.cli.sim:command", "Virtual devices that other software can talk to."),
    "new": ("edusense.cli.new:command", "A folder to start from: driver, rule; its tests pass at once."),
    "completion": ("edusense.cli.completion:command", "Completion of commands and options in bash, zsh or fish."),
}
"""Name of each command, where it lives, its line in `edusense --help`: a table, so that help imports none of them."""

_HEAD = """\
Usage: edusense [OPTIONS] COMMAND [ARGS]...

  The cameras and canteen terminals of a school, on one small computer.

  Examples:
    edusense demo                        # a virtual school, a minute, a page
    edusense site new                    # start a site file
    edusense run --site school.toml      # the box
    edusense status                      # how it is doing

  Exit statuses: 0 all well; 1 found something; 2 usage; 3 site file;
  4 device or box not reachable; 5 refused; 6 damaged input; 7 not permitted;
  70 a bug of ours; 130 interrupted.

Options:
  --version   Print the version.
  -h, --help  Show this message and exit.

Commands:
"""


def help_text() -> str:
    """What `edusense --help` prints.

    >>> print(help_text().splitlines()[0])
    Usage: edusense [OPTIONS] COMMAND [ARGS]...
    """
    width = max(len(name) for name in COMMANDS)
    return _HEAD + "\n".join(f"  {name.ljust(width)}  {line}" for name, (_, line) in COMMANDS.items())


def main() -> NoReturn:
    """Runs the command line and leaves the process with its exit status."""
    if sys.argv[1:] in (["--help"], ["-h"]) and "_EDUSENSE_COMPLETE" not in os.environ:
        try:
            print(help_text(), flush=True)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(0)
    from edusense.cli.group import run

    run()


def __getattr__(name: str) -> Any:
    # The click command, for whoever embeds or tests it: `from edusense.cli.main import edusense`.
    if name == "edusense":
        from edusense.cli.group import edusense

        return edusense
    raise AttributeError(f"module 'edusense.cli.main' has no attribute {name!r}")
