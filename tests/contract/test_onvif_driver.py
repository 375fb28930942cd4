"""The ONVIF driver against the virtual camera, over real HTTP on loopback: what it promises, and each lie."""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from datetime import UTC, datetime

import pytest

from edusense import devices
from edusense.devices.camera import Camera
from edusense.errors import (
    DeviceError,
    DeviceNotFoundError,
    DeviceProtocolError,
    DeviceRefusedError,
    DeviceTimeoutError,
    UsageError,
)
from edusense.sim.onvif_server import LIES, Identity, OnvifServer, Profile
from edusense.sim.onvif_state import User
from edusense.sim.onvif_xml import Fault
from edusense_drivers.onvif.policies import LoginPolicy, Policies

PICTURE = b"\xff\xd8\xff\xe0 a picture \xff\xd9"
PASSWORD = "correct horse battery"
PROFILES = [
    Profile("p1", "mainStream", 1920, 1080, 25, 4000, "H264", "rtsp://127.0.0.1:8554/main"),
    Profile("p2", "subStream", 640, 360, 12.5, 512, "H264", "rtsp://127.0.0.1:8554/sub", gop=25),
]


@contextlib.contextmanager
def camera(*, password=PASSWORD, given=PASSWORD, timeout_s=2.0, policies=None, **settings):
    server = OnvifServer(
        Identity(name="Зал <1> & co", location="205", mac="02:ed:00:00:00:07"),
        settings.pop("profiles", PROFILES),
        "edusense",
        password,
        settings.pop("snapshot", lambda: PICTURE),
        **settings,
    )
    user = None if given is None else "edusense"
    opening = {"user": user, "password": given, "timeout_s": timeout_s, "policies": policies}
    with server, devices.open_camera(f"onvif:{server.url}", **opening) as opened:
        yield opened, server


WAYS = {
    "either": {},
    "token": {"schemes": ("wsse",)},
    "digest": {"schemes": ("digest",)},
    "digest-sha-256": {"schemes": ("digest",), "algorithms": ("SHA-256",)},
    "two-challenges": {"algorithms": ("MD5", "SHA-256")},
    "no-password": {"password": None},
}


@pytest.mark.parametrize("way", WAYS)
def test_everything_is_asked_with_every_way_to_log_in(way):
    with camera(**WAYS[way]) as (opened, server):
        assert isinstance(opened, Camera)
        who = opened.information()
        assert (who.manufacturer, who.model, who.mac) == ("edusense", "Virtual Camera", "02:ed:00:00:00:07")
        assert (who.name, who.location) == ("Зал <1> & co", "205")
        profiles = opened.profiles()
        assert [one.name for one in profiles] == ["mainStream", "subStream"]
        sub = profiles[1]
        assert (sub.width, sub.height, sub.kbit, sub.encoding, sub.gop) == (640, 360, 512, "H264", 25)
        assert opened.stream_address(sub) == "rtsp://127.0.0.1:8554/sub"
        assert opened.snapshot() == PICTURE
        assert abs(opened.clock().offset_s) <= 1
        assert server.login_failures == 0


@pytest.mark.parametrize("policy", [LoginPolicy.TOKEN, LoginPolicy.DIGEST])
def test_a_named_policy_is_kept_to(policy):
    other = "digest" if policy is LoginPolicy.TOKEN else "wsse"
    with camera(policies=Policies(login=policy)) as (opened, _):
        assert len(opened.profiles()) == 2
    with camera(policies=Policies(login=policy), schemes=(other,)) as (opened, server):
        with pytest.raises(DeviceError):
            opened.profiles()
        assert server.login_failures == 0


@pytest.mark.parametrize("schemes", [("wsse",), ("digest",), ("wsse", "digest")])
def test_a_wrong_password_is_tried_once_and_never_shown(schemes, caplog):
    wrong = "hunter2-is-wrong"
    with camera(given=wrong, schemes=schemes) as (opened, server):
        with pytest.raises(DeviceRefusedError, match="refuses user `edusense`") as caught:
            opened.information()
        for question in (opened.profiles, opened.information, opened.snapshot):
            with pytest.raises(DeviceRefusedError, match="not tried again"):
                question()
        assert server.login_failures == 1
        assert opened.clock().time is not None  # what everybody may ask is still answered
        error = caught.value
        chain = "".join(repr(one) for one in (error, error.__cause__, error.__context__, error.hint))
        assert wrong not in chain + caplog.text + repr(opened) + opened.address
        assert PASSWORD not in chain + caplog.text


