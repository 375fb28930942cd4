"""What virtual cameras cost: CPU of the process that serves them, which must not disturb what is measured with them."""

from __future__ import annotations

import hashlib
import json
import re
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edusense.bench.figure import Figure
from edusense.bench.process import cpu_seconds
from edusense.errors import BoxError

__all__ = ["Drain", "measure", "password_of", "serve"]

ALLOWED_MS = 0.4
"""What a camera-second may cost at 1080p25 and 4 Mbit/s."""


def measure(cameras: int = 200, seconds: float = 20.0, runs: int = 3) -> list[Figure]:
    """CPU of one process that serves virtual cameras at 1080p25, 4 Mbit/s, to clients that only read.

    Args:
        cameras: how many, each with its own port, watched once each.
        seconds: of each run.
        runs: how often it is measured.
    """
    process, rows = serve(cameras)
    try:
        drain = Drain([(row["rtsp"], row["user"], password_of(row)) for row in rows])
        drain.start()
        time.sleep(3.0)
        costs, rates = [], []
        for _ in range(runs):
            begun, cpu, received = time.monotonic(), cpu_seconds(process.pid), drain.received
            time.sleep(seconds / runs)
            passed = time.monotonic() - begun
            costs.append(1000 * (cpu_seconds(process.pid) - cpu) / passed / cameras)
            rates.append((drain.received - received) * 8 / 1000 / passed / cameras)
        alive = drain.alive
        drain.stop()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
    if alive != cameras:
        raise BoxError(f"{cameras - alive} of {cameras} clients lost their camera", hint="is the machine overloaded?")
    return [
        Figure(
            what="CPU of serving a virtual camera",
            id="cpu",
            unit="ms CPU per camera-second",
            runs=tuple(costs),
            peer="what is allowed",
            peer_runs=(ALLOWED_MS,),
            limit=1.0,
            more_is_better=False,
            # What else runs on the machine only ever adds to it.
            statistic="least",
        ),
        Figure(
            what="received by each client",
            id="received",
            unit="kbit/s per camera",
            runs=tuple(rates),
            better="neither",
        ),
    ]


def serve(
    cameras: int, *, width: int = 1920, fps: float = 25.0, kbit: int = 4000, options: tuple[str, ...] = ()
) -> tuple[subprocess.Popen[str], list[dict[str, Any]]]:
    """Starts `edusense sim camera` in a process of its own.

    Returns:
        The process, to be ended by SIGTERM, and the row of each camera.
    """
    command = [
        sys.executable, "-m", "edusense", "sim", "camera", "--count", str(cameras), "--no-onvif", "--width", str(width),
        "--fps", str(fps), "--kbit", str(kbit), "--constant", "--seconds", "10", *options,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    rows = []
    for line in process.stdout:
        rows.append(json.loads(line))
        if len(rows) == cameras:
            return process, rows
    raise BoxError("the virtual cameras did not start", hint=f"try `edusense {' '.join(command[3:])}`")


def password_of(row: dict[str, Any]) -> str:
    """The password of a virtual camera, of the row that it printed."""
    return Path(str(row["password_ref"]).removeprefix("file:")).read_text(encoding="utf-8").strip()


class Drain:
    """Clients that play streams and throw away what they receive, in one thread: the least a client can do.

    Args:
        streams: URL, user and password of each.
    """

    def __init__(self, streams: list[tuple[str, str, str]]) -> None:
        self.received = 0
        self._selector = selectors.DefaultSelector()
        self._streams = streams
        self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def alive(self) -> int:
        """How many still receive."""
        return len(self._selector.get_map())

    def start(self) -> None:
        """Brings all sessions up and begins to read."""
        for url, user, password in self._streams:
            self._selector.register(_play(url, user, password), selectors.EVENT_READ)
        self._thread.start()

    def stop(self) -> None:
        """Closes all."""
        self._stopped = True
        self._thread.join(5)
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()

    def _run(self) -> None:
        buffer = bytearray(1 << 18)
        while not self._stopped:
            for key, _ in self._selector.select(0.2):
                client = key.fileobj
                assert isinstance(client, socket.socket)
                try:
                    count = client.recv_into(buffer)
                except OSError:
                    count = 0
                if count:
                    self.received += count
                else:
                    self._selector.unregister(client)
                    client.close()


def _play(url: str, user: str, password: str) -> socket.socket:
    """One session up to the answer to PLAY."""
    place = urlsplit(url)
    client = socket.create_connection((place.hostname or "", place.port or 554), 10)
    number = 0

    def ask(method: str, target: str, *headers: str) -> str:
        nonlocal number
        number += 1
        head = "".join(f"{line}\r\n" for line in headers)
        client.sendall(f"{method} {target} RTSP/1.0\r\nCSeq: {number}\r\n{head}\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = client.recv(1)
            if not part:
                raise BoxError(f"`{url}` closed the connection at {method}")
            answer += part
        text = answer.decode("latin-1")
        if length := re.search(r"Content-Length: (\d+)", text):
            client.recv(int(length[1]), socket.MSG_WAITALL)
        return text

    def h(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    challenge = ask("DESCRIBE", url)
    realm, nonce = (re.search(f'{name}="([^"]*)"', challenge) for name in ("realm", "nonce"))
    if realm is None or nonce is None:
        raise BoxError(f"`{url}` does not ask for a password as expected")

    def proof(method: str, target: str) -> str:
        response = h(f"{h(f'{user}:{realm[1]}:{password}')}:{nonce[1]}:{h(f'{method}:{target}')}")
        return (
            f'Authorization: Digest username="{user}", realm="{realm[1]}", nonce="{nonce[1]}", uri="{target}", '
            f'response="{response}"'
        )

    track = f"{url}/trackID=0"
    setup = ask("SETUP", track, proof("SETUP", track), "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
    session = re.search(r"Session: (\w+)", setup)
    if session is None:
        raise BoxError(f"`{url}` gives no session: {setup.splitlines()[0]}")
    ask("PLAY", url, proof("PLAY", url), f"Session: {session[1]}", "Range: npt=0-")
    return client
