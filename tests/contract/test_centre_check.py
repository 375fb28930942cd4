"""The checks of an operations centre: good centres pass, and each thing that one can do wrong is found by name."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest
from tests.small_centre import SCHOOL, SECRET, USER, SmallCentre

from edusense.alerts import Settings
from edusense.alerts.centre_check import CHECKS, CentreRig, Checked, checked, checks
from edusense.errors import DestinationRefusedError, DestinationUnavailableError, UsageError
from edusense.sim.ops_centre import VirtualOpsCentre

NAMES = [check.__name__.replace("_", "-") for check in CHECKS]


def settings(url: str, **change) -> Settings:
    told = {"id": url, "school": {"id": SCHOOL, "number": 51001}, "url": url, "user": USER, "password": SECRET}
    return Settings(**told | change)


def tried(given: Settings, *only: str, within_s: float = 10.0) -> dict[str, Checked]:
    with contextlib.closing(CentreRig(given, within_s=within_s)) as rig:
        return {found.check: found for found in checked(rig, only)}


def states(found: dict[str, Checked]) -> dict[str, list[str]]:
    return {
        state: [name for name, one in found.items() if one.state == state] for state in ("passed", "failed", "skipped")
    }


@pytest.fixture(scope="module")
def centre():
    with VirtualOpsCentre(user=USER, secret=SECRET) as centre:
        yield centre


def test_the_virtual_centre_passes_and_gets_nothing_but_tests(centre):
    found = tried(settings(centre.url))
    assert states(found) == {"passed": NAMES[1:], "failed": [], "skipped": ["speaks-https"]}, found
    messages = centre.store.messages()
    assert messages
    assert {(told["status"], told["school"]["id"]) for told in messages} == {("test", SCHOOL)}
    assert len({told["case"] for told in messages}) > 10
    assert [told["status"] for told in centre.store.schools()] == ["test"]
    assert all(one.asks.endswith(".") or ":" in one.asks for one in found.values())


def test_the_virtual_centre_passes_where_it_has_answers_to_give(centre):
    tried(settings(centre.url), "takes-a-message")
    case = centre.store.cases()[0]["case"]
    for number in range(120):
        centre.answer(case, "seen", by="ЦОУ", note=str(number))
    found = tried(settings(centre.url), "answers-at-once", "gives-the-same-again", "waits-for-answers")
    assert states(found)["failed"] == []
    assert found["gives-the-same-again"].found == "100 answers"


def test_over_tls_with_an_authority_of_its_own(tmp_path):
    with VirtualOpsCentre(tmp_path, user=USER, secret=SECRET, tls=True) as centre:
        found = tried(settings(centre.url, ca=centre.ca), "speaks-https", "takes-a-clip")
        assert states(found)["passed"] == ["speaks-https", "takes-a-clip"]
        with pytest.raises(DestinationRefusedError, match="certificate is not to be trusted"):
            tried(settings(centre.url))


def test_a_centre_that_asks_for_no_signature_is_tried_without():
    with VirtualOpsCentre(secret=None) as centre:
        found = states(tried(settings(centre.url, user=None, password=None)))
    assert found["failed"] == []
    assert [name for name in found["skipped"] if name != "speaks-https"] == [
        "takes-a-wrong-clock",
        "refuses-the-unsigned",
        "refuses-another-secret",
        "refuses-what-was-changed",
        "refuses-another-school",
    ]


def test_a_centre_of_somebody_else_passes():
    with SmallCentre() as centre:
        assert states(tried(settings(centre.url)))["failed"] == []


WRONG = {
    "key": {"takes-a-message": "200 with no key, where `"},
    "another-key": {"takes-a-message": "200 with the key `k/1`, where `"},
    "known": {"knows-a-message-again": "was not taken: 409, known"},
    "gap": {"takes-updates": "/5` was not taken: 409, number 4 is missing"},
    "json": {"refuses-bad-json": "cut JSON as the body of POST url: 500, no JSON object"},
    "json-heartbeat": {"refuses-bad-json": "cut JSON as the body of POST /heartbeat: 500"},
    "json-list": {"refuses-bad-json": "a list as the body of POST url: 500"},
    "clock": {"takes-a-wrong-clock": "403, signed too long ago"},
    "signature": {
        "refuses-the-unsigned": "an unsigned message: 200",
        "refuses-another-secret": "a message that is signed with another secret: 200",
        "refuses-what-was-changed": "a message with another body: 200",
    },
    "unsigned-heartbeat-POST": {"refuses-the-unsigned": "an unsigned heartbeat: 200"},
    "unsigned-answers-GET": {"refuses-the-unsigned": "an unsigned question for answers: 200"},
    "unsigned-cases-PATCH": {"refuses-the-unsigned": "an unsigned piece: 204"},
    "unsigned-cases-HEAD": {"refuses-the-unsigned": "an unsigned HEAD: 404"},
    "nobody": {"refuses-another-secret": "a message of somebody who is not known: 200"},
    "path": {"refuses-what-was-changed": "a piece of a still as one of a clip: 204"},
    "length": {"refuses-what-was-changed": "a piece with another length: 422, another hash"},
    "school/heartbeat": {"refuses-another-school": "a heartbeat of another school: 200"},
    "school/answers": {"refuses-another-school": "a question for another school's answers: 200"},
    "school": {"refuses-another-school": "a message of another school: 200"},
    "still": {"knows-no-still-yet": "Upload-Offset 9 of a still that never came"},
    "still-offset": {"takes-a-still": "204 with `` where Upload-Offset belongs"},
    "less": {"takes-a-still": "was taken with Upload-Offset 19999, and it ends at 20000"},
    "small": {"takes-a-clip": "the piece of 262144 bytes at 0 was not taken: 413, too much"},
    "head": {"tells-how-much-is-there": "HEAD tells of 7 bytes where 1000 were taken"},
    "head-whole": {"tells-how-much-is-there": "HEAD tells of 7 bytes where 2000 were taken"},
    "offset": {"refuses-a-gap": "a piece at 1000, where 0 bytes are there: 204"},
    "no-offset": {"refuses-a-gap": "409 with `` where Upload-Offset belongs"},
    "wrong-offset": {
        "refuses-a-gap": "a piece at 2000, where 1000 bytes are there: 409 with Upload-Offset 0",
        "takes-no-piece-twice": "409 with Upload-Offset 0 instead of 1000",
    },
    "doubles": {"takes-no-piece-twice": "which came a second time: 204 with Upload-Offset 2000 instead of 1000"},
    "doubles-unsaid": {"takes-no-piece-twice": "the piece of 1000 bytes at 1000 was not taken: 422, another hash"},
    "hash": {"refuses-a-wrong-hash": "a file whose hash is wrong: 204"},
    "slow": {"answers-at-once": "the answer came after 0."},
    "by": {"gives-the-same-again": "an answer needs `by`, a text"},
    "word": {"answers-at-once": "one of seen, taken, closed, false, and not `eaten\N{REPLACEMENT CHARACTER}[31m`"},
    "many": {"answers-at-once": "1001 answers in one list"},
    "no-cursor": {"answers-at-once": "no list `answers` with a `cursor`"},
    "repeats": {"gives-the-same-again": "3 answers come again after the cursor that stood beside them"},
    "once": {"gives-the-same-again": "3 answers the first time, and others the second time"},
    "waits": {"waits-for-answers": "did not answer in time"},
    "late": {"waits-for-answers": "the answer came after 2."},
    "endless": {"waits-for-answers": "there is always one more answer"},
    "no-school": {"asks-for-the-school": "a question without a school: 200"},
    "heartbeat-key": {"takes-a-heartbeat": "200 with no key"},
    "old-heartbeat": {"takes-an-older-heartbeat": "one that is ten minutes older: 422, too old"},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_a_centre_does_wrong_is_found_and_named(wrong, monkeypatch):
    monkeypatch.setattr(checks, "SOON_S", 0.3)
    monkeypatch.setattr(checks, "LATE_S", 0.2)
    monkeypatch.setattr(CentreRig, "LONGER_S", 1.0)
    with SmallCentre(wrong) as centre:
        found = tried(settings(centre.url), *WRONG[wrong], within_s=2.0)
    assert set(found) == set(WRONG[wrong])
    for name, said in WRONG[wrong].items():
        assert found[name].state == "failed", found[name]
        assert said in found[name].found


def test_each_check_is_one_that_a_centre_can_fail():
    assert {"speaks-https", *(name for names in WRONG.values() for name in names)} == set(NAMES)


def test_no_secret_is_in_what_is_told():
    with SmallCentre("signature", "json", "key") as centre:
        assert SECRET not in repr(tried(settings(centre.url)))
        with pytest.raises(UsageError, match="no check `takes-messages`") as raised:
            tried(settings(centre.url), "takes-messages")
        assert SECRET not in str(raised.value)


# Nothing that is a centre.


def test_where_nobody_listens_that_is_said_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/alerts"
    with pytest.raises(DestinationUnavailableError, match=url):
        tried(settings(url))


def test_a_centre_that_hangs_is_given_up_at_the_deadline():
    with SmallCentre("hangs") as centre:
        begun = time.monotonic()
        with pytest.raises(DestinationUnavailableError, match="did not answer in time"):
            tried(settings(centre.url), within_s=1.0)
        assert time.monotonic() - begun < 2.5


def test_a_centre_that_dies_meanwhile_fails_what_was_left():
    with SmallCentre() as centre, contextlib.closing(CentreRig(settings(centre.url), within_s=2.0)) as rig:
        found = checked(rig, ("takes-a-message", "takes-a-still"))
        assert next(found).state == "passed"
        centre.wrong.add("hangs")
        (left,) = found
    assert (left.state, left.check) == ("failed", "takes-a-still")
    assert "did not answer in time" in left.found


@pytest.mark.parametrize(
    ("change", "hint"),
    [({"password": "wrong"}, "secret"), ({"user": None, "password": None}, "--user"), ({"user": "x"}, "secret")],
)
def test_who_is_not_known_is_told_so_once(change, hint):
    with SmallCentre() as centre:
        with pytest.raises(DestinationRefusedError, match="answered a message with 401") as raised:
            tried(settings(centre.url, **change))
        assert hint in raised.value.hint
        with pytest.raises(DestinationRefusedError, match="answered a message with 403, another school"):
            tried(settings(centre.url, school={"id": "school-52", "number": 1}))


def test_a_redirect_is_not_followed():
    with (
        SmallCentre("moved") as centre,
        pytest.raises(DestinationRefusedError, match=r"redirects to `https://elsewhere\.example/`"),
    ):
        tried(settings(centre.url))


def test_beyond_this_machine_nothing_goes_in_clear():
    begun = time.monotonic()
    found = tried(settings("http://192.0.2.1/alerts"), "takes-a-message")
    assert states(found) == {"passed": [], "failed": ["speaks-https"], "skipped": ["takes-a-message"]}
    assert "nothing was sent" in found["speaks-https"].found
    assert time.monotonic() - begun < 1
    with pytest.raises(UsageError, match="is another machine"):
        tried(settings("https://ops.example.kz/alerts", user=None, password=None))
