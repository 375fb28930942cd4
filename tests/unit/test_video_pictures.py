"""Contact sheet, timeline and heat map: what stands in their figures, their pixels and their pages."""

from __future__ import annotations

import datetime
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edusense import video
from edusense.errors import UsageError, VideoSourceError
from edusense.sim.encode import Encoder, Encoding
from edusense.sim.scenes import Scene
from edusense.sim.script import Script
from edusense.sim.stage import Stage
from edusense.video.heat import HeatMap
from edusense.video.sheet import TILE, Tile, draw_sheet, sheet_page
from edusense.video.timeline import Bar, Timeline

ALMATY = datetime.timezone(datetime.timedelta(hours=5))


def jpeg(colour: tuple[int, int, int], size: tuple[int, int] = (640, 360)) -> bytes:
    output = io.BytesIO()
    Image.new("RGB", size, colour).save(output, "JPEG")
    return output.getvalue()


class Reading(HTMLParser):
    """Every tag of a page that has an end is closed, in order."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attributes if name in {"src", "href"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag in {"rect", "line"}, "only SVG closes a tag in itself"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_sheet_shows_each_camera_in_its_place():
    tiles = [Tile(f"c-{index}", "205", "playing", None, jpeg((250, 20, 20)), 1.0) for index in range(4)]
    tiles[2] = Tile("c-2", "205", "lost", "cannot be reached", jpeg((250, 20, 20)), 300.0)
    tiles[3] = Tile("c-3", "205", "waiting", None, None)
    sheet = draw_sheet(tiles, title="school", columns=2)
    middle = [
        (10 + column * (TILE[0] + 10) + 60, 44 + row * (TILE[1] + 50) + 60) for row in (0, 1) for column in (0, 1)
    ]
    levels = [sheet.getpixel(at) for at in middle]
    reds = [level[0] for level in levels if isinstance(level, tuple)]
    assert reds[0] > 230
    assert reds[1] > 230
    assert 90 < reds[2] < 200, "pale: it is old"
    assert reds[3] < 70, "a hole"


@pytest.mark.parametrize("count", [1, 7, 180])
def test_sheets_of_any_size(count: int):
    tiles = [Tile(f"camera-{index}", "hall", "playing", None, None) for index in range(count)]
    width, height = draw_sheet(tiles, title="x").size
    assert width <= 16 * 250
    assert height >= TILE[1]
    assert sheet_page(tiles, title="x").count("<figure") == count


def test_a_damaged_picture_is_told_and_costs_the_others_nothing():
    tiles = [
        Tile("a", "1", "playing", None, b"\xff\xd8 no more", 1.0),
        Tile("b", "1", "playing", None, jpeg((0, 250, 0)), 1),
    ]
    drawn = draw_sheet(tiles, title="x", columns=2)
    green = drawn.getpixel((10 + 250 + 60, 44 + 60))
    assert isinstance(green, tuple)
    assert green[1] > 200


def test_pages_are_one_file_and_names_are_only_text():
    bad = '<script>alert("x")</script>'
    tiles = [Tile("c", bad, "lost", bad, jpeg((1, 2, 3)), 5.0)]
    told = Reading(sheet_page(tiles, title=bad))
    assert told.sources
    assert all(source.startswith("data:image/") for source in told.sources)
    line = Timeline(bad, [bad], [Bar(bad, 1, 2, 0.5, bad)], 0, 10)
    for page in (sheet_page(tiles, title=bad), line.page()):
        Reading(page)
        assert "<script" not in page


def test_a_timeline_has_its_bars_where_they_were():
    line = Timeline(
        "t", ["a", "b"], [Bar("a", 0, 50, 1.0, "a-1"), Bar("b", 75, 100, 1.0), Bar("a", 200, 210, 1)], 0, 100
    )
    drawn = np.asarray(line.draw()).astype(int)
    blue = (drawn[..., 2] > 200) & (drawn[..., 0] < 150)
    first, second = blue[62 + 7], blue[82 + 7]
    assert first[160:660].all()
    assert not first[700:1200].any()
    assert second[970:1210].all()
    assert not second[160:900].any()
    assert len(re.findall('class="event"', line.page())) == 2, "what lies outside is left out"
    assert "a-1" in line.page()


@pytest.mark.parametrize(
    ("span_s", "first"), [(60, "10:00:00"), (3600, "10:00"), (8 * 3600, "10:00"), (24 * 3600, "10:00"), (9e5, "26 Nov")]
)
def test_ticks_are_full_hours_of_the_school(span_s: float, first: str):
    start = datetime.datetime(2026, 11, 25, 10, 0, tzinfo=ALMATY).timestamp()
    ticks = Timeline("t", [], [], start, start + span_s, ALMATY)._ticks()
    assert 2 <= len(ticks) <= 13
    assert ticks[0][1] == first


def test_a_heat_map_tells_where_it_moved_and_what_masks_itself(tmp_path: Path):
    fps, path = 12.5, tmp_path / "scene.h264"
    scene = Scene.draw("corridor", seed=4)
    stage = Stage(scene, Script.draw(scene, seed=4, fps=fps, begin_s=1, end_s=14, pause_s=1), seed=4)
    encoder = Encoder(Encoding(fps=fps))
    path.write_bytes(b"".join(encoder.encode(stage.paint).annex_b() for _ in range(190)))
    seen: list[float] = []
    found = video.heat_map(path, on_progress=seen.append)
    (event, *_) = video.find_events(path)
    told = found.to_json()
    assert 0 < told["moved_share"] < 1
    assert 0 < told["most_s"] < 15
    assert seen[-1] == pytest.approx(15, abs=0.5)
    x, y, width, height = event.regions[0]
    rows, columns = found.moved_s.shape
    part = found.moved_s[
        y * rows // 360 : (y + height) * rows // 360, x * columns // 640 : (x + width) * columns // 640
    ]
    assert part.sum() > 0
    drawn = found.draw(320)
    assert drawn.width == 320
    colours = np.asarray(drawn).astype(int)[:180]
    assert (np.ptp(colours, axis=2) > 60).any(), "some of it is coloured"
    nothing = video.heat_map(path, ignore=[[[0, 0], [1, 0], [1, 1], [0, 1]]])
    assert nothing.to_json()["moved_share"] == 0
    assert nothing.to_json()["ignored_share"] == 1
    assert video.heat_map(path, seconds=3).to_json()["seconds"] == pytest.approx(3, abs=0.3)


def test_masked_places_are_striped_and_nothing_moved_is_said():
    masked = np.zeros((9, 16), np.bool_)
    masked[:3, :4] = True
    blank = np.zeros((9, 16), np.float32)
    drawn = np.asarray(HeatMap("x", blank, masked, np.zeros_like(masked)).draw(320)).astype(int)
    stripes = (drawn[..., 0] > 200) & (drawn[..., 1] < 60)
    assert 0.2 < stripes[:60, :80].mean() < 0.6
    assert not stripes[70:170].any()


def test_a_heat_map_of_nothing(tmp_path: Path):
    with pytest.raises(VideoSourceError):
        video.heat_map(tmp_path / "none.mp4")
    with pytest.raises(UsageError, match="ignore"):
        video.heat_map("x", ignore=[1])
