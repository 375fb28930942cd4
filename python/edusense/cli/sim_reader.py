"""`edusense sim reader`: virtual card readers that other people's software can open."""

from __future__ import annotations

import click

from edusense.cli.output import json_option, rows
from edusense.cli.sim_reader_serial import ironlogic, osdp, pn532, rdm6300, scanner, wiegand
from edusense.cli.sim_reader_usb import ccid, external, keyboard
from edusense.sim.reader_faults import FAULTS, KINDS

__all__ = ["command"]


@click.group("reader")
def command() -> None:
    """Virtual card readers; each prints one JSON line when it is ready.

    Cards come from --script, or are typed: a line with a card's number lays that card down, a line with a fault's name
    misbehaves.

    \b
    Examples:
      edusense sim reader rdm6300 --path /tmp/canteen
      edusense sim reader ccid --socket /tmp/canteen.ccid --script lunch.toml
    """


@command.command("faults")
@json_option
def faults(as_json: bool) -> None:
    """What virtual readers can be told to do wrong, and which of them.

    \b
    Examples:
      edusense sim reader faults
    """
    told = [
        {"fault": name, "does": does, "readers": [kind for kind, known in KINDS.items() if name in known]}
        for name, does in FAULTS.items()
    ]
    if not as_json:
        told = [{**line, "readers": " ".join(line["readers"])} for line in told]
    rows(told, ["fault", "readers", "does"], as_json=as_json)


for _reader in (rdm6300, ironlogic, pn532, keyboard, ccid, wiegand, osdp, scanner, external):
    command.add_command(_reader)
