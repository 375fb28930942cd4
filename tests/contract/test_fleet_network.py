"""A camera that is given another address: found again, or told where it was looked for."""

from __future__ import annotations

import time

import pytest

from edusense import Site, fleet
from edusense.fleet import applying
from edusense.fleet.moving import Identity, holder_of
from edusense.sim.encode import Encoding
from edusense.sim.faults import Share
from edusense.sim.fleet import VirtualFleet
from edusense.sim.library import PlayerLibrary

SMALL = {"main": Encoding(320, 180, 10.0, gop_s=4.0, cap_kbit=300, constant=True)}
WHY = 'why = "because the test wants it"\n'


@pytest.fixture(scope="module")
def library():
    made = PlayerLibrary(seconds=4.0, events=False)
    yield made
    made.close()


def school(tmp_path, monkeypatch, cameras, **settings):
    """A site of these cameras, whose template wants nothing but their address."""
    monkeypatch.setenv("EDUSENSE_TEST_CAMERA", "secret")
    monkeypatch.setattr(applying, "REBOOT_S", 8.0)
    monkeypatch.setattr(applying, "GOING_S", 1.0)
    monkeypatch.setattr(applying, "HOLD_S", 0.1)
    folder = tmp_path / "firmware_configs/cameras"
    folder.mkdir(parents=True, exist_ok=True)
    want = settings.get("want", f'[network.address]\nwant = "{{camera.assigned}}"\notherwise = "skip"\n{WHY}')
    (folder / "own.toml").write_text(f'summary = "only its address"\n{want}')
    text = (
        '[site]\nid = "s"\nnumber = 1\ndata = "data"\n[credentials.c]\nuser = "edusense"\n'
        'password = "env:EDUSENSE_TEST_CAMERA"\n[[rooms]]\nid = "205"\nkind = "classroom"\n'
    )
    for index, camera in enumerate(cameras):
        assigned = settings.get("assigned", f"127.{settings['net']}.9.{index + 1}/16")
        text += (
            f'[[cameras]]\nid = "c{index}"\nroom = "205"\ncredentials = "c"\ntemplate = "own"\n'
            f'address = "{camera.host}:{camera.onvif_port}"\nmac = "{camera.onvif_server.identity.mac}"\n'
        ) + (f'assigned = "{assigned}"\n' if assigned else "")
    (tmp_path / "school.toml").write_text(text)
    return Site.load(tmp_path / "school.toml")


def test_it_is_found_at_its_new_address_and_the_site_file_says_so(tmp_path, monkeypatch, library):
    with VirtualFleet(2, network="127.70.0.0/16", password="secret", encodings=SMALL, library=library) as made:
        site = school(tmp_path, monkeypatch, made.cameras, net=70)
        plan = fleet.plan(site)
        assert [row["planned"] for row in plan.rows()] == ["127.70.9.1/16", "127.70.9.2/16"]
        done = fleet.apply(plan)
        assert [(one.outcome, one.address) for one in done] == [
            ("changed", "127.70.9.1:8000"),
            ("changed", "127.70.9.2:8000"),
        ]
        assert [camera.host for camera in made.cameras] == ["127.70.9.1", "127.70.9.2"]
        site = fleet.remember_addresses(site, done)
        assert [camera.address for camera in site.cameras] == ["127.70.9.1:8000", "127.70.9.2:8000"]
        assert Site.load(site.path) == site
        assert fleet.plan(site).changes == 0


@pytest.mark.parametrize(
    ("fault", "outcome", "note"),
    [
        ("moves-at-once", "changed", "now at 127.71.9.1"),
        ("network-reverts", "accepted-but-not-applied", "it came back as it was"),
        ("ignores-sets", "accepted-but-not-applied", "it came back as it was"),
        ("refuses-sets", "refused", "not supported"),
        ("goes-away", "unreachable-after", "neither at 127.71.0.1 nor at 127.71.9.1 nor by a search"),
    ],
)
def test_whatever_it_does_instead_is_told(tmp_path, monkeypatch, library, fault, outcome, note):
    shares = [Share(fault)]
    with VirtualFleet(
        1, network="127.71.0.0/16", password="secret", encodings=SMALL, library=library, faults=shares, reboot_s=0.4
    ) as made:
        site = school(tmp_path, monkeypatch, made.cameras, net=71)
        if fault == "goes-away":
            monkeypatch.setattr(applying, "REBOOT_S", 3.0)
        (done,) = fleet.apply(fleet.plan(site))
        assert done.outcome == outcome
        assert note in done.note
        assert made.cameras[0].host == ("127.71.9.1" if outcome == "changed" else "127.71.0.1")


