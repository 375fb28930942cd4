"""`edusense reader identify`, `test` and `vectors`: which protocol speaks, and whether readers and drivers are good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from edusense.cli.output import json_option, row, rows, site_option, talk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edusense.devices import Card, Driver, Reader, Trace

__all__ = ["identify", "test", "vectors"]

BAUDS: Final = (9600, 115200, 19200, 38400, 57600, 4800, 2400, 1200)
"""In the order in which readers leave factories."""
_ENOUGH_BYTES: Final = 40
"""Bytes that no protocol explains, after which the next speed is tried: three frames of the shortest protocol."""


@click.command("identify")
@click.argument("port")
@click.option("--timeout", default=20.0, show_default=True, type=click.FloatRange(0.1), help="Seconds to listen.")
@click.option("--no-ask", is_flag=True, help="Only listen: send nothing to a device that may be something else.")
@json_option
def identify(port: str, timeout: float, no_ask: bool, as_json: bool) -> int:
    """Says which protocol a reader on a serial port speaks, and on what evidence.

    First it asks for readers that speak only when spoken to; then it listens: lay a card on the reader, and again when
    told. Each protocol is a row, the one that explains most first. Exit status 1: nothing that any driver knows.

    \b
    Examples:
      edusense reader identify /dev/ttyUSB0
      edusense reader identify /dev/serial/by-id/usb-1a86_USB_Serial-if00-port0 --no-ask --json
    """
    from edusense.devices import drivers

    known = [found.driver for found in drivers("reader") if found.driver is not None and found.driver.serial]
    if not no_ask and (answered := _ask(port, known)) is not None:
        _shown([answered], as_json=as_json)
        return 0
    found = _listen(port, known, timeout)
    _shown(found, as_json=as_json)
    return 0 if found else 1


def _shown(found: list[dict[str, Any]], *, as_json: bool) -> None:
    if not as_json:
        found = [line | {"cards": " ".join(line["cards"]) or None} for line in found]
    rows(found, ["driver", "address", "cards", "explained", "evidence"], as_json=as_json)


def _ask(port: str, known: list[Driver]) -> dict[str, Any] | None:
    """The first driver whose device answers."""
    from edusense.devices import open_reader
    from edusense.errors import DeviceProtocolError, DeviceTimeoutError

    for driver in known:
        if not driver.asks:
            continue
        if driver.probe is not None:
            # A driver that needs keys, or a library, to open its reader asks without them.
            if (options := driver.probe(port)) is None:
                continue
            address = f"{driver.name}:{port}" + (f"?{options}" if options else "")
        else:
            address = f"{driver.name}:{port}"
            try:
                open_reader(address).close()
            except (DeviceTimeoutError, DeviceProtocolError):
                continue
        evidence = (
            f"it was asked, and answered as {driver.described_models[0].name if driver.models else driver.name} does"
        )
        return _protocol(driver, address, [], 1.0, 0, evidence)
    return None


def _listen(port: str, known: list[Driver], timeout: float) -> list[dict[str, Any]]:
    """The protocols that fit what is said, the best first."""
    import time

    from edusense.devices.line_quality import suspicion

    listener = next((driver for driver in known if driver.dialects and not driver.asks), None)
    if listener is None:
        talk("no installed driver listens to serial ports: pip install edusense-drivers")
        return []
    deadline = time.monotonic() + timeout
    talk(f"listening on {port} for {timeout:g} s: lay a card on the reader")
    heard, told_at = b"", BAUDS[0]
    for place, baud in enumerate(BAUDS):
        if place:
            talk(f"nothing fits; now at {baud} baud: lay the card down again")
        heard, told_at = b"", baud
        for data in _bytes(f"{listener.name}:{port}?baud={baud}", deadline):
            heard += data
            # A pause after a card: what belongs to it is there.
            if not data and (found := _fitting(port, known, heard, baud, texts=2)):
                return found
            found = _fitting(port, known, heard, baud)
            if not found and len(heard) >= _ENOUGH_BYTES and not data:
                break
        # A device that says who it is needs no other speed.
        if time.monotonic() >= deadline or (suspicion(heard, baud) or "").startswith("it looks like"):
            break
    found = _fitting(port, known, heard, told_at)
    if not found:
        _say_nothing(port, heard, told_at, timeout)
    return found


def _bytes(address: str, deadline: float) -> Iterator[bytes]:
    """What comes from a port, and nothing (`b""`) after each 0.3 s of silence."""
    import time

    from edusense.devices import open_reader

    pieces: list[bytes] = []

    def keep(trace: Trace) -> None:
        if trace.direction == "in":
            pieces.append(trace.data)

    with open_reader(address) as reader:
        reader.trace = keep
        quiet_since = time.monotonic()
        while (left := deadline - time.monotonic()) > 0:
            reader.read(min(0.05, left))
            if pieces:
                data = b"".join(pieces)
                pieces.clear()
                quiet_since = time.monotonic()
                yield data
            elif time.monotonic() - quiet_since >= 0.3:
                quiet_since = time.monotonic()
                yield b""


def _fitting(port: str, known: list[Driver], data: bytes, baud: int, *, texts: int = 1) -> list[dict[str, Any]]:
    """The protocols that explain some bytes, the best first, those of numbers before those of texts.

    Every line is a text: one alone may be a remark of a reader whose card comes next, so `texts` says how many it
    takes; and a device that says what it is, is no scanner.
    """
    from edusense.devices.card_kinds import TEXTS
    from edusense.devices.line_quality import suspicion

    stranger = (suspicion(data, baud) or "").startswith("it looks like")
    found: list[dict[str, Any]] = []
    last: list[dict[str, Any]] = []
    for driver in known:
        for options, hear in driver.dialects.items():
            if driver.asks:
                continue
            heard = hear(data)
            text = all(card.technology in TEXTS for card in heard.cards)
            if not heard.cards or (text and (stranger or len(heard.cards) < texts)):
                continue
            told = [options] if options else []
            if baud != BAUDS[0]:
                told.append(f"baud={baud}")
            address = f"{driver.name}:{port}" + (f"?{'&'.join(told)}" if told else "")
            different = list(dict.fromkeys(str(card) for card in heard.cards))
            share = round(heard.explained / len(data), 3)
            evidence = (
                f"{_many(len(heard.cards), 'good frame')} of {_many(len(different), 'card')} in {len(data)} bytes, "
                f"{share:.0%} explained"
            )
            if heard.bad_frames:
                evidence += f"; {heard.bad_frames} bad, the last: {heard.last_fault}"
            (last if text else found).append(_protocol(driver, address, different, share, heard.bad_frames, evidence))
    return [line for part in (found, last) for line in sorted(part, key=lambda row: -float(row["explained"]))]


def _many(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def _protocol(
    driver: Driver, address: str, cards: list[str], share: float, bad_frames: int, evidence: str
) -> dict[str, Any]:
    return {
        "kind": "protocol",
        "driver": driver.name,
        "address": address,
        "cards": cards,
        "explained": share,
        "bad_frames": bad_frames,
        "evidence": evidence,
    }


def _say_nothing(port: str, heard: bytes, baud: int, timeout: float) -> None:
    from edusense.devices.line_quality import suspicion

    if not heard:
        talk(
            f"{port} said nothing in {timeout:g} s\n"
            "hint: no card was laid down, the cable is broken, or the reader is of a kind that speaks otherwise"
        )
        return
    shown = heard[:32].hex(" ") + (" …" if len(heard) > 32 else "")
    talk(f"{port} sent {len(heard)} bytes that no driver understands: {shown}")
    talk(f"hint: {suspicion(heard, baud) or 'another protocol, or a speed that was not tried long enough'}")


@click.command("test")
@click.argument("reader")
@click.option("--cards", default=10, show_default=True, type=click.IntRange(1), help="So many cards are laid down.")
@click.option("--timeout", default=60.0, show_default=True, type=click.FloatRange(0.1), help="Seconds for all of them.")
@click.option(
    "--rate", default=0.95, show_default=True, type=click.FloatRange(0, 1), help="Share of good frames that is enough."
)
@click.option("--latency", default=0.05, show_default=True, help="Seconds from bytes to card that are enough.")
@site_option
@json_option
def test(reader: str, cards: int, timeout: float, rate: float, latency: float, site_path: str, as_json: bool) -> int:
    """An acceptance test: lay cards on a reader; at the end a verdict for the hand-over report.

    READER is an address or a reader's id in the site file. Counted are cards, repeats, bad frames and the time from the
    last byte of a card to the card. Exit status 1: the reader failed.

    \b
    Examples:
      edusense reader test rdm6300:/dev/ttyUSB0 --cards 10
      edusense reader test canteen-left --site school.toml --cards 10
      edusense reader test ironlogic:/dev/ttyUSB1 --cards 3 --timeout 20 --json
    """
    from edusense.cli.reader_address import reader_address
    from edusense.devices import fault_hint, open_reader

    address = reader_address(reader, site_path)
    with open_reader(address) as session:
        result = _accept(session, cards, timeout)
    result["reader"], result["address"] = reader, str(address)
    result["faults"] = _verdict(result, cards, rate, latency)
    result["passed"] = not result["faults"]
    row(result, as_json=as_json, text=_report(result))
    for reason in result["bad_by_reason"]:
        if (hint := fault_hint(reason)) is not None:
            talk(f"hint: {reason}: {hint}")
    return 0 if result["passed"] else 1


def _accept(session: Reader, wanted: int, timeout: float) -> dict[str, Any]:
    """Reads cards until there are enough or the time is over, or the reader fails."""
    import time

    from edusense.errors import DeviceError

    latest: list[float] = []

    def hear(trace: Trace) -> None:
        if trace.direction == "in":
            latest[:] = [trace.at]

    session.trace = hear
    found: list[Card] = []
    delays: list[float] = []
    failure = None
    deadline = time.monotonic() + timeout
    talk(f"lay card after card on the reader: {wanted} within {timeout:g} s")
    while len(found) < wanted and (left := deadline - time.monotonic()) > 0:
        try:
            card = session.read(left)
        except DeviceError as error:
            failure = str(error)
            break
        if card is not None:
            found.append(card)
            if latest:
                delays.append(max(0.0, time.time() - latest[0]))
            talk(f"{len(found)} of {wanted}: {card}")
    if not failure and found:
        session.read(0.3)  # repeats of the last card count as well
    stats = session.stats()
    good = stats.cards + stats.repeats
    return {
        "kind": "reader-test",
        "reader": "",
        "address": "",
        "at_s": time.time(),
        "wanted": wanted,
        "cards": len(found),
        "different": len(set(found)),
        "random_ids": sum(card.random_id for card in found),
        "repeats": stats.repeats,
        "bad_frames": stats.bad_frames,
        "bad_by_reason": dict(stats.faults),
        "noise_bytes": stats.noise_bytes,
        "read_rate": round(good / (good + stats.bad_frames), 4) if good + stats.bad_frames else None,
        "latency_median_s": sorted(delays)[len(delays) // 2] if delays else None,
        "latency_max_s": max(delays, default=None),
        "failure": failure,
        "faults": [],
        "passed": False,
    }


def _verdict(result: dict[str, Any], wanted: int, rate: float, latency: float) -> list[str]:
    """What speaks against the reader."""
    faults = []
    if result["failure"]:
        faults.append(result["failure"])
    if result["cards"] < wanted:
        faults.append(f"{result['cards']} of {wanted} cards were read in time")
    if result["read_rate"] is not None and result["read_rate"] < rate:
        reasons = ", ".join(f"{reason} {count}" for reason, count in result["bad_by_reason"].items())
        faults.append(f"only {result['read_rate']:.1%} of the frames were good ({reasons})")
    if result["latency_max_s"] is not None and result["latency_max_s"] > latency:
        faults.append(f"a card took {result['latency_max_s'] * 1000:.0f} ms")
    if result["random_ids"]:
        faults.append(f"{result['random_ids']} cards drew their number anew: they identify nobody")
    return faults


def _report(result: dict[str, Any]) -> str:
    """The line for the hand-over report."""
    from datetime import datetime

    told = [
        f"{datetime.fromtimestamp(result['at_s']).astimezone():%Y-%m-%d %H:%M}  {result['address']}",
        f"{result['cards']} of {result['wanted']} cards ({result['different']} different)",
        f"{result['repeats']} repeats",
        f"{result['bad_frames']} bad frames",
    ]
    if result["read_rate"] is not None:
        told.append(f"read rate {result['read_rate']:.1%}")
    if result["latency_median_s"] is not None:
        median, most = result["latency_median_s"] * 1000, result["latency_max_s"] * 1000
        told.append(f"latency {median:.1f} ms, at most {most:.1f} ms")
    verdict = "passed" if result["passed"] else f"FAILED: {'; '.join(result['faults'])}"
    return f"{', '.join(told)}: {verdict}"


@click.command("vectors")
@click.argument("kind", required=False)
@json_option
def vectors(kind: str | None, as_json: bool) -> int:
    """Holds the installed drivers against frames that others published, those published wrong among them.

    KIND is a driver's name; without it all are held. Exit status 1: a driver reads a frame otherwise.

    \b
    Examples:
      edusense reader vectors
      edusense reader vectors ironlogic --json
    """
    from edusense.devices import drivers, find_driver

    known = [find_driver(kind)] if kind else [found.driver for found in drivers("reader") if found.driver is not None]
    held = [_hold(driver, vector) for driver in known for vector in driver.vectors]
    rows(held, ["driver", "options", "source", "expected", "found", "ok"], as_json=as_json, empty="no published frame")
    return 0 if all(line["ok"] for line in held) else 1


def _hold(driver: Driver, vector: Any) -> dict[str, Any]:
    from edusense.devices import Card

    hear: Callable[[bytes], Any] | None = driver.dialects.get(vector.options)
    heard = hear(vector.wire) if hear is not None else None
    found = str(heard.cards[0]) if heard is not None and len(heard.cards) == 1 else None
    expected = None if vector.card is None else str(Card.parse(vector.card))
    problem = f"the driver has no dialect `{vector.options}`" if heard is None else heard.last_fault
    return {
        "kind": "vector",
        "driver": driver.name,
        "options": vector.options,
        "source": vector.source,
        "wire": vector.wire.hex(),
        "expected": vector.card,
        "found": found,
        "problem": problem,
        "ok": heard is not None and found == expected and len(heard.cards) == (vector.card is not None),
    }
