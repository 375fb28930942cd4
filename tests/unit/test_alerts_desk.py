"""The desk: what becomes of findings and answers, and that all of it is on the disk and chained."""

from __future__ import annotations

import json
import sqlite3

import pytest
from tests.alert_desks import NOW, Clocks, entry, make_desk, waiting

from edusense.alerts import Attachment, Finding, GivenAnswer
from edusense.alerts.limiter import Limiter
from edusense.errors import (
    AlertLogDamagedError,
    AlertStorageError,
    CaseClosedError,
    CaseUnknownError,
    FindingError,
    FindingLimitedError,
    UsageError,
)


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


def test_a_finding_opens_a_case_that_is_on_the_disk_and_in_the_queues_of_its_zone(desk, told):
    case = desk.take(entry(boxes=[[0.2, 0.3, 0.1, 0.4]]))
    assert (case.state, case.number, case.room, case.destinations) == ("new", 1, "attic", ("centre", "guard"))
    other = sqlite3.connect(desk.database.path)
    assert json.loads(other.execute("SELECT body FROM cases").fetchone()[0])["case"] == case.case
    other.close()
    (message,) = waiting(desk, "guard")
    assert message["type"] == "alert"
    assert message["key"] == f"{case.case}/1"
    assert message["school"] == {"id": "school-51", "number": 51001}
    assert message["place"] == {
        "camera": "stairs-3",
        "zone": "attic-door",
        "room": {"id": "attic", "kind": "attic", "name": None},
    }
    assert message["start"] == "2026-09-21T19:13:20.000+05:00"
    assert [row["entry"] for row in told] == ["opened", "sent"]
    assert desk.case(case.case).state == "sent"


def test_forty_findings_are_one_case_and_not_forty_messages(desk, clocks):
    first = desk.take(entry())
    for _ in range(39):
        clocks.forward(10)
        case = desk.take(entry(start_s=clocks.wall))
    assert (case.case, case.count) == (first.case, 40)
    messages = waiting(desk, "centre")
    assert len(messages) <= 8, "once a minute at most"
    assert [message["sequence"] for message in messages] == list(range(1, len(messages) + 1))
    clocks.forward(601)
    assert desk.take(entry(start_s=clocks.wall)).case != first.case


def test_other_kinds_other_places_and_tests_are_cases_of_their_own(desk):
    cases = {
        desk.take(finding).case
        for finding in (
            entry(),
            entry(kind="fire"),
            entry(test=True),
            Finding.of(entry().to_json() | {"zone": None, "camera": "yard-1"}),
        )
    }
    assert len(cases) == 4


def test_a_clock_that_steps_back_splits_no_case(desk, clocks):
    first = desk.take(entry())
    clocks.forward(5)
    clocks.wall -= 3600
    assert desk.take(entry(start_s=clocks.wall)).case == first.case
    assert desk.case(first.case).last_s == NOW


def test_a_graver_finding_makes_the_case_graver_and_moves_it_forward(desk, clocks):
    minor = desk.take(entry(severity="minor"))
    severe = desk.take(entry(kind="fire", severity="severe"))
    clocks.forward(1)
    desk.take(entry(severity="extreme"))
    assert desk.case(minor.case).severity == "extreme"
    order = [message["case"] for message in waiting(desk, "centre")]
    assert order == [minor.case, minor.case, severe.case]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"zone": "atic-door"}, "no zone `atic-door`"),
        ({"camera": "stairs-4", "zone": None}, "no camera `stairs-4`"),
        ({"camera": "yard-1"}, "in the picture of camera `stairs-3`"),
    ],
)
def test_what_this_site_has_not_is_no_finding(desk, change, said):
    with pytest.raises(FindingError, match=said):
        desk.take(Finding.of(entry().to_json() | change))
    assert desk.cases() == []


