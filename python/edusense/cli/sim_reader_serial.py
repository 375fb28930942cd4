"""`edusense sim reader`: virtual readers on a pseudo-terminal, which any program opens as a serial port."""

from __future__ import annotations

from typing import Any

import click

from edusense.cli.sim_reader_common import check_place, common, path_option, ready, serve_until_stopped, steps_of

__all__ = ["RDM6300_VARIANTS", "WIEGAND_FORMS", "ironlogic", "osdp", "pn532", "rdm6300", "scanner", "wiegand"]

RDM6300_VARIANTS = ("rdm6300", "id-la", "em-18", "binary")
WIEGAND_FORMS = ("hex", "frame", "bits", "decimal")


@click.command("rdm6300")
@path_option
@click.option("--id-la", is_flag=True, help="The same as --variant id-la.")
@click.option(
    "--variant",
    type=click.Choice(RDM6300_VARIANTS),
    default="rdm6300",
    show_default=True,
    help="Which reader it frames like; all but the first speak once a card.",
)
@common("rdm6300")
def rdm6300(
    path: str | None,
    id_la: bool,
    variant: Any,
    name: str | None,
    script: str | None,
    always: tuple[str, ...],
    leave: bool,
) -> None:
    """A 125 kHz reader on a pseudo-terminal.

    \b
    Examples:
      edusense sim reader rdm6300 --path /tmp/canteen       # then type: em4100:010063E9AE
      edusense reader listen rdm6300:/tmp/canteen           # in another terminal
      edusense sim reader rdm6300 --variant em-18 --script lunch.toml --fault noise
    """
    from edusense.sim.reader_rdm6300 import VirtualRdm6300

    steps = steps_of(script, "rdm6300")
    check_place(path)
    with VirtualRdm6300(path, variant="id-la" if id_la else variant) as reader:
        ready(name or "virtual-rdm6300", reader.address, str(reader.path))
        serve_until_stopped(reader, steps, always, stay=not leave)


@click.command("ironlogic")
@path_option
@click.option(
    "--network-id",
    type=click.IntRange(10_000, 9_999_999),
    help="Put the reader's number first, as the firmware for networks does.",
)
@common("ironlogic")
def ironlogic(
    path: str | None,
    network_id: int | None,
    name: str | None,
    script: str | None,
    always: tuple[str, ...],
    leave: bool,
) -> None:
    """An IronLogic Z-2 on a pseudo-terminal: 125 kHz and 13.56 MHz cards as lines of text.

    \b
    Examples:
      edusense sim reader ironlogic --path /tmp/canteen     # then type: em4100:55007EE424
      edusense reader listen ironlogic:/tmp/canteen -v      # in another terminal
    """
    from edusense.sim.reader_ironlogic import VirtualIronLogic

    steps = steps_of(script, "ironlogic")
    check_place(path)
    with VirtualIronLogic(path, network_id=network_id) as reader:
        ready(name or "virtual-ironlogic", reader.address, str(reader.path))
        serve_until_stopped(reader, steps, always, stay=not leave)


@click.command("pn532")
@path_option
@common("pn532")
def pn532(path: str | None, name: str | None, script: str | None, always: tuple[str, ...], leave: bool) -> None:
    """A PN532 module on a pseudo-terminal: 13.56 MHz cards.

    \b
    Examples:
      edusense sim reader pn532 --path /tmp/canteen         # then type: 04A1B2C3D4E5F6
      edusense reader listen pn532:/tmp/canteen -v          # in another terminal
    """
    from edusense.sim.reader_pn532 import VirtualPn532

    steps = steps_of(script, "pn532")
    with VirtualPn532(path) as reader:
        ready(name or "virtual-pn532", reader.address, str(reader.path))
        serve_until_stopped(reader, steps, always, stay=not leave)


@click.command("wiegand")
@path_option
@click.option("--width", type=click.Choice(["26", "34", "37"]), default="26", show_default=True, help="Bits a frame.")
@click.option(
    "--form", type=click.Choice(WIEGAND_FORMS), default="bits", show_default=True, help="How the converter writes them."
)
@common("wiegand")
def wiegand(
    path: str | None,
    width: str,
    form: Any,
    name: str | None,
    script: str | None,
    always: tuple[str, ...],
    leave: bool,
) -> None:
    """A reader on a Wiegand line, behind a converter on a pseudo-terminal.

    \b
    Examples:
      edusense sim reader wiegand --path /tmp/gate          # then type: wiegand26:013,13067
      edusense reader listen 'wiegand:/tmp/gate?form=bits'  # in another terminal
    """
    from edusense.sim.reader_wiegand import VirtualWiegand

    steps = steps_of(script, "wiegand")
    check_place(path)
    with VirtualWiegand(path, width=int(width), form=form) as reader:
        ready(name or "virtual-wiegand", reader.address, str(reader.path))
        serve_until_stopped(reader, steps, always, stay=not leave)


@click.command("scanner")
@path_option
@click.option("--symbology", is_flag=True, help="Tell the code's kind before its text, as ]Q1.")
@common("scanner")
def scanner(
    path: str | None, symbology: bool, name: str | None, script: str | None, always: tuple[str, ...], leave: bool
) -> None:
    """A scanner of bar codes and QR codes on a pseudo-terminal.

    \b
    Examples:
      edusense sim reader scanner --path /tmp/scanner       # then type: token:EW-2026-000017
      edusense reader listen scanner:/tmp/scanner           # in another terminal
    """
    from edusense.sim.reader_scanner import VirtualScanner

    steps = steps_of(script, "scanner")
    check_place(path)
    with VirtualScanner(path, symbology=symbology) as reader:
        ready(name or "virtual-scanner", reader.address, str(reader.path))
        serve_until_stopped(reader, steps, always, stay=not leave)


@click.command("osdp")
@path_option
@click.option("--address", type=click.IntRange(0, 126), default=0, show_default=True, help="Its address on the line.")
@click.option(
    "--key-from", metavar="env:NAME|file:PATH", help="Where the key of its secure channel is. [default: as new]"
)
@click.option("--no-key", is_flag=True, help="A reader that can make no secure channel.")
@common("osdp")
def osdp(
    path: str | None,
    address: int,
    key_from: str | None,
    no_key: bool,
    name: str | None,
    script: str | None,
    always: tuple[str, ...],
    leave: bool,
) -> None:
    """An OSDP reader on a pseudo-terminal, with secure channel, a light and a sound.

    Without a key it is as it leaves the factory: it takes the default key, and then the one that it is given.

    \b
    Examples:
      openssl rand -hex 16 | install -m 600 /dev/stdin /tmp/osdp.key
      edusense sim reader osdp --path /tmp/door --address 5 --key-from file:/tmp/osdp.key
      edusense reader listen 'osdp:/tmp/door?address=5&key=file:/tmp/osdp.key'
    """
    from edusense.errors import UsageError
    from edusense.sim.reader_osdp import VirtualOsdp

    key = None
    if key_from is not None:
        from edusense.cli.credentials import password_at

        text = password_at(key_from).strip()
        try:
            key = bytes.fromhex(text)
        except ValueError:
            key = b""
        if len(key) != 16:
            raise UsageError("the key is not 32 hex digits", hint="openssl rand -hex 16 makes one")
    steps = steps_of(script, "osdp")
    check_place(path)
    with VirtualOsdp(path, address=address, key=key, secure=not no_key) as reader:
        url = reader.address + (f"&key={key_from}" if key_from else "")
        ready(name or "virtual-osdp", url, str(reader.path))
        serve_until_stopped(reader, steps, always, stay=not leave)
