"""ONVIF clients that are not ours ask a virtual camera and set it: onveef, onvif-python and onvif-zeep-async.

Each lives in an environment of its own: two of them install the same top-level package. They know no edusense; a small
program in each does what an installer's tool does and prints what it was told.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edusense.sim.camera import VirtualCamera
from edusense.sim.encode import Encoding
from edusense.sim.library import PlayerLibrary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

WITH_ZEEP = """
def told(one):
    rate, video = one.RateControl, one.H264
    return [one.Resolution.Width, one.Resolution.Height, rate.FrameRateLimit, rate.BitrateLimit, video.GovLength]
"""

ONVEEF = """
import json, sys
from onveef import OnvifClient, OnvifError

host, port, user, password = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
client = OnvifClient(host, port, user, password)
client._timeout = 10.0  # 0.6.0 hands httpx a timeout within a timeout, which httpx does not take
out = {"information": client.get_device_information(), "services": sorted(client.discover_services())}
profile = client.get_profiles()[0]
out["stream"] = client.get_stream_uri(profile_token=profile["token"])
picture, kind = client.get_snapshot(profile_token=profile["token"])
out["picture"] = [kind, picture[:3].hex()]
out["mac"] = client.get_network_interfaces()[0]["hardware_address"]
out["protocols"] = sorted(one["name"] for one in client.get_network_protocols())
client.set_hostname("cam-51")
out["hostname"] = client.get_hostname()
client.create_user(username="guard", password="Xy12345678", user_level="Operator")
users = [client.get_users()]
client.delete_users(usernames=["guard"])
users.append(client.get_users())
out["users"] = [sorted((one["username"], one["user_level"]) for one in listed) for listed in users]
client.imaging_set_settings(video_source_token="source-1", brightness=61.0)
out["brightness"] = client.imaging_get_settings(video_source_token="source-1")["Brightness"]
osd = client.create_osd(
    video_source_configuration_token="source-1-configuration", plain_text="205", position_type="LowerLeft"
)
out["osd"] = [[one["plain_text"], one["position_type"]] for one in client.get_osds()]
client.delete_osd(osd_token=osd)
out["osd_left"] = client.get_osds()
client.set_ntp(from_dhcp=False, ipv4_servers=["10.20.0.1"])
client.set_system_date_time(date_time_type="NTP", timezone="QYZT-5")
out["clock"] = [client.get_ntp()["servers"], client.get_system_date_time()["timezone"]]
before = client.get_video_encoder_configurations()[0]
wanted = {name: before[name] for name in ("token", "name", "encoding")}
wanted |= {"width": 640, "height": 360, "quality": 5.0}
client.set_video_encoder_configuration(fps=10, bitrate_kbps=700, gop=20, h264_profile="Main", **wanted)
after = client.get_video_encoder_configurations()[0]
out["encoder"] = [after[name] for name in ("width", "height", "fps_limit", "bitrate_kbps", "gop")]
try:
    # It writes the frame rate as an attribute; the schema of Media2 has it as an element.
    client.set_video_encoder_configuration_media2(fps=25, bitrate_kbps=700, gop=20, **wanted)
    out["media2"] = "taken"
except OnvifError as error:
    out["media2"] = str(error)
with client.pull_point() as events:
    out["events"] = sorted({one["topic"] for one in events.pull()})
print(json.dumps(out))
"""

ONVIF_PYTHON = (
    WITH_ZEEP
    + """
import json, sys
from onvif import ONVIFClient

host, port, user, password = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
client = ONVIFClient(host, port, user, password)
device, media = client.devicemgmt(), client.media()
information = device.GetDeviceInformation()
out = {"information": {name: getattr(information, name) for name in ("Manufacturer", "Model", "SerialNumber")}}
out["mac"] = device.GetNetworkInterfaces()[0].Info.HwAddress
out["protocols"] = sorted(one.Name for one in device.GetNetworkProtocols())
profile = media.GetProfiles()[0]
setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
out["stream"] = media.GetStreamUri(ProfileToken=profile.token, StreamSetup=setup).Uri
out["snapshot"] = media.GetSnapshotUri(ProfileToken=profile.token).Uri
one = media.GetVideoEncoderConfigurations()[0]
one.Resolution.Width, one.Resolution.Height = 480, 270
one.RateControl.BitrateLimit, one.H264.GovLength = 900, 25
media.SetVideoEncoderConfiguration(Configuration=one, ForcePersistence=True)
out["encoder"] = told(media.GetVideoEncoderConfigurations()[0])
second = client.media2().GetVideoEncoderConfigurations()[0]
second.RateControl.BitrateLimit = 800
client.media2().SetVideoEncoderConfiguration(Configuration=second)
found = client.media2().GetVideoEncoderConfigurations()[0]
out["media2"] = [found.Resolution.Width, found.RateControl.BitrateLimit, found.RateControl.ConstantBitRate]
out["brightness"] = client.imaging().GetImagingSettings(VideoSourceToken="source-1").Brightness
subscription = client.events().CreatePullPointSubscription()
pulled = client.pullpoint(subscription).PullMessages(Timeout="PT2S", MessageLimit=10)
out["events"] = len(pulled.NotificationMessage)
client.subscription(subscription).Unsubscribe()
print(json.dumps(out))
"""
)

ZEEP_ASYNC = (
    WITH_ZEEP
    + """
