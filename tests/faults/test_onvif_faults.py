"""Cameras that misbehave below SOAP: each ends in one of our errors, within its deadline and within its bytes."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import tracemalloc

import pytest

from edusense import devices
from edusense.errors import (
    DeviceDisconnectedError,
    DeviceError,
    DeviceProtocolError,
    DeviceRefusedError,
    DeviceTimeoutError,
)

ENVELOPE = '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body>{}</e:Body></e:Envelope>'
CLOCK = ENVELOPE.format("<GetSystemDateAndTimeResponse><SystemDateAndTime/></GetSystemDateAndTimeResponse>").encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: %d\r\n\r\n"


@contextlib.contextmanager
def server(behave, *, connections: int = 3):
    """A TCP server on loopback: `behave(connection, number)` is called for each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        stop = threading.Event()

        def serve() -> None:
            for number in range(connections):
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(5)
                    behave(connection, number, stop)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            stop.set()
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join(6)


def ask(port: int, timeout_s: float = 1.0):
    with devices.open_camera(f"onvif:http://127.0.0.1:{port}", user="u", password="p", timeout_s=timeout_s) as camera:
        return camera.clock()


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"</soap-env:Envelope>" not in data:
        piece = connection.recv(65536)
        if not piece:
            break
        data += piece
    return data


def test_a_byte_now_and_then_does_not_hold_us(monkeypatch):
    def drip(connection, _, stop):
        read_request(connection)
        connection.sendall(HEAD % 5000)
        while not stop.wait(0.05):
            connection.sendall(b"x")

    with server(drip) as port:
        begun = time.monotonic()
        with pytest.raises(DeviceTimeoutError):
            ask(port, 0.6)
        assert time.monotonic() - begun < 1.2


def test_dripping_headers_do_not_hold_us():
    def drip(connection, _, stop):
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not stop.wait(0.05):
            connection.sendall(b"y")

    with server(drip) as port:
        begun = time.monotonic()
        with pytest.raises(DeviceTimeoutError):
            ask(port, 0.6)
        assert time.monotonic() - begun < 1.2


def answering(data: bytes):
    def behave(connection, *_):
        read_request(connection)
        connection.sendall(data)

    return behave


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"", DeviceDisconnectedError, "without an answer"),
        (HEAD % 5000 + b"<half", DeviceDisconnectedError, "5 of 5000 bytes"),
        (b"SSH-2.0-dropbear\r\n", DeviceProtocolError, "not HTTP: `SSH-2.0-dropbear"),
        (b"HTTP/1.1 200 OK\r\n\r\n", DeviceProtocolError, "not XML: nothing"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            DeviceProtocolError,
            "HTTP 302",
        ),
        (
            b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\nnot found",
            DeviceProtocolError,
            "404",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", DeviceError, "broke off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", DeviceDisconnectedError, "broke off"),
        (b"HTTP/1.1 401 No\r\nContent-Length: 13\r\n\r\n<html></html>", DeviceRefusedError, "refuses user"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n", DeviceProtocolError, "not HTTP"),
        (b"\x00" * 100_000, DeviceProtocolError, "not HTTP"),
    ],
)
def test_what_is_not_an_answer_is_told_as_what_it_is(data, error, message):
    with server(answering(data)) as port, pytest.raises(error, match=message):
        ask(port)


def test_a_hundred_megabytes_are_refused_by_their_announcement():
    with (
        server(answering(HEAD % 100_000_000)) as port,
        pytest.raises(DeviceProtocolError, match="more than 1048576 bytes"),
    ):
        ask(port)


def test_an_endless_answer_is_cut_off():
    def pour(connection, _, stop):
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not stop.is_set():
            connection.sendall(b"<a>" * 20_000)

    tracemalloc.start()
    try:
        with server(pour) as port, pytest.raises(DeviceProtocolError, match="more than"):
            ask(port, 5)
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()


def test_a_kept_connection_that_the_camera_closed_is_opened_again():
    seen = []

    def once_each(connection, number, _):
        seen.append(number)
        read_request(connection)
        connection.sendall(HEAD % len(CLOCK) + CLOCK)  # and closes, although HTTP/1.1 would keep it

    with server(once_each) as port, devices.open_camera(f"onvif:http://127.0.0.1:{port}", timeout_s=2) as camera:
        assert camera.clock().time is None
        time.sleep(0.05)
        assert camera.clock().time is None
        assert camera.clock().time is None
    assert seen == [0, 1, 2]


def test_a_camera_that_drops_the_connection_on_questions_it_does_not_know_is_still_asked_the_rest():
    information = ENVELOPE.format(
        "<GetDeviceInformationResponse><Model>M</Model></GetDeviceInformationResponse>"
    ).encode()

    def moody(connection, *_):
        while request := read_request(connection):
            if b"GetDeviceInformation" not in request:
                return
            connection.sendall(HEAD % len(information) + information)

    with (
        server(moody, connections=6) as port,
        devices.open_camera(f"onvif:http://127.0.0.1:{port}", timeout_s=2) as camera,
    ):
        who = camera.information()
        assert (who.model, who.mac) == ("M", None)
