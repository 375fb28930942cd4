"""The contract of a city's hub as checks: against the virtual one, and against any URL.

```console
$ edusense meals check-hub https://hub.example.kz --school 4000000001 --key test-school.key
```

`docs/reference/hub.md` is the contract in words. Records, batches and acknowledgements are made and read in plain
Python here (`plain`), by the format's page and not by the code that boxes run.
"""

from __future__ import annotations

from edusense.checks import CheckFailed
from edusense.meals.hub_contract.checks import CHECKS
from edusense.meals.hub_contract.plain import Acknowledged, Tape
from edusense.meals.hub_contract.rig import HubRig

__all__ = ["CHECKS", "Acknowledged", "CheckFailed", "HubRig", "Tape"]
