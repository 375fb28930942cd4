"""A case: one thing that happened, from the first finding to the last answer, and which answers it takes.

```text
new ──► sent ──► seen ──► taken ──► closed
  ╲_______╲_______╲________╲______► false
```

`sent`: a destination has it. `seen`: somebody looked at it. `taken`: somebody acts on it. `closed` and `false` (a false
alarm) end it. A case only moves to the right; an answer that would move it back is kept with who and when, and leaves
the state as it is.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from edusense.errors import CaseClosedError, UsageError
from edusense.nearest import perhaps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edusense.alerts.finding import Box, Severity

__all__ = ["ANSWERS", "OPEN", "STATES", "Answer", "Case", "State", "case_id"]

State = Literal["new", "sent", "seen", "taken", "closed", "false"]
Answer = Literal["seen", "taken", "closed", "false"]

STATES: Final[tuple[State, ...]] = ("new", "sent", "seen", "taken", "closed", "false")
ANSWERS: Final[tuple[Answer, ...]] = ("seen", "taken", "closed", "false")
"""What people may say to a case."""
OPEN: Final[tuple[State, ...]] = ("new", "sent", "seen", "taken")
"""States in which a case takes answers."""

_DIGITS: Final = "0123456789abcdefghijkmnpqrstuvwxyz"
"""Without l and o, which people take for 1 and 0."""


@dataclass(frozen=True)
class Case:
    """One thing that happened.

    Attributes:
        case: its id, unique for ever: also where a disk is put back from an old image.
        number: its number in this box's database, for people.
        state: how far it is.
        severity: how grave it is now.
        finding: the kind of what was found.
        camera: the camera's id.
        room: the camera's room.
        zone: the zone's id.
        start_s: when it began, Unix seconds.
        last_s: when it was last seen to go on.
        clock_error_s: by how much these may be wrong.
        opened_s: when the box opened the case.
        count: findings in it.
        confidence: of the clearest finding.
        boxes: where in the picture, of the first finding.
        rule: what made the first finding.
        version: its version.
        source: who ran it.
        text: a sentence for people.
        event: the motion event that it rests on.
        destinations: where it goes.
        test: it is a test.
        sequence: number of the last message about it.
        escalated: how often nobody answered in time.
        answered_by: who answered last, and `answered_s` when.
        seen_s: when somebody first said so; `taken_s` and `closed_s` likewise.
    """

    case: str
    number: int
    state: State
    severity: Severity
    finding: str
    camera: str | None
    room: str | None
    zone: str | None
    start_s: float
    last_s: float
    clock_error_s: float
    opened_s: float
    count: int = 1
    confidence: float = 1.0
    boxes: tuple[Box, ...] = ()
    rule: str = ""
    version: str = ""
    source: str = ""
    text: str | None = None
    event: str | None = None
    destinations: tuple[str, ...] = ()
    test: bool = False
    sequence: int = 0
    escalated: int = 0
    answered_by: str | None = None
    answered_s: float | None = None
    seen_s: float | None = None
    taken_s: float | None = None
    closed_s: float | None = None
    attachments: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What belongs to it: by name (`still`, `clip`) its `media_type`, `bytes` and `sha256`."""

    @property
    def is_open(self) -> bool:
        """Whether it takes answers."""
        return self.state in OPEN

    def answered(self, answer: str, *, by: str, at_s: float) -> Case:
        """The case after an answer.

        Args:
            answer: one of `ANSWERS`.
            by: who.
            at_s: when.

        Raises:
            UsageError: no such answer.
            CaseClosedError: it takes no answers any more.

        >>> case = Case("c", 1, "new", "severe", "fire", None, None, None, 0.0, 0.0, 0.5, 0.0)
        >>> case.answered("taken", by="ЦОУ", at_s=1.0).answered("seen", by="guard", at_s=2.0).state
        'taken'
        """
        if answer not in ANSWERS:
            raise UsageError(
                f"`{answer[:40]}` is not an answer to a case",
                hint=perhaps(answer, ANSWERS) or f"one of: {', '.join(ANSWERS)}",
            )
        if not self.is_open:
            raise CaseClosedError(
                f"case `{self.case}` is {self.state}: {self.answered_by} said so",
                hint="a new finding opens a new case",
            )
        moved: Any = answer if STATES.index(answer) > STATES.index(self.state) else self.state
        times = {"seen": "seen_s", "taken": "taken_s", "closed": "closed_s", "false": "closed_s"}
        first = times[answer]
        known: dict[str, Any] = {} if getattr(self, first) is not None else {first: at_s}
        return replace(self, state=moved, answered_by=by, answered_s=at_s, **known)

    def to_json(self) -> dict[str, Any]:
        """The case as a JSON object."""
        row = {part.name: getattr(self, part.name) for part in fields(self)}
        return row | {"boxes": [list(box) for box in self.boxes], "destinations": list(self.destinations)}

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Case:
        """The case that a JSON object of ours holds; keys of a newer edusense are left."""
        known = {part.name for part in fields(cls)}
        given = {key: value for key, value in row.items() if key in known}
        given["boxes"] = tuple((box[0], box[1], box[2], box[3]) for box in given.get("boxes", ()))
        given["destinations"] = tuple(given.get("destinations", ()))
        return cls(**given)


def case_id(place: str, now_s: float) -> str:
    """A new case's id: where, when, and enough chance that no two are ever alike.

    Args:
        place: the zone or the kind of finding.
        now_s: Unix seconds.

    >>> case_id("attic-door", 1_790_000_000.0)[:-8]
    'attic-door-15dgewu'
    """
    rest, stamp = int(max(0.0, now_s)), ""
    while rest:
        rest, digit = divmod(rest, len(_DIGITS))
        stamp = _DIGITS[digit] + stamp
    return f"{place[:60]}-{stamp}{''.join(secrets.choice(_DIGITS) for _ in range(8))}"
