"""From a camera of the site file to its streams, by ONVIF over loopback or by `url`."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from edusense import Site, fleet
from edusense.errors import DeviceRefusedError, DeviceTimeoutError, SiteReferenceError, SiteValueError
from edusense.sim.onvif_server import Identity, OnvifServer, Profile

PROFILES = [
    Profile("p1", "mainStream", 1920, 1080, 25, 4000, "H264", "rtsp://edusense:leak@127.0.0.1:8554/main"),
    Profile("p2", "subStream", 640, 360, 25, 500, "H264", "rtsp://127.0.0.1:8554/sub"),
]
SITE = """
[site]
id = "school"
number = 1
[credentials.cameras]
user = "edusense"
password = "env:EDUSENSE_TEST_CAMERA"
[[rooms]]
id = "205"
kind = "classroom"
[[cameras]]
id = "front"
room = "205"
address = "127.0.0.1:{port}"
credentials = "cameras"
[[cameras]]
id = "back"
room = "205"
address = "127.0.0.1:{port}"
credentials = "cameras"
watch = "mainStream"
keep = "third"
[[cameras]]
id = "plain"
room = "205"
url = "rtsp://10.0.0.9/1"
"""


@pytest.fixture
def school(monkeypatch):
    monkeypatch.setenv("EDUSENSE_TEST_CAMERA", "secret")
    with OnvifServer(Identity(), PROFILES, "edusense", "secret", lambda: b"\xff\xd8\xff\xd9") as server:
        yield Site.loads(SITE.format(port=server.port)), server


def test_streams_of_a_camera_of_the_site(school):
    site, server = school
    camera = site.camera("front")
    found = fleet.stream_addresses(camera, site.credentials_of(camera), 5)
    assert found.watch == "rtsp://127.0.0.1:8554/sub"
    assert found.keep == "rtsp://127.0.0.1:8554/main"  # and the password that the camera put in is gone
    assert found.snapshot == f"http://127.0.0.1:{server.port}/snapshot?profile=p1"
    assert (found.watch_profile.token, found.keep_profile.token) == ("p2", "p1")
    assert fleet.snapshot(camera, site.credentials_of(camera), 5) == b"\xff\xd8\xff\xd9"


def test_a_profile_that_there_is_not_is_told_with_those_that_there_are(school):
    site, _ = school
    camera = site.camera("back")
    with pytest.raises(SiteReferenceError, match="`back` has no profile `third`") as caught:
        fleet.stream_addresses(camera, site.credentials_of(camera), 5)
    assert "`mainStream`, `subStream`" in caught.value.hint


def test_a_camera_given_by_url_is_not_asked(school):
    site, server = school
    found = fleet.stream_addresses(site.camera("plain"), None, 5)
    assert found == fleet.StreamAddresses("rtsp://10.0.0.9/1", "rtsp://10.0.0.9/1")
    assert server.requests == 0
    with pytest.raises(SiteValueError, match="given by `url`"):
        fleet.show(site.camera("plain"))


def test_everything_together_has_one_deadline(school):
    site, server = school
    server.set_faults(["silent"])
    with pytest.raises(DeviceTimeoutError):
        fleet.stream_addresses(site.camera("front"), None, 0.3)


def test_a_wrong_password_is_one_attempt(school):
    site, server = school
    with pytest.raises(DeviceRefusedError):
        fleet.stream_addresses(site.camera("front"), fleet.Login("edusense", "wrong"), 5)
    assert server.login_failures == 1
    assert "wrong" not in repr(fleet.Login("edusense", "wrong"))


def test_show_tells_everything_and_names_what_it_could_not(school):
    site, server = school
    report = fleet.show(site.camera("front"), fleet.Login("edusense", "secret"), 5)
    assert report.streams == {"p1": "rtsp://127.0.0.1:8554/main", "p2": "rtsp://127.0.0.1:8554/sub"}
    assert report.problems == []
    told = json.dumps(report.to_json())
    assert "leak" not in told
    assert "secret" not in told
    server.profiles = []
    report = fleet.show(f"127.0.0.1:{server.port}", fleet.Login("edusense", "secret"), 5)
    assert report.information.model == "Virtual Camera"
    assert "no video profile" in report.problems[0]


def test_many_cameras_at_once_are_not_confused_and_cost_little():
    servers = [
        OnvifServer(
            Identity(mac=f"02:ed:00:00:02:{n:02x}"),
            [Profile("p", "p", 640, 360, 25, 500, "H264", f"rtsp://127.0.0.1/{n}")],
            "edusense",
            f"password {n}",
            schemes=(("wsse",), ("digest",))[n % 2],
        ).start()
        for n in range(48)
    ]
    try:
        fleet.stream_addresses(servers[0].url, fleet.Login("edusense", "password 0"), 10)  # WSDLs are parsed here
        begun = time.process_time()
        with ThreadPoolExecutor(16) as pool:
            logins = [fleet.Login("edusense", f"password {n}") for n in range(48)]
            found = list(pool.map(fleet.stream_addresses, [one.url for one in servers], logins, [20.0] * 48))
        assert [one.watch for one in found] == [f"rtsp://127.0.0.1/{n}" for n in range(48)]
        assert not any(one.login_failures for one in servers)
        # Both halves together; parsing WSDLs for each camera would take 0.27 s for each.
        assert (time.process_time() - begun) / 48 < 0.1
    finally:
        for one in servers:
            one.close()


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("10.20.0.51", "onvif:http://10.20.0.51/onvif/device_service"),
        ("10.20.0.51:8000", "onvif:http://10.20.0.51:8000/onvif/device_service"),
        ("http://cam/onvif/service", "onvif:http://cam/onvif/service"),
        ("https://cam:8443", "onvif:https://cam:8443/onvif/device_service"),
        ("onvif:http://cam", "onvif:http://cam/onvif/device_service"),
    ],
)
def test_addresses_are_completed(given, address):
    assert fleet.address_of(given) == address
