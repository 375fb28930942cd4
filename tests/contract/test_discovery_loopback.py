"""WS-Discovery, both halves, over multicast on the loopback interface alone."""

from __future__ import annotations

import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense import fleet
from edusense.devices import find_driver
from edusense.devices.camera import CameraFound
from edusense.errors import DeviceNotFoundError
from edusense.sim.discovery import Announced, DiscoveryResponder, findable, is_meant, probe_match
from edusense.sim.onvif_server import Identity, OnvifServer
from edusense.sim.onvif_xml import Element, parse
from edusense_drivers.onvif.discovery import interface_addresses, merged, probe, read_matches

LOOPBACK = ["127.0.0.1"]


def announce(responder: DiscoveryResponder, identity: Identity, address: str) -> None:
    responder.add(identity.endpoint_reference, identity.scopes, [address])


@pytest.fixture
def responder():
    with DiscoveryResponder(port=0, spread_s=0.1) as started:
        yield started


def search(responder: DiscoveryResponder, timeout_s: float = 0.8, **more):
    return fleet.discover(timeout_s, LOOPBACK, port=responder.port, **more)


def test_each_camera_is_found_once_with_what_it_says(responder):
    first = Identity(name="Зал 205", location="floor 2", mac="02:ed:00:00:00:01")
    announce(responder, first, "http://127.0.0.1:8001/onvif/device_service")
    announce(responder, Identity(mac="02:ed:00:00:00:02"), "http://127.0.0.1:8002/onvif/device_service")
    found = search(responder)
    assert [one.camera.address[-25:] for one in found] == [
        ":8001/onvif/device_service"[-25:],
        ":8002/onvif/device_service"[-25:],
    ]
    camera = found[0].camera
    assert (camera.name, camera.location, camera.hardware) == ("Зал 205", "floor 2", "Virtual Camera")
    assert (camera.mac, camera.source) == ("02:ed:00:00:00:01", "127.0.0.1")
    assert camera.endpoint == first.endpoint_reference


def test_who_was_removed_is_not_found(responder):
    one = Identity()
    announce(responder, one, "http://127.0.0.1:1/onvif/device_service")
    responder.remove(one.endpoint_reference)
    responder.remove("urn:uuid:never-there")
    assert search(responder, 0.4) == []


def test_two_hundred_are_all_found_in_one_window(responder):
    for number in range(200):
        announce(responder, Identity(mac=f"02:ed:00:00:01:{number:02x}"), f"http://127.0.0.1:{9000 + number}/onvif")
    begun = time.monotonic()
    assert len(search(responder, 1.5)) == 200
    assert time.monotonic() - begun < 2.5


def test_who_tells_a_sweep_nothing_is_the_one_that_answered_a_search_from_there():
    at = "onvif:http://127.20.0.9:8000/onvif/device_service"
    told = CameraFound(address=at, endpoint="urn:uuid:1", source="127.20.0.9", mac="02:ed:00:00:00:01")
    silent = CameraFound(address=at, endpoint=f"address:{at[6:]}", source="127.20.0.9")
    other = CameraFound(address=at.replace("8000", "80"), endpoint="urn:uuid:2", source="127.20.0.9")
    assert list(merged([told], [silent, other]).values()) == [told, other]
    assert list(merged([], [silent]).values()) == [silent]


def test_cameras_of_the_site_are_marked_by_mac_else_by_address(responder):
    class Known:
        def __init__(self, id, mac=None, address=None):  # noqa: A002
            self.id, self.mac, self.address = id, mac, address

    announce(responder, Identity(mac="02:ed:00:00:00:01"), "http://127.0.0.1:8001/onvif/device_service")
    announce(responder, Identity(mac="02:ed:00:00:00:02"), "http://127.0.0.1:8002/onvif/device_service")
    announce(responder, Identity(mac="02:ed:00:00:00:03"), "http://127.0.0.1:8003/onvif/device_service")
    site = [Known("moved", mac="02:ED:00:00:00:01", address="10.0.0.1"), Known("there", address="127.0.0.1:8002")]
    assert [one.site_id for one in search(responder, site_cameras=site)] == ["moved", "there", None]


