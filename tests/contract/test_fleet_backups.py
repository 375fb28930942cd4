"""What a camera was set to is kept without secrets, and put back: into it, or into the unit that takes its place."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import pytest

from edusense import Site, fleet
from edusense.errors import UsageError
from edusense.fleet import applying
from edusense.fleet.backups import Backup, latest_backup
from edusense.sim.onvif_server import Identity, OnvifServer, Profile
from edusense.sim.onvif_state import Osd, User

MAIN = Profile("p1", "mainStream", 1920, 1080, 25, 4000, "H264", "rtsp://127.0.0.1:8554/main", gop=100)
SUB = Profile("p2", "subStream", 640, 360, 12, 512, "H264", "rtsp://127.0.0.1:8554/sub", gop=24)
TEXT = """[site]
id = "school"
number = 1
data = "data"
[credentials.cameras]
user = "edusense"
password = "env:TEST_OLD"
[[rooms]]
id = "205"
kind = "classroom"
[[cameras]]
id = "205-front"
room = "205"
address = "127.0.0.1:{}"
credentials = "cameras"
[[cameras]]
id = "yard"
room = "205"
url = "rtsp://10.0.0.9/1"
"""


@contextlib.contextmanager
def school(tmp_path, monkeypatch, *faults, profiles=(MAIN, SUB), **more):
    monkeypatch.setenv("TEST_OLD", "s3cret-x")
    monkeypatch.setattr(applying, "SETTLE_S", 0.3)
    monkeypatch.setattr(applying, "RETURN_S", 0.6)
    monkeypatch.setattr(applying, "HOLD_S", 0.0)
    server = OnvifServer(Identity(**more), list(profiles), "edusense", "s3cret-x", faults=faults)
    with server:
        (tmp_path / "school.toml").write_text(TEXT.format(server.port))
        yield Site.load(tmp_path / "school.toml"), server


def change(server):
    """What an installer set by hand."""
    state = server.state
    state.hostname, state.name, state.timezone = "old-hall", "Hall", "<+05>-5"
    state.ntp_from_dhcp, state.ntp_servers = False, ("10.0.0.1",)
    state.imaging = {**state.imaging, "IrCutFilter": "AUTO"}
    state.osds = {"osd-1": Osd("Plain", "205")}
    state.encoders = {"p1": replace(state.encoder(MAIN), gop=50, constant=False)}
    state.users = {**state.users, "guard": User("x", "Operator", made_here=False)}


def test_a_backup_puts_a_camera_back_as_it_was(tmp_path, monkeypatch):
    with school(tmp_path, monkeypatch) as (site, server):
        change(server)
        done = fleet.back_up(site, ["*"], tmp_path / "kept")
        assert [one.problem is None for one in done] == [True, False]
        assert "without ONVIF" in done[1].problem or "no ONVIF" in done[1].problem
        path = latest_backup(tmp_path / "kept", "205-front")
        assert str(path) == done[0].path
        assert path.stat().st_mode & 0o777 == 0o640
        assert "s3cret-x" not in path.read_text()
        kept = Backup.load(path)
        assert kept.groups["encoder/p1"]["gop"] == 50
        assert kept.groups["users"] == {"user:edusense": "administrator", "user:guard": "operator"}
        assert fleet.plan_restore(site, "205-front", kept).changes == 0
        # The camera falls back to what it was from its factory.
        fresh = OnvifServer(server.identity, [MAIN, SUB], "edusense", "s3cret-x").state
        for name in ("hostname", "name", "timezone", "ntp_from_dhcp", "ntp_servers", "imaging", "osds", "encoders"):
            setattr(server.state, name, getattr(fresh, name))
        plan = fleet.plan_restore(site, "205-front", kept)
        assert {row["setting"] for row in plan.rows() if row["action"] == "change"} == {
            *("clock.timezone", "ntp.servers", "scopes.name", "hostname.hostname", "encoder.p1.gop"),
            *("encoder.p1.rate_control", "imaging.p1.ir_cut", "osd.p1.text"),
        }
        saved = tmp_path / "plan.json"
        plan.save(saved)
        assert {one.outcome for one in fleet.apply(fleet.Plan.load(saved, site))} == {"changed"}
        assert server.state.hostname == "old-hall"
        assert server.state.encoder(MAIN).gop == 50
        assert fleet.plan_restore(site, "205-front", kept).changes == 0


def test_what_takes_its_place_is_set_like_it(tmp_path, monkeypatch):
    with school(tmp_path, monkeypatch) as (site, server):
        change(server)
        fleet.back_up(site, ["205-front"], tmp_path / "kept")
        kept = Backup.load(latest_backup(tmp_path / "kept", "205-front"))
    other = (
        Profile("profile_1", "main", 1920, 1080, 25, 4000, "H264", "rtsp://127.0.0.1/1", gop=100),
        Profile("profile_2", "sub", 640, 360, 12, 512, "H264", "rtsp://127.0.0.1/2", gop=24),
    )
    with school(tmp_path, monkeypatch, profiles=other, mac="02:ed:00:00:0a:01") as (site, server):
        done = fleet.apply(fleet.plan_restore(site, "205-front", kept))
        assert {one.outcome for one in done} == {"changed"}
        assert server.state.encoder(other[0]).gop == 50
        actions = {row["setting"]: row["action"] for row in fleet.plan_restore(site, "205-front", kept).rows()}
        assert actions["users.user:guard"] == "cannot"  # a user needs a password
    with school(tmp_path, monkeypatch, profiles=other[:1], mac="02:ed:00:00:0a:02") as (site, server):
        rows = {row["setting"]: row for row in fleet.plan_restore(site, "205-front", kept).rows()}
        assert (rows["encoder.p2.gop"]["action"], rows["encoder.p2.gop"]["note"]) == (
            "cannot",
            "this camera has fewer streams",
        )


@pytest.mark.parametrize("fault", ["ignores-sets", "refuses-sets", "reverts"])
def test_a_camera_that_does_not_take_it_back_is_found_out(tmp_path, monkeypatch, fault):
    monkeypatch.setattr(applying, "HOLD_S", 1.0)
    with school(tmp_path, monkeypatch) as (site, server):
        change(server)
        fleet.back_up(site, ["205-front"], tmp_path / "kept")
        kept = Backup.load(latest_backup(tmp_path / "kept", "205-front"))
    with school(tmp_path, monkeypatch, fault) as (site, server):
        monkeypatch.setattr(applying, "HOLD_S", 1.0)
        outcomes = {one.outcome for one in fleet.apply(fleet.plan_restore(site, "205-front", kept))}
        assert "changed" not in outcomes
        assert server.state.hostname != "old-hall"


def test_what_cannot_be_read_is_said(tmp_path, monkeypatch):
    with school(tmp_path, monkeypatch, "no-osd", "no-imaging", "few-rights") as (site, _):
        (done,) = fleet.back_up(site, ["205-front"], tmp_path / "kept")
        assert {"osd/p1", "imaging/p1", "users", "network"} <= set(done.unread)
        assert Backup.load(latest_backup(tmp_path / "kept", "205-front")).groups["encoder/p1"]
    with school(tmp_path, monkeypatch, "refuse-auth") as (site, _):
        (done,) = fleet.back_up(site, ["205-front"], tmp_path / "kept")
        assert "refuses user" in done.problem


def test_what_is_no_backup_is_refused(tmp_path):
    for text in ("", "[]", "{}", '{"edusense_backup": 9}', '{"edusense_backup": 1, "camera": "x"}'):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(UsageError, match="backup"):
            Backup.load(tmp_path / "x.json")
    (tmp_path / "y.json").write_bytes(b"\xff")
    with pytest.raises(UsageError):
        Backup.load(tmp_path / "y.json")
    with pytest.raises(UsageError, match="cannot be read"):
        Backup.load(tmp_path / "none.json")
    with pytest.raises(UsageError, match="no backup of `a`"):
        latest_backup(tmp_path, "a")
    whole = {"edusense_backup": 1, "camera": "a", "site": "s", "made_s": 1, "information": {}, "profiles": {}}
    whole = json.dumps({**whole, "groups": {"clock": 3}})
    (tmp_path / "z.json").write_text(whole)
    with pytest.raises(UsageError):
        Backup.load(tmp_path / "z.json")
