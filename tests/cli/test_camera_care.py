"""`edusense camera rotate-password · backup · restore · events`; and that no secret is anywhere it should not be."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edusense import Site
from edusense.cli.schemas import validate
from edusense.sim.onvif_server import Identity, OnvifServer, Profile

OLD, NEW, KEY = "old-S3cret-11", "new-S3cret-22", "key-S3cret-33"
MAIN = Profile("p1", "mainStream", 1920, 1080, 25, 4000, "H264", "rtsp://127.0.0.1:8554/main", gop=100)
SUB = Profile("p2", "subStream", 640, 360, 12, 512, "H264", "rtsp://127.0.0.1:8554/sub", gop=24)
TEXT = """[site]
id = "school"
number = 1
data = "data"
[fleet]
key = "file:fleet.key"
[credentials.cameras]
user = "edusense"
password = "file:old.secret"
[credentials.cameras-2]
user = "edusense"
password = "file:new.secret"
[credentials.cameras-3]
user = "edusense"
password = "file:made.secret"
[[rooms]]
id = "205"
kind = "classroom"
"""


@pytest.fixture
def school(tmp_path):
    """Three cameras: one does as it is told, one lies about users, one hangs."""
    servers = []
    text = TEXT
    for index, faults in enumerate([["password-in-snapshot"], ["ignores-users"], ["drips"]]):
        server = OnvifServer(
            Identity(name="IPCAM", mac=f"02:ed:00:00:0b:{index:02x}"),
            [MAIN, SUB],
            "edusense",
            OLD,
            lambda: b"\xff\xd8\xff\xe0 picture",
            faults=faults,
        ).start()
        servers.append(server)
        text += (
            f'[[cameras]]\nid = "c{index}"\nroom = "205"\naddress = "127.0.0.1:{server.port}"\n'
            'credentials = "cameras"\ntemplate = "generic/onvif-t"\n'
        )
    for name, secret in (("old.secret", OLD), ("new.secret", NEW), ("fleet.key", KEY)):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(f"{secret}\n")
    (tmp_path / "school.toml").write_text(text)
    yield tmp_path, servers
    for one in servers:
        one.close()


def command(folder, *words):
    return {
        "args": [sys.executable, "-m", "edusense", "camera", *words],
        "cwd": folder,
        "env": {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "PYTHONLOGGING": "debug"},
        "stdin": subprocess.DEVNULL,
        "text": True,
    }


def edusense(folder, *words):
    return subprocess.run(**command(folder, *words), capture_output=True, timeout=80, check=False)


def test_passwords_are_changed_and_what_lies_is_found_out(school):
    folder, servers = school
    asked = edusense(folder, "rotate-password", "c[01]", "--to", "cameras-2")
    assert asked.returncode == 2
    assert "2 cameras from [credentials.cameras] to [credentials.cameras-2]" in asked.stderr
    done = edusense(folder, "rotate-password", "c[01]", "--to", "cameras-2", "--yes", "--json")
    assert done.returncode == 1
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for one in found:
        validate("camera rotate-password", one)
    assert [one["outcome"] for one in found] == ["changed", "accepted-but-not-applied"]
    assert [one.credentials for one in Site.load(folder / "school.toml").cameras] == ["cameras-2", "cameras", "cameras"]
    assert servers[0].state.users["edusense"].password == NEW
    assert edusense(folder, "show", "c0").returncode == 0
    made = edusense(folder, "rotate-password", "c0", "--to", "cameras-3", "--generate", "--yes")
    assert made.returncode == 0, made.stderr
    assert "no camera uses [credentials.cameras-2] any more" in made.stderr
    secret = folder / "made.secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert servers[0].state.users["edusense"].password == secret.read_text().strip()
    assert secret.read_text().strip() not in made.stdout + made.stderr


def test_what_is_kept_is_put_back(school):
    folder, servers = school
    done = edusense(folder, "backup", "c0", "c1", "--json")
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        validate("camera backup", json.loads(line))
    was = servers[0].state.hostname
    servers[0].state.hostname = "somebody-was-here"
    shown = edusense(folder, "restore", "c0")
    assert shown.returncode == 2
    assert "hostname.hostname" in shown.stderr
    back = edusense(folder, "restore", "c0", "--yes", "--json")
    assert back.returncode == 0, back.stderr
    (row,) = [json.loads(line) for line in back.stdout.splitlines()]
    validate("camera restore", row)
    assert (row["setting"], row["outcome"]) == ("hostname.hostname", "changed")
    assert servers[0].state.hostname == was
    assert "nothing to do" in edusense(folder, "restore", "c0", "--yes").stderr
    assert edusense(folder, "restore", "c2").returncode == 2  # has no backup
    assert edusense(folder, "restore", "c0", "--from", "school.toml").returncode == 2


def test_events_are_printed_as_they_come(school):
    folder, servers = school
    process = subprocess.Popen(
        **command(folder, "events", "c0", "c1", "--for", "60", "--json", "--kind", "tamper", "--changes"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 40
    while not all(server.events.open for server in servers[:2]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    servers[1].tell("VideoSource/GlobalSceneChange/ImagingService", ("Source", "1"), ("State", "true"))
    assert process.stdout is not None
    row = json.loads(process.stdout.readline())
    validate("camera events", row)
    assert (row["camera"], row["kind"], row["active"]) == ("c1", "tamper", True)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=40)
    assert process.returncode == 130
    assert "ending the subscriptions" in errors
    assert [server.events.open for server in servers[:2]] == [0, 0]
    servers[1].set_faults(["events-dead"])
    done = edusense(folder, "events", "c0", "c1", "--for", "1")
    assert done.returncode == 1
    assert "c1: " in done.stderr
    assert "motion" in done.stdout


def test_no_secret_is_where_it_should_not_be(school):
    """Outputs, errors, files and the process list of every command that has to do with passwords."""
    folder, servers = school
    servers[1].set_faults(["ignores-users", "lets-anyone-read"])
    said = []
    seen = set()
    for words in (
        ("show", "c0"),
        ("show", "c1"),
        ("snapshot", "c0", "--out", "c0.jpg", "--reason", "a test"),
        ("plan", "--out", "plan.json", "--timeout", "3"),
        ("plan", "--json", "--timeout", "3"),
        ("backup", "*", "--timeout", "3"),
        ("rotate-password", "*", "--to", "cameras-2", "--yes", "--timeout", "3"),
        ("rotate-password", "*", "--to", "cameras-2", "--yes", "--json", "--timeout", "3"),
        ("show", "c0"),
        ("apply", "--plan", "plan.json", "--yes", "--timeout", "3"),
        ("show", f"http://edusense:{NEW}@127.0.0.1:{servers[0].port}/"),
    ):
        process = subprocess.Popen(**command(folder, *words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        while True:
            with contextlib.suppress(OSError):
                seen.add(Path(f"/proc/{process.pid}/cmdline").read_bytes())
            with contextlib.suppress(subprocess.TimeoutExpired):
                said.append(process.communicate(timeout=0.2)[0])
                break
    text = "".join(said)
    assert b"rotate-password" in b"".join(seen)
    for secret in (OLD, KEY):
        assert secret not in text
        assert secret.encode() not in b"".join(seen)
    # The last command was given a password on its command line, and does not repeat it.
    assert NEW not in text
    own = {"old.secret", "new.secret", "fleet.key"}
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in own:
            for secret in (OLD, NEW, KEY):
                assert secret.encode() not in path.read_bytes(), path
    for camera in Site.load(folder / "school.toml").cameras:
        assert OLD not in repr(camera)
