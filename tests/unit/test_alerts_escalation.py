"""A case that nobody answers: it becomes graver, more people are told, and an answer ends it."""

from __future__ import annotations

import pytest
from tests.alert_desks import NOW, SITE, Clocks, entry, make_desk, waiting

from edusense.alerts import Attachment, GivenAnswer

MORE = SITE.replace(
    'alert = ["centre", "guard"]', 'alert = ["guard"]\nescalate_s = 120\nescalate = ["centre", "guard"]'
)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def escalations(told) -> list[dict]:
    return [row for row in told if row["entry"] == "escalated"]


def test_nobody_answers_and_more_are_told_with_all_that_the_others_have(tmp_path, clocks):
    told = []
    desk = make_desk(tmp_path, clocks, told, MORE)
    case = desk.take(entry())
    still = tmp_path / "alerts" / "still.jpg"
    still.write_bytes(b"\xff\xd8")
    desk.attach(Attachment(case.case, "still", still, "image/jpeg", 2, "00" * 32))
    clocks.forward(119)
    desk.turn()
    assert escalations(told) == []
    assert waiting(desk, "centre") == []
    clocks.forward(2)
    desk.turn()
    desk.turn()
    assert [row["escalated"] for row in escalations(told)] == [1]
    now = desk.case(case.case)
    assert (now.severity, now.escalated, now.destinations) == ("extreme", 1, ("guard", "centre"))
    assert [message["type"] for message in waiting(desk, "centre")] == ["alert", "update", "still"]
    assert [(one["type"], one.get("what")) for one in waiting(desk, "guard")] == [
        ("alert", None), ("update", "escalated"), ("still", None),
    ]  # fmt: skip
    desk.database.verify()
    desk.database.close()


def test_each_next_time_after_twice_as_long_and_three_times_at_most(tmp_path, clocks):
    told = []
    desk = make_desk(tmp_path, clocks, told, MORE)
    desk.take(entry())
    at = []
    for _ in range(300):
        clocks.forward(10)
        before = len(escalations(told))
        desk.turn()
        at += [clocks.wall - NOW] * (len(escalations(told)) - before)
    assert at == [120, 360, 840]
    desk.database.close()


@pytest.mark.parametrize("answer", ["seen", "taken", "closed", "false"])
@pytest.mark.parametrize("who", ["school", "centre"])
def test_an_answer_ends_it(tmp_path, clocks, answer, who):
    told = []
    desk = make_desk(tmp_path, clocks, told, MORE)
    case = desk.take(entry())
    clocks.forward(60)
    if who == "school":
        desk.answer(case.case, answer, by="А. Серикова", via="page")
    else:
        desk.hear("guard", [GivenAnswer("1", case.case, answer, "ЦОУ")], "1")
    clocks.forward(10_000)
    desk.turn()
    assert escalations(told) == []
    desk.database.close()


def test_it_goes_on_after_a_restart_and_a_clock_that_jumped_meanwhile_puts_nothing_off_for_years(tmp_path, clocks):
    told = []
    desk = make_desk(tmp_path, clocks, told, MORE)
    case = desk.take(entry())
    desk.database.close()
    clocks.forward(60)
    clocks.steady = 5.0
    desk = make_desk(tmp_path, clocks, told, MORE)
    clocks.forward(59)
    desk.turn()
    assert escalations(told) == []
    clocks.forward(2)
    desk.turn()
    assert len(escalations(told)) == 1
    desk.database.close()
    clocks.wall -= 10 * 365 * 86_400
    desk = make_desk(tmp_path, clocks, told, MORE)
    clocks.forward(86_401)
    desk.turn()
    assert desk.case(case.case).escalated == 2
    desk.database.close()


def test_by_default_what_is_severe_escalates_and_what_is_less_does_not_and_a_test_never(tmp_path, clocks):
    told = []
    desk = make_desk(tmp_path, clocks, told)
    desk.take(entry())
    desk.take(entry(kind="movement", severity="minor", zone=None, camera="yard-1"))
    desk.take(entry(test=True))
    clocks.forward(301)
    desk.turn()
    assert [row["severity"] for row in escalations(told)] == ["extreme"]
    desk.database.close()
