"""`edusense bench disk`, `camera` and `reader`: the data sheet of one device."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edusense.cli.credentials import resolve, url_options
from edusense.cli.output import json_option, row, talk, wants_colour
from edusense.errors import BenchNotMeasuredError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edusense.bench.plan_models import Device
    from edusense.bench.report_models import CaseResult

__all__ = ["box", "camera", "disk", "reader"]

_STATES: Final = {"ok": ("ok", "green"), "warn": ("warn", "yellow"), "fail": ("fail", "red"), None: ("", "white")}


def _out_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--out", type=click.Path(file_okay=False), metavar="DIR", help="Write a report with charts there, too."
    )(function)


@click.command()
@click.argument("folder", metavar="DIR", default=".", type=click.Path(exists=True, file_okay=False))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 1000), help="How often it is measured.")
@_out_option
@json_option
def disk(folder: str, rounds: int, out: str | None, as_json: bool) -> int:
    """Measure the disk under a folder.

    How long a durable write takes, alone and while clips are recorded, and what that allows a terminal.

    Exit status: 0 fit for a school; 1 not.

    \b
    Examples:
      edusense bench disk /var/lib/edusense
      edusense bench disk /mnt/usb --rounds 20 --out report
    """
    from edusense.bench.plan_models import Device

    named = Device(id="disk", kind="disk", address=str(Path(folder).absolute()))
    return _sheet("disk", named, out, as_json, rounds=rounds)


@click.command()
@click.argument("url")
@click.option(
    "--seconds", default=60.0, show_default=True, type=click.FloatRange(5.0, 86_400), help="How long to watch."
)
@click.option("--onvif", default="", metavar="HOST:PORT", help="Its ONVIF service.  [default: the stream's host]")
@url_options
@_out_option
@json_option
def camera(
    url: str, seconds: float, onvif: str, user: str | None, password_from: str | None, out: str | None, as_json: bool
) -> int:
    """Measure a camera, and judge it.

    Its data sheet: time to the first picture, rate and rhythm, loss, key pictures, bit rate, QP, the gate's noise,
    clock, sessions, ONVIF answers, still pictures; and whether it suits this software, with reasons.

    Exit status: 0 fit; 1 not fit; 4 it cannot be reached.

    \b
    Examples:
      edusense bench camera rtsp://10.20.0.51/stream1 --user edusense --password-from file:camera.secret
      edusense bench camera rtsp://10.20.0.51/stream1 --user u --password-from env:P --seconds 600 --out sheet
    """
    from edusense.bench.plan_models import Device

    resolve(url, user, password_from)
    named = Device(id="camera", kind="camera", address=url, user=user, password=password_from)
    return _sheet("camera", named, out, as_json, seconds=seconds, onvif=onvif)


@click.command()
@click.argument("address", metavar="PORT")
@click.option("--cards", default=10, show_default=True, type=click.IntRange(1, 10_000), help="Taps to hear.")
@click.option("--seconds", default=60.0, show_default=True, type=click.FloatRange(1.0, 1000), help="How long at most.")
@_out_option
@json_option
def reader(address: str, cards: int, seconds: float, out: str | None, as_json: bool) -> int:
    """Measure a card reader.

    Lay a card on it when told, again and again. Its data sheet: taps, repeats, gaps, bad frames, times to the tap and
    to the light. PORT is an address as `edusense reader list` shows it.

    Exit status: 0 fit; 1 not fit; 4 it cannot be opened, or no card came.

    \b
    Examples:
      edusense bench reader rdm6300:/dev/ttyUSB0 --cards 20
    """
    from edusense.bench.plan_models import Device

    named = Device(id="reader", kind="reader", address=address)
    return _sheet("reader", named, out, as_json, cards=cards, seconds=seconds)


@click.command()
@click.option("--most", default=256, show_default=True, type=click.IntRange(1, 1000), help="Try no more cameras.")
@click.option(
    "--seconds", default=10.0, show_default=True, type=click.FloatRange(1.0, 3600), help="How long each number of them."
)
@click.option("--width", default=1280, show_default=True, type=click.IntRange(320, 3840), help="Of their pictures.")
@click.option("--kbit", default=0, type=click.IntRange(min=0), help="Most that each sends.  [default: by its size]")
@click.option(
    "--look-cores", default=0.5, show_default=True, type=click.FloatRange(0.0, 64.0), help="As of the engine."
)
@_out_option
@json_option
def box(most: int, seconds: float, width: int, kbit: int, look_cores: float, out: str | None, as_json: bool) -> int:
    """Find how many cameras like these this machine holds.

    More and more virtual cameras are watched, until a packet is lost, a picture does not come, or one in which
    something moves is given up. They are served by this machine too; what that takes is told apart. With --out the
    curves are drawn: CPU, memory, and what was not looked at, by number of cameras.

    \b
    Examples:
      edusense bench box
      edusense bench box --most 400 --width 704 --kbit 1000 --out box
    """
    return _sheet(
        "cameras-held", None, out, as_json, most=most, seconds=seconds, width=width, kbit=kbit, look_cores=look_cores
    )


def _sheet(
    case: str, device: Device | None, out: str | None, as_json: bool, *, rounds: int | None = None, **options: Any
) -> int:
    """Measures one case on one device, or on none, and prints its facts and figures."""
    from edusense.bench.folder import Folder
    from edusense.bench.plan import loads
    from edusense.cli.bench_plan import _measure

    whose = "this machine" if device is None else device.address
    lines = [
        f"title = {json.dumps(f'Data sheet of {whose}', ensure_ascii=False)}",
        "[[cases]]",
        f'id = "{case}"',
    ]
    lines += ["[cases.options]", *(f"{name} = {json.dumps(value)}" for name, value in options.items())]
    plan = loads("\n".join(lines), devices=[] if device is None else [device], rounds=rounds)
    with contextlib.ExitStack() as stack:
        where = out or stack.enter_context(tempfile.TemporaryDirectory(prefix="edusense-bench-"))
        folder = stack.enter_context(Folder.open(Path(where), restart=True))
        report, ended = _measure(plan, folder, 0.0)
        (found,) = (one for one in report.cases if device is None or one.device == device.id)
        if found.state in {"not measured", "failed"}:
            raise BenchNotMeasuredError(found.reason or "it was not measured", hint=found.hint)
        if ended is not None:
            raise click.exceptions.Exit(130)
        for told, text in _rows(found):
            row(told, as_json=as_json, text=text)
        if out is not None:
            talk(f"\n{folder.path / 'report.html'}")
    return 1 if any(fact["state"] == "fail" for fact in found.facts) else 0


def _rows(found: CaseResult) -> Iterator[tuple[dict[str, Any], str]]:
    from edusense.bench.charts import number

    names = [fact["name"] for fact in found.facts] + [figure.what for figure in found.figures]
    width = min(48, max(map(len, names), default=0))
    for fact in found.facts:
        word, colour = _STATES[fact["state"]]
        state = click.style(word.ljust(4), fg=colour) if wants_colour() else word.ljust(4)
        text = f"{state}  {fact['name'].ljust(width)}  {fact['value']}"
        if fact["words"] and fact["name"] != "verdict":
            text += f"\n{' ' * (width + 8)}{fact['words']}"
        yield {"kind": "fact", **fact}, text
    for figure in found.figures:
        told = {
            "kind": "figure",
            "figure": figure.id,
            "what": figure.what,
            "unit": figure.unit,
            "median": figure.median,
            "least": figure.least,
            "most": figure.most,
            "runs": figure.count,
            "samples": figure.samples,
        }
        values = number(figure.median)
        if figure.quantiles is not None:
            values += f" ({number(figure.quantiles[0])} to {number(figure.quantiles[-1])})"
        yield told, f"      {figure.what.ljust(width)}  {values} {figure.unit}"
