"""From a plan's file to the runs that it asks for, with every mistake in it named by line and column.

A profile is a plan that we ship: `edusense/bench/profiles/NAME.toml`. A plan of your own may start from one (`base`),
and then says only what differs.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from edusense.bench.plan_models import Device, Limit, MachineLimit, PlanFile, PlannedCase, School
from edusense.bench.registry import CASES, find
from edusense.errors import BenchPlanError, SiteError
from edusense.nearest import perhaps
from edusense.site.problems import Problem, from_pydantic, located
from edusense.site.toml import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edusense.bench.case import Case

__all__ = ["PROFILES", "Plan", "Unit", "load", "loads", "profiles"]

PROFILES: Final = Path(__file__).parent / "profiles"
_MAX_BYTES: Final = 1 << 20
_DEFAULT_DISK: Final = "disk"


@dataclass(frozen=True)
class Unit:
    """One case on one device, with what a plan says about it: what is run several times.

    Args:
        case: the case.
        device: the device; None for a case that needs none, or where the plan names none of its kind.
        options: every option of the case with its value.
        rounds: how often it is run.
        limits: what its figures must keep.
        reason: why it is not run; None where it is.
        hint: what to do about that.
    """

    case: Case
    device: Device | None
    options: dict[str, Any]
    rounds: int
    limits: tuple[Limit, ...] = ()
    reason: str | None = None
    hint: str | None = None

    @property
    def key(self) -> str:
        """Its name in a report: the case, and the device where there is one.

        >>> Unit(find("ingest"), None, {}, 3).key
        'ingest'
        """
        return self.case.id if self.device is None else f"{self.case.id}@{self.device.id}"

    def arguments(self) -> tuple[dict[str, Any], list[str]]:
        """What the work is called with, and which of it are references to secrets."""
        given = dict(self.options)
        if self.device is None:
            return given, []
        if self.device.kind == "disk":
            return {**given, "folder": self.device.address}, []
        if self.device.kind == "reader":
            return {**given, "address": self.device.address}, []
        given |= {"url": self.device.address, "user": self.device.user, "password": self.device.password}
        return given, ["password"] if self.device.password is not None else []

    def command(self) -> str:
        """The command that measures this again."""
        words = ["edusense bench case", self.case.id, f"--runs {self.rounds}"]
        if self.device is not None:
            words.append(f"--{self.device.kind} {_quoted(self.device.address)}")
            if self.device.user is not None:
                words.append(
                    f"--user {_quoted(self.device.user)} --password-from {_quoted(self.device.password or '')}"
                )
        defaults = self.case.options()
        for name, value in self.options.items():
            if name not in defaults or defaults[name].default != value:
                words.append(f"--option {_quoted(f'{name}={_text(value)}')}")
        return " ".join(words)


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Args:
        title: what the report is called.
        units: cases on devices, in the order of the report.
        profile: the shipped profile that it is or starts from.
        summary: what it is for.
        minutes: when no further run is begun; None: never.
        seed: of the order of runs, and of every case that draws anything.
        school: the school it is for.
        machine: what the machine must have.
    """

    title: str
    units: tuple[Unit, ...]
    profile: str | None = None
    summary: str = ""
    minutes: float | None = None
    seed: int = 1
    school: School | None = None
    machine: tuple[MachineLimit, ...] = ()
    devices: tuple[Device, ...] = field(default=())

    @property
    def seconds(self) -> float:
        """About how long it takes."""
        return sum(unit.rounds * (unit.case.seconds + 0.9) for unit in self.units if unit.reason is None)

    def only(self, names: Sequence[str]) -> Plan:
        """The same plan with these cases alone.

        Args:
            names: ids of cases.

        Raises:
            BenchPlanError: one is not in the plan.
        """
        known = list(dict.fromkeys(unit.case.id for unit in self.units))
        for name in names:
            if name not in known:
                hint = perhaps(name, known) or f"its cases are {', '.join(known)}"
                raise BenchPlanError(f"`{self.title}` has no case `{name}`", hint=hint)
        return replace(self, units=tuple(unit for unit in self.units if unit.case.id in names))

    def to_json(self) -> dict[str, Any]:
        """The plan as it stands in a report, and as resuming compares it. Secrets are references."""
        return {
            "title": self.title,
            "profile": self.profile,
            "summary": self.summary,
            "minutes": self.minutes,
            "seed": self.seed,
            "school": self.school.model_dump(mode="json") if self.school else None,
            "machine": [limit.model_dump(mode="json") for limit in self.machine],
            "devices": [device.model_dump(mode="json", exclude_none=True) for device in self.devices],
            "units": [
                {
                    "key": unit.key,
                    "case": unit.case.id,
                    "what": unit.case.what,
                    "figures": [asdict(kind) for kind in unit.case.figures],
                    "device": unit.device.id if unit.device else None,
                    "options": unit.options,
                    "rounds": unit.rounds,
                    "limits": [limit.model_dump(mode="json", exclude_none=True) for limit in unit.limits],
                    "reason": unit.reason,
                    "hint": unit.hint,
                    "command": unit.command(),
                }
                for unit in self.units
            ],
        }


