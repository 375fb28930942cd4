"""The guide's commands and scripts are run, and what it shows is what they print.

Pages about a running box are walked beside one, in tests/journeys/test_box_examples.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.pages import GUIDE, ROOT, blocks, mistakes, of_a_file, steps, walk

from edusense.sim.encode import Encoder, Encoding
from edusense.sim.scenes import Scene
from edusense.sim.script import Script
from edusense.sim.stage import Stage
from edusense.video.clip import TICKS, mp4_of

PAGES = (
    "installing.md",
    "first-school.md",
    "readers.md",
    "meals.md",
    "measuring.md",
    "video.md",
    "caring-for-cameras.md",
)
EVERY = [*sorted(GUIDE.glob("*.md")), ROOT / "README.md"]


def monday(folder: Path) -> None:
    """The recording that the page about video speaks of: forty seconds of a hall."""
    drawn = Scene.draw("hall", seed=5)
    script = Script.draw(drawn, seed=5, fps=12.5, begin_s=2, end_s=38, pause_s=9, lights=False)
    stage, encoder = Stage(drawn, script, seed=5), Encoder(Encoding())
    pictures = [encoder.encode(stage.paint) for _ in range(500)]
    units = [(one.annex_b(), round(index * TICKS / 12.5), one.key, 0.0) for index, one in enumerate(pictures)]
    (folder / "monday.mp4").write_bytes(mp4_of("h264", units))


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.timeout(300)  # some forty commands, each a process of its own
def test_every_command_of_the_page_works_and_prints_what_it_shows(name: str, tmp_path: Path):
    if name == "video.md":
        monday(tmp_path)
    assert walk(GUIDE / name, tmp_path)


def test_of_the_power_cut_everything_needs_a_plug():
    assert blocks(GUIDE / "power-cut.md", "console")
    assert steps(GUIDE / "power-cut.md") == []


@pytest.mark.parametrize("page", EVERY, ids=lambda page: page.name)
def test_the_names_that_its_python_uses_are_there(page: Path):
    assert [found for block in blocks(page, "python") if not of_a_file(block) for found in mistakes(block)] == []


def test_what_is_not_run_says_why():
    for page in EVERY:
        for reason in re.findall(r"<!-- not run: ?(.*?) ?-->", page.read_text(encoding="utf-8")):
            assert reason, page
