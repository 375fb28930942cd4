"""New cameras into the site file: from a search, a sweep, a list; and factory-new ones, which all have one address."""

from __future__ import annotations

import threading

import pytest

from edusense import Site, fleet
from edusense.errors import CameraListError, SiteError, UsageError
from edusense.fleet import adding, applying
from edusense.fleet.camera_list import normal_mac
from edusense.sim.discovery import DiscoveryResponder
from edusense.sim.encode import Encoding
from edusense.sim.faults import Share
from edusense.sim.fleet import VirtualFleet
from edusense.sim.library import PlayerLibrary

SMALL = {"main": Encoding(320, 180, 10.0, gop_s=4.0, cap_kbit=300, constant=True)}
TEXT = """# the school's own words
[site]
id = "school"
number = 1
data = "data"

[credentials.cameras]
user = "edusense"
password = "env:EDUSENSE_TEST_CAMERA"   # kept elsewhere

[[rooms]]
id = "205"
kind = "classroom"

[[rooms]]
id = "206"
kind = "classroom"
"""


@pytest.fixture(scope="module")
def library():
    made = PlayerLibrary(seconds=4.0, events=False)
    yield made
    made.close()


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("EDUSENSE_TEST_CAMERA", "secret")
    (tmp_path / "school.toml").write_text(TEXT)
    return Site.load(tmp_path / "school.toml")


def virtual(count, library, **more):
    return VirtualFleet(count, password="secret", encodings=SMALL, library=library, **more)


def searched(made, site, **more):
    with DiscoveryResponder(port=0, spread_s=0.05) as responder:
        responder.add_servers(one.onvif_server for one in made.cameras)
        return fleet.discover(1.0, ["127.0.0.1"], port=responder.port, site_cameras=site.cameras, **more)


def test_what_was_found_is_written_with_its_template_and_comments_stay(site, library):
    with virtual(3, library, network="127.60.0.0/16", makes=["hikvision", "axis", "unnamed"]) as made:
        new, left = fleet.propose(site, searched(made, site), room="205")
        assert [one.template for one in new] == ["hikvision/any", "axis/any", "generic/onvif-t"]
        assert [one.id for one in new] == ["205-1", "205-2", "205-3"]
        assert new[0].make == "HIKVISION DS-2CD2143G2-I"
        assert left == []
        site = fleet.add_cameras(site, new)
        text = site.path.read_text()
        assert text.startswith("# the school's own words")
        assert "# kept elsewhere" in text
        assert [camera.mac for camera in site.cameras] == [f"02:ed:00:00:00:0{n}" for n in range(3)]
        assert site.cameras[0].address == "127.60.0.1:8000"
        found = searched(made, site)
        assert [one.site_id for one in found] == ["205-1", "205-2", "205-3"]
        assert fleet.propose(site, found, room="205") == ([], [])
        assert fleet.plan(site).changes > 0


def test_a_camera_that_refuses_is_added_with_what_it_says_without_login(site, library):
    faults = [Share("refuse-auth", 1), Share("needs-activation", 1)]
    with virtual(2, library, network="127.61.0.0/16", faults=faults) as made:
        new, _ = fleet.propose(site, searched(made, site), room="205")
        assert all(one.template == "generic/onvif-t" and one.mac for one in new)
        assert any("refuses user" in (one.note or "") or "activated" in (one.note or "") for one in new)
        assert not any(camera.onvif_server.login_failures for camera in made.cameras)


def test_two_with_one_mac_address_are_told_apart_by_their_serial_numbers(site, library):
    with virtual(3, library, network="127.62.0.0/16", faults=[Share("same-mac")], makes=["reolink"]) as made:
        new, _ = fleet.propose(site, searched(made, site), room="205")
        assert [one.mac for one in new] == [None, None, None]
        assert len({one.serial for one in new}) == 3
        assert all("also that of another" in one.note for one in new)
        site = fleet.add_cameras(site, new)
        assert all(camera.serial for camera in site.cameras)


