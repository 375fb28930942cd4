"""`edusense reader`: the site's card readers, the ports they may be plugged into, the cards laid on them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from edusense.cli.output import json_option, rows, site_option, talk
from edusense.cli.reader_address import site_readers
from edusense.cli.reader_check import identify, test, vectors
from edusense.cli.reader_enrol import enrol
from edusense.cli.reader_key import key
from edusense.cli.reader_listen import listen

__all__ = ["command"]


@click.group("reader")
def command() -> None:
    """Card readers: which there are, where they may be plugged in, which cards they read.

    \b
    Examples:
      edusense reader ports
      edusense reader listen rdm6300:/dev/ttyUSB0
      edusense reader list --site school.toml
    """


for _command in (listen, identify, test, enrol, vectors, key):
    command.add_command(_command)


@command.command("list")
@site_option
@json_option
def list_(site_path: str, as_json: bool) -> None:
    """The site's readers and the installed drivers; a driver that cannot be loaded is a row that says why.

    Without a site file the drivers alone are listed.

    \b
    Examples:
      edusense reader list
      edusense reader list --site school.toml --json
    """
    from edusense.devices import drivers

    known = drivers("reader")
    problems = {found.name: found.problem for found in known}
    listed: list[dict[str, Any]] = [
        {
            "kind": "reader",
            "id": reader.id,
            "address": reader.address,
            "driver": reader.driver,
            "problem": problems.get(reader.driver, f"no driver `{reader.driver}` is installed"),
        }
        for reader in site_readers(site_path)
    ]
    listed += [
        {
            "kind": "driver",
            "id": found.name,
            "address": found.driver.address if found.driver else None,
            "driver": found.name,
            "summary": found.driver.summary if found.driver else None,
            "usb_ids": list(found.driver.usb_ids) if found.driver else [],
            "models": [asdict(model) for model in found.driver.described_models] if found.driver else [],
            "cards": list(found.driver.cards) if found.driver else [],
            "can": list(found.driver.can) if found.driver else [],
            "carrier": found.driver.carrier if found.driver else None,
            "extra": found.driver.extra or None if found.driver else None,
            "options": dict(found.driver.options) if found.driver else {},
            "distribution": found.distribution,
            "problem": found.problem,
        }
        for found in known
    ]
    rows(listed, ["kind", "id", "address", "summary", "problem"], as_json=as_json, empty="no reader and no driver")
    if not known:
        talk("hint: the drivers are a package of their own: pip install edusense-drivers")


@command.command("ports")
@json_option
def ports_(as_json: bool) -> None:
    """Every serial port and USB device that may be a reader: who holds it, and which right is missing.

    The driver named is one that may fit: a USB chip is shared by many things. Exits with 0 also when nothing is found.

    \b
    Examples:
      edusense reader ports
      edusense reader ports --json | jq -r .address
    """
    from edusense.devices import ports

    found = ports()
    listed = [port.to_json() for port in found]
    if not as_json:
        for line in listed:
            line["held_by"] = ", ".join(f"{holder['program']} ({holder['pid']})" for holder in line["holders"]) or None
            line["path"] = line["by_id"] or line["path"]
            line["drivers"] = " ".join(line["drivers"]) or None
    rows(
        listed,
        ["path", "usb_id", "product", "drivers", "held_by", "problem"],
        as_json=as_json,
        empty="no serial port and no USB reader is plugged in",
    )
    if not as_json:
        for port in found:
            if port.hint:
                talk(f"\nhint: {port.path}: {port.hint}")


@command.command("rules")
def rules_() -> None:
    """Prints the udev rules that the installed drivers need, those of other packages too.

    \b
    Examples:
      edusense reader rules | sudo tee /etc/udev/rules.d/70-edusense.rules
      sudo udevadm control --reload && sudo udevadm trigger
    """
    from edusense.devices import drivers
    from edusense.devices.rules import rules_text

    click.echo(rules_text(found.driver for found in drivers("reader") if found.driver is not None), nl=False)


@command.command("card")
@click.argument("number")
@json_option
def card_(number: str, as_json: bool) -> int:
    """Says which card a number means, and how else it may be written.

    NUMBER is what is printed on a card or stands in a list: hex in either order, ten digits, three digits comma five,
    a line of an IronLogic reader, the ones and zeros of a Wiegand line. Exit status 1: it may mean several cards; the
    roster then needs the first column.

    \b
    Examples:
      edusense reader card 0006547886
      edusense reader card 'Mifare[3AAC2280045646]  (0142,20) 004,22086'
    """
    from edusense.devices import readings

    found = readings(number)
    rows(
        (
            {
                "kind": "reading",
                "card": str(card),
                "technology": card.technology,
                "partial": card.partial,
                "random_id": card.random_id,
                "forms": card.forms(),
                "other_forms": "  ".join(f"{name} {text}" for name, text in card.forms().items() if name != "hex"),
            }
            for card in found
        ),
        ["card", "partial", "random_id", "other_forms"],
        as_json=as_json,
    )
    if len(found) > 1 and not as_json:
        talk(f"`{number}` may mean {len(found)} cards; write the one that is meant with its kind")
    return 1 if len(found) > 1 else 0
