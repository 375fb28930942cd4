"""`edusense meals recover`: what a disk has spoiled, taken back from the hub."""

from __future__ import annotations

from pathlib import Path

import click

from edusense.cli.output import json_option, row, site_option, talk

__all__ = ["COMMANDS"]


@click.command("recover")
@click.argument("folder", metavar="[DIR]", required=False)
@click.option("--from", "url", metavar="URL", help="The hub; by default the one of the site file.")
@click.option("--out", required=True, metavar="FOLDER", help="Where the mended copy goes; it must not be there yet.")
@click.option("--token-from", metavar="env:NAME|file:PATH", help="Where the token is that the hub asks for.")
@click.option(
    "--ca", type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="Certificates to trust instead."
)
@site_option
@json_option
def recover_command(
    folder: str | None, url: str | None, out: str, token_from: str | None, ca: str | None, site_path: str, as_json: bool
) -> int:
    """Copy a damaged ledger, with its damaged records taken back from the hub.

    The damaged ledger is only read. A record from the hub stands in its place only where it fits to its neighbours by
    its hash, so the hub need not be believed. Exits with 0 when nothing was lost, with 1 otherwise.

    \b
    Examples:
      edusense meals verify                                  # names what is damaged
      edusense meals recover --out /var/lib/edusense/ledger.mended
      edusense meals recover /media/usb/ledger --from https://hub.example.kz --out mended
    """
    from edusense.cli.credentials import password_at
    from edusense.meals.hub_client import HubClient
    from edusense.meals.recover import recover

    token = None if token_from is None else password_at(token_from)
    authority = None if ca is None else Path(ca)
    if folder is None or url is None:
        from edusense.errors import UsageError
        from edusense.meals.of_site import ledger_folder
        from edusense.site import Site, resolve_secret

        site = Site.load(site_path)
        folder = str(ledger_folder(site)) if folder is None else folder
        if url is None:
            if site.hub is None:
                raise UsageError("the site has no [hub]", hint="say where the records are: --from URL")
            url = site.hub.url
            if token is None and site.hub.token is not None:
                where = (str(site.path), *site.place("hub", "token"))
                token = resolve_secret(site.hub.token, site.folder, place=where)
            if authority is None and site.hub.ca is not None:
                authority = site.path_of(site.hub.ca)
    source = Path(folder)
    client = HubClient(url.rstrip("/"), token=token, ca=authority)
    try:
        found = recover(source, Path(out), client)
    finally:
        client.close()
    for place in found.places:
        told = place.to_json()
        text = f"record {place.position}: {told['outcome']}" + ("" if place.record is None else f", {place.record}")
        row(told, as_json=as_json, text=text)
    lost = sum(place.record is None for place in found.places)
    if not found.places:
        talk("nothing is damaged; the copy is the same")
    elif not lost:
        talk(f"`{out}` is whole again; stop the box, put it in the ledger's place, and keep the damaged one")
    else:
        talk(f"{lost} of {len(found.places)} are nowhere: they were not sent, or the hub has lost them, too")
    return 0 if found.verified.ok else 1


COMMANDS = (recover_command,)
