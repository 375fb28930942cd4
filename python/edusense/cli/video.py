"""`edusense video`: what files and streams are made of, and what moves in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.credentials import resolve, url_options
from edusense.cli.exports import reason_of, reason_option, told_of_export
from edusense.cli.output import json_option, row, site_option, talk
from edusense.cli.video_common import bar, damage_told, write_whole
from edusense.cli.video_pictures import contact_sheet, heatmap, timeline
from edusense.errors import EdusenseError, UsageError

if TYPE_CHECKING:
    from edusense.video import Inspection, MotionEvent

__all__ = ["command"]


@click.group()
def command() -> None:
    """Files and streams: what they are made of, what moves in them, pictures and clips of them.

    A source is a file of any kind that FFmpeg reads, or an RTSP URL.

    \b
    Examples:
      edusense video inspect rtsp://10.20.0.51/sub --user admin --password-from env:CAMERA_PASSWORD
      edusense video events monday.mp4
    """


@command.command()
@click.argument("source")
@click.option("--seconds", type=click.FloatRange(min=0.1), help="How much of it; 20 s of a stream, a file whole.")
@url_options
@json_option
def inspect(source: str, seconds: float | None, user: str | None, password_from: str | None, as_json: bool) -> None:
    """Print what a file or stream is made of.

    Codec, size, groups of pictures, rate, QP, whether the gate helps, and which decoder would be used.

    \b
    Examples:
      edusense video inspect monday.mp4
      ssh recorder cat monday.h264 | edusense video inspect -
      edusense video inspect rtsp://10.20.0.51/sub --seconds 60 --user admin --password-from file:camera.secret
    """
    login = resolve(source, user, password_from)
    from edusense import video

    with bar(source, "reading") as moved:
        found = video.inspect(source, seconds=seconds, user=login[0], password=login[1], on_progress=moved)
    if as_json:
        row(found.to_json(), as_json=True)
    else:
        width = max(len(name) for name, _ in _told(found))
        for name, text in _told(found):
            row({}, as_json=False, text=f"{name.ljust(width)}  {text}")


@command.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--look",
    type=click.Choice(["full", "box"]),
    default="full",
    show_default=True,
    help="full: every picture is decoded, 5 a second or more are looked at. box: what the running box would do.",
)
@click.option(
    "--watch", multiple=True, metavar="POLYGON", help="Count only what moves in it, as shares of the picture."
)
@click.option("--ignore", multiple=True, metavar="POLYGON", help="Count nothing that moves in it; may be repeated.")
@url_options
@json_option
def events(
    sources: tuple[str, ...],
    look: str,
    watch: tuple[str, ...],
    ignore: tuple[str, ...],
    user: str | None,
    password_from: str | None,
    as_json: bool,
) -> None:
    """Print the motion events of files or streams.

    A line is printed at an event's end. Times are seconds from a file's start; Unix seconds of a live stream. A source
    that cannot be read is named, the others are done, and the command ends with 6.

    \b
    Examples:
      edusense video events monday.mp4 tuesday.mp4
      edusense video events monday.mp4 --ignore "0,0 0.3,0 0.3,0.1 0,0.1"
      edusense video events --look box --json rtsp://10.20.0.51/sub --user admin --password-from env:CAMERA_PASSWORD
    """
    logins = [resolve(source, user, password_from) if "://" in source else (None, None) for source in sources]
    if user is not None and not any("://" in source for source in sources):
        raise UsageError("`--user` is for URLs, and there is none")
    from edusense import video
    from edusense.video.zones import polygon_of

    zones = [[polygon_of(text) for text in texts] for texts in (watch, ignore)]
    failed: EdusenseError | None = None
    for source, (name, secret) in zip(sources, logins, strict=True):
        count = 0
        try:
            with bar(source, Path(source).name) as moved:
                found = video.find_events(
                    source,
                    look=_look(look),
                    user=name,
                    password=secret,
                    watch=zones[0],
                    ignore=zones[1],
                    on_damage=damage_told(source),
                    on_progress=moved,
                )
                for event in found:
                    count += 1
                    row(event.to_json(), as_json=as_json, text=_line(event))
        except UsageError:
            raise
        except EdusenseError as error:
            if len(sources) == 1:
                raise
            failed = failed or error
            talk(f"error: {error}")
            if error.hint:
                talk(f"hint: {error.hint}")
            continue
        if not as_json:
            talk(f"{video.redacted(source)}: {count} event{'' if count == 1 else 's'}")
    if failed is not None:
        raise click.exceptions.Exit(failed.exit_status)


@command.command()
@click.argument("source")
@click.option("--out", type=click.Path(dir_okay=False), required=True, metavar="PNG", help="The file to write.")
@click.option("--at", "at_s", type=click.FloatRange(min=0), help="Which picture: seconds.  [default: 0]")
@click.option("--frame", type=click.IntRange(min=0), help="Which picture: its number, from 0, as they are shown.")
@url_options
@json_option
def luma(
    source: str,
    out: str,
    at_s: float | None,
    frame: int | None,
    user: str | None,
    password_from: str | None,
    as_json: bool,
) -> None:
    """Write a picture's luma as PNG: what the detector sees.

    SOURCE is a file, an RTSP URL, or - for standard input.

    \b
    Examples:
      edusense video luma monday.mp4 --at 12.5 --out picture.png
      edusense video luma monday.mp4 --frame 312 --out picture.png
      edusense video luma rtsp://10.20.0.51/sub --out now.png --user admin --password-from env:CAMERA_PASSWORD
    """
    if at_s is not None and frame is not None:
        raise UsageError("`--at` and `--frame` both say which picture", hint="leave one of them out")
    login = resolve(source, user, password_from)
    from PIL import Image

    from edusense import video

    damage = damage_told(source)
    if frame is not None:
        shown_s, picture = video.luma_frame(source, frame, user=login[0], password=login[1], on_damage=damage)
    else:
        shown_s, picture = video.luma_at(source, at_s or 0.0, user=login[0], password=login[1], on_damage=damage)
    image = Image.fromarray(picture)
    write_whole(Path(out), lambda path: image.save(path, format="PNG"))
    height, width = picture.shape
    told = {
        "source": video.redacted(source),
        "at_s": round(shown_s, 3),
        "width": width,
        "height": height,
        "out": out,
    }
    row(told, as_json=as_json, text=f"{out}: {width}x{height}, the picture at {shown_s:.3f} s")


@command.command()
@click.argument("source", metavar="FILE|EVENT")
@click.option("--from", "from_s", type=click.FloatRange(min=0), help="Seconds from the file's start.  [default: 0]")
@click.option("--to", "to_s", type=click.FloatRange(min=0), help="Seconds from the file's start.  [default: its end]")
@click.option("--out", type=click.Path(dir_okay=False), required=True, metavar="MP4", help="The file to write.")
@reason_option
@site_option
@json_option
def clip(
    source: str,
    from_s: float | None,
    to_s: float | None,
    out: str,
    reason: str | None,
    site_path: str,
    as_json: bool,
) -> None:
    """Write a part of a file, or an event of the running box, as MP4.

    Nothing is encoded again, so a part begins with the key picture before --from: up to some seconds earlier. Sound is
    left out. An event is named by its id, as `edusense events --kind motion` prints it; the box of --site is asked, and
    writes down who took it and why: --reason is required then.

    \b
    Examples:
      edusense video clip monday.mp4 --from 24 --to 31 --out corridor.mp4
      edusense video clip 205-front-1795443259781-4 --out 205.mp4 --reason "window broken, report 17"
    """
    if not _EVENT.fullmatch(source) or Path(source).exists():
        told = _clip_of_file(source, from_s or 0.0, to_s, out)
    elif from_s is not None or to_s is not None:
        raise UsageError(
            f"`{source}` is an event, and `--from` and `--to` are for files",
            hint="leave them out, and cut the written file again",
        )
    else:
        told = _clip_of_event(source, site_path, out, reason_of(reason, "a clip"))
    span = "" if told["start_s"] is None else f" from {told['start_s']:.2f} to {told['end_s']:.2f} s"
    row(told, as_json=as_json, text=f"{out}: {told['pictures']} pictures{span}")


for _pictures in (contact_sheet, timeline, heatmap):
    command.add_command(_pictures)

_EVENT = re.compile(r"[^/]+-[0-9]{10,}-[0-9]+")
"""Camera, Unix milliseconds, number: an event's id."""


