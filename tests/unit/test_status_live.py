"""The live table: it fits the terminal, puts trouble first, and says it in words."""

from __future__ import annotations

from typing import Any

import pytest

from edusense.cli import status_live
from edusense.cli.status_live import changed_lines, table_of, trouble_of
from edusense.errors import BoxNotRunningError

NOW = 1_795_443_259.0


def camera(name: str, **more: Any) -> dict[str, Any]:
    gate = {"state": "trusted", "level": 0.5, "threshold": 2.0, "noise": 1.0, "words": "sees small motion"}
    row = {"kind": "camera", "id": name, "room": "1", "state": "playing", "reason": None, "keep_state": None}
    row |= {"bitrate_kbit": 812.4, "lost": 3, "gate": gate, "pictures_looked_at": 123_456, "last_event_s": NOW - 60}
    return row | {"keep_reason": None, "trouble": None} | more


def lines(rows: list[dict[str, Any]], width: int = 80, height: int = 30, **more: Any) -> list[str]:
    return table_of(rows, width=width, height=height, now_s=NOW, **more).plain.splitlines()


@pytest.mark.parametrize("width", [80, 100, 200])
def test_every_line_fits_and_figures_stand_in_their_columns(width: int):
    rows = [
        camera("a"),
        camera("a-very-long-name-of-a-camera-in-the-corridor"),
        camera("b", state="lost", reason="x" * 300),
    ]
    told = lines(rows, width)
    assert all(len(line) <= width for line in told)
    assert told[2].split()[:7] == ["a", "playing", "812", "3", "trusted", "25%", "-"]
    assert "123k" in told[2]
    assert told[-1].startswith("  xxx")


def test_those_in_trouble_come_first_where_not_all_fit():
    rows = [camera(f"c-{index}") for index in range(180)]
    rows[150] = camera("c-150", state="refused", reason="user or password were refused")
    rows[170] = camera("c-170", last_event_s=NOW - 1)
    told = lines(rows, height=12)
    assert len(told) <= 11
    assert any("user or password were refused" in line for line in told)
    assert any(line.startswith("c-170") for line in told)
    assert "more, in which nothing is wrong" in told[-1]
    shown = sum(line.startswith("c-") for line in told)
    assert told[-1].startswith(f"and {180 - shown} more")


def test_what_is_wrong_is_said_in_words():
    assert trouble_of(camera("a")) == ""
    assert trouble_of(camera("a", state="stalled", reason="silent for 5 s")) == "silent for 5 s"
    kept = camera("a", keep_state="lost", keep_reason="cannot be reached")
    assert trouble_of(kept) == "kept stream lost: cannot be reached"
    off = camera("a", gate={"state": "off", "level": 0, "threshold": 0, "words": "constant bit rate hides motion"})
    assert trouble_of(off) == "constant bit rate hides motion"
    assert "-" in lines([off])[2].split()


def test_into_a_pipe_only_what_changed_is_told():
    before: dict[str, str] = {}
    rows = [camera("a"), camera("b"), {"kind": "box"}]
    assert len(list(changed_lines(rows, before))) == 2
    assert list(changed_lines(rows, before)) == []
    (line,) = changed_lines([camera("a"), camera("b", state="lost", reason="cut off")], before)
    assert line.startswith("b  lost")
    assert line.endswith("cut off")


def test_a_box_that_stops_is_told_and_waited_for(capsys: pytest.CaptureFixture[str]):
    class Box:
        calls = 0

        def status(self) -> list[dict[str, Any]]:
            self.calls += 1
            if self.calls in (2, 3):
                raise BoxNotRunningError("no box")
            if self.calls > 4:
                raise KeyboardInterrupt
            return [camera("a")]

    with pytest.raises(KeyboardInterrupt):
        status_live.follow(Box(), sleep=lambda _: None)  # type: ignore[arg-type] # what it asks is all that it needs
    told = capsys.readouterr().out
    assert told.count("does not answer") == 1
    assert told.count("the box answers") == 1
    assert "has not answered for 7 s" in lines([camera("a")], silent_s=7.2)[0]
