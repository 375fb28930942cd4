"""Plans and profiles: what they become, and what is said when something in one is wrong."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from edusense.bench.plan import Plan, load, loads, profiles
from edusense.bench.plan_models import Device
from edusense.bench.running import order
from edusense.errors import BenchPlanError

HEAD = 'title = "x"\n'


def mistakes(text: str) -> list[BenchPlanError]:
    with pytest.raises(BenchPlanError) as caught:
        loads(text, path="plan.toml")
    return [caught.value, *caught.value.others]


@pytest.mark.parametrize(
    ("text", "place", "said", "hint"),
    [
        (HEAD + '[[cases]]\nid = "meel"', (3, 6), "there is no case `meel`", "perhaps `meal`"),
        (HEAD + '[[cases]]\nid = "meal"\noptions = { run = 3 }', (4, 13), "has no option `run`", "perhaps `runs`"),
        (HEAD + '[[cases]]\nid = "meal"\noptions = { runs = "3" }', (4, 20), "expected a whole number", ""),
        (HEAD + '[[cases]]\nid = "meal"\nrounds = 0', (4, 10), "expected at least 1", ""),
        (HEAD + '[[cases]]\nid = "meal"\ndevice = "ssd"', (4, 10), "there is no device `ssd`", "[[devices]]"),
        (HEAD + '[[cases]]\nid = "meal"\n[[cases]]\nid = "meal"', (5, 6), "is there already", "rounds"),
        (HEAD + 'base = "school-41"', (2, 8), "there is no profile `school-41`", "perhaps `school-40`"),
        (HEAD + "case = []", (2, 1), "there is no key `case` in a plan", "perhaps `cases`"),
        ('[[cases]]\nid = "meal"', (1, 1), "`title` is missing", ""),
        ("title = ", (1, 9), "", ""),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_was_meant(text: str, place: tuple[int, int], said: str, hint: str):
    (error,) = mistakes(text)
    assert (error.path, error.line, error.column) == ("plan.toml", *place)
    assert said in error.message
    assert hint in (error.hint or "")
    assert "site file" not in f"{error.message} {error.hint}"


LIMIT = HEAD + '[[cases]]\nid = "meal"\n[[cases.limits]]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('figure = "meel"\nat_most = 3\nunit = "µs"\nreason = "because of that"', "has no figure `meel`"),
        (
            'figure = "one-durable-meal"\nat_most = 3\nunit = "ms"\nreason = "because of that"',
            "is measured in µs, and this limit is in ms",
        ),
        ('figure = "one-durable-meal"\nunit = "µs"\nreason = "because of that"', "`at_most` or `at_least`"),
        ('figure = "one-durable-meal"\nat_most = 3\nreason = "because of that"', "`beside` a peer"),
        ('figure = "one-durable-meal"\nat_most = 3\nunit = "µs"', "`reason` is missing"),
    ],
)
def test_a_limit_that_means_nothing_is_refused(text: str, said: str):
    (error,) = mistakes(LIMIT + text)
    assert said in error.message


def test_all_mistakes_of_a_file_are_told_at_once():
    found = mistakes(HEAD + '[[cases]]\nid = "meel"\n[[cases]]\nid = "meal"\noptions = { run = 3, warm_up = 1.5 }')
    assert [error.line for error in found] == [3, 6, 6]
    assert len(json.loads(json.dumps(found[0].to_json()))["others"]) == 2


def test_a_password_in_a_camera_address_is_refused_and_not_repeated():
    text = HEAD + '[[devices]]\nid = "hall"\nkind = "camera"\naddress = "rtsp://u:hunter2@10.0.0.1/x"'
    (error,) = mistakes(text)
    assert "a user or password stands in the address" in error.message
    assert "hunter2" not in json.dumps(error.to_json())


def test_a_file_that_is_not_there_or_no_text_is_said_so(tmp_path: Path):
    with pytest.raises(BenchPlanError, match="no profile and no file"):
        load("school-4")
    (tmp_path / "x.toml").write_bytes(b"title = \xff")
    with pytest.raises(BenchPlanError, match="not UTF-8"):
        load(str(tmp_path / "x.toml"))
    with pytest.raises(BenchPlanError, match="Is a directory"):
        load(str(tmp_path))


@pytest.mark.parametrize("name", profiles())
def test_every_profile_is_a_plan_whose_limits_have_reasons(name: str):
    plan = load(name)
    assert plan.profile == name
    assert plan.school is not None
    limits = [*plan.machine, *(limit for unit in plan.units for limit in unit.limits)]
    assert limits
    assert all(len(limit.reason.split()) >= 8 for limit in limits), "a reason is a sentence"


def test_a_profile_takes_the_time_that_it_is_meant_to():
    # Fifteen minutes on two cores for a school of forty cameras, with a margin for busy machines.
    assert load("school-40").seconds < 13 * 60


def test_a_plan_says_only_what_differs_from_its_base():
    base = load("school-40")
    plan = loads(HEAD + 'base = "school-40"\n[[cases]]\nid = "meal"\nrounds = 3\noptions = { runs = 50 }')
    assert [unit.case.id for unit in plan.units] == [unit.case.id for unit in base.units]
    ours = next(unit for unit in plan.units if unit.case.id == "meal")
    theirs = next(unit for unit in base.units if unit.case.id == "meal")
    assert (ours.rounds, ours.options["runs"], ours.options["warm_up"]) == (3, 50, theirs.options["warm_up"])
    assert ours.limits == theirs.limits
    assert plan.title == "x"
    assert plan.school == base.school


def test_a_case_runs_on_each_device_of_its_kind():
    devices = [Device(id="ssd", kind="disk", address="/a"), Device(id="card", kind="disk", address="/b")]
    plan = loads(HEAD + '[[cases]]\nid = "meal"', devices=devices)
    assert [unit.key for unit in plan.units] == ["meal@ssd", "meal@card"]
    only = loads(
        HEAD + '[[cases]]\nid = "meal"\ndevice = "card"\n[[devices]]\nid = "card"\nkind = "disk"\naddress = "/b"'
    )
    assert [unit.key for unit in only.units] == ["meal@card"]


def test_the_printed_command_measures_the_same():
    devices = [Device(id="disk", kind="disk", address="/my disk")]
    plan = loads(HEAD + '[[cases]]\nid = "meal"\nrounds = 4\noptions = { runs = 50 }', devices=devices)
    assert plan.units[0].command() == "edusense bench case meal --runs 4 --disk '/my disk' --option runs=50"


def positions(plan: Plan, key: str) -> list[int]:
    return [place for place, (unit, _) in enumerate(order(plan.units, 7)) if unit.key == key]


def test_runs_of_all_cases_are_interleaved_and_the_order_is_drawn_by_the_seed():
    plan = loads(HEAD + '[[cases]]\nid = "meal"\nrounds = 12\n[[cases]]\nid = "command-line"\nrounds = 4')
    few, many = positions(plan, "command-line"), positions(plan, "meal@disk")
    assert len(few) == 4
    assert len(many) == 12
    assert all(any(low < place < high for place in many) for low, high in itertools.pairwise(few))
    assert order(plan.units, 7) == order(plan.units, 7)
    equal = loads(HEAD + 'rounds = 8\n[[cases]]\nid = "meal"\n[[cases]]\nid = "command-line"')
    assert order(equal.units, 1) != order(equal.units, 2)
    rounds = [number for _, number in order(equal.units, 1)]
    assert rounds == sorted(rounds)
