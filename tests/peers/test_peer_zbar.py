"""The bar codes of a printed list as zbar reads them, which scanners of telephones are built on."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from edusense.meals.paper_list import bar_widths

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("zbarimg") is None, reason="sudo apt-get install zbar-tools"),
]


@pytest.mark.parametrize("text", ["1", "17", "1017", "999999", "123456789012345678", "EW-2026-000017"])
def test_zbar_reads_what_was_printed(tmp_path: Path, text: str) -> None:
    widths = bar_widths(text)
    picture = Image.new("L", ((sum(widths) + 20) * 3, 90), 255)
    draw, at = ImageDraw.Draw(picture), 10
    for place, width in enumerate(widths):
        if place % 2 == 0:
            draw.rectangle((at * 3, 0, (at + width) * 3 - 1, 89), fill=0)
        at += width
    picture.save(tmp_path / "code.png")
    ended = subprocess.run(
        ["zbarimg", "--quiet", tmp_path / "code.png"], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == f"CODE-128:{text}\n"
