"""`edusense camera discover --add · --csv · --sweep · --adopt` and `templates`, each in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from edusense import Site
from edusense.cli.schemas import validate
from edusense.sim.discovery import DiscoveryResponder
from edusense.sim.onvif_server import Identity, OnvifServer, Profile
from edusense.sim.shelf import Shelf

PROFILES = [
    Profile("p1", "mainStream", 1920, 1080, 25, 4000, "H264", "rtsp://127.0.0.1:8554/main", gop=100),
    Profile("p2", "subStream", 640, 360, 12, 512, "H264", "rtsp://127.0.0.1:8554/sub", gop=24),
]
TEXT = """# by hand
[site]
id = "school"
number = 1
data = "data"
[credentials.cameras]
user = "edusense"
password = "env:CAMERA_PASSWORD"
[[rooms]]
id = "205"
kind = "classroom"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "school.toml").write_text(TEXT)
    return tmp_path


def command(folder, *words):
    return {
        "args": [sys.executable, "-m", "edusense", "camera", *words],
        "cwd": folder,
        "env": {**os.environ, "CAMERA_PASSWORD": "s3cret-x", "NO_COLOR": "1", "COLUMNS": "200"},
        "stdin": subprocess.DEVNULL,
        "text": True,
    }


def edusense(folder, *words):
    return subprocess.run(**command(folder, *words), capture_output=True, timeout=80, check=False)


def rows(done, name):
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for one in found:
        validate(name, one)
    return found


def servers(count, **more):
    return [
        OnvifServer(
            Identity(name="IPCAM", mac=f"02:ed:00:00:07:{n:02x}", manufacturer="HIKVISION"),
            PROFILES,
            "edusense",
            "s3cret-x",
            host=f"127.80.0.{n + 1}",
            port=8004,
            **more,
        )
        for n in range(count)
    ]


def test_new_cameras_come_into_the_site_file(folder):
    made = [one.start() for one in servers(3)]
    try:
        with DiscoveryResponder(port=0, spread_s=0.05) as responder:
            responder.add_servers(made)
            words = ["discover", "--timeout", "1", "--interface", "127.0.0.1", "--port", str(responder.port)]
            found = rows(edusense(folder, *words, "--json"), "camera discover")
            assert [one["site_id"] for one in found] == [None] * 3
            told = edusense(folder, *words)
            assert "`--add` writes the other 3 into it" in told.stderr
            roomless = edusense(folder, *words, "--add")
            assert roomless.returncode == 1
            assert "3 without a room: --room ROOM, or --csv FILE" in roomless.stderr
            asked = edusense(folder, *words, "--add", "--room", "205")
            assert asked.returncode == 2
            assert "--yes says so beforehand" in asked.stderr
            (folder / "cameras.csv").write_text("room,mac,id\n205,02ed00000701,205-board\n205,02ed000007ff,205-gone\n")
            done = edusense(
                folder, *words, "--add", "--room", "205", "--csv", "cameras.csv", "--yes", "--json", "--dhcp", "d.conf"
            )
            assert done.returncode == 1  # one of the list was not found
            assert "line 3 of the list, 02:ed:00:00:07:ff for room 205: no camera that answered fits it" in done.stderr
            new = rows(done, "camera discover")
            assert [one["id"] for one in new] == ["205-1", "205-board", "205-2"]
            assert {one["template"] for one in new} == {"hikvision/any"}
            assert "s3cret-x" not in done.stdout + done.stderr
            text = (folder / "school.toml").read_text()
            assert text.startswith("# by hand")
            assert len(Site.load(folder / "school.toml").cameras) == 3
            assert "dhcp-host=02:ed:00:00:07:01,127.80.0.2,205-board" in (folder / "d.conf").read_text()
            again = edusense(folder, *words, "--add", "--room", "205", "--yes")
            assert (again.returncode, "nothing new: all 3" in again.stderr) == (0, True)
    finally:
        for one in made:
            one.close()


