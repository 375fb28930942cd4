"""ipycam, an ONVIF camera that somebody else wrote, asked by our driver.

It comes with the development packages, so that this runs in `make test`. It wants a UsernameToken on every question,
also for the time; answers what it does not know with HTML; and guards its picture by Basic. Its discovery and RTSP
halves are left off: they use every interface.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from edusense import Site, fleet
from edusense.errors import DeviceRefusedError

pytest.importorskip("ipycam", reason="ipycam is not installed: `make develop` brings it")

SERVER = """
import sys
from ipycam import CameraConfig, IPCamera
from ipycam.camera import ReusableThreadingTCPServer
from ipycam.http import IPCameraHTTPHandler

login = {"username": "edusense", "password": sys.argv[1]}
camera = IPCamera(CameraConfig(local_ip="127.0.0.1", name="stranger", rtsp_port=8559, **login))
IPCameraHTTPHandler.camera = camera
server = ReusableThreadingTCPServer(("127.0.0.1", 0), IPCameraHTTPHandler)
camera.config.onvif_port = server.server_address[1]
print(camera.config.onvif_port, flush=True)
server.serve_forever()
"""
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, PASSWORD],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path_factory.mktemp("ipycam"),
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def test_it_says_who_it_is_and_where_its_streams_are(address):
    report = fleet.show(address, fleet.Login("edusense", PASSWORD), 20)
    assert (report.information.manufacturer, report.information.model) == ("PythonCam", "VirtualCam-1")
    assert report.information.name is not None
    assert report.information.mac is None  # it does not know the question
    assert abs(report.clock.offset_s) < 3
    assert [(one.width, one.height, one.encoding) for one in report.profiles] == [
        (1920, 1080, "H264"),
        (640, 360, "H264"),
    ]


def test_the_streams_are_chosen_by_size(address):
    found = fleet.stream_addresses(address, fleet.Login("edusense", PASSWORD), 20)
    assert found.watch == "rtsp://127.0.0.1:8559/video_sub"
    assert found.keep == "rtsp://127.0.0.1:8559/video_main"
    assert found.snapshot == f"{address}/snapshot.jpg"


def test_a_wrong_password_is_refused(address):
    with pytest.raises(DeviceRefusedError, match="refuses user `edusense`"):
        fleet.show(address, fleet.Login("edusense", "wrong"), 20)


def test_a_password_is_not_shown_to_a_picture_guarded_by_basic(address):
    with pytest.raises(DeviceRefusedError, match="no Digest for its picture but basic"):
        fleet.snapshot(address, fleet.Login("edusense", PASSWORD), 20)


def test_what_it_should_be_is_planned_and_its_honest_no_is_told(address, tmp_path, monkeypatch):
    monkeypatch.setenv("EDUSENSE_TEST_CAMERA", PASSWORD)
    site = Site.loads(
        '[site]\nid = "s"\nnumber = 1\n[credentials.c]\nuser = "edusense"\npassword = "env:EDUSENSE_TEST_CAMERA"\n'
        '[[rooms]]\nid = "205"\nkind = "classroom"\n[[cameras]]\nid = "a"\nroom = "205"\ncredentials = "c"\n'
        f'address = "{address.removeprefix("http://")}"\ntemplate = "generic/onvif-t"\n'
    )
    plan = fleet.plan(site)
    told = {row["setting"]: row for row in plan.rows()}
    assert (told["main.size"]["action"], told["main.size"]["actual"]) == ("keep", [1920, 1080])
    assert told["main.gop_s"]["action"] == "unknown"  # it does not tell
    assert told["clock.ntp"]["action"] == "unknown"  # it does not know the question
    assert plan.changes > 0
    assert {one.outcome for one in fleet.apply(plan, journal=tmp_path)} == {"refused"}
    assert [one.state for one in fleet.audit(site)] == ["drifted"]
