"""A virtual operations centre (ЦОУ): takes alerts by the public contract, shows them, and answers.

```text
box ══ HTTP(S) ══► VirtualLink (faults of the line) ══► application ─► store (SQLite, full sync)
                                                            └─► page with cases, live
```
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edusense.sim.ops_centre.centre import VirtualOpsCentre as VirtualOpsCentre

__all__ = ["VirtualOpsCentre"]


def __getattr__(name: str) -> Any:
    if name != "VirtualOpsCentre":
        raise AttributeError(f"module 'edusense.sim.ops_centre' has no attribute {name!r}")
    value = importlib.import_module("edusense.sim.ops_centre.centre").VirtualOpsCentre
    globals()[name] = value
    return value
