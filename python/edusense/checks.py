"""What the contracts that are held against a stranger's server have in common: hubs of meals, centres of alerts.

A check is a function: its name says what is tried, its docstring what the contract asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from edusense.errors import UsageError
from edusense.nearest import perhaps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["CheckFailed", "chosen"]

Check = TypeVar("Check", bound="Callable[..., Any]")


class CheckFailed(Exception):  # noqa: N818 - it is a finding about a server, not an error of ours
    """A server does not do what the contract asks for; the message says what it did."""


def chosen(checks: Iterable[Check], only: Iterable[str]) -> dict[str, Check]:
    """Checks by their names, in their order.

    Args:
        checks: all of them.
        only: names of those that are wanted; all where there are none.

    Raises:
        UsageError: there is no check of a name.

    >>> def takes_a_message(): ...
    >>> list(chosen([takes_a_message], []))
    ['takes-a-message']
    """
    names = {check.__name__.replace("_", "-"): check for check in checks}
    wanted = set(only)
    for name in sorted(wanted - set(names)):
        raise UsageError(f"there is no check `{name}`", hint=perhaps(name, names) or f"checks: {', '.join(names)}")
    return {name: check for name, check in names.items() if not wanted or name in wanted}
