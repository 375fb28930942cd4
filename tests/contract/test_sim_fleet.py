"""A fleet of virtual cameras: addresses of its own, faults in parts of it, streams that follow their encoders."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from edusense import devices, fleet
from edusense.errors import UsageError
from edusense.sim.discovery import DiscoveryResponder
from edusense.sim.encode import Encoding
from edusense.sim.faults import FAULTS, Share, every_fault
from edusense.sim.fleet import VirtualFleet, addresses
from edusense.sim.library import PlayerLibrary, encoding_of
from edusense.sim.makes import MAKES
from edusense.sim.onvif_lies import LIES
from edusense.video import inspect

SMALL = {
    "main": Encoding(320, 180, 10.0, gop_s=4.0, cap_kbit=300, constant=True),
    "sub": Encoding(160, 96, 5.0, gop_s=4.0, cap_kbit=100, constant=True),
}


@pytest.fixture(scope="module")
def library():
    made = PlayerLibrary(seconds=4.0, events=False)
    yield made
    made.close()


def virtual(count, library, network, **more):
    return VirtualFleet(count, network=network, password="secret", encodings=SMALL, library=library, **more)


def until(what, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


def test_each_has_an_address_of_its_own_and_is_found_there(library):
    with virtual(40, library, "127.31.0.0/16") as made, DiscoveryResponder(port=0, spread_s=0.1) as responder:
        responder.add_servers(one.onvif_server for one in made.cameras)
        found = fleet.discover(1.5, ["127.0.0.1"], port=responder.port)
        assert [one.camera.source for one in found] == [f"127.31.0.{index}" for index in range(1, 41)]
        assert len({one.camera.mac for one in found}) == 40
        # One that restarts, or hides, says nothing.
        made.cameras[0].onvif_server.state.discoverable = False
        made.cameras[1].onvif_server.state.gone = True
        assert len(fleet.discover(0.8, ["127.0.0.1"], port=responder.port)) == 38


def test_faults_are_dealt_to_parts_of_it_the_same_each_time(library):
    shares = [Share.parse(one) for one in ("silent=5%", "wrong-clock=10", "stall@3=1", "shuffled")]
    made = [virtual(40, library, "127.32.0.0/16", faults=shares, makes=["dahua", "axis"]) for _ in range(2)]
    faults = [[(camera._faults, camera.fault) for camera in one.cameras] for one in made]
    assert faults[0] == faults[1]
    assert sum("silent" in one for one, _ in faults[0]) == 2
    assert sum("wrong-clock" in one for one, _ in faults[0]) == 10
    assert sum(fault is not None for _, fault in faults[0]) == 1
    assert all("shuffled" in one for one, _ in faults[0])
    assert sum("picky-password" in one for one, _ in faults[0]) == 20
    for bad in ("silnt", "silent=x", "silent=5.5", "silent=120%", "silent@3", "stall@x"):
        with pytest.raises(UsageError):
            Share.parse(bad)
    assert set(every_fault()) >= {*FAULTS, *LIES, "black-picture", "other-stream"}


def test_addresses_leave_out_what_no_camera_has():
    assert addresses("10.0.0.0/30", 3) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    with pytest.raises(UsageError, match="room for 254 cameras, not 300"):
        addresses("127.0.0.0/24", 300)
    with pytest.raises(UsageError, match="no IPv4 network"):
        addresses("127.0.0.1/33", 1)
    with pytest.raises(UsageError, match="no make `acme`"):
        VirtualFleet(1, makes=["acme"])


def test_a_camera_behaves_as_its_make(library):
    with virtual(len(MAKES), library, "127.33.0.0/16", makes=list(MAKES)) as made:
        for camera, make in zip(made.cameras, MAKES.values(), strict=True):
            with devices.open_camera(f"onvif:{camera.onvif}", user="edusense", password="secret") as opened:
                assert opened.information().manufacturer == make.manufacturer
                assert opened.profiles()


def test_a_stream_follows_its_encoder(library):
    with virtual(2, library, "127.34.0.0/16", faults=[Share("other-stream", 1)]) as made:
        lying = next(one for one in made.cameras if "other-stream" in one._faults)
        honest = next(one for one in made.cameras if one is not lying)
        for camera in made.cameras:
            with devices.open_camera(f"onvif:{camera.onvif}", user="edusense", password="secret") as opened:
                values = {"gop": 10, "rate_control": "vbr", "size": [320, 180]}
                opened.write_settings("encoder/main", values)
                assert opened.read_settings("encoder/main").values["gop"] == 10
        wanted = encoding_of(honest.onvif_server.state.encoder(honest.onvif_server.profiles[0]))
        assert (wanted.gop, wanted.constant) == (10, False)
        until(lambda: honest.players["main"].source.encoding == wanted)
        seen = inspect(honest.url("main"), seconds=4, user="edusense", password="secret")
        assert seen.gop_pictures[1] == 10
        assert lying.players["main"].source.encoding == SMALL["main"]


def test_a_camera_moves_to_another_address_with_everything(library):
    with virtual(1, library, "127.35.0.0/16", reboot_s=0.2) as made:
        (camera,) = made.cameras
        server = camera.onvif_server
        with devices.open_camera(f"onvif:{camera.onvif}", user="edusense", password="secret") as opened:
            assert opened.write_settings("network", {"address": "127.35.9.9/16"}) is True
            assert opened.read_settings("network").values["address"] == "127.35.0.1/24"  # not before its restart
            opened.reboot()
        until(lambda: camera.host == "127.35.9.9")
        with devices.open_camera(f"onvif:{camera.onvif}", user="edusense", password="secret") as opened:
            assert opened.read_settings("network").values["address"] == "127.35.9.9/16"
            assert opened.stream_address("main").startswith("rtsp://127.35.9.9:")
        assert inspect(camera.url("main"), seconds=1, user="edusense", password="secret").width == 320
        assert server.state.reboots == 1


def test_a_changed_password_holds_for_the_stream_too(library):
    with virtual(1, library, "127.36.0.0/16") as made:
        (camera,) = made.cameras
        with devices.open_camera(f"onvif:{camera.onvif}", user="edusense", password="secret") as opened:
            opened.set_password("edusense", "another-1")
        assert inspect(camera.url("main"), seconds=1, user="edusense", password="another-1").width == 320


THOUSAND = """
from pathlib import Path
from edusense.sim.encode import Encoding
from edusense.sim.fleet import VirtualFleet
small = {"main": Encoding(320, 180, 10.0, gop_s=4.0, cap_kbit=300), "sub": Encoding(160, 96, 5.0, cap_kbit=100)}
with VirtualFleet(1000, network="127.37.0.0/16", password="x", encodings=small) as made:
    # Not getrusage's figure: that of a child begins with its parent's.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(len({one.host for one in made.cameras}), int(peak.split()[1]) // 1024)
"""


def test_a_thousand_in_one_process_take_less_than_300_megabytes():
    done = subprocess.run([sys.executable, "-c", THOUSAND], capture_output=True, text=True, timeout=85, check=True)
    hosts, megabytes = map(int, done.stdout.split())
    assert hosts == 1000
    assert megabytes < 300
