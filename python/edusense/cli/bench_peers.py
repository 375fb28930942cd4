"""`edusense bench peers`: what cases measure beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edusense.cli.output import json_option, rows, talk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edusense.bench.peers import Found

__all__ = ["peers"]

COLUMNS = ("peer", "what", "where", "version", "cases")


@click.group()
def peers() -> None:
    """What is measured beside edusense, in the same run.

    \b
    Examples:
      edusense bench peers list
      edusense bench peers install
    """


@peers.command(name="list")
@json_option
def list_(as_json: bool) -> None:
    """List peers, and whether they are here.

    \b
    Examples:
      edusense bench peers list
      edusense bench peers list --json
    """
    from edusense.bench.peers import look

    rows(_rows(look()), COLUMNS, as_json=as_json)


@peers.command()
@click.argument("names", nargs=-1, metavar="[PEER]...")
@json_option
def install(names: tuple[str, ...], as_json: bool) -> int:
    """Install peers into an environment of their own; nothing of edusense's changes.

    All that are not here by default. It needs a package index, once. Programs of the system are left to its own tool,
    which is named.

    \b
    Examples:
      edusense bench peers install
      edusense bench peers install opencv
    """
    from edusense.bench import peers as work

    wanted = [work.find(name) for name in names] or list(work.PEERS)
    missing = [found.peer.name for found in work.look() if found.peer in wanted and found.where is None]
    talk(f"to {work.folder()}: {', '.join(missing)} …" if missing else "all of them are here")
    now = work.install(names)
    rows(_rows(now), COLUMNS, as_json=as_json)
    absent = [found.peer for found in now if found.where is None]
    for peer in absent:
        talk(f"{peer.name}: `apt-get install {peer.wanted}` as root")
    return 1 if absent else 0


def _rows(all_of: Iterable[Found]) -> Iterable[dict[str, Any]]:
    from edusense.bench.registry import CASES

    for found in all_of:
        peer = found.peer
        used = [case.id for case in CASES if peer.name in case.peers]
        yield {"peer": peer.name, "what": peer.what, "where": found.where, "version": found.version, "cases": used}
