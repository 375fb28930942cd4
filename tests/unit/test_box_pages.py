"""The box's pages over real HTTP: who may see them, what a kiosk is told, what is done by hand there."""

from __future__ import annotations

import datetime
import http.client
import ipaddress
import json
import os
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from edusense.box.canteen import Canteen
from edusense.box.log import EventLog
from edusense.box.pages.part import PagesPart, bind
from edusense.box.pages.source import PagesSource
from edusense.box.screens import Screens
from edusense.box.terminals import TerminalPart
from edusense.devices import Card
from edusense.errors import BoxBusyError, EdusenseError, SiteSecretError, SiteValueError
from edusense.meals import RecordKey
from edusense.meals.of_site import meals_terminal, open_store
from edusense.meals.store import read_photo
from edusense.site import Site

SITE = """[site]
id = "school-51"
number = 51001
data = "data"
[[rooms]]
id = "canteen"
kind = "canteen"
[[terminals]]
id = "left"
number = 1
room = "canteen"
[[terminals]]
id = "right"
number = 2
room = "canteen"
[meals]
roster = "roster.csv"
[[meals.slots]]
id = "all-day"
from = "00:00"
to = "23:59:59"
price = "450.00"
[pages]
listen = "{listen}"
{more}
"""
PUPILS = """pupil,name,class,category,cards,consent_date,voucher_from,voucher_to,allergens
1001,Сәрсенова Айгерім,1А,grade-1-4,em4100:010063E9AE,2020-09-01,2020-09-01,,
1002,Омаров Данияр,10Б,orphan,em4100:010063E9AF,2020-09-01,2020-09-01,,"сүт, жаңғақ"
1003,Ли Тимур,2В,orphan,em4100:010063E9B0,,2020-09-01,,
"""
CARDS = ("em4100:010063E9AE", "em4100:010063E9AF", "em4100:010063E9B0")


class School:
    """A canteen with its pages, and no box around it."""

    def __init__(self, folder: Path, listen: str = "127.0.0.1:0", more: str = "") -> None:
        self.folder = folder
        (folder / "school.toml").write_text(SITE.format(listen=listen, more=more), "utf-8")
        (folder / "roster.csv").write_text(PUPILS, "utf-8")
        self.site = Site.load(folder / "school.toml")
        self.canteen, self.screens = Canteen(self.site), Screens()
        self.canteen.look()
        self.log = EventLog(folder / "events")
        self.terminals = {
            entry.id: TerminalPart(entry, self.site, self.canteen, self.log, self.screens)
            for entry in self.site.terminals
        }
        source = PagesSource(
            lambda: self.site,
            self.canteen,
            self.screens,
            lambda: self.terminals,
            reverse=self.reverse,
            confirm_clock=lambda operator, at: {"clock_s": at or 0.0, "operator": operator},
            taps=lambda since: [{"granted": False, "reason": "no-consent", "time_s": time.time()}],
        )
        self.part = PagesPart(self.site, source, self.log)
        self.part.start()
        deadline = time.monotonic() + 30
        while self.part.url is None:
            assert time.monotonic() < deadline, self.part.reason
            time.sleep(0.02)
        self.port = int(self.part.url.rpartition(":")[2].rstrip("/"))

    def reverse(self, record: str, operator: str, reason: str) -> dict[str, Any]:
        key = RecordKey.parse(record)
        terminal = meals_terminal(
            self.site,
            "by hand",
            key.terminal,
            ledger=self.canteen.ledger(),
            roster=self.canteen.roster(),
            clock=self.canteen.clock,
        )
        who = self.canteen.store().operators.named(operator, at=0.0)
        return self.canteen.by_hand().reverse(terminal, key, operator=who, reason=reason).to_json()

    def tap(self, number: int, terminal: str = "left") -> dict[str, Any]:
        return self.terminals[terminal].tap(Card.parse(CARDS[number]))

    def get(
        self, path: str, method: str = "GET", body: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes):
            body, given = json.dumps(body), {"content-type": "application/json", **given}
        connection.request(method, path, body=body, headers=given)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def post(self, path: str, **told: Any) -> tuple[int, Any]:
        status, _, content = self.get(f"/by-hand/{path}", "POST", told)
        return status, json.loads(content)

    def close(self) -> None:
        self.part.stop()
        assert self.part.join(15)
        self.canteen.close()
        self.log.close()


