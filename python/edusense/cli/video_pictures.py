"""`edusense video contact-sheet`, `timeline` and `heatmap`: pictures for people, as PNG or as a page of its own."""

from __future__ import annotations

import functools
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.credentials import resolve, url_options
from edusense.cli.exports import reason_of, reason_option, told_of_export
from edusense.cli.output import json_option, progress, row, site_option, talk
from edusense.cli.video_common import bar, damage_told, write_bytes
from edusense.errors import BoxUnknownError, PictureDamagedError, StreamLostError, UsageError, VideoSourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from edusense.box.client import Box
    from edusense.video.sheet import Tile
    from edusense.video.timeline import Timeline

__all__ = ["contact_sheet", "heatmap", "timeline"]

_out = click.option(
    "--out",
    type=click.Path(dir_okay=False),
    required=True,
    metavar="PNG|HTML",
    help="The file to write; its end says what.",
)


def _save(out: str, draw: Callable[[], Image.Image], page: Callable[[], str]) -> None:
    """Writes the drawing, or the page, as the file's name says."""
    content = page().encode() if _is_page(out) else _png(draw())
    write_bytes(Path(out), content)


def _is_page(out: str) -> bool:
    """Whether a page is wanted; else PNG.

    Raises:
        UsageError: the name ends with neither.
    """
    end = Path(out).suffix.lower()
    if end not in {".png", ".html", ".htm"}:
        raise UsageError(f"`{out}` is to end with .png or .html", hint="the end says what is written")
    return end != ".png"


def _png(picture: Image.Image) -> bytes:
    output = io.BytesIO()
    picture.save(output, "PNG", optimize=True)
    return output.getvalue()


@click.command("contact-sheet")
@_out
@click.option("--columns", type=click.IntRange(1, 40), help="Pictures side by side, of a PNG.  [default: as fits]")
@reason_option
@site_option
@json_option
def contact_sheet(out: str, columns: int | None, reason: str | None, site_path: str, as_json: bool) -> None:
    """Write one sheet of all cameras: newest picture, name, state, and how old the picture is.

    The pictures are those that the running box receives anyway; no camera is called. The box writes down who took them
    and why: --reason is required. A camera that does not play is shown with its last picture, pale, and its reason.

    \b
    Examples:
      edusense video contact-sheet --out sheet.png --reason "are all aimed right?"
      edusense video contact-sheet --out sheet.html --reason "hand-over to the school"
    """
    _is_page(out)
    why = reason_of(reason, "a picture")
    import datetime
    import zoneinfo

    import edusense
    from edusense.site import Site
    from edusense.video.sheet import draw_sheet, sheet_page

    box = edusense.connect(site_path)
    cameras = [line for line in box.status() if line["kind"] == "camera"]
    if not cameras:
        raise BoxUnknownError("this site has no camera", hint="`edusense camera discover` finds some")
    tiles = []
    with progress(len(cameras), "pictures") as shown:
        for line in cameras:
            tiles.append(_tile(box, line, why))
            shown.update(1)
    if any(tile.picture is not None for tile in tiles):
        told_of_export(box.audit_path)
    now = datetime.datetime.now(zoneinfo.ZoneInfo(Site.load(site_path).site.timezone))
    title = f"{box.hello()['site']}, {now:%Y-%m-%d %H:%M:%S}"
    _save(out, lambda: draw_sheet(tiles, title=title, columns=columns), lambda: sheet_page(tiles, title=title))
    if not as_json:
        pictures = sum(tile.picture is not None for tile in tiles)
        playing = sum(tile.state == "playing" for tile in tiles)
        row({}, as_json=False, text=f"{out}: {len(tiles)} cameras, {playing} play, {pictures} pictures")
        return
    for tile in tiles:
        told = {"camera": tile.camera, "room": tile.room, "state": tile.state, "reason": tile.reason}
        age = None if tile.age_s is None else round(tile.age_s, 1)
        row({**told, "picture": tile.picture is not None, "age_s": age, "out": out}, as_json=True)


def _tile(box: Box, line: dict[str, Any], why: str) -> Tile:
    from edusense.video.sheet import Tile

    picture = None
    try:
        picture = box.snapshot(line["id"], reason=why)
    except (StreamLostError, PictureDamagedError, BoxUnknownError, UsageError):
        picture = None  # the sheet says that there is none, and the state says why
    taken = line.get("picture_s")
    age_s = None if picture is None or taken is None else max(0.0, time.time() - taken)
    reason = None if line["state"] == "playing" else line.get("reason") or None
    return Tile(line["id"], line["room"], line["state"], reason, picture, age_s)


@click.command()
@click.argument("sources", nargs=-1, metavar="[FILE...]")
@_out
@click.option(
    "--hours", type=click.FloatRange(0.01, 24 * 366), default=24.0, show_default=True, help="The last hours of the box."
)
@click.option("--camera", "cameras", multiple=True, metavar="ID", help="Only this camera of the box. Repeatable.")
@site_option
@json_option
def timeline(
    sources: tuple[str, ...], out: str, hours: float, cameras: tuple[str, ...], site_path: str, as_json: bool
) -> None:
    """Draw what moved when: cameras by time of the running box, or files by their own time.

    With --json each event is a line, too. No picture of anybody is on it.

    \b
    Examples:
      edusense video timeline --hours 8 --out day.html
      edusense video timeline monday.mp4 tuesday.mp4 --out week.png
    """
    _is_page(out)
    if sources and cameras:
        raise UsageError("`--camera` is for cameras of the box, and files are named", hint="leave one of them out")
    drawn = _timeline_of_files(sources) if sources else _timeline_of_box(site_path, hours, cameras)
    _save(out, drawn.draw, drawn.page)
    if as_json:
        for one in drawn.bars:
            row(one.to_json(), as_json=True)
    else:
        count = len(drawn.bars)
        row({}, as_json=False, text=f"{out}: {count} event{'' if count == 1 else 's'} in {len(drawn.rows)} rows")


