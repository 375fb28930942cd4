"""A whole virtual school: cameras, canteen terminals, the site file for them, and the truth about what happens."""

from __future__ import annotations

import datetime
import json
import os
import secrets
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from edusense.errors import PermissionDeniedError, UsageError
from edusense.sim.camera import VirtualCamera
from edusense.sim.canteen import taps
from edusense.sim.encode import Encoding
from edusense.sim.live import Reel, Shot, Studio
from edusense.sim.player import Player
from edusense.sim.pupils import draw_pupils, roster_csv
from edusense.sim.reader_ccid import VirtualCcid
from edusense.sim.reader_rdm6300 import VirtualRdm6300

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edusense.sim.canteen import Tap

__all__ = ["VirtualSchool"]

SINGLE = {"main": Encoding(640, 360, 12.5)}
DOUBLE = {"main": Encoding(960, 540, 12.5), "sub": Encoding(480, 270, 12.5)}
LEAD_S = 1.2
"""Seconds that the first GOPs of twelve cameras take on a small computer."""
SOCKET_PATH_LIMIT = 100
ALMATY = datetime.timezone(datetime.timedelta(hours=5))
"""The site's time zone, without asking the machine for its data: Kazakhstan has one, UTC+5, since 2024-03-01."""

ROOMS = (
    ("201", "classroom", 28), ("202", "classroom", 28), ("203", "classroom", 24), ("corridor-1", "corridor", None),
    ("corridor-2", "corridor", None), ("canteen", "canteen", 120), ("gym", "gym", None), ("entrance", "entrance", None),
)  # fmt: skip
CAMERAS = (
    ("201-front", "201", "room"),
    ("corridor-1-east", "corridor-1", "corridor"),
    ("202-front", "202", "room"),
    ("canteen-counter", "canteen", "canteen"),
    ("203-front", "203", "room"),
    ("entrance-door", "entrance", "hall"),
    ("corridor-2-east", "corridor-2", "corridor"),
    ("gym-west", "gym", "gym"),
    ("201-back", "201", "room"),
    ("canteen-tables", "canteen", "canteen"),
    ("corridor-1-west", "corridor-1", "corridor"),
    ("203-back", "203", "room"),
)


@dataclass(frozen=True)
class _Terminal:
    id: str
    number: int
    technology: str
    reader: VirtualRdm6300 | VirtualCcid
    driver: str
    port: str


