"""`edusense sim camera`: one virtual camera, or a fleet of a thousand."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edusense.cli.output import rows, talk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edusense.sim.camera import VirtualCamera
    from edusense.sim.encode import Encoding
    from edusense.sim.faults import Share
    from edusense.sim.library import PlayerLibrary

__all__ = ["camera", "given_password", "make_findable", "ready", "until_stopped"]

SIGNALS = (signal.SIGTERM, signal.SIGINT)
ONVIF_PORT: Final = 8000
"""Of a fleet: port 80 is root's, and this is the next that cameras use."""
_ENCODING: Final = ("width", "height", "fps", "kbit", "constant", "slices")


def _list_faults(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from edusense.sim.faults import every_fault

        rows(
            ({"fault": name, "does": words} for name, words in every_fault().items()), ["fault", "does"], as_json=False
        )
        ctx.exit()


@click.command()
@click.option(
    "--scene", default="room", show_default=True, metavar="NAME", help="room, corridor, canteen, hall or gym."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--network",
    metavar="CIDR",
    help="Each camera on an address of its own in this network; with --count, a free 127.x.0.0/16 by default.",
)
@click.option(
    "--port",
    default=0,
    type=click.IntRange(0, 65535),
    help="RTSP port; 0 takes a free one. With --count and one address the first of several.",
)
@click.option(
    "--onvif-port",
    default=0,
    type=click.IntRange(0, 65535),
    help=f"ONVIF port; 0 takes a free one, {ONVIF_PORT} where each camera has its own address.",
)
@click.option("--no-onvif", is_flag=True, help="Serve RTSP only.")
@click.option("--user", default="edusense", show_default=True, help="The one user.")
@click.option(
    "--password-from",
    metavar="env:NAME|file:PATH",
    help="Where the password is; a random one in a new file by default.",
)
@click.option(
    "--auth",
    default="digest",
    show_default=True,
    metavar="LIST",
    help="digest, digest-sha256, basic or none; several with commas.",
)
@click.option("--width", default=1280, show_default=True, type=int, help="Pixels.")
@click.option("--height", type=int, help="Pixels; 9/16 of the width by default.")
@click.option("--fps", default=25.0, show_default=True, type=float, help="Pictures a second.")
@click.option(
    "--kbit",
    default=0,
    type=click.IntRange(min=0),
    help="Most it sends; 4 Mbit/s at 1080p, scaled by area, by default.",
)
@click.option("--constant", is_flag=True, help="Hold that rate (CBR) instead of a variable one.")
@click.option("--slices", default=1, show_default=True, type=click.IntRange(1, 16), help="Slices a picture.")
@click.option(
    "--factory",
    is_flag=True,
    help="Two streams as a camera has them from its factory: long GOPs, constant bit rate. The default with --count, "
    "where nothing is said about the encoding.",
)
@click.option(
    "--seconds",
    default=20.0,
    show_default=True,
    type=click.FloatRange(2, 600),
    help="Length of the clip that is shown in a loop.",
)
@click.option("--seed", default=1, show_default=True, type=int, help="Of scene and events, and of who has which fault.")
@click.option("--quiet", "events", flag_value=False, default=True, help="Nothing happens in front of it.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[@SECONDS][=N|=P%]",
    help="What it does wrong; may be given several times. With --count: what N of them do, or P %.",
)
@click.option(
    "--faults",
    "list_faults",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_faults,
    help="List the faults and end.",
)
@click.option(
    "--make",
    "makes",
    multiple=True,
    metavar="NAME",
    help="Behave as this make does: hikvision, dahua, axis, bosch, …; several in turn, `all` for all.",
)
@click.option(
    "--same-address",
    metavar="ADDRESS",
    help="All of them have this address at first, as factory-new cameras do; one answers at a time.",
)
@click.option("--reboot", "reboot_s", default=3.0, show_default=True, type=float, help="Seconds that a restart takes.")
@click.option(
    "--count", default=1, show_default=True, type=click.IntRange(1, 2000), help="That many cameras, in one process."
)
@click.pass_context
def camera(ctx: click.Context, /, faults: tuple[str, ...], count: int, **given: Any) -> None:
    """A camera, or many: RTSP over TCP with H.264, and ONVIF that remembers what it is told.

    What it shows is drawn once and kept below `$XDG_CACHE_HOME/edusense`. Its streams follow its encoder settings.

    \b
    Examples:
      edusense sim camera --scene corridor --port 8554
      edusense sim camera --fault stall@10        # stops sending ten seconds after PLAY
      edusense sim camera --count 50 --no-onvif
      edusense sim camera --count 1000 --fault silent=5% --fault wrong-clock=10% --make all
    """
    from edusense.sim.faults import Share
    from edusense.sim.library import PlayerLibrary

    said = [name for name in _ENCODING if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE]
    shares = [Share.parse(one) for one in faults]
    streams = _streams(given, factory=given["factory"] or (count > 1 and not said))
    stopped = until_stopped()
    with contextlib.ExitStack() as stack:
        password, reference = ("", None) if given["auth"] == "none" else given_password(given["password_from"], stack)
        library = PlayerLibrary(
            given["scene"],
            seconds=given["seconds"],
            seed=given["seed"],
            events=given["events"],
            drawing=lambda encoding: talk(
                f"drawing {given['seconds']:g} s of the scene `{given['scene']}` in {encoding.width}x"
                f"{encoding.height}: takes a while, the first time"
            ),
        )
        stack.callback(library.close)
        with _leaving_at_once(stopped):
            for encoding in streams.values():
                library.player(encoding)
        fixed = {"host", "port"} & {
            name for name in given if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        }
        apart = given["network"] is not None or given["same_address"] is not None or (count > 1 and not fixed)
        make = _fleet if apart else _on_one_address
        made = make(stack, count, shares, streams, library, password, given)
        make_findable(stack, made)
        for one in made:
            ready(_row(one, reference))
        stopped.wait()


def _streams(given: dict[str, Any], *, factory: bool) -> dict[str, Encoding]:
    from edusense.sim.encode import Encoding
    from edusense.sim.fleet import FACTORY

    if factory:
        return dict(FACTORY)
    width = given["width"]
    return {
        "main": Encoding(
            width,
            given["height"] or round(width * 9 / 32) * 2,
            given["fps"],
            cap_kbit=given["kbit"],
            constant=given["constant"],
            slices=given["slices"],
        )
    }


def _schemes(auth: str) -> tuple[str, ...]:
    return ("digest",) if auth == "none" else tuple(part.strip() for part in auth.split(","))


def _fleet(
    stack: contextlib.ExitStack,
    count: int,
    shares: Sequence[Share],
    streams: dict[str, Encoding],
    library: PlayerLibrary,
    password: str,
    given: dict[str, Any],
) -> list[VirtualCamera]:
    """Cameras on addresses of their own."""
    from edusense.sim.fleet import VirtualFleet
    from edusense.sim.makes import MAKES

    port = given["onvif_port"] or ONVIF_PORT
    fleet = VirtualFleet(
        count,
        network=given["network"] or _free_network(port),
        onvif_port=None if given["no_onvif"] else port,
        rtsp_port=given["port"],
        user=given["user"],
        password=password,
        faults=shares,
        makes=list(MAKES) if "all" in given["makes"] else given["makes"],
        encodings=streams,
        seed=given["seed"],
        library=library,
        schemes=_schemes(given["auth"]),
        reboot_s=given["reboot_s"],
        same_address=given["same_address"],
    )
    return stack.enter_context(fleet).cameras


def _free_network(port: int) -> str:
    """A network of the loopback range at whose beginning nobody listens yet."""
    for second in range(20, 250):
        with socket.socket() as tried:
            try:
                tried.bind((f"127.{second}.0.1", port))
            except OSError:
                continue
        return f"127.{second}.0.0/16"
    return "127.20.0.0/16"


def _on_one_address(
    stack: contextlib.ExitStack,
    count: int,
    shares: Sequence[Share],
    streams: dict[str, Encoding],
    library: PlayerLibrary,
    password: str,
    given: dict[str, Any],
) -> list[VirtualCamera]:
    """Cameras that differ by their ports."""
    from edusense.errors import UsageError
    from edusense.sim.camera import VirtualCamera
    from edusense.sim.fleet import VirtualFleet, identity
    from edusense.sim.makes import MAKES

    port, onvif_port = given["port"], given["onvif_port"]
    highest = max(port, 0 if given["no_onvif"] else onvif_port)
    if highest and highest + count > 65536:
        raise UsageError(f"{count} cameras do not fit above port {highest}", hint="a lower --port")
    makes = list(MAKES) if "all" in given["makes"] else list(given["makes"])
    if unknown := set(makes) - MAKES.keys():
        raise UsageError(f"there is no make `{min(unknown)}`", hint=f"makes are: all, {', '.join(MAKES)}")
    made: list[VirtualCamera] = []
    for index, wrong in enumerate(VirtualFleet.dealt(count, shares, given["seed"])):
        make = MAKES[makes[index % len(makes)]] if makes else None
        stream, others = VirtualFleet.parted(wrong)
        name = "camera" if count == 1 else f"camera-{index + 1}"
        one = VirtualCamera(
            name,
            host=given["host"],
            port=port + index if port else 0,
            onvif_port=None if given["no_onvif"] else onvif_port + index if onvif_port else 0,
            user=given["user"],
            password=password,
            scene=given["scene"],
            seed=given["seed"],
            library=library,
            encodings=streams,
            phase=index,
            fault=stream,
            faults=others | set(make.faults if make else ()),
            identity=identity(index, make) if make else None,
            schemes=_schemes(given["auth"]),
            reboot_s=given["reboot_s"],
        )
        made.append(stack.enter_context(one))
    return made


def make_findable(stack: contextlib.ExitStack, cameras: list[VirtualCamera]) -> None:
    """Lets `edusense camera discover` and other people's searches find them."""
    from edusense.sim.discovery import findable

    if problem := stack.enter_context(findable(camera.onvif_server for camera in cameras)):
        talk(problem)


def given_password(password_from: str | None, stack: contextlib.ExitStack) -> tuple[str, str]:
    """The password and where it is; a new one in a file of its own, which goes with the command, by default."""
    import os
    import secrets
    import tempfile

    from edusense.cli.credentials import password_at

    if password_from is None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edusense-sim-")))
        path = folder / "camera.secret"
        password = secrets.token_urlsafe(12)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(password + "\n")
        return password, f"file:{path}"
    password = password_at(password_from)
    kind, _, place = password_from.partition(":")
    return password, f"file:{Path(place).expanduser().absolute()}" if kind == "file" else password_from


def _row(camera: VirtualCamera, reference: str | None) -> dict[str, Any]:
    return {
        "kind": "camera",
        "id": camera.id,
        "url": camera.rtsp,
        "onvif": camera.onvif,
        "rtsp": camera.rtsp,
        "port": camera.port,
        "user": camera.user if reference else None,
        "password_ref": reference,
    }


def ready(row: dict[str, Any]) -> None:
    """Prints the line of a device that can be spoken to."""
    click.echo(json.dumps(row, ensure_ascii=False))
    sys.stdout.flush()


def until_stopped() -> threading.Event:
    """An event that SIGTERM and Ctrl-C set: both are how a virtual device is ended, so neither is an error."""
    stopped = threading.Event()
    for number in SIGNALS:
        signal.signal(number, lambda *_: stopped.set())
    return stopped


@contextlib.contextmanager
def _leaving_at_once(stopped: threading.Event) -> Iterator[None]:
    """While something is drawn: that takes long and nothing is served yet, so a signal ends the command at once."""

    def leave(*_: object) -> None:
        raise click.exceptions.Exit(0)

    before = {number: signal.signal(number, leave) for number in SIGNALS}
    try:
        if stopped.is_set():
            leave()
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
