"""What several folders of tests share: a school of a camera and a reader, and the real box on it as its own process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# How long an example takes says how busy the machine is, and nothing about the code.
hypothesis.settings.register_profile("busy machine", deadline=None)
hypothesis.settings.load_profile("busy machine")

PUPILS = """pupil,name,class,category,cards,consent_date,voucher_from,voucher_to
1001,Айгерім Сәрсенова,1А,grade-1-4,em4100:010063E9AE,2020-09-01,2020-09-01,2099-05-25
1002,Данияр Омаров,2Б,grade-1-4,em4100:010063E9AF,2020-09-01,2020-09-01,2099-05-25
1003,Мадина Ким,3В,grade-1-4,em4100:010063E9B0,2020-09-01,2020-09-01,2099-05-25
1004,Тимур Ли,3В,grade-1-4,em4100:010063E9B1,,2020-09-01,2099-05-25
"""
SITE = """[site]
id = "tiny"
number = 51001
data = "data"

[credentials.cameras]
user = "edusense"
password = "file:cameras.secret"

[[rooms]]
id = "205"
kind = "classroom"

[[rooms]]
id = "canteen"
kind = "canteen"

{cameras}
[[readers]]
id = "left"
driver = "rdm6300"
port = "{port}"

[[terminals]]
id = "left"
number = 1
room = "canteen"
reader = "left"

[meals]
roster = "roster.csv"

[[meals.slots]]
id = "all-day"
from = "00:00"
to = "23:59:59"
price = "450.00"
"""


class TinySchool:
    """One camera (by ONVIF), one reader, four pupils; boxes are begun on it as processes."""

    password = "tiny-secret-3141"
    cards = ("em4100:010063E9AE", "em4100:010063E9AF", "em4100:010063E9B0", "em4100:010063E9B1")

    def __init__(self, folder: Path, *, cameras: int = 1) -> None:
        from edusense.sim.camera import VirtualCamera
        from edusense.sim.encode import Encoding
        from edusense.sim.reader_rdm6300 import VirtualRdm6300

        self.folder = folder
        self.site = folder / "school.toml"
        self.secret = folder / "cameras.secret"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.cameras = [
            VirtualCamera(
                f"205-{number}",
                password=self.password,
                encoding=Encoding(width=320, height=240, fps=10.0, gop_s=1.0),
                seconds=20.0,
            ).start()
            for number in range(cameras)
        ]
        self.reader = VirtualRdm6300(folder / "reader")
        (folder / "roster.csv").write_text(PUPILS, "utf-8")
        self.write_secret(self.password)
        self.write_site()

    @property
    def camera(self) -> Any:
        return self.cameras[0]

    def write_secret(self, password: str) -> None:
        making = self.secret.with_suffix(".part")
        making.touch(mode=0o600)
        making.write_text(f"{password}\n")
        making.rename(self.secret)

    def write_site(self, change: Callable[[str], str] = str) -> None:
        """Writes the site file; `change` may make it another one."""
        cameras = "".join(
            f'[[cameras]]\nid = "{camera.id}"\nroom = "205"\naddress = "127.0.0.1:{camera.onvif_port}"\n'
            'watch = "main"\ncredentials = "cameras"\n\n'
            for camera in self.cameras
        )
        making = self.site.with_suffix(".part")
        making.write_text(change(SITE.format(cameras=cameras, port=self.reader.path)), "utf-8")
        making.rename(self.site)

    def start(self, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """A box of its own process; what it says goes to `box.log` in the folder."""
        with (self.folder / "box.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "edusense", "run", "--verbose", "--site", str(self.site)],
                stderr=log,
                stdout=log,
                env=os.environ | (environment or {}),
            )
        self.processes.append(process)
        return process

    @staticmethod
    def until(what: Callable[[], Any], seconds: float = 30.0) -> Any:
        """What `what` returns as soon as that is true; fails when it does not become so in time."""
        deadline = time.monotonic() + seconds
        while not (value := what()):
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.05)
        return value

    def row(self, kind: str, name: str | None = None) -> dict[str, Any]:
        """The row of the box's status with this kind and id."""
        rows: list[dict[str, Any]] = self.connect().status()
        return next(row for row in rows if row["kind"] == kind and name in (None, row.get("id")))

    def events(self, kind: str, since: int = 0) -> list[dict[str, Any]]:
        """The events of one kind so far."""
        return list(self.connect().events(since=since, kinds=[kind]))

    def connect(self) -> Any:
        import edusense

        return edusense.connect(self.site, wait_s=30)

    def said(self) -> str:
        """What the box has said so far."""
        return (self.folder / "box.log").read_text("utf-8")

    def tap(self, number: int) -> None:
        from edusense.devices import Card

        assert self.reader.wait_open(20)
        self.reader.tap(Card.parse(self.cards[number]))

    def stop(self) -> int:
        """Stops the box as systemd does; its exit status."""
        process = self.processes[-1]
        process.send_signal(signal.SIGTERM)
        return process.wait(15)

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait(10)
        self.reader.close()
        for camera in self.cameras:
            camera.stop()


@pytest.fixture(scope="session")
def school_class() -> type[TinySchool]:
    """For fixtures that need a school of their own scope and site file."""
    return TinySchool


@pytest.fixture
def tiny_school(tmp_path: Path) -> Iterator[TinySchool]:
    """A school whose box the test begins itself."""
    with contextlib.closing(TinySchool(tmp_path)) as school:
        yield school


@pytest.fixture(scope="module")
def running_school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinySchool]:
    """A school whose box runs and has found its first motion; shared by the tests of a module that only ask it."""
    with contextlib.closing(TinySchool(tmp_path_factory.mktemp("school"), cameras=2)) as school:
        school.start()
        for camera in school.cameras:
            school.until(lambda: school.row("camera", camera.id)["state"] == "playing")  # noqa: B023 -- asked at once
        school.until(lambda: school.events("motion"), 60)
        yield school


# A run that was started in the background ignores Ctrl-C, and every command that a test starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
