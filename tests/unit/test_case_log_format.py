"""The case log, verified by docs/reference/case-log.md alone: SQLite, JSON and SHA-256, and nothing of edusense."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from pathlib import Path

from edusense import Site
from edusense.alerts import Desk, Finding, GivenAnswer
from edusense.alerts.database import Database

PAGE = Path(__file__).parents[2] / "docs/reference/case-log.md"


def verified(path: Path) -> list[dict]:
    """The entries of a sound log."""
    before, entries = bytes(32), []
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    for number, (position, body, found) in enumerate(
        connection.execute("SELECT position, body, hash FROM log ORDER BY position"), 1
    ):
        assert position == number
        before = hashlib.sha256(before + body).digest()
        assert found == before
        entry = json.loads(body)
        assert json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == body
        entries.append(entry)
    connection.close()
    return entries


def test_the_page_is_enough_to_verify_a_log(tmp_path):
    desk = Desk(Database(tmp_path), Site.loads('[site]\nid = "a"\nnumber = 1'))
    case = desk.take(Finding("fire", None, 1.0, "smoke", "3", text="дым, қар"))
    desk.take(Finding("fire", None, 2.0, "smoke", "3"))
    desk.answer(case.case, "seen", by="Ә. Ұлт", via="page")
    desk.hear("centre", [GivenAnswer("1", "none", "taken", "ЦОУ")], None)
    entries = verified(tmp_path / "cases.sqlite")
    assert [entry["entry"] for entry in entries] == ["opened", "again", "answer", "answer-refused"]
    desk.database.close()
    told = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE))
    assert {entry["entry"] for entry in entries} <= told
