"""From what a check found to an error with a place, a sentence and a hint.

A `Problem` knows its path in the file (as pydantic's `loc`: `("cameras", 3, "room")`); `located` turns all of a
file's problems into one `SiteError` with the rest in `.others`.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import types
import typing
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import SiteError, class_of
from edusense.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

__all__ = ["Loc", "Place", "Problem", "from_pydantic", "located", "shown", "who"]

Loc = tuple[str | int, ...]
Place = tuple[int, int]

_SECRETIVE: Final = re.compile(r"pass|secret|token|(^|_)key|(^|_)pin|credential|pwd", re.IGNORECASE)
_PASSWORD: Final = re.compile(r"pass(word|wd|phrase)?|pwd|secret", re.IGNORECASE)
_SINGULAR: Final = {
    "rooms": "room",
    "cameras": "camera",
    "readers": "reader",
    "terminals": "terminal",
    "slots": "slot",
    "zones": "zone",
    "destinations": "destination",
}


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        code: the `code` of a class below `SiteError`.
        loc: its path in the file.
        message: one sentence.
        hint: what to do next.
        at_key: the key is wrong, not its value.
    """

    code: str
    loc: Loc
    message: str
    hint: str | None = None
    at_key: bool = False


def located(
    problems: Iterable[Problem], keys: Mapping[Loc, Place], values: Mapping[Loc, Place], path: str | None
) -> SiteError | None:
    """All problems as one error, in the order of the file; None where there is no problem.

    Args:
        problems: what was found.
        keys: places of keys.
        values: places of values.
        path: the file, for the errors.
    """
    errors = []
    for problem in problems:
        line, column = _place(problem, keys, values)
        made = class_of(problem.code)
        cls = made if issubclass(made, SiteError) else SiteError
        errors.append(cls(problem.message, hint=problem.hint, path=path, line=line, column=column))
    if not errors:
        return None
    errors.sort(key=lambda error: (error.line or 0, error.column or 0))
    first, *rest = errors
    first.others = tuple(rest)
    return first


def _place(problem: Problem, keys: Mapping[Loc, Place], values: Mapping[Loc, Place]) -> Place:
    if problem.at_key and problem.loc in keys:
        return keys[problem.loc]
    for length in range(len(problem.loc), 0, -1):
        if (place := values.get(problem.loc[:length])) is not None:
            return place
    return (1, 1)


def from_pydantic(error: ValidationError, data: Mapping[str, Any], model: type[BaseModel]) -> list[Problem]:
    """What pydantic found, in our words.

    Args:
        error: its findings.
        data: what was validated, to name things by their id.
        model: the model it was held against, to name the nearest key.
    """
    # Without inputs: what stands in the file may be a secret, and `shown` decides what may be repeated.
    details = error.errors(include_url=False, include_input=False)
    # A required key that is misspelt is missing too: one mistake, told once, where it stands.
    misspelt = {
        (*detail["loc"][:-1], nearest(str(detail["loc"][-1]), _keys_at(model, detail["loc"][:-1])))
        for detail in details
        if detail["type"] == "extra_forbidden"
    }
    return [
        _problem(detail, data, model)
        for detail in details
        if not (detail["type"] == "missing" and detail["loc"] in misspelt)
    ]


def _problem(detail: ErrorDetails, data: Mapping[str, Any], model: type[BaseModel]) -> Problem:
    kind, loc, context = detail["type"], detail["loc"], detail.get("ctx", {})
    if loc and loc[-1] == "[key]":  # a table's own name, as in [credentials.NAME]
        return Problem(
            "site-value",
            loc[:-1],
            f"{who(loc[:-1], data)}{context.get('message', detail['msg'])}",
            context.get("hint"),
            at_key=True,
        )
    subject = who(loc, data)
    if kind.startswith("site-"):
        return Problem(kind, loc, f"{subject}{context['message']}", context.get("hint"))
    if kind == "extra_forbidden":
        return _unknown_key(loc, data, model)
    if kind == "missing":
        return Problem("site-value", loc[:-1], f"{who(loc[:-1], data)}`{loc[-1]}` is missing", _example(str(loc[-1])))
    found = shown(_at(data, loc), loc)
    if kind == "literal_error":
        known = _words(context.get("expected", ""))
        guess = nearest(str(_at(data, loc)), known)
        hint = f'perhaps "{guess}"' if guess else f"known are {', '.join(known)}"
        return Problem("site-value", loc, f"{subject}{found} is not known here", hint)
    message = f"{subject}expected {_expected(kind, context)}, {found} stands here"
    return Problem("site-value", loc, message, _quoting(kind, loc, _at(data, loc)))


def _quoting(kind: str, loc: Loc, value: Any) -> str | None:
    """The commonest mistake: quotes around a number, or none around a text."""
    if any(isinstance(step, str) and _SECRETIVE.search(step) for step in loc):
        return None
    if kind == "int_type" and isinstance(value, str) and re.fullmatch(r"[\d_ ]{1,18}", value.strip()):
        return f"without quotes: {loc[-1]} = {value.strip().replace(' ', '_')}"
    if kind == "string_type" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return f'in quotes: {loc[-1]} = "{value}"' if isinstance(loc[-1], str) else f'in quotes: "{value}"'
    return None


