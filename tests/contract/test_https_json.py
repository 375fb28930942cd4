"""`https-json` and the virtual operations centre: each is the other's test, over real HTTP on loopback."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from edusense.alerts import Attachment, Settings
from edusense.alerts.https_json import RANGE, HttpsJson, given_answer
from edusense.alerts.web import Answer, Web
from edusense.errors import DestinationRefusedError, DestinationUnavailableError, MessageRefusedError
from edusense.sim.ops_centre import VirtualOpsCentre

NEVER = threading.Event()


def settings_for(centre: VirtualOpsCentre, **change) -> Settings:
    given = {
        "id": "centre",
        "school": {"id": "school-51", "number": 51001},
        "url": centre.url,
        "user": centre.user,
        "password": centre.secret,
        "ca": centre.ca,
    }
    return Settings(**given | change)


def message(case: str, sequence: int = 1, **more) -> dict:
    told = {
        "format": 1,
        "type": "alert" if sequence == 1 else "update",
        "key": f"{case}/{sequence}",
        "case": case,
        "sequence": sequence,
        "status": "actual",
        "school": {"id": "school-51", "number": 51001},
        "state": "new",
    }
    if sequence == 1:
        told |= {"finding": "fire", "severity": "severe", "place": {}, "start_s": 1.0, "clock_error_s": 0.5}
    return told | more


@pytest.fixture(scope="module")
def centre():
    with VirtualOpsCentre() as centre:
        yield centre


@pytest.fixture
def destination(centre):
    centre.set_faults()
    with contextlib.closing(HttpsJson(settings_for(centre))) as destination:
        yield destination


def test_a_message_arrives_once_however_often_it_is_sent(centre, destination):
    for _ in range(3):
        destination.send(message("once-1"))
    (found,) = [told for told in centre.store.messages() if told["case"] == "once-1"]
    assert found["times"] == 3
    assert centre.store.case("once-1")["school"]["id"] == "school-51"


def status_of(url: str, body: bytes) -> int:
    """What a request without a signature is answered."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=10) as done:
            return int(done.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def clip(folder: Path, size: int, name: str = "clip") -> Attachment:
    content = bytes(index * 7 % 251 for index in range(1000)) * (size // 1000)
    path = folder / name
    path.write_bytes(content)
    return Attachment(f"case-{size}-{name}", name, path, "video/mp4", len(content), hashlib.sha256(content).hexdigest())


def test_a_clip_arrives_whole(centre, destination, tmp_path):
    attachment = clip(tmp_path, 3 * RANGE + 5000)
    destination.attach(attachment, NEVER)
    path, media_type = centre.store.file(attachment.case, "clip")
    assert path.read_bytes() == attachment.path.read_bytes()
    assert media_type == "video/mp4"
    carried = centre.link.carried
    destination.attach(attachment, NEVER)
    assert centre.link.carried - carried < 5000, "what is there is not sent again"


def test_a_clip_that_was_cut_goes_on_where_it_was(centre, destination, tmp_path):
    attachment = clip(tmp_path, 6 * RANGE)
    centre.link.weather.kbit = 40_000
    stopping = threading.Event()
    sent: list[int] = []

    def pace(count: int) -> None:
        sent.append(count)
        if sum(sent) > 3 * RANGE:
            centre.link.cut()

    cut = HttpsJson(settings_for(centre, pace=pace))
    with contextlib.closing(cut), pytest.raises(DestinationUnavailableError):
        cut.attach(attachment, stopping)
    have, length = centre.store.offset(attachment.case, "clip")
    assert 0 < have < length
    centre.link.mend()
    carried = centre.link.carried
    destination.attach(attachment, stopping)
    centre.link.weather.kbit = 0
    assert centre.link.carried - carried < length - have + RANGE
    assert centre.store.file(attachment.case, "clip")[0].read_bytes() == attachment.path.read_bytes()


def test_a_centre_that_was_put_back_gets_what_it_lost(centre, destination, tmp_path):
    attachment = clip(tmp_path, 20_000, "still")
    destination.attach(attachment, NEVER)
    centre.store.forget()
    destination.attach(attachment, NEVER)
    assert centre.store.file(attachment.case, "still") is not None


def test_a_file_that_has_gone_is_the_messages_fault_and_not_the_centres(destination, tmp_path):
    attachment = clip(tmp_path, 4000, "still")
    attachment.path.unlink()
    with pytest.raises(MessageRefusedError, match="gone"):
        destination.attach(attachment, NEVER)
    attachment.path.write_bytes(b"")
    with pytest.raises(MessageRefusedError, match="shorter"):
        destination.attach(attachment, NEVER)


def test_answers_come_when_they_are_given_and_once(centre, destination):
    destination.send(message("asked-1"))
    cursor = destination.answers(None, 0).cursor
    given: list = []
    waiting = threading.Thread(target=lambda: given.append(destination.answers(cursor, 20)))
    waiting.start()
    time.sleep(0.3)
    centre.answer("asked-1", "taken", by="ЦОУ, Оспанов", note="едем")
    waiting.join(20)
    (answer,) = given[0].given
    assert (answer.case, answer.answer, answer.by, answer.note) == ("asked-1", "taken", "ЦОУ, Оспанов", "едем")
    assert destination.answers(given[0].cursor, 0).given == ()


@pytest.mark.parametrize(
    "change",
    [{"id": "\ud800"}, {"case": "\udfff-1"}, {"note": "a\ud800"}, {"by": ""}, {"answer": 7}, {"id": "x" * 501}, None],
)
def test_an_answer_that_is_none_is_left_out_and_the_others_are_heard(destination, monkeypatch, caplog, change):
    sound = {"id": "1", "case": "attic-1", "answer": "seen", "by": "ЦОУ"}
    broken = change if change is None else sound | change
    body = json.dumps({"answers": [broken, sound | {"id": "2"}], "cursor": 2}).encode()
    monkeypatch.setattr(destination._web, "request", lambda *_, **__: Answer(200, {}, body, False))
    heard = destination.answers(None, 0)
    assert [answer.id for answer in heard.given] == ["2"]
    assert heard.cursor == "2"
    assert "an answer is left out" in caplog.text


@pytest.mark.parametrize("at_s", [10**400, float("inf"), float("nan"), "soon", True, None])
def test_an_answer_whose_time_is_none_is_an_answer_all_the_same(at_s):
    given = given_answer({"id": "1", "case": "attic-1", "answer": "seen", "by": "ЦОУ", "at_s": at_s})
    assert (given.answer, given.at_s) == ("seen", None)


@pytest.mark.parametrize("cursor", ["\ud800", -1, 10**400, None, [1]])
def test_a_cursor_that_is_none_is_refused(destination, monkeypatch, cursor):
    body = json.dumps({"answers": [], "cursor": cursor}).encode()
    monkeypatch.setattr(destination._web, "request", lambda *_, **__: Answer(200, {}, body, False))
    with pytest.raises(DestinationRefusedError, match="no list of answers"):
        destination.answers(None, 0)


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        ("errors", DestinationUnavailableError, "answered 50"),
        ("refuse", DestinationRefusedError, "answered 401: nobody is known here"),
        ("redirect", DestinationRefusedError, "redirects to `http://127.0.0.1:9/elsewhere`, which is not followed"),
        ("portal", DestinationRefusedError, "not as a centre does"),
        ("huge-answer", DestinationRefusedError, "not as a centre does"),
        ("down", DestinationUnavailableError, "destination `centre`"),
    ],
)
def test_what_goes_wrong_at_the_centre_is_told_and_kept(centre, destination, fault, error, said):
    centre.set_faults(fault)
    with pytest.raises(error, match=said):
        destination.send(message(f"fault-{fault}"))
    with pytest.raises((DestinationRefusedError, DestinationUnavailableError)):
        destination.answers(None, 0)
    with pytest.raises((DestinationRefusedError, DestinationUnavailableError)):
        destination.heartbeat({"key": "h/1", "school": {"id": "school-51"}})
    centre.set_faults()
    destination.send(message(f"fault-{fault}"))
    assert centre.store.case(f"fault-{fault}") is not None