def profiles() -> dict[str, Path]:
    """The shipped profiles by name.

    >>> "school-40" in profiles()
    True
    """
    return {path.stem: path for path in sorted(PROFILES.glob("*.toml"))}


def load(name: str, devices: Iterable[Device] = (), **changes: Any) -> Plan:
    """Reads a profile or a plan.

    Args:
        name: a profile's name, or a file.
        devices: more devices, from the command line.
        **changes: as in `loads`: what goes before the file's own.

    Raises:
        BenchPlanError: there is no such profile or file, or something in it is wrong; all of it, with places.
    """
    known = profiles()
    if name in known:
        return loads(_read(known[name]), path=str(known[name]), profile=name, devices=devices, **changes)
    path = Path(name)
    if not path.exists():
        hint = perhaps(name, known) or f"profiles are {', '.join(known)}; a plan of your own is a TOML file"
        raise BenchPlanError(f"there is no profile and no file `{name}`", hint=hint)
    return loads(_read(path), path=name, devices=devices, **changes)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise BenchPlanError(f"it cannot be read: {error.strerror}", path=str(path)) from None
    if len(content) > _MAX_BYTES:
        raise BenchPlanError("it is longer than 1 MiB", hint="is this the right file?", path=str(path))
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BenchPlanError("not UTF-8", hint="save it as UTF-8", path=str(path), line=line, column=1) from None


def loads(
    text: str,
    *,
    path: str | None = None,
    profile: str | None = None,
    devices: Iterable[Device] = (),
    minutes: float | None = None,
    rounds: int | None = None,
    seed: int | None = None,
    disk: str = ".",
) -> Plan:
    """Checks the text of a plan and makes its units.

    Args:
        text: TOML.
        path: the file that it stands for, named in errors.
        profile: its name, where it is a shipped profile.
        devices: more devices, from the command line.
        minutes: goes before the file's own.
        rounds: goes before the file's own, for every case.
        seed: goes before the file's own.
        disk: the folder whose disk is measured where no disk is named.

    Raises:
        BenchPlanError: something is wrong; all of it, with places.

    >>> plan = loads('title = "Disk"\\n[[cases]]\\nid = "meal"\\nrounds = 3')
    >>> [(unit.key, unit.rounds) for unit in plan.units]
    [('meal@disk', 3)]
    """
    file = _checked(text, path)
    chain = [(profile or path, file)]
    while file.base is not None:
        known = profiles()
        file = _checked(_read(known[file.base]), str(known[file.base]))
        chain.append((file.title, file))
    first = chain[-1][1]
    for _, above in reversed(chain[:-1]):
        first = _over(first, above)
    base = chain[-2][1].base if len(chain) > 1 else None
    named = [*first.devices, *devices]
    if not any(device.kind == "disk" for device in named):
        named.append(Device(id=_DEFAULT_DISK, kind="disk", address=disk))
    cases = first.cases or [PlannedCase(id=case.id) for case in CASES]
    units = [unit for planned in cases for unit in _units(planned, named, rounds or first.rounds, rounds)]
    return Plan(
        title=first.title,
        units=tuple(units),
        profile=profile or base,
        summary=first.summary,
        minutes=minutes if minutes is not None else first.minutes,
        seed=seed if seed is not None else (first.seed if first.seed is not None else 1),
        school=first.school,
        machine=tuple(first.machine),
        devices=tuple(named),
    )


def _over(below: PlanFile, above: PlanFile) -> PlanFile:
    """A profile with a plan laid over it: what the plan says holds, its cases replace those of the same id."""
    said = {name: getattr(above, name) for name in above.model_fields_set if name not in {"cases", "devices", "base"}}
    cases = {(case.id, case.device): case for case in below.cases}
    for case in above.cases:
        before = cases.get((case.id, case.device)) or cases.get((case.id, None))
        if before is not None:
            changed = {name: getattr(case, name) for name in case.model_fields_set}
            changed["options"] = before.options | case.options
            case = before.model_copy(update=changed)
        cases[case.id, case.device] = case
    devices = {device.id: device for device in [*below.devices, *above.devices]}
    return below.model_copy(
        update={**said, "base": None, "cases": list(cases.values()), "devices": list(devices.values())}
    )