def test_hidden_cameras_are_swept(folder):
    made = [one.start() for one in servers(2)]
    try:
        done = edusense(
            folder, "discover", "--timeout", "0.5", "--interface", "127.0.0.1", "--port", "39999",
            "--sweep", "127.80.0.0/29", "--sweep-port", "8004", "--json",
        )  # fmt: skip
        assert [one["source"] for one in rows(done, "camera discover")] == ["127.80.0.1", "127.80.0.2"]
    finally:
        for one in made:
            one.close()


def test_factory_new_cameras_are_adopted(folder):
    shelf = Shelf("127.81.0.64", 8005).start()
    made = []
    for n in range(2):
        one = OnvifServer(
            Identity(mac=f"02:ed:00:00:08:{n:02x}"), PROFILES, "edusense", "s3cret-x", shelf=shelf, reboot_s=0.2
        )
        made.append(one.start())
    try:
        done = subprocess.Popen(
            **command(
                folder, "discover", "--adopt", "127.81.0.64:8005", "--addresses", "127.81.1.1-127.81.1.9/16",
                "--room", "205", "--json",
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        assert done.stdout is not None
        found = [json.loads(done.stdout.readline()) for _ in range(2)]
        for one in found:
            validate("camera discover", one)
        assert [one["state"] for one in found] == ["adopted", "adopted"]
        deadline = time.monotonic() + 30
        while len(Site.load(folder / "school.toml").cameras) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        done.send_signal(signal.SIGINT)
        _, errors = done.communicate(timeout=40)
        assert done.returncode == 130
        assert "those that were adopted are in the site file" in errors
        assert [one.host for one in made] == ["127.81.1.1", "127.81.1.2"]
    finally:
        for one in made:
            one.close()
        shelf.close()


def test_mistakes_are_named(folder):
    for words, says in (
        (["discover", "--csv", "school.toml"], "go with --add"),
        (["discover", "--addresses", "10.0.0.1-10.0.0.2/22"], "goes with --adopt"),
        (["discover", "--adopt", "10.0.0.1"], "need addresses"),
        (["discover", "--adopt", "10.0.0.1", "--addresses", "10.0.0.9-10.0.0.2/22"], "are no addresses"),
        (
            ["discover", "--sweep", "10.0.0.0/8", "--timeout", "0.2", "--interface", "127.0.0.1"],
            "are not swept at once",
        ),
        (
            ["discover", "--add", "--credentials", "x", "--timeout", "0.2", "--interface", "127.0.0.1"],
            "no [credentials.x]",
        ),
        (["apply", "--max-failed", "lots"], "no share of the cameras"),
    ):
        done = edusense(folder, *words)
        assert done.returncode == 2, words
        assert says in done.stderr, words
    (folder / "bad.csv").write_text("room,mac\n205,1\n999,02:ed:00:00:00:01\n")
    done = edusense(folder, "discover", "--add", "--csv", "bad.csv")
    assert done.returncode == 6
    assert "line 2, column `mac`" in done.stderr
    assert "line 3, column `room`" in done.stderr
    assert "2 errors" in done.stderr


def test_templates_are_listed_and_checked(folder):
    found = rows(edusense(folder, "templates", "list", "--json"), "camera templates list")
    assert {"generic/onvif-t", "generic/onvif-s", "hikvision/any"} <= {one["template"] for one in found}
    assert edusense(folder, "templates", "check").returncode == 0
    own = folder / "firmware_configs/cameras/own"
    own.mkdir(parents=True)
    (own / "x.toml").write_text('summary = "x"\n[main.fps]\nwant = "x"\nwhy = "because so"\n')
    done = edusense(folder, "templates", "check", "--json")
    assert done.returncode == 1
    wrong = [one for one in rows(done, "camera templates check") if one["problem"]]
    assert [one["template"] for one in wrong] == ["own/x"]
    assert "own/x.toml:3:8" in wrong[0]["problem"]
    assert "1 of" in edusense(folder, "templates", "check", "own/x").stderr
    assert edusense(folder, "templates", "check", "nope").returncode == 1