def test_answers_move_a_case_to_the_right_and_everybody_hears_them(desk, told):
    case = desk.take(entry())
    waiting(desk, "centre")
    assert desk.answer("1", "seen", by="А. Серикова", via="page").state == "seen"
    assert desk.answer(case.case[:12], "taken", by="ЦОУ", via="centre", note="едем").state == "taken"
    assert desk.answer(case.case, "seen", by="директор", via="page").state == "taken"
    done = desk.answer(case.case, "closed", by="ЦОУ", via="centre")
    assert (done.state, done.answered_by) == ("closed", "ЦОУ")
    with pytest.raises(CaseClosedError, match="ЦОУ said so"):
        desk.answer(case.case, "false", by="guard", via="page")
    updates = waiting(desk, "centre")
    assert [(update["answer"], update["by"]) for update in updates] == [
        ("seen", "А. Серикова"),
        ("taken", "ЦОУ"),
        ("seen", "директор"),
        ("closed", "ЦОУ"),
    ]
    assert updates[1]["note"] == "едем"
    assert [row["answer"] for row in told if row["entry"] == "answer"] == ["seen", "taken", "seen", "closed"]


def test_answers_that_cannot_be(desk):
    desk.take(entry())
    with pytest.raises(UsageError, match="not an answer"):
        desk.answer("1", "take", by="x", via="page")
    for name in ("", "  ", "x" * 101, "a\nb"):
        with pytest.raises(UsageError, match="name"):
            desk.answer("1", "seen", by=name, via="page")
    for name in ("2", "nothing", "", "'; DROP TABLE cases; --", "9" * 400):
        with pytest.raises(CaseUnknownError):
            desk.answer(name, "seen", by="x", via="page")
    desk.take(entry(kind="fire"))
    with pytest.raises(CaseUnknownError, match="more than one"):
        desk.find("attic-door")


def test_a_destination_is_heard_once_and_told_what_was_not_taken(desk, told):
    case = desk.take(entry())
    waiting(desk, "centre")
    given = [
        GivenAnswer("a1", case.case, "taken", "ЦОУ\x1b[2J"),
        GivenAnswer("a2", "no-such-case", "taken", "ЦОУ"),
        GivenAnswer("a3", case.case, "nonsense", "ЦОУ"),
    ]
    desk.hear("centre", given, "3")
    desk.hear("centre", given, "3")
    assert desk.cursor("centre") == "3"
    assert desk.cursor("guard") is None
    assert desk.case(case.case).state == "taken"
    assert desk.case(case.case).answered_by == "ЦОУ\N{REPLACEMENT CHARACTER}[2J"
    assert [row["entry"] for row in told][-3:] == ["answer", "answer-refused", "answer-refused"]
    messages = waiting(desk, "centre")
    refusals = [message for message in messages if message["type"] == "answer-refused"]
    assert [(message["answer"]["id"], message["error"]) for message in refusals] == [
        ("a2", "case-unknown"),
        ("a3", "usage"),
    ]
    assert [message["sequence"] for message in refusals] == [1, 2]
    assert [message["type"] for message in waiting(desk, "guard")] == ["alert", "update"]


def test_an_attachment_waits_for_the_first_message_and_for_no_other(desk, tmp_path):
    case = desk.take(entry())
    desk.answer(case.case, "seen", by="guard", via="page")
    path = desk.database.folder / "evidence" / case.case / "still.jpg"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\xd8")
    desk.attach(Attachment(case.case, "still", path, "image/jpeg", 2, "00"))
    first = desk.outbox.next("centre", most_rank=2)
    assert first.message["type"] == "alert"
    busy = {(case.case, True)}
    assert desk.outbox.next("centre", most_rank=2, busy=busy) is None
    desk.delivered(first)
    # While the second message is under way, the picture may go.
    assert desk.outbox.next("centre", most_rank=2, busy=busy).attachment.name == "still"
    assert desk.outbox.attachment(case.case, "still").read(0, 10) == b"\xff\xd8"
    assert [message["type"] for message in waiting(desk, "centre")] == ["update", "still"]


def test_a_source_that_runs_away_is_limited_and_that_is_said_once(tmp_path, clocks, told, caplog):
    desk = make_desk(
        tmp_path, clocks, told, limiter=Limiter(per_s=10, burst=20, camera_burst=5, monotonic=lambda: clocks.steady)
    )
    refused = []
    for _ in range(10_000):
        try:
            desk.take(entry(source="analyser", severity="minor"))
        except FindingLimitedError as error:
            refused.append(str(error))
    assert len(refused) == 9995
    assert all("analyser" in said for said in refused)
    assert [row["entry"] for row in told].count("limited") == 1
    assert len([record for record in caplog.records if "analyser" in record.message]) == 1
    desk.take(entry(source="another"))
    clocks.forward(2)
    desk.take(entry(source="analyser"))
    desk.database.close()