def test_a_list_says_which_hangs_where(site, library, tmp_path):
    with virtual(4, library, network="127.63.0.0/16", makes=["dahua"]) as made:
        serial = made.cameras[1].onvif_server.identity.serial_number
        path = tmp_path / "cameras.csv"
        path.write_text(
            "Room;MAC;Serial;Address;ID;Template;Kind;note\n"
            "206;02ED.0000.0000;;;206-front;generic/onvif-s;;scanned\n"
            f"205;;{serial};;;;;\n"
            "207;;;127.63.0.3:8000;;;chemistry;\n"
            "205;02:ed:00:00:ff:ff;;;missing;;;\n"
        )
        listed = fleet.read_list(path, site)
        new, left = fleet.propose(site, searched(made, site), listed)
        assert [(one.id, one.room, one.template) for one in new[:3]] == [
            ("206-front", "206", "generic/onvif-s"),
            ("205-1", "205", "dahua/any"),
            ("207-1", "207", "dahua/any"),
        ]
        assert "nobody has said which room" in new[3].problem
        assert [line.id for line in left] == ["missing"]
        site = fleet.add_cameras(site, new)
        assert next(room.kind for room in site.rooms if room.id == "207") == "chemistry"
        assert len(site.cameras) == 3


def test_a_sweep_finds_those_that_hide(site, library):
    with virtual(5, library, network="127.64.0.0/16", faults=[Share("drops-unknown", 1)]) as made:
        for camera in made.cameras[:3]:
            camera.onvif_server.state.discoverable = False
        with DiscoveryResponder(port=0, spread_s=0.05) as responder:
            responder.add_servers(one.onvif_server for one in made.cameras)
            counted = []
            found = fleet.discover(
                0.8,
                ["127.0.0.1"],
                port=responder.port,
                sweep=["127.64.0.0/28", "127.64.0.3"],
                progress=lambda done, of: counted.append((done, of)),
            )
        assert [one.camera.source for one in found] == [f"127.64.0.{n}" for n in range(1, 6)]
        assert counted[-1] == (14, 14)
        new, _ = fleet.propose(site, found, room="205")
        assert [one.mac for one in new] == [f"02:ed:00:00:00:0{n}" for n in range(5)]
    for bad in ("10.0.0.0/8", "nonsense", "::/64"):
        with pytest.raises(UsageError):
            fleet.discover(0.1, ["127.0.0.1"], sweep=[bad])


WRONG = """room,mac,serial,address,id,assigned,template,credentials,kind
205,02:ed:00:00:00,,,,,,,
,02:ed:00:00:00:01,,,,,,,
999,02:ed:00:00:00:02,,,,,,,
205,,,,,,,,
205,02:ed:00:00:00:03,,,Big Id,,,,
205,02:ed:00:00:00:04,,,,10.0.0.1,,,
205,02:ed:00:00:00:05,,,,,nope/x,,
205,02:ed:00:00:00:06,,,,,,nobody,
205,02:ed:00:00:00:07,,http://u:p@10.0.0.1/,,,,,
205,02:ed:00:00:00:08,,,same,,,,
206,02:ed:00:00:00:08,,,same,,,,
209,02:ed:00:00:00:09,,,,,,,spaceship
205,02:ed:00:00:00:0a
"""


def test_every_bad_line_of_a_list_is_named_and_none_is_taken(site, tmp_path):
    path = tmp_path / "cameras.csv"
    path.write_text(WRONG)
    with pytest.raises(CameraListError) as caught:
        fleet.read_list(path, site)
    told = [str(caught.value), *map(str, caught.value.others)]
    assert {int(one.partition("line ")[2].partition(",")[0].partition(":")[0]) for one in told} == {
        *range(2, 11),
        12,
        13,
        14,
    }
    assert sum("another one than in line 11" in one for one in told) == 2
    assert "u:p" not in "".join(told)
    for text in ("", "mac\n1", "room,mac\n205,02:ed:00:00:00:01\n205,02-ed-00-00-00-01", "\x00"):
        path.write_text(text)
        with pytest.raises(CameraListError):
            fleet.read_list(path, site)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CameraListError):
        fleet.read_list(path, site)
    with pytest.raises(CameraListError, match="cannot be read"):
        fleet.read_list(tmp_path / "none.csv", site)
    assert normal_mac("00-1A-2b-3c-4d-5e") == "00:1a:2b:3c:4d:5e"
    assert normal_mac("00:00:00:00:00:00") is None


