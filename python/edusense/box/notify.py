"""systemd's notification socket, spoken directly: one datagram of `KEY=value` lines (sd_notify(3)).

Nothing happens outside systemd, where `NOTIFY_SOCKET` is not set.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Notifier"]


class Notifier:
    """Tells systemd how the process is doing.

    Args:
        environment: where `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` are looked up; default: the process's.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._socket: socket.socket | None = None
        if self._address is not None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            # A full queue (systemd itself is stuck) must not stop the box.
            self._socket.setblocking(False)
        self.watchdog_s = _watchdog_s(environment) if self._socket is not None else None
        """Seconds within which systemd wants to hear `WATCHDOG=1`; None where it does not."""

    def ready(self, status: str) -> None:
        """All parts have been started: systemd goes on with what is ordered after the box."""
        self._send(f"READY=1\nSTATUS={_line(status)}\nMAINPID={os.getpid()}")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={_line(text)}")

    def stopping(self) -> None:
        """The box has begun to stop."""
        self._send("STOPPING=1\nSTATUS=stopping")

    def alive(self) -> None:
        """Feeds the watchdog. Call it only when the parts have proven that they are alive."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        """Closes the socket; calling it twice is harmless."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> None:
        if self._socket is None:
            return
        assert self._address is not None
        # A notification that cannot be delivered is systemd's loss; the box goes on.
        with contextlib.suppress(OSError):
            self._socket.sendto(message.encode(), self._address)


def _address(text: str) -> str | bytes | None:
    """`/run/…` is a path; `@name` is an abstract address, whose first byte is zero."""
    if text.startswith("@"):
        return b"\0" + text[1:].encode()
    return text if text.startswith("/") else None


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    try:
        period_s = int(environment.get("WATCHDOG_USEC", "0")) / 1e6
        meant_for = int(environment.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    return period_s if period_s > 0 and meant_for == os.getpid() else None


def _line(text: str) -> str:
    return text.replace("\n", " ")[:300]
