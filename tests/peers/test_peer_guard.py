"""The guard's page in a real browser: what a guard sees and hears, one tap to answer, and when lines break."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.peers.chromium import Chromium

from edusense.sim.ops_centre import VirtualOpsCentre

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

MORE = """
[pages]
listen = "127.0.0.1:{port}"
languages = ["kk", "ru"]

[credentials.centre]
user = "edusense"
password = "file:centre.secret"

[[zones]]
id = "attic-door"
camera = "205-0"
polygon = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]
kind = "forbidden"
alert = ["ops-centre"]

[[destinations]]
id = "ops-centre"
driver = "https-json"
url = "{url}"
credentials = "centre"
"""


@pytest.fixture(scope="module")
def centre() -> Iterator[VirtualOpsCentre]:
    with VirtualOpsCentre() as centre:
        yield centre


@pytest.fixture(scope="module")
def school(
    tmp_path_factory: pytest.TempPathFactory, centre: VirtualOpsCentre, school_class: type[Any]
) -> Iterator[Any]:
    with contextlib.closing(school_class(tmp_path_factory.mktemp("school"))) as school:
        secret = school.folder / "centre.secret"
        secret.touch(mode=0o600)
        secret.write_text(f"{centre.secret}\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            school.port = free.getsockname()[1]
        school.write_site(lambda text: text + MORE.format(url=centre.url, port=school.port))
        school.start()
        yield school


@pytest.fixture
def phone(school: Any, tmp_path: Path) -> Iterator[Chromium]:
    browser = Chromium(tmp_path / "profile", width=390, height=844)
    try:
        browser.open(f"http://127.0.0.1:{school.port}/guard")
        yield browser
        assert browser.complaints() == []
    finally:
        browser.close()


def shot(browser: Chromium, name: str) -> None:
    folder = os.environ.get("EDUSENSE_SHOTS")
    if folder:
        browser.picture(Path(folder) / f"{name}.png")


def test_somebody_enters_and_the_guard_answers_with_one_tap(school: Any, centre: VirtualOpsCentre, phone: Chromium):
    phone.until("document.querySelector('article .picture img')?.naturalWidth > 0", 60)
    assert phone.text("#title") == "Дабылдар"
    assert "Тыйым салынған аймаққа кіру" in phone.text("article b")
    phone.until("!!document.querySelector('article.unanswered')")
    # It sounds again and again until somebody answers.
    phone.until("Number(document.body.dataset.sounded) > 1")
    shot(phone, "guard-phone-kk")
    phone.press("РУС")
    assert "Вход в запретную зону" in phone.text("article b")
    shot(phone, "guard-phone-ru")
    phone.press("Вижу")
    phone.until("document.getElementById('who').open")
    shot(phone, "guard-phone-who")
    phone.script("document.getElementById('name').value = 'А. Серикова'")
    phone.press("Сохранить")
    phone.until("document.querySelector('article .good')?.innerText.includes('А. Серикова')")
    phone.until("document.body.dataset.sounding === 'no'", 10)
    case = school.connect().cases()[0]
    assert (case["state"], case["answered_by"]) == ("seen", "А. Серикова")
    school.until(lambda: centre.store.case(case["case"])["state"] == "seen")
    # The centre takes it, and the guard sees that.
    centre.answer(case["case"], "taken", by="ЦОУ, Оспанов")
    phone.until("document.querySelector('article .good').innerText.includes('ЦОУ, Оспанов')")
    phone.until("!!document.querySelector('article .picture .play')", 60)
    phone.press("Смотреть видео")
    phone.until("document.querySelector('article video')?.readyState >= 2")
    shot(phone, "guard-phone-clip")
    phone.press("Закончено")
    phone.until("!!document.querySelector('article.over')")
    assert school.connect().case(case["case"])[0]["state"] == "closed"


def test_the_school_sees_that_it_is_waiting_and_nothing_comes_twice(
    school: Any, centre: VirtualOpsCentre, phone: Chromium
):
    box = school.connect()
    centre.set_faults("down")
    case = box.raise_finding("fire", camera="205-0", rule="smoke", version="3", severity="extreme")["case"]
    phone.press("ENG")
    phone.until(
        f"document.querySelector('article[data-case=\"{case}\"] .waits')?.innerText.includes('waiting to be sent')"
    )
    phone.until("!!document.querySelector('#destinations .unavailable')", 60)
    assert "no connection" in phone.text("#destinations")
    shot(phone, "guard-phone-cut")
    # The gravest that nobody has answered is first.
    assert phone.script("document.querySelector('article').dataset.case") == case
    centre.set_faults()
    phone.until(f"document.querySelector('article[data-case=\"{case}\"] .text').innerText.includes('delivered')", 90)
    assert [one["times"] for one in centre.store.messages() if one["case"] == case and one["type"] == "alert"] == [1]
    box.answer(case, "false", by="guard")


def test_what_cannot_be_answered_is_said(school: Any, phone: Chromium):
    box = school.connect()
    case = box.raise_finding("fight", camera="205-0", rule="fights", version="1", severity="severe")["case"]
    phone.until(f"!!document.querySelector('article[data-case=\"{case}\"] .buttons')")
    phone.script("localStorage.setItem('by', 'guard')")
    answered = phone.script(
        "fetch('/guard/answer', {method: 'POST', headers: {'content-type': 'application/json'}, "
        "body: JSON.stringify({case: 'no-such-case', answer: 'seen', by: 'guard'})}).then((done) => done.json())"
    )
    assert answered["error"] == "case-unknown"
    box.answer(case, "closed", by="somebody else")


def test_on_a_wide_screen_and_when_the_box_is_gone(school: Any, tmp_path: Path):
    browser = Chromium(tmp_path / "profile", width=1280, height=900)
    try:
        browser.open(f"http://127.0.0.1:{school.port}/guard")
        box = school.connect()
        made = [
            box.raise_finding("smoke", camera="205-0", rule="smoke", version="3", severity="moderate"),
            box.raise_finding("forbidden-entry", camera="205-0", rule="x", version="1", severity="severe"),
        ]
        box.silence("205-0", for_s=600, by="А. Серикова", reason="ремонт")
        browser.until("document.querySelectorAll('article .picture img').length >= 2", 30)
        browser.until("!document.getElementById('silences').hidden")
        shot(browser, "guard-wide")
        school.stop()
        browser.until("!document.getElementById('offline').hidden", 30)
        shot(browser, "guard-offline")
        school.start()
        browser.until("document.getElementById('offline').hidden", 60)
        for case in made:
            school.connect().answer(case["case"], "closed", by="test")
    finally:
        browser.close()
