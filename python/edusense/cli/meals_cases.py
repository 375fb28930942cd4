"""`edusense meals cases`: what does not add up at the city's hub, and what somebody decides about it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.camera_fleet import confirm
from edusense.cli.output import json_option, row, site_option, talk
from edusense.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edusense.meals.hub_client import HubClient

__all__ = ["COMMANDS"]

_WHAT_FOLLOWS = {
    ("rolled-back", "count"): "the meals of the newer branch are paid from now on",
    ("rolled-back", "leave-out"): "the newer branch stays evidence: its meals are not paid",
    ("fork", "count"): "what the hub has there gives way to what the school sends; its batches stay as evidence",
    ("fork", "leave-out"): "what the hub has stays; what the school has there is evidence, and not asked for any more",
    ("served-twice", "leave-out"): "one of the meals is paid, as before",
}


def _hub_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--from", "url", metavar="URL", help="The hub; by default the one of the site file."),
        click.option("--token-from", metavar="env:NAME|file:PATH", help="Where the token is that the hub asks for."),
        click.option(
            "--ca", type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="Certificates to trust instead."
        ),
        site_option,
        json_option,
    ):
        command = option(command)
    return command


@click.group("cases")
def cases_group() -> None:
    """Cases at the city's hub: what does not add up, and what somebody decides about it.

    `rolled-back`: a terminal went on from an older state, its disk was put back or exchanged. `fork`: two different
    records under one key. `served-twice`: one child at two terminals.

    \b
    Examples:
      edusense meals cases list
      edusense meals cases evidence 3 --out case-3
      edusense meals cases close 3 --decision count --by "Серикова Дана" --why "new disk on 5 October"
    """


@cases_group.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that somebody has closed.")
@click.option("--school", type=click.IntRange(1, 2**32 - 1), help="Only this one; without it, the site's, or all.")
@_hub_options
def list_command(
    everything: bool,
    school: int | None,
    url: str | None,
    token_from: str | None,
    ca: str | None,
    site_path: str,
    as_json: bool,
) -> int:
    """List what does not add up at the hub. Exits with 1 if there is a case that nobody has closed.

    \b
    Examples:
      edusense meals cases list
      edusense meals cases list --from https://hub.example.kz --school 51001 --all --json
    """
    with _hub(url, token_from, ca, site_path) as (client, own):
        found = client.cases(school if school is not None else own)
    open_ones = [case for case in found if case.get("decision") is None]
    for case in found if everything else open_ones:
        line = _row(case)
        told = "open" if line["decision"] is None else f"{line['decision']} ({line['by']})"
        text = f"{line['case']}  {line['kind']}  school {line['school']}  {told}: {line['message']}"
        row(line, as_json=as_json, text=text)
    if not open_ones:
        talk("no case is open")
    return int(bool(open_ones))


@cases_group.command("evidence")
@click.argument("case", type=click.IntRange(1))
@click.option("--out", required=True, metavar="FOLDER", help="Where the batches go; it is made if it is not there.")
@_hub_options
def evidence_command(
    case: int, out: str, url: str | None, token_from: str | None, ca: str | None, site_path: str, as_json: bool
) -> None:
    """Fetch the signed batches that a case rests on, and check each.

    \b
    Examples:
      edusense meals cases evidence 3 --out case-3
    """
    from edusense.errors import BatchError
    from edusense.meals import Batch
    from edusense.meals.files import write_whole

    place = Path(out)
    with _hub(url, token_from, ca, site_path) as (client, _):
        pieces = _case(client, case).get("evidence") or ()
        place.mkdir(parents=True, exist_ok=True)
        for piece in pieces:
            data = client.evidence(case, int(piece))
            path = place / f"{int(piece):06}.edbatch"
            write_whole(path, data)
            try:
                told, holds = Batch.read(data).name, True
            except BatchError as error:
                told, holds = str(error), False
            row({"file": str(path), "holds": holds, "told": told}, as_json=as_json, text=f"{path}: {told}")


@cases_group.command("close")
@click.argument("case", type=click.IntRange(1))
@click.option(
    "--decision",
    required=True,
    type=click.Choice(["count", "leave-out"]),
    help="count: what the school has there counts from now on; leave-out: it stays evidence.",
)
@click.option("--by", required=True, metavar="NAME", help="Who decided: family name and given name.")
@click.option("--why", default="", metavar="TEXT", help="Why.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_hub_options
def close_command(
    case: int,
    decision: str,
    by: str,
    why: str,
    yes: bool,
    url: str | None,
    token_from: str | None,
    ca: str | None,
    site_path: str,
    as_json: bool,
) -> None:
    """Close a case: says what follows, and asks. A decision is made once.

    The hub wants to know its operators by a token of theirs, which no box has. The box hears of it within ten
    minutes, and goes on.

    \b
    Examples:
      edusense meals cases close 3 --decision count --by "Серикова Дана" --why "new disk on 5 October"
      edusense meals cases close 3 --decision leave-out --by "Серикова Дана" --token-from file:operators.token --yes
    """
    with _hub(url, token_from, ca, site_path) as (client, _):
        found = _case(client, case)
        follows = _WHAT_FOLLOWS.get((str(found.get("kind")), decision))
        if follows is None:
            told = f"a case `{found.get('kind')}` is not closed with `{decision}`"
            raise UsageError(told, hint="a child's second meal is never paid: --decision leave-out")
        talk(f"case {case}, school {found.get('school')}: {found.get('message')}")
        if found.get("decision") is None:
            talk(follows)
            confirm("close it so?", yes=yes)
        line = _row(client.close_case(case, decision, by=by, why=why))
    row(line, as_json=as_json, text=f"case {line['case']} is closed: {line['decision']}, by {line['by']}")


def _case(client: HubClient, number: int) -> dict[str, Any]:
    for case in client.cases():
        if case.get("case") == number:
            return case
    raise UsageError(f"the hub has no case {number}", hint="`edusense meals cases list --all` lists them")


def _row(case: dict[str, Any]) -> dict[str, Any]:
    names = ("case", "kind", "school", "opened_s", "times", "message", "decision", "by", "decided_s", "why")
    return {name: case.get(name) for name in names}


@contextlib.contextmanager
def _hub(
    url: str | None, token_from: str | None, ca: str | None, site_path: str
) -> Iterator[tuple[HubClient, int | None]]:
    """The hub that was named, or the site's; and the site's number, where the site file says which hub it is."""
    from edusense.cli.credentials import password_at
    from edusense.meals.hub_client import HubClient

    token = None if token_from is None else password_at(token_from)
    authority = None if ca is None else Path(ca)
    school = None
    if url is None:
        from edusense.site import Site, resolve_secret

        site = Site.load(site_path)
        if site.hub is None:
            raise UsageError("the site has no [hub]", hint="say which hub is meant: --from URL")
        url, school = site.hub.url, site.site.number
        if token is None and site.hub.token is not None:
            where = (str(site.path), *site.place("hub", "token"))
            token = resolve_secret(site.hub.token, site.folder, place=where)
        if authority is None and site.hub.ca is not None:
            authority = site.path_of(site.hub.ca)
    client = HubClient(url.rstrip("/"), token=token, ca=authority)
    try:
        yield client, school
    finally:
        client.close()


COMMANDS = (cases_group,)
