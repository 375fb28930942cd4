"""A USB device served over a Unix socket, one JSON object a line: the far side of the CCID driver's virtual bus.

| request | answer |
| --- | --- |
| `{"op":"describe"}` | the descriptors in hex |
| `{"op":"claim","interface"}` | `{"ticket"}`; `busy` with the `pid` of who has it |
| `{"op":"join","ticket"}` | `{}`: this connection shares the claim |
| `{"op":"release","interface"}` | `{}` |
| `{"op":"out","endpoint","data"}`, `{"op":"in","endpoint","size","timeout_ms"}` | one transfer |
| `{"op":"control","type","request","value","index","size"}` | one control transfer to the host |

A client that goes away gives back what it claimed, as on a real bus.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from edusense.sim.ccid_model import BULK_IN, BULK_OUT, INTERRUPT_IN

if TYPE_CHECKING:
    from pathlib import Path

    from edusense.sim.ccid_model import CcidModel

__all__ = ["CcidServer"]

_LONGEST_WAIT_S: Final = 3600.0
_LONGEST_LINE: Final = 262_144


class CcidServer:
    """Serves one model on one socket until closed.

    Args:
        model: the device.
        changed: guards the model; notified when something may have come out of it.
        path: the socket, mode 0600: created, and removed at the end.
    """

    def __init__(self, model: CcidModel, changed: threading.Condition, path: Path) -> None:
        self._model = model
        self._changed = changed
        self._path = path
        self._owner: socket.socket | None = None
        self._owner_pid = 0
        self._ticket = ""
        self._guests: set[socket.socket] = set()
        self._closed = False
        self._clients: set[socket.socket] = set()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        self._socket.bind(str(path))
        path.chmod(0o600)
        self._socket.listen(16)
        threading.Thread(target=self._accept, name="virtual-ccid", daemon=True).start()

    def close(self) -> None:
        """Unplugs: every client loses the device."""
        with self._changed:
            self._closed = True
            clients = list(self._clients)
            self._changed.notify_all()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        # A thread in `accept` notices a shutdown, not a close.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for client in clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with self._changed:
                if self._closed:
                    client.close()
                    return
                self._clients.add(client)
            threading.Thread(target=self._serve, args=(client,), name="virtual-ccid-client", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, client.makefile("rb") as lines:
                for line in iter(lambda: lines.readline(_LONGEST_LINE), b""):
                    try:
                        answer = self._answer(client, json.loads(line))
                    except (ValueError, KeyError, TypeError, AttributeError):
                        answer = {"error": "malformed"}
                    client.sendall(json.dumps(answer).encode() + b"\n")
        except OSError:
            pass  # the client went away: so does a program that is killed
        finally:
            with self._changed:
                self._clients.discard(client)
                self._guests.discard(client)
                if self._owner is client:
                    self._let_go()

    def _answer(self, client: socket.socket, request: dict[str, Any]) -> dict[str, Any]:
        model = self._model
        with self._changed:
            if self._closed:
                return {"error": "no-device"}
            match request["op"]:
                case "describe":
                    return {
                        "device": model.device_descriptor().hex(),
                        "configuration": model.configuration_descriptor().hex(),
                        "bus": 1,
                        "address": 4,
                    }
                case "claim":
                    if self._owner not in (None, client):
                        return {"error": "busy", "pid": self._owner_pid}
                    if self._owner is None:
                        model.reset()
                        self._ticket = secrets.token_hex(8)
                    self._owner, self._owner_pid = client, _peer(client)
                    return {"ticket": self._ticket}
                case "join" if self._owner is not None and request["ticket"] == self._ticket:
                    self._guests.add(client)
                    return {}
                case "release":
                    if self._owner is client:
                        self._let_go()
                    return {}
                case "control":
                    data = model.control(
                        int(request["type"]), int(request["request"]), int(request["value"]), int(request["size"])
                    )
                    return {"error": "stall"} if data is None else {"data": data.hex()}
                case "out" if self._owner is client and request["endpoint"] == BULK_OUT:
                    data = bytes.fromhex(request["data"])
                    model.bulk_out(data)
                    self._changed.notify_all()
                    return {"written": len(data)}
                case "in" if self._owner is client or client in self._guests:
                    return self._transfer_in(client, request)
        return {"error": "stall"}

    def _let_go(self) -> None:
        """The device is free again."""
        self._owner, self._ticket = None, ""
        self._guests.clear()
        self._model.reset()
        self._changed.notify_all()

    def _transfer_in(self, client: socket.socket, request: dict[str, Any]) -> dict[str, Any]:
        pipe = {BULK_IN: self._model.bulk_in, INTERRUPT_IN: self._model.interrupt_in}.get(request["endpoint"])
        if pipe is None:
            return {"error": "stall"}
        deadline = time.monotonic() + min(int(request["timeout_ms"]) / 1000, _LONGEST_WAIT_S)
        while (data := pipe()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return {"error": "timeout"}
            self._changed.wait(left)
            if self._closed:
                return {"error": "no-device"}
            if self._owner is not client and client not in self._guests:
                return {"error": "stall"}
        return {"data": data.hex()} if len(data) <= int(request["size"]) else {"error": "overflow"}


def _peer(client: socket.socket) -> int:
    """Which process is at the other end, from the kernel."""
    pid, _, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(pid)
