"""Users of a camera: what its make takes, what it says and does not do, and what is never sent."""

from __future__ import annotations

import contextlib

import pytest

from edusense import devices
from edusense.errors import DeviceRefusedError
from edusense.sim.makes import MAKES
from edusense.sim.onvif_server import Identity, OnvifServer, Profile
from edusense_drivers.onvif import session
from edusense_drivers.onvif.policies import PasswordPolicy

MAIN = Profile("p1", "mainStream", 1920, 1080, 25, 4000, "H264", "rtsp://127.0.0.1:8554/main")


@contextlib.contextmanager
def camera(*faults, make=None):
    session._remembered.clear()
    who = Identity()
    if make:
        faults = (*MAKES[make].faults, *faults)
        who = Identity(manufacturer=MAKES[make].manufacturer, model=MAKES[make].model)
    server = OnvifServer(who, [MAIN], "edusense", "secret", faults=faults)
    with server, devices.open_camera(f"onvif:{server.url}", user="edusense", password="secret") as opened:
        yield opened, server


def test_a_password_is_changed_and_a_user_made():
    with camera() as (opened, server):
        opened.set_password("guard", "abcdefgh", "operator")
        opened.set_password("edusense", "another-1")
        assert server.state.users["guard"].level == "Operator"
        assert server.state.users["edusense"].password == "another-1"
        assert server.state.users["edusense"].level == "Administrator"
        with pytest.raises(DeviceRefusedError, match="refuses user"):
            opened.read_settings("users")  # with the old one
    with camera() as (opened, server):
        opened.set_password("guard", "abcdefgh", "operator")
        opened.write_settings("users", {"user:guard": "user"})
        assert opened.read_settings("users").values["user:guard"] == "user"
        opened.write_settings("users", {"user:guard": "absent"})
        assert list(server.state.users) == ["edusense"]
        with pytest.raises(DeviceRefusedError, match="has no user `nobody`"):
            opened.write_settings("users", {"user:nobody": "user"})


def test_a_password_that_the_make_will_not_take_is_not_sent():
    with camera(make="dahua") as (opened, server):
        for bad in ("short", "x" * 33, "with'quote"):
            with pytest.raises(DeviceRefusedError, match="will not do") as caught:
                opened.set_password("edusense", bad)
            assert bad not in str(caught.value)
            assert bad not in (caught.value.hint or "")
        assert server.state.sets == []
        opened.set_password("edusense", "abcdefgh-1")
    assert PasswordPolicy().problem("a/b") is not None
    assert PasswordPolicy().problem("пароль") is not None
    assert PasswordPolicy().problem("safe-enough_1") is None


def test_users_that_only_an_app_can_change_are_left_to_it():
    with camera(make="tapo") as (opened, server):
        with pytest.raises(DeviceRefusedError, match="its maker's own program"):
            opened.set_password("edusense", "abcdefgh-1")
        with pytest.raises(DeviceRefusedError, match="its maker's own program"):
            opened.write_settings("users", {"user:guard": "user"})
        assert server.state.sets == []


def test_a_user_that_cannot_be_set_is_made_instead():
    with camera(make="bosch") as (opened, server):
        with pytest.raises(DeviceRefusedError, match="changes no user that was made in its web pages"):
            opened.set_password("edusense", "abcdefgh-1")
        opened.set_password("fleet", "abcdefgh-1")
        assert server.state.users["fleet"].level == "Administrator"


def test_users_made_by_onvif_may_be_gone_after_a_restart():
    with camera("forgets-users") as (opened, server):
        opened.set_password("guard", "abcdefgh")
        server.go_down()
        assert list(server.state.users) == ["edusense"]


def test_an_address_that_does_not_hold_is_not_sent():
    session._remembered.clear()
    who = Identity(manufacturer="HIKVISION", model="DS-2DE2A404IW-DE3")
    with (
        OnvifServer(who, [MAIN], "edusense", "secret", faults=["network-reverts"]) as server,
        devices.open_camera(f"onvif:{server.url}", user="edusense", password="secret") as opened,
    ):
        opened.information()
        with pytest.raises(DeviceRefusedError, match="cannot be set by ONVIF"):
            opened.write_settings("network", {"address": "127.0.0.77/8"})
        assert server.state.sets == []
