"""The driver's settings against the virtual camera: read, written with the camera's own object echoed, read again."""

from __future__ import annotations

import contextlib
import re

import pytest

from edusense import devices
from edusense.errors import DeviceRefusedError, UsageError
from edusense.sim import onvif_sets
from edusense.sim.onvif_server import Identity, OnvifServer, Profile
from edusense_drivers.onvif import wsdl
from edusense_drivers.onvif.encoders import _duration, _numbers

MAIN = Profile("p1", "mainStream", 1920, 1080, 25, 4000, "H264", "rtsp://127.0.0.1:8554/main")
SUB = Profile("p2", "subStream", 640, 360, 12, 512, "H264", "rtsp://127.0.0.1:8554/sub", gop=25)


@contextlib.contextmanager
def camera(*faults, **settings):
    server = OnvifServer(Identity(name="hall"), [MAIN, SUB], "edusense", "secret", faults=faults, **settings)
    with server, devices.open_camera(f"onvif:{server.url}", user="edusense", password="secret", timeout_s=2) as opened:
        yield opened, server


CHANGES = [
    ("ntp", {"servers": ["10.0.0.1", "pool.ntp.org"]}),
    ("ntp", {"servers": []}),
    ("hostname", {"hostname": "hall-1"}),
    ("scopes", {"name": "Зал <1> & co / x", "location": "205"}),
    ("discovery", {"discoverable": False}),
    ("encoder/p1", {"size": [1280, 720], "fps": 20.0, "gop": 40, "kbit": 2500, "profile": "High", "quality": 7.0}),
]


@pytest.mark.parametrize("media2", [True, False], ids=["media2", "media1"])
@pytest.mark.parametrize(("group", "values"), CHANGES)
def test_what_is_written_is_read_again_and_the_rest_stays(group, values, media2):
    with camera(media2=media2) as (opened, server):
        before = opened.read_settings(group).values
        assert opened.write_settings(group, values) is False
        after = opened.read_settings(group).values
        assert after == before | values
        assert len(server.state.sets) == 1
        assert server.login_failures == 0


def test_media2_alone_has_words_for_constant_rate_and_h265():
    with camera() as (opened, _):
        assert opened.read_settings("encoder/p2").values["rate_control"] == "cbr"
        opened.write_settings("encoder/p2", {"rate_control": "vbr", "encoding": "H265", "fps": 12.5})
        told = opened.read_settings("encoder/p2")
        assert (told.values["rate_control"], told.values["encoding"], told.values["fps"]) == ("vbr", "H265", 12.5)
        assert told.offers["encoding"].values == ("H264", "H265")
        assert told.offers["H264:gop"].high == 250
        assert (640, 360) in told.offers["H265:size"].values
    with camera(media2=False) as (opened, _):
        told = opened.read_settings("encoder/p2")
        assert "rate_control" not in told.values
        assert told.offers["H264:fps"].whole
        assert (told.offers["H264:kbit"].low, told.offers["H264:kbit"].high) == (64, 8192)


def test_the_clock_is_set_by_hand_and_given_back_to_ntp():
    with camera("wrong-clock") as (opened, server):
        assert opened.read_settings("clock").values["offset_s"] < -86400
        opened.write_settings("clock", {"offset_s": 0.0})
        told = opened.read_settings("clock").values
        assert abs(told["offset_s"]) < 2
        assert told["ntp"] is False
        opened.write_settings("clock", {"ntp": True, "timezone": "<+05>-5"})
        told = opened.read_settings("clock").values
        assert (told["ntp"], told["timezone"]) == (True, "<+05>-5")
        assert abs(told["offset_s"]) < 2
        assert opened.information().model  # logging in goes by the new clock
        assert server.login_failures == 0


def test_a_camera_that_wants_letters_gets_them():
    with camera("letters-in-timezone") as (opened, _):
        opened.write_settings("clock", {"timezone": "<+05>-5"})
        assert opened.read_settings("clock").values["timezone"] == "UTC-5"


def test_users_are_read_and_what_there_is_not_is_said():
    with camera() as (opened, _):
        assert opened.read_settings("users").values == {
            "users": {"edusense": "administrator"},
            "user:edusense": "administrator",
        }
        with pytest.raises(UsageError):
            opened.write_settings("users", {"users": []})
        with pytest.raises(UsageError, match="no settings `wheels`"):
            opened.read_settings("wheels")
    with camera("refuses-sets") as (opened, _), pytest.raises(DeviceRefusedError, match="SetHostname"):
        opened.write_settings("hostname", {"hostname": "x"})
    with camera("after-reboot") as (opened, _):
        assert opened.write_settings("hostname", {"hostname": "x"}) is True
        assert opened.read_settings("hostname").values["hostname"] != "x"


def test_every_set_that_onvif_zeep_knows_is_built_by_it(monkeypatch):
    built = []
    real = wsdl.build
    monkeypatch.setattr(
        wsdl, "build", lambda name, operation, given: built.append(operation) or real(name, operation, given)
    )
    with camera(media2=False) as (opened, server):
        for group, values in [*CHANGES, ("clock", {"ntp": True})]:
            opened.write_settings(group, values)
        opened.reboot()
        assert [one for one in built if one.startswith("Set") or one == "SystemReboot"] == server.state.sets


def test_a_camera_s_own_elements_go_back_to_it(monkeypatch):
    own = '<x:Smart xmlns:x="urn:vendor">on</x:Smart>'
    heard = []
    with camera(media2=False) as (opened, server):
        answer = server.answer

        async def with_own(request):
            heard.append(request.body.decode())
            response = await answer(request)
            body = response.body.replace(
                b"</tt:VideoEncoderConfiguration>", own.encode() + b"</tt:VideoEncoderConfiguration>"
            )
            return type(response)(response.status, body, response.content_type, response.headers)

        monkeypatch.setattr(server._http, "_answer", with_own)
        opened.write_settings("encoder/p1", {"kbit": 3000})
    sent = heard[-1]
    assert "SetVideoEncoderConfiguration" in sent
    assert re.search(r"SessionTimeout>.*Smart[^>]*>on<", sent)
    assert onvif_sets.scopes_of("a b", "") == ["onvif://www.onvif.org/name/a%20b"]


def test_odd_texts_of_cameras():
    assert _duration("PT1M30S").total_seconds() == 90
    assert _duration("P1Y").total_seconds() == 60
    assert _numbers("30 25 12.5") == [30, 25, 12.5]
    assert _numbers("30 nan") == []
    assert _numbers(None) == []
