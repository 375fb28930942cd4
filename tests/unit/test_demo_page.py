"""The demo's page: one file, nothing from outside, everything on it that the summary says."""

from __future__ import annotations

import io
import re
import stat
from pathlib import Path
from typing import Any

from PIL import Image

from edusense.cli.demo.account import account_for_motion, account_for_taps
from edusense.cli.demo.page import render, write_page
from edusense.cli.demo.result import Result


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("L", (64, 36), 90).save(file, "JPEG")
    return file.getvalue()


def result(**changes: Any) -> Result:
    staged = [{"camera": "205-front", "start_s": 1010.0, "end_s": 1012.0, "share": 0.02, "what": "walks <in>"}]
    found = [{"camera": "205-front", "id": "e1", "start_s": 1010.3, "end_s": 1012.2, "score": 0.8, "regions": []}]
    taps = [{"terminal": "left", "card": "AA", "time_s": 1020.0, "granted": True, "reason": None}]
    values: dict[str, Any] = {
        "seed": 7,
        "took_s": 60.0,
        "began_s": 1000.0,
        "cameras": [
            {
                "id": "205-front",
                "state": "playing",
                "reason": None,
                "pictures_received": 900,
                "pictures_looked_at": 300,
                "pictures_decoded": 900,
                "decoders": {"pyav": 900},
                "gate": {"state": "learning"},
            }
        ],
        "terminals": [],
        "motion_staged": staged,
        "motion_found": found,
        "taps_answered": taps,
        "motion": account_for_motion(staged, found),
        "taps": account_for_taps(
            [{"terminal": "left", "card": "AA", "at_s": 1019.9, "expected": "granted"}],
            taps,
            [{"pupil": 1, "day": 20261123, "slot": b"lunch"}],
        ),
        "verify": {"ok": True, "records": 3},
        "verify_status": 0,
        "snapshots": {"205-front": jpeg()},
        "thumbnails": {"e1": jpeg()},
        "uptime_s": 60.0,
        "box_cpu_s": 6.0,
        "box_peak_bytes": 90_000_000,
        "rooms": {"205-front": "205"},
    }
    return Result(**{**values, **changes})


def test_the_page_needs_nothing_from_outside() -> None:
    page = render(result())
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "url(" not in page
    assert page.count("data:image/jpeg;base64,") == 2


def test_what_was_staged_and_found_stands_on_it() -> None:
    page = render(result())
    assert "Everything adds up" in page
    assert 'class="staged"' in page
    assert 'class="found"' in page
    assert "walks &lt;in&gt;" in page
    assert "walks <in>" not in page


def test_a_missed_event_is_said_at_the_top() -> None:
    bad = result(motion_found=[], motion=account_for_motion(result().motion_staged, []))
    assert not bad.adds_up
    page = render(bad)
    assert "1 thing does not add up" in page
    assert 'class="missed"' in page
    assert any(name == "does not add up" for name, _ in bad.summary())


def test_an_event_over_everything_is_said_with_its_reason_and_pieces_are_told() -> None:
    staged, found = result().motion_staged, [{**result().motion_found[0], "start_s": 1000.0, "end_s": 1060.0}]
    bad = result(motion_found=found, motion=account_for_motion(staged, found))
    assert any("invented: event e1" in text and "beyond them" in text for _, text in bad.summary())
    assert "reaches more than 3 s beyond" in render(bad)
    found = [{**result().motion_found[0], "id": "e1", "end_s": 1011.0}, {**result().motion_found[0], "id": "e2"}]
    good = result(motion_found=found, motion=account_for_motion(staged, found))
    told = dict(good.summary())["motion events"]
    assert told.startswith("1 staged, 1 found (in 2 events of the box; 1 in up to 2 pieces), 0 missed, 0 invented")
    assert good.to_json()["motion_events"] == 2


def test_a_camera_that_is_down_or_a_damaged_ledger_does_not_add_up() -> None:
    assert not result(verify_status=1).adds_up
    assert not result(box_status=1).adds_up
    down = [{**result().cameras[0], "state": "refused", "reason": "wrong password"}]
    assert "wrong password" in result(cameras=down).problems()[0]


def test_the_page_is_not_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    write_page(result(), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
