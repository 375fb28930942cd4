"""`edusense sim hub`: a city's hub that takes signed batches of meal records."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from edusense.cli.output import talk
from edusense.cli.sim_camera import ready, until_stopped

__all__ = ["command"]


@click.command(name="hub")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; others need TLS and a token."
)
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--data", type=click.Path(file_okay=False), metavar="DIR", help="Keep what comes in; by default it goes.")
@click.option(
    "--certificate", type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="Serve HTTPS: chain, PEM."
)
@click.option(
    "--key", "private_key", type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="Its key, PEM."
)
@click.option("--token-from", metavar="env:NAME|file:PATH", help="Where the token is that boxes have to know.")
@click.option(
    "--operator-token-from",
    metavar="env:NAME|file:PATH",
    help="Where the token is of those who enrol schools and close cases, which boxes may not do then.",
)
@click.option(
    "--enrolled-only",
    is_flag=True,
    help="Take nothing of schools that nobody enrolled; by default the first key of a school is believed.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND[@FROM[-TO]]",
    help="What it does wrong, and when (seconds): down, slow, errors, errors-after-commit, commit-without-answer, "
    "answer-lost, twice, cut, restored, other-key, portal, huge-answer. Repeatable.",
)
def command(
    host: str,
    port: int,
    data: str | None,
    certificate: str | None,
    private_key: str | None,
    token_from: str | None,
    operator_token_from: str | None,
    enrolled_only: bool,
    faults: tuple[str, ...],
) -> None:
    """A city's hub: takes signed batches, acknowledges them over a signature, and pays each meal once.

    Real HTTP with SQLite underneath. What it printed as url and key goes into a box's site file, under [hub]. What it
    holds can be asked for: GET /schools/N, /schools/N/days, /cases; docs/reference/hub.md is the whole contract.

    \b
    Examples:
      edusense sim hub --port 8490 --data /tmp/hub
      edusense sim hub --fault down@30-90 --fault answer-lost@120 --fault restored@300
    """
    from edusense.cli.credentials import password_at
    from edusense.sim.hub import VirtualHub

    stopped = until_stopped()
    hub = VirtualHub(
        None if data is None else Path(data),
        host=host,
        port=port,
        certificate=None if certificate is None else Path(certificate),
        private_key=None if private_key is None else Path(private_key),
        token=None if token_from is None else password_at(token_from),
        operator=None if operator_token_from is None else password_at(operator_token_from),
        trust_first=not enrolled_only,
        faults=faults,
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(hub)
        ready({**hub.row(), "token_ref": token_from})
        talk(f"{hub.url}/cases says what does not add up; Ctrl-C ends it")
        stopped.wait()
