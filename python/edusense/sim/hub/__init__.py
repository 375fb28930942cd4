"""A virtual hub of a city: takes signed batches of meal records by the public contract, and pays each meal once.

```text
box ══ HTTP(S) ══► VirtualLink (faults of the line) ══► application ─► intake (rules) ─► store (SQLite, full sync)
```

`docs/reference/hub.md` is the contract, `edusense.meals.hub_contract` its checks, for this hub and for any other.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edusense.sim.hub.hub import VirtualHub as VirtualHub

__all__ = ["VirtualHub"]


def __getattr__(name: str) -> Any:
    if name != "VirtualHub":
        raise AttributeError(f"module 'edusense.sim.hub' has no attribute {name!r}")
    value = importlib.import_module("edusense.sim.hub.hub").VirtualHub
    globals()[name] = value
    return value
