"""The contact sheet: a picture of each camera on pages of A4, to be held against the doors."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw, ImageFont

from edusense.fleet.handover import thumbnail

if TYPE_CHECKING:
    from edusense.fleet.handover import Handover
    from edusense.fleet.health import CameraHealth

__all__ = ["contact_sheet"]

DPI: Final = 120
PAGE: Final = (round(210 / 25.4 * DPI), round(297 / 25.4 * DPI))
COLUMNS: Final = 4
ROWS: Final = 7
MARGIN: Final = 40
GAP: Final = 12
HEAD: Final = 40
CAPTION: Final = 44
_INK, _SOFT, _BAD, _PANEL = (20, 26, 34), (92, 102, 115), (168, 32, 28), (232, 235, 239)


def contact_sheet(handover: Handover) -> bytes:
    """A PDF with a picture of each camera, in the site file's order.

    Args:
        handover: what is told.
    """
    pages = []
    each = COLUMNS * ROWS
    count = max(1, -(-len(handover.cameras) // each))
    for number in range(count):
        page = Image.new("RGB", PAGE, "white")
        draw = ImageDraw.Draw(page)
        said = f"{handover.site.site.id}   {handover.when(handover.made_s)}   page {number + 1} of {count}"
        draw.text((MARGIN, MARGIN - 8), said, _SOFT, _font(15))
        for place, one in enumerate(handover.cameras[number * each : (number + 1) * each]):
            _cell(page, draw, place, one, handover)
        pages.append(page)
    out = io.BytesIO()
    title = f"Contact sheet of {handover.site.site.id}"
    pages[0].save(out, "PDF", resolution=DPI, save_all=True, append_images=pages[1:], title=title, quality=80)
    return out.getvalue()


def _cell(page: Image.Image, draw: ImageDraw.ImageDraw, place: int, one: CameraHealth, handover: Handover) -> None:
    width = (PAGE[0] - 2 * MARGIN - (COLUMNS - 1) * GAP) // COLUMNS
    height = (PAGE[1] - 2 * MARGIN - HEAD - (ROWS - 1) * GAP) // ROWS - CAPTION
    left = MARGIN + place % COLUMNS * (width + GAP)
    top = MARGIN + HEAD + place // COLUMNS * (height + CAPTION + GAP)
    if one.picture is None:
        draw.rectangle((left, top, left + width, top + height), _PANEL)
        draw.text((left + width / 2, top + height / 2), "no picture", _BAD, _font(16), anchor="mm")
    else:
        with Image.open(io.BytesIO(thumbnail(one.picture, width))) as picture:
            picture.thumbnail((width, height))
            page.paste(picture, (left + (width - picture.width) // 2, top + (height - picture.height) // 2))
    draw.text((left, top + height + 4), _cut(draw, f"{one.camera}   {one.room}", width, 15), _INK, _font(15))
    said = f"{one.outcome}   {handover.when(one.at_s)}"
    draw.text((left, top + height + 23), _cut(draw, said, width, 12), _SOFT if one.seen else _BAD, _font(12))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _cut(draw: ImageDraw.ImageDraw, text: str, width: int, size: int) -> str:
    """A text that fits."""
    if draw.textlength(text, _font(size)) <= width:
        return text
    while text and draw.textlength(text + "…", _font(size)) > width:
        text = text[:-1]
    return text + "…"
