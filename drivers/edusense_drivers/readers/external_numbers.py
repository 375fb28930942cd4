"""The numbers that other terminals hand over: lines, JSON or a form in, a person's number out. No socket, no clock.

A terminal that knows people by their palm or face may send more than a number. Nothing but the number leaves this
module: no field, no template, and no message that quotes what came.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from edusense.devices.card_kinds import text_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FIELDS", "LONGEST", "LineCutter", "Told", "number_in_body", "number_in_line"]

FIELDS: Final = ("person", "number", "id", "pin", "user_id", "employeeNo")
"""Names under which terminals send a person's number, in the order in which they are looked for."""
LONGEST: Final = 65_536
"""Bytes of a body at most: a number has ten, and templates that come with it some thousands."""
_LINE: Final = 4096


@dataclass(frozen=True, slots=True)
class Told:
    """What a terminal handed over.

    Args:
        number: the person's number; None where there was none.
        problem: why there was none, without a word of what came.
        dropped: names of the fields that came along and were not looked at.
    """

    number: str | None
    problem: str | None = None
    dropped: tuple[str, ...] = ()


def number_in_line(line: bytes, kind: str = "person", fields: Sequence[str] = FIELDS) -> Told:
    """The number in a line: alone, or as a field of a JSON object.

    >>> number_in_line(b"1017").number, number_in_line(b'{"person": 1017, "template": "AAECAw=="}').dropped
    ('1017', ('template',))
    """
    text = line.strip()
    if text.startswith(b"{"):
        return number_in_body(text, "application/json", kind, fields)
    try:
        return _checked(text.decode("ascii"), kind)
    except UnicodeDecodeError:
        return Told(None, f"a line of {len(line)} bytes that are no text")


def number_in_body(body: bytes, content_type: str, kind: str = "person", fields: Sequence[str] = FIELDS) -> Told:
    """The number in the body of a request.

    Args:
        body: the body, at most `LONGEST` bytes.
        content_type: what it says that it is: JSON, a form, or plain text.
        kind: `person` or `pupil`: what characters a number may have.
        fields: names under which it may stand.

    >>> number_in_body(b"person=1017&face=AAECAw", "application/x-www-form-urlencoded").number
    '1017'
    """
    media = content_type.partition(";")[0].strip().lower()
    if media in ("application/json", "text/json") or body[:1] == b"{":
        try:
            told = json.loads(body)
        except (ValueError, RecursionError):
            return Told(None, f"{len(body)} bytes that are no JSON")
        return _field(told, kind, fields) if isinstance(told, dict) else Told(None, "JSON that is no object")
    if media == "application/x-www-form-urlencoded":
        try:
            return _field(dict(parse_qsl(body.decode("ascii"), max_num_fields=64)), kind, fields)
        except ValueError:
            return Told(None, f"{len(body)} bytes that are no form")
    if media in ("text/plain", ""):
        return number_in_line(body, kind, fields)
    return Told(None, "a kind of body that holds no number: send JSON, a form or plain text")


def _field(told: dict[Any, Any], kind: str, fields: Sequence[str]) -> Told:
    name = next((name for name in fields if name in told), None)
    dropped = tuple(str(other)[:32] for other in told if other != name)[:16]
    if name is None:
        return Told(None, f"no field {' or '.join(fields)}", dropped)
    value = told[name]
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return Told(None, f"a field `{name}` that is no number", dropped)
    found = _checked(str(value).strip(), kind)
    return Told(found.number, found.problem, dropped)


def _checked(text: str, kind: str) -> Told:
    if problem := text_problem(kind, text):
        return Told(None, f"a number of {len(text)} characters that no {kind} has: {problem}")
    return Told(text)


class LineCutter:
    """Lines out of bytes, whatever pieces they come in; keeps 4096 bytes at most.

    >>> LineCutter().push(b"1017\\r\\n10")
    [b'1017']
    """

    def __init__(self) -> None:
        self._held = b""
        self._overlong = False

    def push(self, data: bytes) -> list[bytes | None]:
        """Takes the next bytes; the lines that are whole now, None for one that was longer than any."""
        *lines, self._held = (self._held + data).replace(b"\r", b"\n").split(b"\n")
        told: list[bytes | None] = []
        for line in lines:
            if self._overlong or len(line) > _LINE:
                told.append(None)
            elif line.strip():
                told.append(line)
            self._overlong = False
        if len(self._held) > _LINE:
            self._held, self._overlong = b"", True
        return told
