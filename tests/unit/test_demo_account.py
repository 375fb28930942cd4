"""The demo's account: nothing that was missed, invented, lost or doubled may slip through it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edusense.cli.demo.account import account_for_motion, account_for_taps


def event(camera: str, start: float, end: float, **more: Any) -> dict[str, Any]:
    return {"camera": camera, "start_s": start, "end_s": end, **more}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 100)), unique=True, max_size=12), st.data())
def test_each_found_event_is_matched_or_invented_and_each_staged_one_found_or_missed(
    places: list[tuple[str, int]], data: st.DataObject
) -> None:
    staged = [event(camera, 10.0 * at, 10.0 * at + 3) for camera, at in places]
    kept = data.draw(st.lists(st.sampled_from(range(len(staged))), unique=True) if staged else st.just([]))
    found = [{**staged[index], "id": f"f{index}"} for index in kept] + [event("z", 5, 6, id="ghost")]
    account = account_for_motion(staged, found)
    assert len(account.found) == len(kept)
    assert len(account.missed) == len(staged) - len(kept)
    assert [row["id"] for row in account.invented] == ["ghost"]
    assert not account.adds_up


def test_an_event_at_another_time_is_missed_and_invented() -> None:
    account = account_for_motion([event("a", 10, 12)], [event("a", 14, 15, id="1")])
    assert len(account.missed) == len(account.invented) == 1


def test_one_event_over_two_staged_ones_that_are_close_together_finds_both() -> None:
    account = account_for_motion([event("a", 10, 12), event("a", 15, 16)], [event("a", 9, 18, id="1")])
    assert account.adds_up
    assert (account.staged, account.events, account.pieces) == (2, 1, {})


def test_one_event_over_all_that_happened_finds_nothing_and_is_invented() -> None:
    staged = [event("a", 10, 12), event("a", 30, 32), event("a", 60, 62)]
    account = account_for_motion(staged, [event("a", 0, 70, id="1")])
    assert len(account.missed) == 3
    assert [row["why"] for row in account.invented] == [
        "it lasts 70.0 s over 3 staged of 6.0 s together: it reaches more than 3 s beyond them"
    ]


def test_an_event_may_overhang_by_the_tolerance_and_a_gop_and_no_more() -> None:
    staged = [event("a", 10, 12)]
    assert account_for_motion(staged, [event("a", 7, 15, id="1")]).adds_up
    for start, end in ((6.9, 12), (10, 15.1)):
        account = account_for_motion(staged, [event("a", start, end, id="1")])
        assert len(account.missed) == len(account.invented) == 1


def test_a_quiet_that_no_pause_between_looks_explains_is_not_bridged() -> None:
    apart = [event("a", 10, 12), event("a", 18.1, 20)]
    account = account_for_motion(apart, [event("a", 10, 20, id="1")])
    assert len(account.missed) == 2
    assert "beyond them" in account.invented[0]["why"]


def test_two_or_three_pieces_of_a_staged_event_are_told_and_thirty_are_not_found() -> None:
    staged = [event("a", 10, 16)]
    few = account_for_motion(staged, [event("a", 10, 12, id="1"), event("a", 14, 16, id="2")])
    assert few.adds_up
    assert (few.events, few.pieces) == (2, {"a at 10": 2})
    assert few.found[0]["found_by"] == ["1", "2"]
    shreds = [event("a", 10 + 0.2 * at, 10.1 + 0.2 * at, id=str(at)) for at in range(30)]
    many = account_for_motion(staged, shreds)
    assert not many.adds_up
    assert (many.events, len(many.invented)) == (3, 27)
    assert {row["why"] for row in many.invented} == {"more than 3 pieces of one staged event"}


def test_an_event_just_beside_a_staged_one_is_a_piece_of_its_own_alone() -> None:
    staged = [event("a", 10, 12), event("a", 12.5, 14), event("a", 14.5, 16)]
    found = [event("a", row["start_s"], row["end_s"], id=str(at)) for at, row in enumerate(staged)]
    account = account_for_motion(staged, found)
    assert account.adds_up
    assert account.pieces == {}


TAP = {"terminal": "left", "card": "AA", "at_s": 100.0, "expected": "granted"}
ANSWER = {"terminal": "left", "card": "AA", "time_s": 100.2, "granted": True, "reason": None}
MEAL = {"pupil": 7, "day": 20261123, "slot": b"lunch"}


def test_a_meal_that_adds_up() -> None:
    account = account_for_taps([TAP], [ANSWER], [MEAL])
    assert account.adds_up
    assert account.granted == 1


def test_a_tap_without_an_answer_is_lost() -> None:
    account = account_for_taps([TAP], [], [])
    assert account.lost == [TAP]
    assert not account.adds_up


def test_an_answer_without_a_tap_is_invented() -> None:
    account = account_for_taps([], [ANSWER], [MEAL])
    assert account.invented == [ANSWER]
    assert not account.adds_up


def test_a_light_without_a_record_does_not_add_up() -> None:
    assert not account_for_taps([TAP], [ANSWER], []).adds_up


def test_a_record_without_a_light_does_not_add_up() -> None:
    assert not account_for_taps([TAP], [ANSWER], [MEAL, {**MEAL, "pupil": 8}]).adds_up


def test_a_child_served_twice_is_named() -> None:
    again = {**TAP, "at_s": 110.0}
    account = account_for_taps([TAP, again], [ANSWER, {**ANSWER, "time_s": 110.1}], [MEAL, MEAL])
    assert account.doubled == [(7, 20261123, "lunch")]


def test_a_wrong_verdict_is_wrong_even_when_refused() -> None:
    refused = {**ANSWER, "granted": False, "reason": "unknown-card"}
    account = account_for_taps([{**TAP, "expected": "already-served"}], [refused], [])
    assert account.wrong[0]["reason"] == "unknown-card"
    assert account.refused == {"unknown-card": 1}
