"""The list of errors is a contract: code, class, exit status and documentation say the same."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from pathlib import Path

import pytest

from edusense import _native, errors

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/errors.md"
EXIT_STATUSES = {1, 2, 3, 4, 5, 6, 7, 70}
CLASSES = errors.walk()


def headings() -> list[str]:
    return re.findall(r"^### `([a-z0-9-]+)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_code_belongs_to_one_class():
    twice = [code for code, count in Counter(cls.code for cls in CLASSES).items() if count > 1]
    assert not twice
    for cls in CLASSES:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", cls.code), cls
        assert errors.class_of(cls.code) is cls
        assert "code" in vars(cls), f"{cls.__name__} has no code of its own"


def test_every_code_of_the_extension_is_a_class():
    assert set(_native.error_codes()) <= {cls.code for cls in CLASSES}


def test_every_error_is_documented_once_and_nothing_else_is():
    assert sorted(headings()) == sorted(cls.code for cls in CLASSES)


def test_every_class_is_public_says_when_it_is_raised_and_has_an_exit_status_of_the_list():
    for cls in CLASSES:
        assert cls.__name__ in errors.__all__
        assert cls.__doc__
        assert cls.exit_status in EXIT_STATUSES


def test_the_page_carries_each_exit_status():
    page = PAGE.read_text(encoding="utf-8")
    for cls in CLASSES:
        entry = page.partition(f"### `{cls.code}`\n")[2].partition("\n### ")[0]
        assert f"Exit status {cls.exit_status}." in entry
        assert f"`{cls.__name__}`" in entry


def test_the_drawing_of_the_tree_names_every_class():
    drawn = set(re.findall(r"\w+Error", errors.__doc__ or ""))
    assert {cls.__name__ for cls in CLASSES} <= drawn
    for name in drawn:
        assert hasattr(errors, name), name


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.code)
def test_an_error_survives_pickling_and_becomes_json(cls: type[errors.EdusenseError]):
    error = cls("went `wrong`", hint="try again")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert (again.message, again.hint, str(again)) == ("went `wrong`", "try again", "went `wrong`")
    assert error.to_json()["error"] == cls.code
    assert error.to_json()["hint"] == "try again"


def test_rust_raises_the_class_of_its_code_with_its_place():
    with pytest.raises(errors.SiteSyntaxError) as caught:
        _native.parse_toml("a = \n")
    assert caught.value.code == "site-syntax"
    assert caught.value.line == 1
    assert caught.value.hint
