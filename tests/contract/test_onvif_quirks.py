"""What real cameras do differently, one test each, against virtual cameras that do the same; and the list of it.

The list is data (`firmware_configs/quirks`): each entry has a number, a source, the switch of the virtual camera and
the test here that it names.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
import time
from pathlib import Path

import pytest

from edusense import devices
from edusense.errors import DeviceError, DeviceProtocolError, DeviceRefusedError, DriverBrokenError
from edusense.sim.makes import MAKES
from edusense.sim.onvif_lies import LIES
from edusense.sim.onvif_server import Identity, OnvifServer, Profile
from edusense.sim.onvif_state import User
from edusense_drivers.onvif import quirks, session, wsdl
from edusense_drivers.onvif.policies import (
    EchoPolicy,
    LoginPolicy,
    NetworkPolicy,
    Policies,
    RenewPolicy,
    UserPolicy,
)

ROOT = Path(__file__).resolve().parents[2]
MAIN = Profile("p1", "mainStream", 1920, 1080, 25, 4000, "H264", "rtsp://127.0.0.1:8554/main")
SUB = Profile("p2", "subStream", 640, 360, 12, 512, "H264", "rtsp://127.0.0.1:8554/sub", gop=25)
PICTURE = b"\xff\xd8\xff\xe0 picture"


@pytest.fixture(autouse=True)
def _nothing_remembered():
    session._remembered.clear()


@contextlib.contextmanager
def camera(*faults, make=None, password="secret", policies=None, timeout_s=3.0, **settings):
    """A virtual camera with these faults, opened."""
    who = Identity(name="hall")
    if make:
        who = Identity(name="hall", manufacturer=make.manufacturer, model=make.model, firmware=make.firmware)
        faults = (*make.faults, *faults)
    profiles = settings.pop("profiles", [MAIN, SUB])
    server = OnvifServer(who, profiles, "edusense", "secret", lambda: PICTURE, faults=faults, **settings)
    with (
        server,
        devices.open_camera(
            f"onvif:{server.url}", user="edusense", password=password, timeout_s=timeout_s, policies=policies
        ) as opened,
    ):
        yield opened, server


# ---- the list


def test_every_quirk_has_a_source_a_switch_and_a_test():
    known = quirks.catalogue()
    handled = {one.number for one in known if not one.left} - {0}
    assert {*range(1, 11), 14, 15, *range(21, 25), 27, 28, 31} <= handled
    assert len(handled) >= 28
    assert {one.number for one in known} >= set(range(1, 33))
    for one in known:
        assert one.source, one
        assert one.policy or one.how or one.left, one
        assert one.left or one.tests, one
        assert set(one.faults) <= LIES.keys(), one
        for test in one.tests:
            path, _, name = test.partition("::")
            assert re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), test


def test_every_lie_that_stands_for_a_quirk_is_named_by_it():
    named = {fault for one in quirks.catalogue() for fault in one.faults}
    assert {name for name, lie in LIES.items() if lie.quirks} <= named
    assert {fault for make in MAKES.values() for fault in make.faults} <= LIES.keys()


def test_a_policy_comes_from_make_and_model():
    def chosen(make, model="x", firmware="1"):
        return quirks.choose(make, model, firmware)[0]

    assert chosen("HIKVISION", "DS-2SE4C425MWG-E").login is LoginPolicy.DIGEST
    assert chosen("HIKVISION", "DS-2DE2A404IW-DE3").network is NetworkPolicy.ELSEWHERE
    assert "SADP" in chosen("Hikvision").activation
    assert chosen("UNIVIEW").echo is EchoPolicy.OWN_MULTICAST
    assert (chosen("Bosch").renew, chosen("Bosch").users) == (RenewPolicy.ANEW, UserPolicy.CREATE)
    assert chosen("TP-Link", "Tapo C200").users is UserPolicy.ELSEWHERE
    assert chosen("nobody") == Policies()


def test_it_is_chosen_when_the_camera_has_said_who_it_is():
    with camera(make=MAKES["tapo"]) as (opened, _):
        assert opened.policies.users is UserPolicy.SET
        opened.information()
        assert opened.policies.users is UserPolicy.ELSEWHERE
        assert any("onvif-footnotes" in one.source for one in opened.quirks)
        assert "EdgeX" in opened.doubts("identity.hostname")
        assert opened.doubts("clock.ntp") is None
    with camera(make=MAKES["tapo"], policies=Policies()) as (opened, _):
        opened.information()
        assert opened.policies == Policies()  # whoever opens it has the last word


def test_a_quirk_of_ones_own_is_a_file(tmp_path):
    (tmp_path / "quirks").mkdir()
    file = tmp_path / "quirks" / "acme.toml"
    file.write_text(
        '[[quirk]]\nmanufacturer = "acme*"\ndoes = "offers Digest and takes none"\nsource = "seen"\n'
        'policy = { login = "token", rounding = { kbit = 256 } }\n'
    )
    policies, found = quirks.choose("ACME Corp", "X", "1", [tmp_path])
    assert (policies.login, policies.rounding.kbit) == (LoginPolicy.TOKEN, 256)
    assert found[-1].path == file
    who = Identity(manufacturer="ACME Corp")
    server = OnvifServer(who, [MAIN], "edusense", "secret", faults=["unusable-digest"])
    with server:
        settings = {"user": "edusense", "password": "secret", "make": ("acme", "*"), "configs": [tmp_path]}
        with devices.open_camera(f"onvif:{server.url}", **settings) as opened:
            assert opened.information().manufacturer == "ACME Corp"
        del settings["configs"]
        session._remembered.clear()
        with devices.open_camera(f"onvif:{server.url}", **settings) as opened, pytest.raises(DeviceRefusedError):
            opened.information()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("quirk = 1", "besides `[[quirk]]`"),
        ("[[quirk]]\ndoes = 'x'\nsource = 'y'\npolcy = {}", "no key `polcy`"),
        ("[[quirk]]\ndoes = 'x'", "does not say `source`"),
        ("[[quirk]]\ndoes = 'x'\nsource = 'y'\npolicy = { login = 'magic' }", "ask, token, digest"),
        ("[[quirk]]\ndoes = 'x'\nsource = 'y'\npolicy = { lgin = 'ask' }", "no policy `lgin`"),
        ("[[quirk]]\ndoes = 'x'\nsource = 'y'\npolicy = { rounding = 3 }", "a table of kbit, gop"),
        ("[[quirk]]\ndoes = 3\nsource = 'y'", "`does` of `[[quirk]]` 1 is no str"),
        ("[[quirk", "no TOML"),
    ],
)
def test_a_wrong_list_is_named_with_its_file(tmp_path, text, says):
    (tmp_path / "quirks").mkdir()
    (tmp_path / "quirks" / "bad.toml").write_text(text)
    with pytest.raises(DriverBrokenError, match=re.escape(says)) as caught:
        quirks.choose("a", "b", "c", [tmp_path])
    assert "bad.toml" in str(caught.value)


# ---- clock and login


@pytest.mark.parametrize("fault", ["strict-clock", "clock-needs-login"])
@pytest.mark.parametrize("schemes", [("wsse",), ("digest",)])
def test_a_login_carries_the_cameras_own_time(fault, schemes):
    with camera("wrong-clock", fault, schemes=schemes) as (opened, server):
        assert opened.information().model == "Virtual Camera"
        assert -3 * 86400 - 5 < opened.clock().offset_s < -3 * 86400 + 5
        assert server.login_failures == 0


def test_a_restart_that_loses_the_clock_costs_one_question():
    with camera("loses-clock", schemes=("wsse",), reboot_s=0.2) as (opened, server):
        opened.information()
        opened.reboot()
        time.sleep(0.4)
        assert opened.information().model == "Virtual Camera"
        assert opened.clock().time.year == 2000
        assert server.login_failures == 0


def test_created_ends_in_z():
    with camera("zulu-only", schemes=("wsse",)) as (opened, _):
        assert opened.profiles()


def test_times_are_read_as_they_come():
    for fault in ("no-utc", "minute-61"):
        with camera(fault) as (opened, server):
            server.state.timezone = "<+05>-5"
            assert abs(opened.clock().offset_s) < 3
    with camera("zero-date") as (opened, _):
        assert (opened.clock().time, opened.clock().offset_s) == (None, None)
        assert opened.information()  # by our own time


@pytest.mark.parametrize("fault", ["letters-in-timezone", "own-timezone-only", "no-timezone"])
def test_a_clock_is_set_whatever_zone_the_camera_takes(fault):
    with camera("wrong-clock", fault, ntp=False) as (opened, server):
        opened.write_settings("clock", {"offset_s": 0.0})
        assert abs(opened.clock().offset_s) < 3
        if fault == "letters-in-timezone":
            opened.write_settings("clock", {"timezone": "<+05>-5"})
            assert server.state.timezone == "UTC-5"
        else:
            with pytest.raises(DeviceRefusedError, match="no time zone"):
                opened.write_settings("clock", {"timezone": "<+05>-5"})


@pytest.mark.parametrize("fault", ["digest-only", "token-only", "digest-on-media"])
def test_each_service_gets_the_login_that_it_takes(fault):
    for _ in range(2):  # the second time as it was remembered
        with camera(fault) as (opened, server):
            opened.information()
            assert len(opened.profiles()) == 2
            assert opened.read_settings("users")
            assert opened.snapshot() == PICTURE
            assert server.login_failures == 0


def test_a_login_that_is_remembered_saves_a_question():
    server = OnvifServer(Identity(), [MAIN], "edusense", "secret", schemes=("wsse",))
    counts = []
    with server:
        for _ in range(2):
            before = server.requests
            with devices.open_camera(f"onvif:{server.url}", user="edusense", password="secret") as opened:
                opened.read_settings("users")
            counts.append(server.requests - before)
        assert counts[1] < counts[0]
        server.state.users = {"edusense": User("another")}
        for _ in range(3):
            failures = server.login_failures
            with (
                devices.open_camera(f"onvif:{server.url}", user="edusense", password="secret") as opened,
                pytest.raises(DeviceRefusedError, match="refuses user"),
            ):
                opened.read_settings("users")
            assert server.login_failures == failures + 1


def test_a_login_that_is_offered_and_not_taken_needs_a_policy():
    with camera("unusable-digest") as (opened, server), pytest.raises(DeviceRefusedError):
        opened.information()
    with camera("unusable-digest", policies=Policies(login=LoginPolicy.TOKEN)) as (opened, server):
        assert opened.information()
        assert server.login_failures == 0


@pytest.mark.parametrize("fault", ["digest-only", "auth-in-words", "auth-status-200", "two-challenges", "token-only"])
def test_a_refused_login_is_known_in_every_form(fault):
    with camera(fault, password="wrong") as (opened, server):
        with pytest.raises(DeviceRefusedError, match="refuses user `edusense` or the password"):
            opened.information()
        for _ in range(3):
            with pytest.raises(DeviceRefusedError, match="not tried again"):
                opened.profiles()
        assert server.login_failures == 1


def test_a_wrong_password_that_passes_is_found_out():
    with camera("lets-anyone-read", password="wrong") as (opened, server):
        assert opened.information()
        assert opened.profiles()
        with pytest.raises(DeviceRefusedError, match="refuses user `edusense` or the password"):
            opened.prove_login()
        assert server.login_failures <= 1
    with camera("lets-anyone-read") as (opened, _):
        opened.information()
        opened.prove_login()
    with camera("few-rights") as (opened, _):
        opened.profiles()
        with pytest.raises(DeviceRefusedError, match="does not let user `edusense` ask GetUsers"):
            opened.prove_login()
        assert opened.profiles()  # its rights end there, its login does not


def test_no_command_locks_an_account():
    with camera("locks", password="wrong") as (opened, server):
        for _ in range(10):
            with pytest.raises(DeviceRefusedError):
                opened.information()
        assert server.login_failures == 1
    server = OnvifServer(Identity(), [MAIN], "edusense", "secret", faults=["locks"])
    with server:
        for _ in range(5):
            with (
                devices.open_camera(f"onvif:{server.url}", user="edusense", password="wrong") as opened,
                pytest.raises(DeviceRefusedError),
            ):
                opened.information()
        with (
            devices.open_camera(f"onvif:{server.url}", user="edusense", password="secret") as opened,
            pytest.raises(DeviceRefusedError, match="has locked the account of user `edusense`"),
        ):
            opened.information()


def test_a_unit_that_needs_activation_is_told_with_what_to_do():
    with camera("needs-activation") as (opened, server):
        assert opened.clock().ntp
        with pytest.raises(DeviceRefusedError, match="must be activated first") as caught:
            opened.information()
        assert "SADP" in caught.value.hint
        assert server.login_failures == 0
    server = OnvifServer(Identity(), [MAIN], "edusense", "secret", faults=["needs-activation"])
    with (
        server,
        devices.open_camera(f"onvif:{server.url}", user="u", password="p", make=("Dahua", "IPC")) as opened,
        pytest.raises(DeviceRefusedError) as caught,
    ):
        opened.information()
    assert "ConfigTool" in caught.value.hint
    assert "SADP" not in caught.value.hint


def test_a_pending_password_change_is_named():
    with (
        camera("password-change-pending") as (opened, _),
        pytest.raises(DeviceRefusedError, match="choose another password first"),
    ):
        opened.information()


# ---- what it answers


@pytest.mark.parametrize("fault", ["wrong-xaddr", "zero-xaddr", "doubled-port", "relative-xaddr"])
def test_addresses_are_mended(fault):
    with camera(fault) as (opened, server):
        assert len(opened.profiles()) == 2
        assert opened.stream_address("p1") == "rtsp://127.0.0.1:8554/main"
        assert opened.snapshot_address("p1") == f"http://127.0.0.1:{server.port}/snapshot?profile=p1"
        assert opened.snapshot() == PICTURE


@pytest.mark.parametrize("fault", ["vendor-services", "no-services", "no-capabilities", "strict-actions"])
def test_services_are_found_one_way_or_the_other(fault):
    with camera(fault) as (opened, _):
        assert len(opened.profiles()) == 2
        assert opened.zeep("media").GetVideoSources()  # whose action the official WSDL misspells
        assert opened.read_settings("encoder/p1").values["gop"] == 50


@pytest.mark.parametrize("fault", ["no-video-source", "strict-paths", "no-media1", "shuffled", "sparse"])
def test_profiles_are_read_where_they_are_told(fault):
    h265 = Profile("p1", "main", 2560, 1440, 25, 4000, "H265", "rtsp://127.0.0.1:8554/1")
    with camera(fault, profiles=[h265, SUB]) as (opened, _):
        main, sub = opened.profiles()
        assert (main.token, main.encoding, main.width) == ("p1", "H265", 2560)
        assert (sub.encoding, sub.width) == ("H264", 640)
        assert opened.stream_address("p2").endswith("/sub")
        assert opened.snapshot() == PICTURE


def test_of_two_challenges_the_stronger_is_taken():
    with camera("two-challenges") as (opened, server):
        used = []
        check = server._guard.check_digest

        def noted(request, **more):
            used.append(request.headers.get("authorization", ""))
            return check(request, **more)

        server._guard.check_digest = noted
        assert opened.information()
        assert any("algorithm=SHA-256" in one for one in used)
        assert not any("algorithm=MD5" in one for one in used)


def test_broken_text_does_not_hide_a_camera():
    with camera("broken-text") as (opened, _):
        assert opened.information().model.startswith("Virtual Camera")


def test_a_camera_without_mac_is_known_by_its_serial_number():
    with camera("no-interfaces") as (opened, _):
        who = opened.information()
        assert (who.mac, who.serial) == (None, "02ED00000001")


def test_a_picture_is_had_without_the_password_in_its_address():
    with camera("password-in-snapshot") as (opened, _):
        assert opened.snapshot() == PICTURE
        assert "12345" not in opened.snapshot_address("p1")
    with camera("no-snapshot-uri") as (opened, _):
        assert opened.snapshot_address("p1") is None
        with pytest.raises(DeviceRefusedError, match="no still pictures"):
            opened.snapshot()


def test_an_encoder_gets_its_own_object_back():
    for faults, policies in (
        (("wants-own-multicast",), None),
        (("sparse",), None),
        (("wants-own-multicast", "sparse"), Policies(echo=EchoPolicy.OWN_MULTICAST)),
    ):
        with camera(*faults, media2=False, policies=policies) as (opened, server):
            opened.write_settings("encoder/p1", {"kbit": 3000, "gop": 40})
            assert (server.state.encoder(MAIN).kbit, server.state.encoder(MAIN).gop) == (3000, 40)
    with camera("wants-own-multicast", "sparse", media2=False) as (opened, _), pytest.raises(DeviceRefusedError):
        opened.write_settings("encoder/p1", {"kbit": 3000})  # told none, and zeros will not do


def test_a_kept_connection_that_was_closed_is_opened_again():
    with camera("closes-connections") as (opened, _):
        for _ in range(4):
            assert opened.clock()
            assert opened.information()


# ---- hostile


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("xml-bomb", "document type"),
        ("external-entity", "document type"),
        ("not-xml", "not XML"),
        ("other-answer", "GetWsdlUrlResponse"),
        ("huge-answer", "more than"),
        ("half-answer", "broke off after"),
        ("hangs-after-head", "did not answer within"),
        ("hangs-in-body", "did not answer within"),
        ("drips", "did not answer within"),
        ("silent", "did not answer within"),
    ],
)
def test_a_hostile_answer_is_an_error_within_the_deadline(fault, says):
    with camera(fault, timeout_s=0.6) as (opened, _):
        begun = time.monotonic()
        for question in (opened.clock, opened.information, opened.profiles):
            with pytest.raises(DeviceError, match=says):
                question()
        assert time.monotonic() - begun < 20


def test_a_question_that_is_not_known_may_end_the_connection():
    with camera("drops-unknown", "no-imaging") as (opened, _):
        with pytest.raises(DeviceError):
            opened.read_settings("imaging/p1")
        assert opened.information()


# ---- what builds the requests


def test_every_set_of_a_service_that_onvif_zeep_knows_is_built_by_it(monkeypatch):
    built, sent = [], []
    build, post = wsdl.build, session.Session._post

    def noted(name, operation, parameters):
        built.append(operation)
        return build(name, operation, parameters)

    def seen(self, place, request, login, header=None):
        sent.append((request.operation, request.envelope.nsmap))
        return post(self, place, request, login, header)

    monkeypatch.setattr(wsdl, "build", noted)
    monkeypatch.setattr(session.Session, "_post", seen)
    with camera(media2=False) as (opened, _):
        opened.write_settings("clock", {"timezone": "<+05>-5"})
        opened.write_settings("ntp", {"servers": ["10.0.0.1"]})
        opened.write_settings("hostname", {"hostname": "a"})
        opened.write_settings("scopes", {"name": "a"})
        opened.write_settings("discovery", {"discoverable": True})
        opened.write_settings("encoder/p1", {"kbit": 3000})
        opened.write_settings("imaging/p1", {"ir_cut": "auto"})
        opened.write_settings("osd/p1", {"text": "205", "clock": True})
        opened.write_settings("osd/p1", {"text": "206"})
        opened.write_settings("gateway", {"gateway": "10.0.0.1"})
        opened.write_settings("dns", {"dns": ["10.0.0.1"]})
        opened.write_settings("network", {"address": "127.0.0.1/24"})
        opened.set_password("second", "abcdefgh", "operator")
        opened.set_password("second", "abcdefgi")
        opened.write_settings("users", {"user:second": "user"})
        opened.write_settings("users", {"user:second": "absent"})
        opened.reboot()
    changing = {one for one, _ in sent if one.startswith(("Set", "Create", "Delete", "SystemReboot"))}
    assert changing <= set(built)
    assert changing == {
        *("SetSystemDateAndTime", "SetNTP", "SetHostname", "SetScopes", "SetDiscoveryMode", "SystemReboot"),
        *("SetVideoEncoderConfiguration", "SetImagingSettings", "CreateOSD", "SetOSD", "SetNetworkDefaultGateway"),
        *("SetDNS", "SetNetworkInterfaces", "CreateUsers", "SetUser", "DeleteUsers"),
    }


def test_the_constructor_that_leaks_subscriptions_is_never_called(monkeypatch):
    import onvif

    def never(*_, **__):
        raise AssertionError("ONVIFCamera() leaks a subscription on every connect")

    monkeypatch.setattr(onvif.client.ONVIFCamera, "__init__", never)
    with camera() as (opened, server):
        opened.information()
        opened.zeep("ptz")
        assert list(opened.events(0.2)) is not None
        assert server.events.open == 0
    assert importlib.util.find_spec("onvif") is not None


def test_the_last_administrator_stays():
    with camera() as (opened, server):
        with pytest.raises(DeviceRefusedError, match="last administrator"):
            opened.write_settings("users", {"user:edusense": "operator"})
        with pytest.raises(DeviceRefusedError, match="last administrator"):
            opened.write_settings("users", {"user:edusense": "absent"})
        assert server.state.sets == []


def test_nonsense_is_no_profile():
    with camera(profiles=[]) as (opened, _), pytest.raises(DeviceProtocolError, match="no video profile"):
        opened.profiles()