@pytest.fixture
def school(tmp_path: Path) -> Iterator[School]:
    made = School(tmp_path)
    yield made
    made.close()


class Listener:
    """A page that listens to a kiosk's events."""

    def __init__(self, school: School, terminal: str = "left") -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", school.port, timeout=30)
        self.connection.request("GET", f"/terminal/{terminal}/events")
        self.answer = self.connection.getresponse()
        assert self.answer.getheader("content-type", "").startswith("text/event-stream")

    def next(self, wanted: str) -> dict[str, Any]:
        kind = ""
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: ") and kind == wanted:
                return json.loads(line.removeprefix("data: "))

    def close(self) -> None:
        self.connection.close()


def test_a_kiosk_is_told_each_verdict_with_the_words_of_all_languages(school: School):
    listener = Listener(school)
    state = listener.next("state")
    assert (state["kind"], state["slot"]["id"], state["count"], state["clock_unsure"]) == ("meals", "all-day", 0, False)
    assert school.tap(1)["granted"]
    told = listener.next("verdict")
    assert (told["granted"], told["name"], told["class"], told["photo"]) == (True, "Омаров Данияр", "10Б", None)
    assert told["title"] == {"kk": "Ас болсын!", "ru": "Приятного аппетита!", "en": "Enjoy your meal!"}
    assert told["allergy"]["ru"] == "Аллергия: сүт, жаңғақ"
    assert 0 < told["left_ms"] <= told["show_ms"]
    assert "orphan" not in json.dumps(told), "why a meal is free is nobody's business at the counter"
    school.tap(1)
    told = listener.next("verdict")
    assert (told["reason"], told["title"]["ru"], told["allergy"]) == ("already-served", "Питание уже получено", None)
    assert "at" in told["text"]["en"]
    school.tap(2, "right")
    school.tap(0)
    assert listener.next("verdict")["name"] == "Сәрсенова Айгерім", "the other terminal's is not ours"
    while (state := listener.next("state"))["count"] != 2:
        pass
    listener.close()


def test_the_canteens_day_and_month_stand_in_pages_and_pictures(school: School):
    assert school.tap(0)["granted"]
    day, month = (school.get(path) for path in ("/canteen", "/canteen/month"))
    assert (day[0], month[0]) == (200, 200)
    assert "1 meals" in day[2].decode()
    assert "No parents&#x27; consent" in day[2].decode()
    assert ">1А</text>" in month[2].decode()
    for path in ("/canteen/day.png", "/canteen/month.png?month=2026-10"):
        status, headers, content = school.get(path)
        assert (status, headers["content-type"], content[:4]) == (200, "image/png", b"\x89PNG")
    for path in ("/canteen?day=yesterday", "/canteen/month?month=2026-13", "/canteen?day=0001-01-01"):
        assert school.get(path)[0] == 400


def test_a_page_that_is_loaded_again_in_mid_tap_shows_what_is_left(school: School):
    school.tap(0)
    first = Listener(school)
    told = first.next("verdict")
    time.sleep(0.3)
    second = Listener(school)
    again = second.next("verdict")
    assert again["number"] == told["number"]
    assert again["left_ms"] < told["left_ms"]
    for listener in (first, second):
        listener.close()


def test_a_photo_has_a_name_that_nobody_guesses(school: School):
    jpeg = school.folder / "1001.png"
    Image.new("RGB", (60, 80), "red").save(jpeg)
    with open_store(school.site) as store:
        store.people.set_photo(1001, read_photo(jpeg.read_bytes()), at=1.0)
    listener = Listener(school)
    school.tap(0)
    photo = listener.next("verdict")["photo"]
    listener.close()
    status, headers, content = school.get(photo)
    assert (status, headers["content-type"], headers["cache-control"]) == (200, "image/jpeg", "no-store")
    assert content.startswith(b"\xff\xd8")
    for guess in ("/photo/1001", "/photo/" + "A" * 22, "/photo/"):
        assert school.get(guess)[0] == 404


