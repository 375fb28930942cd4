"""The kiosk in a real browser: what a cook sees, reads and hears, and what stays on the screen when things go wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.peers.chromium import Chromium

import edusense
from edusense.meals import RosterStore
from edusense.meals.store import read_photo

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

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
[meals]
roster = "roster.csv"
[[meals.slots]]
id = "lunch"
from = "00:00"
to = "23:59:59"
price = "450.00"
[pages]
listen = "127.0.0.1:{port}"
languages = ["kk", "ru", "en"]
"""
PUPILS = """pupil,name,class,category,cards,consent_date,voucher_from,voucher_to,allergens
1001,Сәрсенова Айгерім,1А,grade-1-4,em4100:010063E9AE,2020-09-01,2020-09-01,,
1002,Омаров Данияр,2Б,grade-1-4,em4100:010063E9AF,2020-09-01,2020-09-01,,жаңғақ
1003,Ли Тимур,3В,orphan,em4100:010063E9B0,,2020-09-01,,
"""


class Box:
    """A box with pages, as a process."""

    def __init__(self, folder: Path) -> None:
        import socket

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.site = folder, folder / "school.toml"
        self.site.write_text(SITE.format(port=self.port), "utf-8")
        (folder / "roster.csv").write_text(PUPILS, "utf-8")
        photo = folder / "photo.png"
        Image.new("RGB", (300, 400), "teal").save(photo)
        self.process = self.start()
        self.tap("em4100:0000000000")
        with RosterStore(folder / "data" / "roster.db") as store:
            store.people.set_photo(1001, read_photo(photo.read_bytes()), at=1.0)
            store.operators.set_pin(store.operators.named("Ким Вера", at=1.0).number, "1234")

    def start(self) -> subprocess.Popen[bytes]:
        log = (self.folder / "box.log").open("ab")
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", "edusense", "run", "--site", str(self.site)],
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )

    def tap(self, card: str) -> dict[str, Any]:
        return edusense.connect(self.site, wait_s=30).tap("left", card)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    made = Box(tmp_path_factory.mktemp("kiosk"))
    yield made
    made.stop()


@pytest.fixture
def page(box: Box, tmp_path: Path) -> Iterator[Chromium]:
    browser = Chromium(tmp_path / "profile")
    browser.open(f"http://127.0.0.1:{box.port}/terminal/left")
    browser.until("document.querySelector('#slot').textContent.includes('lunch')")
    browser.until("document.body.className.includes('idle')", 15)
    yield browser
    browser.close()


def shown(page: Chromium, what: str) -> None:
    page.until(f"document.body.classList.contains('{what}')")


def test_green_and_red_differ_in_colour_sign_words_and_sound(box: Box, page: Chromium):
    looks = {}
    for card, what in (("em4100:010063E9AE", "granted"), ("em4100:010063E9B0", "refused")):
        box.tap(card)
        shown(page, what)
        page.until("document.querySelector('#photo').complete")
        looks[what] = {
            "colour": page.script("getComputedStyle(document.body).backgroundColor"),
            "sign": page.script("getComputedStyle(document.querySelector('#sign')).borderRadius"),
            "words": page.text("#title"),
            "sound": page.script("document.body.dataset.sounded"),
            "audio": page.script("context.state"),
        }
        if what == "granted":
            assert page.text("#name") == "Сәрсенова Айгерім"
            assert page.text("#form") == "1А"
            assert page.script("document.querySelector('#photo').naturalWidth") > 0
        # Readable from two metres: the name is at least 6 % of the screen's height, the smallest words 2.5 %.
        sizes = "['#name', '#title p:last-child', '#text p:last-child'].map((one) => document.querySelector(one))"
        found = page.script(
            f"{sizes}.filter(Boolean).map((one) => parseFloat(getComputedStyle(one).fontSize) / innerHeight)"
        )
        assert found[0] > 0.06
        assert min(found) > 0.025
    assert looks["granted"]["words"].splitlines()[0] == "Ас болсын!"
    assert looks["refused"]["words"].split("\n")[0] == "Ата-ана келісімі жоқ"
    for name in ("colour", "sign", "words", "sound"):
        assert looks["granted"][name] != looks["refused"][name], name
    assert looks["granted"]["audio"] == "running"
    assert page.complaints() == []
    outside = [
        url for url in page.requests() if not url.startswith((f"http://127.0.0.1:{box.port}/", "about:", "data:"))
    ]
    assert not outside


def test_loaded_again_in_mid_tap_it_shows_the_rest_and_then_waits(box: Box, page: Chromium):
    box.tap("em4100:010063E9AF")
    page.until("!document.body.classList.contains('idle')")
    before = page.text("#name")
    page.ask("Page.reload")
    page.until("document.body.matches('.granted, .refused')")
    assert page.text("#name") == before
    assert "жаңғақ" in page.text("#allergy") or "already" in page.text("#text")
    shown(page, "idle")
    assert page.script("document.querySelector('#name').textContent") == "", "nobody's name stays behind"


def test_a_box_that_is_gone_is_said_and_one_that_is_back_is_followed(box: Box, page: Chromium):
    box.process.kill()
    box.process.wait(10)
    shown(page, "offline")
    assert "Терминал байланыста емес" in page.text("#banner")
    box.process = box.start()
    page.until("!document.body.classList.contains('offline')", 60)
    box.tap("em4100:0000000001")
    shown(page, "refused")
    assert "Карта белгісіз" in page.text("#title")


def test_a_meal_by_hand_with_a_pin(box: Box, page: Chromium):
    page.script("document.querySelector('#open-hand').click()")
    page.press("Ким Вера")
    for digit in "1111":
        page.press(digit)
    page.press("✓")
    page.until("document.querySelector('#hand-body').innerText.includes('PIN-код қате')")
    for digit in "1234":
        page.press(digit)
    page.press("✓")
    page.press("Тамақты енгізу")
    page.press("3В")
    page.press("Ли Тимур")
    page.press("Карта үйде қалған")
    shown(page, "refused")
    assert "Ли Тимур" in page.text("#name")
    page.until("!document.querySelector('#hand').open")
    assert page.complaints() == [], "a wrong PIN is an answer and no error"


def test_the_list_for_the_fire_drill_is_a_page_to_print(box: Box, page: Chromium):
    page.open(f"http://127.0.0.1:{box.port}/present")
    assert "In the building" in page.text("h1")
    time.sleep(0.1)
    assert page.complaints() == []
