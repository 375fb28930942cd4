"""`edusense reader listen`: each card as it is read, and the bytes that it came in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edusense.cli.output import json_option, row, site_option, talk
from edusense.cli.reader_address import reader_address, site_readers

if TYPE_CHECKING:
    from edusense.devices import Card, ReaderChange, ReconnectingReader, Trace

__all__ = ["listen"]

_SHOWN_FORMS = ("decimal", "decimal-reversed", "facility")
"""What may be printed on the card; `reader card` shows all forms."""


@click.command("listen")
@click.argument("reader", required=False)
@click.option("--all", "every", is_flag=True, help="Every reader of the site.")
@click.option(
    "-v",
    "--verbose",
    count=True,
    help="Also the raw bytes, and what was wrong with them; -vv also of the questions that are asked all the time.",
)
@click.option("--count", type=click.IntRange(1), help="Stop after so many cards.")
@click.option("--timeout", type=click.FloatRange(0), metavar="SECONDS", help="Stop after that; exit 1 without a card.")
@site_option
@json_option
def listen(
    reader: str | None,
    every: bool,
    verbose: int,
    count: int | None,
    timeout: float | None,
    site_path: str,
    as_json: bool,
) -> int:
    """Prints each card that is laid on a reader, with the numbers that may be printed on it.

    READER is an address (rdm6300:/dev/ttyUSB0, ccid:) or a reader's id in the site file. A reader that is unplugged
    is waited for.
    Where the box runs it holds the readers; `edusense events --follow` shows their cards.

    \b
    Examples:
      edusense reader listen rdm6300:/dev/ttyUSB0 --count 1
      edusense reader listen canteen-left --site school.toml -v
      edusense reader listen --all --json
    """
    from edusense.errors import UsageError

    if (reader is None) != every:
        raise UsageError(
            "give one reader, or --all", hint="`edusense reader ports` shows addresses, `edusense reader list` ids"
        )
    if every:
        wanted = {found.id: found.address for found in site_readers(site_path, required=True)}
        if not wanted:
            raise UsageError(f"`{site_path}` has no readers", hint="add a [[readers]] table, or give an address")
    else:
        assert reader is not None
        wanted = {reader: reader_address(reader, site_path)}
    session = _Listening(wanted, as_json=as_json, verbose=verbose)
    return session.run(count, timeout)


class _Listening:
    """Several readers at once, each with its thread; what they say is printed by one."""

    def __init__(self, wanted: dict[str, str], *, as_json: bool, verbose: int) -> None:
        import queue

        from edusense.devices import reconnecting

        self._as_json, self._verbose = as_json, verbose
        self._told: set[tuple[str, str]] = set()
        """Which reader's faults a person who does not ask for bytes was told of."""
        self._heard: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._readers = {name: reconnecting(address, opener=self._opener(name)) for name, address in wanted.items()}

    def run(self, count: int | None, timeout: float | None) -> int:
        """Prints until enough was heard; the command's exit status."""
        import queue
        import threading
        import time

        from edusense.devices import Card, Trace
        from edusense.errors import EdusenseError

        threads = [
            threading.Thread(target=self._pump, args=item, daemon=True, name=f"listen-{item[0]}")
            for item in self._readers.items()
        ]
        deadline = None if timeout is None else time.monotonic() + timeout
        cards = 0
        for thread in threads:
            thread.start()
        try:
            while count is None or cards < count:
                try:
                    name, what = self._heard.get(
                        timeout=None if deadline is None else max(0.0, deadline - time.monotonic())
                    )
                except queue.Empty:
                    break
                match what:
                    case Card():
                        cards += 1
                        self._card(name, what)
                    case Trace():
                        self._bytes(name, what)
                    case EdusenseError():
                        raise what
                    case _:
                        self._change(name, what, alone=len(self._readers) == 1)
        finally:
            for reader in self._readers.values():
                reader.close()
        return 0 if cards or deadline is None else 1

    def _opener(self, name: str) -> Any:
        from edusense.devices import open_reader

        def opener(address: str) -> Any:
            reader = open_reader(address)
            reader.trace = lambda trace: self._heard.put((name, trace)) if self._wanted(name, trace) else None
            return reader

        return opener

    def _wanted(self, name: str, trace: Trace) -> bool:
        if trace.reason and not self._verbose and (name, trace.reason) not in self._told:
            # Who lays a card down and sees nothing must learn why: once for each reason.
            self._told.add((name, trace.reason))
            return True
        return trace.weight == "urgent" or self._verbose > 1 or (self._verbose == 1 and trace.weight == "usual")

    def _pump(self, name: str, reader: ReconnectingReader) -> None:
        from edusense.errors import EdusenseError

        try:
            for event in reader:
                self._heard.put((name, event))
        except EdusenseError as error:
            self._heard.put((name, error))

    def _card(self, name: str, card: Card) -> None:
        value = {
            "kind": "card",
            "reader": name,
            "card": str(card),
            "technology": card.technology,
            "product": card.product,
            "id": card.id,
            "dec10": card.dec10,
            "facility": card.facility,
            "forms": card.forms(),
            "assurance": card.assurance,
            "random_id": card.random_id,
            "at_s": card.at,
            "raw": card.raw.hex(),
        }
        forms = "  ".join(text for name, text in card.forms().items() if name in _SHOWN_FORMS)
        note = "  a number drawn anew at each reading: identifies nobody" if card.random_id else ""
        row(value, as_json=self._as_json, text="  ".join(part for part in (name, str(card), forms) if part) + note)

    def _bytes(self, name: str, trace: Trace) -> None:
        from edusense.devices import fault_hint

        hint = fault_hint(trace.reason)
        if not self._verbose:
            talk(f"{name}: {trace.text}" + (f" ({trace.reason})\nhint: {hint}" if hint else ""))
            return
        value = {
            "kind": "bytes",
            "reader": name,
            "direction": trace.direction,
            "data": trace.data.hex(),
            "text": trace.text,
            "reason": trace.reason or None,
            "hint": hint,
            "at_s": trace.at,
        }
        if self._as_json:
            row(value, as_json=True)
        else:
            arrow = {"in": "<", "out": ">"}.get(trace.direction, "!")
            talk(f"{name}  {arrow} {trace.data.hex(' ')}{'  ' + trace.text if trace.text else ''}")

    def _change(self, name: str, change: ReaderChange, *, alone: bool) -> None:
        from edusense.errors import class_of

        if change.state == "connected":
            talk(f"{name}: listening (Ctrl-C ends)")
            return
        # The first try of the only reader is an answer to the person; later ones are a worn plug.
        if alone and change.attempt == 1 and not self._readers[name].was_connected and change.code is not None:
            raise class_of(change.code)(change.reason or "", hint=change.hint)
        talk(f"{name}: {change.reason}; next try in {change.retry_s:g} s")
