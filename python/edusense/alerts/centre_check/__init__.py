"""The contract of an operations centre as checks, against any URL: `docs/reference/alerts.md` is it in words.

```python
rig = CentreRig(Settings("centre", {"id": "school-51", "number": 51001}, url=url, user=user, password=secret))
for found in checked(rig):
    print(found.check, found.state, found.found)
```

All that is sent is marked as a test, about cases that never were. A check's name is its function's, what the contract
asks for is its docstring, and what it returns is what was found.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edusense.alerts.centre_check.checks import CHECKS, speaks_https
from edusense.alerts.centre_check.rig import CentreRig, CheckSkipped
from edusense.checks import CheckFailed, chosen
from edusense.errors import DestinationRefusedError, DestinationUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CHECKS", "CentreRig", "CheckFailed", "CheckSkipped", "Checked", "checked"]


@dataclass(frozen=True)
class Checked:
    """What became of one check.

    Attributes:
        check: its name.
        state: whether the centre passed; `skipped` where that could not be tried.
        found: what the centre did, or why nothing was tried.
        asks: what the contract asks for.
    """

    check: str
    state: Literal["passed", "failed", "skipped"]
    found: str
    asks: str


def checked(rig: CentreRig, only: tuple[str, ...] = ()) -> Iterator[Checked]:
    """Makes checks, in order; each as soon as it is asked for.

    Args:
        rig: the centre.
        only: names of checks; all by default.

    Raises:
        UsageError: there is no check of a name.
        DestinationUnavailableError: nothing answers.
        DestinationRefusedError: what answers is no centre, or knows neither user nor school.
    """
    names = chosen(CHECKS, only)
    read_by_all = rig.in_clear and not rig.nearby
    if not read_by_all:
        rig.reach()
    else:
        # That nothing can be sent at all is said whatever was asked for.
        names = {"speaks-https": speaks_https, **names}
    for name, check in names.items():
        asks = " ".join((inspect.getdoc(check) or "").split())
        state: Literal["passed", "failed", "skipped"] = "passed"
        try:
            if read_by_all and check is not speaks_https:
                raise CheckSkipped("nothing is sent in clear beyond this machine")
            found = check(rig)
        except CheckSkipped as skipped:
            state, found = "skipped", str(skipped)
        except CheckFailed as failed:
            state, found = "failed", str(failed)
        except (DestinationUnavailableError, DestinationRefusedError) as error:
            state, found = "failed", error.message
        yield Checked(name, state, found, asks)
