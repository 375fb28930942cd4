"""Terminals that hand over people's numbers: what is taken, what is never kept, and who may."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.devices import Card, Reader, Trace, open_reader
from edusense.errors import DeviceBusyError, DeviceError, DeviceNotFoundError, SiteSecretError, UsageError
from edusense.sim.external_terminal import VirtualTerminal
from edusense_drivers.readers.external_numbers import LONGEST, LineCutter, number_in_body, number_in_line

TEMPLATE = "AAECAwQFBgcICQoLDA0ODw=="


@pytest.mark.parametrize(
    ("line", "number"),
    [
        (b"1017", "1017"),
        (b" 1017 \r", "1017"),
        (b'{"person": "1017"}', "1017"),
        (b'{"pin": 1017, "template": "x"}', "1017"),
        (b'{"employeeNo": "A-17"}', "A-17"),
        (b"10 17", None),
        (b"\xff\xfe", None),
        (b"{}", None),
        (b'{"person": true}', None),
        (b'{"person": [1]}', None),
        (b"{" * 3000, None),
        (b"1" * 33, None),
    ],
)
def test_lines(line: bytes, number: str | None) -> None:
    told = number_in_line(line)
    assert told.number == number
    assert (told.problem is None) == (number is not None)


@pytest.mark.parametrize(
    ("body", "media", "number"),
    [
        (b'{"person": 1017}', "application/json; charset=utf-8", "1017"),
        (b"person=1017&face=x", "application/x-www-form-urlencoded", "1017"),
        (b"1017\n", "text/plain", "1017"),
        (b"1017", "", "1017"),
        (b"<person>1017</person>", "application/xml", None),
        (b"%zz", "application/x-www-form-urlencoded", None),
        (b"[1017]", "application/json", None),
    ],
)
def test_bodies(body: bytes, media: str, number: str | None) -> None:
    assert number_in_body(body, media).number == number


@given(
    st.binary(max_size=400), st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/plain"])
)
def test_any_body_is_a_number_or_a_problem_that_quotes_nothing(body: bytes, media: str) -> None:
    told = number_in_body(body, media)
    assert (told.number is None) != (told.problem is None)
    if told.problem is not None:
        for word in body.decode("ascii", "ignore").split():
            assert len(word) < 12 or word not in told.problem


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_lines_are_the_same_in_any_pieces(pieces: list[bytes]) -> None:
    whole, cut = LineCutter(), LineCutter()
    assert [line for piece in pieces for line in cut.push(piece)] == whole.push(b"".join(pieces))


def test_a_line_longer_than_any_is_dropped() -> None:
    cutter = LineCutter()
    assert cutter.push(b"x" * 5000) == []
    assert cutter.push(b"yy\n1017\n") == [None, b"1017"]


def ask(port: int, body: bytes, *headers: str, method: str = "POST", length: str | None = None) -> tuple[int, Any]:
    """One request by hand."""
    told = length if length is not None else str(len(body))
    lines = [f"{method} /tap HTTP/1.1", "Host: x", *headers, *([f"Content-Length: {told}"] if told else []), "", ""]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall("\r\n".join(lines).encode() + body)
        answer = b""
        while part := client.recv(4096):
            answer += part
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(rest) if rest else None


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def granting(reader: Reader, verdict: bool = True) -> threading.Thread:
    """Answers every tap."""

    def run() -> None:
        try:
            for _ in reader:
                reader.signal(verdict)
        except DeviceError:
            pass

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_a_request_is_answered_with_the_verdict(tmp_path: Path) -> None:
    port, key = free_port(), tmp_path / "key"
    key.touch(mode=0o600)
    key.write_text("correct horse")
    with open_reader(f"external:http:127.0.0.1:{port}?key=file:{key}&silence=0.5") as reader:
        granting(reader)
        shown = "Authorization: Bearer correct horse"
        body = b'{"person": "1017"}'
        assert ask(port, body, shown) == (200, {"person": "1017", "granted": True})
        status, told = ask(port, body, shown)  # again at once: nothing new
        assert (status, told["granted"]) == (202, None)
        assert ask(port, body)[0] == 401
        assert ask(port, body, "Authorization: Bearer wrong")[0] == 401
        assert ask(port, b"no json", shown, "Content-Type: application/json")[0] == 400
        assert ask(port, b"", shown, length=str(LONGEST + 1))[0] == 413
        assert ask(port, b"", shown, length="")[0] == 413
        assert ask(port, b"", shown, length="-5")[0] == 413
        assert ask(port, b"", shown, method="GET", length="0")[0] == 405
        faults = reader.stats().faults
        assert faults["wrong-key"] == 2
        assert faults["no-number"] == 1
        assert faults["too-long"] == 3


def test_numbers_with_a_key_prove_more_than_those_without(tmp_path: Path) -> None:
    with VirtualTerminal("http") as terminal, open_reader(terminal.address) as reader:
        terminal.tap(Card.parse("person:1017"))
        card = reader.read(5)
        assert card == Card.parse("person:1017")
        assert card is not None
        assert card.assurance == "printed"


def test_a_refused_person_is_told_so() -> None:
    with VirtualTerminal("tcp") as terminal, open_reader(terminal.address) as reader:
        granting(reader, verdict=False)
        terminal.tap(Card.parse("person:1017"))
        deadline = time.monotonic() + 5
        while not terminal.verdicts and time.monotonic() < deadline:
            time.sleep(0.01)
        assert terminal.verdicts == [False]


def test_our_own_numbers_of_pupils() -> None:
    with VirtualTerminal("tcp") as terminal, open_reader(f"{terminal.address}?numbers=pupil") as reader:
        terminal.tap(Card.parse("person:1017"))
        assert reader.read(5) == Card.parse("pupil:1017")


@pytest.mark.parametrize("way", ["tcp", "http"])
def test_nothing_biometric_is_kept_traced_or_told(way: Any) -> None:
    told: list[Trace] = []
    with VirtualTerminal(way) as terminal, open_reader(terminal.address) as reader:
        reader.trace = told.append
        terminal.fault("biometric")
        terminal.tap(Card.parse("person:1017"))
        card = reader.read(5)
        assert card is not None
        assert card.raw == b"1017"
        note = next(trace for trace in told if "template" in trace.text)
        assert "not kept" in note.text
        everything = repr(told) + repr(card) + repr(reader.stats())
        assert "AAECAwQF" not in everything
        assert max(len(trace.data) for trace in told) <= len("1017")


def test_whose_network_was_not_named_is_turned_away() -> None:
    port = free_port()
    with open_reader(f"external:tcp:0.0.0.0:{port}?allow=192.0.2.0/24") as reader:
        told: list[Trace] = []
        reader.trace = told.append
        # Loopback may always connect; a stranger's address is asked of the rule itself.
        from edusense_drivers.readers.external_net import _Listening

        listening = _Listening.__new__(_Listening)
        listening._allowed = reader._source._line._listening._allowed  # type: ignore[attr-defined]
        assert listening.may_connect("127.0.0.1")
        assert listening.may_connect("::ffff:192.0.2.7")
        assert not listening.may_connect("10.20.0.80")


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("external:", UsageError),
        ("external:tcp:", UsageError),
        ("external:tcp:127.0.0.1:99999", UsageError),
        ("external:udp:127.0.0.1:4001", UsageError),
        ("external:tcp:0.0.0.0:4001", UsageError),
        ("external:tcp:somewhere:4001?allow=10.0.0.0/8", UsageError),
        ("external:tcp:0.0.0.0:4001?allow=10.0.0.0/99", UsageError),
        ("external:tcp:127.0.0.1:4001?key=env:NOBODY", SiteSecretError),
        ("external:http:127.0.0.1:4001?key=file:/nowhere", SiteSecretError),
        ("external:tcp:192.0.2.77:4001?allow=192.0.2.0/24", DeviceNotFoundError),
        ("external:wiegand:/dev/no-such-port", DeviceNotFoundError),
        ("external:tcp:127.0.0.1:4001?numbers=iin", UsageError),
    ],
)
def test_addresses_that_make_no_sense(address: str, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        open_reader(address)
    assert getattr(caught.value, "hint", None)


def test_who_holds_the_port_is_named() -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); "
            "time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        port = int(holder.stdout.readline())
        with pytest.raises(DeviceBusyError, match=rf"pid {holder.pid}"):
            open_reader(f"external:tcp:127.0.0.1:{port}")
    finally:
        holder.kill()
        holder.communicate()


def test_a_flood_of_connections_and_lines_takes_no_memory() -> None:
    with VirtualTerminal("tcp") as terminal, open_reader(terminal.address) as reader:
        clients = [socket.create_connection(("127.0.0.1", terminal.port), timeout=5) for _ in range(40)]
        for client in clients:
            try:
                client.sendall(b"x" * 100_000)
            except OSError:
                continue
        deadline = time.monotonic() + 5
        while len(reader._source._line._clients) > 16 and time.monotonic() < deadline:  # type: ignore[attr-defined]
            time.sleep(0.01)
        assert len(reader._source._line._clients) <= 16  # type: ignore[attr-defined]
        for client in clients:
            client.close()
        assert reader.read(0) is None