import asyncio, json, sys
from onvif import ONVIFCamera

async def main(host, port, user, password):
    camera = ONVIFCamera(host, port, user, password)
    await camera.update_xaddrs()
    device = await camera.create_devicemgmt_service()
    information = await device.GetDeviceInformation()
    out = {"information": {name: getattr(information, name) for name in ("Manufacturer", "Model", "SerialNumber")}}
    media = await camera.create_media_service()
    profile = (await media.GetProfiles())[0]
    setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
    out["stream"] = (await media.GetStreamUri({"ProfileToken": profile.token, "StreamSetup": setup})).Uri
    out["picture"] = (await camera.get_snapshot(profile.token))[:3].hex()
    one = (await media.GetVideoEncoderConfigurations())[0]
    one.RateControl.BitrateLimit, one.H264.GovLength = 650, 30
    await media.SetVideoEncoderConfiguration({"Configuration": one, "ForcePersistence": True})
    out["encoder"] = told((await media.GetVideoEncoderConfigurations())[0])
    imaging = await camera.create_imaging_service()
    out["brightness"] = (await imaging.GetImagingSettings({"VideoSourceToken": "source-1"})).Brightness
    await camera.close()
    print(json.dumps(out))

asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]))
"""
)


@pytest.fixture
def camera() -> Iterator[VirtualCamera]:
    library = PlayerLibrary(seconds=4.0, events=False)
    with (
        contextlib.closing(library),
        VirtualCamera(library=library, encodings={"main": Encoding(1280, 720, 25.0)}) as camera,
    ):
        yield camera


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str, VirtualCamera], dict[str, Any]]:
    """Runs a program with one package installed; returns what it printed."""
    homes: dict[str, Path] = {}

    def run(package: str, program: str, camera: VirtualCamera) -> dict[str, Any]:
        if package not in homes:
            folder = tmp_path_factory.mktemp("client")
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            installed = subprocess.run([folder / "bin/pip", "install", "--quiet", package], check=False)
            if installed.returncode:
                pytest.skip(f"{package} cannot be installed: no package index")
            homes[package] = folder
        assert camera.onvif is not None
        host, _, port = camera.onvif.split("/")[2].partition(":")
        done = subprocess.run(
            [homes[package] / "bin/python", "-c", program, host, port, camera.user, camera.password],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    return run


def test_onveef_asks_and_sets(camera, client):
    told = client("onveef==0.6.0", ONVEEF, camera)
    assert (told["information"]["Manufacturer"], told["information"]["Model"]) == ("edusense", "Virtual Camera")
    assert {"device", "media", "media2", "imaging", "events"} <= set(told["services"])
    assert told["stream"] == camera.rtsp
    assert told["picture"] == ["image/jpeg", "ffd8ff"]
    assert told["mac"].replace(":", "").upper() == told["information"]["SerialNumber"]
    assert told["protocols"] == ["HTTP", "RTSP"]
    assert told["hostname"] == "cam-51"
    administrator = [camera.user, "Administrator"]
    assert told["users"] == [sorted([administrator, ["guard", "Operator"]]), [administrator]]
    assert told["brightness"] == 61
    assert told["osd"] == [["205", "LowerLeft"]]
    assert told["osd_left"] == []
    assert told["clock"] == [["10.20.0.1"], "QYZT-5"]
    assert told["encoder"] == [640, 360, 10, 700, 20]
    assert "FrameRateLimit" in told["media2"]
    assert "tns1:RuleEngine/CellMotionDetector/Motion" in told["events"]


def test_onvif_python_asks_and_sets_by_both_media_services(camera, client):
    told = client("onvif-python==0.4.7", ONVIF_PYTHON, camera)
    assert told["information"]["Model"] == "Virtual Camera"
    assert told["mac"].replace(":", "").upper() == told["information"]["SerialNumber"]
    assert told["protocols"] == ["HTTP", "RTSP"]
    assert told["stream"] == camera.rtsp
    assert told["snapshot"].startswith("http://127.0.0.1:")
    assert told["encoder"] == [480, 270, 25, 900, 25]
    assert told["media2"] == [480, 800, False]
    assert told["brightness"] == 50
    assert told["events"] >= 3


def test_onvif_zeep_async_asks_and_sets(camera, client):
    told = client("onvif-zeep-async==4.3.0", ZEEP_ASYNC, camera)
    assert told["information"]["Model"] == "Virtual Camera"
    assert told["stream"] == camera.rtsp
    assert told["picture"] == "ffd8ff"
    assert told["encoder"][3:] == [650, 30]
    assert told["brightness"] == 50


@pytest.mark.parametrize(
    ("package", "program"),
    [("onveef==0.6.0", ONVEEF), ("onvif-python==0.4.7", ONVIF_PYTHON), ("onvif-zeep-async==4.3.0", ZEEP_ASYNC)],
)
def test_a_wrong_password_is_refused_to_all_of_them(camera, client, package, program, monkeypatch):
    monkeypatch.setattr(camera, "password", "wrong")
    with pytest.raises(AssertionError, match=r"(?i)auth|unauthorized|refused"):
        client(package, program, camera)
