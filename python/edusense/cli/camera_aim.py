"""`edusense camera aim`: a page for the phone on the ladder."""

from __future__ import annotations

import ipaddress
import logging
import re
import secrets
import signal
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edusense.cli.camera_fleet import site_of
from edusense.cli.output import json_option, row, site_option, talk
from edusense.errors import EdusenseError, UsageError

if TYPE_CHECKING:
    import socket

    from edusense.fleet.aiming import Aim
    from edusense.site import Camera, Site

__all__ = ["aim"]


@click.command()
@click.argument("camera")
@click.option(
    "--listen",
    default="127.0.0.1:8490",
    show_default=True,
    metavar="ADDRESS:PORT",
    help="Where the page is; another address than this machine's own is served by https, to who has the token.",
)
@click.option("--https", is_flag=True, help="By https and with a token on this machine's own address, too.")
@click.option("--stream", default="keep", show_default=True, help="keep, watch, or a profile's own name.")
@site_option
@json_option
def aim(camera: str, listen: str, https: bool, stream: str, site_path: str, as_json: bool) -> int:
    """Serve a page with the camera's live picture, its sharpness, the outline of its reference, and its zones.

    For the phone on the ladder: turn the camera until its picture lies on the outline, turn the ring until the figure
    grows no more, press "Save as reference". A zone is drawn by its corners on the picture and added to the site file;
    --stream watch shows what is watched, where that is another part than what is kept. Served to this machine alone by
    default; with --listen and an address of the school's network by https and with a token that is made for this time,
    both shown here. Until Ctrl-C.

    \b
    Examples:
      edusense camera aim 205-front
      edusense camera aim 205-front --listen 10.20.0.5:8490
      edusense camera aim attic-stairs --stream watch      # to draw a zone
    """
    host, port, own = _address(listen)
    own = own and not https
    try:
        import starlette  # noqa: F401 - asked for before a camera is
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise EdusenseError(
            f"the page needs a package that is not installed: {error.name}",
            hint="pip install 'edusense[pages]' into edusense's environment",
        ) from error
    from edusense.box.pages.part import bind

    site = site_of(site_path)
    found = site.camera(camera)
    made = _aim(site, found, stream)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    token = None if own else secrets.token_urlsafe(12)
    with bind(host, port) as listening, tempfile.TemporaryDirectory(prefix="edusense-aim-") as folder, made:
        tls, fingerprint = ({}, None) if own else _tls(Path(folder), host)
        shown = f"[{host}]" if ":" in host else host
        url = f"{'http' if own else 'https'}://{shown}:{listening.getsockname()[1]}/"
        row(
            {"camera": camera, "url": url, "fingerprint": fingerprint},
            as_json=as_json,
            text=url if token is None else f"{url}token#token={token}",
        )
        if token is not None:
            if as_json:
                talk(f"token: {token}")
            talk(f"the certificate is signed by nobody; its SHA-256 is {fingerprint}")
        talk("Ctrl-C ends it")
        assert site.path is not None
        _serve(made, site.path, listening, token, tls, stopped)
    return 0


def _address(listen: str) -> tuple[str, int, bool]:
    """Address and port, and whether it is this machine's own."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+)):(\d{1,5})", listen)
    if match is None or int(match[3]) > 65535:
        raise UsageError(f"`{listen}` is no address and port", hint="--listen 10.20.0.5:8490")
    host = match[1] or match[2]
    if host == "localhost":
        return "127.0.0.1", int(match[3]), True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise UsageError(f"`{host}` is no address", hint="--listen 10.20.0.5:8490") from None
    if address.is_unspecified:
        raise UsageError(
            f"`{host}` is every address of this machine", hint="name the one that the phone reaches: --listen 10.20.0.5"
        )
    return host, int(match[3]), address.is_loopback


def _aim(site: Site, camera: Camera, stream: str) -> Aim:
    from edusense import fleet
    from edusense.fleet.aiming import Aim
    from edusense.fleet.references import References

    login = site.credentials_of(camera)
    named = stream if stream not in ("keep", "watch") else None
    addresses = fleet.stream_addresses(camera, login, 20.0, keep=named)
    url = addresses.watch if stream == "watch" else addresses.keep
    user, password = (None, None) if login is None else (login.user, login.secret())
    return Aim(camera.id, url, user, password, References.of(site))


def _tls(folder: Path, host: str) -> tuple[dict[str, Any], str]:
    from edusense.cli.aim.certificate import make_certificate

    certificate, key, fingerprint = make_certificate(folder, host)
    return {"ssl_certfile": str(certificate), "ssl_keyfile": str(key)}, fingerprint


def _serve(
    made: Aim, site: Path, listening: socket.socket, token: str | None, tls: dict[str, Any], stopped: threading.Event
) -> None:
    import uvicorn

    from edusense.cli.aim.app import make_app

    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    config = uvicorn.Config(
        make_app(made, site=site, token=token),
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=1,
        limit_concurrency=32,
        ws="none",
        **tls,
    )
    server = uvicorn.Server(config)
    # Signals are ours: uvicorn takes them only in the main thread.
    serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="edusense-aim-page")
    serving.start()
    while serving.is_alive() and not stopped.wait(0.2):
        pass
    made.stop()
    server.should_exit = True
    serving.join()