def _clip_of_file(source: str, from_s: float, to_s: float | None, out: str) -> dict[str, Any]:
    from edusense import video

    if "://" in source:
        raise UsageError(
            f"`{video.redacted(source)}` is a live stream; clips are cut from files, and from the running box's buffer",
            hint="`edusense events --kind motion` lists its events; `edusense video clip EVENT --out FILE` cuts one",
        )
    found: list[video.Cut] = []
    with bar(source, Path(source).name) as moved:

        def save(path: str) -> None:
            found.append(video.cut(source, path, from_s, to_s, on_damage=damage_told(source), on_progress=moved))

        write_whole(Path(out), save)
    return {
        "source": source,
        "start_s": round(found[0].start_s, 3),
        "end_s": round(found[0].end_s, 3),
        "pictures": found[0].pictures,
        "out": out,
    }


def _clip_of_event(event: str, site_path: str, out: str, reason: str) -> dict[str, Any]:
    import datetime
    import io

    import av

    import edusense

    box = edusense.connect(site_path)
    data = box.clip(event, reason=reason)
    told_of_export(box.audit_path)

    def save(path: str) -> None:
        Path(path).write_bytes(data)

    write_whole(Path(out), save)
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.video[0]
        times = [packet.pts * packet.time_base for packet in container.demux(stream) if packet.pts is not None]
        taken = container.metadata.get("creation_time")
    start_s = None if taken is None else datetime.datetime.fromisoformat(taken).timestamp()
    return {
        "source": event,
        "start_s": None if start_s is None else round(start_s, 3),
        "end_s": None if start_s is None else round(start_s + float(max(times) - min(times)), 3),
        "pictures": len(times),
        "out": out,
    }