def test_a_site_file_that_changed_meanwhile_is_not_written_over(site, library):
    site.path.write_text(TEXT.replace("206", "207"))
    camera = fleet.NewCamera(address="10.0.0.1", room="205", id="a")
    with pytest.raises(UsageError, match="has changed since it was read"):
        fleet.add_cameras(site, [camera])
    assert site.path.read_text() == TEXT.replace("206", "207")
    site = Site.load(site.path)
    with pytest.raises(SiteError):
        fleet.add_cameras(site, [camera, camera])
    assert "10.0.0.1" not in site.path.read_text()
    with pytest.raises(UsageError, match="came from no file"):
        adding.edit_site(Site.loads(TEXT), [("set", ("site", "id"), "x")])
    site.path.chmod(0o640)
    fleet.add_cameras(site, [camera])
    assert site.path.stat().st_mode & 0o777 == 0o640


# ---- factory-new


def adopted(site, at, library, **more):
    return list(fleet.adopt(site, at, threading.Event(), credentials="cameras", room="205", silence_s=1.5, **more))


def test_units_that_share_an_address_are_adopted_one_by_one(site, library, monkeypatch):
    monkeypatch.setattr(applying, "REBOOT_S", 20.0)
    with virtual(4, library, same_address="127.65.0.64", onvif_port=8002, reboot_s=0.2) as made:
        free = ["127.65.1.1/16", "127.65.1.2/16", "127.65.1.3/16"]
        listed = [fleet.ListedCamera(2, "206", "206-door", mac="02:ed:00:00:00:02", assigned="127.65.9.9/16")]
        found = adopted(site, "127.65.0.64:8002", library, free=free, listed=listed)
        assert [one.state for one in found] == ["adopted"] * 4
        assert [one.new for one in found] == [f"127.65.{n}:8002" for n in ("1.1", "1.2", "9.9", "1.3")]
        assert (found[2].camera.id, found[2].camera.room) == ("206-door", "206")
        for one in found:
            site = fleet.add_adopted(site, one.camera)
        assert [camera.id for camera in site.cameras] == ["205-1", "205-2", "206-door", "205-3"]
        assert fleet.dhcp_plan(site).splitlines()[2] == "dhcp-host=02:ed:00:00:00:02,127.65.9.9,206-door"
        assert "fixed-address 127.65.9.9;" in fleet.dhcp_plan(site, "isc")
        assert {camera.host for camera in made.cameras} == {"127.65.1.1", "127.65.1.2", "127.65.9.9", "127.65.1.3"}
        assert adopted(site, "127.65.0.64:8002", library, free=free) == []
        # Asked again, one that is in the file already is not added twice.
        assert fleet.add_adopted(site, found[0].camera) == site


def test_what_cannot_be_adopted_is_told_with_what_to_do(site, library, monkeypatch):
    monkeypatch.setattr(applying, "REBOOT_S", 2.0)
    cases = {
        "needs-activation": ("needs-activation", "SADP"),
        "refuse-auth": ("refused", "refuses user"),
        "refuses-sets": ("refused", "not supported"),
        "network-reverts": ("refused", "came back as it was"),
        "goes-away": ("away", "neither at 127.66.1.1 nor by a search"),
    }
    for number, (fault, (state, says)) in enumerate(cases.items(), 1):
        at = f"127.66.0.{number}"
        with virtual(1, library, same_address=at, onvif_port=8003, faults=[Share(fault)], reboot_s=0.2):
            found = adopted(site, f"{at}:8003", library, free=["127.66.1.1/16"])
            assert (found[0].state, found[0].camera) == (state, None), fault
            assert says in found[0].note
    with virtual(1, library, same_address="127.66.0.9", onvif_port=8003):
        assert adopted(site, "127.66.0.9:8003", library)[0].state == "no-address"
    with (
        virtual(1, library, network="127.66.2.0/24", onvif_port=8003),
        virtual(1, library, same_address="127.66.0.10", onvif_port=8003),
    ):
        (found,) = adopted(site, "127.66.0.10:8003", library, free=["127.66.2.1/16"])[:1]
        assert (found.state, found.new) == ("taken", "127.66.2.1:8003")
    with pytest.raises(UsageError, match="has no"):
        list(fleet.adopt(site, "127.66.0.9", threading.Event(), credentials="nobody"))
