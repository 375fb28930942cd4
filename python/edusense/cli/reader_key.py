"""`edusense reader key`: a reader with a secure channel is given the key that its address names."""

from __future__ import annotations

import sys

import click

from edusense.cli.output import json_option, row, site_option, talk
from edusense.cli.reader_address import reader_address

__all__ = ["key"]


@click.command("key")
@click.argument("reader")
@click.option("--yes", "-y", is_flag=True, help="Do not ask at a terminal.")
@site_option
@json_option
def key(reader: str, yes: bool, site_path: str, as_json: bool) -> None:
    """Gives a new reader its key: it has its maker's, which everybody knows, until then.

    READER is an address or a reader's id in the site file; the key is where the address says, `key=file:PATH`. It goes
    over the line once, protected by the maker's key alone: do it before the reader hangs where others reach its wires.

    \b
    Examples:
      openssl rand -hex 16 | install -m 600 /dev/stdin /etc/edusense/door.key
      edusense reader key 'osdp:/dev/ttyUSB0?address=5&key=file:/etc/edusense/door.key'
    """
    from edusense.devices import Address, find_driver
    from edusense.errors import UsageError

    address = Address(reader_address(reader, site_path))
    driver = find_driver(address.driver)
    if driver.give_key is None:
        raise UsageError(f"readers of the driver `{driver.name}` have no keys", hint="those of the driver osdp have")
    where = address.options.get("key", "nowhere")
    talk(f"the reader at {address.driver}:{address.target} is given the key in {where}")
    if not (yes or as_json) and sys.stdin.isatty() and not click.confirm("go on?", err=True):
        raise click.Abort
    driver.give_key(address)
    text = "it has it, and answered with it; keep that file: without it only a factory reset opens the reader again"
    row({"kind": "reader-key", "reader": reader, "key_ref": where, "given": True}, as_json=as_json, text=text)