def test_pages_come_from_the_box_alone_and_to_this_machine_alone(school: School):
    for path in ("/", "/terminal/left", "/present"):
        status, headers, content = school.get(path)
        assert status == 200, path
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert b"http://" not in content.replace(b"http://www.w3.org", b"")
        assert b"https://" not in content
    for name in ("kiosk.js", "by-hand.js", "kiosk.css", "page.css", "icon.svg"):
        assert school.get(f"/static/{name}")[0] == 200
    for path in ("/static/../app.py", "/static/kiosk.html", "/static/%2e%2e%2fapp.py", "/terminal/none", "/none"):
        assert school.get(path)[0] == 404, path
    # A foreign page whose name was turned to 127.0.0.1 (DNS rebinding), and one that posts from elsewhere.
    assert school.get("/terminal/left", host="evil.example")[0] == 421
    assert school.get("/by-hand/operators", "POST", {}, origin="http://evil.example")[0] == 403
    assert school.get("/by-hand/operators", "POST", b"{}", content_type="text/plain")[0] == 415
    assert school.get("/", host=f"localhost:{school.port}")[0] == 200
    assert school.get("/token")[0] == 303


def test_by_hand_a_pin_is_wanted_and_everything_is_on_record(school: School):
    assert school.post("operators") == (200, [])
    with open_store(school.site) as store:
        cook = store.operators.named("Ким Вера", at=1.0)
        store.operators.named("Без Пина", at=1.0)
        store.operators.set_pin(cook.number, "1234")
    assert school.post("operators") == (200, [{"operator": cook.number, "name": "Ким Вера"}])
    for request in ("classes", "pupils", "recent", "enter", "reverse", "clock"):
        assert school.post(request, session="guessed")[0] == 401
    assert school.post("login", operator=cook.number, pin="1235")[1]["error"] == "wrong-pin"
    status, told = school.post("login", operator=cook.number, pin="1234")
    assert status == 200
    session = told["session"]
    assert school.post("classes", session=session)[1] == ["1А", "2В", "10Б"]
    assert school.post("pupils", session=session, **{"class": "1А"})[1] == [
        {"pupil": 1001, "name": "Сәрсенова Айгерім"}
    ]
    listener = Listener(school)
    status, done = school.post("enter", session=session, terminal="left", pupil=1001, reason="card-forgotten")
    assert (status, done["granted"]) == (200, True)
    assert listener.next("verdict")["name"] == "Сәрсенова Айгерім"
    listener.close()
    (meal,) = school.post("recent", session=session, terminal="left")[1]
    assert (meal["record"], meal["name"]) == (done["record"], "Сәрсенова Айгерім")
    assert school.post("reverse", session=session, record=meal["record"], reason="wrong-child")[0] == 200
    status, told = school.post("reverse", session=session, record=meal["record"], reason="wrong-child")
    assert (status, "taken back before" in told["message"]) == (409, True)
    assert school.post("recent", session=session, terminal="left")[1] == []
    assert (
        school.post("enter", session=session, terminal="left", pupil=1003, reason="card-lost")[1]["reason"]
        == "no-consent"
    )
    for told in (
        {"pupil": "1001"},
        {"pupil": 1001, "terminal": 5},
        {"pupil": 1001, "terminal": "left", "reason": "x" * 501},
    ):
        assert school.post("enter", session=session, **told)[0] == 400
    assert school.get("/by-hand/login", "POST", b"[" * 20_000, content_type="application/json")[0] == 413
    assert school.get("/by-hand/login", "POST", b"[", content_type="application/json")[0] == 400
    assert school.post("clock", session=session, at="yesterday")[0] == 409
    assert school.post("clock", session=session, at="2026-10-05T12:10")[1]["clock_s"] == 1_791_184_200.0
    with open_store(school.site) as store:
        assert {note.what for note in store.operators.notes().values()} == {"meal", "reversal"}


