"""`edusense sim reader`: virtual readers on USB, and terminals that hand numbers over."""

from __future__ import annotations

from typing import Any

import click

from edusense.cli.sim_reader_common import check_place, common, ready, serve_until_stopped, steps_of
from edusense.cli.sim_reader_umockdev import run_with_ccid, run_with_keyboard

__all__ = ["KEYBOARD_LAYOUTS", "ccid", "external", "keyboard"]

KEYBOARD_LAYOUTS = ("digits", "facility", "8h", "8h10d", "hex", "hex-reversed")


@click.command("keyboard", context_settings={"ignore_unknown_options": True})
@click.option(
    "--socket", "path", type=click.Path(), help="Where the socket is to appear. [default: a temporary folder]"
)
@click.option(
    "--layout",
    type=click.Choice(KEYBOARD_LAYOUTS),
    default="digits",
    show_default=True,
    help="How it writes numbers.",
)
@common("keyboard")
@click.argument("program", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND…]")
def keyboard(
    path: str | None,
    layout: Any,
    name: str | None,
    script: str | None,
    always: tuple[str, ...],
    leave: bool,
    program: tuple[str, ...],
) -> None:
    """A reader that poses as a keyboard and types the card's number.

    Our own driver reaches it through a socket. Any other program does when it is run by this command: for it there is
    an event node, by means of umockdev, on which the script types; its time begins when the command opens the node.
    Without --script one card is laid down after a second.

    \b
    Examples:
      edusense sim reader keyboard --socket /tmp/canteen.keys   # then type: em4100:010063E9AE
      edusense reader listen keyboard:sim:/tmp/canteen.keys     # in another terminal
      edusense sim reader keyboard -- evtest /dev/input/event5  # a program that knows nothing of us
    """
    from edusense.devices import Card
    from edusense.sim.reader_keyboard import VirtualKeyboard
    from edusense.sim.reader_script import Step

    steps = steps_of(script, "keyboard")
    if program:
        steps = steps or [Step(1.0, Card.parse("em4100:010063E9AE"))]
        run_with_keyboard(name or "virtual-keyboard", layout, steps, always, program)
    with VirtualKeyboard(path, layout=layout) as reader:
        ready(name or "virtual-keyboard", reader.address, str(reader.path))
        serve_until_stopped(reader, steps, always, stay=not leave)


@click.command("external")
@click.option("--by", "way", type=click.Choice(["tcp", "http"]), default="tcp", show_default=True, help="How it calls.")
@click.option("--port", type=click.IntRange(1, 65535), required=True, help="TCP port of the box, on this machine.")
@click.option("--key-from", metavar="env:NAME|file:PATH", help="Where the key is that it shows by HTTP.")
@common("external")
def external(
    way: Any,
    port: int,
    key_from: str | None,
    name: str | None,
    script: str | None,
    always: tuple[str, ...],
    leave: bool,
) -> None:
    """A terminal that knows people by itself, a palm reader for instance, and hands their numbers over.

    It calls the box, as such terminals do, and says what it was answered.

    \b
    Examples:
      edusense reader listen external:tcp:127.0.0.1:4001    # in another terminal
      edusense sim reader external --port 4001              # then type: person:1017
    """
    from edusense.cli.credentials import password_at
    from edusense.sim.external_terminal import VirtualTerminal

    key = None if key_from is None else password_at(key_from)
    steps = steps_of(script, "external")
    with VirtualTerminal(way, port=port, key=key) as terminal:
        ready(name or "virtual-terminal", terminal.address, None)
        serve_until_stopped(terminal, steps, always, stay=not leave)


@click.command("ccid", context_settings={"ignore_unknown_options": True})
@click.option(
    "--socket", "path", type=click.Path(), help="Where the socket is to appear. [default: a temporary folder]"
)
@click.option("--card", help="A card that lies there from the start. [with a COMMAND: 04A1B2C3D4E5F6]")
@click.option(
    "--log", type=click.Path(dir_okay=False), help="With a COMMAND: write there, as JSON lines, what happened when."
)
@common("ccid")
@click.argument("program", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND…]")
def ccid(
    path: str | None,
    card: str | None,
    log: str | None,
    name: str | None,
    script: str | None,
    always: tuple[str, ...],
    leave: bool,
    program: tuple[str, ...],
) -> None:
    """A USB reader like the ACR122U.

    Our own driver reaches it through a socket. Any other program does when it is run by this command: for it the device
    is plugged in, by means of umockdev, without the kernel or root. The script's time begins when the program has it.

    \b
    Examples:
      edusense sim reader ccid --socket /tmp/canteen.ccid   # then type: 04A1B2C3D4E5F6
      edusense reader listen ccid:sim:/tmp/canteen.ccid     # in another terminal
      edusense sim reader ccid -- python -m nfc             # a program that knows nothing of us
    """
    steps = steps_of(script, "ccid")
    first = None if card is None else _uid(card)
    if program:
        run_with_ccid(name or "virtual-ccid", first or "04A1B2C3D4E5F6", steps, always, program, log)
    check_place(path)
    from edusense.devices import Card
    from edusense.sim.reader_ccid import VirtualCcid

    with VirtualCcid(path) as reader:
        if first is not None:
            reader.place(Card("iso14443a", bytes.fromhex(first)))
        ready(name or "virtual-ccid", reader.address, str(reader.path))
        serve_until_stopped(reader, steps, always, stay=not leave)


def _uid(text: str) -> str:
    from edusense.devices import Card
    from edusense.errors import UsageError

    card = Card.parse(text)
    if card.technology != "iso14443a":
        raise UsageError(f"a 13.56 MHz reader does not see `{card}`", hint="give 8, 14 or 20 hex digits")
    return card.id
