"""The contact sheet: all cameras of a school at a glance, each with its newest picture, its age, and its state."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from edusense.errors import PictureDamagedError
from edusense.video.heat import picture_of_jpeg
from edusense.video.pages import inline, page

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Tile", "draw_sheet", "sheet_page"]

TILE = (240, 135)
"""Width and height of a picture on the sheet, in pixels."""
_WORDS = 40
_GAP = 10
_HEAD = 44
_PAPER = (28, 30, 34)
_HOLE = (46, 49, 55)
_INK = (236, 236, 236)
_FAINT = (165, 168, 174)
_STATES = {
    "playing": (70, 190, 110),
    "connecting": (235, 190, 60),
    "waiting": (235, 190, 60),
    "stalled": (240, 130, 50),
    "lost": (230, 70, 60),
    "refused": (230, 70, 60),
}
OLD_S = 30.0
"""A picture older than this is told as old: it does not show what is going on."""


@dataclass(frozen=True)
class Tile:
    """One camera on the sheet.

    Attributes:
        camera: its id.
        room: its room.
        state: of its stream, as `edusense status` says.
        reason: why it does not play, in words.
        picture: its newest picture as JPEG; None where there is none.
        age_s: how old that is, in seconds.
    """

    camera: str
    room: str
    state: str
    reason: str | None = None
    picture: bytes | None = None
    age_s: float | None = None

    @property
    def name(self) -> str:
        """Its id, and its room where the id does not say it."""
        return self.camera if self.room in self.camera else f"{self.camera} · {self.room}"

    @property
    def age(self) -> str:
        """The picture's age for people.

        >>> Tile("a", "1", "playing", age_s=1.2).age, Tile("a", "1", "lost", age_s=4000).age, Tile("a", "1", "lost").age
        ('1 s ago', '1 h ago', 'no picture')
        """
        if self.age_s is None:
            return "no picture" if self.picture is None else "age not known"
        for unit, seconds in (("d", 86_400), ("h", 3600), ("min", 60)):
            if self.age_s >= seconds:
                return f"{self.age_s / seconds:.0f} {unit} ago"
        return f"{max(0.0, self.age_s):.0f} s ago"

    @property
    def old(self) -> bool:
        """The picture is no picture of now."""
        return self.age_s is not None and self.age_s > OLD_S


def draw_sheet(tiles: Sequence[Tile], *, title: str, columns: int | None = None) -> Image.Image:
    """The sheet as one picture.

    Args:
        tiles: the cameras, in their order.
        title: what stands above.
        columns: pictures side by side; by default about as many as make a sheet of a screen's shape.
    """
    across = columns or max(1, min(len(tiles), round(math.sqrt(len(tiles) * 1.7)) or 1, 15))
    down = max(1, math.ceil(len(tiles) / across))
    cell = (TILE[0] + _GAP, TILE[1] + _WORDS + _GAP)
    sheet = Image.new("RGB", (max(across * cell[0] + _GAP, 420), _HEAD + down * cell[1] + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 12), title, _INK, ImageFont.load_default(18))
    for index, tile in enumerate(tiles):
        row, column = divmod(index, across)
        _draw_tile(sheet, draw, tile, (_GAP + column * cell[0], _HEAD + row * cell[1]))
    return sheet


def _draw_tile(sheet: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, at: tuple[int, int]) -> None:
    left, top = at
    frame = (left, top, left + TILE[0] - 1, top + TILE[1] - 1)
    draw.rectangle(frame, fill=_HOLE)
    small = ImageFont.load_default(12)
    picture = None
    if tile.picture is not None:
        try:
            picture = picture_of_jpeg(tile.picture).convert("RGB")
        except PictureDamagedError:
            picture = None
    if picture is not None:
        picture.thumbnail(TILE)
        if tile.old or tile.state != "playing":
            picture = Image.blend(picture, Image.new("RGB", picture.size, _HOLE), 0.55)
        sheet.paste(picture, (left + (TILE[0] - picture.width) // 2, top + (TILE[1] - picture.height) // 2))
    else:
        text = "no picture" if tile.picture is None else "picture damaged"
        draw.text((left + TILE[0] / 2, top + TILE[1] / 2), text, _FAINT, ImageFont.load_default(14), anchor="mm")
    y = top + TILE[1] + 4
    draw.ellipse((left + 2, y + 3, left + 11, y + 12), fill=_STATES.get(tile.state, _FAINT))
    age = tile.age if tile.picture is not None else ""
    room = TILE[0] - 18 - draw.textlength(age, small) - 8
    draw.text((left + 17, y), _cut(draw, tile.name, ImageFont.load_default(13), room), _INK, ImageFont.load_default(13))
    draw.text((left + TILE[0] - 1, y + 1), age, (240, 170, 60) if tile.old else _FAINT, small, anchor="ra")
    words = tile.state if not tile.reason else f"{tile.state}: {tile.reason}"
    draw.text((left + 17, y + 17), _cut(draw, words, small, TILE[0] - 18), _FAINT, small)


def _cut(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: float) -> str:
    """The text, or as much of it as there is room for."""
    if draw.textlength(text, font) <= room:
        return text
    while text and draw.textlength(text + "…", font) > room:
        text = text[:-1]
    return text.rstrip(" :,") + "…"


def sheet_page(tiles: Sequence[Tile], *, title: str) -> str:
    """The sheet as a page of its own: one file, without network.

    Args:
        tiles: the cameras, in their order.
        title: what stands above.
    """
    rows = [
        {
            "tile": tile,
            "name": tile.name,
            "picture": None if tile.picture is None else inline(_small(tile.picture), "image/jpeg"),
            "colour": "#{:02x}{:02x}{:02x}".format(*_STATES.get(tile.state, _FAINT)),
        }
        for tile in tiles
    ]
    return page("sheet.html.j2", title=title, rows=rows, playing=sum(tile.state == "playing" for tile in tiles))


def _small(jpeg: bytes) -> bytes:
    """The picture at twice the size at which it is shown: 180 of them make a page of a few megabytes."""
    try:
        picture = picture_of_jpeg(jpeg)
    except PictureDamagedError:
        return jpeg
    if picture.width <= 2 * TILE[0]:
        return jpeg
    picture.thumbnail((2 * TILE[0], 2 * TILE[1]))
    output = io.BytesIO()
    picture.convert("RGB").save(output, "JPEG", quality=75)
    return output.getvalue()
