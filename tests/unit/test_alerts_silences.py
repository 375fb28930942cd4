"""Silences: who silenced what, until when, what was left out, and what comes through all the same."""

from __future__ import annotations

import pytest
from tests.alert_desks import NOW, Clocks, entry, make_desk, waiting

from edusense.errors import CaseUnknownError, FindingSilencedError, UsageError


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def told() -> list[dict]:
    return []


@pytest.fixture
def desk(tmp_path, clocks, told):
    desk = make_desk(tmp_path, clocks, told)
    yield desk
    desk.database.close()


def test_a_silenced_zone_opens_no_case_and_counts(desk, told):
    silence = desk.silence("attic-door", until_s=NOW + 3600, by="А. Серикова", reason="the electrician")
    for _ in range(3):
        with pytest.raises(FindingSilencedError, match="zone `attic-door` is silenced by"):
            desk.take(entry())
    assert desk.cases() == []
    assert [one.count for one in desk.silences()] == [3]
    assert silence.place == "zone `attic-door`"
    assert [row["entry"] for row in told] == ["silence-begun"]
    # Elsewhere everything goes on.
    assert desk.take(entry(zone=None, camera="yard-1")).number == 1


def test_a_camera_is_silenced_with_all_its_zones(desk):
    desk.silence("stairs-3", until_s=NOW + 60, by="guard")
    with pytest.raises(FindingSilencedError):
        desk.take(entry())
    with pytest.raises(FindingSilencedError):
        desk.take(entry(zone=None, kind="fight"))


def test_what_is_extreme_and_a_test_come_through(desk):
    desk.silence("stairs-3", until_s=NOW + 60, by="guard")
    assert desk.take(entry(kind="fire", severity="extreme")).severity == "extreme"
    assert desk.take(entry(test=True)).test


def test_it_ends_by_itself_and_the_destinations_of_the_zone_hear_of_both(desk, clocks, told):
    desk.silence("attic-door", until_s=NOW + 60, by="guard")
    with pytest.raises(FindingSilencedError):
        desk.take(entry())
    desk.turn()
    clocks.forward(61)
    desk.turn()
    desk.turn()
    assert [(row["entry"], row["count"]) for row in told] == [("silence-begun", 0), ("silence-over", 1)]
    for destination in ("centre", "guard"):
        heard = waiting(desk, destination)
        assert [(one["type"], one["key"], one["what"]) for one in heard] == [
            ("silence", "silences/1", "begun"),
            ("silence", "silences/2", "over"),
        ]
        assert heard[1]["silence"]["count"] == 1
    assert desk.take(entry()).number == 1
    desk.database.verify()


def test_a_clock_that_is_put_back_ends_it_and_does_not_make_it_last_for_years(desk, clocks, told):
    desk.silence("attic-door", until_s=NOW + 60, by="guard", reason="a\x1b[31mb")
    assert told[-1]["reason"] == "a\N{REPLACEMENT CHARACTER}[31mb"
    clocks.wall -= 30
    with pytest.raises(FindingSilencedError):
        desk.take(entry())
    clocks.wall -= 365 * 86_400
    assert desk.take(entry()).number == 1
    desk.turn()
    assert [row["entry"] for row in told if "silence" in row["entry"]] == ["silence-begun", "silence-over"]


def test_it_is_ended_before_its_time_by_name(desk, told):
    silence = desk.silence("attic-door", until_s=NOW + 60, by="guard")
    desk.unsilence(silence.id, by="А. Серикова")
    assert told[-1]["ended_by"] == "А. Серикова"
    assert desk.take(entry()).number == 1
    assert desk.silences() == []
    assert [one.over for one in desk.silences(over=None)] == [True]
    with pytest.raises(CaseUnknownError, match="no silence 1 is on"):
        desk.unsilence(silence.id, by="А. Серикова")


def test_it_holds_after_a_restart(tmp_path, clocks, told):
    desk = make_desk(tmp_path, clocks, told)
    desk.silence("attic-door", until_s=NOW + 60, by="guard")
    desk.database.close()
    desk = make_desk(tmp_path, clocks, told)
    with pytest.raises(FindingSilencedError):
        desk.take(entry())
    desk.database.close()


@pytest.mark.parametrize(
    ("place", "until_s", "by", "said"),
    [
        ("attic-dor", NOW + 60, "guard", "no zone or camera `attic-dor`"),
        ("attic-door", NOW - 1, "guard", "not in the past"),
        ("attic-door", NOW + 8 * 86_400, "guard", "within a week"),
        ("attic-door", NOW + 60, "  ", "needs the name"),
    ],
)
def test_what_cannot_be_is_said(desk, place, until_s, by, said):
    with pytest.raises(UsageError, match=said):
        desk.silence(place, until_s=until_s, by=by)
    assert desk.silences() == []
