"""From a finding to an answer: rules, cases with a hash-chained log, an outbox, and the places that alerts go to.

```text
motion, analysers ─► Rule ─► Finding ─► Desk ─► case, log, outbox ─► Courier ─► Destination
                                         ▲                                         │
                                         └──────────────── answers ◄───────────────┘
```

This room knows no camera and no box: `edusense.box` joins it to motion. Names are fetched when they are asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edusense.alerts.case import Case as Case
    from edusense.alerts.desk import Desk as Desk
    from edusense.alerts.destination import Answers as Answers
    from edusense.alerts.destination import Destination as Destination
    from edusense.alerts.destination import GivenAnswer as GivenAnswer
    from edusense.alerts.destination import Settings as Settings
    from edusense.alerts.finding import Finding as Finding
    from edusense.alerts.outbox import Attachment as Attachment

__all__ = ["Answers", "Attachment", "Case", "Desk", "Destination", "Finding", "GivenAnswer", "Settings"]

_HOME = {
    "Answers": "destination",
    "Attachment": "outbox",
    "Case": "case",
    "Desk": "desk",
    "Destination": "destination",
    "Finding": "finding",
    "GivenAnswer": "destination",
    "Settings": "destination",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'edusense.alerts' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"edusense.alerts.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
