"""The canteen's day and month: what is counted, what is drawn, and the command that writes it."""

from __future__ import annotations

import datetime
import io
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
import zoneinfo
from pathlib import Path

import pytest
from PIL import Image

from edusense.cli.schemas import validate
from edusense.meals import Kind, Ledger, Slot
from edusense.meals.canteen_figures import DayFigures, MonthFigures, Refused
from edusense.meals.canteen_pictures import draw_day, draw_month

ZONE = zoneinfo.ZoneInfo("Asia/Almaty")
DAY = datetime.date(2026, 10, 5)
SLOTS = [Slot("lunch", datetime.time(11), datetime.time(14, 30))]


def moment(clock: str, day: datetime.date = DAY) -> float:
    return datetime.datetime.combine(day, datetime.time.fromisoformat(clock), ZONE).timestamp()


def meals(*told: tuple[str, int, int]):
    """Meals of pupils at terminals: clock, pupil, terminal."""
    rows = Ledger.blank(len(told))
    for row, (clock, pupil, terminal) in zip(rows, told, strict=True):
        row["time"], row["pupil"], row["terminal"] = round(moment(clock) * 1e6), pupil, terminal
    rows["day"], rows["slot"], rows["epoch"], rows["sequence"] = 20261005, b"lunch", 7, range(2, len(told) + 2)
    return rows


def test_a_day_is_counted_by_the_minute():
    told = meals(("12:00:00", 1, 1), ("12:00:10", 2, 1), ("12:00:20", 3, 1), ("12:00:21", 4, 2), ("12:05:00", 5, 1))
    back = Ledger.blank(1, Kind.REVERSAL)
    back["terminal"], back["day"], back["ref_epoch"], back["ref_sequence"] = 1, 20261005, 7, 3
    import numpy as np

    refused = [Refused(moment("12:01:30"), "no-consent")]
    found = DayFigures.of(np.concatenate([told, back]), DAY, zone=ZONE, slots=SLOTS, refused=refused)
    assert dict(found.meals) == {720: 3, 725: 1}
    assert found.line == {720: 3, 725: 1}, "three at one terminal, ten seconds apart"
    assert found.refused == ((721, "no-consent"),)
    assert (found.reversed, found.span()) == (1, (11 * 60, 15 * 60))


def test_a_day_is_drawn_for_a_page_and_as_a_picture():
    found = DayFigures.of(meals(("12:00:00", 1, 1)), DAY, zone=ZONE, slots=SLOTS, refused=[])
    drawing = draw_day(found, "school <51> & co")
    root = ET.fromstring(drawing.to_svg())
    words = " ".join(root.itertext())
    assert "school <51> & co" in words
    assert "nobody was refused" in words
    assert "12:00: 1 meals" in words
    with Image.open(io.BytesIO(drawing.to_png())) as picture:
        assert picture.size == (round(2 * drawing.width), round(2 * drawing.height))
        assert len(picture.getcolors(1 << 20)) > 3
    unknown = DayFigures.of(meals(), DAY, zone=ZONE)
    assert "not known" in draw_day(unknown, "s").to_svg()


def month(*, today: datetime.date, closed=lambda day, form: "weekend" if day.weekday() > 4 else None) -> MonthFigures:
    rows = meals(("12:00:00", 1, 1), ("12:00:10", 2, 1), ("12:00:20", 3, 1))
    rows["day"] = [20261005, 20261005, 20261003]
    return MonthFigures.of(rows, DAY, classes={1: "2А", 2: "2А", 3: "10Б", 4: "10Б"}, today=today, closed=closed)


def test_a_month_says_which_meals_are_missing():
    found = month(today=datetime.date(2026, 10, 7))
    assert found.cells["2А", DAY].share == 1.0
    assert found.cells["10Б", DAY].state == "missing"
    assert found.cells["10Б", datetime.date(2026, 10, 4)].state == "closed"
    assert found.cells["10Б", datetime.date(2026, 10, 8)].state == "coming"
    assert found.cells["10Б", datetime.date(2026, 10, 3)].reason == "weekend", "a meal on a closed day"
    assert [day.day for day in found.missing()] == [1, 2, 6, 7]
    svg = draw_month(found, "school-51").to_svg()
    words = " ".join(ET.fromstring(svg).itertext())
    assert "no meal at all on 01.10., 02.10., 06.10., 07.10." in words
    assert "10Б, 03.10.: 1 meals of 2, though closed: weekend" in words


def test_nobody_on_a_list_and_nothing_at_all():
    rows = meals(("12:00:00", 99, 1))
    found = MonthFigures.of(rows, DAY, classes={}, today=DAY)
    assert found.classes == ("–",)
    assert found.cells["–", DAY].meals == 1
    empty = MonthFigures.of(rows[:0], DAY, classes={}, today=DAY)
    assert draw_month(empty, "s").to_png()


@pytest.mark.parametrize(("what", "name"), [("day", "day.png"), ("month", "month.svg")])
def test_the_command_writes_what_was_asked_for(what: str, name: str, tmp_path: Path):
    (tmp_path / "roster.csv").write_text(
        "pupil,name,class,category,cards\n1,Ли,2А,grade-1-4,em4100:010063E9AE\n", "utf-8"
    )
    site = tmp_path / "school.toml"
    site.write_text(
        '[site]\nid = "school-51"\nnumber = 51001\ndata = "data"\n[meals]\nroster = "roster.csv"\ndays = "mon-fri"\n'
        '[[meals.slots]]\nid = "lunch"\nfrom = "11:00"\nto = "14:30"\nprice = "450.00"\n'
    )
    with Ledger.open(tmp_path / "data/ledger", school=51001) as ledger:
        rows = meals(("12:00:00", 1, 1))
        ledger.append(rows)
    when = "2026-10-05" if what == "day" else "2026-10"
    command = [
        "meals",
        "picture",
        what,
        f"--{what}",
        when,
        "--out",
        str(tmp_path / name),
        "--site",
        str(site),
        "--json",
    ]
    done = subprocess.run([sys.executable, "-m", "edusense", *command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    validate(f"meals picture {what}", told)
    assert (tmp_path / name).stat().st_size == told["bytes"]
