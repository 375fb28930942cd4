"""A finding: what a rule or an analyser holds to have seen, before anybody has decided what becomes of it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal

from edusense.errors import FindingError
from edusense.nearest import perhaps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SEVERITIES", "Box", "Finding", "Severity", "raised"]

Box = tuple[float, float, float, float]
"""Left, top, width and height, each as a share of the picture."""

Severity = Literal["minor", "moderate", "severe", "extreme"]

SEVERITIES: Final[tuple[Severity, ...]] = ("minor", "moderate", "severe", "extreme")
"""From the least to the gravest, in the words of the Common Alerting Protocol (OASIS CAP 1.2, section 3.2.2)."""

_KIND: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MOST_BOXES: Final = 32
_TEXTS: Final = {"rule": 100, "version": 100, "source": 200, "camera": 64, "zone": 64, "event": 200, "text": 500}
"""Most characters of each text."""
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What moves a terminal's cursor, and halves of characters: none of them gets into a log."""


@dataclass(frozen=True)
class Finding:
    """What was seen, where, when and by whom.

    Attributes:
        kind: what it is, in kebab-case: `forbidden-entry`, `fire`, `fight`.
        camera: the camera's id; None for what no camera saw.
        start_s: when it began, Unix seconds.
        end_s: when it ended; None while it goes on.
        clock_error_s: by how much these times may be wrong.
        confidence: how sure the rule is, 0 to 1.
        severity: how grave it is.
        zone: the zone that it is about; None for the whole picture.
        boxes: where in the picture, as shares of it.
        rule: name of the rule or analyser that made it.
        version: its version.
        source: who ran it: findings are limited by source.
        event: the motion event that it rests on, for still and clip.
        text: a sentence for people.
        test: it is marked as a test on its whole way.

    Raises:
        FindingError: a value is outside what it may be.

    >>> Finding("fire", camera="205-front", start_s=1_790_000_000.0, rule="smoke", version="3").severity
    'moderate'
    """

    kind: str
    camera: str | None
    start_s: float
    rule: str
    version: str
    end_s: float | None = None
    clock_error_s: float = 0.5
    confidence: float = 1.0
    severity: Severity = "moderate"
    zone: str | None = None
    boxes: tuple[Box, ...] = ()
    source: str = "box"
    event: str | None = None
    text: str | None = None
    test: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if not _KIND.fullmatch(self.kind) or len(self.kind) > 64:
            raise FindingError(
                f"`{self.kind[:80]}` is not a kind of finding", hint="small letters and hyphens, such as `fire`"
            )
        if self.severity not in SEVERITIES:
            raise FindingError(
                f"`{str(self.severity)[:40]}` is not a severity",
                hint=perhaps(str(self.severity), SEVERITIES) or f"one of: {', '.join(SEVERITIES)}",
            )
        for name, most in _TEXTS.items():
            _text(name, getattr(self, name), most, needed=name in ("rule", "version", "source"))
        _times(self)
        if not 0.0 <= self.confidence <= 1.0:
            raise FindingError(f"a finding's confidence is between 0 and 1, not {self.confidence:g}")
        if len(self.boxes) > _MOST_BOXES:
            raise FindingError(f"a finding has at most {_MOST_BOXES} boxes, not {len(self.boxes)}")
        for box in self.boxes:
            _inside(box)

    def to_json(self) -> dict[str, Any]:
        """The finding as a JSON object."""
        return {part.name: _plain(getattr(self, part.name)) for part in fields(self)}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Finding:
        """A finding out of a JSON object from outside.

        Raises:
            FindingError: a key is missing, unknown, or of another type.
        """
        known = {part.name for part in fields(cls)}
        for key in told:
            if key not in known:
                raise FindingError(
                    f"a finding has no `{str(key)[:60]}`",
                    hint=perhaps(str(key), known) or f"it has: {', '.join(sorted(known))}",
                )
        for key in ("kind", "start_s", "rule", "version"):
            if key not in told:
                raise FindingError(f"a finding needs `{key}`", hint=_EXAMPLE)
        given = {"camera": None, **{key: value for key, value in told.items() if value is not None}}
        for key, kinds in _TYPES.items():
            if key in given and given[key] is not None and not _is(given[key], kinds):
                raise FindingError(f"`{key}` of a finding must be {_WORDS[kinds]}", hint=_EXAMPLE)
        given["boxes"] = tuple(_box(box) for box in given.get("boxes", ()))
        return cls(**given)


_EXAMPLE: Final = '{"kind":"fire","camera":"205-front","start_s":1790000000.0,"rule":"smoke","version":"3"}'
_TEXT, _NUMBER, _LIST, _BOOL = (str,), (int, float), (list, tuple), (bool,)
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    **dict.fromkeys(("kind", "camera", "rule", "version", "severity", "zone", "source", "event", "text"), _TEXT),
    **dict.fromkeys(("start_s", "end_s", "clock_error_s", "confidence"), _NUMBER),
    "boxes": _LIST,
    "test": _BOOL,
}
_WORDS: Final[Mapping[tuple[type, ...], str]] = {
    _TEXT: "a text",
    _NUMBER: "a number",
    _LIST: "a list",
    _BOOL: "true or false",
}


def raised(severity: Severity, steps: int = 1) -> Severity:
    """A severity made graver by so many steps; the gravest stays what it is.

    >>> raised("severe"), raised("extreme")
    ('extreme', 'extreme')
    """
    return SEVERITIES[min(SEVERITIES.index(severity) + steps, len(SEVERITIES) - 1)]


def _text(name: str, value: str | None, most: int, *, needed: bool) -> None:
    if value is None:
        return
    if len(value) > most or (needed and not value.strip()):
        raise FindingError(f"`{name}` of a finding has {'1 to' if needed else 'at most'} {most} characters")
    if _CONTROL.search(value):
        raise FindingError(f"`{name}` of a finding holds control characters", hint="plain text, on one line")


def _times(finding: Finding) -> None:
    for name in ("start_s", "end_s", "clock_error_s"):
        value = getattr(finding, name)
        if value is not None and not (math.isfinite(value) and 0 <= value < 1e11):
            raise FindingError(f"`{name}` of a finding must be seconds, not {value!r}", hint="Unix seconds")
    if finding.end_s is not None and finding.end_s < finding.start_s:
        raise FindingError("a finding cannot end before it begins")


def _inside(box: Sequence[float]) -> None:
    left, top, width, height = box
    if not all(math.isfinite(value) for value in box):
        raise FindingError("a finding's box holds what is no number")
    slack = 1e-6
    if left < 0 or top < 0 or width <= 0 or height <= 0 or left + width > 1 + slack or top + height > 1 + slack:
        raise FindingError(
            f"the box {[round(value, 4) for value in box]} is not inside the picture",
            hint="left, top, width and height as shares of the picture, from 0 to 1",
        )


def _box(value: Any) -> Box:
    if not isinstance(value, (list, tuple)) or len(value) != 4 or not all(_is(part, _NUMBER) for part in value):
        raise FindingError("a finding's box is a list of four numbers", hint="[left, top, width, height], as shares")
    left, top, width, height = (float(part) for part in value)
    return (left, top, width, height)


def _is(value: Any, kinds: tuple[type, ...]) -> bool:
    # bool is an int to Python, not to JSON.
    return isinstance(value, kinds) and (kinds == _BOOL or not isinstance(value, bool))


def _plain(value: Any) -> Any:
    return [list(box) for box in value] if isinstance(value, tuple) else value