def test_retry_after_is_heard(centre, destination):
    centre.set_faults("errors")
    asked = []
    for _ in range(3):
        with pytest.raises(DestinationUnavailableError) as caught:
            destination.send(message("later-1"))
        asked.append(caught.value.retry_after_s)
    assert 1.0 in asked
    centre.set_faults()


def test_a_lost_answer_is_no_second_message(centre, destination):
    centre.set_faults("answer-lost")
    for number in range(30):
        told = message(f"lost-{number}")
        while True:
            try:
                destination.send(told)
            except DestinationUnavailableError:
                continue
            break
    centre.set_faults()
    found = [told for told in centre.store.messages() if told["case"].startswith("lost-")]
    assert sorted(told["case"] for told in found) == sorted(f"lost-{number}" for number in range(30))
    assert any(told["times"] > 1 for told in found), "an answer was lost"


def test_another_secret_is_refused_without_being_told(centre):
    with contextlib.closing(HttpsJson(settings_for(centre, password="wrong"))) as stranger:
        with pytest.raises(DestinationRefusedError, match="401") as caught:
            stranger.send(message("stranger-1"))
        assert "secret" in caught.value.hint
    assert centre.store.case("stranger-1") is None
    assert status_of(centre.url, b"{}") == 401


@pytest.mark.parametrize(
    "told", [{"key": "a/2"}, {"sequence": "1"}, {"case": None}, {"school": "school-51"}, {"finding": None}]
)
def test_a_message_that_is_none_is_refused_alone(destination, told):
    wrong = {key: value for key, value in (message("wrong-1") | told).items() if value is not None}
    with pytest.raises(MessageRefusedError, match="422"):
        destination.send(wrong)
    destination.send(message("right-1"))


