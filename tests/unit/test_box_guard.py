"""The guard's page over real HTTP: what it is told, its files, answers, and who is refused."""

from __future__ import annotations

import hashlib
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.alert_desks import NOW, SITE, Clocks, entry, make_desk

from edusense.alerts import Attachment
from edusense.box.canteen import Canteen
from edusense.box.log import EventLog
from edusense.box.pages.guard_source import GuardSource
from edusense.box.pages.part import PagesPart
from edusense.box.pages.source import PagesSource
from edusense.box.pages.words_guard import WORDS
from edusense.box.screens import Screens
from edusense.site import Site

PAGES = '[pages]\nlisten = "127.0.0.1:0"\nlanguages = ["kk", "ru"]\n'


class School:
    """A desk with the guard's page, and no box around it."""

    def __init__(self, folder: Path, more: str = "") -> None:
        path = folder / "school.toml"
        path.write_text(SITE.replace("number = 51001", 'number = 51001\ndata = "data"') + PAGES + more, "utf-8")
        self.site = Site.load(path)
        self.clocks = Clocks()
        self.desk = make_desk(folder, self.clocks, [])
        self.outlets = [{"id": "centre", "state": "working", "since_s": NOW, "waiting": {"messages": 0}}]
        self.guard = GuardSource(self.desk, lambda: self.site, lambda: self.outlets)
        self.desk.told = lambda _: self.guard.changed()
        self.log = EventLog(folder / "events")
        canteen = Canteen(self.site)
        source = PagesSource(
            lambda: self.site, canteen, Screens(), dict, reverse=dict, confirm_clock=dict, guard=self.guard
        )
        self.part = PagesPart(self.site, source, self.log)
        self.part.start()
        deadline = time.monotonic() + 30
        while self.part.url is None:
            assert time.monotonic() < deadline, self.part.reason
            time.sleep(0.02)
        self.port = int(self.part.url.rpartition(":")[2].rstrip("/"))

    def get(
        self, path: str, method: str = "GET", body: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        given = {"content-type": "application/json"} if body is not None else {}
        connection.request(method, path, body=None if body is None else json.dumps(body), headers=given | headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def answer(self, **told: Any) -> tuple[int, dict[str, Any]]:
        status, _, content = self.get("/guard/answer", "POST", told)
        return status, json.loads(content)

    def events(self) -> Iterator[dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/guard/events")
        answer = connection.getresponse()
        assert answer.getheader("content-type", "").startswith("text/event-stream")
        try:
            while line := answer.readline():
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])
        finally:
            connection.close()

    def attach(self, case: str, name: str, content: bytes) -> None:
        path = self.desk.database.folder / f"{case}.{name}"
        path.write_bytes(content)
        kind = "image/jpeg" if name == "still" else "video/mp4"
        self.desk.attach(Attachment(case, name, path, kind, len(content), hashlib.sha256(content).hexdigest()))

    def close(self) -> None:
        self.part.stop()
        assert self.part.join(15)
        self.desk.database.close()
        self.log.close()


@pytest.fixture
def school(tmp_path: Path) -> Iterator[School]:
    made = School(tmp_path)
    yield made
    made.close()


def test_the_page_is_told_of_each_change(school: School):
    events = school.events()
    first = next(events)
    assert (first["cases"], first["open"]) == ([], 0)
    assert first["destinations"] == school.outlets
    case = school.desk.take(entry())
    told = next(events)
    (shown,) = told["cases"]
    assert (shown["case"], shown["room"], shown["answered_by"], shown["parts"]) == (case.case, "attic", None, [])
    assert shown["way"]["centre"] == {"state": "waiting", "at_s": None, "waiting": 1}
    school.attach(case.case, "still", b"\xff\xd8still")
    assert next(events)["cases"][0]["parts"] == ["still"]
    assert school.answer(case=case.case, answer="seen", by="А. Серикова") == (200, {"ok": True})
    shown = next(events)["cases"][0]
    assert (shown["state"], shown["answered_by"]) == ("seen", "А. Серикова")
    assert school.desk.history(case.case)[-1]["via"] == "page"
    events.close()


def test_what_nobody_answered_is_first_then_the_gravest_and_closed_ones_stay_in_sight(school: School):
    grave = school.desk.take(entry(kind="fire", zone=None, severity="extreme"))
    answered = school.desk.take(entry(kind="weapon", zone=None, severity="extreme"))
    small = school.desk.take(entry(kind="movement", zone=None, severity="minor"))
    done = school.desk.take(entry(kind="fight", zone=None))
    school.desk.answer(answered.case, "taken", by="x", via="page")
    school.desk.answer(done.case, "closed", by="x", via="page")
    shown = [one["case"] for one in school.guard.shown()["cases"]]
    assert shown == [grave.case, small.case, answered.case, done.case]


def test_a_silence_stands_on_the_page(school: School):
    school.desk.silence("attic-door", until_s=NOW + 60, by="guard")
    assert [one["zone"] for one in school.guard.shown()["silences"]] == ["attic-door"]


def test_files_come_whole_or_by_ranges_as_phones_want_clips(school: School):
    case = school.desk.take(entry())
    school.attach(case.case, "clip", bytes(range(200)))
    status, headers, content = school.get(f"/guard/cases/{case.case}/clip")
    assert (status, headers["content-type"], content) == (200, "video/mp4", bytes(range(200)))
    status, headers, content = school.get(f"/guard/cases/{case.case}/clip", Range="bytes=10-19")
    assert (status, content) == (206, bytes(range(10, 20)))
    for path in ("nothing/still", f"{case.case}/still", f"{case.case}/..%2f..%2fcases.sqlite"):
        assert school.get(f"/guard/cases/{path}")[0] == 404
    (school.desk.database.folder / f"{case.case}.clip").unlink()
    assert school.get(f"/guard/cases/{case.case}/clip")[0] == 404


@pytest.mark.parametrize(
    ("told", "status", "code"),
    [
        ({"case": "nothing", "answer": "seen", "by": "x"}, 409, "case-unknown"),
        ({"answer": "seen", "by": "x"}, 400, "bad-request"),
        ({"case": "CASE", "answer": "sen", "by": "x"}, 409, "usage"),
        ({"case": "CASE", "answer": "seen", "by": " "}, 409, "usage"),
        ({"case": "CASE", "answer": "seen", "by": 7}, 400, "bad-request"),
    ],
)
def test_an_answer_that_cannot_be_taken_is_refused_with_its_reason(school: School, told, status, code):
    case = school.desk.take(entry()).case
    given = {key: value if value != "CASE" else case for key, value in told.items()}
    found, said = school.answer(**given)
    assert (found, said["error"]) == (status, code)
    assert school.desk.case(case).answered_by is None


def test_a_closed_case_takes_no_answer(school: School, caplog):
    case = school.desk.take(entry()).case
    assert school.answer(case=case, answer="closed", by="x")[0] == 200
    assert school.answer(case=case, answer="seen", by="x")[1]["error"] == "case-closed"
    assert "is not taken" in caplog.text


def test_who_has_no_right_is_refused_and_that_is_logged_once(school: School, caplog):
    case = school.desk.take(entry()).case
    for _ in range(3):
        assert school.get("/guard", Host="evil.example")[0] == 421
    refused = school.get(
        "/guard/answer", "POST", {"case": case, "answer": "seen", "by": "x"}, Origin="http://evil.example"
    )
    assert refused[0] == 403
    assert caplog.text.count("without a right to it") == 1
    assert school.desk.case(case).answered_by is None


def test_the_page_speaks_three_languages_and_loads_nothing_from_elsewhere(school: School):
    status, headers, content = school.get("/guard")
    page = content.decode()
    assert status == 200
    assert 'data-languages="kk ru en"' in page
    assert "media-src 'self'" in headers["content-security-policy"]
    assert "http:" not in page
    for word, said in WORDS.items():
        assert set(said) == {"kk", "ru", "en"}, word
        assert all(said.values()), word
    assert "/guard" in school.get("/")[2].decode()
