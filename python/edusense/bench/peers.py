"""Peers that are measured beside ours: which there are, whether they are here, and how they come here.

A box that serves a school has none of them; a bench has. They are installed into an environment of their own, which
cases look into behind the packages that edusense itself runs on: what edusense needs is never exchanged for what a
peer brings.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from edusense.errors import BenchError, BenchPlanError
from edusense.nearest import perhaps

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PEERS", "Found", "Peer", "enter", "find", "folder", "install", "look"]

LIMIT_S: Final = 900.0
"""An installation takes no longer, on a slow line neither."""


@dataclass(frozen=True)
class Peer:
    """Something that a case measures beside ours.

    Args:
        name: as a case names it.
        what: what one would use it for instead.
        distribution: its name at the package index; None for a program.
        wanted: what pip is asked for; for a program what Debian calls it.
        program: its file, where it is one.
    """

    name: str
    what: str
    distribution: str | None
    wanted: str
    program: str | None = None


PEERS: Final[tuple[Peer, ...]] = (
    Peer(
        "opencv",
        "finding motion: MOG2 background subtraction",
        "opencv-python-headless",
        "opencv-python-headless>=4.10",
    ),
    Peer("onvif-zeep", "asking cameras, as its readme shows", "onvif-zeep", "onvif-zeep==0.2.12"),
    Peer("pyserial", "reading serial readers, a line at a time", "pyserial", "pyserial>=3.5"),
    Peer("sha256sum", "a digest of the same bytes, beside verifying", None, "coreutils", "sha256sum"),
)
"""All of them; SQLite, zlib, Pillow and FFmpeg come with Python and with edusense."""


@dataclass(frozen=True)
class Found:
    """Whether a peer is here.

    Args:
        peer: which.
        where: `edusense's own` environment, `peers'`, `this machine`; None where it is not here.
        version: its version, where it tells.
    """

    peer: Peer
    where: Literal["own", "peers", "machine"] | None
    version: str | None = None


def folder() -> Path:
    """The folder of the peers' environment: `$XDG_DATA_HOME/edusense/peers`."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "edusense" / "peers"


def _packages(place: Path) -> Path:
    """Where an environment of this Python in that folder has its packages."""
    names = {"base": str(place), "platbase": str(place)}
    return Path(sysconfig.get_path("purelib", "venv", vars=names))


def enter() -> None:
    """Makes what is installed for peers importable, behind all that edusense has itself; harmless when repeated."""
    packages = str(_packages(folder()))
    if Path(packages).is_dir() and packages not in sys.path:
        sys.path.append(packages)


def look() -> list[Found]:
    """Every peer, and whether it is here."""
    return [_look(peer) for peer in PEERS]


def find(name: str) -> Peer:
    """The peer of that name.

    Args:
        name: as a case names it.

    Raises:
        BenchPlanError: there is none.

    >>> find("opencv").distribution
    'opencv-python-headless'
    """
    peer = next((peer for peer in PEERS if peer.name == name), None)
    if peer is None:
        names = [peer.name for peer in PEERS]
        raise BenchPlanError(
            f"there is no peer `{name[:60]}`", hint=perhaps(name, names) or f"there are {', '.join(names)}"
        )
    return peer


def _look(peer: Peer) -> Found:
    if peer.program is not None:
        return Found(peer, None if shutil.which(peer.program) is None else "machine")
    assert peer.distribution is not None
    own = [path for path in sys.path if path != str(_packages(folder()))]
    for where, path in (("own", own), ("peers", [str(_packages(folder()))])):
        for one in importlib.metadata.distributions(name=peer.distribution, path=path):
            return Found(peer, "own" if where == "own" else "peers", one.version)
    return Found(peer, None)


def install(names: Sequence[str] = ()) -> list[Found]:
    """Installs peers that are not here into their environment; what is there already stays.

    Args:
        names: which; all by default.

    Returns:
        Those that were asked for, as they are now; programs are left to Debian.

    Raises:
        BenchPlanError: there is no such peer.
        BenchError: no environment can be made there, or the index was not reached.
    """
    asked = [find(name) for name in names] or list(PEERS)
    missing = [peer for peer in asked if peer.distribution is not None and _look(peer).where is None]
    if missing:
        place = folder()
        if not _packages(place).is_dir():
            _run([sys.executable, "-m", "venv", str(place)], "an environment for peers cannot be made")
        command = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for peer in missing:
            # NumPy and the like are edusense's own: a peer that brought its own would be measured with another one.
            alone = ["--no-deps"] if peer.name == "opencv" else []
            _run([*command, *alone, peer.wanted], f"{peer.name} cannot be installed")
    return [_look(peer) for peer in asked]


def _run(command: list[str], said: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=environment)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{said}: it took more than {LIMIT_S / 60:.0f} min", hint="a better line, and again") from None
    except OSError as error:
        raise BenchError(f"{said}: {error.strerror}") from None
    if done.returncode:
        last = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise BenchError(
            f"{said}: {last[-1].removeprefix('ERROR: ')[:300] if last else f'status {done.returncode}'}",
            hint="it needs a package index; the folder is " + str(folder()),
        )
