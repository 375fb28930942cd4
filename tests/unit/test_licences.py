"""The script that holds licences against the allow-list: also what only an extra brings is asked."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.chdir(ROOT)
    module = ModuleType("check_licences")
    exec(compile((ROOT / "tools/check-licences").read_text("utf-8"), "check-licences", "exec"), module.__dict__)
    return module


def test_what_is_declared_now_is_well(script: ModuleType):
    assert script.python() == []


def test_every_package_of_the_drivers_extras_is_asked(script: ModuleType):
    extras = tomllib.loads((ROOT / "drivers/pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert {name for needs in extras.values() for name in map(script.name_of, needs)} <= set(script.EXTRAS)


def test_an_extra_that_nobody_read_is_named(script: ModuleType):
    del script.EXTRAS["pyscard"]
    (problem,) = script.python()
    assert re.match(r"distribution pyscard of an extra: (not installed|LGPL)", problem)


def test_an_extra_whose_licence_has_changed_is_named(script: ModuleType, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(script.EXTRAS, "libosdp", ("MIT", "a test"))
    monkeypatch.setattr(script, "licence_of", lambda found: "Apache-2.0" if found.name == "libosdp" else "MIT")
    (problem,) = script.python()
    assert problem.startswith("distribution libosdp of an extra: Apache-2.0, and the table")
