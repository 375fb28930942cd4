"""`edusense camera`, in a process of its own against virtual cameras on loopback."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

import pytest

from edusense.cli.schemas import validate
from edusense.sim.discovery import DiscoveryResponder
from edusense.sim.onvif_server import Identity, OnvifServer, Profile

PICTURE = b"\xff\xd8\xff\xe0 picture"
PROFILES = [
    Profile("p1", "mainStream", 1920, 1080, 25, 4000, "H264", "rtsp://127.0.0.1:8554/main"),
    Profile("p2", "subStream", 640, 360, 25, 500, "H264", "rtsp://127.0.0.1:8554/sub"),
]


@pytest.fixture
def virtual():
    with OnvifServer(Identity(name="205 front"), PROFILES, "edusense", "s3cret-x", lambda: PICTURE) as server:
        yield server


@pytest.fixture
def school(tmp_path, virtual):
    secret = tmp_path / "camera.secret"
    secret.touch(mode=0o600)
    secret.write_text("s3cret-x\n")
    (tmp_path / "school.toml").write_text(f"""
[site]
id = "school"
number = 1
data = "data"
[credentials.cameras]
user = "edusense"
password = "file:camera.secret"
[[rooms]]
id = "205"
kind = "classroom"
[[cameras]]
id = "205-front"
room = "205"
address = "127.0.0.1:{virtual.port}"
credentials = "cameras"
[[cameras]]
id = "yard"
room = "205"
url = "rtsp://10.0.0.9/1"
""")
    return tmp_path


def edusense(folder, *words, **environment):
    return subprocess.run(
        [sys.executable, "-c", "from edusense.cli.main import main; main()", *words],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "EDUSENSE_SITE": "", **environment} | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def camera(folder, *words, **environment):
    environment.setdefault("EDUSENSE_SITE", str(folder / "school.toml"))
    return edusense(folder, "camera", *words, **environment)


def test_discover_marks_what_the_site_has(school, virtual):
    with DiscoveryResponder(port=0) as responder:
        responder.add(virtual.identity.endpoint_reference, virtual.identity.scopes, [virtual.url])
        done = camera(
            school, "discover", "--interface", "lo", "--timeout", "0.8", "--port", str(responder.port), "--json"
        )
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    validate("camera discover", row)
    assert row["site_id"] == "205-front"
    assert row["address"] == f"onvif:{virtual.url}"
    assert row["mac"] == "02:ed:00:00:00:01"


def test_discover_works_before_there_is_a_site_and_says_what_to_check(tmp_path):
    with DiscoveryResponder(port=0) as responder:
        done = edusense(
            tmp_path, "camera", "discover", "--interface", "lo", "--timeout", "0.3", "--port", str(responder.port),
            "--site", "school.toml",
        )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout == ""
    assert "firewall drop UDP 3702" in done.stderr


def test_list_asks_nobody(school, virtual):
    done = camera(school, "list", "--json")
    listed = [json.loads(line) for line in done.stdout.splitlines()]
    for row in listed:
        validate("camera list", row)
    assert [row["id"] for row in listed] == ["205-front", "yard"]
    assert virtual.requests == 0


def test_show_by_id_and_by_address(school, virtual):
    done = camera(school, "show", "205-front")
    assert done.returncode == 0, done.stderr
    assert "as ours, by NTP" in done.stdout
    assert "rtsp://127.0.0.1:8554/main" in done.stdout
    asked = camera(
        school,
        "show",
        f"127.0.0.1:{virtual.port}",
        "--user",
        "edusense",
        "--password-from",
        "env:PW",
        "--json",
        PW="s3cret-x",
    )
    row = json.loads(asked.stdout)
    validate("camera show", row)
    assert row["information"]["name"] == "205 front"
    assert [one["address"] for one in row["profiles"]] == [one.rtsp_url for one in PROFILES]
    assert "s3cret-x" not in done.stdout + done.stderr + asked.stdout + asked.stderr


def test_exit_statuses_and_hints(school, virtual):
    unknown = camera(school, "show", "205-frnt")
    assert (unknown.returncode, "perhaps `205-front`" in unknown.stderr) == (2, True)
    inside = camera(school, "show", "http://edusense:s3cret-x@127.0.0.1/")
    assert inside.returncode == 2
    assert "s3cret-x" not in inside.stderr
    assert "--password-from" in inside.stderr
    stream = camera(school, "show", "rtsp://10.0.0.9/1")
    assert (stream.returncode, "video inspect" in stream.stderr) == (2, True)
    assert camera(school, "show", "yard").returncode == 3
    (school / "camera.secret").write_text("wrong")
    refused = camera(school, "show", "205-front")
    assert (refused.returncode, "refuses user `edusense`" in refused.stderr) == (5, True)
    assert virtual.login_failures == 1
    assert camera(school, "show", "127.0.0.1:1").returncode == 4
    virtual.set_faults(["silent"])
    assert camera(school, "show", "205-front", "--timeout", "0.3").returncode == 4
    assert camera(school, "retry", "205-front").returncode == 4


def test_a_camera_that_answers_only_in_part_is_exit_1(school, virtual):
    virtual.profiles = []
    done = camera(school, "show", "205-front")
    assert done.returncode == 1
    assert "Virtual Camera" in done.stdout
    assert "warning:" in done.stderr


def test_snapshot_is_written_whole_and_not_for_everybody(school, virtual):
    out = school / "now.jpg"
    audit = school / "data/audit.jsonl"
    refused = camera(school, "snapshot", "205-front", "--out", str(out))
    assert (refused.returncode, "--reason" in refused.stderr) == (2, True)
    assert not out.exists()
    assert not audit.exists()
    why = ("--reason", "is it aimed right?")
    done = camera(school, "snapshot", "205-front", "--out", str(out), *why)
    assert done.returncode == 0, done.stderr
    assert f"written to {audit}" in done.stderr
    row = json.loads(audit.read_text("utf-8"))
    assert (row["uid"], row["what"], row["of"], row["reason"]) == (os.getuid(), "snapshot", "205-front", why[1])
    assert out.read_bytes() == PICTURE
    assert stat.S_IMODE(out.stat().st_mode) == 0o640
    before = sorted(school.iterdir())
    missing = camera(school, "snapshot", "205-front", "--out", str(school / "nowhere" / "now.jpg"), *why)
    assert missing.returncode == 2
    assert sorted(school.iterdir()) == before
    virtual.snapshot = None
    assert camera(school, "snapshot", "205-front", "--out", str(out), *why).returncode == 5
    assert out.read_bytes() == PICTURE


def test_a_bare_address_needs_no_reason_and_leaves_no_trace(school, virtual):
    address = f"127.0.0.1:{virtual.port}"
    login = ("--user", "edusense", "--password-from", "file:camera.secret")
    done = camera(school, "snapshot", address, "--out", "now.jpg", *login)
    assert done.returncode == 0, done.stderr
    assert not (school / "data").exists()


def test_snapshot_of_a_camera_without_onvif_asks_the_box(school):
    done = camera(school, "snapshot", "yard", "--out", "yard.jpg", "--reason", "a test")
    assert (done.returncode, "edusense run" in done.stderr) == (4, True)