def test_everything_is_there_after_a_new_start_and_nothing_twice(tmp_path, clocks, told):
    desk = make_desk(tmp_path, clocks, told)
    case = desk.take(entry())
    item = desk.outbox.next("centre", most_rank=2)
    desk.delivered(item)
    desk.delivered(item)  # once more, as after a lost confirmation: nothing happens
    desk.database.close()
    again = make_desk(tmp_path, clocks, told)
    assert again.case(case.case).state == "sent"
    assert again.outbox.next("centre", most_rank=2) is None
    assert again.outbox.next("guard", most_rank=2).message["key"] == f"{case.case}/1"
    clocks.forward(30)
    assert again.take(entry(start_s=clocks.wall)).case == case.case
    assert [row["entry"] for row in again.history(case.case)] == ["opened", "sent", "again"]
    position, head = again.database.verify()
    assert (position, head) == again.database.head
    again.database.close()


@pytest.mark.parametrize(
    ("crime", "said"),
    [
        (
            "UPDATE log SET body = CAST(replace(CAST(body AS TEXT), 'severe', 'minor') AS BLOB) WHERE position = 1",
            "entry 1 .* altered",
        ),
        ("DELETE FROM log WHERE position = 2", "entry 2 .* missing"),
        ("UPDATE log SET hash = zeroblob(32) WHERE position = 3", "entry 3 .* altered"),
    ],
)
def test_the_log_cannot_be_altered_unnoticed(desk, crime, said):
    case = desk.take(entry())
    waiting(desk, "centre")
    desk.answer(case.case, "seen", by="guard", via="page")
    desk.answer(case.case, "closed", by="guard", via="page")
    thief = sqlite3.connect(desk.database.path)
    with pytest.raises(sqlite3.IntegrityError, match="only grows"):
        thief.execute(crime)
    thief.execute("DROP TRIGGER log_is_not_altered")
    thief.execute("DROP TRIGGER log_is_not_cut")
    thief.execute(crime)
    thief.commit()
    thief.close()
    with pytest.raises(AlertLogDamagedError, match=said):
        desk.database.verify()


def test_a_full_disk_takes_an_alert_out_of_the_reserve_and_then_says_so(desk):
    desk.take(entry())
    (pages,) = desk.database.rows("PRAGMA page_count")
    desk.database.run(f"PRAGMA max_page_count = {pages[0]}")
    assert (desk.database.folder / "reserve").exists()
    head = desk.database.head

    def flood() -> None:
        for number in range(500):
            desk.take(entry(kind=f"kind-{number}", text="x" * 400, source=f"s{number}"))

    with pytest.raises(AlertStorageError, match="full"):
        flood()
    assert not (desk.database.folder / "reserve").exists(), "given up before anything was refused"
    assert desk.database.verify() == desk.database.head
    kept = desk.database.head[0]
    assert kept >= head[0]
    desk.database.run("PRAGMA max_page_count = 1000000")
    desk.take(entry(kind="fire"))
    assert desk.database.head[0] == kept + 1
    desk.database.keep_reserve()
    assert (desk.database.folder / "reserve").exists()


def test_a_database_that_is_none_a_newer_one_and_a_folder_that_is_not_ours(tmp_path, clocks, told):
    (tmp_path / "a" / "alerts").mkdir(parents=True)
    (tmp_path / "a" / "alerts" / "cases.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(AlertStorageError, match="damaged"):
        make_desk(tmp_path / "a", clocks, told)
    desk = make_desk(tmp_path / "b", clocks, told)
    desk.database.run("PRAGMA user_version = 99")
    desk.database.close()
    with pytest.raises(AlertStorageError, match="newer edusense"):
        make_desk(tmp_path / "b", clocks, told)
    (tmp_path / "c").write_text("a file")
    with pytest.raises(AlertStorageError):
        make_desk(tmp_path / "c", clocks, told)
