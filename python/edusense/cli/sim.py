"""`edusense sim`: virtual devices that other people's software can talk to."""

from __future__ import annotations

import contextlib

import click

from edusense.cli.output import talk
from edusense.cli.sim_camera import camera, make_findable, ready, until_stopped
from edusense.cli.sim_hub import command as hub_command
from edusense.cli.sim_ops_centre import command as ops_centre_command
from edusense.cli.sim_reader import command as reader_command

__all__ = ["command"]


@click.group(name="sim")
def command() -> None:
    """Virtual devices that other people's software can talk to.

    Each prints one JSON line when it is ready, serves until Ctrl-C or SIGTERM, and ends with 0.

    \b
    Examples:
      edusense sim camera                  # RTSP and ONVIF on free ports
      edusense sim school /tmp/school      # 12 cameras, 2 canteen terminals, a site file
    """


command.add_command(camera)
command.add_command(reader_command)
command.add_command(hub_command)
command.add_command(ops_centre_command)


@command.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False))
@click.option("--cameras", default=12, show_default=True, type=click.IntRange(0, 200), help="How many.")
@click.option("--seconds", default=60.0, show_default=True, type=float, help="Length of the script; 0 never ends.")
@click.option("--seed", type=int, help="Of everything that happens; random by default, and printed.")
@click.option(
    "--quiet", default=14.0, show_default=True, type=float, help="Seconds at the beginning in which nothing happens."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
def school(folder: str, cameras: int, seconds: float, seed: int | None, quiet: float, host: str) -> None:
    """A whole school in DIR: cameras, two canteen terminals, a site file, and the truth about what happens.

    What is staged is appended to DIR/staged.jsonl as it is shown; DIR/ended appears when the script is over. A machine
    too slow to draw its cameras makes them pause: that stands there too. The devices serve on until Ctrl-C or SIGTERM.

    \b
    Examples:
      edusense sim school /tmp/school
      edusense run --site /tmp/school/school.toml      # in a second terminal
    """
    from edusense.sim.school import VirtualSchool

    stopped = until_stopped()
    made = VirtualSchool(folder, cameras=cameras, seconds=seconds, seed=seed, quiet=quiet, host=host)
    with made, contextlib.ExitStack() as stack:
        make_findable(stack, made.cameras)
        for row in made.rows():
            ready(row)
        talk(f"seed {made.seed}; `edusense run --site {made.site_path}` runs the box on it; Ctrl-C ends")
        made.run_until(stopped.is_set)