@pytest.mark.parametrize("schemes", [("wsse",), ("digest",)])
def test_a_question_above_the_users_rights_is_not_taken_for_a_wrong_password(schemes):
    with camera(schemes=schemes, faults=["few-rights"]) as (opened, server):
        who = opened.information()
        assert (who.model, who.mac, who.name) == ("Virtual Camera", None, None)
        with pytest.raises(DeviceRefusedError, match="does not let user `edusense` ask GetUsers"):
            opened.zeep("devicemgmt").GetUsers()
        assert opened.stream_address("p1").endswith("/main")
        assert server.login_failures == 0


def test_a_password_changed_meanwhile_is_found_out_in_one_attempt():
    with camera(schemes=("wsse",)) as (opened, server):
        opened.stream_address("p1")
        server.state.users = {"edusense": User("another")}
        with pytest.raises(DeviceRefusedError, match="refuses user"):
            opened.stream_address("p1")
        failures = server.login_failures
        for _ in range(5):
            with pytest.raises(DeviceRefusedError, match="not tried again"):
                opened.stream_address("p1")
        assert server.login_failures == failures <= 2


def test_without_credentials_the_camera_says_what_it_wants():
    with camera(given=None) as (opened, server):
        assert opened.clock().ntp
        with pytest.raises(DeviceRefusedError, match="wants a user and password"):
            opened.information()
        assert server.login_failures == 0


def test_a_used_up_nonce_is_replaced_without_a_new_attempt():
    now = [1_788_000_000.0]
    with camera(schemes=("digest",), clock=lambda: now[0]) as (opened, server):
        opened.profiles()
        now[0] += 3600  # the nonce has grown old
        assert opened.stream_address("p1").endswith("/main")
        assert opened.snapshot() == PICTURE
        assert server.login_failures == 0


def test_a_camera_that_lost_its_time_is_asked_for_it_again():
    with camera(schemes=("wsse",)) as (opened, server):
        opened.profiles()
        server.set_faults(["wrong-clock"])  # it restarted, and has no NTP
        assert opened.stream_address("p1").endswith("/main")
        assert opened.clock().offset_s == pytest.approx(-3 * 86400, abs=2)


@pytest.mark.parametrize("schemes", [("wsse",), ("digest",)])
def test_a_clock_three_days_off_does_not_lock_us_out(schemes):
    with camera(schemes=schemes, faults=["wrong-clock"]) as (opened, _):
        assert opened.information().model == "Virtual Camera"
        clock = opened.clock()
        assert clock.offset_s == pytest.approx(-3 * 86400, abs=2)
        assert (datetime.now(UTC) - clock.time).days == 3


def test_addresses_of_a_network_that_we_cannot_reach_are_mended():
    with camera(faults=["wrong-xaddr"]) as (opened, server):
        assert opened.stream_address("p1") == "rtsp://127.0.0.1:8554/main"
        assert opened.snapshot_address("p1") == f"http://127.0.0.1:{server.port}/snapshot?profile=p1"
        assert opened.snapshot() == PICTURE


def test_a_silent_camera_costs_its_deadline_and_no_more():
    with camera(faults=["silent"], timeout_s=0.4) as (opened, _):
        begun = time.monotonic()
        with pytest.raises(DeviceTimeoutError, match=r"within 0.4 s") as caught:
            opened.information()
        assert 0.3 < time.monotonic() - begun < 1.5
        assert caught.value.hint


def test_a_visit_has_a_deadline_over_all_its_questions():
    with OnvifServer(Identity(), PROFILES, "edusense", None) as server:
        opened = devices.open_camera(f"onvif:{server.url}", timeout_s=5, visit_s=0.6)
        with opened:
            opened.profiles()
            time.sleep(0.7)
            with pytest.raises(DeviceTimeoutError):
                opened.stream_address("p1")


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        ("not-xml", "not XML"),
        ("other-answer", "with `GetWsdlUrlResponse`"),
        ("refuse-auth", "refuses user"),
    ],
)
def test_lies_are_told_as_what_they_are(lie, message):
    with camera(faults=[lie]) as (opened, _), pytest.raises(DeviceError, match=message):
        opened.information()


PAIRS = random.Random(7).sample(list(itertools.combinations(LIES, 2)), 60)