def _units(planned: PlannedCase, devices: Sequence[Device], every: int | None, asked: int | None) -> Iterable[Unit]:
    case = find(planned.id)
    options = {name: option.default for name, option in case.options().items() if option.default is not None}
    options |= planned.options
    count = asked or planned.rounds or (case.rounds if case.once else every) or case.rounds
    rounds = 1 if case.once else count
    unit = Unit(case, None, options, rounds, tuple(planned.limits), reason=planned.skip)
    if case.device is None:
        yield unit
        return
    fitting = [device for device in devices if device.kind == case.device and planned.device in {None, device.id}]
    if fitting:
        yield from (replace(unit, device=device) for device in fitting)
    else:
        option = f"--{case.device} " + {"camera": "URL", "reader": "ADDRESS", "disk": "DIR"}[case.device]
        hint = f"`{option}`, or [[devices]] in a plan"
        yield replace(unit, reason=planned.skip or f"no {case.device} was named", hint=None if planned.skip else hint)


def _checked(text: str, path: str | None) -> PlanFile:
    try:
        data, keys, values = parse(text)
    except SiteError as error:
        raise _of_plan(error, path) from None
    try:
        file = PlanFile.model_validate(data)
        problems = list(_between(file, data))
    except ValidationError as error:
        problems = [
            replace(
                one,
                message=one.message.replace("in the site file", "in a plan").replace("the site file", "a plan"),
                hint=one.hint if one.hint is None or "site new" not in one.hint else None,
            )
            for one in from_pydantic(error, data, PlanFile)
        ]
    found = located(problems, keys, values, path)
    if found is not None:
        raise _of_plan(found, path)
    return file


def _of_plan(error: SiteError, path: str | None) -> BenchPlanError:
    """The same error, said of a plan."""
    made = BenchPlanError(error.message, hint=error.hint, path=path, line=error.line, column=error.column)
    made.others = tuple(_of_plan(other, path) for other in error.others)
    return made


def _between(file: PlanFile, data: dict[str, Any]) -> Iterable[Problem]:
    """What is wrong between the plan and the cases that there are."""
    if file.base is not None and file.base not in profiles():
        known = profiles()
        hint = perhaps(file.base, known) or f"profiles are {', '.join(known)}"
        yield Problem("site-value", ("base",), f"there is no profile `{file.base}`", hint)
    seen: dict[str, int] = {}
    for index, device in enumerate(file.devices):
        if device.id in seen:
            yield Problem("site-value", ("devices", index, "id"), f"a device `{device.id}` is there already")
        seen.setdefault(device.id, index)
    planned: set[tuple[str, str | None]] = set()
    for index, case in enumerate(file.cases):
        place = ("cases", index)
        if (case.id, case.device) in planned:
            hint = "one case runs once on each device: its rounds say how often"
            yield Problem("site-value", (*place, "id"), f"the case `{case.id}` is there already", hint)
        planned.add((case.id, case.device))
        yield from _of_case(place, case, file.devices)


def _of_case(place: tuple[str | int, ...], planned: PlannedCase, devices: Sequence[Device]) -> Iterable[Problem]:
    try:
        case = find(planned.id)
    except BenchPlanError as error:
        yield Problem("site-value", (*place, "id"), error.message, error.hint)
        return
    if planned.device is not None:
        device = next((device for device in devices if device.id == planned.device), None)
        if device is None:
            hint = perhaps(planned.device, [one.id for one in devices]) or "name it in [[devices]]"
            yield Problem("site-value", (*place, "device"), f"there is no device `{planned.device}`", hint)
        elif device.kind != case.device:
            message = f"`{device.id}` is a {device.kind}, and the case `{case.id}` measures "
            yield Problem("site-value", (*place, "device"), message + (f"a {case.device}" if case.device else "none"))
    known = case.options()
    for name, value in planned.options.items():
        at = (*place, "options", name)
        if name not in known:
            hint = perhaps(name, known) or (f"its options are {', '.join(known)}" if known else "it has none")
            yield Problem("site-value", at, f"the case `{case.id}` has no option `{name}`", hint, at_key=True)
        elif not _fits(value, known[name].kind):
            words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
            expected = words.get(known[name].kind, "a list")
            yield Problem("site-value", at, f"`{name}`: expected {expected}, as {json.dumps(known[name].default)}")
    for index, limit in enumerate(planned.limits):
        yield from _of_limit((*place, "limits", index), case, limit)


def _fits(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in (tuple, list):
        return isinstance(value, list)
    return isinstance(value, kind)


def _of_limit(place: tuple[str | int, ...], case: Case, limit: Limit) -> Iterable[Problem]:
    kind = case.kind(limit.figure)
    if kind is None:
        known = [one.id for one in case.figures]
        hint = perhaps(limit.figure, known) or f"its figures are {', '.join(known)}"
        yield Problem("site-value", (*place, "figure"), f"the case `{case.id}` has no figure `{limit.figure}`", hint)
    elif limit.unit is not None and limit.unit != kind.unit:
        message = f"`{limit.figure}` is measured in {kind.unit}, and this limit is in {limit.unit}"
        yield Problem("site-value", (*place, "unit"), message, f'unit = "{kind.unit}", and the limit to go with it')
