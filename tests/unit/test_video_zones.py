"""Zones: what moves where nobody wants to know of it makes no event, and everything else still does."""

from __future__ import annotations

import datetime
import json
import zoneinfo
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from edusense import _native
from edusense.box.cameras import CamerasPart
from edusense.cli.main import edusense
from edusense.errors import UsageError
from edusense.sim.clips import library_clip
from edusense.sim.encode import Encoding
from edusense.site import Site
from edusense.video import CameraSource, Engine, find_events
from edusense.video.clip import TICKS, mp4_of
from edusense.video.zones import by_kind, polygons

WIDTH, HEIGHT = 320, 240
ALL = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]


def rectangle(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def seen(watch: Any, ignore: Any, *, x0: int = 20, speed: int = 6) -> list[tuple[int, int, int, int]]:
    """All regions of a bright square that walks to the right, with a second one far below it that walks as well."""
    detector = _native.Detector()
    detector.set_zones(watch, ignore)
    rng = np.random.default_rng(7)
    regions = []
    for index in range(30):
        picture = rng.normal(90, 1.5, (HEIGHT, WIDTH)).clip(0, 255).astype(np.uint8)
        if index >= 8:
            x = x0 + speed * (index - 8)
            picture[30:70, x : x + 30] = 200
            picture[170:210, x : x + 30] = 30
        regions += detector.look(index * 0.1, picture).regions
    return regions


def test_without_zones_both_walkers_are_seen() -> None:
    regions = seen([], [])
    assert any(y < 100 for _, y, _, _ in regions)
    assert any(y > 140 for _, y, _, _ in regions)


@pytest.mark.parametrize(
    ("watch", "ignore"),
    [
        ([], [rectangle(0, 0.5, 1, 1)]),
        ([rectangle(0, 0, 1, 0.5)], []),
        ([rectangle(0, 0, 1, 0.5), rectangle(0, 0.5, 0.5, 1)], [rectangle(0, 0.5, 0.5, 1)]),
    ],
)
def test_only_the_walker_above_is_seen(watch: Any, ignore: Any) -> None:
    regions = seen(watch, ignore)
    assert regions
    assert all(y + h <= HEIGHT / 2 + 8 for _, y, _, h in regions), regions


def test_where_nothing_counts_nothing_is_seen() -> None:
    assert seen([], [ALL]) == []


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 0.6), st.floats(0, 0.6), st.floats(0.1, 0.4), st.floats(0.1, 0.4), st.booleans())
def test_no_region_lies_where_motion_does_not_count(
    left: float, top: float, width: float, height: float, watched: bool
) -> None:
    zone = rectangle(left, top, left + width, top + height)
    regions = seen([zone], []) if watched else seen([], [zone])
    cell = 3 / 160  # what a box is rounded to, and a cell's neighbours
    for x, y, w, h in regions:
        apart = (
            (x + w) / WIDTH <= left - cell
            or x / WIDTH >= left + width + cell
            or (y + h) / HEIGHT <= top - cell
            or y / HEIGHT >= top + height + cell
        )
        inside = (
            x / WIDTH >= left + cell
            and (x + w) / WIDTH <= left + width - cell
            and y / HEIGHT >= top + cell
            and (y + h) / HEIGHT <= top + height - cell
        )
        assert not (apart if watched else inside), (zone, (x, y, w, h))


@pytest.mark.parametrize("zones", [([], [rectangle(0, 0.5, 1, 1)]), ([rectangle(0, 0, 1, 0.5)], [])])
@pytest.mark.parametrize("top", [120, 121])
def test_what_moves_along_the_border_of_a_zone_is_not_seen_beyond_it(zones: Any, top: int) -> None:
    detector = _native.Detector()
    detector.set_zones(*zones)
    rng = np.random.default_rng(7)
    for index in range(40):
        picture = rng.normal(90, 1.5, (HEIGHT, WIDTH)).clip(0, 255).astype(np.uint8)
        if index >= 8:
            x = 20 + 6 * (index - 8)
            picture[top : top + 100, x : x + 60] = 220
        assert detector.look(index * 0.1, picture).regions == []


