"""`edusense sim reader ccid|keyboard -- COMMAND`: the command runs where the device exists, by umockdev."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NoReturn

from edusense.cli.sim_reader_common import ready

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edusense.sim.reader_keyboard import Layout
    from edusense.sim.reader_script import Step

__all__ = ["run_with_ccid", "run_with_keyboard"]

APT = "sudo apt-get install umockdev gir1.2-umockdev-1.0 python3-gi"
_IN_THE_KEYS = ("half-number", "letters", "noise", "slow", "two-cards")
"""Faults of a keyboard that are in the keys; the kernel's node has no others."""


def run_with_ccid(
    name: str, card: str, steps: Sequence[Step], always: Sequence[str], program: Sequence[str], log: str | None
) -> NoReturn:
    """Becomes the command, for which a CCID reader is plugged in.

    Args:
        name: the device's id.
        card: a UID in hex: the card that lies there, where there are no steps.
        steps: cards and faults over time.
        always: faults at every card.
        program: the command.
        log: where to write what happened when; None for nowhere.
    """
    check()
    told: list[dict[str, Any]] = []
    for step in steps:
        if step.card is not None:
            told += [{"seconds": step.seconds, "fault": fault} for fault in always if fault != "unplug"]
            told.append({"seconds": step.seconds, "card": step.card.id, "hold": step.hold_s})
        elif step.fault != "unplug":
            told.append({"seconds": step.seconds, "fault": step.fault})
    settings = {"card": None if steps else card, "steps": told, "faults": [] if steps else list(always), "log": log}
    ready(name, "ccid:072f:2200", None)
    _become("edusense.sim.ccid_umockdev", json.dumps(settings), program)


def run_with_keyboard(
    name: str, layout: Layout, steps: Sequence[Step], always: Sequence[str], program: Sequence[str]
) -> NoReturn:
    """Becomes the command, for which a reader that types is plugged in.

    Args:
        name: the device's id.
        layout: how it writes numbers.
        steps: cards and faults over time, which begins when the command opens the node.
        always: faults at every card.
        program: the command.

    Raises:
        UsageError: a fault that is none of the keys; or umockdev is not installed.
    """
    import tempfile

    from edusense.errors import UsageError
    from edusense.sim.keyboard_umockdev import NODE, PRODUCT, VENDOR
    from edusense.sim.reader_keyboard import events_of

    check()
    faults = {*always, *(step.fault for step in steps if step.fault is not None)}
    if other := sorted(faults - set(_IN_THE_KEYS)):
        raise UsageError(
            f"with a COMMAND there is no fault `{other[0]}`", hint=f"faults are {', '.join(_IN_THE_KEYS)}; others "
            "are those of the socket, without a COMMAND",
        )  # fmt: skip
    told: list[dict[str, Any]] = []
    mishaps: list[str] = []
    for step in steps:
        if step.card is None:
            assert step.fault is not None
            mishaps.append(step.fault)
            continue
        events = events_of(step.card, layout, [*mishaps, *always], at=1.0)
        told.append({"seconds": step.seconds, "events": events.hex()})
        mishaps.clear()
    with tempfile.NamedTemporaryFile("w", prefix="edusense-keys-", suffix=".json", delete=False) as file:
        json.dump(told, file)
    ready(name, f"keyboard:{VENDOR}:{PRODUCT}?layout={layout}", NODE)
    _become("edusense.sim.keyboard_umockdev", file.name, program)


def check() -> None:
    """Whether there is everything that it takes.

    Raises:
        UsageError: umockdev or its bindings are missing; the hint installs them.
    """
    import shutil
    import subprocess

    from edusense.errors import UsageError

    if shutil.which("umockdev-wrapper") is None:
        raise UsageError("umockdev is not installed: without it no program can be shown a USB device", hint=APT)
    bindings = "import sys, gi; gi.require_version('UMockdev', '1.0'); sys.exit(sys.version_info < (3, 11))"
    if subprocess.run(["/usr/bin/python3", "-c", bindings], capture_output=True, check=False).returncode:
        raise UsageError("`/usr/bin/python3` (3.11 or newer) lacks the bindings of umockdev", hint=APT)


def _become(module: str, argument: str, program: Sequence[str]) -> NoReturn:
    """Becomes `umockdev-wrapper`, so that signals and exit status are the command's own."""
    import shutil
    from pathlib import Path

    import edusense

    wrapper = shutil.which("umockdev-wrapper")
    assert wrapper is not None
    os.environ["EDUSENSE_SIM_PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = str(Path(edusense.__file__).parent.parent)
    os.execv(wrapper, [wrapper, "/usr/bin/python3", "-m", module, argument, *program])  # noqa: S606 -- the user's own command
