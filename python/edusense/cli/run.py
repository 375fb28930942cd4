"""`edusense run`: the box, until it is stopped."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import click

from edusense.cli.output import site_option

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["command"]


@click.command()
@site_option
@click.option("--verbose", "-v", is_flag=True, help="Also log what only helps to find a fault.")
def command(site_path: str, verbose: bool) -> None:
    """Run the box: all cameras and terminals of a site, until it is stopped.

    Log lines go to stderr. SIGTERM and Ctrl-C stop it cleanly within a few seconds and exit with 0; SIGHUP has the
    site file, the secrets and the roster read again, which also happens by itself when one of them changes. Under
    systemd it says when it is ready and feeds the watchdog.

    \b
    Examples:
      edusense run                          # ./school.toml
      edusense run --site /etc/edusense/school.toml --verbose
      systemctl start edusense              # as the guide installs it
    """
    stop = threading.Event()
    # First of all, before what takes its time to import: a box that is stopped in its first moment ends as well.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    from edusense.box.process import start_logging
    from edusense.box.supervisor import Supervisor

    start_logging(verbose=verbose)
    box = Supervisor(site_path)

    def again(_: int, __: FrameType | None) -> None:
        box.reload()

    signal.signal(signal.SIGHUP, again)
    box.run(stop)