@pytest.mark.parametrize("lies", [*((lie,) for lie in LIES), *PAIRS], ids="+".join)
def test_no_lie_and_no_pair_of_lies_hangs_or_crashes(lies):
    with camera(faults=lies, timeout_s=0.15) as (opened, server):
        for question in (opened.clock, opened.information, opened.profiles, opened.snapshot):
            with contextlib.suppress(DeviceError):
                question()
        assert server.login_failures == 0


def test_a_picture_that_is_refused_or_breaks_off_costs_nothing_else(monkeypatch):
    calls = []

    def broken():
        calls.append(1)
        raise LookupError

    with camera(snapshot=broken) as (opened, server):
        opened.information()
        with pytest.raises(DeviceProtocolError, match="gives no picture: HTTP 503"):
            opened.snapshot()
        opened.prove_login()
        # One that dies over it, on a kept connection: asked once more, with a fresh count of the nonce.
        server.snapshot = lambda: calls.append(1) or 1 / 0
        before = len(calls)
        with pytest.raises(DeviceError) as told:
            opened.snapshot()
        assert not isinstance(told.value, DeviceRefusedError)
        assert len(calls) - before == 2
        opened.prove_login()
        # Web users are others than those of ONVIF.
        server.snapshot = lambda: PICTURE
        real = OnvifServer._admit

        def admit(self, request, *more):
            if request.method == "GET":
                raise Fault(("ter:NotAuthorized",), "not you", status=401)
            return real(self, request, *more)

        monkeypatch.setattr(OnvifServer, "_admit", admit)
        with pytest.raises(DeviceRefusedError, match="refuses user `edusense` its picture, and nothing else"):
            opened.snapshot()
        opened.prove_login()
        assert opened.profiles()


def test_what_a_camera_does_not_have_is_refused_in_its_own_words():
    with camera(snapshot=None) as (opened, _):
        assert opened.snapshot_address("p1") is None
        with pytest.raises(DeviceRefusedError, match="no still pictures"):
            opened.snapshot()
        with pytest.raises(DeviceRefusedError, match=r"no profile `p9` \(InvalidArgVal/NoProfile\)"):
            opened.stream_address("p9")
    with camera(snapshot=lambda: b"<html>") as (opened, _), pytest.raises(DeviceProtocolError, match="no JPEG but"):
        opened.snapshot()
    with camera(profiles=[]) as (opened, _), pytest.raises(DeviceProtocolError, match="no video profile"):
        opened.profiles()


def test_h265_is_a_profile_without_encoder_in_media1():
    h265 = Profile("p1", "main", 2560, 1440, 25, 4000, "H265", "rtsp://127.0.0.1/1")
    with camera(profiles=[h265, PROFILES[1]], media2=False) as (opened, _):
        main, sub = opened.profiles()
        assert (main.token, main.encoding, main.pixels) == ("p1", None, 0)
        assert sub.encoding == "H264"


def test_the_typed_way_out_uses_our_login_and_our_errors():
    with camera(schemes=("digest",)) as (opened, server):
        media = opened.zeep("media")
        assert media.GetVideoSources()[0].Resolution.Width == 1920
        options = media.GetVideoEncoderConfigurationOptions({"ProfileToken": "p2"})
        assert options.H264.ResolutionsAvailable[0].Width == 640
        assert opened.zeep("devicemgmt").GetUsers()[0].Username == "edusense"
        with pytest.raises(DeviceRefusedError, match="ActionNotSupported"):
            media.GetAudioSources()
        server.set_faults(["silent"])
    with camera(faults=["silent"], timeout_s=0.3) as (opened, _), pytest.raises(DeviceTimeoutError):
        opened.zeep("devicemgmt").GetUsers()


def test_nobody_there_and_no_such_name():
    with camera() as (_, server):
        gone = server.url
    with devices.open_camera(f"onvif:{gone}", timeout_s=1) as opened, pytest.raises(DeviceNotFoundError) as caught:
        opened.clock()
    assert "camera discover" in caught.value.hint


@pytest.mark.parametrize("target", ["onvif:ftp://10.0.0.1/", "onvif:", "onvif:http://u:hunter2@10.0.0.1/"])
def test_addresses_that_are_none(target):
    with pytest.raises(UsageError) as caught:
        devices.open_camera(target)
    assert "hunter2" not in str(caught.value)


def test_closing_twice_is_harmless_and_opening_asks_nothing():
    with camera() as (opened, server):
        assert server.requests == 0
        opened.profiles()
        opened.close()
        opened.close()
        assert opened.clock().ntp  # asks over a new connection
    assert opened.address.startswith("onvif:http://127.0.0.1:")
