"""The line protocol of the box's socket: requests and answers as bytes, no sockets (docs/reference/socket-protocol.md).

A request is one JSON object on a line. An answer is any number of *rows* (JSON objects with a `kind`), then one *end
line* with `ok`: true, or false with `error`, `message` and `hint`. An end line with `bytes` is followed by exactly so
many bytes.

>>> parse_request(b'{"request":"retry","camera":"205-front"}')
Request(name='retry', arguments={'camera': '205-front'})
>>> encode({"ok": True, "rows": 0})
b'{"ok":true,"rows":0}\\n'
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edusense.errors import BoxProtocolError, EdusenseError, class_of
from edusense.nearest import perhaps

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BEAT_S",
    "BODY_LIMIT",
    "LINE_LIMIT",
    "PAYLOAD_LIMIT",
    "PROTOCOL",
    "REQUESTS",
    "Request",
    "encode",
    "error_line",
    "error_of",
    "parse_line",
    "parse_request",
]

PROTOCOL = 2
"""Raised when something is taken away or changes its meaning; additions leave it alone. 2: exports need a `reason`."""
LINE_LIMIT = 65_536
"""Longest line either side accepts, in bytes, its line feed included."""
PAYLOAD_LIMIT = 1 << 30
"""Longest binary payload a client accepts, in bytes."""
BEAT_S = 5.0
"""A follower gets a `beat` row when nothing else was sent for so many seconds; three missed ones mean a dead box."""


@dataclass(frozen=True)
class Argument:
    """One argument of a request: what JSON type it has and whether it must be there."""

    type: type
    required: bool = False
    most: int = 200
    """Longest string, or most items of a list."""


_REASON = Argument(str, required=True, most=500)
"""Why a picture or clip is taken away: who, what and why go to the audit log."""

REQUESTS: dict[str, dict[str, Argument]] = {
    "hello": {},
    "status": {},
    "events": {"since": Argument(int), "follow": Argument(bool), "kinds": Argument(list, most=32)},
    "clip": {"event": Argument(str, required=True), "reason": _REASON},
    "thumbnail": {"event": Argument(str, required=True), "reason": _REASON},
    "snapshot": {"camera": Argument(str, required=True), "reason": _REASON},
    "heatmap": {"camera": Argument(str, required=True), "reason": _REASON},
    "record-export": {"what": Argument(str, required=True), "of": Argument(str, required=True), "reason": _REASON},
    "retry": {"camera": Argument(str, required=True)},
    "tap": {"terminal": Argument(str, required=True), "card": Argument(str, required=True)},
    "cases": {"open": Argument(bool), "most": Argument(int)},
    "case": {"case": Argument(str, required=True)},
    "case-file": {"case": Argument(str, required=True), "part": Argument(str, required=True)},
    "answer": {
        "case": Argument(str, required=True),
        "answer": Argument(str, required=True),
        "by": Argument(str, required=True),
        "note": Argument(str, most=500),
    },
    "raise-finding": {"finding": Argument(dict, required=True), "bytes": Argument(int)},
    "test-alert": {"zone": Argument(str, required=True)},
    "silence": {
        "place": Argument(str, required=True),
        "for": Argument(int, required=True),
        "by": Argument(str, required=True),
        "reason": Argument(str, most=500),
    },
    "silences": {"over": Argument(bool)},
    "unsilence": {"silence": Argument(int, required=True), "by": Argument(str, required=True)},
    "enter": {
        "terminal": Argument(str, required=True),
        "pupil": Argument(int, required=True),
        "operator": Argument(str, required=True),
        "reason": Argument(str, required=True, most=500),
        "words": Argument(str, most=500),
        "day": Argument(str),
        "slot": Argument(str),
    },
    "reverse": {
        "record": Argument(str, required=True),
        "operator": Argument(str, required=True),
        "reason": Argument(str, required=True, most=500),
        "words": Argument(str, most=500),
    },
    "confirm-clock": {"operator": Argument(str, required=True), "at": Argument(int)},
}
"""Every request and its arguments. A request with `bytes` is followed by exactly so many bytes."""
BODY_LIMIT = 1 << 20
"""Longest binary payload that a request may be followed by, in bytes."""

_WORDS = {str: "a string", int: "a whole number", bool: "true or false", list: "a list of strings", dict: "an object"}


@dataclass(frozen=True)
class Request:
    """A request that has been checked against `REQUESTS`."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def encode(value: Mapping[str, Any]) -> bytes:
    """One line of the protocol. Text that is not Unicode (a lone surrogate from outside) goes out escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), default=str).encode() + b"\n"


def parse_line(line: bytes) -> dict[str, Any]:
    """One line as a JSON object.

    Raises:
        BoxProtocolError: not UTF-8, not JSON, or not an object.
    """
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise BoxProtocolError(
            f"this line is not UTF-8: its byte {error.start} is 0x{line[error.start]:02X}",
            hint='one JSON object a line, for example {"request":"status"}',
        ) from None
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BoxProtocolError(
            f"this line is not JSON: {error if str(error) else type(error).__name__}",
            hint='one JSON object a line, for example {"request":"status"}',
        ) from None
    if not isinstance(value, dict):
        raise BoxProtocolError(
            f"a line must be a JSON object, not {_kind(value)}",
            hint='for example {"request":"status"}',
        )
    return value


def parse_request(line: bytes) -> Request:
    """Reads one request and checks its arguments.

    Args:
        line: the line, with or without its line feed.

    Raises:
        BoxProtocolError: what is wrong, and what would be right.
    """
    value = parse_line(line)
    name = value.pop("request", None)
    if not isinstance(name, str):
        raise BoxProtocolError("a request needs the key `request`", hint=f"one of: {', '.join(REQUESTS)}")
    if name not in REQUESTS:
        raise BoxProtocolError(f"`{name[:60]}` is not a request", hint=_nearest(name, REQUESTS, "requests"))
    known = REQUESTS[name]
    for key in value:
        if key not in known:
            raise BoxProtocolError(
                f"`{key[:60]}` is not an argument of `{name}`", hint=_nearest(key, known, f"arguments of `{name}`")
            )
    if isinstance(value.get("bytes"), int) and value["bytes"] > BODY_LIMIT:
        raise BoxProtocolError(f"`{name}` is followed by at most {BODY_LIMIT} bytes", hint=f"not {value['bytes']}")
    for key, argument in known.items():
        if key not in value:
            if argument.required:
                raise BoxProtocolError(f"`{name}` needs `{key}`", hint=f"`{key}` is {_WORDS[argument.type]}")
            continue
        _check(name, key, value[key], argument)
    return Request(name, value)


def _check(name: str, key: str, value: Any, argument: Argument) -> None:
    # bool is an int to Python, not to the protocol.
    right = isinstance(value, argument.type) and (argument.type is bool or not isinstance(value, bool))
    if right and argument.type is list:
        right = all(isinstance(item, str) and len(item) <= 200 for item in value)
    if not right:
        raise BoxProtocolError(
            f"`{key}` of `{name}` must be {_WORDS[argument.type]}, not {_kind(value)}",
            hint="docs/reference/socket-protocol.md lists the requests",
        )
    if isinstance(value, (str, list)) and not 1 <= len(value) <= argument.most:
        raise BoxProtocolError(
            f"`{key}` of `{name}` must have 1 to {argument.most} {'items' if argument.type is list else 'characters'}",
            hint=f"it has {len(value)}",
        )
    if key == "reason" and not value.strip():
        raise BoxProtocolError(f"`reason` of `{name}` is blank", hint="say why, in a few words")
    if argument.type is int and not 0 <= value < 2**53:
        raise BoxProtocolError(
            f"`{key}` of `{name}` must be 0 or more and below 2^53",
            hint="use a `cursor` that the box sent, or 0 for all events that are kept",
        )


def error_line(error: BaseException) -> dict[str, Any]:
    """The end line for an error; a bug of ours is named by its type alone, so that no secret leaks with its text."""
    if isinstance(error, EdusenseError):
        return {"ok": False, "error": error.code, "message": str(error), "hint": error.hint}
    return {
        "ok": False,
        "error": "internal",
        "message": f"a bug in edusense: {type(error).__name__}",
        "hint": "the box's log has the lines that belong to it",
    }


def error_of(line: Mapping[str, Any]) -> EdusenseError:
    """The exception for an end line with `ok` false: the class whose code it carries.

    >>> error_of({"ok": False, "error": "box-unknown", "message": "no camera `x`", "hint": None})
    BoxUnknownError('no camera `x`')
    """
    hint = line.get("hint")
    return class_of(str(line.get("error")))(
        str(line.get("message", "the box gave no reason")), hint=None if hint is None else str(hint)
    )


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}.get(
        type(value), "a number"
    )


def _nearest(word: str, known: Mapping[str, Any], what: str) -> str:
    guess = perhaps(word, known)
    listed = f"{what}: {', '.join(known) or 'none'}"
    return listed if guess is None else f"{guess}; {listed}"