@pytest.fixture(scope="module")
def corridor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clip = library_clip("corridor", Encoding(width=320, height=240, fps=10.0, gop_s=1.0), seconds=20.0, seed=3)
    step = TICKS / clip.encoding.fps
    units = [(one.annex_b(), round(index * step), one.key, 1.7e9) for index, one in enumerate(clip.pictures)]
    path = tmp_path_factory.mktemp("files") / "corridor.mp4"
    path.write_bytes(mp4_of("h264", units))
    return path


@pytest.mark.parametrize("look", ["full", "box"])
def test_files_are_searched_by_zones(corridor: Path, look: Any) -> None:
    assert list(find_events(corridor, look=look))
    assert list(find_events(corridor, look=look, watch=[ALL]))
    assert not list(find_events(corridor, look=look, ignore=[ALL]))
    assert not list(find_events(corridor, look=look, watch=[rectangle(0, 0, 0.02, 0.02)]))


def test_zones_on_the_command_line(corridor: Path) -> None:
    words = ["video", "events", str(corridor), "--json"]
    assert [json.loads(line) for line in CliRunner().invoke(edusense, words).stdout.splitlines()]
    ended = CliRunner().invoke(edusense, [*words, "--ignore", "0,0 1,0 1,1 0,1"])
    assert (ended.exit_code, ended.stdout) == (0, "")
    for wrong, told in (("0,0 1,0", "2 corners"), ("0,0 1,0 1,2", "1,2"), ("a,b", "`a,b`"), ("0,0,0 1,1 0,1", "0,0,0")):
        ended = CliRunner().invoke(edusense, [*words, "--watch", wrong])
        assert ended.exit_code == 2, wrong
        assert told in ended.stderr
        assert "such as" in ended.stderr


@pytest.mark.parametrize(
    "wrong", [[[(0, 0), (1, 1)]], [[(0, 0), (1, 0), (0, float("nan"))]], [["ab", "cd", "efg"]], [[1, 2, 3]], [5]]
)
def test_what_is_no_polygon_is_named(wrong: Any) -> None:
    with pytest.raises(UsageError, match="ignore zone 1"):
        polygons(wrong, "ignore")


def test_forbidden_zones_are_watched_beside_watched_ones() -> None:
    zones = [{"kind": kind, "polygon": ALL} for kind in ("watch", "forbidden", "ignore", "forbidden")]
    watch, ignore = by_kind(zones)
    assert (len(watch), len(ignore)) == (3, 1)
    assert by_kind(zones[1:2]) == ([], [])
    with pytest.raises(UsageError, match="is no zone"):
        by_kind([{"kind": "secret", "polygon": ALL}])
    with pytest.raises(UsageError, match="outside the picture"):
        Engine(
            [CameraSource("c", "rtsp://127.0.0.1:9/x", zones=({"kind": "watch", "polygon": [(0, 0), (2, 0), (0, 1)]},))]
        )


SITE = """
[site]
id = "school-51"
number = 51001
timezone = "Asia/Almaty"
[[rooms]]
id = "hall"
kind = "corridor"
[[cameras]]
id = "hall-1"
room = "hall"
url = "rtsp://127.0.0.1:9/x"
[[zones]]
id = "screen"
camera = "hall-1"
polygon = [[0, 0], [0.5, 0], [0, 0.5]]
kind = "ignore"
hours = "mon-fri 08:00-18:00"
[[zones]]
id = "door"
camera = "hall-1"
polygon = [[0, 0], [0.5, 0], [0, 0.5]]
kind = "forbidden"
"""


def test_zones_apply_at_their_hours() -> None:
    almaty = zoneinfo.ZoneInfo("Asia/Almaty")
    now = datetime.datetime(2026, 10, 5, 7, 59, 50, tzinfo=almaty)  # a Monday
    clock = [now.timestamp()]
    part = CamerasPart(Site.loads(SITE), None, None, clock=lambda: clock[0])  # type: ignore[arg-type]
    assert [zone.id for zone in part._zones_of("hall-1")] == ["door"]
    clock[0] += 20
    assert [zone.id for zone in part._zones_of("hall-1")] == ["screen", "door"]
    clock[0] += 10 * 3600
    assert [zone.id for zone in part._zones_of("hall-1")] == ["door"]
    assert part._zones_of("other") == ()