@pytest.mark.parametrize(
    ("types", "meant"),
    [
        ("", True),
        ("dn:NetworkVideoTransmitter", True),
        ("x:Device", True),
        ("dn:NetworkVideoTransmitter tds:Device", True),
        ("wsdp:Printer", False),
    ],
)
def test_a_probe_means_those_of_its_types(types, meant):
    device = Announced("urn:uuid:1", ("onvif://www.onvif.org/name/a",), ("http://127.0.0.1/",))
    message = parse(probe(types, "urn:uuid:m")).find("Body", "Probe")
    assert is_meant(message, device) is meant


@pytest.mark.parametrize(
    ("scope", "meant"), [("onvif://www.onvif.org/name", True), ("onvif://www.onvif.org/nam", False)]
)
def test_a_probe_may_ask_for_scopes(scope, meant):
    device = Announced("urn:uuid:1", ("onvif://www.onvif.org/name/a",), ("http://127.0.0.1/",))
    wanted = Element("Probe", {}, children=[Element("Scopes", {}, scope)])
    assert is_meant(wanted, device) is meant


def match(addresses: str, scopes: str = "onvif://www.onvif.org/name/a", types: str = "") -> bytes:
    return probe_match(
        Announced("urn:uuid:1", tuple(scopes.split()), tuple(addresses.split())), "urn:uuid:m", 1
    ).replace(b"dn:NetworkVideoTransmitter tds:Device", types.encode())


@pytest.mark.parametrize(
    ("addresses", "wanted"),
    [
        ("http://10.0.0.5/onvif/device_service", "onvif:http://10.0.0.5/onvif/device_service"),
        ("http://169.254.1.2/a http://10.0.0.5:8000/b", "onvif:http://10.0.0.5:8000/b"),  # the one at who answered
        ("http://192.168.1.64:8000/onvif", "onvif:http://10.0.0.5:8000/onvif"),  # its factory address
        ("http://[fe80::1]/onvif", "onvif:http://10.0.0.5/onvif"),
        ("http://0.0.0.0/onvif", "onvif:http://10.0.0.5/onvif"),
        ("http://u:p@10.0.0.5/x", None),
        ("file:///etc/passwd http://10.0.0.5:99999/ //", None),
        ("", None),
    ],
)
def test_the_address_is_the_one_that_can_be_reached(addresses, wanted):
    found = read_matches(match(addresses), "10.0.0.5", {"urn:uuid:m"})
    assert [one.address for one in found] == ([wanted] if wanted else [])


def test_printers_and_other_peoples_answers_are_left_out():
    assert read_matches(match("http://10.0.0.5/", scopes="ldap:///ou=x", types="wsdp:Printer"), "10.0.0.5") == []
    assert read_matches(match("http://10.0.0.5/"), "10.0.0.5", {"urn:uuid:another"}) == []


@given(st.binary(max_size=300))
def test_no_datagram_crashes_the_reader(datagram):
    assert read_matches(datagram, "10.0.0.5") == []


def test_nonsense_does_not_stop_the_responder(responder):
    announce(responder, Identity(), "http://127.0.0.1:1/onvif")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        for junk in (b"", b"\xff" * 1000, b"<!DOCTYPE a><a/>", b"<a/>", probe("dn:X", "m")[:-20]):
            stranger.sendto(junk, ("127.0.0.1", responder.port))
    assert len(search(responder, 0.4)) == 1


def test_virtual_cameras_are_findable_while_they_serve():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    with OnvifServer(Identity(mac="02:ed:00:00:00:09"), [], "u", "p") as server:
        with findable([server, None], port=port) as problem:
            assert problem is None
            found = fleet.discover(0.6, LOOPBACK, port=port)
            assert [one.camera.address for one in found] == [f"onvif:{server.url}"]
        assert fleet.discover(0.3, LOOPBACK, port=port) == []


def test_a_port_that_another_program_keeps_to_itself_is_said_and_no_more():
    with (
        OnvifServer(Identity(), [], "u", "p") as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as greedy,
    ):
        greedy.bind(("", 0))
        with findable([server], port=greedy.getsockname()[1]) as problem:
            assert "will not be found" in problem


def test_an_interface_that_there_is_not_is_told_with_those_that_there_are():
    with pytest.raises(DeviceNotFoundError, match="no network interface `wlan99`") as caught:
        interface_addresses(["wlan99"])
    assert "lo (127.0.0.1)" in caught.value.hint
    assert interface_addresses(["lo", "127.0.0.1"]) == LOOPBACK


def test_the_driver_declares_its_search():
    assert find_driver("onvif").discover is not None
