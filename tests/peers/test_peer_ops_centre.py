"""The virtual centre's page in a real browser: cases as they come, schools and their silence, one press to answer."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.alert_desks import Clocks, entry, make_desk, waiting
from tests.peers.chromium import Chromium

from edusense.alerts.heartbeat import heartbeat
from edusense.sim.ops_centre import VirtualOpsCentre

pytestmark = [pytest.mark.peers, pytest.mark.timeout(120)]

SCHOOL = {"id": "school-51", "number": 51001}


def beat(cameras: int) -> dict:
    rows = [
        {"kind": "camera", "id": f"c{n}", "room": "hall", "state": "playing", "reason": None, "picture_s": 1.0}
        for n in range(cameras)
    ]
    return heartbeat(rows, school=SCHOOL, timezone="Asia/Almaty", now_s=time.time(), waiting={"messages": 0})


def test_cases_come_schools_are_named_and_a_press_answers(tmp_path: Path):
    clocks, told = Clocks(), []
    clocks.wall = time.time()
    desk = make_desk(tmp_path / "box", clocks, told)
    with VirtualOpsCentre(tmp_path / "centre", silent_s=6.0) as centre:
        browser = Chromium(tmp_path / "profile")
        try:
            browser.open(centre.page)
            centre.store.beat(beat(3))
            case = desk.take(entry(start_s=clocks.wall)).case
            for message in waiting(desk, "centre"):
                centre.store.take(message)
            browser.until("document.querySelectorAll('article').length > 0", 20)
            browser.until("document.querySelector('#schools').innerText.includes('камер работает 3 из 3')", 20)
            assert browser.text("#schools").startswith("школа school-51:")
            browser.press("Принять")
            # On its way to the school, whose box says what became of it.
            deadline = time.monotonic() + 20
            while not centre.store.given(case) and time.monotonic() < deadline:
                time.sleep(0.1)
            assert centre.store.given(case)[0]["answer"] == "taken"
            # Nobody is heard any more: that is an alert of the centre's own.
            browser.until("!!document.querySelector('article.school')", 20)
            assert "Школа school-51 молчит" in browser.text("article.school")
            assert "[object" not in browser.text("body")
            assert browser.complaints() == []
        finally:
            browser.close()
            desk.database.close()