class VirtualSchool:
    """A virtual school in a folder, from `start` to `stop`.

    ```python
    with VirtualSchool(folder, seconds=60) as school:
        for row in school.rows(): print(row)
        school.run_until(stopped.is_set)
    ```

    Args:
        folder: where the site file, roster, secrets and truth are written; made where it does not exist.
        cameras: how many.
        seconds: length of the script; 0 for one that does not end.
        seed: of everything; a random one by default.
        quiet: seconds at the beginning in which nothing happens, so that a box can start and learn what quiet is.
        host: address to listen on.
        onvif: whether cameras serve ONVIF.

    Raises:
        UsageError: numbers that make no sense, or a folder that is another school's data.
        PermissionDeniedError: the folder may not be written.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        cameras: int = 12,
        seconds: float = 60.0,
        seed: int | None = None,
        quiet: float = 14.0,
        host: str = "127.0.0.1",
        onvif: bool = True,
    ) -> None:
        if not 0 <= cameras <= 200:
            raise UsageError(f"`{cameras}` cameras cannot be drawn", hint="between 0 and 200; each costs 2 % of a core")
        if seconds < 0 or quiet < 0 or (seconds and quiet >= seconds):
            raise UsageError(
                f"`{quiet:g}` quiet seconds of `{seconds:g}` leave no time for events", hint="--seconds 60 --quiet 14"
            )
        self.folder = Path(folder).absolute()
        self.count, self.seconds, self.quiet, self.host, self.onvif = cameras, seconds, quiet, host, onvif
        self.seed = secrets.randbits(31) if seed is None else seed
        self.site_path = self.folder / "school.toml"
        self.staged_path = self.folder / "staged.jsonl"
        self.ended_path = self.folder / "ended"
        self.epoch = 0.0
        self._cameras: list[VirtualCamera] = []
        self._terminals: list[_Terminal] = []
        self._studio: Studio | None = None
        self._taps: Iterator[Tap] = iter(())
        self._next_tap: Tap | None = None
        self._pending: list[tuple[float, dict[str, Any]]] = []
        self._stopping = threading.Event()
        self._sockets: tempfile.TemporaryDirectory[str] | None = None
        self.late_s = 0.0
        """Most seconds by which a tap came later than planned."""

    # ---- life

    def start(self) -> Self:
        """Writes the folder and serves everything; returns when all can be spoken to."""
        try:
            self._folders()
            password = self._secret()
        except PermissionError as error:
            raise PermissionDeniedError(
                f"`{self.folder}` may not be written: {error.strerror}", hint="give a folder of your own"
            ) from error
        except OSError as error:
            raise UsageError(
                f"`{self.folder}` cannot be made a school's folder: {error.strerror}", hint="give another folder"
            ) from error
        end_s = self.seconds or float("inf")
        rng = np.random.default_rng([self.seed, 0x5C400])
        self.epoch = time.time() + LEAD_S * max(1.0, self.count / 12)
        try:
            reels = [Reel(shot, self.epoch) for shot in self._shots(end_s)]
            self._studio = Studio(reels, self._tell)
            self._studio.start()
            for index, reel in enumerate(reels):
                players = {
                    name: Player(source, epoch=self.epoch, timing=reel.timing) for name, source in reel.sources.items()
                }
                camera = VirtualCamera(
                    reel.shot.id,
                    host=self.host,
                    onvif_port=0 if self.onvif and self._by_address(index) else None,
                    user="edusense",
                    password=password,
                    streams=players,
                )
                self._cameras.append(camera.start())
            pupils = draw_pupils(60, rng)
            self._open_readers()
            local = datetime.datetime.fromtimestamp(self.epoch, ALMATY)
            (self.folder / "roster.csv").write_text(roster_csv(pupils, local.date()), encoding="utf-8")
            self.site_path.write_text(self._site(), encoding="utf-8")
        except BaseException:
            self.stop()
            raise
        self._taps = taps(
            pupils,
            [terminal.technology for terminal in self._terminals],
            seed=self.seed,
            begin_s=self.quiet,
            end_s=max(self.quiet, end_s - 3.0),
            midnight_s=86_400.0 - (local.hour * 3600 + local.minute * 60 + local.second),
        )
        self._next_tap = next(self._taps, None)
        return self

    def stop(self) -> None:
        """Ends everything; harmless when repeated. What it wrote stays."""
        self._stopping.set()
        for camera in self._cameras:
            camera.stop()
        self._cameras.clear()
        if self._studio is not None:
            self._studio.stop()
        for terminal in self._terminals:
            terminal.reader.close()
        self._terminals.clear()
        if self._sockets is not None:
            self._sockets.cleanup()
            self._sockets = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run_until(self, stopped: Callable[[], bool]) -> None:
        """Lets the script happen: lays cards on readers and writes down what was staged, until `stopped` says so."""
        while not stopped() and not self._stopping.is_set():
            self.step(time.time())
            self._stopping.wait(0.02)

    def step(self, now: float) -> None:
        """Does what is due at `now` (Unix time).

        Raises:
            Exception: what a drawing thread died of.
        """
        assert self._studio is not None
        self._studio.check()
        while self._next_tap is not None and self.epoch + self._next_tap.after_s <= now:
            self._tap(self._next_tap, now)
            self._next_tap = next(self._taps, None)
        self._studio.due(now)
        # Cameras that paused show the rest of their script later.
        over = self.epoch + self.seconds + self._studio.delay_s
        if self.seconds and now >= over and not self.ended_path.exists():
            self.ended_path.write_text(f"{now:.3f}\n", encoding="utf-8")

    @property
    def ended(self) -> bool:
        """Whether the script is over and all of it written down."""
        return self.ended_path.exists()

    @property
    def cameras(self) -> list[VirtualCamera]:
        """The cameras, in the order of the site file."""
        return list(self._cameras)

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row a device, then one for the school: what `edusense sim school` prints."""
        reference = f"file:{self.folder / 'secrets' / 'cameras.secret'}"
        for camera in self._cameras:
            yield {
                "kind": "camera", "id": camera.id, "url": camera.rtsp, "onvif": camera.onvif, "rtsp": camera.rtsp,
                "port": camera.port, "user": camera.user, "password_ref": reference,
            }  # fmt: skip
        for terminal in self._terminals:
            yield {
                "kind": "reader",
                "id": terminal.id,
                "url": f"{terminal.driver}:{terminal.port}",
                "onvif": None,
                "rtsp": None,
                "port": terminal.port,
                "user": None,
                "password_ref": None,
            }
        yield {
            "kind": "school",
            "id": f"virtual-{self.seed}",
            "url": None,
            "onvif": None,
            "rtsp": None,
            "port": None,
            "user": None,
            "password_ref": None,
            "site": str(self.site_path),
            "seed": self.seed,
            "epoch_s": round(self.epoch, 3),
            "quiet_s": self.quiet,
            "seconds": self.seconds,
            "staged": str(self.staged_path),
            "ended": str(self.ended_path),
        }

    # ---- parts

    def _shots(self, end_s: float) -> Iterator[Shot]:
        for index in range(self.count):
            name, _, scene = CAMERAS[index % len(CAMERAS)]
            turn = index // len(CAMERAS)
            yield Shot(
                id=name if not turn else f"{name}-{turn + 1}",
                scene=scene,
                seed=(self.seed * 7919 + index * 104_729) % 2**31,
                encodings=DOUBLE if index in {0, 5} else SINGLE,
                begin_s=self.quiet,
                # The last event ends well before the script does: a box needs some quiet to know that it is over.
                end_s=max(self.quiet, end_s - 4.0),
            )

    @staticmethod
    def _by_address(index: int) -> bool:
        """Half of the cameras are found by ONVIF, half by the address of their stream."""
        return index % 2 == 0

    def _folders(self) -> None:
        data = self.folder / "data"
        if data.exists() and any(data.iterdir()):
            raise UsageError(
                f"`{data}` holds the data of an earlier school", hint="give another folder, or remove that one first"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        data.mkdir(exist_ok=True)
        (self.folder / "dev").mkdir(exist_ok=True)
        secret = self.folder / "secrets"
        secret.mkdir(mode=0o700, exist_ok=True)
        self.ended_path.unlink(missing_ok=True)
        self.staged_path.write_text("", encoding="utf-8")

    def _secret(self) -> str:
        password = secrets.token_urlsafe(15)
        path = self.folder / "secrets" / "cameras.secret"
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(password + "\n")
        return password

    def _open_readers(self) -> None:
        left = self.folder / "dev" / "canteen-left"
        left.unlink(missing_ok=True)
        self._terminals.append(_Terminal("canteen-left", 1, "em4100", VirtualRdm6300(left), "rdm6300", str(left)))
        right = self.folder / "dev" / "canteen-right"
        if len(str(right).encode()) > SOCKET_PATH_LIMIT:
            # A socket's path has 108 bytes at most, whatever the folder is called.
            self._sockets = tempfile.TemporaryDirectory(prefix="edusense-")
            right = Path(self._sockets.name) / "canteen-right"
        right.unlink(missing_ok=True)
        self._terminals.append(_Terminal("canteen-right", 2, "iso14443a", VirtualCcid(right), "ccid", f"sim:{right}"))

    def _site(self) -> str:
        text = json.dumps  # what JSON quotes, TOML's basic strings quote in the same way
        lines = [
            f"# Written by `edusense sim school --seed {self.seed}`: its devices are gone when that command ends.",
            "[site]",
            f'id = "virtual-{self.seed}"',
            "number = 51001",
            'timezone = "Asia/Almaty"',
            f"data = {text(str(self.folder / 'data'))}",
            "",
            "[credentials.cameras]",
            'user = "edusense"',
            'password = "file:secrets/cameras.secret"',
        ]
        for room, kind, seats in ROOMS:
            lines += ["", "[[rooms]]", f'id = "{room}"', f'kind = "{kind}"']
            lines += [f"seats = {seats}"] if seats else []
        for index, camera in enumerate(self._cameras):
            room = CAMERAS[index % len(CAMERAS)][1]
            double = "sub" in camera.players
            lines += ["", "[[cameras]]", f'id = "{camera.id}"', f'room = "{room}"']
            if camera.onvif_port is not None:
                lines += [
                    f'address = "{self.host}:{camera.onvif_port}"',
                    f'watch = "{"sub" if double else "main"}"',
                    'keep = "main"',
                    'template = "generic/onvif-t"',
                ]
            elif double:
                lines += [f'url = "{camera.url("sub")}"', f'keep_url = "{camera.url("main")}"']
            else:
                lines += [f'url = "{camera.url("main")}"']
            lines += ['credentials = "cameras"']
        for terminal in self._terminals:
            lines += [
                "",
                "[[readers]]",
                f'id = "{terminal.id}"',
                f'driver = "{terminal.driver}"',
                f"port = {text(terminal.port)}",
            ]
        for terminal in self._terminals:
            lines += ["", "[[terminals]]", f'id = "{terminal.id}"', f"number = {terminal.number}", 'kind = "meals"']
            lines += ['room = "canteen"', f'reader = "{terminal.id}"']
        # One meal that lasts all day: whenever somebody tries this out, it is lunch time.
        lines += ["", "[meals]", 'roster = "roster.csv"', "", "[[meals.slots]]", 'id = "lunch"', 'from = "00:00"']
        lines += ['to = "23:59:59"', 'price = "450.00"', ""]
        return "\n".join(lines)

    # ---- truth

    def _tap(self, tap: Tap, now: float) -> None:
        terminal = self._terminals[tap.terminal]
        terminal.reader.tap(tap.card, tap.hold_s)
        self.late_s = max(self.late_s, now - self.epoch - tap.after_s)
        self._tell(
            {
                "kind": "tap", "terminal": terminal.id, "card": str(tap.card), "at_s": round(now, 3),
                "expected": tap.expected, "pupil": tap.pupil,
            }
        )  # fmt: skip

    def _tell(self, row: dict[str, Any]) -> None:
        with self.staged_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