def test_guessing_a_pin_locks_it(school: School):
    with open_store(school.site) as store:
        cook = store.operators.named("Ким Вера", at=1.0)
        store.operators.set_pin(cook.number, "1234")
    answers = [school.post("login", operator=cook.number, pin=f"000{last}")[0] for last in range(6)]
    assert answers == [403] * 5 + [429]
    assert school.post("login", operator=cook.number, pin="1234")[0] == 429


def test_many_pages_and_many_taps_lose_nothing(school: School):
    listeners = [Listener(school) for _ in range(8)]
    for listener in listeners:
        listener.next("state")
    threads = [
        threading.Thread(target=school.tap, args=[number, name]) for number in range(3) for name in ("left", "right")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for listener in listeners:
        assert len({listener.next("verdict")["number"] for _ in range(3)}) == 3
        listener.close()


def certificate(folder: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "box")])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "box.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret = folder / "box.key"
    secret.touch(mode=0o600)
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def test_to_other_machines_only_with_tls_and_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for more in ("", 'certificate = "box.pem"\nkey = "box.key"', 'token = "env:PAGES_TOKEN"'):
        with pytest.raises(SiteValueError, match="can be reached from other machines"):
            Site.loads(SITE.format(listen="0.0.0.0:0", more=more))
    certificate(tmp_path)
    monkeypatch.setenv("PAGES_TOKEN", "correct horse")
    more = 'certificate = "box.pem"\nkey = "box.key"\ntoken = "env:PAGES_TOKEN"'
    school = School(tmp_path, "0.0.0.0:0", more)
    context = ssl.create_default_context(cafile=str(tmp_path / "box.pem"))

    def get(path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPSConnection("127.0.0.1", school.port, context=context, timeout=30)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    try:
        assert get("/terminal/left").status == 401
        assert get("/terminal/left/events").status == 401
        page = get("/terminal/left", accept="text/html")
        assert (page.status, page.getheader("location")) == (303, "/token")
        assert get("/token").status == 200
        assert get("/terminal/left", authorization="Bearer wrong").status == 401
        assert get("/terminal/left", authorization="Bearer correct horse").status == 200
        assert get("/token", "POST", b"wrong").status == 403
        answer = get("/token", "POST", b"correct horse")
        cookie = str(answer.getheader("set-cookie"))
        for word in ("HttpOnly", "Secure", "SameSite=strict"):
            assert word in cookie
        assert "horse" not in cookie
        assert get("/terminal/left", cookie=cookie.partition(";")[0]).status == 200
        assert get("/terminal/left", cookie="edusense-pages=0").status == 401
    finally:
        school.close()


def test_what_stands_in_the_way_is_said(tmp_path: Path):
    with bind("127.0.0.1", 0) as taken, pytest.raises(BoxBusyError, match="cannot be listened on"):
        bind("127.0.0.1", taken.getsockname()[1])
    certificate(tmp_path)
    key = tmp_path / "box.key"
    from edusense.box.pages.part import _tls

    def tls() -> Any:
        site = Site.loads(
            SITE.format(listen="127.0.0.1:0", more='certificate = "box.pem"\nkey = "box.key"'), path=tmp_path / "s.toml"
        )
        return _tls(site, site.pages)

    key.chmod(0o640)
    with pytest.raises(SiteSecretError, match="read by others"):
        tls()
    key.chmod(0o600)
    assert set(tls()) == {"ssl_certfile", "ssl_keyfile"}
    key.write_text("no key")
    with pytest.raises(SiteValueError, match="cannot be used"):
        tls()
    with pytest.raises(EdusenseError):
        Site.loads(SITE.format(listen="127.0.0.1", more=""))
    assert os.path.exists(key)  # noqa: PTH110
