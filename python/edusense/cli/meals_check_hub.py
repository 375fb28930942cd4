"""`edusense meals check-hub`: the contract of a city's hub, tried at any URL."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.output import json_option, row, talk
from edusense.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edusense.meals.hub_contract import HubRig

__all__ = ["COMMANDS"]


@click.command("check-hub")
@click.argument("url")
@click.option(
    "--school",
    default=4_000_000_001,
    show_default=True,
    type=click.IntRange(1, 2**32 - 1),
    help="A school that is there for nothing else: its records are made up.",
)
@click.option(
    "--key",
    "key_file",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="That school's secret key, PEM; without it a new one is made, which the hub has to believe.",
)
@click.option("--token-from", metavar="env:NAME|file:PATH", help="Where the token is that the hub asks for.")
@click.option(
    "--ca", type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="Certificates to trust instead."
)
@click.option("--only", multiple=True, metavar="CHECK", help="Only this check. Repeatable.")
@json_option
def check_hub_command(
    url: str,
    school: int,
    key_file: str | None,
    token_from: str | None,
    ca: str | None,
    only: tuple[str, ...],
    as_json: bool,
) -> int:
    """Try whether a hub does what it must, so that no meal is lost, doubled or paid twice.

    Gaps, overlaps, forks, disks that were put back, two terminals and one child, altered and cut batches, 1 GB. Each
    check makes up a terminal of its own. Exits with 1 when one fails, 4 when the hub cannot be reached.

    \b
    Examples:
      edusense meals check-hub http://127.0.0.1:8490
      edusense meals check-hub https://hub.example.kz --key test-school.key --token-from file:hub.token
    """
    from edusense.cli.credentials import password_at
    from edusense.meals.hub_contract import HubRig

    rig = HubRig(url.rstrip("/"), school, ca=None if ca is None else Path(ca))
    if key_file is not None:
        rig.key = _key(Path(key_file))
    if token_from is not None:
        rig.token = password_at(token_from)
    failed = 0
    for found in _tried(rig, only):
        failed += not found["ok"]
        mark = "ok    " if found["ok"] else "FAILED"
        text = f"{mark} {found['check']}" + ("" if found["ok"] else f": {found['found']}")
        row(found, as_json=as_json, text=text)
    talk("the hub does what it must" if not failed else f"{failed} checks failed")
    return 1 if failed else 0


def _tried(rig: HubRig, only: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    from edusense.checks import CheckFailed, chosen
    from edusense.meals.hub_contract import CHECKS

    names = chosen(CHECKS, only)
    rig.hub_key()
    for name, check in names.items():
        found = None
        try:
            check(rig)
        except CheckFailed as failed:
            found = str(failed)
        yield {"check": name, "ok": found is None, "asks": inspect.getdoc(check), "found": found}


def _key(path: Path) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        found = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise UsageError(f"`{path}` holds no secret key: {error}", hint="a PEM file, PKCS #8") from error
    if not isinstance(found, Ed25519PrivateKey):
        raise UsageError(f"`{path}` holds no Ed25519 key", hint="`openssl genpkey -algorithm ed25519` makes one")
    return found


COMMANDS = (check_hub_command,)
