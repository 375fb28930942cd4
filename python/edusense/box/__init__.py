"""The box: the supervisor of `edusense run`, its local socket, and `connect()` for scripts beside it.

```text
        site file ──► Supervisor ── cameras ──► Engine ──► events, clips
                          │     ╲── terminals ─► readers, ledger
                     EventLog ◄── every part writes; cursor
                          │
                     SocketServer (box.sock, 0660) ◄── Box, AsyncBox: status, events, clips, taps
```

Nothing heavy is imported here, so that a script that only asks the running box starts at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edusense.box.aclient import AsyncBox as AsyncBox
    from edusense.box.aclient import connect_async as connect_async
    from edusense.box.client import Box as Box
    from edusense.box.client import connect as connect
    from edusense.box.supervisor import Supervisor as Supervisor

__all__ = ["AsyncBox", "Box", "Supervisor", "connect", "connect_async"]

_HOME = {
    "AsyncBox": "edusense.box.aclient",
    "connect_async": "edusense.box.aclient",
    "Box": "edusense.box.client",
    "connect": "edusense.box.client",
    "Supervisor": "edusense.box.supervisor",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'edusense.box' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
