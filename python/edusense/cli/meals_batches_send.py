"""`edusense meals batches send`: what came on a stick goes to the hub, and the hub's signature goes back on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.meals_batches import batches_group
from edusense.cli.output import json_option, row, talk
from edusense.errors import BatchError, HubRefusedError

if TYPE_CHECKING:
    from edusense.meals.hub_client import HubClient

__all__ = ["COMMANDS"]


@batches_group.command("send")
@click.argument("source", metavar="SOURCE", type=click.Path(exists=True))
@click.argument("url")
@click.option("--hub-key", metavar="KEY", help="The hub's public key: a PEM file, or 64 hex digits.")
@click.option("--token-from", metavar="env:NAME|file:PATH", help="Where the token is that the hub asks for.")
@click.option(
    "--ca", type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="Certificates to trust instead."
)
@json_option
def send_command(
    source: str, url: str, hub_key: str | None, token_from: str | None, ca: str | None, as_json: bool
) -> int:
    """Bring batches from a stick to a hub.

    SOURCE is a file or a folder of them. The hub checks them as it does those that come by wire. What it has signed
    for is written beside them (`*.edack`): brought back to the box, `batches import` keeps it. Says of each file what
    became of it: taken, known, or why not. Exits with 1 if one was not taken.

    \b
    Examples:
      edusense meals batches send /media/usb https://hub.example.kz --token-from file:hub.token
    """
    from edusense.cli.credentials import password_at
    from edusense.meals import read_public_key
    from edusense.meals.batches import BATCH_SUFFIX
    from edusense.meals.hub_client import HubClient

    place = Path(source)
    folder = place if place.is_dir() else place.parent
    waiting = sorted(one for one in place.iterdir() if one.suffix == BATCH_SUFFIX) if place.is_dir() else [place]
    trusted = None if hub_key is None else read_public_key(hub_key)
    token = None if token_from is None else password_at(token_from)
    client = HubClient(url.rstrip("/"), token=token, ca=None if ca is None else Path(ca))
    worst = 0
    try:
        trusted = _same(client.who(), trusted)
        while waiting:
            later: list[tuple[Path, str, str | None]] = []
            found: list[tuple[Path, str, str | None]] = []
            for path in waiting:
                outcome, told = _send(client, path, folder, trusted)
                # Epochs have no order in their names: one that follows another goes after it.
                (later if outcome == "gap" else found).append((path, outcome, told))
            # Where nothing went any more, what is left is missing on the stick.
            done = found or later
            waiting = [path for path, *_ in later] if found else []
            for path, outcome, told in done:
                line = {"file": str(path), "outcome": outcome, "told": told}
                row(line, as_json=as_json, text=f"{path.name}: {outcome}" + ("" if told is None else f": {told}"))
                worst = max(worst, outcome not in {"taken", "known"})
    finally:
        client.close()
    if not place.is_dir() or any(one.suffix == BATCH_SUFFIX for one in place.iterdir()):
        return int(worst)
    talk(f"no `*{BATCH_SUFFIX}` in `{place}`")
    return 0


def _same(found: bytes, trusted: bytes | None) -> bytes:
    if trusted is not None and found != trusted:
        raise HubRefusedError("the hub's key is another one than --hub-key", hint="is it the right address?")
    return found


def _send(client: HubClient, path: Path, folder: Path, hub_key: bytes) -> tuple[str, str | None]:
    from edusense import meals
    from edusense.meals.batches import MOST_BATCH_BYTES
    from edusense.meals.files import read_at_most, write_whole

    try:
        data = read_at_most(path, MOST_BATCH_BYTES)
        if len(data) > MOST_BATCH_BYTES:
            return "too-large", f"no batch has more than {MOST_BATCH_BYTES} bytes"
        sent = client.send(data)
        if sent.code is not None:
            return sent.code, sent.message
        acknowledged = meals.Acknowledgement.read(_hex(sent.told))
    except BatchError as error:
        return "damaged", str(error)
    if acknowledged.key != hub_key:
        return "other-key", "the acknowledgement is not signed with the hub's key"
    target = folder / acknowledged.name
    if not target.exists() or meals.Acknowledgement.read(target.read_bytes()).sequence < acknowledged.sequence:
        write_whole(target, acknowledged.data)
    return ("taken" if sent.told.get("new") else "known"), None


def _hex(told: dict[str, Any]) -> bytes:
    try:
        return bytes.fromhex(str(told.get("acknowledgement")))
    except ValueError:
        raise BatchError("the hub answered no acknowledgement", hint="`edusense meals check-hub`") from None


COMMANDS: tuple[click.Command, ...] = ()
"""It is a command of `meals batches`."""