def _look(name: str) -> Any:
    return name


def _line(event: MotionEvent) -> str:
    boxes = " ".join("x".join(map(str, region[2:])) + f"+{region[0]}+{region[1]}" for region in event.regions)
    around = "" if event.clock_error_s is None else f" ±{event.clock_error_s:.1f}"
    return f"{event.source}  {event.start_s:.2f} to {event.end_s:.2f} s{around}  score {event.score:.2f}  {boxes}"


def _told(found: Inspection) -> list[tuple[str, str]]:
    """What a person reads, line by line."""

    def three(values: tuple[float, ...] | None, unit: str) -> str:
        if values is None:
            return "not known"
        low, middle, high = (f"{value:.2f}".rstrip("0").rstrip(".") for value in values)
        return f"{middle}{unit}" if low == high else f"{low} to {high}{unit}, mostly {middle}"

    codec = " ".join(
        str(part)
        for part in (
            found.codec,
            found.profile,
            None if found.level is None else f"{found.level:.1f}",
            found.entropy_coder,
            found.chroma,
        )
        if part is not None
    )
    told = [
        ("source", found.source),
        ("codec", codec + (f", {found.bit_depth} bits" if found.bit_depth not in {None, 8} else "")),
        ("size", f"{found.width}x{found.height}" + (", interlaced" if found.interlaced else "")),
        (
            "pictures",
            f"{found.pictures} in {found.seconds:.1f} s" + (f", {found.rate:.3g} a second" if found.rate else ""),
        ),
        (
            "bit rate",
            "not known" if found.bitrate_kbit is None else f"{found.bitrate_kbit:.0f} kbit/s, {found.rate_kind}",
        ),
        ("key pictures", f"every {three(found.gop_s, ' s')} ({three(found.gop_pictures, ' pictures')})"),
        ("QP", three(found.qp, "")),
        ("slices", "not known" if found.slices is None else str(found.slices)),
        (
            "gate",
            f"{found.gate}: {found.gate_words}" + ("" if found.noise is None else f" (N {found.noise:.1f})"),
        ),
        ("decoder", f"{found.decoder}: {found.decoder_reason}"),
    ]
    if found.gop_s is None:
        told[5] = ("key pictures", "fewer than two were seen")
    told += [("note", note) for note in found.notes]
    if found.faults:
        told.append(("damaged", f"{found.faults} pictures; first: {found.first_fault}"))
    told += [("damaged", part) for part in found.damage]
    return told
