"""The virtual centre keeps its own contract: one school a signer, each heartbeat once, no question without school."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time

import pytest

from edusense.alerts import Settings
from edusense.alerts.web import Web
from edusense.sim.ops_centre.application import CentreApplication
from edusense.sim.ops_centre.store import CentreStore
from edusense.sim.web_server import WebServer

SECRETS = {"box-51": b"secret of 51", "box-52": b"secret of 52", "box-51-new": b"another secret of 51"}
NOW_S = 1_790_000_000.0


class Centre:
    """A centre that knows several signers, and each of them."""

    def __init__(self, folder) -> None:
        self.now_s = NOW_S
        self.store = CentreStore(folder, clock=lambda: self.now_s)
        self.server = WebServer(CentreApplication(self.store, secrets=SECRETS).web, name="centre")
        assert self.server.wait_ready()
        self.url = f"http://127.0.0.1:{self.server.port}/alerts"

    def ask(self, who: str, method: str, path: str, told: object = None, **headers: str):
        body = told if isinstance(told, bytes) else b"" if told is None else json.dumps(told).encode()
        settings = Settings("centre", {}, url=self.url, user=who, password=SECRETS[who].decode())
        with contextlib.closing(Web(settings)) as web:
            return web.request(method, path, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def message(self, who: str, school: str, case: str, sequence: int = 1, **more) -> int:
        told = {"format": 1, "type": "alert" if sequence == 1 else "update", "key": f"{case}/{sequence}", "case": case}
        told |= {"sequence": sequence, "school": {"id": school}, "state": "new", "finding": "fire"}
        told |= {"severity": "severe", "place": {}, "start_s": 1.0}
        return self.ask(who, "POST", "", told | more).status

    def piece(self, who: str, case: str, content: bytes = b"picture") -> int:
        sha256 = hashlib.sha256(content).hexdigest()
        told = {"Upload_Offset": "0", "Upload_Length": str(len(content)), "Upload_Sha256": sha256}
        return self.ask(who, "PATCH", f"/cases/{case}/still", content, **told).status

    def beat(self, at_s: float | None, school: str = "school-51", who: str = "box-51") -> int:
        told = {"type": "heartbeat", "key": f"heartbeat/{school}/{at_s}", "school": {"id": school}}
        return self.ask(who, "POST", "/heartbeat", told if at_s is None else told | {"at_s": at_s}).status

    def close(self) -> None:
        self.server.close()
        self.store.close()


@pytest.fixture
def centre(tmp_path):
    with contextlib.closing(Centre(tmp_path)) as centre:
        yield centre


def test_a_signer_speaks_for_the_first_school_that_it_named_and_for_no_other(centre):
    assert centre.message("box-51", "school-51", "case-51") == 200
    assert centre.message("box-51", "school-52", "case-52") == 403
    assert centre.beat(NOW_S, "school-52") == 403
    refused = centre.ask("box-51", "GET", "/answers?school=school-52&after=&wait=0")
    assert refused.status == 403
    assert json.loads(refused.body)["message"] == "`box-51` signs for the school `school-51`, and not for `school-52`"
    assert [told["school"]["id"] for told in centre.store.messages()] == ["school-51"]
    assert centre.store.schools() == []
    assert centre.ask("box-51", "GET", "/answers?school=school-51&after=&wait=0").status == 200


def test_which_school_a_signer_speaks_for_outlives_a_restart(tmp_path):
    with contextlib.closing(Centre(tmp_path)) as centre:
        assert centre.beat(NOW_S) == 200
    with contextlib.closing(Centre(tmp_path)) as centre:
        assert centre.message("box-51", "school-52", "case-52") == 403


def test_of_a_case_only_its_own_school_tells_and_sends(centre):
    assert centre.message("box-51", "school-51", "case-51") == 200
    assert centre.beat(NOW_S, "school-52", "box-52") == 200
    assert centre.message("box-52", "school-52", "case-51", 2, state="false") == 403
    assert centre.piece("box-52", "case-51") == 403
    assert centre.ask("box-52", "HEAD", "/cases/case-51/still").status == 403
    assert centre.store.case("case-51")["state"] == "new"
    assert centre.piece("box-51", "case-51") == 204
    # The school's box got other credentials: its cases are its school's as before.
    assert centre.beat(NOW_S + 60, "school-51", "box-51-new") == 200
    assert centre.message("box-51-new", "school-51", "case-51", 2, state="closed") == 200
    assert centre.ask("box-51-new", "HEAD", "/cases/case-51/still").status == 200


def test_a_still_that_came_before_its_message_is_his_who_sent_it(centre):
    assert centre.piece("box-51", "case-51") == 204
    assert centre.message("box-52", "school-52", "case-51") == 403
    assert centre.piece("box-52", "case-51", b"another") == 403
    assert centre.message("box-51", "school-51", "case-51") == 200


def test_streams_that_every_school_has_are_kept_apart(centre):
    more = {"type": "silence", "what": "begun", "silence": {}}
    assert centre.message("box-51", "school-51", "silences", **more) == 200
    assert centre.message("box-52", "school-52", "silences", **more) == 200
    assert centre.message("box-52", "school-52", "silences", **more) == 200
    assert [(told["school"]["id"], told["times"]) for told in centre.store.messages()] == [
        ("school-51", 1),
        ("school-52", 2),
    ]


def test_who_calls_something_else_by_the_name_of_a_case_has_no_part_in_it(centre):
    assert centre.message("box-52", "school-52", "case-51", type="silence") == 200
    assert centre.store.answer("case-51", "seen", by="ЦОУ", note=None) is None
    assert centre.message("box-51", "school-51", "case-51") == 200
    assert centre.store.answer("case-51", "seen", by="ЦОУ", note=None) == 1
    assert [one["by"] for one in centre.store.answers("school-51", 0)] == ["ЦОУ"]
    assert centre.store.answers("school-52", 0) == []


def test_a_heartbeat_that_is_played_again_makes_no_silent_school_look_alive(centre):
    for at_s in (NOW_S, NOW_S + 60):
        centre.now_s = at_s
        assert centre.beat(at_s) == 200
    centre.now_s += 600
    for at_s in (NOW_S, NOW_S + 60):
        assert centre.beat(at_s) == 200
    (told,) = centre.store.schools()
    assert (told["at_s"], told["received_s"], told["times"]) == (NOW_S + 60, NOW_S + 60, 2)


def test_a_box_whose_clock_was_ahead_and_was_put_right_is_heard(centre):
    assert centre.beat(NOW_S + 86_400) == 200
    assert centre.beat(NOW_S + 1) == 200
    assert centre.store.schools()[0]["at_s"] == NOW_S + 1


@pytest.mark.parametrize("query", ["", "after=&wait=0", "school=&after=&wait=0"])
def test_answers_are_those_of_a_school(centre, query):
    assert centre.ask("box-51", "GET", f"/answers?{query}").status == 400


@pytest.mark.parametrize("after", ["-1", "next", "9" * 30])
def test_a_cursor_that_this_centre_did_not_give_is_refused(centre, after):
    assert centre.ask("box-51", "GET", f"/answers?school=school-51&after={after}").status == 400


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("", b'{"key": "a/1"', 400),
        ("", b"[]", 400),
        ("", b"\xff", 400),
        ("", b'{"key":"\\ud800/1","case":"\\ud800","sequence":1,"type":"update","school":{"id":"s"}}', 400),
        ("", b'{"key":"a/9999999999999999999999","case":"a","sequence":9999999999999999999999,'
         b'"type":"update","school":{"id":"s"}}', 422),
        ("/heartbeat", b"[" * 100_000, 400),
        ("/heartbeat", b'{"key":"h/1","school":{}}', 422),
        ("/heartbeat", b'{"key":"h/1"}', 422),
        ("/heartbeat", b'{"key":"h/1","school":{"id":"s"},"at_s":1' + b"0" * 400 + b"}", 200),
        ("/heartbeat", b'{"key":"h/1","school":{"id":"s"},"at_s":NaN}', 200),
    ],
)  # fmt: skip
def test_nothing_that_is_sent_is_a_fault_of_the_centre(centre, path, body, status):
    assert centre.beat(NOW_S, "s") == 200
    begun = time.monotonic()
    assert centre.ask("box-51", "POST", path, body).status == status
    assert time.monotonic() - begun < 5
