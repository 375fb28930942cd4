"""The virtual camera's ONVIF half as strangers meet it: stock clients, hostile bytes, many at once."""

from __future__ import annotations

import socket
import threading
import time

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edusense.sim.onvif_server import Identity, OnvifServer, Profile

PROFILES = [Profile("p1", "main", 1280, 720, 25, 2000, "H264", "rtsp://127.0.0.1:8554/main")]
CALL = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>'
    '<{} xmlns="http://www.onvif.org/ver10/device/wsdl"/></s:Body></s:Envelope>'
)


@pytest.fixture(scope="module")
def server():
    with OnvifServer(Identity(), PROFILES, "edusense", "secret", lambda: b"\xff\xd8\xff\xd9") as started:
        yield started


def post(server: OnvifServer, body: bytes | str, **more) -> requests.Response:
    data = body.encode() if isinstance(body, str) else body
    return requests.post(server.url, data=data, timeout=5, proxies={"http": ""}, **more)


def talk(server: OnvifServer, data: bytes, *, seconds: float = 2.0) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


def test_the_time_is_told_to_everybody(server):
    answer = post(server, CALL.format("GetSystemDateAndTime"))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/soap+xml")
    assert f"<tt:Year>{time.gmtime().tm_year}</tt:Year>" in answer.text


def test_who_has_no_login_gets_a_challenge_and_a_fault(server):
    answer = post(server, CALL.format("GetDeviceInformation"))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Digest ")
    assert "<env:Value>ter:NotAuthorized</env:Value>" in answer.text


def test_requests_own_digest_is_taken(server):
    login = requests.auth.HTTPDigestAuth("edusense", "secret")
    assert post(server, CALL.format("GetUsers"), auth=login).status_code == 200
    picture = requests.get(f"http://127.0.0.1:{server.port}/snapshot", auth=login, timeout=5, proxies={"http": ""})
    assert picture.content == b"\xff\xd8\xff\xd9"
    assert picture.headers["content-type"] == "image/jpeg"
    without = requests.get(f"http://127.0.0.1:{server.port}/snapshot", timeout=5, proxies={"http": ""})
    assert without.status_code == 401


def test_a_stock_onvif_zeep_client_is_served(server, monkeypatch):
    import onvif

    monkeypatch.setenv("no_proxy", "*")
    stock = onvif.ONVIFCamera("127.0.0.1", server.port, "edusense", "secret")
    assert stock.devicemgmt.GetDeviceInformation().Model == "Virtual Camera"
    assert stock.devicemgmt.GetNetworkInterfaces()[0].Info.HwAddress == "02:ed:00:00:00:01"
    media = stock.create_media_service()
    assert media.GetProfiles()[0].VideoEncoderConfiguration.Resolution.Width == 1280
    setup = {"StreamSetup": {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}, "ProfileToken": "p1"}
    assert media.GetStreamUri(setup).Uri == "rtsp://127.0.0.1:8554/main"
    with pytest.raises(onvif.ONVIFError, match="not supported"):
        stock.devicemgmt.SetDynamicDNS({"Type": "NoUpdate"})


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("", 400, "ter:WellFormed"),
        ("<not-closed>", 400, "ter:WellFormed"),
        ("<a/>", 400, "ter:WellFormed"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', 400, "document type"),
        (CALL.format("SetDynamicDNS"), 500, "ter:ActionNotSupported"),
        (CALL.format("GetDeviceInformation").replace("device/wsdl", "other"), 500, "ter:ActionNotSupported"),
    ],
)
def test_what_it_cannot_take_is_a_fault(server, body, status, code):
    answer = post(server, body)
    assert answer.status_code == status
    assert code in answer.text
    assert "root:" not in answer.text


def test_bodies_and_headers_are_bounded(server):
    assert post(server, b"x" * 300_000).status_code == 413
    assert talk(server, b"POST / HTTP/1.1\r\nX: " + b"y" * 20_000 + b"\r\n\r\n").startswith(b"HTTP/1.1 431")
    assert talk(server, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert talk(server, b"POST /onvif/device_service HTTP/1.1\r\nContent-Length: -5\r\n\r\n").startswith(
        b"HTTP/1.1 400"
    )
    assert requests.get(server.url, timeout=5, proxies={"http": ""}).status_code == 405
    assert post(server, CALL.format("GetSystemDateAndTime")).status_code == 200


def test_chunked_requests_are_read(server):
    body = CALL.format("GetSystemDateAndTime").encode()

    def pieces():
        yield body[:40]
        yield body[40:]

    assert requests.post(server.url, data=pieces(), timeout=5, proxies={"http": ""}).status_code == 200


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_no_bytes_bring_it_down(server, junk):
    talk(server, b"POST /onvif/device_service HTTP/1.1\r\n" + junk)
    talk(server, junk)


def test_it_still_answers_after_all_that(server):
    assert post(server, CALL.format("GetSystemDateAndTime")).status_code == 200


def test_two_hundred_share_one_thread_and_idle_for_nothing():
    before = threading.active_count()
    servers = [OnvifServer(Identity(mac=f"02:ed:00:00:01:{n:02x}"), PROFILES, "u", "p").start() for n in range(200)]
    try:
        assert threading.active_count() <= before + 1
        assert len({one.identity.endpoint_reference for one in servers}) == 200
        begun = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - begun < 0.05
        assert post(servers[-1], CALL.format("GetSystemDateAndTime")).status_code == 200
    finally:
        for one in servers:
            one.close()


def test_closing_breaks_off_who_is_connected_and_is_harmless_twice():
    started = OnvifServer(Identity(), PROFILES, "u", "p", faults=["silent"]).start()
    with socket.create_connection(("127.0.0.1", started.port), timeout=5) as waiting:
        time.sleep(0.05)
        started.close()
        started.close()
        assert waiting.recv(1) == b""


def test_an_unknown_fault_is_named():
    with pytest.raises(ValueError, match="unknown fault `sulk`"):
        OnvifServer(Identity(), PROFILES, "u", "p", faults=["sulk"])
