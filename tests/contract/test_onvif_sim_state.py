"""The virtual camera remembers what it is told, and lies about it where it should: asked through onvif-zeep's types."""

from __future__ import annotations

import contextlib
import time
from datetime import timedelta

import pytest

from edusense import devices
from edusense.errors import DeviceError, DeviceRefusedError
from edusense.sim.onvif_server import Identity, OnvifServer, Profile

MAIN = Profile("p1", "mainStream", 1920, 1080, 25, 4000, "H264", "rtsp://127.0.0.1:8554/main")
SUB = Profile("p2", "subStream", 640, 360, 12, 512, "H264", "rtsp://127.0.0.1:8554/sub", gop=25)


@contextlib.contextmanager
def camera(*faults, **settings):
    server = OnvifServer(Identity(name="hall"), [MAIN, SUB], "edusense", "secret", faults=faults, **settings)
    with server, devices.open_camera(f"onvif:{server.url}", user="edusense", password="secret", timeout_s=2) as opened:
        yield opened, server


def encoder(opened):
    return opened.zeep("media").GetVideoEncoderConfiguration({"ConfigurationToken": "encoder-p1"})


def test_what_is_set_is_read_again():
    with camera() as (opened, server):
        device = opened.zeep("devicemgmt")
        device.SetHostname({"Name": "hall-1"})
        assert device.GetHostname().Name == "hall-1"
        device.SetNTP({"FromDHCP": False, "NTPManual": [{"Type": "DNS", "DNSname": "pool.ntp.org"}]})
        told = device.GetNTP()
        assert (told.FromDHCP, told.NTPManual[0].DNSname) == (False, "pool.ntp.org")
        device.SetScopes({"Scopes": ["onvif://www.onvif.org/name/Hall%201", "onvif://www.onvif.org/location/205"]})
        assert (opened.information().name, opened.information().location) == ("Hall 1", "205")
        device.SetDiscoveryMode({"DiscoveryMode": "NonDiscoverable"})
        assert device.GetDiscoveryMode() == "NonDiscoverable"
        assert [one.Username for one in device.GetUsers()] == ["edusense"]
        assert server.state.sets == ["SetHostname", "SetNTP", "SetScopes", "SetDiscoveryMode"]


def test_its_clock_is_set():
    with camera("wrong-clock", ntp=False) as (opened, _):
        assert opened.clock().offset_s < -86400
        now = time.gmtime()
        opened.zeep("devicemgmt").SetSystemDateAndTime(
            {
                "DateTimeType": "Manual",
                "DaylightSavings": False,
                "TimeZone": {"TZ": "<+05>-5"},
                "UTCDateTime": {
                    "Time": {"Hour": now.tm_hour, "Minute": now.tm_min, "Second": now.tm_sec},
                    "Date": {"Year": now.tm_year, "Month": now.tm_mon, "Day": now.tm_mday},
                },
            }
        )
        told = opened.clock()
        assert abs(told.offset_s) < 2
        assert (told.timezone, told.ntp) == ("<+05>-5", False)


def test_an_encoder_takes_what_its_options_tell_and_nothing_else():
    with camera() as (opened, _):
        media = opened.zeep("media")
        said = encoder(opened)
        assert said.SessionTimeout == timedelta(seconds=60)
        said.RateControl.BitrateLimit, said.H264.GovLength = 2500, 40
        said.Resolution.Width, said.Resolution.Height = 1280, 720
        media.SetVideoEncoderConfiguration({"Configuration": said, "ForcePersistence": True})
        told = opened.profiles()[0]
        assert (told.width, told.height, told.kbit, told.gop) == (1280, 720, 2500, 40)
        options = media.GetVideoEncoderConfigurationOptions({"ConfigurationToken": "encoder-p2"})
        assert (options.H264.GovLengthRange.Min, options.H264.GovLengthRange.Max) == (1, 250)
        assert {(one.Width, one.Height) for one in options.H264.ResolutionsAvailable} == {
            (640, 360), (480, 270), (320, 180),
        }  # fmt: skip
        for change in ("Width", "Rate"):
            said = encoder(opened)
            if change == "Width":
                said.Resolution.Width = 1000
            else:
                said.RateControl.BitrateLimit = 90_000
            with pytest.raises(DeviceRefusedError, match="ConfigModify"):
                media.SetVideoEncoderConfiguration({"Configuration": said, "ForcePersistence": True})
        assert opened.profiles()[0].width == told.width


@pytest.mark.parametrize("lie", ["ignores-sets", "after-reboot", "after-reboot-silently"])
def test_ok_is_not_done(lie):
    with camera(lie, reboot_s=0.2) as (opened, server):
        device = opened.zeep("devicemgmt")
        device.SetHostname({"Name": "hall-1"})
        assert device.GetHostname().Name != "hall-1"
        if lie == "ignores-sets":
            device.SystemReboot()
            assert server.state.reboots == 0
            return
        device.SystemReboot()
        time.sleep(0.3)
        assert device.GetHostname().Name == "hall-1"


def test_it_refuses_rounds_and_goes_away():
    with camera("refuses-sets") as (opened, _), pytest.raises(DeviceRefusedError):
        opened.zeep("devicemgmt").SetHostname({"Name": "hall-1"})
    with camera("rounds") as (opened, _):
        said = encoder(opened)
        said.RateControl.BitrateLimit, said.H264.GovLength = 4000, 48
        opened.zeep("media").SetVideoEncoderConfiguration({"Configuration": said, "ForcePersistence": True})
        again = encoder(opened)
        assert (again.RateControl.BitrateLimit, again.H264.GovLength) == (3840, 40)
    with camera("goes-away") as (opened, _):
        opened.zeep("devicemgmt").SetHostname({"Name": "hall-1"})
        with pytest.raises(DeviceError):
            opened.clock()