def refuses(settings: Settings, said: str) -> None:
    with (
        contextlib.closing(HttpsJson(settings)) as destination,
        pytest.raises((DestinationRefusedError, DestinationUnavailableError), match=said),
    ):
        destination.send(message("tls-2"))


def test_certificates_are_checked(tmp_path):
    with VirtualOpsCentre(tmp_path / "good", tls=True) as centre:
        with contextlib.closing(HttpsJson(settings_for(centre))) as destination:
            destination.send(message("tls-1"))
        # The same address by a name that the certificate does not have; "localhost" is not known everywhere.
        misnamed = settings_for(centre, url=centre.url.replace("127.0.0.1", "127.1"))
        for settings in (settings_for(centre, ca=None), misnamed):
            refuses(settings, "certificate is not to be trusted")
        assert [told["case"] for told in centre.store.messages()] == ["tls-1"]
    with VirtualOpsCentre(tmp_path / "old", tls=True, faults=["expired-certificate"]) as centre:
        refuses(settings_for(centre), "expired")


class Stranger:
    """A server that answers each connection with the same bytes, as slowly as asked."""

    def __init__(self, answer: bytes, pause_s: float = 0.0) -> None:
        self._answer, self._pause_s = answer, pause_s
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(1 << 16)
            for start in range(len(self._answer)):
                if not self._pause_s:
                    connection.sendall(self._answer)
                    break
                connection.sendall(self._answer[start : start + 1])
                time.sleep(self._pause_s)

    def close(self) -> None:
        self._socket.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n{}",
        b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 3000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n[[[[[[",
        b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"key": "no"}',
    ],
)
def test_bytes_of_a_stranger_are_told_and_never_taken_for_a_yes(answer):
    with contextlib.closing(Stranger(answer)) as stranger:
        url = f"http://127.0.0.1:{stranger.port}/alerts"
        refuses(Settings("centre", {"id": "s", "number": 1}, url=url), "destination `centre`")


def test_an_answer_that_drips_is_given_up_at_the_deadline():
    with contextlib.closing(Stranger(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50, pause_s=0.2)) as stranger:
        url = f"http://127.0.0.1:{stranger.port}/alerts"
        web = Web(Settings("centre", {"id": "s", "number": 1}, url=url))
        with pytest.raises(DestinationUnavailableError, match="in time"):
            web.request("POST", "", body=b"{}", within_s=1.0)
        web.close()


def test_whoever_waits_for_answers_can_be_interrupted(centre):
    destination = HttpsJson(settings_for(centre))
    ended: list[Exception] = []

    def wait() -> None:
        try:
            destination.answers(None, 50)
            destination.answers("999999", 50)
        except DestinationUnavailableError as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.5)
    destination.interrupt()
    thread.join(10)
    assert ended
    destination.close()


def test_the_page_of_the_centre_shows_and_answers(centre, destination):
    destination.send(message("shown-1", text="<b>not markup</b>"))
    with urllib.request.urlopen(centre.page, timeout=10) as page:
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert "http://" not in page.read().decode().replace("http://www.w3.org", ""), "nothing from outside"
    answer = f"{centre.page}cases/shown-1/answer"
    assert status_of(answer, json.dumps({"answer": "taken", "by": "дежурный"}).encode()) == 200
    for body, status in ((b"{}", 400), (b'{"answer":"eat","by":"x"}', 422), (b"\xff", 400)):
        assert status_of(answer, body) == status
    assert status_of(f"{centre.page}cases/none/answer", b'{"answer":"seen","by":"x"}') == 404
    with urllib.request.urlopen(f"{centre.page}cases", timeout=10) as told:
        shown = json.load(told)
    given = next(case["given"] for case in shown["cases"] if case["case"] == "shown-1")
    assert [answer["by"] for answer in given] == ["дежурный"]