def _timeline_of_files(sources: tuple[str, ...]) -> Timeline:
    from edusense import video
    from edusense.video.timeline import Bar

    short = [Path(source).name for source in sources]
    names = short if len(set(short)) == len(short) else list(sources)
    bars: list[Bar] = []
    last_s = 1.0

    def seen(at_s: float, moved: Callable[[float], None] | None) -> None:
        nonlocal last_s
        last_s = max(last_s, at_s)
        if moved is not None:
            moved(at_s)

    for source, name in zip(sources, names, strict=True):
        if video.is_url(source):
            raise UsageError(
                f"`{video.redacted(source)}` is a live stream, which has no end to draw to",
                hint="without a source the running box's cameras are drawn",
            )
        with bar(source, name) as moved:
            on_progress = functools.partial(seen, moved=moved)
            found = video.find_events(source, on_damage=damage_told(source), on_progress=on_progress)
            bars += [Bar(name, event.start_s, event.end_s, event.score) for event in found]
    return video.Timeline("What moved in the files", names, bars, 0.0, last_s)


def _timeline_of_box(site_path: str, hours: float, only: tuple[str, ...]) -> Timeline:
    import zoneinfo

    import edusense
    from edusense.site import Site
    from edusense.video.timeline import Bar, Timeline

    box = edusense.connect(site_path)
    names = [line["id"] for line in box.status() if line["kind"] == "camera"]
    for name in only:
        if name not in names:
            raise BoxUnknownError(
                f"there is no camera `{name}` in this site", hint=f"there are: {', '.join(names[:12])}"
            )
    names = [name for name in names if not only or name in only]
    end_s = time.time()
    start_s = end_s - hours * 3600
    bars = [
        Bar(event["camera"], event["start_s"], event["end_s"], event["score"], event["id"])
        for event in box.events(kinds=["motion"])
        if event["kind"] == "motion" and event["camera"] in names and event["end_s"] >= start_s
    ]
    site = Site.load(site_path)
    zone = zoneinfo.ZoneInfo(site.site.timezone)
    return Timeline(f"What moved at {site.site.id}", names, bars, start_s, end_s, zone)


@click.command()
@click.argument("source", metavar="FILE|URL|CAMERA")
@_out
@click.option("--seconds", type=click.FloatRange(min=1), help="How much of it; a minute of a stream, a file whole.")
@click.option(
    "--width", type=click.IntRange(160, 4096), default=960, show_default=True, help="Of the picture, in pixels."
)
@url_options
@reason_option
@site_option
@json_option
def heatmap(
    source: str,
    out: str,
    seconds: float | None,
    width: int,
    user: str | None,
    password_from: str | None,
    reason: str | None,
    site_path: str,
    as_json: bool,
) -> None:
    """Draw where things moved, over the picture, and which places mask themselves.

    Blue moved for a moment, red the longest. Striped places change all the time (a burned-in clock, leaves, a screen)
    and are left out by themselves: nothing is seen there. Dark places are left out by zones. A camera's id means what
    the running box has looked at since it called the camera; --reason is required then, and written down.

    \b
    Examples:
      edusense video heatmap monday.mp4 --out heat.png
      edusense video heatmap gate-1 --out heat.html --reason "where to draw the zone"
    """
    page = _is_page(out)
    from edusense import video
    from edusense.video.pages import inline
    from edusense.video.pages import page as page_of

    told: dict[str, Any]
    if "://" in source or source == "-" or Path(source).exists():
        login = resolve(source, user, password_from)
        limit = seconds or (60.0 if video.is_url(source) else None)
        with bar(source, Path(source).name) as moved:
            found = video.heat_map(
                source,
                seconds=limit,
                user=login[0],
                password=login[1],
                on_damage=damage_told(source),
                on_progress=moved,
            )
        told, picture = found.to_json(), found.png(width)
    else:
        if Path(source).suffix:
            raise VideoSourceError(
                f"`{source}` does not exist", hint="a file, an address, or a camera of the running box"
            )
        if seconds is not None:
            raise UsageError("`--seconds` is for files and streams", hint="a camera's map begins when it was called")
        import edusense

        why = reason_of(reason, "a picture")
        box = edusense.connect(site_path)
        told, picture = {"source": source}, box.heatmap(source, reason=why)
        told_of_export(box.audit_path)
    content = picture
    if page:
        title = f"Where it moved: {told['source']}"
        figures = told if "moved_share" in told else None
        content = page_of("heat.html.j2", title=title, told=figures, picture=inline(picture, "image/png")).encode()
    write_bytes(Path(out), content)
    row({**told, "out": out}, as_json=as_json, text=f"{out}: {_words(told)}")
    if told.get("masked_share", 0) > 0.02 and not as_json:
        talk(
            f"{told['masked_share']:.0%} of the picture changes all the time and masks itself: an `ignore` zone says so"
        )


def _words(told: dict[str, Any]) -> str:
    if "moved_share" not in told:
        return f"camera {told['source']}"
    words = f"{told['moved_share']:.1%} of the picture moved, up to {told['most_s']:.1f} s"
    return words + (f"; {told['masked_share']:.1%} masks itself" if told["masked_share"] else "")
