"""`edusense sim ops-centre`: an operations centre that takes alerts, shows them and answers."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from edusense.cli.output import talk
from edusense.cli.sim_camera import given_password, ready, until_stopped

__all__ = ["command"]


@click.command(name="ops-centre")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--data", type=click.Path(file_okay=False), metavar="DIR", help="Keep what comes in; by default it goes.")
@click.option(
    "--user", default="edusense", show_default=True, help="Who signs, for one school: the first that it names."
)
@click.option(
    "--secret-from",
    metavar="env:NAME|file:PATH",
    help="Where the secret is that boxes sign with; a random one in a new file by default.",
)
@click.option("--kbit", default=0.0, type=click.FloatRange(0), help="The line to it carries no more, kbit/s.")
@click.option("--tls", is_flag=True, help="Serve HTTPS, with a certificate of an authority made for it.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND[@FROM[-TO]]",
    help="What it does wrong, and when (seconds): down, slow, errors, answer-lost, answers-twice, cut, refuse, "
    "redirect, portal, huge-answer, expired-certificate. Repeatable.",
)
def command(
    host: str,
    port: int,
    data: str | None,
    user: str,
    secret_from: str | None,
    kbit: float,
    tls: bool,
    faults: tuple[str, ...],
) -> None:
    """An operations centre: takes alerts by the public contract, shows them, answers.

    What it printed as url goes into a box's site file, with credentials that name user and password_ref. Its page
    shows cases as they come, with still and clip, and has buttons that answer.

    \b
    Examples:
      edusense sim ops-centre --port 8443
      edusense sim ops-centre --fault down@30-90 --fault answer-lost@120
      edusense sim ops-centre --kbit 2000      # as a village has it
    """
    from edusense.sim.ops_centre import VirtualOpsCentre

    stopped = until_stopped()
    with contextlib.ExitStack() as stack:
        secret, reference = given_password(secret_from, stack)
        centre = VirtualOpsCentre(
            None if data is None else Path(data),
            host=host,
            port=port,
            user=user,
            secret=secret,
            faults=faults,
            tls=tls,
            kbit=kbit,
        )
        stack.enter_context(centre)
        ca = None if centre.ca is None else str(centre.ca)
        ready({**centre.row(), "user": user, "password_ref": reference, "ca": ca})
        talk(f"its page: {centre.page}; Ctrl-C ends it")
        stopped.wait()