def test_one_that_comes_back_elsewhere_is_found_by_a_search(tmp_path, monkeypatch, library):
    from edusense.fleet import moving
    from edusense.sim.discovery import DiscoveryResponder

    with (
        VirtualFleet(
            1,
            network="127.72.0.0/16",
            password="secret",
            encodings=SMALL,
            library=library,
            faults=[Share("comes-back-elsewhere")],
            reboot_s=0.3,
        ) as made,
        DiscoveryResponder(port=0, spread_s=0.05) as responder,
    ):
        responder.add_servers([made.cameras[0].onvif_server])
        monkeypatch.setattr(moving, "SEARCH_S", 0.6)
        monkeypatch.setattr(
            moving, "discover", lambda seconds, _: fleet.discover(seconds, ["127.0.0.1"], port=responder.port)
        )
        site = school(tmp_path, monkeypatch, made.cameras, net=72)
        (done,) = fleet.apply(fleet.plan(site))
        assert done.outcome == "accepted-but-not-applied"
        assert done.address == f"{made.cameras[0].host}:8000" != "127.72.9.1:8000"
        assert "came back at" in done.note
        assert fleet.remember_addresses(site, [done]).cameras[0].address == done.address


def test_dhcp_gives_it_an_address_and_it_is_found_by_a_search(tmp_path, monkeypatch, library):
    from edusense.fleet import moving
    from edusense.sim.discovery import DiscoveryResponder

    want = f"[network.dhcp]\nwant = true\n{WHY}"
    with (
        VirtualFleet(
            1,
            network="127.73.0.0/16",
            password="secret",
            encodings=SMALL,
            library=library,
            leases=["127.73.5.5"],
            reboot_s=0.3,
        ) as made,
        DiscoveryResponder(port=0, spread_s=0.05) as responder,
    ):
        responder.add_servers([made.cameras[0].onvif_server])
        monkeypatch.setattr(moving, "SEARCH_S", 0.6)
        monkeypatch.setattr(
            moving, "discover", lambda seconds, _: fleet.discover(seconds, ["127.0.0.1"], port=responder.port)
        )
        site = school(tmp_path, monkeypatch, made.cameras, net=73, want=want, assigned=None)
        (done,) = fleet.apply(fleet.plan(site))
        assert (done.setting, done.outcome, done.address) == ("network.dhcp", "changed", "127.73.5.5:8000")


def test_an_address_that_is_taken_is_not_given_twice(tmp_path, monkeypatch, library):
    with VirtualFleet(2, network="127.74.0.0/16", password="secret", encodings=SMALL, library=library) as made:
        site = school(tmp_path, monkeypatch, made.cameras[:1], net=74, assigned="127.74.0.2/16")
        (done,) = fleet.apply(fleet.plan(site))
        assert done.outcome is None
        assert "127.74.0.2 is taken by a device that listens on port 8000" in done.note
        assert made.cameras[0].onvif_server.state.sets == []
        both = school(tmp_path, monkeypatch, made.cameras, net=74)
        other = Identity("x", made.cameras[0].onvif_server.identity.mac)
        assert holder_of(both, "127.74.0.2:8000", other) == "camera `c1`"
        assert holder_of(both, "127.74.200.200:8000", other) is None


def test_what_is_not_assigned_is_left(tmp_path, monkeypatch, library):
    with VirtualFleet(1, network="127.75.0.0/16", password="secret", encodings=SMALL, library=library) as made:
        site = school(tmp_path, monkeypatch, made.cameras, net=75, assigned=None)
        begun = time.monotonic()
        assert fleet.plan(site).changes == 0
        assert time.monotonic() - begun < 30