def _unknown_key(loc: Loc, data: Mapping[str, Any], model: type[BaseModel]) -> Problem:
    if loc[:1] != ("credentials",) and _PASSWORD.fullmatch(str(loc[-1])):
        return Problem(
            "site-secret",
            loc,
            f"{who(loc[:-1], data)}a secret must not stand in the site file, only the place where it is kept",
            'a table [credentials.NAME] with user and password = "file:…" or "env:…", and here credentials = "NAME"; '
            "what stood here should be changed",
            at_key=True,
        )
    known = _keys_at(model, loc[:-1])
    guess = "password" if _PASSWORD.fullmatch(str(loc[-1])) else nearest(str(loc[-1]), known)
    table = _table_name(loc[:-1])
    hint = f"perhaps `{guess}`" if guess is not None else f"known here are {', '.join(f'`{name}`' for name in known)}"
    whose = who(loc[:-1], data) if any(isinstance(step, int) for step in loc) else ""
    message = f"{whose}there is no key `{str(loc[-1])[:80]}` in {table}"
    return Problem("site-unknown-key", loc, message, hint, at_key=True)


def who(loc: Loc, data: Mapping[str, Any]) -> str:
    """Whose value it is, as the beginning of a sentence: "camera `205-front`: `room`: "."""
    words: list[str] = []
    names: list[str] = []
    value: Any = data
    for index, step in enumerate(loc):
        before = loc[index - 1] if index else None
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            value = None
        if isinstance(step, int) and isinstance(before, str) and before in _SINGULAR:
            name = value.get("id") if isinstance(value, dict) else None
            words.append(
                f"{_SINGULAR[before]} `{name[:64]}`"
                if isinstance(name, str) and name
                else f"{_SINGULAR[before]} {step + 1}"
            )
            names = []
        elif isinstance(step, int):
            names.append(f"[{step}]")
        else:
            names.append(f".{step[:64]}" if names else step[:64])
    if names and not (len(names) == 1 and names[0] in _SINGULAR):
        words.append(f"`{''.join(names)}`")
    return "".join(f"{word}: " for word in words)


def shown(value: Any, loc: Loc = ()) -> str:
    """A value of the file as a person would call it; nothing that may be a secret."""
    secretive = any(isinstance(step, str) and _SECRETIVE.search(step) for step in loc)
    if isinstance(value, str):
        if secretive or re.search(r"//[^/]*@|:[^/]+@", value):
            return "a text"
        return f'the text "{value[:40]}{"…" if len(value) > 40 else ""}"'
    if isinstance(value, bool):
        return "a boolean" if secretive else f"`{str(value).lower()}`"
    if isinstance(value, (int, float)):
        return "a number" if secretive else f"the number {value!r}"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, (datetime.date, datetime.time)):
        return "a date or time"
    return "nothing"


_EXPECTED: Final = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "time_type": 'a time of day in quotes, as "11:00"',
    "path_type": "a path in quotes",
    "is_instance_of": "a path in quotes",
}


def _expected(kind: str, context: Mapping[str, Any]) -> str:
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    limits = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}
    if kind in limits:
        word, name = limits[kind]
        limit = context[name]
        return f"{word} {int(limit) if float(limit).is_integer() else limit}"
    if kind == "too_short":
        return f"at least {context['min_length']} elements"
    if kind == "too_long":
        return f"at most {context['max_length']} elements"
    if kind == "string_too_long":
        return f"at most {context['max_length']} characters"
    return f"something else ({kind.replace('_', ' ')})"


_EXAMPLES: Final = {
    "id": 'id = "205"',
    "number": "number = 51001",
    "room": 'room = "205"',
    "kind": 'kind = "classroom"',
    "from": 'from = "11:00"',
    "to": 'to = "14:30"',
    "price": 'price = "450.00"',
    "user": 'user = "edusense"',
    "password": 'password = "file:/etc/edusense/cameras.secret"',
    "driver": 'driver = "rdm6300"',
    "camera": 'camera = "205-front"',
    "polygon": "polygon = [[0.1, 0.2], [0.4, 0.2], [0.4, 0.9]]",
    "url": 'url = "https://…"',
    "site": "a file begins with [site]; `edusense site new` writes one to start from",
}


def _example(name: str) -> str | None:
    return _EXAMPLES.get(name)


def _words(expected: str) -> list[str]:
    return re.findall(r"'([^']*)'", expected)


def _at(data: Any, loc: Loc) -> Any:
    for step in loc:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _table_name(loc: Loc) -> str:
    names = [str(step) for step in loc if isinstance(step, str)]
    if not names:
        return "the site file"
    return f"[[{'.'.join(names)}]]" if loc and isinstance(loc[-1], int) else f"[{'.'.join(names)}]"


def _keys_at(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys that may stand in the table at `loc`, read from the models' own annotations."""
    from pydantic import BaseModel as Base

    here: Any = model
    for step in loc:
        if isinstance(here, type) and issubclass(here, Base):
            fields = {field.alias or name: field for name, field in here.model_fields.items()}
            field = fields.get(str(step))
            here = None if field is None else _bare(field.annotation)
        elif typing.get_origin(here) in (list, dict):
            here = _bare(typing.get_args(here)[-1])
    if isinstance(here, type) and issubclass(here, Base):
        return [field.alias or name for name, field in here.model_fields.items()]
    return []


def _bare(annotation: Any) -> Any:
    """An annotation without `Annotated` and without `| None`."""
    while True:
        if typing.get_origin(annotation) is typing.Annotated:
            annotation = typing.get_args(annotation)[0]
        elif typing.get_origin(annotation) in (typing.Union, types.UnionType):
            annotation = next(part for part in typing.get_args(annotation) if part is not type(None))
        else:
            return annotation
