"""Requests are built by onvif-zeep, from WSDLs parsed once, without its side effects; odd addresses are mended."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading

import pytest
from lxml import etree

from edusense.errors import DeviceProtocolError, UsageError
from edusense_drivers.onvif import wsdl
from edusense_drivers.onvif.http import Deadline, Place
from edusense_drivers.onvif.policies import AddressPolicy, Policies
from edusense_drivers.onvif.session import Session


def test_a_request_is_onvif_zeeps(monkeypatch):
    from zeep.client import Client

    built = []
    original = Client.create_message
    monkeypatch.setattr(
        Client, "create_message", lambda self, *args, **kw: built.append(args[1]) or original(self, *args, **kw)
    )
    request = wsdl.build("media", "GetSnapshotUri", {"ProfileToken": "main"})
    assert built == ["GetSnapshotUri"]
    assert b"<ns0:ProfileToken>main</ns0:ProfileToken>" in etree.tostring(request.envelope)
    assert request.action == "http://www.onvif.org/ver10/media/wsdl/GetSnapshotUri"


def test_the_misspelt_actions_of_the_official_wsdl_are_mended():
    assert wsdl.build("media", "GetVideoSources", {}).action.endswith("/wsdl/GetVideoSources")
    events = wsdl.build("events", "GetEventProperties", {})
    assert events.action.endswith("/EventPortType/GetEventPropertiesRequest")  # as declared: it is more than the name


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [("media", "GetNothing", {}), ("media", "GetStreamUri", {"Nonsense": 1}), ("kettle", "Boil", {})],
)
def test_what_does_not_exist_is_a_usage_error(service, operation, parameters):
    with pytest.raises(UsageError):
        wsdl.build(service, operation, parameters)


def test_a_wsdl_is_parsed_once_for_all_threads(monkeypatch):
    import zeep.wsdl

    wsdl._document.cache_clear()
    wsdl._builder.cache_clear()
    parsed = []
    original = zeep.wsdl.Document
    monkeypatch.setattr(
        zeep.wsdl, "Document", lambda path, *args, **kw: parsed.append(path) or original(path, *args, **kw)
    )
    threads = [threading.Thread(target=wsdl.build, args=("device", "GetScopes", {})) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(parsed) == 1


def test_importing_onvif_changes_neither_logging_nor_environment():
    code = (
        "import logging, os\n"
        "os.environ['http_proxy'] = 'http://proxy:1'\n"
        "from edusense_drivers.onvif import wsdl\n"
        "wsdl.build('device', 'GetScopes', {})\n"
        "assert not logging.getLogger().handlers and logging.getLogger().level == logging.WARNING\n"
        "assert logging.getLogger('zeep.client').level == logging.NOTSET\n"
        "assert os.environ['http_proxy'] == 'http://proxy:1'\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env={**os.environ}, timeout=60)


def test_declaring_the_driver_imports_neither_zeep_nor_lxml():
    code = "import sys, edusense_drivers.onvif; assert not {'zeep', 'lxml', 'onvif', 'requests'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def session(policy: AddressPolicy = AddressPolicy.OURS) -> Session:
    return Session("http://10.20.0.51:8000/onvif/device_service", policies=Policies(address=policy))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("http://10.20.0.51:8000/onvif/media", "http://10.20.0.51:8000/onvif/media"),
        ("http://10.20.0.51:8106/onvif/media", "http://10.20.0.51:8106/onvif/media"),  # another port of the same host
        ("http://192.168.1.64/onvif/media", "http://10.20.0.51:8000/onvif/media"),  # NAT
        ("http://0.0.0.0:80/onvif/media", "http://10.20.0.51:8000/onvif/media"),
        ("http://10.20.0.51:8106:8106/onvif/media", "http://10.20.0.51:8106/onvif/media"),
        ("/onvif/media", "http://10.20.0.51:8000/onvif/media"),
        ("http://admin:secret@10.20.0.51:8000/m", "http://10.20.0.51:8000/m"),
        ("ftp://10.20.0.51/", "http://10.20.0.51:8000/onvif/device_service"),
        ("http://10.20.0.51:99999/", "http://10.20.0.51:8000/onvif/device_service"),
        ("http://[::1", "http://10.20.0.51:8000/onvif/device_service"),
    ],
)
def test_service_addresses_are_mended(given, wanted):
    assert session().repair(given) == wanted


def test_stream_addresses_keep_their_port_and_lose_their_user():
    assert session().repair_stream("rtsp://admin:pw@192.168.1.64:554/Streaming/101?a=b") == (
        "rtsp://10.20.0.51:554/Streaming/101?a=b"
    )
    believed = session(AddressPolicy.THEIRS).repair_stream("rtsp://192.168.1.64/1")
    assert believed == "rtsp://192.168.1.64/1"
    for nonsense in ("", "file:///etc/passwd", "rtsp://u:secret@"):
        with pytest.raises(DeviceProtocolError) as caught:
            session().repair_stream(nonsense)
        assert "secret" not in caught.value.message


def test_an_address_with_a_password_is_refused_without_repeating_it():
    with pytest.raises(UsageError) as caught:
        Place.of("http://admin:secret@10.20.0.51/")
    assert "secret" not in caught.value.message
    with pytest.raises(UsageError):
        Place.of("http://10.20.0.51/a\r\nX: y")


def test_a_deadline_is_the_nearer_of_two():
    now = 0.0
    visit = Deadline(2, clock=lambda: now)
    call = Deadline(5, clock=lambda: now, outer=visit)
    assert call.left() == 2
    now = 3.0
    with pytest.raises(TimeoutError):
        call.left()


def test_nothing_of_ours_logs_requests(caplog):
    with caplog.at_level(logging.DEBUG):
        wsdl.build("device", "GetUsers", {})
    assert not caplog.records
