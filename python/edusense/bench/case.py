"""What a case is: something that can be measured, the figures that it gives, and what it needs for that.

A case's work is a function whose arguments all have defaults and which returns figures; its arguments are the case's
options in a plan. It measures for a few seconds and is called several times, each time in a process of its own: the
spread over these runs is what a comparison of two reports rests on.
"""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edusense.bench.figure import Better, Figure

__all__ = ["DEVICE_ARGUMENTS", "Case", "Curve", "DeviceKind", "Fact", "Kind", "Measured", "Option", "State"]

DeviceKind = Literal["disk", "camera", "reader"]
State = Literal["ok", "warn", "fail"]
"""Of something found: well, to be looked at, or not fit for a school."""
DEVICE_ARGUMENTS: Final[Mapping[DeviceKind, tuple[str, ...]]] = MappingProxyType(
    {"disk": ("folder",), "camera": ("url", "user", "password"), "reader": ("address",)}
)
"""Arguments of a case's work that a plan's device fills: no options, since they are named once for all cases."""


@dataclass(frozen=True)
class Kind:
    """A figure that a case gives.

    Args:
        id: its name within the case, in plans and reports: "cpu".
        what: what it is, as a person says it: "CPU of receiving".
        unit: its unit: "ms CPU per camera-second".
        better: which way it is better.
        steady: whether runs of one build agree well enough that two reports can be compared by it. A 99th percentile
            of a shared disk is worth reading, and not worth comparing.
    """

    id: str
    what: str
    unit: str
    better: Better = "less"
    steady: bool = True


@dataclass(frozen=True)
class Curve:
    """Points that belong together, drawn as a line.

    Args:
        id: its name within the case.
        title: what is shown.
        x: what lies along the bottom, with its unit: "cameras".
        y: what goes up, with its unit: "cores".
        lines: name of each line, and its points.
    """

    id: str
    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]

    def to_json(self) -> dict[str, Any]:
        """The curve as it stands in a report."""
        lines = [{"name": name, "points": [list(point) for point in points]} for name, points in self.lines.items()]
        return {"id": self.id, "title": self.title, "x": self.x, "y": self.y, "lines": lines}


@dataclass(frozen=True)
class Fact:
    """A line of a data sheet, or anything else found that is no figure with runs.

    Args:
        name: what it is: "time to the first picture".
        value: what was found, in words with units: "0.84 s".
        state: whether that is well; None where it is neither.
        words: what it means and what to do.
    """

    name: str
    value: str
    state: State | None = None
    words: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fact as it stands in a report."""
        return {"name": self.name, "value": self.value, "state": self.state, "words": self.words}


@dataclass(frozen=True)
class Measured:
    """What one run of a case gave.

    Args:
        figures: what was measured.
        curves: how it changes.
        facts: what was found besides.
        notes: sentences for the reader: what was left out, and why.
    """

    figures: Sequence[Figure]
    curves: Sequence[Curve] = ()
    facts: Sequence[Fact] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Option:
    """An option of a case.

    Args:
        name: as in a plan.
        default: its value where a plan says nothing.
        kind: the type that a plan's value must have.
    """

    name: str
    default: Any
    kind: type


@dataclass(frozen=True)
class Case:
    """Something that can be measured.

    Args:
        id: its name in plans and reports.
        what: what is measured, in one line.
        work: `module:function`; imported when it is first needed.
        figures: what it gives.
        needs: what must be here besides edusense, in words: "a disk to write to".
        device: the kind of device that it measures: it is run once for each that the plan names.
        peers: names of peers (`edusense bench peers list`) that it measures beside where they are installed.
        rounds: how often it is run where a plan does not say.
        seconds: about how long one run takes.
        run: options of one run that differ from the work's defaults, which are those of one long measurement.
        once: it says the same each time: one run is enough, and there is nothing to compare.
        attended: a person must do something; it comes first, and says so. Its work takes `_say`.
        deadline_s: when a run has certainly hung; by default some times `seconds`.
    """

    id: str
    what: str
    work: str
    figures: tuple[Kind, ...]
    needs: str = ""
    device: DeviceKind | None = None
    peers: tuple[str, ...] = ()
    rounds: int = 10
    seconds: float = 2.0
    run: Mapping[str, Any] = field(default_factory=dict)
    once: bool = False
    attended: bool = False
    deadline_s: float | None = None

    def function(self) -> Callable[..., Measured | Sequence[Figure]]:
        """The work itself, imported now."""
        module, _, name = self.work.partition(":")
        function: Callable[..., Measured | Sequence[Figure]] = getattr(importlib.import_module(module), name)
        return function

    def options(self) -> dict[str, Option]:
        """The options that a plan may set, by name: the work's arguments without the device's.

        >>> from edusense.bench.registry import find
        >>> find("command-line").options()["runs"].kind
        <class 'int'>
        """
        from_device = DEVICE_ARGUMENTS.get(self.device, ()) if self.device else ()
        found = {}
        for name, parameter in inspect.signature(self.function()).parameters.items():
            if name in from_device or parameter.default is parameter.empty or name.startswith("_"):
                continue
            default = self.run.get(name, parameter.default)
            kind = type(default) if default is not None else str
            found[name] = Option(name, default, kind)
        return found

    def kind(self, figure: str) -> Kind | None:
        """The figure of that id."""
        return next((kind for kind in self.figures if kind.id == figure), None)

    @property
    def limit_s(self) -> float:
        """Seconds after which a run is ended as hung."""
        return self.deadline_s if self.deadline_s is not None else 60 + 8 * self.seconds

    def measure(self, **arguments: Any) -> Measured:
        """One run.

        Args:
            **arguments: options, and what the device fills.
        """
        found = self.function()(**{**self.run, **arguments})
        return found if isinstance(found, Measured) else Measured(tuple(found))
